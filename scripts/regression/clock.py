"""The clocks that time a call of a backend. Standard library only."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

__all__ = ["Clock", "clock_of_process", "clock_of_thread"]

Clock = Callable[[], float]


def clock_of_process(backend: str) -> Clock:
    """Processor seconds of all threads where a backend computes on the processor, else seconds.

    The processor's time goes on only while one's own work runs. Where eight programs wanted two
    cores, the ratio of two equal sides scattered a fourth as much as by the wall's clock.
    """
    return time.process_time if _computes_here(backend) else time.perf_counter


def clock_of_thread(backend: str) -> Clock:
    """The same of the calling thread alone."""
    return time.thread_time if _computes_here(backend) else time.perf_counter


def _computes_here(backend: str) -> bool:
    return backend == "cpu" and os.name == "posix"  # Windows counts such time in steps of 16 ms
