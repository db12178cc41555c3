"""Symbol strings, as front ends write them, to sentences, and sentences to ids.

A line is symbols separated by single blanks, `{sy$tone$syllable_flag$word_segment$emotion$speaker}`
or `{byte$emotion$speaker}`; braces are optional. Standard library and the contracts only.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sambert_trt.engines.errors import InputError

from .sentence import Sentence, Symbol

__all__ = [
    "BYTE_FIELDS",
    "LINGUISTIC_FIELDS",
    "fields_from_units",
    "ids_from_sentence",
    "sentence_from_symbols",
    "sentences_from_symbol_text",
]

LINGUISTIC_FIELDS = ("sy", "tone", "syllable_flag", "word_segment")
BYTE_FIELDS = ("byte_index",)
_EMOTION_PREFIX = "emotion_"
_RESERVED = ("_", "~")
"""Padding and end rows: no voice was trained to speak them."""


def fields_from_units(units: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The fields of a voice's symbols in the order of `Symbol.units`, whatever the mapping's.

    Raises:
        InputError: the tables are neither those of a phone voice nor those of a byte voice.
    """
    for fields in (BYTE_FIELDS, LINGUISTIC_FIELDS):
        if all(field in units for field in fields):
            return fields
    raise InputError(
        f"the voice has unit tables {sorted(units)}; needs {', '.join(LINGUISTIC_FIELDS)} "
        "or byte_index: export it again"
    )


def sentence_from_symbols(line: str, fields: Sequence[str]) -> Sentence:
    """Reads one line of symbols; the emotion and speaker it names are kept on each symbol.

    Raises:
        InputError: the line is empty, has a doubled blank, or a symbol lacks a field.
    """
    pieces = line.strip().split(" ")
    if pieces == [""]:
        raise InputError("the symbol line is empty; give at least one symbol")
    return Sentence(
        text=line.strip(),
        symbols=tuple(_symbol(piece, i, fields) for i, piece in enumerate(pieces, start=1)),
    )


def sentences_from_symbol_text(
    text: str | Iterable[str], fields: Sequence[str]
) -> Iterator[Sentence]:
    """Reads lines of symbols one by one, each bare or as `id<TAB>symbols`; blank ones are skipped.

    `text` is all of them, or an iterable of lines such as an open file.

    Raises:
        InputError: as `sentence_from_symbols`, with the line's number.
    """
    lines = text.splitlines() if isinstance(text, str) else text
    for number, line in enumerate(lines, start=1):
        symbols = line.rpartition("\t")[2]
        if not symbols.strip():
            continue
        try:
            yield sentence_from_symbols(symbols, fields)
        except InputError as error:
            raise InputError(f"line {number}: {error}") from error


def ids_from_sentence(
    sentence: Sentence,
    units: Mapping[str, Sequence[str]],
    emotions: Sequence[str],
    speakers: Sequence[str],
) -> tuple[list[list[int]], list[int | None], list[int | None]]:
    """The ids of a sentence: units [N][fields], emotions [N], speakers [N].

    An id is the name's position in its list; an emotion may be written with or without
    `emotion_`. Emotion and speaker are None where the symbol names none.

    Raises:
        InputError: a name the voice lacks, with its position and the nearest names.
    """
    fields = fields_from_units(units)
    tables = [_Table(field, units[field]) for field in fields]
    emotion_table, speaker_table = _Table("emotion", emotions), _Table("speaker", speakers)
    rows: list[list[int]] = []
    for position, symbol in enumerate(sentence.symbols, start=1):
        if len(symbol.units) != len(fields):
            raise InputError(
                f"symbol {position} ({'$'.join(symbol.units)}) has {len(symbol.units)} units, "
                f"the voice's symbols have {len(fields)}: {', '.join(fields)}"
            )
        rows.append(
            [table.id(unit, position) for table, unit in zip(tables, symbol.units, strict=True)]
        )
    numbered = list(enumerate(sentence.symbols, start=1))
    return (
        rows,
        [emotion_table.optional_id(symbol.emotion, i) for i, symbol in numbered],
        [speaker_table.optional_id(symbol.speaker, i) for i, symbol in numbered],
    )


class _Table:
    """One list of names with their positions."""

    def __init__(self, field: str, names: Sequence[str]) -> None:
        self._field = field
        self._ids: dict[str, int] = {}
        for i, name in enumerate(names):
            if name not in _RESERVED:
                self._ids.setdefault(_bare(name), i)

    def optional_id(self, name: str | None, position: int) -> int | None:
        return None if name is None else self.id(name, position)

    def id(self, name: str, position: int) -> int:
        found = self._ids.get(_bare(name))
        if found is not None:
            return found
        near = difflib.get_close_matches(_bare(name), self._ids, n=3, cutoff=0.5)
        known = near or list(self._ids)[:5]
        raise InputError(
            f"symbol {position}: the voice has no {self._field} {name!r}; "
            f"{'nearest' if near else 'it has'} {', '.join(map(repr, known))}"
            f"{'' if near else ' ...'}"
        )


def _bare(name: str) -> str:
    return name.removeprefix(_EMOTION_PREFIX)


def _symbol(piece: str, position: int, fields: Sequence[str]) -> Symbol:
    if not piece:
        raise InputError(
            f"symbol {position} is empty: two blanks in a row; separate symbols by one blank"
        )
    parts = piece.removeprefix("{").removesuffix("}").split("$")
    if len(parts) < len(fields) or not all(parts[: len(fields)]):
        raise InputError(
            f"symbol {position} ({piece}) has {len([p for p in parts if p])} of the "
            f"{len(fields)} fields {', '.join(fields)}; join them with '$'"
        )
    emotion, speaker, *_ = (*parts[len(fields) :], "", "")
    return Symbol(tuple(parts[: len(fields)]), emotion or None, speaker or None)
