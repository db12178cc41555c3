"""Line plots as SVG: the few lines that a report needs, without a plotting library to install.

Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from .results import Plot

__all__ = ["svg_from_plot", "ticked_range", "ticks"]

_WIDTH, _HEIGHT = 760, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 190, 52, 44
_COLOURS = ("#1b6ca8", "#c8553d", "#4c956c", "#8e5aa8", "#b08900", "#2f4858", "#d1495b", "#00798c")
_TICKS = 5
_MARKED = 40
"""Up to so many points are marked one by one."""


def svg_from_plot(plot: Plot) -> str:
    """The plot as an SVG document; points that are no finite numbers are left out."""
    lines = {name: _finite(points) for name, points in plot.lines.items()}
    points = [point for line in lines.values() for point in line]
    across = ticked_range([x for x, _ in points])
    up = ticked_range([y for _, y in points])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="11">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        _text(_LEFT, 20, plot.title, size=13),
        *_grid(across, up),
        _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, plot.x, anchor="middle"),
        _text(_LEFT, _TOP - 12, plot.y),
        *_drawn(lines, across, up),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _finite(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]


def ticked_range(values: Sequence[float]) -> tuple[float, float]:
    """Least and largest, widened to whole ticks."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if high - low < 1e-12:
        spread = max(abs(low), 1.0) / 2
        low, high = low - spread, high + spread
    tick = _tick((low, high))
    return math.floor(low / tick + 1e-9) * tick, math.ceil(high / tick - 1e-9) * tick


def _tick(span: tuple[float, float]) -> float:
    """The distance of ticks: 1, 2 or 5 times a power of ten, about `_TICKS` of them."""
    rough = (span[1] - span[0]) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough)


def ticks(span: tuple[float, float]) -> list[float]:
    """The places of the ticks of a range that `ticked_range` gave."""
    tick = _tick(span)
    return [tick * n for n in range(round(span[0] / tick), round(span[1] / tick) + 1)]


def _across(x: float, span: tuple[float, float]) -> float:
    return _LEFT + (x - span[0]) / (span[1] - span[0]) * (_WIDTH - _LEFT - _RIGHT)


def _up(y: float, span: tuple[float, float]) -> float:
    return _HEIGHT - _BOTTOM - (y - span[0]) / (span[1] - span[0]) * (_HEIGHT - _TOP - _BOTTOM)


def _grid(across: tuple[float, float], up: tuple[float, float]) -> Iterator[str]:
    for y in ticks(up):
        height = _up(y, up)
        yield (
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{height:.1f}" y2="{height:.1f}" '
            'stroke="#dddddd"/>'
        )
        yield _text(_LEFT - 6, height + 4, f"{y:.6g}", anchor="end")
    for x in ticks(across):
        yield _text(_across(x, across), _HEIGHT - _BOTTOM + 16, f"{x:.6g}", anchor="middle")


def _drawn(
    lines: dict[str, list[tuple[float, float]]],
    across: tuple[float, float],
    up: tuple[float, float],
) -> Iterator[str]:
    for number, (name, points) in enumerate(lines.items()):
        colour, height = _COLOURS[number % len(_COLOURS)], _TOP + 8 + 17 * number
        places = [(_across(x, across), _up(y, up)) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        for x, y in places if len(places) <= _MARKED else ():
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>'
        left = _WIDTH - _RIGHT + 12
        yield f'<rect x="{left}" y="{height - 8}" width="10" height="10" fill="{colour}"/>'
        yield _text(left + 15, height + 1, name)


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 11) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">'
        f"{escape(text)}</text>"
    )
