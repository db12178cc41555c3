"""The 儿 that colours the syllable before it, and the one that is a syllable.

Imports the word lists and the pinyin table.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from .lexicon import lexicon
from .phones import phones_from_syllable, spell_syllable, syllable_table
from .reading import Word

__all__ = ["is_own_syllable", "merge_erhua"]


def is_own_syllable(before: str, after: str) -> bool:
    """Whether 儿 between two characters (or "") is a syllable of its own (`er2`)."""
    return not before or {before + "儿", "儿" + after} & lexicon().own_er != frozenset()


def merge_erhua(words: Sequence[Word], phones: Collection[str] | None = None) -> list[Word]:
    """Joins each `r5` with the syllable before it (`hua1 r5` -> `huar1`).

    Where the table, or the voice's `phones`, has no such syllable, 儿 stays one of its own.
    """
    return [_merged(word, phones) if "r5" in word.syllables else word for word in words]


def _merged(word: Word, phones: Collection[str] | None) -> Word:
    syllables: list[str] = []
    reasons: list[str] = []
    given: set[int] = set()
    for i, syllable in enumerate(word.syllables):
        if syllable == "r5" and syllables and _has_erhua(syllables[-1], phones):
            syllables[-1] = f"{syllables[-1][:-1]}r{syllables[-1][-1]}"
            continue
        if i in word.given:
            given.add(len(syllables))
        syllables.append("er5" if syllable == "r5" else syllable)
        reasons += word.reasons[i : i + 1]
    return replace(word, syllables=tuple(syllables), reasons=tuple(reasons), given=frozenset(given))


def _has_erhua(syllable: str, phones: Collection[str] | None) -> bool:
    letters = spell_syllable(syllable[:-1]) + "r"
    if letters not in syllable_table() or letters == "er":
        return False
    spoken, _ = phones_from_syllable(f"{letters}{syllable[-1]}")
    return phones is None or set(spoken) <= set(phones)
