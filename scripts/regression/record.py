"""What a run leaves behind: values of one or two sides, where and of what. Standard library only.

A record is one JSON object, and a history file holds one record a line. `SCHEMA` grows when a
field changes its meaning or goes; a record of another schema is refused by name. A field that was
added later has a value that is true of the records without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from sambert_trt.engines.errors import SambertError

__all__ = [
    "SCHEMA",
    "Identity",
    "NotMeasured",
    "Record",
    "Samples",
    "Side",
    "SuiteOutcome",
    "SuiteStatus",
]

SCHEMA = 1


class NotMeasured(SambertError):  # noqa: N818  # a statement, not a fault
    """A suite cannot measure here; the message is the reason."""


@dataclass(frozen=True)
class Samples:
    """Values of a metric by session (a pair of processes) and round, in the metric's unit.

    Of both sides, session i and round j belong together: they were measured one after the other.
    """

    sessions: tuple[tuple[float, ...], ...]

    @property
    def all(self) -> tuple[float, ...]:
        """The values of all sessions."""
        return tuple(value for session in self.sessions for value in session)


@dataclass(frozen=True)
class Identity:
    """What was measured: two sides are compared only where these agree.

    Attributes:
        voice: its name.
        weights: digest of the weights the manifest names.
        precision: of the graphs that spoke.
        backend: name and version.
        threads: of the backend.
    """

    voice: str
    weights: str
    precision: str
    backend: str
    threads: int


@dataclass(frozen=True)
class Side:
    """One tree's values.

    Attributes:
        label: as the user named it: `main`, `working tree`.
        revision: the commit; "" where there is no repository.
        changed: the tree differs from that commit.
        identity: None where no voice could be opened.
        values: samples by measured name.
        notes: what a reader should know of this side, e.g. dependencies it declares differently.
        methods: by which its values were measured, by name of the metric in the catalogue; what is
            not named: by the first.
    """

    label: str
    revision: str
    changed: bool
    identity: Identity | None
    values: Mapping[str, Samples]
    notes: Sequence[str] = ()
    methods: Mapping[str, int] = field(default_factory=dict)

    def method(self, metric: str) -> int:
        """By which the values of a metric of the catalogue were measured."""
        return self.methods.get(metric, 1)


class SuiteStatus(str, Enum):
    """How a suite ended."""

    MEASURED = "measured"
    SKIPPED = "skipped"
    CRASHED = "crashed"


@dataclass(frozen=True)
class SuiteOutcome:
    """A suite in a record; `reason` says why it was skipped, or how it crashed on which side."""

    name: str
    status: SuiteStatus
    seconds: float
    reason: str = ""

    @property
    def halved(self) -> bool:
        """Whether one side measured it and the other skipped it."""
        return self.status is SuiteStatus.MEASURED and bool(self.reason)


@dataclass(frozen=True)
class Record:
    """A whole run.

    Attributes:
        started: ISO 8601, UTC.
        command: as it was typed.
        machine: the fingerprint, as `machine.fingerprint` gives it, before the run.
        machine_after: the same after it: clocks and load may have changed.
        candidate: what is judged.
        base: what it is compared with; None in a run of one side.
        outcomes: by suite.
        second_look: values measured again for metrics that failed at first, by side label order
            (base, candidate); empty where nothing failed.
    """

    started: str
    command: tuple[str, ...]
    machine: Mapping[str, Any]
    machine_after: Mapping[str, Any]
    candidate: Side
    base: Side | None = None
    outcomes: Sequence[SuiteOutcome] = ()
    second_look: tuple[Mapping[str, Samples], Mapping[str, Samples]] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA
