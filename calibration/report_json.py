"""A report as JSON and back: every dataclass an object, every enumeration its value.

    Report ─ report_json ─▶ report.json ─ report_from_json ─▶ Report

JSON has no NaN: numbers that are not finite are written as the texts "nan", "inf" and "-inf".
Numpy-free; standard library only, beside the contracts.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from sambert_trt.engines.errors import SchemaError
from sambert_trt.engines.graphs import GraphSpec, graph_spec_from_dict

from .report_facts import REPORT_SCHEMA, Report

__all__ = ["report_from_json", "report_json"]

_ODD = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_OMITTED = (Path,)
"""Where graphs lay while they were tried says nothing later, and nobody else should read it."""

_KINDS = dict[Any, dict[str, Any]]()

Record = TypeVar("Record")


def report_json(report: Report) -> str:
    """The text of report.json. Waves and mels are left out, and what was not measured."""
    return json.dumps(_encoded(report), ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def report_from_json(text: str, where: str = "report.json") -> Report:
    """Reads what `report_json` wrote; unknown keys are passed over, defaults fill missing ones.

    Raises:
        SchemaError: no JSON, another schema number, or values of another type.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"{where} is not JSON ({error}); calibrate the voice again") from error
    schema = data.get("schema") if isinstance(data, dict) else None
    if not isinstance(schema, int) or isinstance(schema, bool):
        raise SchemaError(f"{where} carries no schema number; it is no calibration report")
    if schema != REPORT_SCHEMA:
        verb = "upgrade sambert-trt" if schema > REPORT_SCHEMA else "calibrate the voice again"
        raise SchemaError(
            f"{where} has schema {schema}, this version reads {REPORT_SCHEMA}: {verb}"
        )
    try:
        return _record(Report, data)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, SchemaError) as error:
        raise SchemaError(
            f"{where} is not a calibration report of schema {REPORT_SCHEMA}: {error}; "
            "calibrate the voice again"
        ) from error


def _encoded(value: object) -> Any:  # noqa: ANN401 - what json writes
    if isinstance(value, GraphSpec):
        return value.as_dict()
    if dataclasses.is_dataclass(value):
        fields = [field for field in dataclasses.fields(value) if _written(field)]
        values = {f.name: getattr(value, f.name) for f in fields if not _missing(f, value)}
        return {n: _encoded(v) for n, v in values.items() if not isinstance(v, _OMITTED)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {_encoded(key): _encoded(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_encoded(item) for item in value]
    return _plain(value)


def _written(field: dataclasses.Field[Any]) -> bool:
    return bool(field.metadata.get("written", True))


def _missing(field: dataclasses.Field[Any], record: object) -> bool:
    """Whether a field holds nothing, as it does where nobody sets it."""
    return field.default is None and getattr(record, field.name) is None


def _plain(value: object) -> str | int | float | bool | None:
    """A scalar; numpy's become Python's."""
    if value is None or isinstance(value, str | bool):
        return value
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int | float):
        return value
    raise TypeError(f"{value!r} has no place in a report")


def _kinds(record: Any) -> dict[str, Any]:  # noqa: ANN401 - a class, whatever it holds
    """The types of its fields; finding them out takes longer than reading a record."""
    if record not in _KINDS:
        _KINDS[record] = get_type_hints(record)
    return _KINDS[record]


def _record(kind: type[Record], data: object, where: str = "report") -> Record:
    if not isinstance(data, Mapping):
        raise TypeError(f"{where} is {data!r}, not an object")
    kinds, values = _kinds(kind), dict[str, Any]()
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if not _written(field):
            continue
        if kinds[field.name] is Path:
            values[field.name] = Path()
        elif field.name in data:
            place = f"{where}.{field.name}"
            values[field.name] = _decoded(kinds[field.name], data[field.name], place)
        elif _required(field):
            raise KeyError(f"{where} lacks {field.name}")
    return kind(**values)


def _required(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _decoded(kind: Any, value: object, where: str) -> Any:  # noqa: ANN401 - by declared type
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        inner = [argument for argument in arguments if argument is not types.NoneType]
        return None if value is None else _decoded(inner[0], value, where)
    if origin is tuple:
        return tuple(_decoded(arguments[0], item, where) for item in _listed(value, where))
    if origin is Mapping:
        return _mapping(arguments, value, where)
    return _single(kind, value, where)


def _single(kind: Any, value: object, where: str) -> Any:  # noqa: ANN401 - by declared type
    if kind is GraphSpec:
        return graph_spec_from_dict(_object(value, where))
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _record(kind, value, where)
    return kind(value) if issubclass(kind, Enum) else _scalar(kind, value, where)


def _mapping(kinds: tuple[Any, ...], value: object, where: str) -> dict[Any, Any]:
    key, item = kinds
    return {
        _decoded(key, name, where): _decoded(item, found, f"{where}.{name}")
        for name, found in _object(value, where).items()
    }


def _object(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{where} is {value!r}, not an object")
    return value


def _listed(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{where} is {value!r}, not a list")
    return value


def _scalar(kind: type, value: object, where: str) -> str | int | float | bool:
    if kind is float and isinstance(value, str) and value in _ODD:
        return _ODD[value]
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind in (str, int, bool) and type(value) is kind:
        return value
    raise TypeError(f"{where} is {value!r}, not of type {kind.__name__}")
