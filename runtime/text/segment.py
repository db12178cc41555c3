"""Chinese text cut into words: the likeliest by the frequencies of words, in linear time.

Standard library only beside the project's word lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from .erhua import is_own_syllable
from .lexicon import NUMERALS, lexicon
from .readings import readings

__all__ = ["cut_words", "reading_parts", "word_parts"]

_UNKNOWN_COST = 208
_WINDOW, _OVERLAP = 400, 24
_NO_NUMBERS = frozenset({"千万", "万一", "一一"})
_RANKS = frozenset("十百千万亿")


def cut_words(text: str) -> list[str]:
    """Segments a run of Chinese characters; a number is one word, as is a word with its erhua."""
    words: list[str] = []
    start = 0
    while start < len(text):
        pieces = _cut(text[start : start + _WINDOW], lexicon().costs)
        if start + _WINDOW < len(text):
            while len(pieces) > 1 and sum(map(len, pieces)) > _WINDOW - _OVERLAP:
                pieces.pop()
        words += pieces
        start += sum(map(len, pieces))
    return list(_joined(words))


@lru_cache(maxsize=8192)
def word_parts(word: str) -> tuple[str, ...]:
    """The words that a word is made of: 纸老虎 is 纸, 老虎; a number's ranks part it."""
    if len(word) < 3:
        return (word,)
    if NUMERALS.issuperset(word):
        return tuple(_number_parts(word))
    return tuple(_cut(word, lexicon().costs, without=word))


@lru_cache(maxsize=8192)
def reading_parts(word: str) -> tuple[str, ...]:
    """The longest parts of a word whose readings are known; the word itself if it is."""
    if len(word) == 1 or word in lexicon().read or word in readings().phrases:
        return (word,)
    neutral = lexicon().neutral
    if word in neutral and len(word) == 2:
        return (word,)
    if len(word) == 3 and word[1:] in neutral:
        return (word[0], word[1:])
    parts = _cut(word, lexicon().costs, without=word)
    return tuple(found for part in parts for found in reading_parts(part))


def _cut(text: str, costs: Mapping[str, int], without: str = "") -> list[str]:
    longest = lexicon().longest
    size = len(text)
    best, steps = [0] * (size + 1), [1] * size
    for start in range(size - 1, -1, -1):
        first = text[start]
        least, step = costs.get(first, _UNKNOWN_COST) + best[start + 1], 1
        for end in range(start + 2, min(start + longest.get(first, 1), size) + 1):
            cost = costs.get(text[start:end])
            if cost is not None and cost + best[end] < least and text[start:end] != without:
                least, step = cost + best[end], end - start
        best[start], steps[start] = least, step
    return list(_pieces(text, steps))


def _pieces(text: str, steps: list[int]) -> Iterator[str]:
    start = 0
    while start < len(text):
        yield text[start : start + steps[start]]
        start += steps[start]


def _joined(pieces: list[str]) -> Iterator[str]:
    """Keeps a number one word, and the 儿 of erhua with its word."""
    held = ""
    for piece in pieces:
        taken = _taken(held, piece) if held else 0
        held += piece[:taken]
        if taken < len(piece):
            if held:
                yield held
            held = piece[taken:]
    if held:
        yield held


def _taken(held: str, piece: str) -> int:
    """How many characters of a piece belong to the word before it."""
    if piece == "儿":
        return int(not is_own_syllable(held[-1], ""))
    if not NUMERALS.issuperset(held) or held in _NO_NUMBERS:
        return 0
    return next((i for i, c in enumerate(piece) if c not in NUMERALS), len(piece))


def _number_parts(number: str) -> Iterator[str]:
    """Digits with the rank after them; digits without ranks in pairs."""
    part = ""
    for position, character in enumerate(number):
        part += character
        following = number[position + 1 : position + 2]
        ranked = character in _RANKS and following not in _RANKS
        paired = len(part) == 2 and character not in _RANKS and following not in _RANKS
        if not following or ranked or paired:
            yield part
            part = ""
