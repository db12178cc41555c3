"""A report's pictures: stages, budget, sensitivity, spectrograms; for light and for dark pages.

Needs matplotlib, which is imported where something is drawn; it draws into memory (Agg) and leaves
its global state alone. Numpy.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.graphs import Precision, Stage
from sambert_trt.runtime.backend import Array

from .assessment import Cost, Goal, Outcome, Trial
from .recipe import Treatment
from .report_content import spectrogram_name
from .report_facts import Example, Renderings, Report
from .report_words import Standing, cost_of, method_words, standings
from .verdicts import verdict_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

__all__ = [
    "DARK",
    "LIGHT",
    "Look",
    "compacted",
    "drawn_charts",
    "drawn_spectrograms",
    "power_spectrogram",
]

_DPI = 140
_SPECTROGRAM_DPI = 110
_WEBP_QUALITY = 80
_WIDTH = 10.0
_WINDOW, _HOP = 1024, 256
_FLOOR = -80.0
_MOST_DRAWN = 20.0
"""Seconds of a spectrogram: more than that are not told apart at this width."""
_BUDGET = 100.0
_MOST_USED = 900.0
_TICKS = (0, 1, 5, 10, 25, 50, 100, 200, 400, 600, 800, 1000)
_SIDES = ((9, 0), (-9, 0), (0, 9), (0, -9))
_MARKER = 7.0
"""Half the width of a point, pixels."""
_CJK = ("Noto Sans CJK", "Source Han Sans", "Noto Sans SC", "WenQuanYi", "Microsoft YaHei",
        "SimHei", "PingFang", "Heiti", "Hiragino Sans GB", "Droid Sans Fallback")  # fmt: skip


@dataclass(frozen=True)
class Look:
    """The colours of a picture; the two of a pair differ in lightness, too."""

    page: str
    text: str
    soft: str
    grid: str
    before: str
    after: str
    bad: str


LIGHT = Look("#ffffff", "#1b2430", "#56616f", "#dde2e8", "#aab6c3", "#1f5fa8", "#c2410c")
DARK = Look("#1b2128", "#e6eaef", "#a3afbc", "#3a4550", "#5d6b79", "#8ab8f0", "#ffb27a")


def drawn_charts(report: Report, look: Look) -> dict[str, bytes]:
    """Stages, quality and sensitivity of every placement as PNG, by their files' names.

    Raises:
        ImportError: matplotlib is not installed.
    """
    return {name: _png(figure) for name, figure in _charts(report, look)}


def drawn_spectrograms(report: Report, look: Look) -> dict[str, bytes]:
    """A PNG of every example that has renderings, by its file's name.

    Raises:
        ImportError: matplotlib is not installed.
    """
    found = dict[str, bytes]()
    for example in report.examples:
        if example.renderings is not None and example.renderings.reference.size:
            figure = _spectrograms(example, example.renderings, look)
            found[spectrogram_name(example)] = _png(figure)
    return found


def compacted(png: bytes) -> bytes:
    """A picture as WebP: a spectrogram takes a third of its PNG."""
    from PIL import Image

    content = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").save(content, "WEBP", quality=_WEBP_QUALITY)
    return content.getvalue()


def _charts(report: Report, look: Look) -> Iterator[tuple[str, Figure]]:
    _blank(look, 1.0)  # raises where nothing can be drawn, whatever there is to draw
    for outcome in report.outcomes:
        place = outcome.placement.value
        base = report.baseline.get(outcome.placement, {})
        found = {
            f"stages-{place}.png": _stages(outcome, base, look),
            f"quality-{place}.png": _quality(outcome, look),
            f"sensitivity-{place}.png": _sensitivity(outcome, base, look),
        }
        yield from ((name, figure) for name, figure in found.items() if figure is not None)


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", facecolor=figure.get_facecolor())
    return content.getvalue()


def _blank(
    look: Look,
    height: float,
    dpi: int = _DPI,
    layout: Literal["constrained"] | None = "constrained",
) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), dpi=dpi, facecolor=look.page, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def _dress(axes: Axes, look: Look, title: str = "", grid: str = "") -> None:
    axes.set_facecolor(look.page)
    axes.tick_params(colors=look.soft, labelcolor=look.text, labelsize=9, length=3)
    for name, spine in axes.spines.items():
        spine.set_color(look.grid)
        spine.set_visible(name in ("left", "bottom"))
    axes.xaxis.label.set_color(look.text)
    axes.yaxis.label.set_color(look.text)
    if grid:
        axes.grid(axis=grid, color=look.grid, linewidth=0.8)  # type: ignore[arg-type]
        axes.set_axisbelow(True)
    if title:
        axes.set_title(title, loc="left", color=look.text, fontsize=11, fontweight="bold")


def _stages(outcome: Outcome, base: Mapping[Stage, Cost], look: Look) -> Figure | None:
    """Bars: time relative to fp32, and megabytes, of every stage."""
    costs = {s: cost_of(outcome, c, base.get(s)) for s, c in outcome.candidates.items()}
    if not costs:
        return None
    ratios = {s: c.ratio for s, c in costs.items() if c.ratio is not None}
    figure = _blank(look, 1.4 + 0.5 * len(costs))
    axes = figure.subplots(1, 2 if ratios else 1, sharey=True, squeeze=False)[0]
    if ratios:
        unchanged = {
            stage
            for stage, candidate in outcome.candidates.items()
            if candidate.plan.precision is Precision.FP32
        }
        _time_bars(axes[0], costs, unchanged, look)
    _byte_bars(axes[-1], outcome, costs, base, look)
    axes[0].set_yticks(range(len(costs)), [stage.value for stage in costs])
    axes[0].invert_yaxis()
    return figure


def _time_bars(axes: Axes, costs: Mapping[Stage, Cost], unchanged: set[Stage], look: Look) -> None:
    _dress(axes, look, "Time of a run, fp32 = 1", "x")
    most = 1.0
    for row, (stage, cost) in enumerate(costs.items()):
        axes.barh(row - 0.19, 1.0, 0.34, color=look.before)
        ratio = 1.0 if stage in unchanged else cost.ratio
        if ratio is None:
            axes.text(0.02, row + 0.19, "not measured", va="center", fontsize=8, color=look.soft)
            continue
        colour = look.after if ratio <= 1 else look.bad
        axes.barh(row + 0.19, ratio, 0.34, color=colour)
        most = max(most, ratio)
        end = ratio
        if stage not in unchanged and cost.low is not None and cost.high is not None:
            axes.plot([cost.low, cost.high], [row + 0.19] * 2, color=look.text, linewidth=1.5)
            end = max(end, cost.high)
        words = "unchanged" if stage in unchanged else f"{ratio:.2f}"
        axes.text(end + 0.02, row + 0.19, words, va="center", fontsize=8, color=look.text)
        most = max(most, end)
    axes.axvline(1.0, color=look.soft, linewidth=1, linestyle=":")
    axes.set_xlim(0, most * 1.25)
    axes.set_xlabel("fp32 above, chosen below; the line is the 95 % interval", fontsize=9)


def _byte_bars(
    axes: Axes,
    outcome: Outcome,
    costs: Mapping[Stage, Cost],
    base: Mapping[Stage, Cost],
    look: Look,
) -> None:
    plans = all(c.plan_bytes is not None for c in costs.values())
    before = {s: _size(base.get(s), plans) for s in costs}
    graphs = {s: c.record.file.bytes for s, c in outcome.candidates.items()}
    after = {s: _size(c, plans) if plans else graphs[s] for s, c in costs.items()}
    _dress(axes, look, "Size of the plan, MB" if plans else "Size of the graph, MB", "x")
    most = max(value for value in (*before.values(), *after.values(), 1) if value is not None) / 1e6
    for row, stage in enumerate(costs):
        for offset, size, colour in (
            (-0.19, before[stage], look.before),
            (0.19, after[stage], look.after),
        ):
            if size is None:
                continue
            axes.barh(row + offset, size / 1e6, 0.34, color=colour)
            axes.text(size / 1e6 + most * 0.015, row + offset, f"{size / 1e6:.2f}",
                      va="center", fontsize=8, color=look.text)  # fmt: skip
    axes.set_xlim(0, most * 1.18)
    axes.set_xlabel("fp32 above, chosen below", fontsize=9)


def _size(cost: Cost | None, plans: bool) -> int | None:
    if cost is None:
        return None
    return cost.plan_bytes if plans else cost.graph_bytes


def _quality(outcome: Outcome, look: Look) -> Figure | None:
    """Bars: how much of every limit is used up."""
    found = [(s, s.used) for s in standings(outcome.whole, outcome.limits)]
    bars = [(standing, used) for standing, used in found if used is not None]
    if not bars:
        return None
    figure = _blank(look, 1.2 + 0.42 * len(bars))
    axes = figure.subplots()
    _dress(axes, look, "Share of the quality budget used, %")
    most = min(max(1.0, *(used for _, used in bars)), 3.0)
    for row, (standing, used) in enumerate(bars):
        _quality_bar(axes, row, standing, min(used, most), look)
    axes.axvline(100, color=look.text, linewidth=1.5)
    axes.text(100, -0.75, "limit", ha="center", va="bottom", fontsize=9, color=look.text)
    axes.set_yticks(range(len(bars)), [standing.label for standing, _ in bars])
    axes.set_ylim(len(bars) - 0.5, -0.7)
    axes.set_xlim(0, 100 * most * 1.3)
    return figure


def _quality_bar(axes: Axes, row: int, standing: Standing, used: float, look: Look) -> None:
    good = standing.within is not False
    axes.barh(row, 100 * used, 0.55, color=look.after if good else look.bad,
              hatch=None if good else "///", edgecolor=look.page)  # fmt: skip
    value = standing.quantity.words(standing.value)
    words = f"{value}, {standing.limit_words}" + ("" if good else ": beyond")
    end = max(100 * used, 100.0 if used > 0.8 else 0.0)
    axes.text(end + 1.5, row, words, va="center", fontsize=8.5, color=look.text)


@dataclass(frozen=True)
class _Point:
    trial: Trial
    loss: float
    gain: float


def _sensitivity(outcome: Outcome, base: Mapping[Stage, Cost], look: Look) -> Figure | None:
    """Points: what everything tried gains against how much of the budget it uses."""
    points, gained = _points(outcome, base)
    if all(point.loss == 0 for point in points):
        return None
    figure = _blank(look, 5.4)
    axes = figure.subplots()
    _dress(axes, look, "What is gained against what is lost", "both")
    _scatter(axes, [p for p in points if not p.trial.kept], "X", look.bad, "dropped")
    _scatter(axes, [p for p in points if p.trial.kept], "o", look.after, "kept")
    axes.axvline(_BUDGET, color=look.text, linewidth=1.5, label="budget")
    axes.axhline(0, color=look.soft, linewidth=1, linestyle=":")
    _scale(axes, max(_BUDGET, *(point.loss for point in points)))
    axes.set_xlabel("share of the quality budget used, %: right is worse", fontsize=9)
    axes.set_ylabel(f"{gained}: up is better", fontsize=9)
    figure.legend(loc="outside lower center", ncols=3, fontsize=9, frameon=False,
                  labelcolor=look.text)  # fmt: skip
    _name_points(figure, axes, points, look)
    return figure


def _points(outcome: Outcome, base: Mapping[Stage, Cost]) -> tuple[list[_Point], str]:
    """What was judged and measured, the last time that it was, and what its gain is.

    What is broken lies beyond every picture. What took more than `_MOST_USED` stands there.
    """
    trials = {(trial.name, *_done(trial)): trial for trial in outcome.trials}
    judged = [trial for trial in trials.values() if trial.judgement is not None]
    gain, words = _gain(outcome, base, judged)
    points = list[_Point]()
    for trial in judged:
        assert trial.judgement is not None
        loss, gained = 100 * verdict_of(trial.judgement, outcome.limits).used, gain(trial)
        if gained is not None and math.isfinite(loss) and math.isfinite(gained):
            points.append(_Point(trial, min(loss, _MOST_USED), gained))
    return points, words


def _gain(
    outcome: Outcome, base: Mapping[Stage, Cost], trials: Sequence[Trial]
) -> tuple[Callable[[Trial], float | None], str]:
    """How what is gained is counted: alike for all trials."""
    if outcome.goal is Goal.SPEED and any(trial.cost.ratio is not None for trial in trials):
        return _time_saved, "time of the stage saved, %"
    plans = all(
        cost is not None and cost.plan_bytes is not None
        for trial in trials
        for cost in (trial.cost, base.get(trial.stage))
    )

    def bytes_saved(trial: Trial) -> float | None:
        before, after = _size(base.get(trial.stage), plans), _size(trial.cost, plans)
        return None if before is None or after is None else (before - after) / 1e6

    return bytes_saved, f"size of the {'plan' if plans else 'graph'} saved, MB"


def _time_saved(trial: Trial) -> float | None:
    return None if trial.cost.ratio is None else 100 * (1 - trial.cost.ratio)


def _done(trial: Trial) -> tuple[object, ...]:
    """What was done, so that the same done again compares equal."""
    plan = trial.plan
    return plan.base, frozenset(plan.treated.items()), plan.method, plan.percentile


def _manner(trial: Trial) -> str:
    """What was done, in short: `fp16`, `w8a8`, `w8+w8a8`."""
    treated = trial.plan.treated.values()
    return "+".join(t.value for t in Treatment if t in treated) or trial.plan.base.value


def _scatter(axes: Axes, points: Sequence[_Point], marker: str, colour: str, label: str) -> None:
    if points:
        axes.scatter([p.loss for p in points], [p.gain for p in points], 70, marker=marker,
                     color=colour, label=label, zorder=3, linewidths=0, clip_on=False)  # fmt: skip


def _scale(axes: Axes, most: float) -> None:
    """Square roots: most of what is tried uses a few percent, and some uses nothing."""
    axes.set_xscale("function", functions=(lambda x: np.sqrt(np.maximum(x, 0)), np.square))
    axes.set_xlim(0, most * 1.15)
    axes.set_xticks([tick for tick in _TICKS if tick <= most * 1.15])
    axes.margins(y=0.12)


def _names(points: Sequence[_Point]) -> list[str]:
    """Trials' names, with what was done and the range method as far as names occur twice."""
    plain = [point.trial.name for point in points]
    done = [f"{point.trial.name} {_manner(point.trial)}" for point in points]
    full = [f"{n}, {method_words(p.trial.plan)}" for n, p in zip(done, points, strict=True)]
    found = list[str]()
    for names in zip(plain, done, full, strict=True):
        alone = [
            n for n, all_of in zip(names, (plain, done, full), strict=True) if all_of.count(n) == 1
        ]
        found.append(alone[0] if alone else names[-1])
    return found


