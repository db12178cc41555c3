"""Numbers with their uncertainty, and the arithmetic of what is measured of speech. Numpy only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Interval", "Tally", "mean_pitch", "ratio_interval"]

_DRAWS = 2000
_SEMITONES = 12


@dataclass(frozen=True)
class Interval:
    """A number and its 95 % interval.

    Attributes:
        value: measured.
        low, high: the interval; both are `value` where there is one sentence only.
        count: how many sentences it is from.
    """

    value: float
    low: float
    high: float
    count: int


class Tally:
    """Collects what was measured of sentences, by measure and by what was listened to."""

    def __init__(self) -> None:
        self._parts: dict[tuple[str, str], list[tuple[float, float]]] = {}

    def add(self, measure: str, side: str, amount: float | None, weight: float = 1.0) -> None:
        """Adds a sentence: `amount` errors among `weight` syllables, or one value.

        None (not measured), what is not finite and what has no weight are left out.
        """
        if amount is not None and math.isfinite(amount) and weight > 0:
            self._parts.setdefault((measure, side), []).append((amount, weight))

    def intervals(self) -> dict[str, dict[str, Interval]]:
        """The sum of amounts by the sum of weights, by measure and side."""
        found: dict[str, dict[str, Interval]] = {}
        for (measure, side), parts in self._parts.items():
            found.setdefault(measure, {})[side] = ratio_interval(parts)
        return found


def ratio_interval(parts: Sequence[tuple[float, float]], seed: int = 0) -> Interval:
    """A sum by a sum, with the 2.5th and 97.5th percentile of 2000 draws of sentences.

    The percentile bootstrap: B. Efron, R. J. Tibshirani, An Introduction to the Bootstrap, 1993,
    chapter 13. A draw takes as many sentences as there are, with replacement.

    Args:
        parts: a pair (amount, weight) of each sentence; at least one, weights above 0.
        seed: of the draws.
    """
    table = np.asarray(parts, np.float64)
    rows = np.random.default_rng(seed).integers(0, len(table), (_DRAWS, len(table)))
    sums = table[rows].sum(axis=1)
    low, high = np.percentile(sums[:, 0] / sums[:, 1], [2.5, 97.5])
    amount, weight = table.sum(axis=0)
    return Interval(float(amount / weight), float(low), float(high), len(table))


def mean_pitch(hertz: NDArray[np.floating]) -> float | None:
    """The mean of a melody in semitones above 1 Hz.

    Args:
        hertz: [frames], 0 where there is no voice.

    Returns:
        None where there is no voice at all.
    """
    voiced = hertz[hertz > 0]
    return float(_SEMITONES * np.log2(voiced).mean()) if voiced.size else None
