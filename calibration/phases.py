"""How far a run is: the phases of a calibration, and the steps of a search within one.

Types of the contracts only.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from .bench import Progress

__all__ = ["Phases", "Steps"]


class Phases:
    """The seconds that parts of a run take, and one progress over all of them.

    Args:
        progress: hears of it.
        placements: how many are planned.

    Attributes:
        seconds: of every phase that has ended, by its name.
    """

    _SHARES: Mapping[str, float] = {
        "checks": 0.01,
        "texts": 0.01,
        "recording": 0.24,
        "half precision": 0.04,
    }
    _PLANNING = 0.65

    def __init__(self, progress: Progress, placements: int) -> None:
        self._progress, self._before = progress, 0.0
        self._planning = self._PLANNING / placements
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[Progress]:
        """A phase: within it, the progress of its own part goes from 0 to 1."""
        start, share = time.perf_counter(), self._SHARES.get(name, self._planning)
        self._progress(name, self._before)

        def within(what: str, fraction: float) -> None:
            self._progress(f"{name}: {what}", self._before + share * min(fraction, 1.0))

        yield within
        self._before = min(self._before + share, 1.0)
        self.seconds[name] = time.perf_counter() - start


class Steps:
    """Progress that never goes back, over a number of steps that becomes known on the way."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._done, self._expected, self._shown = progress, 0, 1, 0.0

    def remain(self, steps: int) -> None:
        """How many there probably are from now on."""
        self._expected = self._done + steps

    def __call__(self, what: str) -> None:
        """A step begins."""
        self._expected = max(self._expected, self._done + 2)
        self._shown = max(self._shown, self._done / self._expected)
        self._progress(what, self._shown)
        self._done += 1

    def end(self) -> None:
        """Nothing more is to come."""
        self._progress("done", 1.0)
