"""The tones of connected Mandarin speech. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Spoken", "sandhi_tones"]

_BEFORE_ONE = frozenset("第初零〇一二三四五六七八九十点")
_AFTER_ONE = frozenset("零〇一二三四五六七八九月号楼")
_ORDINAL_WEEKS = frozenset("期周")


@dataclass(frozen=True)
class Spoken:
    """One character of a run without pauses: its lexical syllable, its word's number.

    `given` marks a reading the text prescribes, which no rule changes.
    """

    character: str
    syllable: str
    word: int
    given: bool = False

    @property
    def tone(self) -> str:
        """The tone digit."""
        return self.syllable[-1]


def sandhi_tones(run: Sequence[Spoken]) -> list[str]:
    """The syllables of the run as they are spoken: 一 and 不 first, then third tones."""
    syllables = [_small_words(run, i) for i in range(len(run))]
    return _third_tones(run, syllables)


def _small_words(run: Sequence[Spoken], i: int) -> str:
    here = run[i]
    if here.given or i + 1 == len(run) or here.syllable not in ("yi1", "bu4"):
        return here.syllable
    if here.character == "一":
        return f"yi{_tone_of_one(run, i)}"
    if here.character == "不":
        return f"bu{_tone_of_not(run, i)}"
    return here.syllable


def _tone_of_one(run: Sequence[Spoken], i: int) -> str:
    after = run[i + 1]
    before = run[i - 1] if i else None
    ends_word = before is not None and before.word == run[i].word != after.word
    if after.character in _AFTER_ONE or ends_word:
        return "1"
    if before is not None:
        if before.character in _BEFORE_ONE or before.character in _ORDINAL_WEEKS:
            return "1"
        if before.character == after.character:
            return "5"
    return "2" if after.tone == "4" or after.character == "个" else "4"


def _tone_of_not(run: Sequence[Spoken], i: int) -> str:
    after = run[i + 1]
    if i and run[i - 1].character == after.character:
        return "5"
    return "2" if after.tone == "4" else "4"


def _third_tones(run: Sequence[Spoken], syllables: Sequence[str]) -> list[str]:
    """Third before third becomes second: inside a word from the left, between words from the right.

    Right to left over the spoken tones leaves 我 of 我很好 a third tone, since 很 has become a
    second one.
    """
    spoken = list(syllables)
    for i in range(len(run) - 2, -1, -1):
        if run[i].given or syllables[i][-1] != "3":
            continue
        inside = run[i].word == run[i + 1].word
        following = syllables[i + 1] if inside else spoken[i + 1]
        if following[-1] == "3":
            spoken[i] = spoken[i][:-1] + "2"
    return spoken
