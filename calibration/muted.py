"""Stages that are not computed: zeros in the shapes that their graphs would give.

Runtime and numpy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from sambert_trt.engines.graphs import AxisRange, GraphSpec
from sambert_trt.runtime.backend import RETURNED, Array, StepRun, zero_state

__all__ = ["MutedSession", "axis_of", "steps_of"]


class MutedSession:
    """Zeros in the shape of a graph's outputs."""

    def __init__(self, graph: GraphSpec) -> None:
        self.graph = graph

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `Session.run`."""
        shapes = {name: array.shape for name, array in inputs.items()}
        names = [tensor.name for tensor in self.graph.outputs]
        return _zeros(self.graph, names, _sizes(self.graph, shapes))

    def steps(self, sizes: Mapping[str, int]) -> StepRun:
        """See `Session.steps`."""
        return _MutedSteps(self.graph, sizes)

    def close(self) -> None:
        """See `Session.close`."""


class _MutedSteps:
    """As many zeros as steps."""

    def __init__(self, graph: GraphSpec, sizes: Mapping[str, int]) -> None:
        self._graph, self._given = graph, dict(sizes)

    def extend(self, rows: Array) -> None:
        """See `StepRun.extend`."""

    def advance(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `StepRun.advance`."""
        shapes = {name: array.shape[1:] for name, array in inputs.items()}
        sizes = {**self._given, **_sizes(self._graph, shapes)}
        step = _zeros(self._graph, RETURNED[self._graph.stage], sizes)
        return {name: np.stack([array] * steps_of(inputs)) for name, array in step.items()}

    def suspended(self) -> tuple[Mapping[str, Array], Array | None]:
        """See `StepRun.suspended`."""
        return zero_state(self._graph, self._given), None

    def resume(self, state: Mapping[str, Array], rows: Array | None) -> None:
        """See `StepRun.resume`."""

    def close(self) -> None:
        """See `StepRun.close`."""


def _sizes(graph: GraphSpec, shapes: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """The dynamic axes that the inputs' shapes tell."""
    return dict(
        axis_of(entry, size)
        for name, shape in shapes.items()
        for entry, size in zip(graph.input(name).shape, shape, strict=True)
        if isinstance(entry, str)
    )


def axis_of(entry: str, size: int) -> tuple[str, int]:
    """The axis of a shape's entry, and its size: `frames+160` of 256 tells 96 `frames`."""
    for mark in "*+":
        name, found, number = entry.partition(mark)
        if found:
            return name, size // int(number) if mark == "*" else size - int(number)
    return entry, size


def steps_of(inputs: Mapping[str, Array]) -> int:
    return len(next(iter(inputs.values())))


def _zeros(graph: GraphSpec, names: Sequence[str], sizes: Mapping[str, int]) -> dict[str, Array]:
    axes = {name: AxisRange(size, size, size) for name, size in sizes.items()}
    sized = replace(graph, axes={**graph.axes, **axes})
    return {
        tensor.name: np.zeros([sized.extent(entry).least for entry in tensor.shape], tensor.dtype)
        for tensor in graph.outputs
        if tensor.name in names
    }
