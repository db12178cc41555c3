"""SSML to plain text with marks.

The parser is expat without document types, so nothing can be declared, nothing expands and nothing
is fetched. Standard library and the readings of say-as.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import ParamSpec
from xml.parsers import expat

from sambert_trt.engines.errors import InputError

from .marks import Manner, Marks, without_marks
from .ssml_tags import ATTRIBUTES, NESTED, READ_WHOLE, REQUIRED, manner_inside, unknown_format
from .ssml_text import MarkedText
from .ssml_values import PitchScale, pause_from_attributes
from .warned import warn

__all__ = ["PARAGRAPH", "begins_as_ssml", "is_ssml", "marked_pieces"]

logger = logging.getLogger(__name__)

P = ParamSpec("P")

PARAGRAPH = 0.6
"""Seconds of silence after a paragraph, where sentences have the request's gap."""

_DEEPEST = 50
_LONGEST_TOKEN = 16_000
_MOST_WARNINGS = 20
_LONGEST_HELD = 2_000
"""Characters inside phoneme, say-as or sub, and in an attribute."""

_BLANK = "\ufeff \t\r\n"
_PROLOGUE = 4_000
"""Characters before `<speak` at most: a declaration and comments."""
_BEGIN = re.compile(
    r"[\s\ufeff]*(?:<\?xml\s|(?:<!--(?:(?!-->).){0,2000}-->\s*)*(?:<speak[\s/>]|<!DOCTYPE\s))",
    re.DOTALL | re.IGNORECASE,
)
_FORBIDDEN = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SILENT = frozenset(("xmlns", "version", "xml:lang", "xml:base", "xmlns:xsi", "xsi:schemaLocation"))
_ADVICE = {
    "undefined entity": "only &lt; &gt; &amp; &quot; &apos; and &#…; stand for signs; "
    "write & itself as &amp;",
    "not well-formed (invalid token)": "a sign stands where XML allows none; "
    "write & as &amp; and < as &lt;, and attributes in quotes",
    "junk after document element": "something follows </speak>; put it before",
    "duplicate attribute": "an attribute is given twice; leave one out",
}


def is_ssml(text: str) -> bool:
    """Whether a text begins as SSML or another XML document does, after blanks and comments.

    What begins with an XML declaration or a document type is never meant to be read out as it
    stands, so that it is parsed, and refused with a reason where it is none.
    """
    return _BEGIN.match(text) is not None


def begins_as_ssml(pieces: Iterable[str]) -> tuple[bool, Iterator[str]]:
    """Whether a text that comes in pieces is SSML, and the pieces, none of them lost."""
    begin, rest = "", iter(pieces)
    seen: list[str] = []
    for piece in rest:
        seen.append(piece)
        begin += piece if begin else piece.lstrip(_BLANK)
        if begin and (begin[0] != "<" or len(begin) >= _PROLOGUE or is_ssml(begin)):
            break
    return is_ssml(begin[:_PROLOGUE]), chain(seen, rest)


def marked_pieces(
    pieces: Iterable[str],
    marks: Marks,
    *,
    strict: bool = False,
    pitch: PitchScale | None = None,
) -> Iterator[str]:
    """The plain text of an SSML document, its tags as marks and readings in brackets.

    What tags say composes with what stands around them: rates and volumes multiply, pitch shifts
    add up, an emotion or voice replaces the outer one; after a tag's end all is as before it.
    Runs of white space are one blank.

    Args:
        pieces: one document, `<speak>…</speak>`, read as far as its text is asked for.
        marks: takes the meanings.
        strict: unknown tags and attributes are errors; else each is warned of once, and an unknown
            tag's text is read.
        pitch: the voice's, for semitones and hertz; None is a usual voice.

    Raises:
        InputError: not well-formed, a document type, a value that is none or out of range, nesting
            beyond the limit; with line and column, once the fault is reached.
    """
    reader = _Reader(MarkedText(marks), strict, pitch or PitchScale())
    for piece in pieces:
        yield from reader.feed(piece)
    yield from reader.end()


@dataclass(frozen=True)
class _Element:
    """A tag that is open, and how its words are spoken."""

    tag: str
    line: int
    attributes: Mapping[str, str]
    manner: Manner


