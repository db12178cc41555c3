"""A text in parts that are said in one breath each, with the marks that hold for them.

text ─ marks ─ sentences ─ normalise ─ cut ─ parts
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate

from sambert_trt.engines.errors import InputError

from .inline import inline_pieces
from .marks import MARK, Boundary, Manner, Marks, Pause, is_mark
from .options import ReadingOptions
from .reading import Normalized, Origin
from .split import sentences_from_text
from .ssml import begins_as_ssml, marked_pieces
from .ssml_values import PitchScale, seconds_together

__all__ = ["Part", "marked_from_text", "parts_from_text"]

_MARK = re.compile(MARK)
_MARKS_AT_BEGIN = re.compile(rf"(?:\s|{MARK})+")
_MARKS_AT_END = re.compile(rf"(?:\s|{MARK})+$")
_BLOCK = 1 << 14
"""Characters that are looked through for tags at once: their marks have to differ."""

Cut = Callable[[str], Iterable[Normalized]]
"""A sentence to what is said of it in one breath each, in order."""


@dataclass(frozen=True)
class Part:
    """What is said in one breath.

    Attributes:
        written: the slice of the text, marks taken out.
        normalized: its origins count in `written`; it begins with the mark of the manner that an
            earlier part has set.
        marks: what the marks in `normalized` mean.
        pause: seconds of silence after it, None where the request's gap is meant.
        lead: seconds of silence before it.
    """

    written: str
    normalized: Normalized
    marks: Marks
    pause: float | None = None
    lead: float = 0.0


@dataclass(frozen=True)
class _Breath:
    """A slice of a sentence, and what is said of it."""

    start: int
    stop: int
    normalized: Normalized


def marked_from_text(
    text: str | Iterable[str], options: ReadingOptions, pitch: PitchScale | None
) -> tuple[Iterator[str], Marks]:
    """A text with marks instead of its tags and short forms, and what they mean.

    `pitch` is as for `ssml.marked_pieces`.

    Raises:
        InputError: a piece of it is no str.
    """
    marks, pieces = Marks(), _blocks(text)
    ssml = options.ssml
    if ssml is None:
        ssml, pieces = begins_as_ssml(pieces)
    if ssml:
        return marked_pieces(pieces, marks, strict=options.strict, pitch=pitch), marks
    return inline_pieces(pieces, marks, strict=options.strict), marks


def parts_from_text(text: Iterable[str], marks: Marks, longest: int, cut: Cut) -> Iterator[Part]:
    """The parts of a text with marks, each with the manner it is spoken in, as the text arrives.

    Raises:
        InputError: silences in one place last more than a minute.
    """
    manner, lead = Manner(), None
    for sentence in sentences_from_text(text, longest, marks):
        body, tail = _parted(sentence)
        body, asked = _led(body, marks)
        lead = seconds_together(lead, asked)
        if not body:
            lead = seconds_together(lead, _pause(tail, marks))
        for part in _breaths(body, cut):
            pause = _pause(tail, marks) if part.stop == len(body) else None
            yield _part(body, part, manner, marks, pause, lead or 0.0)
            manner, lead = _manner_after(part.normalized.text, manner, marks), None
        manner = _manner_after(tail, manner, marks)


def _blocks(text: str | Iterable[str]) -> Iterator[str]:
    for piece in [text] if isinstance(text, str) else text:
        if not isinstance(piece, str):
            raise InputError(f"a piece of the text is {type(piece).__name__}: give str")
        yield from (piece[i : i + _BLOCK] for i in range(0, len(piece), _BLOCK))


def _parted(sentence: str) -> tuple[str, str]:
    """A sentence and the marks at its end."""
    found = _MARKS_AT_END.search(sentence) if is_mark(sentence[-1]) else None
    return (sentence[: found.start()], found[0]) if found else (sentence, "")


def _led(body: str, marks: Marks) -> tuple[str, float | None]:
    """A sentence without the silences at its beginning, and their seconds."""
    found = _MARKS_AT_BEGIN.match(body)
    if found is None:
        return body, None
    manners = (c for c in _MARK.findall(found[0]) if isinstance(marks[c], Manner))
    return "".join(manners) + body[found.end() :], _pause(found[0], marks)


def _breaths(body: str, cut: Cut) -> Iterator[_Breath]:
    """The parts of a sentence; each begins where the first thing said in it was written."""
    pieces = list(cut(body)) if body else []
    stops = [*(piece.origins[0].start for piece in pieces[1:]), len(body)]
    start = 0
    for piece, stop in zip(pieces, stops, strict=False):
        yield _Breath(start, max(start, stop), piece)
        start = max(start, stop)


def _pause(tail: str, marks: Marks) -> float | None:
    """The longest silence that marks in one place ask for, in seconds; None where none does."""
    asked = [marks[character] for character in _MARK.findall(tail)]
    seconds = [mark.seconds for mark in asked if isinstance(mark, Boundary | Pause)]
    return max((s for s in seconds if s is not None), default=None)


def _manner_after(text: str, manner: Manner, marks: Marks) -> Manner:
    found = [marks[character] for character in _MARK.findall(text)]
    return next((mark for mark in reversed(found) if isinstance(mark, Manner)), manner)


def _part(
    body: str, breath: _Breath, manner: Manner, marks: Marks, pause: float | None, lead: float
) -> Part:
    """A slice of a sentence: begun by the mark of its manner, origins counted in what is left."""
    start, text, origins = breath.start, breath.normalized.text, breath.normalized.origins
    if not manner.plain:
        text, origins = marks.add(manner) + text, (Origin(start, start), *origins)
    written = body[start : breath.stop]
    plain = _MARK.sub("", written)
    if plain != body:
        origins = _counted(origins, start, written)
    return Part(plain, Normalized(text, origins), marks, pause, lead)


def _counted(origins: Iterable[Origin], start: int, written: str) -> tuple[Origin, ...]:
    """Origins counted from a slice's beginning, marks not counted."""
    room = (0 if is_mark(character) else 1 for character in written)
    places = list(accumulate(room, initial=0))

    def moved(index: int) -> int:
        return places[min(max(index - start, 0), len(written))]

    return tuple(replace(o, start=moved(o.start), end=moved(o.end)) for o in origins)
