"""A report's charts: stages, budget and sensitivity of every placement.

Needs matplotlib, which is imported where something is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from sambert_trt.engines.graphs import Precision, Stage

from .assessment import Cost, Outcome
from .canvas import Look, blank, dress, png_of
from .report_facts import Report
from .report_words import Standing, cost_of, size_of, standings
from .sensitivity_plot import sensitivity_plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["drawn_charts"]


def drawn_charts(report: Report, look: Look) -> dict[str, bytes]:
    """Stages, quality and sensitivity of every placement as PNG, by their files' names.

    Raises:
        ImportError: matplotlib is not installed.
    """
    return {name: png_of(figure) for name, figure in _charts(report, look)}


def _charts(report: Report, look: Look) -> Iterator[tuple[str, Figure]]:
    blank(look, 1.0)  # raises where nothing can be drawn, whatever there is to draw
    for outcome in report.outcomes:
        place = outcome.placement.value
        base = report.baseline.get(outcome.placement, {})
        found = {
            f"stages-{place}.png": _stages(outcome, base, look),
            f"quality-{place}.png": _quality(outcome, look),
            f"sensitivity-{place}.png": sensitivity_plot(outcome, base, look),
        }
        yield from ((name, figure) for name, figure in found.items() if figure is not None)


def _stages(outcome: Outcome, base: Mapping[Stage, Cost], look: Look) -> Figure | None:
    """Bars: time relative to fp32, and megabytes, of every stage."""
    costs = {s: cost_of(outcome, c, base.get(s)) for s, c in outcome.candidates.items()}
    if not costs:
        return None
    ratios = {s: c.ratio for s, c in costs.items() if c.ratio is not None}
    figure = blank(look, 1.4 + 0.5 * len(costs))
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
    dress(axes, look, "Time of a run, fp32 = 1", "x")
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
    before = {s: size_of(base.get(s), plans) for s in costs}
    graphs = {s: c.record.file.bytes for s, c in outcome.candidates.items()}
    after = {s: size_of(c, plans) if plans else graphs[s] for s, c in costs.items()}
    dress(axes, look, "Size of the plan, MB" if plans else "Size of the graph, MB", "x")
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


def _quality(outcome: Outcome, look: Look) -> Figure | None:
    """Bars: how much of every limit is used up."""
    found = [(s, s.used) for s in standings(outcome.whole, outcome.limits)]
    bars = [(standing, used) for standing, used in found if used is not None]
    if not bars:
        return None
    figure = blank(look, 1.2 + 0.42 * len(bars))
    axes = figure.subplots()
    dress(axes, look, "Share of the quality budget used, %")
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
