"""What a finished run says, before it is terminal lines, Markdown, XML or HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from .catalogue import Catalogue, Gate, Metric, Scale
from .gate import ExitStatus, Status, Verdict
from .inference import middle
from .record import Record, Samples, Side, SuiteOutcome, SuiteStatus
from .words import DASH, change, duration, interval, one_line, quantity

__all__ = [
    "AGAIN",
    "METHOD",
    "OTHERS_METHOD",
    "Report",
    "change_words",
    "interval_words",
    "is_of_other",
    "look_words",
    "of_suites",
    "sentence_words",
    "side_words",
    "typical_words",
    "unsteady",
    "values_words",
    "without_times",
]

METHOD = (
    "Both trees ran on this machine in one go, in turns of random order, each in processes of its "
    "own; the change is the geometric mean over the pairs of processes of candidate over base, "
    "with the wider of its 95 % intervals by bootstrap and by Student's t, and Mann-Whitney's p.",
    "What is the same at every run fails when it is worse than its tolerance; what varies fails "
    "only when the whole interval is, with p below 0.01, in new processes and in both looks "
    "together.",
)
OTHERS_METHOD = (
    "how many times as long they take as this tree, measured in turn with it in one process; "
    "shown, not judged."
)
_WHOLE = "total"
AGAIN = " (again)"
"""Follows the suite's name in the outcome of its second look."""

_OTHERS = "against."
_NAMED = 3
_OUTCOMES = {
    ExitStatus.GREEN: "green",
    ExitStatus.REGRESSION: "red",
    ExitStatus.NOT_MEASURED: "not measured",
    ExitStatus.INTERRUPTED: "interrupted",
}


@dataclass(frozen=True)
class Report:
    """A run and what became of each metric.

    Attributes:
        verdicts: empty for a run of one side.
        remarks: what a reader should know of the whole run: clocks, differences of the sides.
        history: earlier records, oldest first, for trends.
    """

    record: Record
    catalogue: Catalogue
    verdicts: Sequence[Verdict]
    status: ExitStatus
    remarks: Sequence[str] = ()
    history: Sequence[Record] = ()

    def of(self, *statuses: Status) -> list[Verdict]:
        """The verdicts of these statuses."""
        return [verdict for verdict in self.verdicts if verdict.status in statuses]

    @property
    def failures(self) -> list[Verdict]:
        """What turns the run red, and what could not be judged for its values."""
        return [v for v in self.verdicts if v.failed or v.status is Status.UNUSABLE]

    @property
    def crashed(self) -> list[SuiteOutcome]:
        """The suites that did not come to their end."""
        return [o for o in self.record.outcomes if o.status is SuiteStatus.CRASHED]

    @property
    def skipped(self) -> list[SuiteOutcome]:
        """The suites that cannot measure here."""
        return [o for o in self.record.outcomes if o.status is SuiteStatus.SKIPPED]

    @property
    def complete(self) -> bool:
        """Whether the run came to its end."""
        return self.status is not ExitStatus.INTERRUPTED

    @property
    def colour(self) -> str:
        """green, red, not measured, interrupted; `measured` where there was nothing to judge."""
        if self.status is ExitStatus.GREEN and not self.verdicts:
            return "measured"
        return _OUTCOMES[self.status]

    @property
    def seconds(self) -> float:
        """How long the suites took."""
        return sum(outcome.seconds for outcome in self.record.outcomes)

    @property
    def sides(self) -> str:
        """`working tree (0123456789ab, changed) against main (ba9876543210)`."""
        against = self.record.base
        named = side_words(self.record.candidate)
        return named if against is None else f"{named} against {side_words(against)}"

    @property
    def headline(self) -> str:
        """The verdict in one line."""
        return f"{self.colour}: {self.reason}"

    @property
    def reason(self) -> str:
        """The verdict without its colour."""
        return f"{self._reason()} ({duration(self.seconds)})"

    def _reason(self) -> str:
        crashed = [f"suite {outcome.name} crashed" for outcome in self.crashed]
        halved = [outcome.name for outcome in self.record.outcomes if outcome.halved]
        crashed += [f"suite {name} measured on one side" for name in halved]
        if not self.verdicts:
            count = _metrics(len(self.record.candidate.values))
            alone = "nothing to compare with" if self.record.base is None else "none judged"
            return ", ".join([f"{count}, {alone}", *crashed])
        parts = [self._failing(), *crashed]
        counted = Counter(verdict.status for verdict in self.verdicts)
        wanted = (Status.BETTER, Status.UNDECIDED)
        parts += [f"{counted[status]} {status.value}" for status in wanted if counted[status]]
        unusable = self.of(Status.UNUSABLE)
        if unusable:
            names = _first([verdict.name for verdict in unusable])
            parts.append(f"{len(unusable)} {Status.UNUSABLE.value}: {names}")
        return ", ".join(parts)

    def _failing(self) -> str:
        failing = [verdict for verdict in self.verdicts if verdict.failed]
        if not failing:
            return f"none of {_metrics(len(self.verdicts))} became worse"
        named = _first([_named(verdict) for verdict in failing])
        return f"{len(failing)} of {_metrics(len(self.verdicts))} became worse: {named}"

    @property
    def others(self) -> Mapping[str, Mapping[str, str]]:
        """How many times as long other systems take, by system and stage: `2.51`."""
        values, found = self.record.candidate.values, dict[str, dict[str, str]]()
        for name in filter(is_of_other, self.catalogue.ordered(values)):
            metric = self.catalogue.metric(name)
            system, stage = metric.fields(name)
            found.setdefault(system, {})[stage] = f"{middle(values[name], metric.scale):.2f}"
        return found

    @property
    def others_by_stage(self) -> Sequence[tuple[str, Sequence[str]]]:
        """The same by stage, whole sentences first, in the order of the systems.

        A dash stands where a system has no such stage.
        """
        found = self.others.values()
        stages = dict.fromkeys((_WHOLE, *(stage for ratios in found for stage in ratios)))
        return [(stage, [ratios.get(stage, DASH) for ratios in found]) for stage in stages]

    def samples(self, name: str) -> tuple[Samples | None, Samples | None]:
        """What base and candidate measured of a metric at the first look."""
        base = self.record.base
        of_base = None if base is None else base.values.get(name)
        return of_base, self.record.candidate.values.get(name)


