"""What ONNX Runtime was asked and answered while it spoke, stage by stage, to be asked again.

So stages are compared on the inputs they meet in speech, state of the steps included, and through
the calls the runtime makes. Numpy and the runtime's seams only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sambert_trt.engines.graphs import GraphSpec, Placement, Precision, Stage
from sambert_trt.engines.manifest import StageRecord, VoiceManifest
from sambert_trt.runtime.backend import Array, Backend, Session, StepRun
from sambert_trt.runtime.memory import MemoryReport

__all__ = ["Gap", "Gaps", "RecordingBackend", "Traffic", "replayed"]


@dataclass(frozen=True)
class Run:
    """One run of a graph: what went in and came out."""

    inputs: dict[str, Array]
    outputs: dict[str, Array]


@dataclass
class Sequence:
    """Steps from zero state on. `moves` are rows for the sliding input, or a burst of steps."""

    sizes: dict[str, int]
    moves: list[Array | Run] = field(default_factory=list)
    state: dict[str, Array] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """How many steps were made."""
        runs = [move for move in self.moves if isinstance(move, Run)]
        return sum(len(next(iter(run.inputs.values()))) for run in runs)


@dataclass
class Traffic:
    """All of one stage's."""

    runs: list[Run] = field(default_factory=list)
    sequences: list[Sequence] = field(default_factory=list)

    def sizes(self, graph: GraphSpec) -> dict[str, tuple[int, int]]:
        """The least and the largest size of each dynamic axis that was asked for."""
        found: dict[str, list[int]] = {}
        for name, size in self._met(graph):
            found.setdefault(name, []).append(size)
        return {name: (min(sizes), max(sizes)) for name, sizes in found.items()}

    def _met(self, graph: GraphSpec) -> Iterator[tuple[str, int]]:
        for run in self.runs:
            for tensor in graph.inputs:
                yield from _sizes(graph, tensor.shape, run.inputs[tensor.name].shape)
        for sequence in self.sequences:
            yield from sequence.sizes.items()
            for move in sequence.moves:
                if isinstance(move, Run):
                    for name, array in move.inputs.items():
                        yield from _sizes(graph, graph.input(name).shape, array.shape[1:])


def _sizes(
    graph: GraphSpec, entries: tuple[int | str, ...], shape: tuple[int, ...]
) -> Iterator[tuple[str, int]]:
    """The dynamic axes that a shape tells: `frames` and `frames+12`, by name."""
    for size, entry in zip(shape, entries, strict=True):
        name, _, offset = str(entry).partition("+")
        if name in graph.axes:
            yield name, size - int(offset or 0)


class RecordingBackend:
    """A backend that keeps what passes through it.

    Args:
        inner: does the work.
        graphs: the signatures to show instead of its own: those of the plans, whose axes are
            narrower.
    """

    def __init__(self, inner: Backend, graphs: Mapping[Stage, GraphSpec]) -> None:
        self._inner, self._graphs = inner, graphs
        self.traffic = {stage: Traffic() for stage in graphs}

    @property
    def placement(self) -> Placement:
        """See `Backend.placement`."""
        return self._inner.placement

    def preferred(self, directory: Path, manifest: VoiceManifest) -> Precision:
        """See `Backend.preferred`."""
        return self._inner.preferred(directory, manifest)

    def open(self, directory: Path, record: StageRecord) -> Session:
        """See `Backend.open`."""
        stage = record.graph.stage
        session = self._inner.open(directory, record)
        return _RecordingSession(session, self._graphs[stage], self.traffic[stage])

    def memory_report(self) -> MemoryReport:
        """See `Backend.memory_report`."""
        return self._inner.memory_report()

    def close(self) -> None:
        """See `Backend.close`."""
        self._inner.close()


