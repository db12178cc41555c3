"""Readings given in the text itself: `重[chong2]庆`, or of several characters together
`[重庆](chong2 qing4)`.

Inside normalised text they stand without digits, as `重[chóng]庆`; a neutral tone is `[·de]`.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from sambert_trt.engines.errors import InputError

from .phones import clean_pinyin, phones_from_syllable
from .readings import HANZI, marked_pinyin, numbered_pinyin
from .warned import warn

__all__ = ["MARKED", "Overridden", "mark_overrides", "numbered_syllable", "split_overrides"]

logger = logging.getLogger(__name__)

_LETTERS = "A-Za-zü·êāáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜńňǹḿ\u0300\u0301\u0304\u030c"
MARKED = re.compile(rf"(?<={HANZI})\[([{_LETTERS}]+)\]")
"""A reading as it stands in normalised text, without the character before it."""

_NUMBERED = re.compile(rf"(?<={HANZI})\[([A-Za-zü:]+[1-6])\]")
_EITHER = re.compile(rf"(?<={HANZI})\[([{_LETTERS}:]+[1-6]?)\]")
_SEVERAL = re.compile(rf"\[({HANZI}+)\]\(([{_LETTERS}:1-6 ]+)\)")


@dataclass(frozen=True)
class Overridden:
    """A text without its bracketed readings.

    Attributes:
        text: what is left.
        places: for each character of `text` its index in the text it was taken from.
        given: the numbered syllables prescribed, by index in `text`.
    """

    text: str
    places: Sequence[int]
    given: dict[int, str]


def numbered_syllable(written: str) -> str | None:
    """The numbered form of a syllable with its tone as a digit or a mark, None where it is none.

    ü may be written `v`, `ü` or `u:`; without a digit or mark only `·de` is neutral.
    """
    letters = unicodedata.normalize("NFC", written.strip()).lower()
    if letters[-1:].isdigit():
        numbered = clean_pinyin(letters).replace("u:", "v").replace("ü", "v")
    else:
        numbered = numbered_pinyin(letters)
        if numbered.endswith("5") and not letters.startswith("·"):
            return None
    try:
        phones_from_syllable(numbered)
    except InputError:
        return None
    return numbered


def mark_overrides(text: str) -> str:
    """Rewrites numbered readings with tone marks; what is no syllable loses its brackets."""
    composed = _SEVERAL.sub(_spread, unicodedata.normalize("NFC", text))
    return MARKED.sub(_kept, _NUMBERED.sub(_marked, composed))


def split_overrides(text: str) -> Overridden:
    """Takes the readings out of a text; brackets that hold no syllable stay."""
    if "[" not in text:
        return Overridden(text, range(len(text)), {})
    plain: list[str] = []
    places: list[int] = []
    given: dict[int, str] = {}
    end = 0
    for match in _EITHER.finditer(text):
        numbered = numbered_syllable(match[1])
        if numbered is None:
            continue
        plain.append(text[end : match.start()])
        places += range(end, match.start())
        given[len(places) - 1] = numbered
        end = match.end()
    places += range(end, len(text))
    return Overridden("".join(plain) + text[end:], places, given)


def _spread(match: re.Match[str]) -> str:
    syllables = [numbered_syllable(written) for written in match[2].split()]
    if len(syllables) != len(match[1]) or None in syllables:
        return match[0]
    pairs = zip(match[1], syllables, strict=True)
    return "".join(f"{character}[{syllable}]" for character, syllable in pairs)


def _marked(match: re.Match[str]) -> str:
    numbered = numbered_syllable(match[1])
    if numbered is None:
        warn(logger, "%s is no pinyin syllable; its letters are read instead", match[0])
        return f" {match[1]} "
    dot = "·" if numbered.endswith("5") else ""
    return f"[{dot}{marked_pinyin(numbered)}]"


def _kept(match: re.Match[str]) -> str:
    return match[0] if numbered_syllable(match[1]) else f" {match[1]} "
