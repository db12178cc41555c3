"""Judgements and costs weighed: how much of the budget is used, what is saved, in words.

No imports beyond the contracts and their words.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from .assessment import Cost, Goal, Judgement
from .figures import Limits
from .report_words import Standing, amount, megabytes, speedup, standings

__all__ = ["FASTER", "SMALLER", "Saving", "Verdict", "saving_of", "share", "verdict_of"]

FASTER = 0.98
"""What is faster takes at most so much of the time with 97.5 %: less is not worth its loss."""

SMALLER = 0.995
"""What is smaller has at most so many of the bytes: a bias here and there is not worth its loss."""

_LOUDEST = 2
_TEXT = 24


@dataclass(frozen=True)
class Verdict:
    """A judgement beside the limits.

    Attributes:
        used: the share of the budget that is used up, by the figure that uses most: 1 is the limit
            itself, infinite what is broken.
        words: the figures that use most, with their values.
        violations: each limit that is not kept, with the figure and its worst sentence.
        shares: what is used of each limit, by its name.
    """

    used: float
    words: str
    violations: tuple[str, ...]
    shares: Mapping[str, float]

    @property
    def admitted(self) -> bool:
        """Whether all limits are kept."""
        return not self.violations


@dataclass(frozen=True)
class Saving:
    """What a candidate saves against the base of its stage.

    Attributes:
        amount: seconds per sentence, or bytes; may be negative.
        proven: it saves something beyond the noise of measurement.
        possible: it may save something: noise does not rule it out.
        harmful: it costs something beyond the noise of measurement.
        words: `2.10× (2.05 to 2.16) as fast`.
    """

    amount: float
    proven: bool
    possible: bool
    harmful: bool
    words: str


def verdict_of(judgement: Judgement, limits: Limits) -> Verdict:
    """Weighs a judgement. Figures that were not measured use nothing."""
    if judgement.figures.broken:
        return Verdict(math.inf, "broken", (f"broken: {judgement.figures.broken}",), {})
    found = [standing for standing in standings(judgement, limits) if standing.value is not None]
    found.sort(key=_used, reverse=True)
    outside = [standing for standing in found if not standing.within]
    used = max((_used(standing) for standing in found), default=0.0)
    return Verdict(
        used=max(used, 0.0) if not outside else max(used, math.nextafter(1.0, 2.0)),
        words=", ".join(_figure(standing) for standing in found[:_LOUDEST]) or "nothing measured",
        violations=tuple(_violation(standing, judgement) for standing in outside),
        shares={standing.bound.limit: _used(standing) for standing in found},
    )


def saving_of(goal: Goal, cost: Cost, base: Cost, seconds: float) -> Saving:
    """What a candidate saves.

    Args:
        base: what the stage costs without it, against the same fp32 graph.
        seconds: that the stage takes in fp32, of a sentence.
    """
    if goal is Goal.SIZE:
        return _bytes_saved(cost, base)
    now, before = _interval(cost), _interval(base) or (1.0, 1.0, 1.0)
    if now is None:
        return Saving(0.0, False, False, False, "its speed was not measured here")
    ratio, low, high = now[0] / before[0], now[1] / before[2], now[2] / before[1]
    proven, possible = high < FASTER, ratio < 1 and low < FASTER
    words = f"{speedup(ratio, low, high)} as fast"
    return Saving((before[0] - now[0]) * seconds, proven, possible, low > 1, words)


def _bytes_saved(cost: Cost, base: Cost) -> Saving:
    plans = cost.plan_bytes, base.plan_bytes
    now, before = cost.graph_bytes, base.graph_bytes
    if plans[0] is not None and plans[1] is not None:
        now, before = plans[0], plans[1]
    words = f"{megabytes(now)} instead of {megabytes(before)}"
    ratios = _interval(cost), _interval(base) or (1.0, 1.0, 1.0)
    if ratios[0] is not None and ratios[0][1] > ratios[1][2]:
        words += f", but slower: {speedup(ratios[0][0] / ratios[1][0])} as fast"
        return Saving(before - now, False, False, True, words)
    smaller = now < SMALLER * before
    return Saving(before - now, smaller, smaller, not smaller, words)


def _interval(cost: Cost) -> tuple[float, float, float] | None:
    if cost.ratio is None:
        return None
    low, high = cost.low, cost.high
    return cost.ratio, cost.ratio if low is None else low, cost.ratio if high is None else high


def _used(standing: Standing) -> float:
    if standing.value is None or math.isnan(standing.value):
        return math.inf
    if standing.used is None:
        return 0.0 if standing.within else math.inf
    return standing.used


def _figure(standing: Standing) -> str:
    return f"{standing.label} {standing.quantity.words(standing.value)}"


def _violation(standing: Standing, judgement: Judgement) -> str:
    text = f"{_figure(standing)} instead of {standing.limit_words}"
    worst = judgement.worst.get(standing.bound.figure)
    if worst is None:
        return text
    shown = worst.text if len(worst.text) <= _TEXT else f"{worst.text[:_TEXT]}…"
    value = standing.quantity.words(worst.value)
    return f"{text}; worst sentence {worst.sentence} ({value}): {shown}"


def share(used: float) -> str:
    """`63 % of the budget`."""
    return "broken" if math.isinf(used) else f"{amount(100 * used)} % of the budget"
