"""A report as one HTML page: tables and pictures inside it, nothing from elsewhere, no scripts.

Light or dark as the reader has it. Every text is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from .catalogue import Better, Gate, Scale
from .gate import Status, Verdict
from .history import trends
from .page import TABLE_END, lines_of, marked, page, table_head, text
from .plots import Lane, Row, distribution, forest
from .record import Side
from .report import (
    METHOD,
    OTHERS_METHOD,
    Report,
    change_words,
    interval_words,
    look_words,
    side_words,
    typical_words,
    values_words,
)
from .words import direction, duration, flattened, quantity, step, tolerance

__all__ = ["html"]

_HEADS = ("verdict", "metric", "base", "candidate", "change", "95 %", "tolerance")


def html(report: Report) -> str:
    """The text of the page."""
    return page(
        f"perf: {report.colour}",
        f"{report.sides}, {report.record.started}",
        [
            *_lead(report),
            *_notable(report),
            *_others(report),
            *_overview(report),
            *_distributions(report),
            *_trends(report),
            *_all(report),
            *_circumstances(report),
        ],
    )


def _lead(report: Report) -> Iterator[str]:
    yield '<section class="lead" aria-label="Verdict">'
    kind = _class(report.colour)
    yield f'<p class="verdict {kind}">{text(report.headline)}</p>'
    if report.verdicts:
        yield '<ul class="tiles">'
        for name, verdicts in _counted(report):
            yield (
                f'<li class="tile"><span class="label">{name}</span> '
                f"<strong>{len(verdicts)}</strong></li>"
            )
        yield "</ul>"
    yield from _items(report)
    yield "</section>"


def _counted(report: Report) -> Iterator[tuple[str, list[Verdict]]]:
    yield "worse or missing", report.of(Status.WORSE, Status.MISSING)
    if report.of(Status.UNUSABLE):
        yield Status.UNUSABLE.value, report.of(Status.UNUSABLE)
    for status in (Status.BETTER, Status.UNDECIDED, Status.OK, Status.NOT_JUDGED, Status.NEW):
        yield status.value, report.of(status)


def _items(report: Report) -> Iterator[str]:
    items = [
        f'<li><span class="crashed">suite {text(o.name)} crashed</span>'
        f'<pre tabindex="0"><code>{lines_of(o.reason)}</code></pre></li>'
        for o in report.crashed
    ]
    items += [f"<li>suite {text(o.name)} skipped: {text(o.reason)}</li>" for o in report.skipped]
    items += [f"<li>{text(remark)}</li>" for remark in report.remarks]
    if items:
        yield from ("<ul>", *items, "</ul>")


def _notable(report: Report) -> Iterator[str]:
    found = [*report.failures, *report.of(Status.BETTER, Status.UNDECIDED, Status.NEW)]
    if not found:
        return
    yield from ("<section>", "<h2>What changed, and what is open</h2>")
    yield from table_head(_HEADS, "What changed")
    for verdict in found:
        yield f'<tr class="first">{"".join(_cells(verdict))}</tr>'
        words = f"{text(verdict.sentence)}<small>{marked(look_words(verdict))}</small>"
        yield f'<tr><td></td><td colspan="{len(_HEADS) - 1}">{words}</td></tr>'
    yield from (TABLE_END, "</section>")


def _others(report: Report) -> Iterator[str]:
    if not report.others:
        return
    systems = list(report.others)
    yield from ("<section>", "<h2>Beside others</h2>")
    yield f"<p>{text(OTHERS_METHOD[0].upper() + OTHERS_METHOD[1:])}</p>"
    yield from table_head(("stage", *systems), "Beside others", numbers=systems)
    for stage, ratios in report.others_by_stage:
        cells = "".join(f'<td class="number">{text(ratio)}</td>' for ratio in ratios)
        yield f'<tr><th scope="row">{text(stage)}</th>{cells}</tr>'
    yield from (TABLE_END, "</section>")


def _overview(report: Report) -> Iterator[str]:
    rows = [row for row in map(_row, report.verdicts) if row is not None]
    if rows:
        yield from ("<section>", "<h2>How sure it is</h2>")
        yield (
            "<p>Each metric that varies, with its 95 % interval, in its own tolerances. It fails "
            "where the whole interval lies right of the dashed line at 1, twice.</p>"
        )
        yield from ('<div class="scroll" tabindex="0">', forest(rows), "</div>", "</section>")


def _row(verdict: Verdict) -> Row | None:
    """The change in tolerances, worse to the right; of a ratio in logarithms."""
    metric, found = verdict.metric, verdict.change
    if found is None or metric.gate is not Gate.PAIRED or not metric.tolerance:
        return None
    sign = 1 if metric.better is Better.LOWER else -1
    shares = [sign * _tolerances(verdict, v) for v in (found.estimate, found.low, found.high)]
    return Row(verdict.name, shares[0], min(shares), max(shares), _kind(verdict))


def _tolerances(verdict: Verdict, value: float) -> float:
    metric = verdict.metric
    return (value - 1 if metric.scale is Scale.RATIO else value) / metric.tolerance


def _distributions(report: Report) -> Iterator[str]:
    varied = [v for v in report.failures if v.metric.gate is not Gate.LIMIT]
    failing = [v for v in varied if _lanes(report, v)]
    paired = [v for v in report.verdicts if v.metric.gate is Gate.PAIRED and v not in failing]
    yield from _figures("Samples of what failed", report, failing)
    if paired:
        yield from ("<section>", "<h2>Samples</h2>")
        for suite, verdicts in groupby(paired, key=lambda verdict: verdict.metric.suite):
            yield f"<details><summary>{text(suite)}</summary>"
            yield from (line for verdict in verdicts for line in _figure(report, verdict))
            yield "</details>"
        yield "</section>"


def _figures(title: str, report: Report, verdicts: Sequence[Verdict]) -> Iterator[str]:
    if verdicts:
        yield from ("<section>", f"<h2>{text(title)}</h2>")
        yield from (line for verdict in verdicts for line in _figure(report, verdict))
        yield "</section>"


def _figure(report: Report, verdict: Verdict) -> Iterator[str]:
    lanes = _lanes(report, verdict)
    if not lanes:
        return
    metric = verdict.metric
    size, unit = step(max(abs(v) for lane in lanes for s in lane.sessions for v in s), metric.unit)
    yield f"<figure><h3>{text(metric.title)} <code>{text(verdict.name)}</code></h3>"
    yield f"<p>{text(verdict.sentence)}; {text(direction(metric))}. {marked(metric.how)}</p>"
    drawing = distribution(verdict.name, unit, size, lanes)
    yield from ('<div class="scroll" tabindex="0">', drawing, "</div></figure>")


def _lanes(report: Report, verdict: Verdict) -> list[Lane]:
    """Base and candidate, and both again where there was a second look."""
    looks = [(report.samples(verdict.name), "")]
    if report.record.second_look is not None:
        base, candidate = (side.get(verdict.name) for side in report.record.second_look)
        looks.append(((base, candidate), ", again"))
    return [
        Lane(f"{name}{again}", name[:4], samples.sessions)
        for pair, again in looks
        for name, samples in zip(("base", "candidate"), pair, strict=True)
        if samples is not None and samples.all
    ]


def _trends(report: Report) -> Iterator[str]:
    if not report.history:
        return
    records = [*report.history, report.record]
    failing = [verdict.name for verdict in report.failures]
    rest = [n for n in report.catalogue.ordered(report.record.candidate.values) if n not in failing]
    yield from ("<section>", "<h2>Trends</h2>")
    yield "<p>A line is one machine, voice and method; runs of different ones are never joined.</p>"
    yield from trends(records, report.catalogue, failing)
    for suite, names in groupby(rest, key=lambda name: report.catalogue.metric(name).suite):
        yield f"<details><summary>{text(suite)}</summary>"
        yield from trends(records, report.catalogue, list(names))
        yield "</details>"
    yield "</section>"


def _all(report: Report) -> Iterator[str]:
    yield from ("<section>", "<h2>All metrics</h2>")
    if report.verdicts:
        for suite, verdicts in groupby(report.verdicts, key=lambda v: v.metric.suite):
            yield f"<details><summary>{text(suite)}</summary>"
            yield from table_head(_HEADS, suite)
            yield from (f"<tr>{''.join(_cells(verdict))}</tr>" for verdict in verdicts)
            yield f"{TABLE_END}</details>"
    else:
        yield from _one_side(report.record.candidate, report)
    yield "</section>"


def _one_side(side: Side, report: Report) -> Iterator[str]:
    yield from table_head(("metric", "typical", "from", "to"), "Values")
    for name in report.catalogue.ordered(side.values):
        metric, samples = report.catalogue.metric(name), side.values[name]
        ends = (quantity(end, metric.unit) for end in (min(samples.all), max(samples.all)))
        cells = "".join(
            f'<td class="number">{text(words)}</td>'
            for words in (typical_words(metric, samples), *ends)
        )
        yield f"<tr>{_name_cell(metric.title, name)}{cells}</tr>"
    yield TABLE_END


def _circumstances(report: Report) -> Iterator[str]:
    record = report.record
    yield from ("<section>", "<h2>Machine and method</h2>")
    yield f"<p>{text(' '.join(METHOD))}</p>"
    yield f'<pre tabindex="0"><code>{text(" ".join(record.command))}</code></pre>'
    for side in filter(None, (record.base, record.candidate)):
        yield from (f"<p>{text(side_words(side))}: {text(note)}</p>" for note in side.notes)
    yield from table_head(("machine", "before", "after"), "Machine")
    after = dict(flattened(record.machine_after))
    for name, value in flattened(record.machine):
        later = after.get(name, "")
        cells = f"<td>{text(value)}</td><td>{'' if later == value else text(later)}</td>"
        yield f'<tr><th scope="row">{text(name)}</th>{cells}</tr>'
    yield TABLE_END
    yield from _suites(report)
    yield "</section>"


def _suites(report: Report) -> Iterator[str]:
    yield from table_head(("suite", "", "time", "reason"), "Suites")
    for outcome in report.record.outcomes:
        yield (
            f'<tr><th scope="row">{text(outcome.name)}</th><td>{outcome.status.value}</td>'
            f'<td class="number">{duration(outcome.seconds)}</td>'
            f"<td>{text(outcome.reason)}</td></tr>"
        )
    yield TABLE_END


def _cells(verdict: Verdict) -> Iterator[str]:
    values = (*values_words(verdict), change_words(verdict), interval_words(verdict))
    yield f'<td class="{_kind(verdict)} short">{verdict.status.value}</td>'
    yield _name_cell(verdict.metric.title, verdict.name)
    for words in (*values, tolerance(verdict.metric)):
        yield f'<td class="number">{text(words)}</td>'


def _name_cell(title: str, name: str) -> str:
    return f'<th scope="row">{text(title)}<br><code>{text(name)}</code></th>'


def _kind(verdict: Verdict) -> str:
    return _class(verdict.status.value)


def _class(words: str) -> str:
    """The name in the style sheet."""
    return words.replace(" ", "-")
