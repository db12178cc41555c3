"""The short forms of plain text: `[break 500ms]`, `[emotion happy]…[/emotion]`.

Standard library only.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator

from .marks import Manner, Marks, Pause, without_marks
from .ssml_values import intensity_from_text, seconds_from_text

__all__ = ["inline_pieces", "marked_inline"]

logger = logging.getLogger(__name__)

_LONGEST_FORM = 60
_FORM = re.compile(
    r"\[(?:(?:break\s+|停顿\s*)(?P<time>[0-9.]{1,9}\s*(?:ms|s|毫秒|秒))"
    r"|emotion\s+(?P<emotion>[A-Za-z_]{1,30})(?:\s+(?P<intensity>[0-9.]{1,9}))?"
    r"|(?P<end>/emotion))\s*\]"
)


def marked_inline(text: str, marks: Marks, *, warn: Callable[[str], None] = logger.warning) -> str:
    """A plain text with its short forms as marks.

    `[break 500ms]` and `[停顿 0.5秒]` are pauses, `[emotion happy]` and `[emotion happy 1.5]`
    (with an intensity) hold until `[/emotion]`, at most to the text's end. Other brackets are text.

    Args:
        text: as it was written; characters of the marks' plane are dropped.
        marks: takes the meanings.
        warn: told of an `[/emotion]` that closes nothing.

    Raises:
        InputError: a pause of more than ten seconds, an intensity out of range.
    """
    return "".join(inline_pieces([text], marks, warn=warn))


def inline_pieces(
    pieces: Iterable[str], marks: Marks, *, warn: Callable[[str], None] = logger.warning
) -> Iterator[str]:
    """The same for a text that comes in pieces; a form may stand in two of them."""
    forms, held = _Forms(marks, warn), ""
    for piece in pieces:
        held += without_marks(piece)
        ready = _ready(held)
        if ready:
            yield forms.replaced(held[:ready])
            held = held[ready:]
    if held:
        yield forms.replaced(held)


class _Forms:
    def __init__(self, marks: Marks, warn: Callable[[str], None]) -> None:
        self._marks, self._warn = marks, warn
        self._open: list[Manner] = []

    def replaced(self, text: str) -> str:
        return _FORM.sub(self._mark, text) if "[" in text else text

    def _mark(self, form: re.Match[str]) -> str:
        if form["time"]:
            return self._marks.add(Pause("#3", seconds_from_text("break", form["time"])))
        if form["emotion"]:
            intensity = form["intensity"] and intensity_from_text(form["intensity"])
            self._open.append(Manner(emotion=form["emotion"], intensity=intensity or None))
        elif self._open:
            self._open.pop()
        else:
            self._warn("[/emotion] closes nothing; it is left out")
            return ""
        return self._marks.add(self._open[-1] if self._open else Manner())


def _ready(text: str) -> int:
    """How much of a text cannot be the beginning of a form that goes on."""
    start = text.rfind("[")
    if start < 0 or "]" in text[start:] or len(text) - start > _LONGEST_FORM:
        return len(text)
    return start
