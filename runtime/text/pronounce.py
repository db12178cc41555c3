"""Words and their syllables: segmentation, readings, tone sandhi and erhua.

Every step is a function: `words_from_text` (lexical readings), `apply_sandhi`, `merge_erhua`.
Reads pypinyin's dictionaries, does not import pypinyin.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import groupby

from .lexicon import ERHUA_EXCEPTIONS, NUMERALS, everyday_words, neutral_words, read_words
from .overrides import split_overrides
from .phones import phones_from_syllable, spell_syllable, syllable_table
from .readings import is_hanzi, readings
from .sandhi import Spoken, sandhi_tones

__all__ = [
    "PAUSES",
    "Kind",
    "Word",
    "apply_sandhi",
    "cut_words",
    "lexical_pinyin",
    "merge_erhua",
    "words_from_text",
]

logger = logging.getLogger(__name__)

PAUSES = frozenset("，、；：。！？…—")
"""The marks of normalised text at which speech pauses."""

_LONGEST_PHRASE = 8
_BEFORE_GE = frozenset("一二两三四五六七八九十百千万几这那哪每半数下上")
_BEFORE_ZHI = frozenset("一二两三四五六七八九十百千万几这那哪每半")
_DEGREES = frozenset("很太更最多真好较")
_SUBJECTS = frozenset("我你他她它们也就还都总")


class Kind(Enum):
    """What a word is."""

    HANZI = "hanzi"
    LATIN = "latin"
    PAUSE = "pause"


@dataclass(frozen=True)
class Word:
    """A word, a run of Latin letters, or a pause mark.

    Only Chinese words carry syllables, one for each character until erhua is merged; `given`
    holds the positions of those that the text itself prescribes.
    """

    text: str
    kind: Kind
    syllables: tuple[str, ...] = ()
    given: frozenset[int] = frozenset()


def lexical_pinyin(text: str) -> list[str]:
    """The numbered syllables of a normalised text before sandhi; the 儿 of erhua is `r5`."""
    return [s for word in words_from_text(text) for s in word.syllables]


def words_from_text(text: str) -> list[Word]:
    """Splits a normalised text into words with lexical readings.

    A bracketed reading after a character (`重[chong2]庆`) is used as it stands. Characters no
    dictionary knows are left out with a warning.

    Raises:
        InputError: the dictionaries are missing.
    """
    plain, given = split_overrides(text)
    words: list[Word] = []
    position = 0
    for kind, group in groupby(plain, _kind):
        run = "".join(group)
        if kind is Kind.HANZI:
            words += _words_from_hanzi(run, {i - position: s for i, s in given.items()})
        elif kind is Kind.LATIN:
            words.append(Word(run, kind))
        elif kind is Kind.PAUSE:
            words.append(Word(run[0], kind))
        position += len(run)
    return words


def cut_words(text: str) -> list[str]:
    """Segments a run of Chinese characters: the fewest words, everyday ones preferred."""
    known, everyday = readings().phrases, everyday_words()
    best: list[tuple[float, int]] = [(0.0, 0)] * (len(text) + 1)
    for start in range(len(text) - 1, -1, -1):
        best[start] = (best[start + 1][0] + 1.05, 1)
        for length in range(2, min(_LONGEST_PHRASE, len(text) - start) + 1):
            piece = text[start : start + length]
            if piece in everyday or piece in known:
                cost = best[start + length][0] + (0.9 if piece in everyday else 1.0)
                if cost < best[start][0]:
                    best[start] = (cost, length)
    return list(_joined(_pieces(text, [length for _, length in best])))


def apply_sandhi(words: Sequence[Word]) -> list[Word]:
    """Replaces lexical tones by spoken ones: 一, 不 and third tones, between pauses.

    Readings given in the text keep their tone.
    """
    result: list[Word] = []
    for is_hanzi_run, group in groupby(words, lambda word: word.kind is Kind.HANZI):
        run = list(group)
        result += _spoken_words(run) if is_hanzi_run else run
    return result


def merge_erhua(words: Sequence[Word], phones: Collection[str] | None = None) -> list[Word]:
    """Joins each `r5` with the syllable before it (`hua1 r5` -> `huar1`).

    Where the table, or the voice's `phones`, has no such syllable, 儿 stays one of its own.
    """
    return [
        replace(word, syllables=tuple(_merged(word.syllables, phones)), given=frozenset())
        if "r5" in word.syllables
        else word
        for word in words
    ]


def _kind(character: str) -> Kind | None:
    if character in PAUSES:
        return Kind.PAUSE
    if character.isascii() and character.isalpha():
        return Kind.LATIN
    if not is_hanzi(character):
        return None
    if character not in readings().characters:
        logger.warning("no reading is known for %s; it is left out", character)
        return None
    return Kind.HANZI


def _pieces(text: str, lengths: Sequence[int]) -> Iterator[str]:
    start = 0
    while start < len(text):
        yield text[start : start + lengths[start]]
        start += lengths[start]


def _joined(pieces: Iterator[str]) -> Iterator[str]:
    """Keeps a number one word, and the 儿 of erhua with its word."""
    held = ""
    for piece in pieces:
        if held and _belongs(held, piece):
            held += piece
        else:
            if held:
                yield held
            held = piece
    if held:
        yield held


def _belongs(held: str, piece: str) -> bool:
    if piece == "儿":
        return held[-1] + piece not in ERHUA_EXCEPTIONS
    return NUMERALS.issuperset(held) and NUMERALS.issuperset(piece)


def _words_from_hanzi(run: str, given: Mapping[int, str]) -> list[Word]:
    words, start = [], 0
    for piece in cut_words(run):
        syllables = [
            given.get(start + i) or _in_context(run, start + i, syllable, len(piece))
            for i, syllable in enumerate(_dictionary_reading(piece))
        ]
        fixed = frozenset(i for i in range(len(piece)) if start + i in given)
        words.append(Word(piece, Kind.HANZI, tuple(syllables), fixed))
        start += len(piece)
    return words


def _dictionary_reading(word: str) -> list[str]:
    table = readings()
    listed = read_words(word) or table.phrases.get(word)
    syllables = listed.split() if listed else []
    if len(syllables) != len(word):
        syllables = _composed_reading(word)
    if word in neutral_words():
        syllables[-1] = syllables[-1][:-1] + "5"
    return syllables


def _composed_reading(word: str) -> list[str]:
    table = readings()
    if len(word) > 2 and word.endswith("儿"):
        return [*_dictionary_reading(word[:-1]), table.characters["儿"]]
    return [table.characters[character] for character in word]


def _in_context(run: str, index: int, syllable: str, word_length: int) -> str:
    character = run[index]
    before, after = run[index - 1 : index] if index else "", run[index + 1 : index + 2]
    if character == "一":
        return "yi1"
    if character == "不":
        return "bu5" if syllable == "bu5" else "bu4"
    if character == "儿" and before:
        whole = before + "儿" in ERHUA_EXCEPTIONS or "儿" + after in ERHUA_EXCEPTIONS
        return "er2" if whole else "r5"
    if character == "个" and before in _BEFORE_GE and before:
        return "ge5"
    return (
        _alone(character, before, after, run[:index]) or syllable if word_length == 1 else syllable
    )


def _alone(character: str, before: str, after: str, head: str) -> str | None:
    """The reading of a common polyphone that is a word by itself, None where it has no rule."""
    if character == "只" and before:
        return "zhi1" if before in _BEFORE_ZHI else "zhi3"
    if character == "得" and before and after:
        return "dei3" if before in _SUBJECTS else "de5"
    if character == "地" and after and len(head) > 1:
        return "de5" if head[-1] == head[-2] or head[-2] in _DEGREES else None
    if character == "长" and (before and before in _DEGREES):
        return "chang2"
    return None


def _spoken_words(run: Sequence[Word]) -> list[Word]:
    spoken = [
        Spoken(character, syllable, number, i in word.given)
        for number, word in enumerate(run)
        for i, (character, syllable) in enumerate(zip(word.text, word.syllables, strict=True))
    ]
    tones = iter(sandhi_tones(spoken))
    return [replace(word, syllables=tuple(next(tones) for _ in word.syllables)) for word in run]


def _merged(syllables: Sequence[str], phones: Collection[str] | None) -> list[str]:
    merged: list[str] = []
    for syllable in syllables:
        if syllable != "r5":
            merged.append(syllable)
        elif merged and _has_erhua(merged[-1], phones):
            merged[-1] = f"{merged[-1][:-1]}r{merged[-1][-1]}"
        else:
            merged.append("er5")
    return merged


def _has_erhua(syllable: str, phones: Collection[str] | None) -> bool:
    letters = spell_syllable(syllable[:-1]) + "r"
    if letters not in syllable_table() or letters == "er":
        return False
    spoken, _ = phones_from_syllable(f"{letters}{syllable[-1]}")
    return phones is None or set(spoken) <= set(phones)
