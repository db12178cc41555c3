"""A whole run: every suite of one side or of both in turn, judged, with a second look at failures.

What was measured stays when a suite crashes or the user breaks the run off.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from sambert_trt.engines.errors import InputError

from .alike import compare_refusal
from .catalogue import Catalogue
from .gate import (
    SECOND_LOOK,
    ExitStatus,
    Verdict,
    exit_status,
    suspects,
    verdicts_from_record,
)
from .loosened import loosened
from .machine import fingerprint
from .pairing import Measured, identities, measure
from .process import WorkerError
from .record import Identity, Record, Samples, Side, SuiteOutcome, SuiteStatus
from .remarks import clocks_changed, half_measured, machine_remarks
from .report import AGAIN, Report, unsteady
from .stored import beside_record, side_of_record
from .suite import SIDES, Settings, Suite
from .trees import Tree, dependency_notes, edits

__all__ = ["BASE", "CANDIDATE", "Plan", "run", "unmeasured"]

BASE, CANDIDATE = "base", "candidate"
Values = dict[str, Samples]
Measure = Callable[..., Measured]
Say = Callable[[str], None]

_NAMED = 5
"""Of edited files, as many are told."""


@dataclass(frozen=True)
class Plan:
    """What is to be measured.

    Attributes:
        sides: settings by side, `BASE` first where there is one, and `CANDIDATE`.
        trees: the same sides' trees.
        seed: of the order of turns.
        across: compare different voices, precisions, backends and threads, too.
        baseline: an earlier run by which this one of one side is judged.
        measure: how a suite is measured.
    """

    command: tuple[str, ...]
    suites: Sequence[Suite]
    sides: Mapping[str, Settings]
    trees: Mapping[str, Tree]
    seed: int = 0
    across: bool = False
    baseline: Record | None = None
    measure: Measure = measure


@dataclass
class _Found:
    """What was measured so far."""

    values: dict[str, Values]
    outcomes: list[SuiteOutcome] = field(default_factory=list)
    again: dict[str, Values] | None = None

    def add(self, measured: Measured) -> None:
        """Takes a suite in."""
        self.outcomes.append(measured.outcome)
        for name, values in measured.values.items():
            self.values[name].update(values)

    def add_again(self, measured: Measured) -> None:
        """Takes a suite's second look in."""
        assert self.again is not None
        outcome = measured.outcome
        self.outcomes.append(replace(outcome, name=f"{outcome.name}{AGAIN}"))
        for name, values in measured.values.items():
            self.again[name].update(values)

    def put(self, record: Record) -> Record:
        """The record with it."""
        base = record.base and replace(record.base, values=dict(self.values[BASE]))
        candidate = replace(record.candidate, values=dict(self.values[CANDIDATE]))
        again = (self.again[BASE], self.again[CANDIDATE]) if self.again is not None else None
        return replace(
            record,
            base=base,
            candidate=candidate,
            outcomes=tuple(self.outcomes),
            second_look=again,
        )


def run(plan: Plan, catalogue: Catalogue, say: Say) -> Report:
    """Measures and judges.

    Args:
        say: gets what is to be shown of the progress, line ends included.

    Raises:
        InputError: the sides cannot be compared.
    """
    try:
        speaking = identities(plan.sides)
    except WorkerError as error:
        return unmeasured(plan.command, plan.trees, catalogue, str(error))
    record = _record(plan.command, plan.trees, speaking, catalogue)
    remarks = [*_differences(plan, record), *_loosened(plan, catalogue)]
    record = replace(record, settings=_settings(plan))
    found = _Found({name: {} for name in plan.sides})
    interrupted = False
    try:
        _measure_all(plan, catalogue, found, say)
        verdicts, _ = _verdicts(found.put(record), catalogue)
        _look_again(plan, suspects(verdicts), catalogue, found, say)
    except KeyboardInterrupt:
        interrupted = True
    found.outcomes += _edited(plan)
    record = replace(found.put(record), machine_after=fingerprint())
    return _concluded(plan, record, catalogue, remarks, interrupted=interrupted)


def unmeasured(
    command: tuple[str, ...], trees: Mapping[str, Tree], catalogue: Catalogue, reason: str
) -> Report:
    """The report of a run in which nothing can be measured, e.g. as a side cannot be imported."""
    crash = SuiteOutcome(SIDES, SuiteStatus.CRASHED, 0.0, reason)
    record = replace(_record(command, trees, {}, catalogue), outcomes=(crash,))
    return _judged(record, catalogue, (), interrupted=False)


def _record(
    command: tuple[str, ...],
    trees: Mapping[str, Tree],
    speaking: Mapping[str, Identity],
    catalogue: Catalogue,
) -> Record:
    """What is known before anything is measured."""
    sides = {name: _side(trees, name, speaking.get(name), catalogue) for name in trees}
    before, started = fingerprint(), datetime.now(timezone.utc).isoformat(timespec="seconds")
    return Record(started, command, before, before, sides[CANDIDATE], sides.get(BASE))


def _concluded(
    plan: Plan, record: Record, catalogue: Catalogue, remarks: Sequence[str], *, interrupted: bool
) -> Report:
    if plan.baseline is None:
        return _judged(record, catalogue, remarks, interrupted=interrupted)
    beside = beside_record(record, plan.baseline, catalogue)
    told = [*remarks, *beside.remarks]
    report = _judged(beside.record, beside.catalogue, told, interrupted=interrupted)
    return replace(report, catalogue=catalogue)


