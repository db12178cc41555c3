"""Timing pieces of work, without Python's collector in them. Standard library only."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from .clock import Clock
from .suite import Settings

__all__ = ["Task", "in_turn", "seconds_of", "without_collector"]

Task = Callable[[], Mapping[str, float]]


def seconds_of(work: Callable[[], object], clock: Clock) -> float:
    """What a piece of work takes by this clock."""
    with without_collector():
        started = clock()
        work()
        return clock() - started


@contextmanager
def without_collector() -> Iterator[None]:
    """When Python collects is chance to a few calls; between rounds it may."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def in_turn(tasks: Sequence[Task], settings: Settings) -> Iterator[Mapping[str, float]]:
    """The rounds of a suite: one task each, without end; nothing of one that is not wanted.

    Each is done once before, for what it does only the first time and to know what it gives. What
    is alive then is never looked through again: rounds do not pay for what was opened.
    """
    named = [(tuple(task()), task) for task in tasks]
    gc.collect()
    gc.freeze()
    for names, task in itertools.cycle(named):
        values: Mapping[str, float] = {}
        if settings.wants(*names):
            with without_collector():
                values = task()
        yield values
