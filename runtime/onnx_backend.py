"""ONNX Runtime on the CPU: one calling thread per run, so that runs go side by side.

The only file that imports onnxruntime.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sambert_trt.engines.errors import BackendError, GraphError
from sambert_trt.engines.graphs import METADATA_KEY, GraphSpec

from .backend import FEEDBACK, Array, Session, StepRun

__all__ = ["OnnxBackend"]


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

    def open(self, content: bytes, graph: GraphSpec) -> Session:
        """See `Backend.open`."""
        options = self._runtime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.enable_mem_pattern = False
        try:
            session = self._runtime.InferenceSession(content, options, ["CPUExecutionProvider"])
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
        self._session = session
        self._feedback = FEEDBACK[session.graph.stage]
        self._state: dict[str, Array] = {}
        for name in self._feedback:
            tensor = session.graph.input(name)
            shape = [sizes[s] if isinstance(s, str) else s for s in tensor.shape]
            self._state[name] = np.zeros(shape, tensor.dtype)

    def step(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `StepRun.step`."""
        outputs = self._session.run({**inputs, **self._state})
        for name, source in self._feedback.items():
            self._state[name] = outputs[source]
        return outputs
