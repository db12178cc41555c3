"""What was measured, kept on disk: an interrupted calibration does not measure it again.

    measurements.jsonl: one {"key": ..., "value": ...} a line

Standard library only.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from sambert_trt.engines.errors import OutputError

from .assessment import Cost, Judgement, Worst
from .bench import WholeCost
from .figures import Figures

__all__ = ["Measurements"]

Value = TypeVar("Value")

_LOG = logging.getLogger(__name__)


class Measurements:
    """Results by the text that tells what was measured, how and on what.

    A line is written as soon as something is known. One that was cut off, as when the process was
    killed, is measured again.

    Args:
        path: the file; read at once, made with the first result.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._known = path, dict[str, Any]()
        try:
            lines = path.read_bytes().splitlines()
        except FileNotFoundError:
            return
        except OSError as error:
            raise OutputError(f"{path} cannot be read ({error.strerror}): remove it") from error
        for line in lines:
            self._read(line)

    def knows(self, key: str) -> bool:
        """Whether something was measured."""
        return key in self._known

    def judgement(self, key: str, measure: Callable[[], Judgement]) -> Judgement:
        """A judgement, measured unless it is known."""
        return self._found(key, measure, asdict, _judgement)

    def cost(self, key: str, measure: Callable[[], Cost]) -> Cost:
        """A cost, measured unless it is known."""
        return self._found(key, measure, asdict, lambda data: Cost(**data))

    def whole_cost(self, key: str, measure: Callable[[], WholeCost]) -> WholeCost:
        """A whole voice's cost, measured unless it is known."""
        return self._found(key, measure, list, lambda data: WholeCost(*map(float, data)))

    def seconds(self, key: str, measure: Callable[[], float]) -> float:
        """A number of seconds, measured unless it is known."""
        return self._found(key, measure, float, float)

    def _found(
        self,
        key: str,
        measure: Callable[[], Value],
        encode: Callable[[Value], Any],
        decode: Callable[[Any], Value],
    ) -> Value:
        if key in self._known:
            try:
                return decode(self._known[key])
            except (TypeError, KeyError, ValueError, AttributeError):
                _LOG.warning("a measurement in %s is damaged: it is made again", self._path)
        value = measure()
        self._known[key] = encode(value)
        self._write(key)
        return value

    def _read(self, line: bytes) -> None:
        try:
            data = json.loads(line)
            self._known[str(data["key"])] = data["value"]
        except (ValueError, TypeError, KeyError, RecursionError):
            _LOG.warning("a line of %s is damaged: it is measured again", self._path)

    def _write(self, key: str) -> None:
        line = json.dumps({"key": key, "value": self._known[key]}, ensure_ascii=False)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                cut = file.tell() and not self._path.read_bytes().endswith(b"\n")
                file.write(b"\n" * cut + line.encode() + b"\n")
        except OSError as error:
            raise OutputError(
                f"{self._path} cannot be written ({error.strerror}): make room and calibrate "
                "again, what was measured is kept"
            ) from error


def _judgement(data: dict[str, Any]) -> Judgement:
    return Judgement(
        figures=Figures(**data["figures"]),
        worst={name: Worst(**worst) for name, worst in data["worst"].items()},
        sentences=tuple(Figures(**figures) for figures in data["sentences"]),
    )