class _RecordingSession:
    def __init__(self, inner: Session, graph: GraphSpec, traffic: Traffic) -> None:
        self._inner, self._graph, self._traffic = inner, graph, traffic

    @property
    def graph(self) -> GraphSpec:
        return self._graph

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        outputs = self._inner.run(inputs)
        self._traffic.runs.append(Run(_copied(inputs), outputs))
        return outputs

    def steps(self, sizes: Mapping[str, int]) -> StepRun:
        sequence = Sequence(dict(sizes))
        self._traffic.sequences.append(sequence)
        return _RecordingSteps(self._inner.steps(sizes), sequence)

    def close(self) -> None:
        self._inner.close()


class _RecordingSteps:
    def __init__(self, inner: StepRun, sequence: Sequence) -> None:
        self._inner, self._sequence = inner, sequence

    def extend(self, rows: Array) -> None:
        self._sequence.moves.append(np.array(rows))
        self._inner.extend(rows)

    def advance(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        outputs = self._inner.advance(inputs)
        self._sequence.moves.append(Run(_copied(inputs), outputs))
        return outputs

    def suspended(self) -> tuple[Mapping[str, Array], Array | None]:
        return self._inner.suspended()

    def resume(self, state: Mapping[str, Array], rows: Array | None) -> None:
        self._inner.resume(state, rows)

    def close(self) -> None:
        self._sequence.state = _copied(self._inner.suspended()[0])
        self._inner.close()


@dataclass
class Gap:
    """How far one tensor is from what was expected, over all runs.

    Attributes:
        most: the largest absolute difference; infinite where a shape or a value is no number.
        scale: the largest expected magnitude.
        error, signal: sums of squares.
    """

    most: float = 0.0
    scale: float = 0.0
    error: float = 0.0
    signal: float = 0.0

    def add(self, found: Array, expected: Array) -> None:
        """Takes a pair into account."""
        if found.shape != expected.shape or not np.isfinite(found).all():
            self.most = float("inf")
            return
        wanted = expected.astype(np.float64)
        difference = found.astype(np.float64) - wanted
        self.most = max(self.most, float(np.abs(difference).max(initial=0.0)))
        self.scale = max(self.scale, float(np.abs(wanted).max(initial=0.0)))
        self.error += float((difference**2).sum())
        self.signal += float((wanted**2).sum())

    @property
    def relative(self) -> float:
        """The largest difference as a share of the largest magnitude."""
        return self.most / max(self.scale, 1e-3)

    @property
    def decibels(self) -> float:
        """Signal to error; infinite where nothing differs."""
        if self.most == float("inf"):
            return float("-inf")
        if self.error == 0:
            return float("inf")
        return 10 * float(np.log10(max(self.signal, 1e-30) / self.error))


Gaps = dict[str, Gap]


def replayed(session: Session, traffic: Traffic) -> tuple[Gaps, Gaps]:
    """Asks a session again: the gaps of its runs, and those of its steps with their last state."""
    runs, steps = Gaps(), Gaps()
    for run in traffic.runs:
        _add(runs, session.run(run.inputs), run.outputs)
    for sequence in traffic.sequences:
        made = session.steps(sequence.sizes)
        try:
            for outputs, expected in _moved(made, sequence):
                _add(steps, outputs, expected)
            if sequence.state:
                state = made.suspended()[0]
                _add(steps, state, sequence.state, lambda name: f"state {name}")
        finally:
            made.close()
    return runs, steps


def _moved(
    made: StepRun, sequence: Sequence
) -> Iterator[tuple[Mapping[str, Array], Mapping[str, Array]]]:
    for move in sequence.moves:
        if isinstance(move, Run):
            yield made.advance(move.inputs), move.outputs
        else:
            made.extend(move)


def _add(
    gaps: Gaps,
    found: Mapping[str, Array],
    expected: Mapping[str, Array],
    named: Callable[[str], str] = str,
) -> None:
    for name, array in expected.items():
        gaps.setdefault(named(name), Gap()).add(np.asarray(found[name]), array)


def _copied(arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {name: np.array(array) for name, array in arrays.items()}
