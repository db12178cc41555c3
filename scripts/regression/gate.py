"""Says of each metric what became of it, and of the whole run whether it is green.

A `limit` metric fails where the candidate's value is worse than the tolerance. A `paired` one fails
where the whole interval is, and both sides' values lie apart, twice: in new processes by
themselves, started where the first look leans that way, and in both looks together. A voice with a
band fails where the candidate's value lies outside of it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, IntEnum

from sambert_trt.engines.errors import InputError

from .bands import Band
from .catalogue import Better, Catalogue, Gate, Metric, Scale
from .inference import Change, change_from_samples, middle
from .record import Record, Samples, SuiteOutcome, SuiteStatus
from .sentences import change_in_words, instead, label, listed_values, tolerance_in_words
from .suite import SIDES
from .words import quantity

__all__ = [
    "SECOND_LOOK",
    "ExitStatus",
    "Status",
    "Verdict",
    "confirmed",
    "exit_status",
    "judge",
    "judged_values",
    "suspects",
    "verdicts_from_record",
]

P_LIMIT = 0.01
P_LEANING = 0.05
SECOND_LOOK = 2
"""How many times the sessions of the first look the second is to have: it decides, and what is
measured twice on a few noisy processes would be missed too often (see simulation.py)."""

_SLACK = 1e-12
"""What arithmetic alone may add to a change."""


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
    """Nothing can be said: a time of 0, sides with different rounds, no second look."""
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
    """What became of a metric.

    Attributes:
        name: as it was measured.
        sentence: what happened, with the values.
        base, candidate: typical values; None where there are none.
        change: None where one side has no values, and where nothing can be said of them.
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
    if base is None or not base.all or candidate is None or not candidate.all:
        return _of_one_side(metric, name, base, candidate)
    try:
        change = _change(metric, base, candidate)
    except InputError as error:
        status = Status.NOT_JUDGED if metric.gate is Gate.NONE else Status.UNUSABLE
        return Verdict(name, metric, status, f"{label(metric, name)}: {error}")
    typical = _typical_pair(metric, base, candidate, change)
    status, why = _status(metric, change)
    told = ", ".join(
        part
        for part in (
            f"{label(metric, name)} {change_in_words(metric, change)}",
            why,
            instead(metric, *typical) if typical[0] != typical[1] else "",
            _unsteady(metric, base, candidate),
            change.note,
        )
        if part
    )
    return Verdict(name, metric, status, told, *typical, change)


def judged_values(
    catalogue: Catalogue, base: Mapping[str, Samples], candidate: Mapping[str, Samples]
) -> list[Verdict]:
    """A verdict of every measured name, from one look, in the catalogue's order.

    Raises:
        InputError: a name is of no metric.
    """
    return [
        judge(catalogue.metric(name), base.get(name), candidate.get(name), name=name)
        for name in catalogue.ordered({*base, *candidate})
    ]


def suspects(verdicts: Iterable[Verdict]) -> list[str]:
    """The names to measure again, in new processes and `SECOND_LOOK` times as many sessions.

    Paired metrics whose estimate is worse than the tolerance, where the interval or the rank test
    sees a change at all.
    """
    return [one.name for one in verdicts if _leans(one)]


def confirmed(first: Verdict, second: Verdict, together: Verdict) -> Verdict:
    """The verdict after both looks: worse where the second is by itself, and both together are.

    Args:
        together: of the values of both looks.
    """
    if not _leans(first):
        return first
    if first.change is None or second.change is None or together.change is None:
        told = f"{first.sentence}; it could not be measured again: {second.sentence}"
        return replace(first, status=Status.UNUSABLE, sentence=told)
    status = together.status
    if status is Status.WORSE and second.status is not Status.WORSE:
        status = Status.UNDECIDED
    looks = (change_in_words(first.metric, look.change) for look in (first, second) if look.change)
    at_first, again = looks
    told = f"{together.sentence}; at first {at_first}, in new processes {again}"
    return replace(together, status=status, sentence=told)