def side_words(side: Side) -> str:
    """A side by its label and commit."""
    facts = [side.revision[:12]] if side.revision and side.revision[:12] != side.label else []
    facts += ["with changes"] if side.changed else []
    label = one_line(side.label)
    return f"{label} ({', '.join(facts)})" if facts else label


def change_words(verdict: Verdict) -> str:
    """`+10.2 %`."""
    return change(verdict.metric, None if verdict.change is None else verdict.change.estimate)


def interval_words(verdict: Verdict) -> str:
    """`+8.1 to +12.4 %`; of what is the same at every run, a dash."""
    found = verdict.change
    if found is None or verdict.metric.gate is Gate.LIMIT:
        return interval(verdict.metric, None, None)
    return interval(verdict.metric, found.low, found.high)


def values_words(verdict: Verdict) -> tuple[str, str]:
    """Base and candidate with their unit."""
    unit = verdict.metric.unit
    return quantity(verdict.base, unit), quantity(verdict.candidate, unit)


def typical_words(metric: Metric, samples: Samples) -> str:
    """The typical value of one side with its unit, after the same trimming as a comparison's."""
    return quantity(middle(samples, metric.scale), metric.unit)


def is_of_other(name: str) -> bool:
    """Whether a metric is another system's time over ours."""
    return name.startswith(_OTHERS)


def sentence_words(verdict: Verdict) -> str:
    """What became of a metric; of another system's time, that it is shown."""
    if not is_of_other(verdict.name) or verdict.candidate is None:
        return verdict.sentence
    system, stage = verdict.metric.fields(verdict.name)
    return f"{system} takes {verdict.candidate:.2f} times as long ({stage}); shown, not judged"


def look_words(verdict: Verdict) -> str:
    """Where to look; `{stage}` is the measured name's own."""
    words, named = verdict.metric.look, verdict.metric.name.split(".")
    for field, part in zip(named, verdict.name.split("."), strict=False):
        words = words.replace(field, part) if field.startswith("{") else words
    return words


def _metrics(count: int) -> str:
    return f"{count} metric{'' if count == 1 else 's'}"


def _first(names: Sequence[str]) -> str:
    return ", ".join([*names[:_NAMED], *(["…"] if len(names) > _NAMED else [])])


def _named(verdict: Verdict) -> str:
    if verdict.status is Status.MISSING:
        return f"{verdict.name} is missing"
    return f"{verdict.name} {change_words(verdict)}"


def is_time(metric: Metric) -> bool:
    """Whether a metric depends on how fast the machine was at that moment."""
    return metric.gate is Gate.PAIRED and metric.scale is Scale.RATIO


def unsteady(verdicts: Sequence[Verdict], reason: str) -> list[Verdict]:
    """The verdicts of a run whose clocks changed: no time is fine, and none has failed.

    What would have been worse is unusable, so that the run does not pass; the rest stays open.

    Args:
        reason: what changed; empty: nothing did.
    """
    if not reason:
        return list(verdicts)
    return [_unsteady(one, reason) if is_time(one.metric) else one for one in verdicts]


def _unsteady(verdict: Verdict, reason: str) -> Verdict:
    told = f"{verdict.sentence}; the clocks changed during the run ({reason})"
    if verdict.status is Status.WORSE:
        told = f"{told}, so this may be theirs: measure again on a steady machine"
        return replace(verdict, status=Status.UNUSABLE, sentence=told)
    if verdict.status in (Status.OK, Status.BETTER):
        return replace(verdict, status=Status.UNDECIDED, sentence=told)
    return verdict


def without_times(catalogue: Catalogue) -> Catalogue:
    """The catalogue with which a run is judged by a record of another run: no times, no memory."""
    metrics = (
        replace(m, gate=Gate.NONE) if m.gate is Gate.PAIRED else m for m in catalogue.metrics
    )
    return replace(catalogue, metrics=tuple(metrics))


def of_suites(
    values: Mapping[str, Samples], catalogue: Catalogue, suites: Sequence[str]
) -> dict[str, Samples]:
    """The values that these suites measured."""
    return {n: v for n, v in values.items() if catalogue.metric(n).suite in suites}
