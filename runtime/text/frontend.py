"""Text to sentences of symbols, one at a time: the whole front end of a Mandarin voice.

text ─ marks ─ sentences ─ normalise ─ cut ─ words ─ sandhi, erhua ─ symbols
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING

from sambert_trt.engines.errors import InputError

from .cuts import cut_normalized, cut_places
from .marks import Manner, Marks, is_mark
from .normalize import normalize
from .options import English, ReadingKeywords, ReadingOptions, options_from_keywords
from .parts import Part, marked_from_text, parts_from_text
from .pronounce import apply_sandhi, merge_erhua, words_from_text
from .prosody import symbols_from_words
from .reading import Normalized, Origin, Reading
from .sentence import Sentence, Symbol
from .split import LONGEST_SENTENCE
from .ssml_values import PitchScale, seconds_together
from .symbols import BYTE_FIELDS, fields_from_units
from .warned import collected_warnings, left_out, warn

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["MandarinFrontend"]

logger = logging.getLogger(__name__)

_LANGUAGE = "PinYin"
_NAMES = frozenset(("pinyin", "zh-cn", "zhcn"))
_SPOKEN = {
    "zhhk": "Cantonese",
    "sichuan": "Sichuanese",
    "wuushanghai": "Shanghainese",
    "british": "British English",
}
_NOTHING = Reading("", Normalized("", ()), (), ())
"""What is read at a text's end, which may bring a warning."""
_MOST_BYTES = 4
"""Bytes of a character in UTF-8 at most."""


class MandarinFrontend:
    """Reads text for a voice with these unit tables; creating it costs nothing.

    Without unit tables texts are read, but there are no symbols. `sandhi` off keeps lexical tones,
    for a voice that was trained on them; `longest` is a sentence's length in Chinese characters,
    `pitch` what SSML's semitones and hertz are to the voice.

    Raises:
        InputError: the voice's language has no text front end, or its tables are unknown.
    """

    def __init__(
        self,
        units: Mapping[str, Sequence[str]] | None = None,
        language: str = _LANGUAGE,
        *,
        sandhi: bool = True,
        longest: int = LONGEST_SENTENCE,
        pitch: PitchScale | None = None,
    ) -> None:
        self._bytes = units is not None and fields_from_units(units) == BYTE_FIELDS
        if not self._bytes and language.strip().lower() not in _NAMES:
            raise InputError(_no_front_end(language))
        self._phones = None if units is None else frozenset(units.get("sy", ()))
        self._sandhi = sandhi
        self._longest = longest
        self._pitch = pitch

    def sentences(
        self, text: str | Iterable[str], **reading: Unpack[ReadingKeywords]
    ) -> Iterator[Sentence]:
        """Yields sentences as the text arrives; nothing where nothing can be said.

        A sentence has about 200 symbols at most. Text without words (punctuation, emoji) is
        passed over, its pauses are not.

        Args:
            text: the text, or pieces of it such as the lines of a file.
            reading: how it is to be read, as `ReadingOptions` says.

        Raises:
            InputError: the pronunciation dictionaries are missing, or the SSML is broken.
        """
        return self._sentences(text, options_from_keywords(**reading))

    def readings(
        self, text: str | Iterable[str], **reading: Unpack[ReadingKeywords]
    ) -> Iterator[Reading]:
        """Yields what `sentences` says with all that led to it, and with what was left out.

        A sentence of which nothing can be said comes with its warnings, unless it is punctuation
        alone. Arguments and errors as for `sentences`.
        """
        return self._readings(text, options_from_keywords(**reading))

    def _sentences(self, text: str | Iterable[str], options: ReadingOptions) -> Iterator[Sentence]:
        lead: float | None = None
        for part in self._parts(text, options):
            reading = self._reading(part, options)
            _warn_of_letters(part)
            lead = seconds_together(lead, part.lead)
            if reading.symbols:
                yield Sentence(reading.written, reading.symbols, part.pause, lead or 0.0)
            lead = None if reading.symbols else seconds_together(lead, part.pause)

    def _readings(self, text: str | Iterable[str], options: ReadingOptions) -> Iterator[Reading]:
        parts = self._parts(text, options)
        while True:
            with collected_warnings() as warnings:
                part = next(parts, None)
                reading = _NOTHING if part is None else self._reading(part, options)
                signs = "" if part is None else _warn_of_letters(part)
            found = (*dict.fromkeys(warnings), *([f"{signs!r} is not spoken"] if signs else []))
            if reading.words or reading.symbols or found:
                yield replace(reading, warnings=found)
            if part is None:
                return

    def _parts(self, text: str | Iterable[str], options: ReadingOptions) -> Iterator[Part]:
        marked, marks = marked_from_text(text, options, self._pitch)
        phones = () if options.english is English.CHINESE else self._phones

        def cut(sentence: str) -> Iterator[Normalized]:
            if self._bytes:
                return _byte_pieces(sentence, _MOST_BYTES * self._longest)
            return cut_normalized(normalize(sentence, options.rules), self._longest, phones)

        return parts_from_text(marked, marks, self._longest, cut)

    def _reading(self, part: Part, options: ReadingOptions) -> Reading:
        if self._bytes:
            symbols = tuple(_byte_symbols(part.normalized.text, part.marks))
            return Reading(part.written, part.normalized, (), (), symbols)
        words = words_from_text(part.normalized.text, options.lexicon)
        spoken = merge_erhua(apply_sandhi(words) if self._sandhi else words, self._phones)
        symbols = ()
        if self._phones is not None:
            symbols = symbols_from_words(
                spoken,
                self._phones,
                marks=part.marks,
                breaks=options.breaks,
                english=options.english,
            )
        return Reading(part.written, part.normalized, tuple(words), tuple(spoken), symbols)


def _byte_symbols(text: str, marks: Marks) -> Iterator[Symbol]:
    if not any(character.isalnum() for character in text):
        return
    manner: Manner | None = None
    for character in text:
        if is_mark(character):
            mark = marks[character]
            manner = mark if isinstance(mark, Manner) else manner
        else:
            for byte in character.encode("utf-8", "ignore"):
                yield Symbol((str(byte),), manner=manner)


def _byte_pieces(text: str, longest: int) -> Iterator[Normalized]:
    widths = (0 if is_mark(c) else len(c.encode("utf-8", "ignore")) for c in text)
    start = 0
    for end in cut_places(text, list(accumulate(widths, initial=0)), longest):
        yield Normalized(text[start:end], tuple(Origin(i, i + 1) for i in range(start, end)))
        start = end


def _warn_of_letters(part: Part) -> str:
    """Warns of letters and digits that nobody reads; returns the signs that are not spoken."""
    letters, signs = left_out(part.written, part.normalized)
    if letters:
        warn(logger, "%r is left out: there is no reading for it", letters)
    return signs


def _no_front_end(language: str) -> str:
    name = _SPOKEN.get(language.strip().lower().replace("-", ""), language)
    return (
        f"no open front end reads {name} text, and this voice speaks {language}; give it symbols "
        "instead of text (--symbols FILE), or, where ttsfrd is installed, --front-end ttsfrd"
    )
