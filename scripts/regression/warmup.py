"""How many rounds at the start of a session are warm-up. Standard library only."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

__all__ = ["warm_up_rounds"]

_LEAST_KEPT = 5


def warm_up_rounds(columns: Sequence[Sequence[float]]) -> int:
    """Leading rounds to leave out, for all sides alike: at most half, and five stay.

    The marginal standard error rule (MSER; White, "An effective truncation heuristic for bias
    reduction in simulation output", Simulation 69, 1997): leave out so many that the squared
    standard error of the mean of the rest is least. The sides are brought to one scale and added:
    what both do at once counts once, and which side is the faster does not matter.

    Args:
        columns: a metric's values of one session by side, in the order of the rounds.
    """
    series = [sum(values) for values in zip(*map(_scaled, columns), strict=True)]
    most = max(min(len(series) // 2, len(series) - _LEAST_KEPT), 0)
    return min(range(most + 1), key=lambda cut: (_squared_error(series[cut:]), cut))


def _scaled(values: Sequence[float]) -> list[float]:
    spread = statistics.pstdev(values)
    return [value / spread if spread else 0.0 for value in values]


def _squared_error(values: Sequence[float]) -> float:
    return statistics.pvariance(values) / len(values)
