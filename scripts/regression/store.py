"""Records as JSON files and as lines of a history: written whole, read strictly.

Standard library only; filelock is imported where a history is appended to.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sambert_trt.engines.errors import InputError, OutputError
from sambert_trt.engines.locks import locked
from sambert_trt.runtime.audio import replaced_file

from .readers import (
    Reader,
    check_schema,
    facts,
    fields_of,
    integer,
    items,
    number,
    optional,
    parsed,
    read_bytes,
    text,
    truth,
)
from .record import SCHEMA, Identity, Record, Samples, Side, SuiteOutcome, SuiteStatus

__all__ = [
    "History",
    "append_record",
    "history_from_file",
    "json_from_record",
    "record_from_file",
    "record_from_json",
    "write_record",
]

_WAIT = 60.0


@dataclass(frozen=True)
class History:
    """The records of a history file, in its order.

    Attributes:
        notes: lines that are no records of this schema, each named with its number and why.
    """

    records: tuple[Record, ...]
    notes: tuple[str, ...] = ()


def json_from_record(record: Record) -> dict[str, Any]:
    """The JSON form.

    Raises:
        InputError: a value is no finite number.
    """
    found: dict[str, Any] = asdict(record)
    for side in (record.base, record.candidate):
        for name, samples in side.values.items() if side else ():
            _finite(samples, f"{name} of {side.label}" if side else name)
    return {"schema": found.pop("schema"), **found}


def record_from_json(data: object, where: str = "the record") -> Record:
    """The record of a JSON value; `where` names it in errors.

    Raises:
        InputError: a field is missing, unknown or of another type, or the schema is another.
    """
    check_schema(data, SCHEMA, where)
    return _record(data, where)


def write_record(path: Path, record: Record) -> None:
    """Writes a record to a file of its own, whole or not at all.

    Raises:
        InputError: a value is no finite number.
        OutputError: it cannot be written.
    """
    whole = _dumped(record, indent=1)
    with replaced_file(path) as fresh:
        fresh.write_text(whole + "\n", encoding="utf-8")


def record_from_file(path: Path) -> Record:
    """Reads a record.

    Raises:
        InputError: the file is missing or holds no record of this schema.
    """
    return record_from_json(parsed(read_bytes(path).decode(errors="replace"), str(path)), str(path))


def append_record(path: Path, record: Record) -> None:
    """Adds a record as the last line of a history, which is made where there is none.

    A last line that was cut off stays as it is, and the record begins a new one.

    Raises:
        InputError: a value is no finite number.
        OutputError: it cannot be written, or another process holds the file too long.
        EngineError: the package filelock is not installed.
    """
    line = _dumped(record) + "\n"
    try:
        with locked(path.with_name(f".{path.name}.lock"), _WAIT, "dev"):
            _append(path, line.encode())
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error


def history_from_file(path: Path) -> History:
    """Reads a history; lines that are no records of this schema are named in its notes.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    records, notes = list[Record](), list[str]()
    lines = read_bytes(path).split(b"\n")
    for place, line in enumerate(lines, start=1):
        where = f"{path}, line {place}"
        try:
            if line.strip():
                data = parsed(line.decode(errors="replace"), where)
                records.append(record_from_json(data, where))
        except InputError as error:
            cut = "; it is the last line: its writing was cut off"
            notes.append(f"{error}{cut if place == len(lines) else ''}")
    return History(tuple(records), tuple(notes))


def _dumped(record: Record, indent: int | None = None) -> str:
    data = json_from_record(record)
    try:
        return json.dumps(data, ensure_ascii=False, indent=indent, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"the record cannot be kept: {error}; mend what fills it") from error


def _append(path: Path, line: bytes) -> None:
    """All of the line or none of it.

    Nothing is buffered: a buffer would be written once more, by what cuts the file back.
    """
    with path.open("a+b", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            line = line if file.read(1) == b"\n" else b"\n" + line
        try:
            while line:
                line = line[file.write(line) :]
            os.fsync(file.fileno())
        except BaseException:
            file.truncate(end)
            raise


def _record(data: object, where: str) -> Record:
    return Record(
        **fields_of(
            data,
            where,
            Record,
            {
                "schema": integer,
                "started": text,
                "command": partial(items, text),
                "machine": facts,
                "machine_after": facts,
                "settings": facts,
                "candidate": _side,
                "base": partial(optional, _side),
                "outcomes": partial(items, _outcome),
                "second_look": partial(optional, _second_look),
            },
        )
    )


def _side(data: object, where: str) -> Side:
    readers: dict[str, Reader[Any]] = {
        "label": text,
        "revision": text,
        "changed": truth,
        "identity": partial(optional, _identity),
        "values": _values,
        "notes": partial(items, text),
        "methods": _methods,
    }
    return Side(**fields_of(data, where, Side, readers, later=("methods",)))


def _methods(data: object, where: str) -> dict[str, int]:
    return {name: integer(item, f"{where}.{name}") for name, item in facts(data, where).items()}


def _identity(data: object, where: str) -> Identity:
    texts: dict[str, Reader[Any]] = dict.fromkeys(
        ("voice", "weights", "precision", "backend"), text
    )
    return Identity(**fields_of(data, where, Identity, {**texts, "threads": integer}))


def _outcome(data: object, where: str) -> SuiteOutcome:
    readers: dict[str, Reader[Any]] = {
        "name": text,
        "status": _status,
        "seconds": number,
        "reason": text,
    }
    return SuiteOutcome(**fields_of(data, where, SuiteOutcome, readers))


def _status(data: object, where: str) -> SuiteStatus:
    try:
        return SuiteStatus(data)
    except ValueError as error:
        raise InputError(f"{where}: {error}; measure again") from error


def _second_look(data: object, where: str) -> tuple[Mapping[str, Samples], Mapping[str, Samples]]:
    found = items(_values, data, where)
    if len(found) != 2:
        raise InputError(f"{where} holds {len(found)} sides, not 2; measure again")
    return found[0], found[1]


def _values(data: object, where: str) -> dict[str, Samples]:
    return {name: _samples(item, f"{where}.{name}") for name, item in facts(data, where).items()}


def _samples(data: object, where: str) -> Samples:
    readers = {"sessions": partial(items, partial(items, number))}
    return Samples(**fields_of(data, where, Samples, readers))


def _finite(samples: Samples, what: str) -> None:
    wrong = [value for value in samples.all if not math.isfinite(value)]
    if wrong:
        raise InputError(f"{what} is {wrong[0]}, no finite number; look at how it is measured")
