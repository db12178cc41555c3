"""Readings given in the text itself: `重[chong2]庆`.

Inside normalised text they stand without digits, as `重[chóng]庆`; a neutral tone is `[·de]`.
"""

from __future__ import annotations

import logging
import re
import unicodedata

from sambert_trt.engines.errors import InputError

from .phones import clean_pinyin, phones_from_syllable
from .readings import HANZI, marked_pinyin, numbered_pinyin

__all__ = ["MARKED", "mark_overrides", "split_overrides"]

logger = logging.getLogger(__name__)

_LETTERS = "A-Za-zü·êāáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜńňǹḿ\u0300\u0301\u0304\u030c"
MARKED = re.compile(rf"(?<={HANZI})\[([{_LETTERS}]+)\]")
"""A reading as it stands in normalised text, without the character before it."""

_NUMBERED = re.compile(rf"(?<={HANZI})\[([A-Za-zü:]+[1-6])\]")


def mark_overrides(text: str) -> str:
    """Rewrites numbered readings with tone marks; what is no syllable loses its brackets."""
    composed = unicodedata.normalize("NFC", text)
    return MARKED.sub(_kept, _NUMBERED.sub(_marked, composed))


def split_overrides(text: str) -> tuple[str, dict[int, str]]:
    """The text without its readings, and the numbered reading of each such character's index."""
    plain: list[str] = []
    given: dict[int, str] = {}
    length = end = 0
    marked = mark_overrides(text)
    for match in MARKED.finditer(marked):
        plain.append(marked[end : match.start()])
        length += match.start() - end
        given[length - 1] = numbered_pinyin(match[1])
        end = match.end()
    return "".join(plain) + marked[end:], given


def _marked(match: re.Match[str]) -> str:
    numbered = clean_pinyin(match[1])
    if not _is_syllable(numbered):
        logger.warning("%s is no pinyin syllable; its letters are read instead", match[0])
        return f" {match[1]} "
    dot = "·" if numbered.endswith("5") else ""
    return f"[{dot}{marked_pinyin(numbered.replace('u:', 'v').replace('ü', 'v'))}]"


def _kept(match: re.Match[str]) -> str:
    numbered = numbered_pinyin(match[1])
    toned = not numbered.endswith("5") or match[1].startswith("·")
    return match[0] if toned and _is_syllable(numbered) else f" {match[1]} "


def _is_syllable(numbered: str) -> bool:
    try:
        phones_from_syllable(numbered)
    except InputError:
        return False
    return True
