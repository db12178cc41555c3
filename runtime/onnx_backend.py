"""ONNX Runtime on the CPU: one calling thread per run, so that runs go side by side.

The only file that imports onnxruntime.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sambert_trt.engines.errors import BackendError, GraphError
from sambert_trt.engines.graphs import METADATA_KEY, GraphSpec, Precision
from sambert_trt.engines.manifest import StageRecord, VoiceManifest
from sambert_trt.engines.voice import checked_bytes

from .backend import (
    FEEDBACK,
    RETURNED,
    SLIDING,
    Array,
    Session,
    SlidingRows,
    StepRun,
    zero_state,
)

__all__ = ["OnnxBackend"]

_FATAL_IN_HALF = ["NchwcTransformer"]
"""It has crashed the process on half graphs with grouped convolutions (ONNX Runtime 1.24, 1.31)."""


class OnnxBackend:
    """Opens graphs with ONNX Runtime's CPU provider.

    Each run uses the thread that calls it and no other: two runs side by side use two cores better
    than two threads inside one run, whose kernels wait for each other.
    """

    def __init__(self) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise BackendError(
                "onnxruntime is not installed; install it with: pip install 'sambert-trt[cpu]'"
            ) from error
        self._runtime: Any = onnxruntime

    def preferred(self, directory: Path, manifest: VoiceManifest) -> Precision:
        """See `Backend.preferred`: few processors compute in half precision."""
        return Precision.FP32

    def open(self, directory: Path, record: StageRecord) -> Session:
        """See `Backend.open`."""
        return self._opened(checked_bytes(directory, record.file), record.graph)

    def close(self) -> None:
        """See `Backend.close`."""

    def _opened(self, content: bytes, graph: GraphSpec) -> Session:
        options = self._runtime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.enable_mem_pattern = False
        disabled = None if graph.precision is Precision.FP32 else _FATAL_IN_HALF
        try:
            session = self._runtime.InferenceSession(
                content, options, ["CPUExecutionProvider"], disabled_optimizers=disabled
            )
        except Exception as error:
            raise BackendError(
                f"ONNX Runtime {self._runtime.__version__} cannot load the {graph.stage.value} "
                f"graph: {error}"
            ) from error
        found = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        if found != graph.as_json():
            raise GraphError(
                f"the {graph.stage.value} graph does not carry the signature in voice.json; "
                "export the voice again"
            )
        session._model_bytes = None  # a copy kept for reopening: as large as all weights
        return OnnxSession(session, graph)


class OnnxSession:
    """A graph loaded by ONNX Runtime."""

    def __init__(self, session: Any, graph: GraphSpec) -> None:
        self._session, self._graph = session, graph
        self._outputs = [tensor.name for tensor in graph.outputs]

    @property
    def graph(self) -> GraphSpec:
        """See `Session.graph`."""
        return self._graph

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `Session.run`."""
        try:
            arrays = self._session.run(self._outputs, dict(inputs))
        except AttributeError as error:
            raise BackendError(f"{self._graph.stage.value} was used after it was closed") from error
        except Exception as error:
            raise BackendError(
                f"ONNX Runtime failed in the {self._graph.stage.value} graph: {error}"
            ) from error
        return dict(zip(self._outputs, arrays, strict=True))

    def steps(self, sizes: Mapping[str, int]) -> StepRun:
        """See `Session.steps`."""
        return OnnxSteps(self, sizes)

    def close(self) -> None:
        """See `Session.close`."""
        self._session = None


class OnnxSteps:
    """A sequence of runs that hands each step's state to the next."""

    def __init__(self, session: OnnxSession, sizes: Mapping[str, int]) -> None:
        stage = session.graph.stage
        self._session, self._feedback = session, FEEDBACK[stage]
        self._state = zero_state(session.graph, sizes)
        self._sliding, self._returned = SLIDING.get(stage), RETURNED[stage]
        self._rows = SlidingRows(sizes.get("window", 0))

    def extend(self, rows: Array) -> None:
        """See `StepRun.extend`."""
        self._rows.extend(rows)

    def advance(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `StepRun.advance`."""
        count = len(next(iter(inputs.values())))
        taken = [
            self._step({name: array[i] for name, array in inputs.items()}) for i in range(count)
        ]
        return {name: np.stack([outputs[name] for outputs in taken]) for name in self._returned}

    def close(self) -> None:
        """See `StepRun.close`."""
        self._state = {}

    def _step(self, inputs: dict[str, Array]) -> dict[str, Array]:
        if self._sliding is not None:
            inputs[self._sliding] = self._rows.take()
        outputs = self._session.run({**inputs, **self._state})
        self._state = {name: outputs[source] for name, source in self._feedback.items()}
        return {name: outputs[name] for name in self._returned}
