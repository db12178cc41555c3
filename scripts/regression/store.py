"""Records as JSON files and as lines of a history: written whole, read strictly.

Standard library only; filelock is imported where a history is appended to.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sambert_trt.engines.errors import InputError, OutputError
from sambert_trt.engines.locks import locked
from sambert_trt.runtime.audio import replaced_file

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
T = TypeVar("T")
Reader = Callable[[object, str], T]


@dataclass(frozen=True)
class History:
    """The records of a history file, in its order.

    Attributes:
        notes: lines that are no records of this schema, each named with its number and why.
    """

    records: tuple[Record, ...]
    notes: tuple[str, ...] = ()

    def of(
        self,
        *,
        machine: Callable[[Mapping[str, Any]], bool] = lambda _: True,
        voice: str | None = None,
        metric: str | None = None,
    ) -> History:
        """The records of a machine, of a voice, and that hold a value of a measured name."""

        def wanted(record: Record) -> bool:
            side = record.candidate
            spoke = side.identity.voice if side.identity else None
            return (
                machine(record.machine)
                and (voice is None or spoke == voice)
                and (metric is None or metric in side.values)
            )

        return History(tuple(filter(wanted, self.records)), self.notes)


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
    _check_schema(data, where)
    return _record(data, where)


def write_record(path: Path, record: Record) -> None:
    """Writes a record to a file of its own, whole or not at all.

    Raises:
        InputError: a value is no finite number.
        OutputError: it cannot be written.
    """
    text = _dumped(record, indent=1)
    with replaced_file(path) as fresh:
        fresh.write_text(text + "\n", encoding="utf-8")


def record_from_file(path: Path) -> Record:
    """Reads a record.

    Raises:
        InputError: the file is missing or holds no record of this schema.
    """
    return record_from_json(_parsed(_read(path).decode(errors="replace"), str(path)), str(path))


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
    lines = _read(path).split(b"\n")
    for number, line in enumerate(lines, start=1):
        where = f"{path}, line {number}"
        try:
            if line.strip():
                text = line.decode(errors="replace")
                records.append(record_from_json(_parsed(text, where), where))
        except InputError as error:
            cut = "; it is the last line: its writing was cut off"
            notes.append(f"{error}{cut if number == len(lines) else ''}")
    return History(tuple(records), tuple(notes))


def _dumped(record: Record, indent: int | None = None) -> str:
    data = json_from_record(record)
    try:
        return json.dumps(data, ensure_ascii=False, indent=indent, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"the record cannot be kept: {error}; mend what fills it") from error


def _append(path: Path, line: bytes) -> None:
    """All of the line or none of it."""
    with path.open("a+b") as file:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            line = line if file.read(1) == b"\n" else b"\n" + line
        try:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            file.truncate(end)
            raise


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; name a file that is") from error


def _parsed(text: str, where: str) -> object:
    def refused(name: str) -> object:
        raise ValueError(f"{name} is no finite number")

    try:
        return json.loads(text, parse_constant=refused)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is no record: {error}; measure again") from error


def _check_schema(data: object, where: str) -> None:
    if not isinstance(data, Mapping) or "schema" not in data:
        raise InputError(f"{where} is no record of perf.py: it names no schema")
    schema = data["schema"]
    if schema == SCHEMA and not isinstance(schema, bool):
        return
    older = isinstance(schema, int) and schema < SCHEMA
    hint = "measure again" if older else "read it with the version that wrote it"
    raise InputError(f"{where} is of schema {schema!r}, this version reads {SCHEMA}; {hint}")


def _record(data: object, where: str) -> Record:
    return Record(
        **_fields(
            data,
            where,
            Record,
            {
                "schema": _integer,
                "started": _text,
                "command": partial(_items, _text),
                "machine": _facts,
                "machine_after": _facts,
                "settings": _facts,
                "candidate": _side,
                "base": partial(_optional, _side),
                "outcomes": partial(_items, _outcome),
                "second_look": partial(_optional, _second_look),
            },
        )
    )


def _side(data: object, where: str) -> Side:
    readers: dict[str, Reader[Any]] = {
        "label": _text,
        "revision": _text,
        "changed": _truth,
        "identity": partial(_optional, _identity),
        "values": _values,
        "notes": partial(_items, _text),
    }
    return Side(**_fields(data, where, Side, readers))


def _identity(data: object, where: str) -> Identity:
    texts: dict[str, Reader[Any]] = dict.fromkeys(
        ("voice", "weights", "precision", "backend"), _text
    )
    return Identity(**_fields(data, where, Identity, {**texts, "threads": _integer}))


def _outcome(data: object, where: str) -> SuiteOutcome:
    readers: dict[str, Reader[Any]] = {
        "name": _text,
        "status": _status,
        "seconds": _number,
        "reason": _text,
    }
    return SuiteOutcome(**_fields(data, where, SuiteOutcome, readers))


def _status(data: object, where: str) -> SuiteStatus:
    try:
        return SuiteStatus(data)
    except ValueError as error:
        raise InputError(f"{where}: {error}; measure again") from error


def _second_look(data: object, where: str) -> tuple[Mapping[str, Samples], Mapping[str, Samples]]:
    found = _items(_values, data, where)
    if len(found) != 2:
        raise InputError(f"{where} holds {len(found)} sides, not 2; measure again")
    return found[0], found[1]


def _values(data: object, where: str) -> dict[str, Samples]:
    return {name: _samples(item, f"{where}.{name}") for name, item in _facts(data, where).items()}


def _samples(data: object, where: str) -> Samples:
    readers = {"sessions": partial(_items, partial(_items, _number))}
    return Samples(**_fields(data, where, Samples, readers))


def _fields(
    data: object, where: str, kind: type, readers: Mapping[str, Reader[Any]]
) -> dict[str, Any]:
    """Each field through its reader; none may be missing and none may be more."""
    found, names = _facts(data, where), {item.name for item in fields(kind)}
    wrong = sorted(set(found) ^ names)
    if wrong:
        raise InputError(f"{where}: {', '.join(wrong)} missing or unknown; measure again")
    return {name: readers[name](value, f"{where}: {name}") for name, value in found.items()}


def _wanted(data: object, where: str, kind: type[T] | tuple[type[T], ...], what: str) -> T:
    if not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool):
        raise InputError(f"{where} is {str(data)[:60]!r}, not {what}; measure again")
    return data


def _text(data: object, where: str) -> str:
    return _wanted(data, where, str, "a text")


def _truth(data: object, where: str) -> bool:
    return _wanted(data, where, bool, "true or false")


def _integer(data: object, where: str) -> int:
    return _wanted(data, where, int, "a whole number")


def _number(data: object, where: str) -> float:
    try:
        value = float(_wanted(data, where, (int, float), "a number"))
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise InputError(f"{where} is {value}, no finite number; measure again")
    return value


def _facts(data: object, where: str) -> dict[str, Any]:
    found: dict[str, Any] = _wanted(data, where, dict, "an object")
    return found


def _items(reader: Reader[T], data: object, where: str) -> tuple[T, ...]:
    entries: Sequence[object] = _wanted(data, where, (list, tuple), "a list")
    return tuple(reader(item, f"{where}[{place}]") for place, item in enumerate(entries))


def _optional(reader: Reader[T], data: object, where: str) -> T | None:
    return None if data is None else reader(data, where)


def _finite(samples: Samples, what: str) -> None:
    wrong = [value for value in samples.all if not math.isfinite(value)]
    if wrong:
        raise InputError(f"{what} is {wrong[0]}, no finite number; look at how it is measured")
