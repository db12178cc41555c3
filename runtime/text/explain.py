"""How a text was read, for people and for scripts: a table per character, a record per sentence.

Imports nothing heavy; reads what the stages have left in a `Reading`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import astuple, dataclass, fields, replace
from typing import Any

from .latin import LatinReading, latin_reading
from .marks import MARK
from .options import English
from .prosody import phone_count
from .reading import Kind, Reading, Word
from .sentence import Symbol

__all__ = [
    "Row",
    "display_width",
    "lines_from_reading",
    "plain_text",
    "printable",
    "record_from_reading",
    "rows_from_reading",
    "symbol_text",
    "table_from_reading",
]

_UNHEARD = re.compile(rf"\[[^\[\]]*\]|{MARK}")


@dataclass(frozen=True)
class Row:
    """What became of one character; empty where there is nothing to tell.

    Attributes:
        written, normalised: the character, or the slice of the text that it was made from.
        word: the word that begins here.
        pinyin, spoken: its syllable before and after sandhi; "↑" where it joined the one before. A
            Latin word is `spoken` alone, in ARPAbet, or in pinyin where it is said so.
        rule: why: the normalisation's rule, then the readings' and the sandhi's; of a Latin word
            `latin:` and where its sounds come from.
        symbols: phones and the break after them.
    """

    written: str = ""
    normalised: str = ""
    word: str = ""
    pinyin: str = ""
    spoken: str = ""
    rule: str = ""
    symbols: str = ""


def record_from_reading(reading: Reading) -> dict[str, Any]:
    """A sentence as a mapping for JSON; `pinyin` is lexical, `spoken` what the symbols carry."""
    return {
        "text": reading.written,
        "normalized": plain_text(reading.normalized.text),
        "words": [w.text for w in reading.words if w.kind in (Kind.HANZI, Kind.LATIN)],
        "pinyin": [s for word in reading.words for s in word.syllables],
        "spoken": [s for word in reading.spoken for s in word.syllables],
        "symbols": [symbol_text(symbol) for symbol in reading.symbols],
        "warnings": list(reading.warnings),
    }


def symbol_text(symbol: Symbol) -> str:
    """A symbol as a line of symbols has it, with the emotion and speaker that it names."""
    manner = symbol.manner
    emotion = symbol.emotion or (manner.emotion if manner else None) or ""
    speaker = symbol.speaker or (manner.speaker if manner else None) or ""
    named = (emotion, speaker) if speaker else (emotion,) if emotion else ()
    return "{" + "$".join((*symbol.units, *named)) + "}"


def plain_text(normalized: str) -> str:
    """A normalised text without the readings in brackets and the marks that stand in it."""
    return _UNHEARD.sub("", normalized)


def lines_from_reading(reading: Reading) -> Iterator[str]:
    """A sentence in short: as written, as said, its pinyin, and its symbols where there are any."""
    record = record_from_reading(reading)
    yield printable(reading.written)
    if record["normalized"]:
        yield f"  said     {record['normalized']}"
    if record["pinyin"]:
        yield f"  pinyin   {' '.join(record['pinyin'])}"
    if record["spoken"] != record["pinyin"]:
        yield f"  spoken   {' '.join(record['spoken'])}"
    if reading.symbols:
        yield f"  symbols  {' '.join(_short(symbol) for symbol in reading.symbols)}"
    for warning in reading.warnings:
        yield f"  warning  {warning}"


def table_from_reading(
    reading: Reading, phones: Collection[str] | None = None, english: English = English.AUTO
) -> Iterator[str]:
    """The lines of a table with a row for each character, then the warnings.

    Arguments as for `rows_from_reading`.
    """
    heads = tuple(field.name for field in fields(Row))
    rows = [heads, *(astuple(row) for row in rows_from_reading(reading, phones, english))]
    used = [i for i in range(len(heads)) if any(row[i] for row in rows[1:])]
    widths = {i: max(display_width(row[i]) for row in rows) for i in used}
    for row in rows if used else ():
        yield "  ".join(_padded(row[i], widths[i]) for i in used).rstrip()
    for warning in reading.warnings:
        yield f"! {warning}"


def display_width(text: str) -> int:
    """The columns that a text takes in a terminal: Chinese characters two, accents none."""
    return sum(_columns(character) for character in text)


def printable(text: str) -> str:
    """The text with control characters and lone surrogates as escapes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def rows_from_reading(
    reading: Reading, phones: Collection[str] | None = None, english: English = English.AUTO
) -> list[Row]:
    """A row for each character of the normalised text, and for what was written but is not said.

    `phones` are the voice's, where the reading has symbols, and `english` is as it was asked for.
    """
    return _Explained(reading, phones, english).rows()


