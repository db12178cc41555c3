"""Pictures of a report as SVG inside its page: who is worse, how values lie, how they went on.

Colours are classes of the page's style sheet, so that one picture suits light and dark. Nothing is
told by colour alone. Standard library only.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape

from acceptance.plots import ticked_range, ticks

__all__ = ["Lane", "Point", "Row", "distribution", "forest", "trend"]

_WIDTH = 760
_LEFT, _RIGHT = 210, 28
_ROW = 22
_LETTER = 7.5
"""The width of a bold letter of a name, at most: names are never cut in the overview."""

_LEAST, _MOST = 3.0, 12.0
"""The overview reaches at least and at most so many tolerances to either side. What lies outside is
drawn at the edge, as an arrow; a change itself with its number."""

_DOTS = 200
"""Of a side's samples, as many are drawn."""


@dataclass(frozen=True)
class Row:
    """A metric in the overview, in tolerances: 0 no change, 1 as much worse as it may become."""

    name: str
    centre: float
    low: float
    high: float
    kind: str


@dataclass(frozen=True)
class Lane:
    """Values by session; `kind` is the side, `base` or `cand`."""

    name: str
    kind: str
    sessions: Sequence[Sequence[float]]


@dataclass(frozen=True)
class Point:
    """A run in a trend: its place, median, and the range of its samples."""

    place: int
    middle: float
    low: float
    high: float
    label: str


@dataclass(frozen=True)
class _Axis:
    """Values from left to right, beside names that take `left`."""

    low: float
    high: float
    left: float = _LEFT

    @property
    def right(self) -> float:
        """Where it ends."""
        return self.left + _WIDTH - _LEFT - _RIGHT

    def at(self, value: float) -> float:
        """The place of a value."""
        return self.left + (value - self.low) / (self.high - self.low) * (self.right - self.left)

    def holds(self, value: float) -> bool:
        """Whether a value lies inside."""
        return self.low <= value <= self.high

    def clipped(self, value: float) -> float:
        """The value, or the end that it lies beyond."""
        return 0.0 if math.isnan(value) else min(max(value, self.low), self.high)


def forest(rows: Sequence[Row]) -> str:
    """Every interval on one axis, the tolerance marked; what lies right of it is worse."""
    height = 58 + _ROW * len(rows)
    left = max([_LEFT, *(24 + _LETTER * len(row.name) for row in rows)])
    axis = _Axis(-_reach([-row.centre for row in rows]), _reach([r.centre for r in rows]), left)
    marks = range(math.ceil(axis.low), math.floor(axis.high) + 1)
    every = 1 if len(marks) <= 13 else 2
    parts = [*_ground(axis, [m for m in marks if m % every == 0], 26, height - 34)]
    parts += [_upright(axis.at(place), 26, height - 34, "limit") for place in (-1, 1)]
    parts += [_text(axis.at(1), 16, "tolerance", "middle", "soft")]
    parts += [
        _text(axis.at(axis.low), height - 4, "← better", "start", "soft"),
        _text(axis.at(axis.high), height - 4, "worse, in tolerances →", "end", "soft"),
    ]
    for number, row in enumerate(rows):
        parts += _whisker(row, axis, 40 + _ROW * number)
    label = "The change of each metric with its interval, in tolerances"
    return _svg(height, label, parts, axis.right + _RIGHT)


def _reach(centres: Sequence[float]) -> float:
    """As far as the changes lie, and some room for their intervals."""
    most = max((centre for centre in centres if math.isfinite(centre)), default=0.0)
    return math.ceil(min(max(1.2 * most, _LEAST), _MOST))


def _whisker(row: Row, axis: _Axis, y: float) -> Iterator[str]:
    low, high, centre = (axis.at(axis.clipped(v)) for v in (row.low, row.high, row.centre))
    yield f'<g class="{row.kind}"><title>{escape(row.name)}</title>'
    yield _text(axis.left - 12, y + 4, row.name, "end")
    yield f'<line class="ink" x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}"/>'
    for value, place in ((row.low, low), (row.high, high)):
        yield _end(axis, value, place, y)
    if axis.holds(row.centre):
        yield f'<circle class="dot" cx="{centre:.1f}" cy="{y}" r="4"/>'
    elif math.isfinite(row.centre):
        beside, anchor = (-8, "end") if row.centre > 0 else (8, "start")
        yield _text(centre + beside, y - 4, f"{row.centre:,.0f}", anchor, "soft")
    yield "</g>"