def _name_points(figure: Figure, axes: Axes, points: Sequence[_Point], look: Look) -> None:
    """Names beside the points, those that gain most first; none where it would cover another."""
    from matplotlib.transforms import Bbox

    figure.draw_without_rendering()
    line = Bbox([(_BUDGET, axes.get_ylim()[0]), (_BUDGET, axes.get_ylim()[1])])
    taken = [axes.transData.transform_bbox(line), *(_around(axes, point) for point in points)]
    named = sorted(zip(points, _names(points), strict=True), key=lambda pair: -pair[0].gain)
    for point, name in named:
        for dx, dy in _SIDES:
            text = axes.annotate(
                name,
                (point.loss, point.gain),
                (dx, dy),
                textcoords="offset points",
                ha="center" if not dx else "left" if dx > 0 else "right",
                va="center" if not dy else "bottom" if dy > 0 else "top",
                fontsize=8,
                color=look.text,
                parse_math=False,
            )
            text.set_in_layout(False)
            box = text.get_window_extent()
            free = not any(box.overlaps(other) for other in taken)
            if free and axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1:
                taken.append(box)
                break
            text.remove()


def _around(axes: Axes, point: _Point) -> Bbox:
    """The marker's box in pixels."""
    from matplotlib.transforms import Bbox

    x, y = axes.transData.transform((point.loss, point.gain))
    return Bbox.from_extents(x - _MARKER, y - _MARKER, x + _MARKER, y + _MARKER)


