"""What the synthesizer needs of a backend: graphs that take arrays and give arrays.

Numpy only. A backend's own packages are imported inside its file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.errors import GraphError, InputError
from sambert_trt.engines.graphs import GraphSpec, Stage

__all__ = ["FEEDBACK", "Array", "Backend", "Session", "StepRun", "check_inputs"]

Array = NDArray[Any]

FEEDBACK: Mapping[Stage, Mapping[str, str]] = {
    Stage.DURATION_STEP: {"previous": "log_duration", "h": "h_next", "c": "c_next"},
    Stage.DECODER_STEP: {"frame": "last_frame", "state": "state_next"},
    Stage.POSTNET: {"h": "h_next", "c": "c_next"},
}
"""Which output of a step becomes which input of the next one; zeros before the first."""


class StepRun(Protocol):
    """One sequence of steps whose state stays with the backend."""

    def step(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Runs one step; returns the outputs that are not state, and log_duration."""


class Session(Protocol):
    """A loaded graph."""

    @property
    def graph(self) -> GraphSpec:
        """Its signature."""

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Arrays in, arrays out; may be called from several threads at once."""

    def steps(self, sizes: Mapping[str, int]) -> StepRun:
        """Starts a sequence from zero state; `sizes` gives the state's dynamic axes."""

    def close(self) -> None:
        """Gives everything back."""


class Backend(Protocol):
    """Opens graphs."""

    def open(self, content: bytes, graph: GraphSpec) -> Session:
        """Loads a graph file's content, already checked against its sha256.

        Raises:
            BackendError: the backend is not installed or cannot load the graph.
        """


def check_inputs(graph: GraphSpec, inputs: Mapping[str, Array]) -> None:
    """Compares arrays with the signature: names, dtypes, sizes, and axes within their ranges.

    Raises:
        InputError: an axis is outside its range.
        GraphError: anything else; a fault of the caller.
    """
    names = [tensor.name for tensor in graph.inputs]
    if sorted(inputs) != sorted(names):
        raise GraphError(f"{graph.stage.value} takes {names}, got {sorted(inputs)}")
    for tensor in graph.inputs:
        array = inputs[tensor.name]
        if array.dtype != np.dtype(tensor.dtype) or array.ndim != len(tensor.shape):
            raise GraphError(
                f"{graph.stage.value}.{tensor.name} takes {tensor.dtype} {tensor.shape}, "
                f"got {array.dtype} {array.shape}"
            )
        for size, entry in zip(array.shape, tensor.shape, strict=True):
            extent = graph.extent(entry)
            if not extent.admits(size):
                raise InputError(
                    f"{graph.stage.value}: {size} {str(entry).partition('+')[0]} asked for, "
                    f"its graph takes {extent.least} to {extent.most}; split the sentence"
                )
