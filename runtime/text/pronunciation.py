"""The lexical reading of one Chinese word in its context, and the reason of every syllable.

Imports the dictionaries and the rules over them, nothing of the steps around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from .erhua import is_own_syllable
from .lexicon import OPEN_SYLLABLE, lexicon
from .polyphones import REACH, choose_reading, polyphones
from .readings import readings
from .segment import reading_parts, word_parts

__all__ = ["read_word"]

_OPEN = ""
"""The reason of a syllable that only its context decides."""

_Read = tuple[str, str]


def read_word(word: str, context: str, at: int) -> list[_Read]:
    """The numbered syllable of each character and its reason.

    Args:
        context: the Chinese characters around, between `polyphones.START` and `END`.
        at: where the word begins in it.
    """
    known = _known_reading(word)
    return [
        _in_context(word, i, context, at + i) if reason == _OPEN else (syllable, reason)
        for i, (syllable, reason) in enumerate(known)
    ]


def _in_context(word: str, i: int, context: str, at: int) -> _Read:
    character = word[i]
    if character == "儿":
        return _erhua(word, i, context[at - 1 : at].strip("^"))
    before, after = context[max(at - REACH, 0) : at], context[at + 1 : at + 1 + REACH]
    rule = choose_reading(character, before, after, _place(word, i))
    if rule is None:
        return readings().characters[character], "character"
    return rule.reading, "character" if rule.plain else f"rule:{rule.name}"


def _place(word: str, i: int) -> str:
    if len(word) == 1:
        return ""
    return "start" if i == 0 else "end" if i + 1 == len(word) else "in"


def _erhua(word: str, i: int, before: str) -> _Read:
    """儿 begins a word, ends one as a syllable (女儿), or colours the syllable before it."""
    begins = i == 0 and len(word) > 1
    if begins or is_own_syllable(before, word[i + 1 : i + 2]):
        return "er2", "character"
    return "r5", "rule:erhua"


@lru_cache(maxsize=8192)
def _known_reading(word: str) -> tuple[_Read, ...]:
    """What the dictionaries say; the open syllables are left to the context."""
    return tuple(read for part in reading_parts(word) for read in _part_reading(part))


def _part_reading(part: str) -> list[_Read]:
    own = lexicon().read.get(part)
    listed = own or readings().phrases.get(part)
    syllables = listed.split() if listed else []
    if len(syllables) != len(part):
        reads = [_single(character) for character in part]
    else:
        reads = [
            _listed(character, syllable)
            for character, syllable in zip(part, syllables, strict=True)
        ]
    if own is None:
        for i in _light_places(part):
            reads[i] = (f"{_toned(part[i], reads[i])[:-1]}5", "rule:neutral")
    return reads


def _light_places(part: str) -> Iterator[int]:
    """Where words end whose last syllable has no tone, the words in a longer one too."""
    neutral, end = lexicon().neutral, 0
    for piece in (part,) if part in neutral or _is_doubled(part) else word_parts(part):
        end += len(piece)
        if piece in neutral:
            yield end - 1
    if len(part) == 3 and part[1:] in neutral:
        yield 2


def _is_doubled(part: str) -> bool:
    """Whether it is a word whose characters are said twice each, as 模模糊糊."""
    return len(part) == 4 and part[0] == part[1] and part[2] == part[3]


def _toned(character: str, read: _Read) -> str:
    return read[0] or readings().characters[character]


def _single(character: str) -> _Read:
    if character in polyphones() or character == "儿":
        return "", _OPEN
    if character == "一":
        return "yi1", "character"
    return readings().characters[character], "character"


def _listed(character: str, syllable: str) -> _Read:
    if character == "儿" or syllable == OPEN_SYLLABLE:
        return "", _OPEN
    if character == "一":
        return "yi1", "phrase"
    if character == "不" and syllable != "bu5":
        return "bu4", "phrase"
    return syllable, "phrase"