def power_spectrogram(wave: Array, window: int = _WINDOW, hop: int = _HOP) -> NDArray[np.float64]:
    """Power in dB, [window // 2 + 1, frames]: a full-scale sine is 0, the floor -80."""
    samples = np.nan_to_num(np.asarray(wave, np.float64), nan=0.0, posinf=1.0, neginf=-1.0)
    padded = np.pad(samples, (window // 2, window // 2 + (-samples.size) % hop))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    taper = np.hanning(window)
    spectrum = np.abs(np.fft.rfft(frames * taper)).T * (2 / taper.sum())
    decibels: NDArray[np.float64] = 20 * np.log10(np.maximum(spectrum, 1e-12))
    return np.maximum(decibels, _FLOOR)


def _spectrograms(example: Example, sides: Renderings, look: Look) -> Figure:
    """fp32, the candidate, and their difference, one below the other."""
    most = int(_MOST_DRAWN * sides.rate)
    first = power_spectrogram(sides.reference[:most])
    second = power_spectrogram(sides.candidate[:most])
    frames = min(first.shape[1], second.shape[1])
    # Margins that are known need not be found out, which takes half of the time.
    figure = _blank(look, 8.2, _SPECTROGRAM_DPI, None)
    figure.subplots_adjust(left=0.074, right=0.955, bottom=0.06, top=0.94, hspace=0.17)
    axes = figure.subplots(3, 1, sharex=True, sharey=True)
    place = example.placement.value
    titles = ("fp32", f"as calibrated for {place}", f"difference, {place} - fp32{_shift(sides)}")
    images = (first, second, second[:, :frames] - first[:, :frames])
    for number, (axis, title, image) in enumerate(zip(axes, titles, images, strict=True)):
        _dress(axis, look, title)
        shown = _image(axis, image, sides.rate, difference=number == 2)
        _colour_bar(figure, axis, shown, look)
        axis.set_ylabel("Hz", fontsize=9)
    axes[-1].set_xlabel("seconds", fontsize=9)
    words, font = _title(example)
    figure.text(0.01, 0.992, words, ha="left", va="top", color=look.text, parse_math=False,
                fontproperties=font)  # fmt: skip
    return figure


def _shift(sides: Renderings) -> str:
    """What makes a difference meaningless from some place on."""
    later = (sides.candidate.size - sides.reference.size) / sides.rate
    return f" (it lasts {abs(later):.3f} s {'longer' if later > 0 else 'less'})" if later else ""


def _image(axes: Axes, image: NDArray[np.float64], rate: int, *, difference: bool) -> Any:  # noqa: ANN401 - untyped
    extent = (0.0, image.shape[1] * _HOP / rate, 0.0, rate / 2)
    low, high, colours = (-15.0, 15.0, "RdBu_r") if difference else (_FLOOR, -10.0, "magma")
    return axes.imshow(image, origin="lower", aspect="auto", extent=extent, cmap=colours,
                       vmin=low, vmax=high, interpolation="nearest")  # fmt: skip


def _colour_bar(figure: Figure, axes: Axes, image: Any, look: Look) -> None:  # noqa: ANN401 - untyped
    bar = figure.colorbar(image, ax=axes, pad=0.01, fraction=0.04)
    bar.set_label("dB", color=look.text, fontsize=9)
    bar.ax.tick_params(colors=look.soft, labelcolor=look.text, labelsize=8)
    bar.outline.set_edgecolor(look.grid)


def _title(example: Example) -> tuple[str, Any]:
    """The sentence where a font has all of its characters, or else its number only."""
    text = f"Sentence {example.sentence}"
    words = "".join(c for c in example.text if c.isprintable())
    short = words if len(words) <= 40 else f"{words[:39]}…"
    font = _font_for(short) if short else None
    return (f"{text}: {short}", font) if font is not None else (text, None)


@cache
def _font_for(text: str) -> Any:  # noqa: ANN401 - untyped
    """Font properties of a font that has every character, or None."""
    from matplotlib.font_manager import FontProperties, findfont, fontManager
    from matplotlib.ft2font import FT2Font

    wanted = {ord(character) for character in f"{text}Sentence 0123456789:…"}
    known = [e.fname for name in _CJK for e in fontManager.ttflist if e.name.startswith(name)]
    for path in (findfont("DejaVu Sans"), *known):
        with suppress(OSError, RuntimeError):
            if wanted <= FT2Font(path).get_charmap().keys():
                return FontProperties(fname=path, size=12)
    return None