def verdicts_from_record(record: Record, catalogue: Catalogue) -> list[Verdict]:
    """The verdicts of a whole run, its second look included; empty for a run of one side.

    Raises:
        InputError: a name is of no metric.
    """
    if record.base is None:
        return []
    crashed = {o.name: o.reason for o in record.outcomes if o.status is SuiteStatus.CRASHED}
    found = judged_values(catalogue, record.base.values, record.candidate.values)
    identity = record.candidate.identity
    weights = "" if identity is None else identity.weights
    verdicts = [
        _held(_excused(verdict, crashed), catalogue.band(verdict.name, weights))
        for verdict in found
    ]
    if record.second_look is None:
        return verdicts
    return [_looked_again(one, record, record.second_look) for one in verdicts]


def exit_status(verdicts: Collection[Verdict], outcomes: Sequence[SuiteOutcome]) -> ExitStatus:
    """Red for a regression; else not measured for a crash, unusable values or nothing at all.

    Nor where one side alone could be measured by a suite: nothing of it was compared.
    """
    if any(outcome.name == SIDES for outcome in outcomes):  # what was found says nothing
        return ExitStatus.NOT_MEASURED
    if any(verdict.failed for verdict in verdicts):
        return ExitStatus.REGRESSION
    ends = [outcome.status for outcome in outcomes]
    halves = [outcome for outcome in outcomes if outcome.halved]
    unusable = any(verdict.status is Status.UNUSABLE for verdict in verdicts)
    nothing = bool(ends) and SuiteStatus.MEASURED not in ends
    if unusable or nothing or halves or SuiteStatus.CRASHED in ends:
        return ExitStatus.NOT_MEASURED
    return ExitStatus.GREEN


def _leans(verdict: Verdict) -> bool:
    """Whether a paired metric looks worse than it may be, however sure that is."""
    metric, change = verdict.metric, verdict.change
    if metric.gate is not Gate.PAIRED or change is None:
        return False
    least = min(_worsening(metric, end) for end in (change.low, change.high))
    seen = least > 0 or (change.p is not None and change.p < P_LEANING)
    return seen and _worsening(metric, change.estimate) > metric.tolerance


def _looked_again(
    first: Verdict, record: Record, second: tuple[Mapping[str, Samples], Mapping[str, Samples]]
) -> Verdict:
    if not _leans(first) or record.base is None:
        return first
    name, metric = first.name, first.metric
    again = tuple(side.get(name, Samples(())) for side in second)
    earlier = (record.base.values[name], record.candidate.values[name])
    both = tuple(
        Samples((*one.sessions, *two.sessions)) for one, two in zip(earlier, again, strict=True)
    )
    looks = (judge(metric, *sides, name=name) for sides in (again, both))
    return confirmed(first, *looks)


def _excused(verdict: Verdict, crashed: Mapping[str, str]) -> Verdict:
    """What is missing because its suite crashed is no regression: the crash is told by itself."""
    suite = verdict.metric.suite
    if suite not in crashed or verdict.status not in (Status.MISSING, Status.NEW):
        return verdict
    told = f"{verdict.sentence}: the suite {suite} crashed: {crashed[suite]}"
    return replace(verdict, status=Status.NOT_JUDGED, sentence=told)


def _held(verdict: Verdict, band: Band | None) -> Verdict:
    """Whatever the base has, the candidate's value has to lie in its band."""
    value = verdict.candidate
    if band is None or value is None or band.holds(value):
        return verdict
    ends = (quantity(end, verdict.metric.unit) for end in (value, band.least, band.most))
    told = "{} lies outside of {} to {}, where this voice has to be".format(*ends)
    return replace(verdict, status=Status.WORSE, sentence=f"{verdict.sentence}; {told}: {band.why}")


