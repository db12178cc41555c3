"""Traditional characters to the simplified ones in which the dictionaries know words.

Character by character, so that every place in a text stays what it was. Imports the word lists.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import lru_cache

from .lexicon import data_lines, lexicon

__all__ = ["simplified", "simplified_word"]

_SHARED = "乾著徵瞭藉吒"
"""Characters of simplified texts too, in words as 乾隆, 著名, 瞭望 and 狼藉."""
_APART = "髮隻髒彆縴僕籲噁鬨"
"""Characters that share a simplified form and not its reading: 髮 alone is no 发."""
_MORE = {"著": "着", "瞭": "了", "藉": "借"}
"""What is read so in traditional texts; as characters they have simplified forms of their own."""
_NO_WORD = math.inf
_DOUBTFUL = re.compile(f"[{_SHARED}{_APART}]")


def simplified(text: str) -> str:
    """A text of the same length in simplified characters; simplified texts stay as they are."""
    if text.isascii():
        return text
    plain = text.translate(_table())
    if plain == text and _DOUBTFUL.search(text) is None:
        return text
    characters = list(plain)
    for match in _DOUBTFUL.finditer(text):
        if _changes(plain, match.start(), match[0], traditional=plain != text):
            characters[match.start()] = _doubtful()[match[0]]
    return "".join(characters)


def _changes(plain: str, place: int, character: str, *, traditional: bool) -> bool:
    """Whether a doubtful character makes the likelier word in its simplified form."""
    changed, kept = (_word_cost(plain, place, form) for form in (_doubtful()[character], character))
    if changed == kept == _NO_WORD:
        return traditional and character in _SHARED
    return changed < kept


@lru_cache(maxsize=8192)
def simplified_word(word: str) -> str:
    """The same of a single word."""
    return simplified(word)


def _word_cost(text: str, place: int, character: str) -> float:
    """Of the likelier word that a character makes at a place with the one before or after it."""
    before, after = text[max(place - 1, 0) : place], text[place + 1 : place + 2]
    words = (before + character, character + after)
    return min(lexicon().costs.get(word, _NO_WORD) if len(word) > 1 else _NO_WORD for word in words)


@lru_cache(maxsize=1)
def _pairs() -> Mapping[str, str]:
    pairs = (pair for line in data_lines("traditional") for pair in line.split())
    return {pair[0]: pair[1] for pair in pairs} | _MORE


@lru_cache(maxsize=1)
def _table() -> Mapping[int, str]:
    return {ord(c): plain for c, plain in _pairs().items() if c not in _SHARED + _APART}


@lru_cache(maxsize=1)
def _doubtful() -> Mapping[str, str]:
    return {c: _pairs()[c] for c in _SHARED + _APART}
