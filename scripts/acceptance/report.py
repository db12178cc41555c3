"""The report of a run: one JSON, one Markdown, and a plot beside it for each that was drawn."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sambert_trt.runtime.audio import replaced_file

from .plots import svg_from_plot
from .results import Cell, Outcome, Result, Status, Table, Target
from .sections import passed, targets

__all__ = ["SCHEMA", "Report", "markdown", "write_report"]

SCHEMA = 1
_FULL_SIZE = 10_000_000
_MARKS = {
    Status.PASSED: "passed",
    Status.FAILED: "**failed**",
    Status.NOT_RUN: "not run",
    Status.RUNNING: "**unfinished**",
    Status.INTERRUPTED: "**interrupted**",
}


@dataclass
class Report:
    """What a run is about, and what it found so far.

    Attributes:
        command: how it was started.
        scale: full or quick, and the counts.
        complete: whether the run came to its end.
    """

    command: Sequence[str]
    started: str
    machine: Mapping[str, Any]
    voice: Mapping[str, Any]
    scale: Mapping[str, Any]
    outcomes: Sequence[Outcome] = ()
    finished: str = ""
    clocks_after: Mapping[str, Any] = field(default_factory=dict)
    complete: bool = False

    @property
    def verdict(self) -> str:
        """passed, failed, or unfinished."""
        if not self.complete:
            return "unfinished"
        return "passed" if passed(self.outcomes) else "failed"

    def as_dict(self) -> dict[str, Any]:
        """The JSON form; what is no finite number is null."""
        data = {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "complete": self.complete,
            "command": list(self.command),
            "started": self.started,
            "finished": self.finished,
            "scale": dict(self.scale),
            "machine": dict(self.machine),
            "clocks_after": dict(self.clocks_after),
            "voice": dict(self.voice),
            "targets": [target.as_dict() for target in targets(self.outcomes)],
            "sections": [outcome.as_dict() for outcome in self.outcomes],
        }
        found: dict[str, Any] = _plain(data)
        return found


def write_report(report: Report, json_path: Path, markdown_path: Path) -> None:
    """Writes both files and the plots, each whole or not at all.

    Raises:
        OutputError: one cannot be written.
    """
    _write(json_path, json.dumps(report.as_dict(), ensure_ascii=False, indent=1) + "\n")
    for outcome in report.outcomes:
        for plot in outcome.result.plots:
            _write(
                markdown_path.with_name(_plot_name(markdown_path, plot.name)), svg_from_plot(plot)
            )
    _write(markdown_path, markdown(report, markdown_path))


def markdown(report: Report, path: Path) -> str:
    """The report for people; `path` is where it will lie, and names the plots beside it."""
    lines = [
        "# GPU acceptance",
        "",
        f"Verdict: **{report.verdict}**. Started {report.started}, "
        f"{f'finished {report.finished}' if report.finished else 'not finished'}.",
        "",
        *_heading(report),
        *_targets(targets(report.outcomes), report.voice),
        *_overview(report.outcomes),
    ]
    for outcome in report.outcomes:
        if outcome.status is not Status.NOT_RUN or outcome.result.checks:
            lines += _section(outcome, path)
    return "\n".join(lines) + "\n"


def _heading(report: Report) -> Iterator[str]:
    machine, voice = report.machine, report.voice
    card = machine.get("card", {})
    processor = machine.get("processor", {})
    if "absent" in card:
        yield f"* card: none ({card['absent']})"
    else:
        yield f"* card: {card.get('name')}, {card.get('target')}, CUDA {card.get('newest_cuda')}"
    yield f"* driver: {_listed(machine.get('driver', {}))}"
    yield f"* TensorRT: {machine.get('used') or 'none'}"
    yield f"* clocks before: {_listed(machine.get('clocks', {})) or 'unknown'}"
    yield f"* clocks after: {_listed(report.clocks_after) or 'unknown'}"
    yield (
        f"* processor: {processor.get('processor')}, {processor.get('cores')} cores, "
        f"{processor.get('system')}, Python {processor.get('python')}"
    )
    yield f"* versions: {_listed(machine.get('versions', {}))}"
    yield f"* revision: {machine.get('revision')}"
    yield f"* voice: {_listed(voice)}"
    yield f"* scale: {_listed(report.scale)}"
    yield f"* command: `{' '.join(report.command)}`"
    yield ""


def _targets(found: Sequence[Target], voice: Mapping[str, Any]) -> Iterator[str]:
    rows = tuple((t.name, t.limit, t.value, t.unit, t.verdict, t.source) for t in found)
    columns = ("target", "at most", "measured", "", "verdict", "section")
    yield from _table(Table("Targets for an RTX card of 8 GB", columns, rows), level=2)
    if voice.get("parameters", _FULL_SIZE) < _FULL_SIZE:
        yield (
            f"The targets are for a full-size voice of 17 million parameters; this one has "
            f"{voice['parameters'] / 1e6:.2f} million.\n"
        )


def _overview(outcomes: Sequence[Outcome]) -> Iterator[str]:
    rows = tuple((o.name, o.title, _MARKS[o.status], o.seconds, o.reason) for o in outcomes)
    yield from _table(
        Table("Sections", ("section", "what", "outcome", "s", "reason"), rows), level=2
    )


def _section(outcome: Outcome, path: Path) -> Iterator[str]:
    yield f"## {outcome.title} (`{outcome.name}`): {_MARKS[outcome.status]}"
    yield ""
    if outcome.reason:
        yield f"{outcome.reason}\n"
    yield from _found(outcome.result)
    for plot in outcome.result.plots:
        yield f"![{plot.title}]({_plot_name(path, plot.name)})\n"


def _found(result: Result) -> Iterator[str]:
    for check in result.checks:
        yield f"* {'passed' if check.passed else '**failed**'}: {check.name}: {check.found}"
    if result.checks:
        yield ""
    if result.numbers:
        rows = tuple(result.numbers.items())
        yield from _table(Table("", ("number", "value"), rows))
    for table in result.tables:
        yield from _table(table)
    for note in result.notes:
        yield f"{note}\n"


def _table(table: Table, level: int = 3) -> Iterator[str]:
    if table.title:
        yield f"{'#' * level} {table.title}\n"
    if not table.rows:
        yield "nothing\n"
        return
    yield f"| {' | '.join(table.columns)} |"
    yield "|" + "---|" * len(table.columns)
    for row in table.rows:
        yield f"| {' | '.join(map(_shown, row))} |"
    yield ""


def _shown(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        whole = abs(cell) >= 1000 and math.isfinite(cell)
        return f"{cell:,.0f}" if whole else f"{cell:.4g}"
    return str(cell).replace("|", "\\|").replace("\n", " ")


def _listed(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def _plot_name(path: Path, name: str) -> str:
    return f"{path.stem}-{name.replace(' ', '-')}.svg"


def _plain(value: Any) -> Any:  # noqa: ANN401  # any JSON value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _write(path: Path, text: str) -> None:
    with replaced_file(path) as fresh:
        fresh.write_text(text, encoding="utf-8")
