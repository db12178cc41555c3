"""How long each stage takes to open and to close; files are in the page cache.

A round opens and closes one stage, so that the other side's turn comes before the machine has
changed.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from ..clock import Clock, clock_of_process
from ..opening import opened_backend
from ..suite import Settings
from ..timing import in_turn, seconds_of
from .stages import records_of_stages

if TYPE_CHECKING:
    from sambert_trt.engines.manifest import StageRecord
    from sambert_trt.runtime.backend import Backend

__all__ = ["rounds"]

_BUDGET = 0.04
"""Seconds of opening in a round; a stage is opened once in any case."""

_LEAST = 0.001
"""What opening a stage takes at least, should a clock say less."""


def rounds(settings: Settings) -> Iterator[Mapping[str, float]]:
    """`load.{stage}.open.seconds` and `.close.seconds`; the first round opens every stage once.

    Raises:
        SambertError: the voice or the backend cannot be used.
    """
    clock = clock_of_process(settings.backend)
    with opened_backend(settings) as backend:
        records = records_of_stages(settings, backend)
        tasks = [
            partial(_medians, stage.value, partial(_once, settings, backend, record, clock))
            for stage, record in records.items()
        ]
        yield from in_turn(tasks, settings)


def _once(
    settings: Settings, backend: Backend, record: StageRecord, clock: Clock
) -> tuple[float, float]:
    """Seconds to open and to close."""
    started = clock()
    session = backend.open(settings.voice, record)
    opened = clock()
    return opened - started, seconds_of(session.close, clock)


def _medians(stage: str, once: Callable[[], tuple[float, float]]) -> dict[str, float]:
    """Of as many times as fit into the budget."""
    found = [once()]
    further = int(_BUDGET / max(sum(found[0]), _LEAST)) - 1
    found += [once() for _ in range(further)]
    opened, closed = map(statistics.median, zip(*found, strict=True))
    return {f"load.{stage}.open.seconds": opened, f"load.{stage}.close.seconds": closed}
