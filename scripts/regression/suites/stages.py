"""How long one call of each stage takes, on the inputs it meets in speech.

A sentence is streamed once through a backend that keeps what passes by; what each stage was asked
first is then asked again and again. Stages that go step by step start from zero state every time:
both sides do the same work, however many calls of it they make.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from acceptance.traffic import RecordingBackend, Run, Sequence, Traffic

from ..opening import opened_backend, opened_voice
from ..suite import Settings
from ..text import SHORT

if TYPE_CHECKING:
    from sambert_trt.engines.graphs import Stage
    from sambert_trt.engines.manifest import StageRecord
    from sambert_trt.runtime.backend import Array, Backend, Session

__all__ = ["rounds"]

_BUDGET = 0.015
"""Seconds for the calls of one stage in a round; one call is made in any case."""

_STEPS = 4
"""Of an autoregressive stage in one call: what a call costs besides its steps still shows."""

Call = Callable[[], float]
"""Makes one call; gives its seconds, of a stage that goes step by step those of one step."""


def rounds(settings: Settings) -> Iterator[Mapping[str, float]]:
    """`stage.{stage}.seconds`; the first round records and opens.

    Raises:
        SambertError: the voice or the backend cannot be used.
    """
    with ExitStack() as stack:
        backend = stack.enter_context(opened_backend(settings))
        records = _records(settings, backend)
        calls: dict[str, Call] = {}
        for stage, traffic in _recorded(settings, backend, records).items():
            session = backend.open(settings.voice, records[stage])
            stack.callback(session.close)
            calls[stage.value] = _call(session, traffic)
            calls[stage.value]()
        gc.collect()
        gc.freeze()
        while True:
            yield {f"stage.{name}.seconds": _median(call) for name, call in calls.items()}


def _records(settings: Settings, backend: Backend) -> dict[Stage, StageRecord]:
    """The graphs that the voice would open."""
    from sambert_trt.engines.graphs import Precision, Stage
    from sambert_trt.engines.voice import manifest_from_directory

    manifest = manifest_from_directory(settings.voice)
    precision = (
        backend.preferred(settings.voice, manifest)
        if settings.precision is None
        else Precision(settings.precision)
    )
    return {stage: manifest.record(stage, precision, backend.placement) for stage in Stage}


def _recorded(
    settings: Settings, backend: Backend, records: Mapping[Stage, StageRecord]
) -> dict[Stage, Traffic]:
    graphs = {stage: record.graph for stage, record in records.items()}
    recording = RecordingBackend(backend, graphs)
    with opened_voice(settings, recording) as voice:
        for _ in voice.stream(SHORT):
            pass
    return recording.traffic


def _call(session: Session, traffic: Traffic) -> Call:
    if traffic.runs:
        inputs = traffic.runs[0].inputs
        return lambda: _seconds(lambda: session.run(inputs))
    sequence = traffic.sequences[0]
    ahead, steps = _beginning(sequence)
    return lambda: _seconds_of_step(session, sequence.sizes, ahead, steps)


def _beginning(sequence: Sequence) -> tuple[list[Array], dict[str, Array]]:
    """The rows that came before the first steps, and the first of these."""
    ahead: list[Array] = []
    for move in sequence.moves:
        if isinstance(move, Run):
            return ahead, {name: array[:_STEPS] for name, array in move.inputs.items()}
        ahead.append(move)
    return ahead, {}


def _seconds_of_step(
    session: Session, sizes: Mapping[str, int], ahead: list[Array], inputs: dict[str, Array]
) -> float:
    with closing(session.steps(sizes)) as steps:
        for rows in ahead:
            steps.extend(rows)
        seconds = _seconds(lambda: steps.advance(inputs))
    return seconds / len(next(iter(inputs.values())))


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _median(call: Call) -> float:
    """Of as many calls as fit into the budget, without the collector."""
    gc.disable()
    try:
        until, found = time.perf_counter() + _BUDGET, [call()]
        while time.perf_counter() + found[-1] < until:
            found.append(call())
    finally:
        gc.enable()
    return statistics.median(found)
