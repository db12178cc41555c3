"""What a section finds: checks, numbers, tables and plots. Standard library only."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from sambert_trt.engines.errors import SambertError

__all__ = [
    "Cell",
    "Check",
    "NotRunError",
    "Outcome",
    "Plot",
    "Result",
    "Status",
    "Table",
    "Target",
    "middle",
    "quantile",
]

Cell = str | float | int | None
Point = tuple[float, float]


class NotRunError(SambertError):
    """A section cannot run here; the message is the reason."""


class Status(str, Enum):
    """How a section ended. RUNNING is what a process that died leaves in the report."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_RUN = "not run"
    RUNNING = "running"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Check:
    """Something that has to hold, whether it did, and the values."""

    name: str
    passed: bool
    found: str


@dataclass(frozen=True)
class Table:
    """Measurements by row; numbers are rounded where they are shown, not here."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Plot:
    """Lines over a common axis; `name` becomes part of a file name."""

    name: str
    title: str
    x: str
    y: str
    lines: Mapping[str, Sequence[Point]]


@dataclass
class Result:
    """What a section has found so far: it stays when the section ends early."""

    checks: list[Check] = field(default_factory=list)
    numbers: dict[str, float] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def check(self, name: str, passed: bool, found: str) -> None:
        """Adds a check."""
        self.checks.append(Check(name, bool(passed), found))

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Adds a table."""
        self.tables.append(Table(title, tuple(columns), tuple(map(tuple, rows))))

    @property
    def failures(self) -> list[Check]:
        """The checks that did not hold."""
        return [check for check in self.checks if not check.passed]


@dataclass
class Outcome:
    """A section in the report; `reason` says why it failed or did not run."""

    name: str
    title: str
    status: Status
    reason: str = ""
    seconds: float = 0.0
    result: Result = field(default_factory=Result)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        data = dataclasses.asdict(self)
        found: dict[str, Any] = data.pop("result")
        return {**data, "status": self.status.value, **found}


@dataclass(frozen=True)
class Target:
    """A number to reach: at most `limit`. `value` is None where it was not measured."""

    name: str
    limit: float
    unit: str
    value: float | None
    source: str

    @property
    def verdict(self) -> str:
        """pass, fail or not measured."""
        if self.value is None or math.isnan(self.value):
            return "not measured"
        return "pass" if self.value <= self.limit else "fail"

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {**dataclasses.asdict(self), "verdict": self.verdict}


def middle(samples: Sequence[float]) -> float:
    """The median; not a number where there are no samples."""
    return statistics.median(samples) if samples else math.nan


def quantile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that at least that share of the samples does not exceed."""
    if not samples:
        return math.nan
    place = math.ceil(share * len(samples)) - 1
    return sorted(samples)[min(max(place, 0), len(samples) - 1)]
