"""Typed values out of configuration files: what does not fit becomes a problem, not an error."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sambert_trt.engines.errors import SourceError

from .mapping_files import mapping_from_file

__all__ = ["RATES", "WIDTH", "Reader", "mapping_or_problem", "parameters", "whole", "whole_list"]

WIDTH = 1 << 16
"""No layer is wider."""

RATES = (1000, 384_000)
"""Sample rates in hertz."""


@dataclass
class Reader:
    """Takes typed values out of one mapping; what does not fit becomes a problem, not an error."""

    data: Mapping[str, Any]
    where: str
    problems: list[str] = field(default_factory=list)

    def report(self, key: str, what: str) -> None:
        """Notes a problem with a key."""
        self.problems.append(f"{self.where}: {key} {what}")

    def refuse(self, key: str, what: str) -> None:
        """Notes a value that does not fit."""
        value = reprlib.repr(self.data.get(key))
        self.report(key, f"is {value}, {what}" if key in self.data else "is missing")

    def _value(self, key: str, default: object = None) -> object:
        value = self.data.get(key)
        if value is not None:
            return value
        if default is None:
            self.report(key, "is missing")
        return default

    def integer(self, key: str, least: int = 1, most: int = WIDTH) -> int:
        """A whole number of the range; `least` stands in for a wrong one."""
        value = self._value(key)
        if value is None:
            return least
        if not whole(value, least, most):
            self.refuse(key, f"must be a whole number {least} to {most}")
            return least
        return int(str(value))

    def integers(self, key: str, least: int = 1, most: int = WIDTH) -> tuple[int, ...]:
        """A list of 1 to 64 whole numbers."""
        value = self._value(key)
        if value is None:
            return ()
        if not whole_list(value, least, most):
            self.refuse(key, f"must be a list of whole numbers {least} to {most}")
            return ()
        return tuple(value)  # type: ignore[arg-type]

    def per_layer(self, key: str, layers: int, most: int) -> tuple[int, ...]:
        """One number for all layers, or a list with one for each."""
        value = self._value(key)
        if value is None:
            return (0,) * layers
        if whole(value, 0, most):
            return (int(str(value)),) * layers
        if not whole_list(value, 0, most) or len(value) != layers:  # type: ignore[arg-type]
            self.refuse(key, f"must be a number 0 to {most} or a list of {layers} of them")
            return (0,) * layers
        return tuple(value)  # type: ignore[arg-type]

    def number(self, key: str, default: float) -> float:
        """A finite number."""
        value = self._value(key, default)
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                if math.isfinite(float(value)):
                    return float(value)
            except OverflowError:
                pass
        self.refuse(key, "must be a number")
        return default

    def flag(self, key: str, default: bool = False) -> bool:
        """True or false."""
        value = self._value(key, default)
        if not isinstance(value, bool):
            self.refuse(key, "must be true or false")
            return default
        return value

    def text(self, key: str, default: str) -> str:
        """A text."""
        value = self._value(key, default)
        if not isinstance(value, str):
            self.refuse(key, "must be a text")
            return default
        return value

    def mapping(self, key: str) -> Reader:
        """The mapping under a key, as a reader that reports into the same list."""
        value = self.data.get(key)
        if not isinstance(value, dict):
            if value is not None:
                self.refuse(key, "must be a mapping")
            value = {}
        keys = {str(name): item for name, item in value.items()}
        return Reader(keys, f"{self.where} {key}", self.problems)


def mapping_or_problem(path: Path, problems: list[str]) -> dict[str, Any]:
    """What a YAML or JSON file holds; nothing where it cannot be read."""
    try:
        return mapping_from_file(path)
    except SourceError as error:
        problems.append(str(error))
        return {}


def parameters(
    data: Mapping[str, Any],
    path: Path,
    problems: list[str],
    *,
    part: str,
    keys: tuple[str, ...],
    mark: str,
) -> Reader:
    """A model's hyper-parameters.

    Args:
        data: what the file at `path` holds.
        part: of a JSON file in which they are, wherever `mark` stands.
        keys: below which they are in a YAML file.
    """
    if path.suffix == ".json":
        model = data.get("model")
        found = _mapping_with(model.get(part) if isinstance(model, dict) else None, mark)
        place = f"model.{part}"
    else:
        value: object = data
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        found, place = (value if isinstance(value, dict) else None), ".".join(keys)
    if found is None:
        if data:
            problems.append(f"{path} holds no hyper-parameters ({place})")
        found = {}
    return Reader({str(key): value for key, value in found.items()}, str(path), problems)


def _mapping_with(value: object, mark: str) -> dict[str, Any] | None:
    level = [value]
    for _ in range(4):
        for item in level:
            if isinstance(item, dict) and mark in item:
                return item
        level = [v for item in level if isinstance(item, dict) for v in item.values()]
    return None


def whole(value: object, least: int, most: int) -> bool:
    """Whether it is a whole number of the range."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def whole_list(value: object, least: int, most: int) -> bool:
    """Whether it is a list of 1 to 64 whole numbers of the range."""
    return (
        isinstance(value, list)
        and 0 < len(value) <= 64
        and all(whole(item, least, most) for item in value)
    )
