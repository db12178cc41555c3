"""Timing a piece of work without Python's collector in it. Standard library only."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .clock import Clock

__all__ = ["seconds_of", "settled", "without_collector"]


def seconds_of(work: Callable[[], object], clock: Clock) -> float:
    """What a piece of work takes by this clock."""
    with without_collector():
        started = clock()
        work()
        return clock() - started


@contextmanager
def without_collector() -> Iterator[None]:
    """When Python collects is chance to a few calls; between rounds it may."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def settled() -> None:
    """What is alive now is never looked through again: rounds do not pay for what was opened."""
    gc.collect()
    gc.freeze()
