"""The short forms of plain text: `[break 500ms]`, `[emotion happy]…[/emotion]`.

Standard library only.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator

from sambert_trt.engines.errors import InputError

from .marks import Manner, Marks, Pause, without_marks
from .ssml_values import intensity_from_text, seconds_from_text
from .warned import warn

__all__ = ["inline_pieces"]

logger = logging.getLogger(__name__)

_LONGEST_FORM = 72
"""Characters; so many have to be seen before it is known that a bracket opens none."""
_FORM = re.compile(
    r"\[(?:(?:break\s{1,8}|停顿\s{0,8})(?P<time>[0-9.]{1,9}\s{0,8}(?:ms|s|毫秒|秒))"
    r"|emotion\s{1,8}(?P<emotion>[A-Za-z_]{1,30})(?:\s{1,8}(?P<intensity>[0-9.]{1,9}))?"
    r"|(?P<end>/emotion))\s{0,8}\]"
)


def inline_pieces(pieces: Iterable[str], marks: Marks, *, strict: bool = False) -> Iterator[str]:
    """A plain text in pieces with its short forms as marks; a form may stand in two pieces.

    `[break 500ms]` and `[停顿 0.5秒]` are pauses, `[emotion happy]` and `[emotion happy 1.5]`
    (with an intensity) hold until `[/emotion]`, at most to the text's end. Other brackets are text.

    Args:
        pieces: as they were written; characters of the marks' plane are dropped.
        marks: takes the meanings.
        strict: an `[emotion …]` that is never closed and an `[/emotion]` that closes nothing are
            errors, not warnings.

    Raises:
        InputError: a pause of more than ten seconds, an intensity out of range.
    """
    forms, held = _Forms(marks, strict), ""
    for piece in pieces:
        held += without_marks(piece)
        ready = _ready(held)
        if ready:
            yield forms.replaced(held[:ready])
            held = held[ready:]
    if held:
        yield forms.replaced(held)
    forms.end()


class _Forms:
    def __init__(self, marks: Marks, strict: bool) -> None:
        self._marks, self._strict = marks, strict
        self._open: list[Manner] = []

    def replaced(self, text: str) -> str:
        return _FORM.sub(self._mark, text) if "[" in text else text

    def end(self) -> None:
        """Says which emotion was never closed."""
        if self._open:
            form = f"[emotion {self._open[-1].emotion}]"
            self._complain(f"{form} is never closed, it holds to the end; [/emotion] closes it")

    def _mark(self, form: re.Match[str]) -> str:
        if form["time"]:
            return self._marks.add(Pause("#3", seconds_from_text("break", form["time"])))
        if form["emotion"]:
            given = form["intensity"]
            intensity = None if given is None else intensity_from_text(given)
            self._open.append(Manner(emotion=form["emotion"], intensity=intensity))
        elif self._open:
            self._open.pop()
        else:
            self._complain("[/emotion] closes nothing; leave it out")
            return ""
        return self._marks.add(self._open[-1] if self._open else Manner())

    def _complain(self, what: str) -> None:
        if self._strict:
            raise InputError(what)
        warn(logger, "%s", what)


def _ready(text: str) -> int:
    """How much of a text cannot be the beginning of a form that goes on."""
    start = text.rfind("[")
    if start < 0 or "]" in text[start:] or len(text) - start > _LONGEST_FORM:
        return len(text)
    return start
