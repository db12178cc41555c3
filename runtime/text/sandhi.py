"""The tones of connected Mandarin speech: 一 and 不, runs of third tones, light syllables.

Works on words with lexical readings; imports the word lists only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from .lexicon import NUMERALS, lexicon
from .reading import Kind, Word
from .segment import word_parts

__all__ = ["apply_sandhi"]

_BEFORE_ONE = frozenset("第初零〇一二三四五六七八九十点")
_AFTER_ONE = frozenset("零〇一二三四五六七八九月号楼")
_AFTER_ONE_WORDS = ("年级", "等奖", "把手", "级", "中")
_ORDINAL_WEEKS = frozenset("期周")
_DETERMINERS = NUMERALS | frozenset("几这那哪每某各半数多下上整")


@dataclass(slots=True)
class _Spoken:
    """One syllable of a stretch without pauses, as it is changed step by step.

    `word` and `part` number the words of the stretch and the words those are made of; `fixed` marks
    a reading somebody prescribed, which no rule changes.
    """

    character: str
    lexical: str
    syllable: str
    word: int
    part: int
    fixed: bool
    rule: str = ""

    @property
    def tone(self) -> str:
        return self.syllable[-1]

    def change(self, tone: str, rule: str) -> None:
        """Gives it another tone, for a reason."""
        if tone != self.tone and not self.fixed:
            self.syllable = self.syllable[:-1] + tone
            self.rule = rule


def apply_sandhi(words: Sequence[Word]) -> list[Word]:
    """Replaces lexical tones by spoken ones, between pauses and across control marks.

    Readings that the text or a user's lexicon prescribes keep their tone. Where words carry
    reasons, a changed syllable's is `sandhi:<name>`: `one`, `not`, `third` or `neutral`.
    """
    result: list[Word] = []
    for spoken, group in groupby(words, lambda word: word.kind in (Kind.HANZI, Kind.MARK)):
        run = list(group)
        result += _spoken_words(run) if spoken else run
    return result


def _spoken_words(words: Sequence[Word]) -> list[Word]:
    hanzi = [word for word in words if word.kind is Kind.HANZI]
    stretch = list(_stretch(hanzi))
    _change_small_words(stretch)
    _change_third_tones(stretch)
    _lighten(stretch, hanzi)
    result, start = list[Word](), 0
    for word in words:
        end = start + (len(word.syllables) if word.kind is Kind.HANZI else 0)
        result.append(_changed(word, stretch[start:end]))
        start = end
    return result


def _stretch(words: Sequence[Word]) -> Iterator[_Spoken]:
    part = 0
    for number, word in enumerate(words):
        aligned = len(word.text) == len(word.syllables)
        text = word.plain if aligned else " " * len(word.syllables)
        parts = [part + 1] * len(text) if len(text) < 3 else _parts(text, part)
        for i, syllable in enumerate(word.syllables):
            yield _Spoken(text[i], syllable, syllable, number, parts[i], i in word.given)
        part = parts[-1] if parts else part


def _parts(text: str, part: int) -> list[int]:
    """For each character the number of the part it is in, counted on from `part`."""
    sizes = [len(piece) for piece in word_parts(text)]
    return [part + i for i, size in enumerate(sizes, start=1) for _ in range(size)]


def _changed(word: Word, spoken: Sequence[_Spoken]) -> Word:
    if not any(syllable.rule for syllable in spoken):
        return word
    reasons = tuple(
        f"sandhi:{changed.rule}" if changed.rule else reason
        for reason, changed in zip(word.reasons, spoken, strict=False)
    )
    return replace(word, syllables=tuple(s.syllable for s in spoken), reasons=reasons)


def _change_small_words(stretch: Sequence[_Spoken]) -> None:
    """一 and 不, from the right, since each hears the tone that the next one has become."""
    for i in range(len(stretch) - 2, -1, -1):
        here = stretch[i]
        if here.character == "一" and here.lexical == "yi1":
            here.change(_tone_of_one(stretch, i), "one")
        elif here.character == "不" and here.lexical == "bu4":
            here.change(_tone_of_not(stretch, i), "not")


def _tone_of_one(stretch: Sequence[_Spoken], i: int) -> str:
    here, after = stretch[i], stretch[i + 1]
    before = stretch[i - 1] if i else None
    following = "".join(spoken.character for spoken in stretch[i + 1 : i + 3])
    if after.character in _AFTER_ONE or following.startswith(_AFTER_ONE_WORDS):
        return "1"
    if before is not None:
        if before.word == here.word != after.word and not _counts(before, here):
            return "1"
        if before.character in _BEFORE_ONE or before.character in _ORDINAL_WEEKS:
            return "1"
        if before.character == "月" and after.character == "日":
            return "1"
        if before.character == after.character:
            return "5"
    return "2" if after.tone == "4" or after.character == "个" else "4"


def _counts(before: _Spoken, one: _Spoken) -> bool:
    """Whether 一 ends a word but counts what follows, as in 同一个."""
    return before.character + one.character in lexicon().counting


def _tone_of_not(stretch: Sequence[_Spoken], i: int) -> str:
    after = stretch[i + 1]
    if i and stretch[i - 1].character == after.character:
        return "5"
    return "2" if after.tone == "4" else "4"


def _change_third_tones(stretch: Sequence[_Spoken]) -> None:
    """Third before third becomes second: inside a word from the left, between words from the right.

    Inside the smallest words every third tone but the last one changes (展览-馆: 2 2 3). Between
    them the tone counts that the next syllable has become, so that 我 of 我很好 and 纸 of 纸老虎
    keep the third tone before a second one.
    """
    for i in range(len(stretch) - 2, -1, -1):
        here, after = stretch[i], stretch[i + 1]
        if here.tone != "3":
            continue
        following = after.lexical if here.part == after.part and not after.fixed else after.syllable
        if following[-1] == "3":
            here.change("2", "third")


def _lighten(stretch: Sequence[_Spoken], words: Sequence[Word]) -> None:
    """Takes the tone from last syllables that are light in connected speech."""
    end = 0
    for number, word in enumerate(words):
        end += len(word.syllables)
        if end and word.syllables and _is_light(words, number):
            stretch[end - 1].change("5", "neutral")


def _is_light(words: Sequence[Word], number: int) -> bool:
    word = words[number].plain
    before = words[number - 1].plain if number else ""
    if word in lexicon().light or (len(word) == 3 and word[1:] in lexicon().light):
        return True
    if word[-1] == "个":
        return (word[:-1] or before)[-1:] in _DETERMINERS
    if word == "里":
        following = words[number + 1].plain[0] if number + 1 < len(words) else ""
        return len(before) > 1 and following not in ("面", "边", "外", "头")
    return False
