"""A report as Markdown for a pull request: the verdict, what failed, and the rest folded away.

Names and reasons may come from measured code: none of them becomes markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

from .catalogue import Gate, Metric
from .gate import Status, Verdict
from .record import Record, Samples
from .report import (
    METHOD,
    OTHERS_METHOD,
    Report,
    change_words,
    interval_words,
    look_words,
    typical_words,
    values_words,
)
from .words import duration, flattened, one_line, tolerance

__all__ = ["MOST", "escaped", "markdown"]

MOST = 60_000
"""Characters a comment of a pull request may have, with some room."""

_LONGEST = 1000
"""Characters of one text: a reason with a traceback must not drive out what failed."""
_NAMED = 30
_FOR_REMARKS = 0.25
_FOR_LEFT_OUT = 200

_MARKUP = re.compile(r"([\\`*_\[\]<>|#~$&!])")
_HEADS = ("", "metric", "base", "candidate", "change", "95 %", "tolerance")


def markdown(report: Report, most: int = MOST) -> str:
    """The text of the summary.

    Where it would be longer than `most` characters (2,000 or more), what is fine is left out, and
    of the rest what does not fit, failures last; a line says how much.
    """
    whole = _Page(most)
    _add_verdict(whole, report)
    _fill(whole, report, report.verdicts)
    if whole.complete:
        return whole.text
    short = _Page(most - _FOR_LEFT_OUT)
    _add_verdict(short, report)
    place = len(short.lines)
    _fill(short, report, [v for v in report.verdicts if v.status is not Status.OK])
    short.lines[place:place] = [_left_out(report, len(short.shown)), ""]
    return short.text


class _Page:
    """Lines that stay within a number of characters, line ends included.

    Attributes:
        complete: whether all fitted so far.
        shown: the metrics that have a row.
    """

    def __init__(self, room: float, shown: set[str] | None = None) -> None:
        self.room = room
        self.complete = True
        self.lines: list[str] = []
        self.shown: set[str] = set() if shown is None else shown

    @property
    def text(self) -> str:
        """The lines as a text."""
        return "\n".join(self.lines).rstrip() + "\n"

    def add(self, *lines: str) -> bool:
        """Adds these lines, or none of them where they do not fit; returns whether it did."""
        size = sum(len(line) + 1 for line in lines)
        if size > self.room:
            self.complete = False
            return False
        self.room -= size
        self.lines += lines
        return True

    def add_all(self, lines: Iterable[str]) -> None:
        """Adds line by line, until one does not fit."""
        for line in lines:
            if not self.add(line):
                return

    def add_rows(self, rows: Iterable[tuple[str, str]]) -> None:
        """Adds rows, each with its metric's name, until one does not fit."""
        for name, row in rows:
            if not self.add(row):
                return
            self.shown.add(name)

    @contextmanager
    def part(
        self, opening: Sequence[str], closing: Sequence[str], share: float = 1.0
    ) -> Iterator[_Page]:
        """Lines between two others, which are there only where something fits between them.

        Args:
            share: of the room, that it may take.
        """
        frame = sum(len(line) + 1 for line in (*opening, *closing))
        inside = _Page(share * self.room - frame, self.shown)
        yield inside
        self.complete &= inside.complete
        if inside.lines:
            self.add(*opening, *inside.lines, *closing)


def _add_verdict(page: _Page, report: Report) -> None:
    page.add(f"## perf: {report.colour}", "")
    page.add(f"**{escaped(report.reason)}**", "")


def _fill(page: _Page, report: Report, listed: Sequence[Verdict]) -> None:
    page.add(escaped(f"{report.sides}."), "")
    with page.part((), ("",), _FOR_REMARKS) as remarks:
        remarks.add_all(_remarks(report))
    _add_failures(page, report)
    _add_others(page, report)
    for line in _notable(report):
        page.add(line, "")
    _add_metrics(page, report, listed)
    _add_values(page, report)
    _add_circumstances(page, report)


def _left_out(report: Report, shown: int) -> str:
    count = len(report.verdicts or report.record.candidate.values)
    return (
        f"**{count - shown} of {count} rows are left out here, where all would be too long; the "
        "record (`--json`) and the page (`--html`) have them.**"
    )


def _remarks(report: Report) -> Iterator[str]:
    for outcome in report.crashed:
        yield f"- **suite {escaped(outcome.name)} crashed**: {escaped(outcome.reason)}"
    for outcome in report.skipped:
        yield f"- suite {escaped(outcome.name)} was skipped: {escaped(outcome.reason)}"
    for remark in report.remarks:
        yield f"- {escaped(remark)}"


def _add_failures(page: _Page, report: Report) -> None:
    with page.part((*_head((*_HEADS, "where to look")),), ("",)) as table:
        table.add_rows(
            (verdict.name, _row((*_cells(verdict), escaped(look_words(verdict)))))
            for verdict in report.failures
        )
    with page.part((), ("",)) as sentences:
        sentences.add_all(
            f"- `{_code(verdict.name)}`: {escaped(verdict.sentence)}"
            for verdict in report.failures
            if verdict.metric.gate is not Gate.LIMIT
        )