def _end(axis: _Axis, value: float, place: float, y: float) -> str:
    """A stroke across, an arrow where the value lies outside, or nothing where it is none."""
    if math.isnan(value):
        return ""
    if axis.holds(value):
        return f'<line class="ink" x1="{place:.1f}" x2="{place:.1f}" y1="{y - 4}" y2="{y + 4}"/>'
    tip = 7 if value > 0 else -7
    corners = f"{place:.1f},{y - 5} {place + tip:.1f},{y} {place:.1f},{y + 5}"
    return f'<polygon class="dot" points="{corners}"/>'


def distribution(title: str, unit: str, scale: float, lanes: Sequence[Lane]) -> str:
    """Every sample of the sides, the middle half as a box and the median as a stroke.

    Args:
        scale: the size of `unit` in the unit of the samples, e.g. 1e-3 for ms.
    """
    shown = [replace(lane, sessions=_scaled(lane.sessions, scale)) for lane in lanes]
    span = ticked_range([value for lane in shown for s in lane.sessions for value in s])
    axis = _Axis(*span)
    height = 46 + 54 * len(shown)
    parts = [*_ground(axis, ticks(span), 8, height - 36)]
    for number, lane in enumerate(shown):
        parts += _lane(lane, axis, 35 + 54 * number)
    parts.append(_text(_WIDTH - _RIGHT, height - 4, unit, "end", "soft"))
    return _svg(
        height, f"{title}: the samples of {' and '.join(lane.name for lane in lanes)}", parts
    )


def _scaled(sessions: Sequence[Sequence[float]], scale: float) -> list[list[float]]:
    return [[value / scale for value in s if math.isfinite(value)] for s in sessions]


def _lane(lane: Lane, axis: _Axis, y: float) -> Iterator[str]:
    values = [value for session in lane.sessions for value in session]
    yield f'<g class="{lane.kind}">'
    yield _text(_LEFT - 12, y, _shortened(lane.name), "end")
    yield _text(_LEFT - 12, y + 14, _counted(len(values), len(lane.sessions)), "end", "soft")
    if values:
        yield from _box(values, axis, y)
    chance = random.Random(0)  # where dots lie beside each other, not a secret
    for value in _picked(values):
        wide = y + chance.uniform(-11, 11)
        yield f'<circle class="dot faint" cx="{axis.at(value):.1f}" cy="{wide:.1f}" r="2.6"/>'
    yield "</g>"