class _Explained:
    """Walks a reading from left to right."""

    def __init__(self, reading: Reading, phones: Collection[str] | None, english: English) -> None:
        self._reading, self._phones, self._english = reading, phones, english
        self._symbols = list(reading.symbols)
        self._shown = 0
        self._said = reading.normalized.said

    def rows(self) -> list[Row]:
        text, rows, after = self._reading.normalized.text, list[Row](), 0
        words = [
            pair
            for pair in zip(self._reading.words, self._reading.spoken, strict=True)
            if pair[0].kind is not Kind.MARK
        ]
        for number, (word, spoken) in enumerate(words):
            rows += self._unread(after, word.start)
            places = _places(text, word)
            heard = self._hanzi if word.kind is Kind.HANZI else self._whole
            rows += heard(word, spoken, places)
            after = places[-1] + 1 if places else word.start
            if [word.kind for word, _ in words[number + 1 : number + 2]] != [Kind.PAUSE]:
                rows += self._breaks(rows)
        rows += self._unread(after, len(text))
        return [*rows, *self._silent(len(self._reading.written))]

    def _hanzi(self, word: Word, spoken: Word, places: Sequence[int]) -> Iterator[Row]:
        phones, changes = _by_syllable(self._take(spoken)), iter(spoken.reasons)
        heard = zip(places, word.syllables, _aligned(word, spoken), _reasons(word), strict=True)
        for place, lexical, syllable, reason in heard:
            yield from self._silent(self._start(place))
            change = "" if syllable is None else next(changes, "")
            if syllable is not None and syllable[-1] != lexical[-1] and change in ("", reason):
                change = "sandhi"
            yield Row(
                written=self._written(place),
                normalised=self._reading.normalized.text[place],
                word=word.text if place == places[0] else "",
                pinyin=lexical,
                spoken="↑" if syllable is None else syllable,
                rule=self._rules([place], reason, change),
                symbols="" if syllable is None else next(phones, ""),
            )

    def _whole(self, word: Word, spoken: Word, places: Sequence[int]) -> Iterator[Row]:
        if places:
            yield from self._silent(self._start(places[0]))
        latin = self._latin(word)
        said, reasons = (latin.spoken, latin.rules) if latin else (" ".join(spoken.syllables), ())
        yield Row(
            written="".join(self._written(place) for place in places),
            normalised=word.text,
            word=word.text if word.kind is Kind.LATIN else "",
            pinyin=" ".join(word.syllables),
            spoken=said,
            rule=self._rules(places, *word.reasons, *(f"latin:{reason}" for reason in reasons)),
            symbols=" ".join(symbol.units[0] for symbol in self._take(spoken)),
        )

    def _latin(self, word: Word) -> LatinReading | None:
        """How a word is said to which the lexicon gives no syllables."""
        if word.kind is not Kind.LATIN or word.syllables:
            return None
        phones = () if self._english is English.CHINESE else self._phones
        return latin_reading(word.text, phones)

    def _unread(self, start: int, end: int) -> Iterator[Row]:
        """Characters of the normalised text that are no word."""
        text = self._reading.normalized.text
        hidden = {i for match in _UNHEARD.finditer(text) for i in range(*match.span())}
        for place in range(start, end):
            if place not in hidden and not text[place].isspace():
                yield from self._silent(self._start(place))
                yield Row(self._written(place), text[place], rule="left out")

    def _silent(self, end: int) -> Iterator[Row]:
        """What was written up to here and is not said."""
        written = self._reading.written
        for place in range(self._shown, end):
            if place not in self._said and not written[place].isspace():
                yield Row(printable(written[place]), rule="not said")
        self._shown = max(self._shown, end)

    def _start(self, place: int) -> int:
        return self._reading.normalized.origins[place].start

    def _written(self, place: int) -> str:
        """The slice that a character was made from, where no row has shown it yet."""
        origin = self._reading.normalized.origins[place]
        shown, self._shown = self._shown, max(self._shown, origin.end)
        return printable(self._reading.written[origin.start : origin.end]) * (origin.end > shown)

    def _rules(self, places: Sequence[int], *reasons: str) -> str:
        made = [self._reading.normalized.origins[place].rule for place in places]
        return " ".join(dict.fromkeys(rule for rule in (*made, *reasons) if rule))

    def _take(self, spoken: Word) -> list[Symbol]:
        """The next symbols that are the word's phones."""
        if not self._symbols or spoken.kind is Kind.PAUSE:
            return []
        count = phone_count(spoken, self._phones, self._english)
        taken, self._symbols = self._symbols[:count], self._symbols[count:]
        return taken

    def _breaks(self, rows: list[Row]) -> list[Row]:
        """Puts the breaks that come now onto the last row."""
        count = next((i for i, s in enumerate(self._symbols) if not _is_break(s)), None)
        count = len(self._symbols) if count is None else count
        names = " ".join(symbol.units[0] for symbol in self._symbols[:count])
        del self._symbols[:count]
        if rows and names:
            last = rows.pop()
            return [replace(last, symbols=f"{last.symbols} {names}".strip())]
        return []


def _is_break(symbol: Symbol) -> bool:
    return symbol.units[0].startswith("#")


def _by_syllable(phones: Sequence[Symbol]) -> Iterator[str]:
    held: list[str] = []
    for symbol in phones:
        if held and symbol.units[2] in ("s_begin", "s_both"):
            yield " ".join(held)
            held = []
        held.append(symbol.units[0])
    if held:
        yield " ".join(held)


def _places(text: str, word: Word) -> list[int]:
    """Where the characters of a word stand in the normalised text."""
    places: list[int] = []
    place = word.start
    while len(places) < len(word.text) and place < len(text):
        unheard = _UNHEARD.match(text, place)
        if unheard:
            place = unheard.end()
        else:
            places.append(place)
            place += 1
    return places


def _aligned(word: Word, spoken: Word) -> list[str | None]:
    """What each lexical syllable is spoken as; None where it joined the one before."""
    joined, rest = len(word.syllables) - len(spoken.syllables), iter(spoken.syllables)
    heard: list[str | None] = []
    for syllable in word.syllables:
        if syllable == "r5" and joined and heard:
            heard.append(None)
            joined -= 1
        else:
            heard.append(next(rest, None))
    return heard


def _reasons(word: Word) -> Sequence[str]:
    return word.reasons or ("",) * len(word.syllables)


def _short(symbol: Symbol) -> str:
    tone = symbol.units[1].removeprefix("tone") if len(symbol.units) > 1 else ""
    return symbol.units[0] + (tone if tone.isdecimal() else "")


def _padded(text: str, width: int) -> str:
    return text + " " * (width - display_width(text))


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
