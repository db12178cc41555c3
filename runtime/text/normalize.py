"""Written text to text that can be read aloud: Chinese characters, Latin letters, pause marks.

Traditional characters stay as they are; a reading in brackets (`重[chong2]`) is kept, with a tone
mark. Every step is a function of its own.
"""

from __future__ import annotations

import re
import unicodedata

from .numerals import read_numbers
from .overrides import MARKED, mark_overrides
from .readings import is_hanzi

__all__ = ["drop_unspoken", "fold_width", "normalize_text", "read_signs"]

_PAUSE_MARKS = "，、；：。！？…—"
_MARKS = str.maketrans(
    {
        ",": "，",
        ";": "；",
        ":": "：",
        "!": "！",
        "?": "？",
        "｡": "。",
        "､": "、",
        "(": "，",
        ")": "，",
        "（": "，",
        "）": "，",
        "~": "—",
        "～": "—",
        "–": "—",
        "―": "—",
        "‥": "…",
        "⋯": "…",
        "\n": "，",
    }
)
_KEPT_WIDTH = frozenset("，、；：。！？…—（）～℃℉°²³￥¥‥⋯")
_SIGNS = {
    "&": "和",
    "@": "at",
    "%": "百分号",
    "‰": "千分号",
    "℃": "摄氏度",
    "℉": "华氏度",
    "+": "加",
    "=": "等于",
}


def normalize_text(text: str) -> str:
    """What is said of a written text; empty where nothing can be said.

    Holds Chinese characters, ASCII letters, single blanks, ，、；：。！？…— and bracketed readings
    with tone marks; never a digit.
    """
    marked = mark_overrides(text)
    pieces, end = [], 0
    for match in MARKED.finditer(marked):
        pieces += [_normalized(marked[end : match.start()]), match[0]]
        end = match.end()
    return _tidied("".join([*pieces, _normalized(marked[end:])]))


def fold_width(text: str) -> str:
    """Full-width and other compatibility forms to plain ones; digits of any script to 0-9."""
    return "".join(_folded(character) for character in text)


def read_signs(text: str) -> str:
    """Signs that are spoken, and punctuation as the Chinese marks at which speech pauses."""
    for sign, spoken in _SIGNS.items():
        text = text.replace(sign, spoken)
    text = re.sub(r"\.{2,}", "…", text)
    text = re.sub(r"(?<![A-Za-z])\.|\.(?![A-Za-z])", "。", text)
    text = re.sub(r"-{2,}", "—", text)
    return text.translate(_MARKS)


def drop_unspoken(text: str) -> str:
    """Leaves Chinese characters, ASCII letters and pause marks; all else becomes a blank."""
    return "".join(c if _is_spoken(c) else " " for c in text)


def _normalized(text: str) -> str:
    return drop_unspoken(read_signs(read_numbers(fold_width(text))))


def _folded(character: str) -> str:
    if character.isascii() or character in _KEPT_WIDTH:
        return character
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    decomposed = unicodedata.normalize("NFKD", character)
    if any(c.isdecimal() and not c.isascii() for c in decomposed):
        return ""
    plain = "".join(c for c in decomposed if not unicodedata.combining(c)).replace("⁄", "/")
    return f" {plain} " if any(c.isdecimal() for c in plain) else plain


def _is_spoken(character: str) -> bool:
    letter = character.isascii() and character.isalpha()
    return letter or character in _PAUSE_MARKS or is_hanzi(character)


def _tidied(text: str) -> str:
    """Single blanks, none beside marks; of several marks in a row the first; none at the start."""
    text = re.sub(rf"\s*([{_PAUSE_MARKS}])[{_PAUSE_MARKS}\s]*", r"\1", text)
    return re.sub(r"\s+", " ", text).lstrip(_PAUSE_MARKS + " ").rstrip()