def _picked(values: Sequence[float]) -> list[float]:
    """Of many values `_DOTS`, evenly by rank, the ends among them."""
    ordered, most = sorted(values), min(len(values), _DOTS)
    return [ordered[number * (len(ordered) - 1) // max(most - 1, 1)] for number in range(most)]


def _box(values: Sequence[float], axis: _Axis, y: float) -> Iterator[str]:
    many = [*values, *values] if len(values) == 1 else values
    quarters = statistics.quantiles(many, n=4, method="inclusive")
    low, middle, high = (axis.at(value) for value in quarters)
    yield (
        f'<rect class="box" x="{low:.1f}" y="{y - 15}" width="{high - low:.1f}" height="30" '
        'rx="3"/>'
    )
    yield f'<line class="middle" x1="{middle:.1f}" x2="{middle:.1f}" y1="{y - 17}" y2="{y + 17}"/>'


def trend(title: str, unit: str, scale: float, lines: Mapping[str, Sequence[Point]]) -> str:
    """A metric over runs: a line a machine, never one from machine to machine.

    Args:
        scale: the size of `unit` in the unit of the points.
    """
    points = [point for line in lines.values() for point in line]
    up = ticked_range([v / scale for p in points for v in (p.low, p.high) if math.isfinite(v)])
    runs = (min((p.place for p in points), default=0), max((p.place for p in points), default=1))
    bottom, height = 190, 230 + 18 * len(lines)
    parts = [*_levels(up, 20, bottom), _text(60, 12, unit, "end", "soft")]
    for place, label in sorted({(p.place, p.label) for p in _ends(points)}):
        parts.append(_text(_run(place, runs), bottom + 18, label, "middle", "soft"))
    for number, (name, line) in enumerate(lines.items()):
        parts += _trend_line(line, runs, up, scale, (20, bottom), number)
        parts += _key(name, number, bottom + 40 + 18 * number)
    return _svg(height, f"{title} over the runs of {len(lines)} machines", parts)


def _ends(points: Sequence[Point]) -> Iterable[Point]:
    """The first run and the last, whose dates stand below the axis."""
    by_place = sorted(points, key=lambda point: point.place)
    return [by_place[0], by_place[-1]] if by_place else []


def _trend_line(
    line: Sequence[Point],
    runs: tuple[int, int],
    up: tuple[float, float],
    scale: float,
    room: tuple[int, int],
    number: int,
) -> Iterator[str]:
    def height(value: float) -> float:
        return room[1] - (value / scale - up[0]) / (up[1] - up[0]) * (room[1] - room[0])

    places = [(_run(p.place, runs), height(p.middle)) for p in line]
    yield f'<g class="line{number % 4}">'
    yield f'<polyline class="ink" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>'
    for point, (x, y) in zip(line, places, strict=True):
        yield (
            f'<line class="ink faint" x1="{x:.1f}" x2="{x:.1f}" y1="{height(point.low):.1f}" '
            f'y2="{height(point.high):.1f}"/>'
        )
        yield _mark(x, y, number, f"{point.label}: {point.middle / scale:.6g}")
    yield "</g>"


def _key(name: str, number: int, y: float) -> Iterator[str]:
    yield f'<g class="line{number % 4}">{_mark(82, y, number, name)}</g>'
    yield _text(96, y + 4, name, "start", "soft")


def _mark(x: float, y: float, number: int, title: str) -> str:
    """A machine's own shape: circle, square, diamond, triangle."""
    shapes = (
        f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3.6">',
        f'<rect class="dot" x="{x - 3.4:.1f}" y="{y - 3.4:.1f}" width="6.8" height="6.8">',
        f'<polygon class="dot" points="{x:.1f},{y - 5:.1f} {x + 5:.1f},{y:.1f} {x:.1f},{y + 5:.1f} '
        f'{x - 5:.1f},{y:.1f}">',
        f'<polygon class="dot" points="{x:.1f},{y - 5:.1f} {x + 5:.1f},{y + 4:.1f} '
        f'{x - 5:.1f},{y + 4:.1f}">',
    )
    shape = shapes[number % len(shapes)]
    return f"{shape}<title>{escape(title)}</title></{shape[1:].split(' ', 1)[0]}>"


def _run(place: int, runs: tuple[int, int]) -> float:
    wide = _WIDTH - _RIGHT - 40
    return 82 + (wide - 82) * (place - runs[0]) / max(runs[1] - runs[0], 1)


def _levels(span: tuple[float, float], top: float, bottom: float) -> Iterator[str]:
    for value in ticks(span):
        y = bottom - (value - span[0]) / (span[1] - span[0]) * (bottom - top)
        yield f'<line class="grid" x1="68" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield _text(60, y + 4, f"{value:.6g}", "end", "soft")


def _ground(axis: _Axis, marks: Iterable[float], top: float, bottom: float) -> Iterator[str]:
    for value in marks:
        x = axis.at(value)
        yield _upright(x, top, bottom, "grid")
        yield _text(x, bottom + 15, f"{value:.6g}", "middle", "soft")


def _upright(x: float, top: float, bottom: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>'


def _shortened(text: str, most: int = 30) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _counted(values: int, sessions: int) -> str:
    return f"{values} in {sessions} process{'es' if sessions != 1 else ''}"


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{escape(text)}</text>'


def _svg(height: float, label: str, parts: Iterable[str], width: float = _WIDTH) -> str:
    return "\n".join(
        (
            f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {width:.0f} {height:.0f}">',
            *parts,
            "</svg>",
        )
    )
