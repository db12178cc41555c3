"""What a run shows in a terminal: progress, what changed, and last the verdict in one line."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from .baseline import Baseline, Comparison
from .gate import ExitStatus, Status, Verdict
from .report import (
    Report,
    change_words,
    interval_words,
    is_of_other,
    look_words,
    typical_words,
    values_words,
)
from .words import one_line, tolerance

__all__ = ["card_lines", "ended_line", "result_lines", "show"]

_SHOWN = (Status.WORSE, Status.MISSING, Status.UNUSABLE, Status.BETTER, Status.UNDECIDED)
_MOST, _LAST = 40, 8


class _Progress:
    """What is shown while it is measured: parts of lines."""

    open = False

    def show(self, text: str) -> None:
        """Part of the progress, on standard error."""
        print(text, end="", file=sys.stderr, flush=True)
        self.open = not text.endswith("\n") if text else self.open

    @contextmanager
    def ended_line(self) -> Iterator[None]:
        """However the block ends, what is shown next begins a line."""
        try:
            yield
        finally:
            if self.open:
                self.show("\n")


_PROGRESS = _Progress()
show, ended_line = _PROGRESS.show, _PROGRESS.ended_line


def result_lines(report: Report) -> Iterator[str]:
    """What changed and what could not be measured; last the verdict."""
    yield ""
    yield report.sides
    yield from changed_lines(report.verdicts)
    if report.record.base is None:
        yield from value_lines(report)
    yield from others_lines(report)
    for outcome in report.crashed:
        first, *rest = outcome.reason.splitlines() or [""]
        yield f"suite {outcome.name} crashed: {one_line(first)}"
        yield from (f"  {one_line(line)}" for line in rest[-_LAST:])
    yield from (f"suite {o.name} skipped: {one_line(o.reason)}" for o in report.skipped)
    yield from (f"note: {one_line(remark)}" for remark in report.remarks)
    yield report.headline


def changed_lines(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """A table of what became worse or better, or is open; what failed has its sentence."""
    found = [verdict for status in _SHOWN for verdict in verdicts if verdict.status is status]
    if not found:
        return
    wide = max(len(verdict.name) for verdict in found[:_MOST])
    for verdict in found[:_MOST]:
        base, candidate = values_words(verdict)
        interval = interval_words(verdict)
        yield (
            f"{verdict.status.value:9}  {verdict.name:{wide}}  {base:>10} -> {candidate:<10}  "
            f"{change_words(verdict):>9}  {interval:>20}  tolerance {tolerance(verdict.metric)}"
        )
        if verdict.failed or verdict.status is Status.UNUSABLE:
            yield f"           {one_line(verdict.sentence)}"
            yield f"           look: {look_words(verdict)}"
    if len(found) > _MOST:
        yield f"and {len(found) - _MOST} more"


def value_lines(report: Report) -> Iterator[str]:
    """What one side measured, without what others_lines tells."""
    values = report.record.candidate.values
    named = [name for name in report.catalogue.ordered(values) if not is_of_other(name)]
    wide = max(map(len, named), default=0)
    for name in named:
        yield f"{name:{wide}}  {typical_words(report.catalogue.metric(name), values[name]):>10}"


def others_lines(report: Report) -> Iterator[str]:
    """How many times as long other systems take: `torch takes total 2.51, decoder 3.05 ...`."""
    for system, ratios in report.others.items():
        told = ", ".join(f"{stage} {ratio}" for stage, ratio in ratios.items())
        yield f"{system} takes so many times as long: {told}"


def card_lines(
    found: Baseline,
    failures: Sequence[str],
    base: Baseline | None,
    comparison: Comparison,
    status: ExitStatus,
) -> Iterator[str]:
    """A card's acceptance, and its numbers against the baseline where there is one.

    Args:
        failures: what of the acceptance did not pass.
    """
    against = f"against {base.revision} of {base.started}" if base else "without a baseline"
    yield f"{found.card}: {found.revision} {against}"
    yield from (f"failed     {one_line(failure)}" for failure in failures)
    yield from changed_lines(comparison.verdicts)
    yield from (f"note: {one_line(difference)}" for difference in comparison.differences)
    failed = [verdict.name for verdict in comparison.verdicts if verdict.failed]
    worse = f"{len(failed)} of {len(comparison.verdicts)} numbers became worse"
    parts = [f"the acceptance did not pass ({len(failures)} failed)"] if failures else []
    parts.append(worse if base else "no baseline of this card to compare with")
    colours = {ExitStatus.GREEN: "green", ExitStatus.REGRESSION: "red"}
    yield f"{colours.get(status, 'not measured')}: {', '.join(parts)}"