def _of_one_side(
    metric: Metric, name: str, base: Samples | None, candidate: Samples | None
) -> Verdict:
    what = label(metric, name)
    if base is not None and base.all:
        value = _typical(metric, base)
        told = f"{what} is missing, it was {quantity(value, metric.unit)}"
        status = Status.NOT_JUDGED if metric.gate is Gate.NONE else Status.MISSING
        return Verdict(name, metric, status, told, base=value)
    if candidate is not None and candidate.all:
        value = _typical(metric, candidate)
        told = f"{what} is new: {quantity(value, metric.unit)}"
        status = Status.NOT_JUDGED if metric.gate is Gate.NONE else Status.NEW
        return Verdict(name, metric, status, told, candidate=value)
    return Verdict(name, metric, Status.UNUSABLE, f"{what} holds no value on either side")


def _typical_pair(
    metric: Metric, base: Samples, candidate: Samples, change: Change
) -> tuple[float, float]:
    """Both sides as they are shown: apart by the estimate, which leaves out rounds of pairs."""
    value = _typical(metric, base)
    if metric.gate is Gate.LIMIT:
        return value, _typical(metric, candidate)
    return value, _moved_by(metric.scale, value, change.estimate)


def _moved_by(scale: Scale, value: float, change: float) -> float:
    return value * change if scale is Scale.RATIO else value + change


def _typical(metric: Metric, samples: Samples) -> float:
    if metric.gate is Gate.LIMIT:
        return statistics.median_low(samples.all)
    return middle(samples, metric.scale)


def _change(metric: Metric, base: Samples, candidate: Samples) -> Change:
    if metric.gate is Gate.LIMIT:
        return _exact_change(metric, base.all, candidate.all)
    return change_from_samples(base, candidate, metric.scale)


def _exact_change(metric: Metric, base: tuple[float, ...], candidate: tuple[float, ...]) -> Change:
    """Of values that ought to be the same at every run: from the least to the most they allow."""
    wrong = [value for value in (*base, *candidate) if not math.isfinite(value)]
    if metric.scale is Scale.RATIO:
        wrong += [value for value in (*base, *candidate) if value < 0]
    if wrong:
        raise InputError(f"{wrong[0]:g} is no value to compare; look at how it was measured")
    typical = statistics.median_low(base), statistics.median_low(candidate)
    ends = ((max(base), min(candidate)), (min(base), max(candidate)))
    estimate, low, high = (_moved(metric, *pair) for pair in (typical, *ends))
    return Change(estimate, low, high, 1, len(base))


def _moved(metric: Metric, base: float, candidate: float) -> float:
    if metric.scale is Scale.DIFFERENCE:
        return candidate - base
    if base == candidate:
        return 1.0
    return candidate / base if base else math.inf


def _status(metric: Metric, change: Change) -> tuple[Status, str]:
    """The status, and what of the tolerance and the test is to be told."""
    if metric.gate is Gate.NONE:
        return Status.NOT_JUDGED, ""
    least, most = sorted(_worsening(metric, end) for end in (change.low, change.high))
    limit, told = metric.tolerance + _SLACK, tolerance_in_words(metric)
    if least > limit or most < -limit:
        if _overlap(change):
            return Status.UNDECIDED, f"{told}, but the values of both sides overlap"
        return (Status.WORSE if least > limit else Status.BETTER), told
    if most <= limit:
        return Status.OK, told
    return Status.UNDECIDED, f"{told}: too uncertain to say"


def _worsening(metric: Metric, value: float) -> float:
    moved = value - 1 if metric.scale is Scale.RATIO else value
    return moved if metric.better is Better.LOWER else -moved


def _overlap(change: Change) -> bool:
    """Whether the rank test sees no difference; few values need lie only wholly apart."""
    if change.p is None or change.least_p is None:
        return False
    return change.p > max(P_LIMIT, change.least_p * (1 + _SLACK))


def _unsteady(metric: Metric, base: Samples, candidate: Samples) -> str:
    if metric.gate is not Gate.LIMIT or len({*base.all}) == len({*candidate.all}) == 1:
        return ""
    sides = (listed_values(metric, base.all), listed_values(metric, candidate.all))
    return f"not the same at every run: base {sides[0]}; candidate {sides[1]}"
