"""Records as JSON files and as lines of a history: written whole, read strictly.

The standard library and NumPy's nothing: filelock is imported where a history is appended to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .record import Record

__all__ = [
    "History",
    "append_record",
    "history_from_file",
    "json_from_record",
    "record_from_file",
    "record_from_json",
    "write_record",
]


@dataclass(frozen=True)
class History:
    """The records of a history file, oldest first.

    Attributes:
        notes: lines that are no records of this schema, each named with its number and why.
    """

    records: tuple[Record, ...]
    notes: tuple[str, ...] = ()

    def of(
        self,
        *,
        machine: Callable[[Mapping[str, Any]], bool] | None = None,
        voice: str | None = None,
        metric: str | None = None,
    ) -> History:
        """The records of a machine, of a voice, and that hold a value of a measured name."""
        raise NotImplementedError


def json_from_record(record: Record) -> dict[str, Any]:
    """The JSON form.

    Raises:
        InputError: a value is no finite number.
    """
    raise NotImplementedError


def record_from_json(data: object, where: str = "the record") -> Record:
    """The record of a JSON value.

    Raises:
        InputError: a field is missing, unknown or of another type, or the schema is another.
    """
    raise NotImplementedError


def write_record(path: Path, record: Record) -> None:
    """Writes a record to a file of its own, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    raise NotImplementedError


def record_from_file(path: Path) -> Record:
    """Reads a record.

    Raises:
        InputError: the file is missing or holds no record of this schema.
    """
    raise NotImplementedError


def append_record(path: Path, record: Record) -> None:
    """Adds a record as the last line of a history, which is made where there is none.

    Raises:
        OutputError: it cannot be written, or another process holds the file too long.
    """
    raise NotImplementedError


def history_from_file(path: Path) -> History:
    """Reads a history; lines that are no records of this schema are named, not dropped silently.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    raise NotImplementedError


def merged(histories: Iterable[History]) -> History:
    """Several histories as one, by the time the runs began."""
    raise NotImplementedError