class _Reader:
    """Feeds expat, keeps what is open, and says where a fault is."""

    def __init__(self, text: MarkedText, strict: bool, scale: PitchScale) -> None:
        self._text, self._strict, self._scale = text, strict, scale
        self._open: list[_Element] = []
        self._held: list[str] | None = None
        self._told: set[str] = set()
        self._lines_before, self._bytes, self._begun = 0, 0, False
        self._parser = expat.ParserCreate("utf-8")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._located(self._start)
        self._parser.EndElementHandler = self._located(self._end)
        self._parser.CharacterDataHandler = self._located(self._characters)
        self._parser.StartDoctypeDeclHandler = self._located(self._doctype)

    def feed(self, piece: str) -> Iterator[str]:
        """Yields the text that a piece brings."""
        if not self._begun:
            rest = piece.lstrip(_BLANK)
            self._lines_before += piece[: len(piece) - len(rest)].count("\n")
            piece, self._begun = rest, bool(rest)
        encoded = _FORBIDDEN.sub("", piece).encode()
        self._parse(encoded, final=False)
        self._bytes += len(encoded)
        if self._bytes - self._parser.CurrentByteIndex > _LONGEST_TOKEN:
            raise self._error(f"a tag or comment of more than {_LONGEST_TOKEN} bytes; close it")
        yield from self._text.taken()

    def end(self) -> Iterator[str]:
        """Yields what is left once the document is whole."""
        self._parse(b"", final=True)
        self._text.end()
        yield from self._text.taken()

    def _parse(self, data: bytes, *, final: bool) -> None:
        try:
            self._parser.Parse(data, final)
        except expat.ExpatError as error:
            place = (error.lineno + self._lines_before, error.offset + 1)
            raise self._error(self._reason(error), place) from None

    def _located(self, handler: Callable[P, None]) -> Callable[P, None]:
        """The handler, with the place in its errors, which only it can know."""

        def handled(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                handler(*args, **kwargs)
            except InputError as error:
                raise self._error(str(error)) from None

        return handled

    def _reason(self, error: expat.ExpatError) -> str:
        reason = expat.ErrorString(error.code) or "not well-formed"
        if reason in _ADVICE:
            return f"{reason}: {_ADVICE[reason]}"
        if not self._open:
            return f"{reason}: the text has to stand in <speak>…</speak>"
        inner = self._open[-1]
        return (
            f"{reason}: <{_short(inner.tag)}> of line {inner.line} is open; "
            f"close it with </{_short(inner.tag)}>"
        )

    def _start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if not self._open and tag != "speak":
            raise InputError(
                f"<{_short(tag)}> stands first: needs <speak>; for plain text switch SSML off"
            )
        if len(self._open) >= _DEEPEST:
            raise InputError(f"tags stand more than {_DEEPEST} deep; close some")
        if self._held is not None and tag not in NESTED:
            raise InputError(f"<{_short(tag)}> inside <{self._holder()}>: only text may be there")
        given = self._checked(tag, attributes)
        outer = self._open[-1].manner if self._open else Manner()
        manner = manner_inside(tag, given, outer, self._scale)
        self._open.append(_Element(tag, self._line(), given, manner))
        if tag in ("s", "p"):
            self._text.boundary(None)
        elif tag == "break":
            self._text.pause(pause_from_attributes(given))
        elif tag in READ_WHOLE:
            self._held = []

    def _end(self, tag: str) -> None:
        element = self._open.pop()
        if tag in READ_WHOLE:
            text, self._held = "".join(self._held or ()), None
            read = READ_WHOLE[tag](text.strip(), element.attributes)
            self._text.say(without_marks(read), element.manner)
        elif tag in ("s", "p"):
            self._text.boundary(PARAGRAPH if tag == "p" else None)

    def _characters(self, text: str) -> None:
        if self._held is None:
            self._text.say(without_marks(text), self._open[-1].manner)
            return
        self._held.append(without_marks(text))
        if sum(map(len, self._held)) > _LONGEST_HELD:
            raise InputError(f"<{self._holder()}> holds more than {_LONGEST_HELD} characters")

    def _doctype(self, *_: object) -> None:
        raise InputError(
            "a document type (<!DOCTYPE …>) is not taken, nor are entities; remove it, or switch "
            "SSML off for plain text"
        )

    def _checked(self, tag: str, attributes: Mapping[str, str]) -> Mapping[str, str]:
        """The attributes that mean something, all of which are there and of bounded length."""
        if tag not in ATTRIBUTES:
            self._unknown(f"the tag <{_short(tag)}>", "its text is read")
            return {}
        known = ATTRIBUTES[tag]
        for name in attributes:
            if name not in known and name not in _SILENT and tag not in NESTED:
                self._unknown(f"the attribute {_short(name)} of <{tag}>", "it is passed over")
        if tag in REQUIRED and REQUIRED[tag] not in attributes:
            raise InputError(f"<{tag}> has no {REQUIRED[tag]}: give it one")
        if (form := unknown_format(tag, attributes)) is not None:
            self._unknown(f"the format {_short(form)} of <{tag}>", "it is passed over")
        found = {name: value for name, value in attributes.items() if name in known}
        for name, value in found.items():
            if len(value) > _LONGEST_HELD:
                raise InputError(f"{name} of <{tag}> is longer than {_LONGEST_HELD} characters")
        return found

    def _unknown(self, what: str, consequence: str) -> None:
        if self._strict:
            raise InputError(f"{what} is not known; remove it, or read without strict")
        if what not in self._told and len(self._told) < _MOST_WARNINGS:
            self._told.add(what)
            warn(logger, "SSML, line %d: %s is not known; %s", self._line(), what, consequence)
            if len(self._told) == _MOST_WARNINGS:
                warn(logger, "SSML: what else is not known goes unnamed from here on")

    def _holder(self) -> str:
        return next(element.tag for element in reversed(self._open) if element.tag in READ_WHOLE)

    def _line(self) -> int:
        return self._parser.CurrentLineNumber + self._lines_before

    def _error(self, message: str, place: tuple[int, int] | None = None) -> InputError:
        line, column = place or (self._line(), self._parser.CurrentColumnNumber + 1)
        return InputError(f"SSML, line {line}, column {column}: {message}")


def _short(name: str) -> str:
    return name if len(name) <= 40 else name[:40] + "…"
