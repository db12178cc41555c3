"""Says of each metric what became of it, in one sentence, and of the whole run whether it is green.

A `limit` metric fails where the candidate's value is worse than the tolerance; a `paired` one where
the whole interval is and both sides' values lie apart, twice: `confirmed` joins the two looks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum

from .catalogue import Catalogue, Metric
from .inference import Change
from .record import Record, Samples, Side, SuiteOutcome

__all__ = [
    "ExitStatus",
    "Status",
    "Verdict",
    "compare_refusal",
    "confirmed",
    "exit_status",
    "judge",
    "judged_values",
    "suspects",
    "verdicts_from_record",
]

P_LIMIT = 0.01


class Status(str, Enum):
    """What became of a metric."""

    OK = "ok"
    WORSE = "worse"
    BETTER = "better"
    UNDECIDED = "undecided"
    """The interval holds changes on both sides of the tolerance, or the second look did not
    find again what the first found."""
    MISSING = "missing"
    """The base has it, the candidate lacks it."""
    NEW = "new"
    """The candidate has it, the base lacks it."""
    UNUSABLE = "unusable"
    """Values nothing can be said of: a time of 0, sides with different rounds."""
    NOT_JUDGED = "not judged"


class ExitStatus(IntEnum):
    """How the program ends."""

    GREEN = 0
    REGRESSION = 1
    USAGE = 2
    NOT_MEASURED = 3
    INTERRUPTED = 130


@dataclass(frozen=True)
class Verdict:
    """A metric's end.

    Attributes:
        name: as it was measured.
        sentence: what happened, with the values; without the name.
        base, candidate: typical values; None where there are none.
        change: None where one side has no values, and for values nothing can be said of.
    """

    name: str
    metric: Metric
    status: Status
    sentence: str
    base: float | None = None
    candidate: float | None = None
    change: Change | None = None

    @property
    def failed(self) -> bool:
        """Whether the run turns red for it."""
        return self.status in (Status.WORSE, Status.MISSING)


def judge(
    metric: Metric, base: Samples | None, candidate: Samples | None, *, name: str = ""
) -> Verdict:
    """What became of a metric, from one look.

    Args:
        name: as it was measured; without it the metric's own.
    """
    name = name or metric.name
    raise NotImplementedError


def judged_values(
    catalogue: Catalogue, base: Mapping[str, Samples], candidate: Mapping[str, Samples]
) -> list[Verdict]:
    """A verdict of every measured name, from one look, in the catalogue's order.

    Raises:
        InputError: a name is of no metric.
    """
    raise NotImplementedError


def suspects(verdicts: Iterable[Verdict]) -> list[str]:
    """The suites that are to be measured again in new processes: those of paired metrics that
    became worse."""
    raise NotImplementedError


def confirmed(first: Verdict, second: Verdict) -> Verdict:
    """The verdict after both looks: worse only where both say so."""
    raise NotImplementedError


def verdicts_from_record(record: Record, catalogue: Catalogue) -> list[Verdict]:
    """The verdicts of a whole run, its second look included; empty for a run of one side."""
    raise NotImplementedError


def exit_status(verdicts: Collection[Verdict], outcomes: Sequence[SuiteOutcome]) -> ExitStatus:
    """Red for a regression, else not measured for a crash or unusable values, else green."""
    raise NotImplementedError


def compare_refusal(base: Side, candidate: Side, *, across: bool = False) -> tuple[str, ...]:
    """Refuses to compare what is not alike; returns what differs, in words, where that is allowed.

    Args:
        across: the caller asked to compare different voices, precisions, backends or threads.

    Raises:
        InputError: the sides differ in a voice, weights, precision, backend or threads.
    """
    raise NotImplementedError
