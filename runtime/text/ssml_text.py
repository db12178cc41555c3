"""A text with marks as it grows: silences in one place are one, and so are blanks."""

from __future__ import annotations

from collections.abc import Iterator

from .marks import Boundary, Manner, Marks, Pause
from .ssml_values import seconds_together

__all__ = ["MarkedText"]


class MarkedText:
    """Takes words, pauses and boundaries in turn; a mark is written when words need it."""

    def __init__(self, marks: Marks) -> None:
        self._marks, self._pieces = marks, list[str]()
        self._manner = Manner()
        self._silence: Pause | Boundary | None = None
        self._begun = self._blank = False

    def say(self, text: str, manner: Manner) -> None:
        """Adds words that are spoken in a manner; runs of white space become one blank."""
        words = " ".join(text.split())
        if not words:
            self._blank |= bool(text)
            return
        if self._silence is not None:
            self._pieces.append(self._marks.add(self._silence))
        elif self._begun and (self._blank or text[0].isspace()):
            self._pieces.append(" ")
        if manner != self._manner:
            self._pieces.append(self._marks.add(manner))
        self._pieces.append(words)
        self._silence, self._manner = None, manner
        self._begun, self._blank = True, text[-1].isspace()

    def pause(self, pause: Pause) -> None:
        """Adds a pause; those in a row last as long as all of them, at a boundary they are it.

        Raises:
            InputError: they last more than a minute.
        """
        before = self._silence
        if isinstance(before, Pause):
            level = max(before.level, pause.level)
            self._silence = Pause(level, seconds_together(before.seconds, pause.seconds))
        elif isinstance(before, Boundary):
            self._silence = Boundary(seconds_together(before.seconds, pause.seconds))
        else:
            self._silence = pause

    def boundary(self, seconds: float | None) -> None:
        """Ends a sentence; where nothing was said there is none to end."""
        if not self._begun:
            return
        known = self._silence.seconds if self._silence else None
        given = [s for s in (known, seconds) if s is not None]
        self._silence = Boundary(max(given) if given else None)

    def end(self) -> None:
        """Ends the text; a pause may be its last."""
        if isinstance(self._silence, Pause):
            self._pieces.append(self._marks.add(self._silence))
            self._silence = None

    def taken(self) -> Iterator[str]:
        """Yields what has been written since last time."""
        pieces, self._pieces = self._pieces, []
        if pieces:
            yield "".join(pieces)
