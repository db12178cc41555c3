"""A report as Markdown for a pull request: the verdict, what failed, and the rest folded away.

Names and reasons may come from measured code: none of them becomes markup.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Sequence
from itertools import groupby

from .catalogue import Gate
from .gate import Status, Verdict
from .report import METHOD, Report, change_words, interval_words, look_words, values_words
from .words import duration, flattened, one_line, quantity, tolerance

__all__ = ["MOST", "escaped", "markdown"]

MOST = 60_000
"""Characters a comment of a pull request may have, with some room."""

_MARKUP = re.compile(r"([\\`*_\[\]<>|#~$&!])")
_HEADS = ("", "metric", "base", "candidate", "change", "95 %", "tolerance")


def markdown(report: Report, most: int = MOST) -> str:
    """The text of the summary; what is fine is left out where it would be longer than `most`."""
    whole = _text(report, report.verdicts)
    if len(whole) <= most:
        return whole
    return _text(report, [v for v in report.verdicts if v.status is not Status.OK])


def _text(report: Report, listed: Sequence[Verdict]) -> str:
    lines = [
        f"## perf: {report.colour}",
        "",
        f"**{escaped(report.reason)}**",
        "",
        escaped(f"{report.sides}."),
        "",
        *_remarks(report),
        *_failures(report),
        *_notable(report),
        *_all(report, listed),
        *_measured(report),
        *_circumstances(report),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _remarks(report: Report) -> Iterator[str]:
    for outcome in report.crashed:
        yield f"- **suite {escaped(outcome.name)} crashed**: {escaped(outcome.reason)}"
    for outcome in report.skipped:
        yield f"- suite {escaped(outcome.name)} was skipped: {escaped(outcome.reason)}"
    for remark in report.remarks:
        yield f"- {escaped(remark)}"
    yield ""


def _failures(report: Report) -> Iterator[str]:
    if not report.failures:
        return
    yield from _head((*_HEADS, "where to look"))
    for verdict in report.failures:
        yield _row((*_cells(verdict), escaped(look_words(verdict))))
    yield ""
    for verdict in (v for v in report.failures if v.metric.gate is not Gate.LIMIT):
        yield f"- `{_code(verdict.name)}`: {escaped(verdict.sentence)}"
    yield ""


def _notable(report: Report) -> Iterator[str]:
    for status in (Status.BETTER, Status.UNDECIDED, Status.NEW):
        found = report.of(status)
        if found:
            named = ", ".join(f"`{_code(v.name)}`{_by(v)}" for v in found)
            yield from (f"{status.value.capitalize()}: {named}", "")


def _by(verdict: Verdict) -> str:
    return "" if verdict.change is None else f" {escaped(change_words(verdict))}"


def _all(report: Report, listed: Sequence[Verdict]) -> Iterator[str]:
    if not report.verdicts:
        return
    left_out = len(report.verdicts) - len(listed)
    more = f", {left_out} that are ok left out" if left_out else ""
    yield from (
        f"<details><summary>All {len(report.verdicts)} metrics{more}</summary>",
        "",
    )
    for suite, verdicts in groupby(listed, key=lambda verdict: verdict.metric.suite):
        yield from (f"**{escaped(suite)}**", "")
        yield from _head(_HEADS)
        yield from (_row(_cells(verdict)) for verdict in verdicts)
        yield ""
    yield from ("</details>", "")


def _measured(report: Report) -> Iterator[str]:
    """The values of a run of one side."""
    if report.verdicts:
        return
    values = report.record.candidate.values
    yield from _head(("metric", "median"))
    for name in report.catalogue.ordered(values):
        metric = report.catalogue.metric(name)
        median = quantity(statistics.median(values[name].all), metric.unit)
        yield _row((f"{escaped(metric.title)} `{_code(name)}`", escaped(median)))
    yield ""


def _circumstances(report: Report) -> Iterator[str]:
    record = report.record
    yield from ("<details><summary>Machine and method</summary>", "")
    yield from (" ".join(map(escaped, METHOD)), "")
    yield f"Started {escaped(record.started)}; `{_code(' '.join(record.command))}`"
    yield ""
    yield from _head(("machine", "before", "after"))
    after = dict(flattened(record.machine_after))
    for name, value in flattened(record.machine):
        later = after.get(name, "")
        yield _row((escaped(name), escaped(value), "" if later == value else escaped(later)))
    yield ""
    yield from _head(("suite", "", "time"))
    for outcome in record.outcomes:
        yield _row((escaped(outcome.name), outcome.status.value, duration(outcome.seconds)))
    yield ""
    for side in filter(None, (record.base, record.candidate)):
        yield from (f"- {escaped(side.label)}: {escaped(note)}" for note in side.notes)
    yield from ("", "</details>", "")


def _cells(verdict: Verdict) -> tuple[str, ...]:
    status = verdict.status.value
    base, candidate = values_words(verdict)
    return (
        f"**{status}**" if verdict.failed or verdict.status is Status.UNUSABLE else status,
        f"{escaped(verdict.metric.title)} `{_code(verdict.name)}`",
        *map(escaped, (base, candidate, change_words(verdict), interval_words(verdict))),
        escaped(tolerance(verdict.metric)),
    )


def _head(names: Sequence[str]) -> Iterator[str]:
    words = ("", "metric", "where to look", "machine", "suite", "before", "after")
    yield _row(names)
    yield "|" + "|".join("---" if name in words else "--:" for name in names) + "|"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
    """Inside backticks, in a table: neither may end there."""
    return one_line(text).replace("`", "'").replace("|", "\\|")


def escaped(text: str) -> str:
    """The text on one line; what Markdown, HTML or a forge would read is escaped."""
    plain = _MARKUP.sub(r"\\\1", one_line(text)).replace("\\&", "&amp;").replace("\\<", "&lt;")
    return plain.replace("://", ":&#47;&#47;").replace("www.", "www&#46;").replace("@", "&#64;")
