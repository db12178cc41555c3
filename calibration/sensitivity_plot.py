"""A report's picture of everything tried: what it gains against what it loses.

Needs matplotlib, which is imported where something is drawn. Numpy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sambert_trt.engines.graphs import Stage

from .assessment import Cost, Goal, Outcome, Trial
from .canvas import Look, blank, dress
from .recipe import Treatment
from .report_words import method_words, size_of
from .verdicts import verdict_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

__all__ = ["sensitivity_plot"]

_BUDGET = 100.0
_MOST_USED = 900.0
_TICKS = (0, 1, 5, 10, 25, 50, 100, 200, 400, 600, 800, 1000)
_SIDES = ((9, 0), (-9, 0), (0, 9), (0, -9))
_MARKER = 7.0
"""Half the width of a point, pixels."""


def sensitivity_plot(outcome: Outcome, base: Mapping[Stage, Cost], look: Look) -> Figure | None:
    """Points: what everything tried gains against how much of the budget it uses."""
    points, gained = _points(outcome, base)
    if all(point.loss == 0 for point in points):
        return None
    figure = blank(look, 5.4)
    axes = figure.subplots()
    dress(axes, look, "What is gained against what is lost", "both")
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


@dataclass(frozen=True)
class _Point:
    trial: Trial
    loss: float
    gain: float


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
        before, after = size_of(base.get(trial.stage), plans), size_of(trial.cost, plans)
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