def _measure_all(plan: Plan, catalogue: Catalogue, found: _Found, say: Say) -> None:
    for suite in plan.suites:
        say(f"{suite.name:13}")
        measured = _known(plan.measure(suite, _sides_of(suite, plan), seed=plan.seed), catalogue)
        found.add(measured)
        say(f"{_outcome_words(measured)}\n")


def _sides_of(suite: Suite, plan: Plan) -> Mapping[str, Settings]:
    return plan.sides if suite.compared else {CANDIDATE: plan.sides[CANDIDATE]}


def _known(measured: Measured, catalogue: Catalogue) -> Measured:
    """What was measured; a crash where it is not what the catalogue has of its suite."""
    reason = _disagreement(measured, catalogue)
    if not reason:
        return measured
    outcome = replace(measured.outcome, status=SuiteStatus.CRASHED, reason=reason)
    return Measured({side: {} for side in measured.values}, outcome)


def _disagreement(measured: Measured, catalogue: Catalogue) -> str:
    """Names of no metric, which would end the whole run, or metrics without a name.

    What one side alone has given is not lacking: the other may have skipped, or lost it.
    """
    if measured.outcome.status is not SuiteStatus.MEASURED:
        return ""
    names = {name for values in measured.values.values() for name in values}
    if strange := catalogue.unknown(names):
        return f"{', '.join(strange)}: of no metric; write it into regression/metrics.toml"
    lacking = catalogue.lacking(measured.outcome.name, names)
    remedy = "mend the suite, or take the metric out of regression/metrics.toml"
    return f"{', '.join(lacking)}: measured on no side; {remedy}" if lacking else ""


def _look_again(
    plan: Plan, names: Collection[str], catalogue: Catalogue, found: _Found, say: Say
) -> None:
    """Measures these in new processes: they look worse than they may be."""
    if not names:
        return
    found.again = {name: {} for name in plan.sides}
    for suite in plan.suites:
        only = tuple(name for name in names if catalogue.metric(name).suite == suite.name)
        if only:
            say(f"{suite.name:13}again: ")
            larger = replace(suite, sessions=SECOND_LOOK * suite.sessions)
            sides = {side: replace(settings, only=only) for side, settings in plan.sides.items()}
            measured = plan.measure(larger, sides, seed=plan.seed + 1)
            found.add_again(measured)
            say(f"{_outcome_words(measured)}\n")


def _edited(plan: Plan) -> Iterator[SuiteOutcome]:
    """A side whose files were not the same all the time: values of old and new code are mixed."""
    for side, tree in plan.trees.items():
        if files := edits(tree):
            more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
            told = f"{side}: edited while it was measured: {', '.join(files[:_NAMED])}{more}"
            remedy = "old and new code are mixed; leave the tree alone and measure again"
            yield SuiteOutcome(SIDES, SuiteStatus.CRASHED, 0.0, f"{told}: {remedy}")


def _outcome_words(measured: Measured) -> str:
    outcome = measured.outcome
    count = len({name for values in measured.values.values() for name in values})
    what = f"{count} metrics" if outcome.status is SuiteStatus.MEASURED else outcome.status.value
    reason = f"  {' '.join(outcome.reason.split())[:200]}" if outcome.reason else ""
    return f"{outcome.seconds:6.1f} s  {what}{reason}"


def _judged(
    record: Record, catalogue: Catalogue, remarks: Sequence[str], *, interrupted: bool
) -> Report:
    found, faults = _verdicts(record, catalogue)
    verdicts = unsteady(found, "; ".join(clocks_changed(record)))
    record = replace(record, outcomes=(*record.outcomes, *faults))
    status = _status(verdicts, record, interrupted=interrupted)
    known = [*remarks, *machine_remarks(record), *half_measured(record)]
    return Report(record, catalogue, verdicts, status, known)


def _verdicts(
    record: Record, catalogue: Catalogue
) -> tuple[Sequence[Verdict], Sequence[SuiteOutcome]]:
    """The verdicts, or as a crash why there are none: what was measured is kept all the same."""
    try:
        return verdicts_from_record(record, catalogue), ()
    except Exception as error:
        trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        told = f"{type(error).__name__}: {error}\n{trace}"
        return (), (SuiteOutcome("judging", SuiteStatus.CRASHED, 0.0, told),)


def _status(verdicts: Sequence[Verdict], record: Record, *, interrupted: bool) -> ExitStatus:
    return ExitStatus.INTERRUPTED if interrupted else exit_status(verdicts, record.outcomes)


def _differences(plan: Plan, record: Record) -> tuple[str, ...]:
    """What differs between the sides where that is allowed.

    Raises:
        InputError: it is not.
    """
    base = record.base if plan.baseline is None else side_of_record(plan.baseline)
    if base is None:
        return ()
    try:
        return compare_refusal(base, record.candidate, across=plan.across)
    except InputError as error:
        raise InputError(f"{error} (--across)") from error


def _loosened(plan: Plan, catalogue: Catalogue) -> tuple[str, ...]:
    return loosened(plan.trees[BASE].path, catalogue) if BASE in plan.trees else ()


def _side(
    trees: Mapping[str, Tree], name: str, identity: Identity | None, catalogue: Catalogue
) -> Side:
    tree = trees[name]
    notes: tuple[str, ...] = ()
    if name == CANDIDATE and BASE in trees:
        notes = dependency_notes(trees[BASE], tree)
    return Side(tree.label, tree.sha, tree.changed, identity, {}, notes, catalogue.methods)


def _settings(plan: Plan) -> dict[str, Any]:
    one = plan.sides[CANDIDATE]
    return {
        "backend": one.backend,
        "full": one.full,
        "seed": plan.seed,
        "suites": {suite.name: [suite.sessions, suite.rounds] for suite in plan.suites},
        "threads": one.threads,
    }
