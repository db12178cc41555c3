"""How a sentence is read, step by step: what the front end hands from stage to stage.

    written ─ normalise ─▶ Normalized ─ pronounce ─▶ words ─ sandhi, erhua ─▶ spoken ─▶ symbols

Types only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from .sentence import Symbol
from .traditional import simplified_word

__all__ = ["Kind", "Normalized", "Origin", "Reading", "Word"]


@dataclass(frozen=True)
class Origin:
    """Where a character of a normalised text comes from.

    Attributes:
        start, end: the slice of the written text.
        rule: the rule that made it, as `date` or `unit`; "" where it was copied.
    """

    start: int
    end: int
    rule: str = ""


@dataclass(frozen=True)
class Normalized:
    """A text as it is said.

    Attributes:
        text: Chinese characters, ASCII letters, single blanks, the pause marks ，、；：。！？…—,
            bracketed readings with tone marks, and marks; never a digit.
        origins: one for each character of `text`.
    """

    text: str
    origins: tuple[Origin, ...]

    @property
    def said(self) -> frozenset[int]:
        """The places in the written text of which something is said; a blank says nothing."""
        pairs = zip(self.text, self.origins, strict=True)
        return frozenset(i for c, o in pairs if c != " " for i in range(o.start, o.end))


class Kind(Enum):
    """What a word is."""

    HANZI = "hanzi"
    LATIN = "latin"
    PAUSE = "pause"
    MARK = "mark"


@dataclass(frozen=True)
class Word:
    """A word, a run of Latin letters, a pause mark, or a mark.

    Attributes:
        text: as normalised, without bracketed readings.
        syllables: of a Chinese word, numbered pinyin: one for each character until erhua is merged.
        given: the positions of those that the text or a user's lexicon prescribes.
        start: where it begins in the normalised text.
        reasons: for each syllable why it is read so: `phrase`, `character`, `lexicon`, `given`,
            `rule:<name>`, `sandhi:<name>`; as long as `syllables`, or empty where nobody asked.
    """

    text: str
    kind: Kind
    syllables: tuple[str, ...] = ()
    given: frozenset[int] = frozenset()
    start: int = 0
    reasons: tuple[str, ...] = ()

    @property
    def plain(self) -> str:
        """Its text in simplified characters, as the dictionaries have it."""
        return simplified_word(self.text)


@dataclass(frozen=True)
class Reading:
    """A sentence and how it is read.

    Attributes:
        written: the sentence as it was given.
        words: with lexical readings, erhua apart (`wan2 r5`).
        spoken: the same words after sandhi, erhua merged (`wanr2`).
        symbols: what a voice gets; empty without a voice.
        warnings: what was left out or guessed, in words.
    """

    written: str
    normalized: Normalized
    words: tuple[Word, ...]
    spoken: tuple[Word, ...]
    symbols: tuple[Symbol, ...] = ()
    warnings: tuple[str, ...] = field(default=())
