"""Compatibility forms of characters to plain ones, digits of any script to 0-9.

What is never spoken (joiners, accents, key caps, emoji's modifiers) leaves no gap. Standard
library only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from .marks import MARK, is_mark
from .patterns import BRACKETED, Edit
from .readings import HANZI
from .signs import CIRCLED, SIGNS

__all__ = ["fold_edits", "folded"]

_KEPT = "，、；：。！？…—（）“”‘’《》【】" + "".join(sorted(SIGNS)) + "‱·•′″"
_PLAIN_FORMS = {
    "−": "-",
    "‐": "-",
    "‑": "-",
    "‒": "-",
    "–": "-",
    "―": "—",
    "﹣": "-",
    "～": "~",
    "〜": "~",
    "∼": "~",
    "∶": ":",
    "／": "/",
    "⁄": "/",
    "∕": "/",
    "∗": "*",
    "✕": "×",
    "✖": "×",
    "＊": "*",
    "｡": "。",
    "､": "、",
    "‥": "…",
    "⋯": "…",
    "™": " ",
    "℠": " ",
    "µ": "μ",
    "■": " ",
    "○": " ",
    "〇": "零",
    "＇": "'",
    "’": "'",
    "‧": "·",
    "・": "·",
    "﹒": "·",
    "≦": "≤",
    "≧": "≥",
    "➔": "→",
    "➡": "→",
    "⟶": "→",
    "ß": "ss",
    "æ": "ae",
    "Æ": "AE",
    "œ": "oe",
    "Œ": "OE",
    "ø": "o",
    "Ø": "O",
    "đ": "d",
    "Đ": "D",
    "ł": "l",
    "Ł": "L",
    "ı": "i",
}
_NUMERAL = "零〇○一二三四五六七八九十"
_BINARY = "-~×÷=<>≤≥≈≠*/"
_ODD = re.compile(
    rf"(?P<keycap>[0-9#*]\ufe0f?\u20e3)"
    rf"|(?P<zero>(?<=[{_NUMERAL}])○|○(?=[{_NUMERAL}]))"
    rf"|(?P<dot>(?<=[{_NUMERAL}])[·‧・](?=[{_NUMERAL}]))"
    rf"|(?P<blank>(?<={HANZI})[ \u00a0]{{1,4}}(?=\d)|(?<=\d)[ \u00a0]{{1,4}}(?={HANZI})"
    rf"|(?<=[\dA-Za-z%])[ \u00a0]{{1,2}}(?=[{_BINARY}] ?\d)"
    rf"|(?<=[{_BINARY}])[ \u00a0]{{1,2}}(?=\d))"
    rf"|(?P<odd>[^\x00-\x7e{HANZI[2:-1]}{re.escape(_KEPT)}Ⅰ-ⅿ{CIRCLED}{MARK[1:-1]}{BRACKETED}])"
)


def fold_edits(text: str) -> Iterator[Edit]:
    """What differs from its plain form: `Ａ１` to `A1`, `½` to `1/2`."""
    for match in _ODD.finditer(text):
        if match["odd"]:
            said = _plain(match[0])
            before = text[max(match.start() - 1, 0) : match.start()]
            if said[:1].isdigit() and "/" in said and before.isdigit():
                said = f" {said}"
            yield match.start(), match.end(), said, "form"
        elif match["zero"]:
            yield match.start(), match.end(), "零", "zero"
        else:
            yield match.start(), match.end(), "", "emoji" if match["keycap"] else "blank"


def folded(text: str) -> str:
    """A text in its plain forms."""
    pieces, done = list[str](), 0
    for start, end, said, _ in fold_edits(text):
        pieces += (text[done:start], said)
        done = end
    return "".join([*pieces, text[done:]])


@lru_cache(maxsize=8192)
def _plain(character: str) -> str:
    if character in _PLAIN_FORMS:
        return _PLAIN_FORMS[character]
    if is_mark(character):
        return character
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    if unicodedata.category(character) in ("Mn", "Me", "Mc", "Cf"):
        return ""
    decomposed = unicodedata.normalize("NFKD", character)
    if decomposed == character:
        return " " if unicodedata.category(character)[0] not in "P" else character
    return "".join(_plain_or_kept(c) for c in decomposed)


def _plain_or_kept(character: str) -> str:
    if character.isascii() or not _ODD.fullmatch(character):
        return character
    return _plain(character)
