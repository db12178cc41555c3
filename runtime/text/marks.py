"""What a text says beside its words: how it is to be spoken, where it is silent.

A mark stands in the text as one character of a private plane and takes no room there: it is never
spoken, never parts a word's letters from its meaning, and every step hands it on. What it means is
looked up in `Marks`. Standard library only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sambert_trt.engines.errors import InputError

__all__ = ["MARK", "Boundary", "Manner", "Mark", "Marks", "Pause", "is_mark", "without_marks"]

_FIRST, _LAST = 0xF0000, 0xFFFFD
MARK = f"[{chr(_FIRST)}-{chr(_LAST)}]"
"""A mark as a class of a regular expression."""


@dataclass(frozen=True)
class Manner:
    """How words are spoken from here on; None and 1 leave it to the request's style.

    Attributes:
        speaker, emotion: names of the voice's tables.
        intensity: of the emotion: 0 neutral, 1 the emotion itself.
        speed: times the request's; 2 is twice as fast.
        pitch, energy: shifts added to the request's, in standard deviations of the voice.
        volume: what samples are multiplied with.
    """

    speaker: str | None = None
    emotion: str | None = None
    intensity: float | None = None
    speed: float = 1.0
    pitch: float = 0.0
    energy: float = 0.0
    volume: float = 1.0

    @property
    def plain(self) -> bool:
        """Whether it changes nothing."""
        return self == Manner()


@dataclass(frozen=True)
class Pause:
    """Silence between words.

    Attributes:
        level: the break symbol: `#1` none to be heard, `#2`, `#3` as at a comma, `#4` as at an end.
        seconds: how long; None leaves it to the voice.
    """

    level: str = "#3"
    seconds: float | None = None


@dataclass(frozen=True)
class Boundary:
    """The end of a sentence; `seconds` of silence follow, None as between any two sentences."""

    seconds: float | None = None


Mark = Manner | Pause | Boundary


class Marks:
    """The meanings of one text's marks, which come one after another.

    A text may hold any number: those that were read long ago give their characters back.
    """

    def __init__(self) -> None:
        self._known: dict[str, Mark] = {}
        self._next = _FIRST

    def add(self, mark: Mark) -> str:
        """The character that stands for a mark from now on."""
        character = chr(self._next)
        self._known[character] = mark
        self._next = _FIRST if self._next == _LAST else self._next + 1
        return character

    def __getitem__(self, character: str) -> Mark:
        """The meaning of a mark.

        Raises:
            InputError: the character is no mark of this text.
        """
        try:
            return self._known[character]
        except KeyError:
            raise InputError(f"U+{ord(character):X} is no mark of this text") from None


def is_mark(character: str) -> bool:
    """Whether a character stands for a mark."""
    return _FIRST <= ord(character) <= _LAST


def without_marks(text: str) -> str:
    """The text alone: what people wrote may hold no characters of the marks' plane."""
    return re.sub(MARK, "", text)
