"""How long one call of each stage takes, on the inputs it meets in speech.

A sentence is streamed once through a backend that keeps what passes by; what each stage was asked
first is then asked again and again. Stages that go step by step start from zero state every time:
both sides do the same work, however many calls of it they make. A round measures one stage, so that
the other side's turn comes before the machine has changed.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING

from acceptance.traffic import RecordingBackend, Run, Sequence, Traffic

from ..clock import Clock, clock_of_process
from ..opening import opened_backend, opened_voice
from ..suite import Settings
from ..text import SHORT
from ..timing import Task, in_turn

if TYPE_CHECKING:
    from sambert_trt.engines.graphs import Stage
    from sambert_trt.engines.manifest import StageRecord
    from sambert_trt.runtime.backend import Array, Backend, Session

__all__ = ["recorded_traffic", "records_of_stages", "rounds"]

_BUDGET = 0.015
"""Seconds for the calls of a round; one call is made in any case."""

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
        records = records_of_stages(settings, backend)
        clock, tasks = clock_of_process(settings.backend), list[Task]()
        for stage, traffic in recorded_traffic(settings, backend, records).items():
            session = backend.open(settings.voice, records[stage])
            stack.callback(session.close)
            name = f"stage.{stage.value}.seconds"
            tasks.append(partial(_measured, name, _call(session, traffic, clock), clock))
        yield from in_turn(tasks, settings)


def records_of_stages(settings: Settings, backend: Backend) -> dict[Stage, StageRecord]:
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


def recorded_traffic(
    settings: Settings, backend: Backend, records: Mapping[Stage, StageRecord]
) -> dict[Stage, Traffic]:
    """What each stage is asked while a sentence is streamed."""
    graphs = {stage: record.graph for stage, record in records.items()}
    recording = RecordingBackend(backend, graphs)
    with opened_voice(settings, recording) as voice:
        for _ in voice.stream(SHORT):
            pass
    return recording.traffic


def _call(session: Session, traffic: Traffic, clock: Clock) -> Call:
    if traffic.runs:
        inputs = traffic.runs[0].inputs
        return lambda: _seconds(lambda: session.run(inputs), clock)
    sequence = traffic.sequences[0]
    ahead, steps = _beginning(sequence)
    count = len(next(iter(steps.values())))

    def call() -> float:
        with closing(session.steps(sequence.sizes)) as made:
            for rows in ahead:
                made.extend(rows)
            return _seconds(lambda: made.advance(steps), clock) / count

    return call


def _beginning(sequence: Sequence) -> tuple[list[Array], dict[str, Array]]:
    """The rows that came before the first steps, and the first of these."""
    ahead: list[Array] = []
    for move in sequence.moves:
        if isinstance(move, Run):
            return ahead, {name: array[:_STEPS] for name, array in move.inputs.items()}
        ahead.append(move)
    return ahead, {}


def _seconds(work: Callable[[], object], clock: Clock) -> float:
    started = clock()
    work()
    return clock() - started


def _measured(name: str, call: Call, clock: Clock) -> dict[str, float]:
    """The median of as many calls as fit into the budget."""
    started, found = clock(), [call()]
    while (len(found) + 1) * (clock() - started) < len(found) * _BUDGET:
        found.append(call())
    return {name: statistics.median(found)}
