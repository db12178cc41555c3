"""How metrics went on from run to run: as lines for a terminal and as pictures.

Runs on different machines, or with different voices, backends and precisions, and values measured
by different methods are lines of their own: nothing is ever joined or compared across them. Where
the versions of Python or of packages change, a line goes on, and says so.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sambert_trt.engines.errors import InputError

from .catalogue import Catalogue, Metric
from .inference import middle
from .machine import machine_name
from .page import page, text
from .plots import Point, trend
from .record import Record, Samples, Side
from .store import History
from .suite import SIDES
from .words import direction, one_line, quantity, step

__all__ = ["history_html", "history_lines", "matching", "trends"]

_SHOWN = 12
"""Of a line's runs, as many are printed; pictures show all."""


@dataclass(frozen=True)
class Run:
    """One value in a line: when, of what commit, its samples, the versions, the typical value."""

    place: int
    started: str
    revision: str
    samples: Samples
    versions: Mapping[str, str]
    middle: float


def matching(records: Sequence[Record], catalogue: Catalogue, pattern: str | None) -> list[str]:
    """The measured names that a pattern (`stage.*`, or one of the catalogue) means.

    Raises:
        InputError: none does.
    """
    names = {name for record in records for name in record.candidate.values}
    known = names - {*catalogue.unknown(names)}
    if pattern is None:
        return catalogue.ordered(known)
    found = [name for name in known if is_meant(name, catalogue, pattern)]
    if not found:
        held = ", ".join(sorted({catalogue.metric(name).name for name in known})) or "none"
        raise InputError(f"no metric {pattern!r} in the history; it holds {held}")
    return catalogue.ordered(found)


def is_meant(name: str, catalogue: Catalogue, pattern: str) -> bool:
    """Whether a name fits a pattern, begins with it, or is of that metric of the catalogue."""
    fits = fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")
    return fits or catalogue.metric(name).name == pattern


def lines_of_metric(
    records: Sequence[Record], metric: Metric, name: str
) -> Mapping[str, Sequence[Run]]:
    """The runs with a metric by machine, what was measured and by which method, oldest first.

    Runs whose trees were edited meanwhile are of no revision and in no line.
    """
    lines: dict[str, list[Run]] = {}
    for place, record in enumerate(sorted(records, key=lambda record: record.started)):
        samples = record.candidate.values.get(name)
        mixed = any(outcome.name == SIDES for outcome in record.outcomes)
        if samples is not None and samples.all and not mixed:
            named = (record.started, _revision(record.candidate))
            typical = middle(samples, metric.scale)
            run = Run(place, *named, samples, _versions(record), typical)
            lines.setdefault(line_name(record, metric), []).append(run)
    return lines


def line_name(record: Record, metric: Metric) -> str:
    """What has to be alike for two runs to stand in one line; the first method goes unsaid."""
    found, method = record.candidate.identity, record.candidate.method(metric.name)
    parts = [machine_name(record.machine)]
    if found is not None:
        facts = (found.voice, found.weights[:8], found.precision, found.backend, found.threads)
        parts.append(f"{' '.join(map(str, facts))} thread(s)")
    if method != 1:
        parts.append(f"method {method}")
    return "; ".join(parts)


def version_changes(runs: Sequence[Run]) -> dict[int, str]:
    """By a run's place, what is of another version than in the line's run before it."""
    found: dict[int, str] = {}
    for before, now in itertools.pairwise(runs):
        names = sorted({*before.versions, *now.versions})
        changed = [name for name in names if before.versions.get(name) != now.versions.get(name)]
        if changed:
            pairs = ((n, *(run.versions.get(n, "none") for run in (before, now))) for n in changed)
            found[now.place] = ", ".join(f"{n} {was} -> {new}" for n, was, new in pairs)
    return found


def history_lines(history: History, catalogue: Catalogue, pattern: str | None) -> Iterator[str]:
    """The trend as text: a block a metric, in it a line for each machine's last runs."""
    for note in history.notes:
        yield f"left out: {one_line(note)}"
    for name in matching(history.records, catalogue, pattern):
        metric = catalogue.metric(name)
        yield f"\n{name}  {metric.title}, {direction(metric)}"
        for machine, runs in lines_of_metric(history.records, metric, name).items():
            yield f"  {machine}: {len(runs)} run{'s' if len(runs) > 1 else ''}"
            changes = version_changes(runs)
            for run in runs[-_SHOWN:]:
                value = quantity(run.middle, metric.unit)
                told = f"  {changes[run.place]}" if run.place in changes else ""
                yield f"    {_date(run.started)}  {run.revision:14} {value:>12}{told}"


def history_html(history: History, catalogue: Catalogue, pattern: str | None) -> str:
    """The trend as a page."""
    names = matching(history.records, catalogue, pattern)
    content = ["<section>", *(f"<p>left out: {text(note)}</p>" for note in history.notes)]
    joined = "Runs of different machines, voices, backends and methods are never joined."
    content.append(f"<p>{joined}</p>")
    content += [*trends(history.records, catalogue, names), "</section>"]
    runs = len(history.records)
    return page("perf: history", f"{runs} runs, {len(names)} metrics", content)


def trends(records: Sequence[Record], catalogue: Catalogue, names: Sequence[str]) -> Iterator[str]:
    """A picture for each metric, as lines of HTML."""
    for name in names:
        lines = lines_of_metric(records, catalogue.metric(name), name)
        if lines:
            yield from _figure(name, catalogue, lines)


def _figure(name: str, catalogue: Catalogue, lines: Mapping[str, Sequence[Run]]) -> Iterator[str]:
    metric = catalogue.metric(name)
    most = max(abs(run.middle) for runs in lines.values() for run in runs)
    size, unit = step(most, metric.unit)
    points = {machine: [_point(run) for run in runs] for machine, runs in lines.items()}
    yield f"<figure><h3>{text(metric.title)} <code>{text(name)}</code></h3>"
    yield f"<p>{text(direction(metric))}</p>"
    yield from ('<div class="scroll" tabindex="0">', trend(name, unit, size, points), "</div>")
    for machine, runs in lines.items():
        changes = version_changes(runs)
        for run in runs:
            if run.place in changes:
                told = f"from {_date(run.started)} on, {changes[run.place]} ({machine})"
                yield f"<p>{text(told)}</p>"
    yield "</figure>"


def _point(run: Run) -> Point:
    values = run.samples.all
    return Point(run.place, run.middle, min(values), max(values), _date(run.started))


def _date(started: str) -> str:
    return one_line(started)[:16].replace("T", " ")


def _versions(record: Record) -> dict[str, str]:
    """Of all that values depend on besides the tree, which a change of its own version tells."""
    found = {"python": record.machine.get("python"), **record.machine.get("versions", {})}
    return {name: str(it) for name, it in found.items() if it and name != "sambert-trt"}


def _revision(side: Side) -> str:
    return f"{side.revision[:12] or side.label}{'+' if side.changed else ''}"
