"""The losses of a run as lines of JSON: means over a few steps, cut back where a run resumes.

A line has `step`, `seconds`, `lr` and, by name, the mean of each loss over the steps since the line
before. Standard library only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from sambert_trt.engines.errors import InputError
from sambert_trt.runtime.audio import replaced_file

__all__ = ["RESERVED", "LossLog", "loss_lines"]

RESERVED = ("step", "seconds", "lr")
"""What a line holds beside the losses: lr is the largest learning rate of all optimisers."""


def loss_lines(path: Path) -> list[dict[str, float]]:
    """The lines of a file up to the first that is none (a machine that stopped leaves such ones).

    Raises:
        InputError: the file is there but cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    found: list[dict[str, float]] = []
    for line in text.splitlines():
        values = _values(line)
        if values is None:
            break
        found.append(values)
    return found


def _values(line: str) -> dict[str, float] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    if not isinstance(found, dict) or any(name not in found for name in RESERVED):
        return None
    numbers = all(isinstance(one, (int, float)) and math.isfinite(one) for one in found.values())
    return found if numbers else None


class LossLog:
    """Takes the losses of each step and keeps their means; the file is written as a whole."""

    def __init__(self, path: Path, step: int) -> None:
        """Goes on after `step`: lines of later steps are left out.

        Raises:
            InputError: an earlier file cannot be read.
        """
        self._path = path
        self.lines = [line for line in loss_lines(path) if line["step"] <= step]
        self._sums: dict[str, list[float]] = {}

    def add(self, losses: Mapping[str, float]) -> None:
        """The losses of one step.

        Raises:
            ValueError: a loss has one of the `RESERVED` names.
        """
        for name, value in losses.items():
            if name in RESERVED:
                raise ValueError(f"a loss cannot be named {name}: that is another field of a line")
            self._sums.setdefault(name, []).append(float(value))

    def close_line(self, step: int, seconds: float, rate: float) -> dict[str, float]:
        """Ends a line and returns its means; a line without losses is left out."""
        means = {name: math.fsum(values) / len(values) for name, values in self._sums.items()}
        if means:
            self.lines.append({"step": step, "seconds": round(seconds, 3), "lr": rate, **means})
            self._sums.clear()
        return means

    def write(self) -> None:
        """Brings the file up to date.

        Raises:
            OutputError: it cannot be written; what stood there is untouched.
        """
        with replaced_file(self._path) as fresh:
            fresh.write_text("".join(json.dumps(line) + "\n" for line in self.lines), "utf-8")
