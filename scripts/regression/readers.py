"""Reading JSON strictly: each value through a reader that names the place where it is wrong.

A reader takes the value and where it stands, and raises `InputError`. Standard library only.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sambert_trt.engines.errors import InputError

__all__ = [
    "Reader",
    "check_schema",
    "facts",
    "fields_of",
    "integer",
    "items",
    "number",
    "optional",
    "parsed",
    "read_bytes",
    "text",
    "truth",
]

T = TypeVar("T")
Reader = Callable[[object, str], T]


def read_bytes(path: Path) -> bytes:
    """A file's bytes."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; name a file that is") from error


def parsed(whole: str, where: str) -> object:
    """The value of a JSON text; NaN and the infinities, which JSON does not know, are refused."""

    def refused(name: str) -> object:
        raise ValueError(f"{name} is no finite number")

    try:
        return json.loads(whole, parse_constant=refused)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is no JSON: {error}; measure again") from error


def check_schema(data: object, schema: int, where: str) -> None:
    """Raises InputError where the value is no object of this schema, and says which it is."""
    if not isinstance(data, Mapping) or "schema" not in data:
        raise InputError(f"{where} is none of perf.py's files: it names no schema")
    found = data["schema"]
    if found == schema and isinstance(found, int) and not isinstance(found, bool):
        return
    older = isinstance(found, int) and found < schema
    hint = "measure again" if older else "read it with the version that wrote it"
    raise InputError(f"{where} is of schema {found!r}, this version reads {schema}; {hint}")


def fields_of(
    data: object,
    where: str,
    kind: type,
    readers: Mapping[str, Reader[Any]],
    later: Collection[str] = (),
) -> dict[str, Any]:
    """Each field through its reader; none may be missing and none may be more.

    Args:
        later: fields that files written before do not have; their defaults are true of those.
    """
    found, names = facts(data, where), {item.name for item in dataclasses.fields(kind)}
    wrong = sorted((set(found) ^ names) - ({*later} - set(found)))
    if wrong:
        raise InputError(f"{where}: {', '.join(wrong)} missing or unknown; measure again")
    return {name: readers[name](value, f"{where}: {name}") for name, value in found.items()}


def _wanted(data: object, where: str, kind: type[T] | tuple[type[T], ...], what: str) -> T:
    if not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool):
        raise InputError(f"{where} is {str(data)[:60]!r}, not {what}; measure again")
    return data


def text(data: object, where: str) -> str:
    """A text."""
    return _wanted(data, where, str, "a text")


def truth(data: object, where: str) -> bool:
    """True or false."""
    return _wanted(data, where, bool, "true or false")


def integer(data: object, where: str) -> int:
    """A whole number."""
    return _wanted(data, where, int, "a whole number")


def number(data: object, where: str) -> float:
    """A finite number."""
    try:
        value = float(_wanted(data, where, (int, float), "a number"))
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise InputError(f"{where} is {value}, no finite number; measure again")
    return value


def facts(data: object, where: str) -> dict[str, Any]:
    """An object of whatever values."""
    found: dict[str, Any] = _wanted(data, where, dict, "an object")
    return found


def items(reader: Reader[T], data: object, where: str) -> tuple[T, ...]:
    """A list, each item through the reader."""
    entries: Sequence[object] = _wanted(data, where, (list, tuple), "a list")
    return tuple(reader(item, f"{where}[{place}]") for place, item in enumerate(entries))


def optional(reader: Reader[T], data: object, where: str) -> T | None:
    """None, or what the reader reads."""
    return None if data is None else reader(data, where)