def _add_others(page: _Page, report: Report) -> None:
    """How many times as long other systems take, a row for each stage."""
    if not report.others:
        return
    opening = f"**Beside others**: {OTHERS_METHOD}"
    with page.part((opening, "", *_head(("stage", *map(escaped, report.others)))), ("",)) as table:
        table.add_all(_row((escaped(stage), *ratios)) for stage, ratios in report.others_by_stage)


def _notable(report: Report) -> Iterator[str]:
    for status in (Status.BETTER, Status.UNDECIDED, Status.NEW):
        found = report.of(status)
        named = [f"`{_code(v.name)}`{_by(v)}" for v in found[:_NAMED]]
        more = [f"and {len(found) - _NAMED} more"] if len(found) > _NAMED else []
        if found:
            yield f"{status.value.capitalize()}: {', '.join([*named, *more])}"


def _by(verdict: Verdict) -> str:
    return "" if verdict.change is None else f" {escaped(change_words(verdict))}"


def _add_metrics(page: _Page, report: Report, listed: Sequence[Verdict]) -> None:
    left_out = len(report.verdicts) - len(listed)
    what = f"All {len(report.verdicts)} metrics"
    if left_out:
        what = f"Metrics by suite, {left_out} that are ok left out"
    with page.part(*_folded(what)) as metrics:
        for suite, verdicts in groupby(listed, key=lambda verdict: verdict.metric.suite):
            with metrics.part((f"**{escaped(suite)}**", "", *_head(_HEADS)), ("",)) as table:
                table.add_rows((verdict.name, _row(_cells(verdict))) for verdict in verdicts)


def _add_values(page: _Page, report: Report) -> None:
    """The values of a run of one side."""
    if report.verdicts:
        return
    values, metric_of = report.record.candidate.values, report.catalogue.metric
    with page.part((*_head(("metric", "typical")),), ("",)) as table:
        table.add_rows(
            (name, _value_row(metric_of(name), name, values[name]))
            for name in report.catalogue.ordered(values)
        )


def _value_row(metric: Metric, name: str, samples: Samples) -> str:
    return _row((_title(metric.title, name), escaped(typical_words(metric, samples))))


def _add_circumstances(page: _Page, report: Report) -> None:
    record = report.record
    with page.part(*_folded("Machine and method")) as inside:
        inside.add(" ".join(map(escaped, METHOD)), "")
        inside.add(f"Started {escaped(record.started)}; `{_code(' '.join(record.command))}`", "")
        with inside.part((*_head(("machine", "before", "after")),), ("",)) as table:
            table.add_all(_machine(record))
        with inside.part((*_head(("suite", "", "time")),), ("",)) as table:
            table.add_all(
                _row((escaped(o.name), o.status.value, duration(o.seconds)))
                for o in record.outcomes
            )
        with inside.part((), ("",)) as notes:
            for side in filter(None, (record.base, record.candidate)):
                notes.add_all(f"- {escaped(side.label)}: {escaped(note)}" for note in side.notes)


def _machine(record: Record) -> Iterator[str]:
    after = dict(flattened(record.machine_after))
    for name, value in flattened(record.machine):
        later = after.get(name, "")
        yield _row((escaped(name), escaped(value), "" if later == value else escaped(later)))


def _folded(summary: str) -> tuple[Sequence[str], Sequence[str]]:
    """What stands before and after lines that a click shows; these end with an empty one."""
    return (f"<details><summary>{summary}</summary>", ""), ("</details>", "")


def _cells(verdict: Verdict) -> tuple[str, ...]:
    status = verdict.status.value
    base, candidate = values_words(verdict)
    return (
        f"**{status}**" if verdict.failed or verdict.status is Status.UNUSABLE else status,
        _title(verdict.metric.title, verdict.name),
        *map(escaped, (base, candidate, change_words(verdict), interval_words(verdict))),
        escaped(tolerance(verdict.metric)),
    )


def _head(names: Sequence[str]) -> Iterator[str]:
    words = ("", "metric", "stage", "where to look", "machine", "suite", "before", "after")
    yield _row(names)
    yield "|" + "|".join("---" if name in words else "--:" for name in names) + "|"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _title(title: str, name: str) -> str:
    return f"{escaped(title)} `{_code(name)}`"


def _code(text: str) -> str:
    """Inside backticks, in a table: neither may end there."""
    return _cut(one_line(text)).replace("`", "'").replace("|", "\\|")


def escaped(text: str) -> str:
    """The text on one line; what Markdown, HTML or a forge would read is escaped.

    A text of more than 1,000 characters loses its middle.
    """
    marked = _MARKUP.sub(r"\\\1", _cut(one_line(text)))
    plain = marked.replace("\\&", "&amp;").replace("\\<", "&lt;")
    return plain.replace("://", ":&#47;&#47;").replace("www.", "www&#46;").replace("@", "&#64;")


def _cut(text: str) -> str:
    """A text too long without its middle: what happened stands first or last."""
    half = _LONGEST // 2
    return text if len(text) <= _LONGEST else f"{text[:half]} … {text[-half:]}"
