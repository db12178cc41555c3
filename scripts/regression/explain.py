"""What a metric is: unit, gate, tolerance, how it comes about, where to look, its last values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from sambert_trt.engines.errors import InputError

from .catalogue import Catalogue, Gate, Metric
from .history import history_lines, is_meant
from .registry import SUITES
from .store import History
from .words import direction, quantity, tolerance

__all__ = ["explained", "listed_metrics", "meant"]

_GATES = {
    Gate.LIMIT: "the same at every run: worse by more than the tolerance fails",
    Gate.PAIRED: "varies: both sides take turns, and it fails where the whole 95 % interval of the "
    "change is worse than the tolerance, and is so again in new processes",
    Gate.NONE: "shown, never judged",
}


def meant(catalogue: Catalogue, name: str) -> list[Metric]:
    """The metrics a name means: a measured name, one of the catalogue, or a pattern of those.

    Raises:
        InputError: it means none; the message has those that are spelled alike.
    """
    by_name = {metric.name: metric for metric in catalogue.metrics}
    found = [by_name[name]] if name in by_name else []
    found = found or [metric for metric in catalogue.metrics if metric.matches(name)][:1]
    found = found or [m for m in catalogue.metrics if is_meant(m.name, catalogue, name)]
    if not found:
        alike = get_close_matches(name, by_name, n=3, cutoff=0.4)
        advice = (
            f"did you mean {', '.join(alike)}?" if alike else "explain without a name lists all"
        )
        raise InputError(f"no metric {name!r}; {advice}")
    return found


def listed_metrics(catalogue: Catalogue) -> Iterator[str]:
    """Every metric in a line."""
    wide = max(len(metric.name) for metric in catalogue.metrics)
    for metric in catalogue.metrics:
        yield f"{metric.name:{wide}}  {metric.gate.value:6}  {tolerance(metric):>8}  {metric.title}"


def explained(
    catalogue: Catalogue, metrics: Sequence[Metric], name: str, history: History | None
) -> Iterator[str]:
    """The metrics, and their last values where a history is given.

    Raises:
        InputError: the history holds none of them.
    """
    for metric in metrics:
        yield f"{metric.name}: {metric.title}"
        for head, words in (*_facts(metric), *_bands(catalogue, metric)):
            yield f"  {head:10}{words}"
        yield ""
    if history is not None:
        yield "last values:"
        yield from history_lines(history, catalogue, name)


def _facts(metric: Metric) -> Iterator[tuple[str, str]]:
    judged = metric.gate is not Gate.NONE
    yield "unit", (metric.unit or "a number") + (f", {direction(metric)}" if judged else "")
    yield "judged", _GATES[metric.gate]
    if judged:
        yield "may be", f"worse by {tolerance(metric)}"
    yield "measured", metric.how
    if metric.optional:
        yield "given", metric.optional
    if metric.method != 1:
        yield "method", f"{metric.method}: earlier values are of another, and not to be compared"
    if metric.look:
        yield "look at", metric.look
    yield "alone", f"python scripts/perf.py {_command(metric.suite)}"


def _bands(catalogue: Catalogue, metric: Metric) -> Iterator[tuple[str, str]]:
    for band in catalogue.bands:
        if metric.matches(band.metric):
            ends = (quantity(end, metric.unit) for end in (band.least, band.most))
            where = "" if band.metric == metric.name else f"{band.metric} "
            told = f"{where}of the weights {band.weights}, whatever the base has: {band.why}"
            yield "lies in", f"{' to '.join(ends)}, {told}"


def _command(suite: str) -> str:
    """What measures a suite; numbers of a card come from its acceptance report."""
    known = any(one.name == suite for one in SUITES)
    return f"compare --base main --suite {suite}" if known else f"{suite} REPORT"
