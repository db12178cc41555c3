"""What the synthesizer needs of a backend: graphs that take arrays and give arrays.

Numpy only. A backend's own packages are imported inside its file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.errors import GraphError, InputError
from sambert_trt.engines.graphs import GraphSpec, Placement, Precision, Stage
from sambert_trt.engines.manifest import StageRecord, VoiceManifest

from .memory import MemoryReport

__all__ = [
    "FEEDBACK",
    "RETURNED",
    "SLIDING",
    "Array",
    "Backend",
    "Session",
    "SlidingRows",
    "StepRun",
    "check_inputs",
    "state_like",
    "zero_state",
]

Array = NDArray[Any]

FEEDBACK: Mapping[Stage, Mapping[str, str]] = {
    Stage.DURATION_STEP: {"previous": "log_duration", "h": "h_next", "c": "c_next"},
    Stage.DECODER_STEP: {"frame": "last_frame", "state": "state_next"},
    Stage.POSTNET: {"h": "h_next", "c": "c_next"},
}
"""Which output of a step becomes which input of the next one; zeros before the first."""


SLIDING: Mapping[Stage, str] = {Stage.DECODER_STEP: "memory_kv"}
"""The input of which every step sees the rows one further on: step t takes [t, t + window)."""

RETURNED: Mapping[Stage, tuple[str, ...]] = {
    Stage.DURATION_STEP: ("log_duration",),
    Stage.DECODER_STEP: ("frames",),
    Stage.POSTNET: ("mel",),
}
"""What a step gives back; the rest is state and stays with the backend."""


class StepRun(Protocol):
    """One sequence of steps whose state stays with the backend."""

    def extend(self, rows: Array) -> None:
        """Appends rows to the sliding input; those that steps have passed are dropped."""

    def advance(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Runs one step for each row of the arrays, which are stacked along a new leading axis.

        Returns:
            RETURNED outputs, stacked the same way.
        """

    def suspended(self) -> tuple[Mapping[str, Array], Array | None]:
        """The state in host memory, FEEDBACK inputs by name, and the sliding rows still needed."""

    def resume(self, state: Mapping[str, Array], rows: Array | None) -> None:
        """Takes over what another sequence of the same sizes gave, whatever backend it was of."""

    def close(self) -> None:
        """Drops the state."""


class Session(Protocol):
    """A graph ready to run."""

    @property
    def graph(self) -> GraphSpec:
        """Its signature, with the ranges of axes that this backend takes."""

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Arrays in, arrays out; may be called from several threads at once."""

    def steps(self, sizes: Mapping[str, int]) -> StepRun:
        """Starts a sequence from zero state; `sizes` gives the state's dynamic axes."""

    def close(self) -> None:
        """Gives everything back."""


class Backend(Protocol):
    """Opens the graphs of a voice."""

    @property
    def placement(self) -> Placement:
        """Which quantised graphs it runs well."""

    def preferred(self, directory: Path, manifest: VoiceManifest) -> Precision:
        """The precision this backend takes where nobody names one."""

    def open(self, directory: Path, record: StageRecord) -> Session:
        """Makes a stage of the voice in `directory` ready to run; files are checked first.

        Raises:
            BackendError: the backend is not installed or cannot load the graph.
            EngineError: the backend runs plans, and there is none it may use.
            VoiceError: a file is missing or not the one the manifest names.
        """

    def memory_report(self) -> MemoryReport:
        """Who holds how much memory right now."""

    def close(self) -> None:
        """Gives back what the sessions shared; they are closed already."""


class SlidingRows:
    """The rows of a sliding input that steps to come still need, in host memory."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._rows: Array | None = None
        self._start = self._step = 0

    def extend(self, rows: Array) -> None:
        """Appends rows [n, ...]; drops those passed."""
        kept = self.kept()
        self._rows = rows if kept is None or not len(kept) else np.concatenate([kept, rows])
        self._start = self._step

    def kept(self) -> Array | None:
        """The rows from the current step on."""
        return None if self._rows is None else self._rows[self._step - self._start :]

    def peek(self, count: int) -> Array:
        """Rows [count, ...] from the current step on.

        Raises:
            GraphError: fewer rows were given; a fault of the caller.
        """
        kept = self.kept()
        if kept is None or len(kept) < count:
            have = 0 if kept is None else len(kept)
            raise GraphError(f"steps need {count} rows ahead, {have} were given")
        return kept[:count]

    def take(self) -> Array:
        """The current step's rows [window, ...]; moves on by one step."""
        rows = self.peek(self._window)
        self._step += 1
        return rows

    def skip(self, steps: int) -> None:
        """Moves on by so many steps."""
        self._step += steps


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


def state_like(state: Mapping[str, Array], other: Mapping[str, Array]) -> dict[str, Array]:
    """Another sequence's state in the dtypes of this one."""
    return {name: np.asarray(other[name], array.dtype) for name, array in state.items()}


def zero_state(graph: GraphSpec, sizes: Mapping[str, int]) -> dict[str, Array]:
    """The state before the first step: FEEDBACK inputs by name; `sizes` are the dynamic axes."""
    state = {}
    for name in FEEDBACK[graph.stage]:
        tensor = graph.input(name)
        shape = [sizes[s] if isinstance(s, str) else s for s in tensor.shape]
        state[name] = np.zeros(shape, tensor.dtype)
    return state
