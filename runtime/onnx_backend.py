"""ONNX Runtime: one calling thread per run, so that runs go side by side.

The only file that imports onnxruntime.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from enum import Enum
from io import StringIO
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from sambert_trt.engines.errors import (
    BackendError,
    DeviceLostError,
    DeviceMemoryError,
    GraphError,
)
from sambert_trt.engines.graphs import METADATA_KEY, GraphSpec, Placement, Precision
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
    state_like,
    zero_state,
)
from .memory import EngineMemory, MemoryReport

__all__ = ["CudaOptions", "OnnxBackend", "OnnxProvider"]

_LOG = logging.getLogger(__name__)
_CUDA = "CUDAExecutionProvider"

_FATAL_IN_HALF = ["NchwcTransformer"]
"""It has crashed the process on half graphs with grouped convolutions (ONNX Runtime 1.24, 1.31)."""

_SLOW_IN_INT8 = ["NhwcTransformer"]
"""Where some convolutions are in float, it costs int8 graphs 5 to 10 % on the processor."""

_NO_ROOM = re.compile(
    "out.?of.?memory|failed to allocate memory|smaller than requested bytes|alloc_failed"
    "|bad.?alloc",
    re.IGNORECASE,
)
"""CUDA, an arena on a full card, one at its limit, cuBLAS and cuDNN, the processor."""

_LOST = re.compile(
    "illegal memory access|illegal instruction|misaligned address|unspecified launch failure"
    "|launch timed out|hardware stack error|uncorrectable|device-side assert",
    re.IGNORECASE,
)
"""What CUDA says when nothing in this process reaches the card any more."""


class OnnxProvider(str, Enum):
    """Where ONNX Runtime computes."""

    CPU = "cpu"
    CUDA = "cuda"


@dataclass(frozen=True)
class CudaOptions:
    """ONNX Runtime's CUDA provider.

    Attributes:
        device: the card's number, as CUDA counts.
        memory_limit: bytes that each graph's own arena may take; None leaves it open. What cuBLAS
            and cuDNN take, and the CUDA context, come on top.
    """

    device: int = 0
    memory_limit: int | None = None


class OnnxBackend:
    """Opens graphs with ONNX Runtime, on the processor or, by choice, on an NVIDIA card.

    Each run uses the thread that calls it and no other: two runs side by side use two cores better
    than two threads inside one run, whose kernels wait for each other.

    Raises:
        BackendError: ONNX Runtime is not installed, or has no CUDA provider where one is asked for.
    """

    def __init__(
        self, provider: OnnxProvider = OnnxProvider.CPU, cuda: CudaOptions | None = None
    ) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise BackendError(
                "onnxruntime is not installed; install it with: "
                f"pip install 'sambert-trt[{provider.value}]'"
            ) from error
        self._runtime: Any = onnxruntime
        self.provider = provider
        self._open: WeakKeyDictionary[OnnxSession, EngineMemory] = WeakKeyDictionary()
        self._lock = threading.Lock()
        self._providers: list[Any] = ["CPUExecutionProvider"]
        if provider is OnnxProvider.CUDA:
            self._check_cuda()
            self._providers.insert(0, (_CUDA, _cuda_options(cuda or CudaOptions())))

    @property
    def placement(self) -> Placement:
        """See `Backend.placement`."""
        return Placement.CPU if self.provider is OnnxProvider.CPU else Placement.TENSORRT

    def preferred(self, directory: Path, manifest: VoiceManifest) -> Precision:
        """See `Backend.preferred`: few processors compute in half precision."""
        return Precision.FP32

    def open(self, directory: Path, record: StageRecord) -> Session:
        """See `Backend.open`."""
        session = self._opened(checked_bytes(directory, record.file), record.graph)
        name = f"{directory.resolve().name}/{record.graph.stage.value}"
        with self._lock:
            self._open[session] = EngineMemory(name, "open", 0, 1, 0, record.file.bytes, 0, 0, 0)
        return session

    def memory_report(self) -> MemoryReport:
        """See `Backend.memory_report`: the sizes of the graphs open, which are mostly weights."""
        with self._lock:
            engines = tuple(memory for session, memory in self._open.items() if not session.closed)
        held = sum(engine.weights for engine in engines)
        name = f"ONNX Runtime {self._runtime.__version__} ({self.provider.value})"
        return MemoryReport(name, "none", "resident", engines, held)

    def close(self) -> None:
        """See `Backend.close`."""

    def _check_cuda(self) -> None:
        found = self._runtime.get_available_providers()
        if _CUDA not in found:
            raise BackendError(
                f"this ONNX Runtime {self._runtime.__version__} has no CUDA provider (it has "
                f"{', '.join(found)}): replace it with: pip uninstall onnxruntime && "
                "pip install 'sambert-trt[cuda]'"
            )
        if hasattr(self._runtime, "preload_dlls"):
            with redirect_stdout(StringIO()) as said:  # where samples may go
                self._runtime.preload_dlls(cuda=True, cudnn=True, directory="")
            if said.getvalue():
                _LOG.info("CUDA libraries for ONNX Runtime: %s", said.getvalue().strip())

    def _opened(self, content: bytes, graph: GraphSpec) -> OnnxSession:
        options = self._runtime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.enable_mem_pattern = False
        try:
            session = self._runtime.InferenceSession(
                content,
                options,
                self._providers,
                disabled_optimizers=_disabled(graph),
                enable_fallback=0,  # its own way to the processor is silent, and prints
            )
        except Exception as error:
            raise self._failed("cannot load", graph, error) from error
        found = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        if found != graph.as_json():
            raise GraphError(
                f"the {graph.stage.value} graph does not carry the signature in voice.json; "
                "export the voice again"
            )
        if self.provider is OnnxProvider.CUDA and _CUDA not in session.get_providers():
            raise BackendError(
                f"ONNX Runtime did not take the CUDA provider for the {graph.stage.value} graph: "
                "CUDA or cuDNN libraries, or the driver, are missing; see sambert-tts doctor"
            )
        session._model_bytes = None  # a copy kept for reopening: as large as all weights
        return OnnxSession(session, graph, self._failed)

    def _failed(self, what: str, graph: GraphSpec, error: Exception) -> BackendError:
        text = f"ONNX Runtime {self._runtime.__version__} {what} the {graph.stage.value} graph"
        if _NO_ROOM.search(str(error)):
            return DeviceMemoryError(f"{text}, for want of memory: {error}")
        if self.provider is OnnxProvider.CUDA and _LOST.search(str(error)):
            return DeviceLostError(
                f"{text}: the card answers nothing more to this process; restart it ({error})"
            )
        return BackendError(f"{text}: {error}")


class OnnxSession:
    """A graph loaded by ONNX Runtime."""

    def __init__(
        self,
        session: Any,
        graph: GraphSpec,
        failed: Callable[[str, GraphSpec, Exception], BackendError],
    ) -> None:
        self._session, self._graph, self._failed = session, graph, failed
        self._outputs = [tensor.name for tensor in graph.outputs]

    @property
    def graph(self) -> GraphSpec:
        """See `Session.graph`."""
        return self._graph

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._session is None

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `Session.run`."""
        session = self._session
        if session is None:
            raise BackendError(f"{self._graph.stage.value} was used after it was closed")
        try:
            arrays = session.run(self._outputs, dict(inputs))
        except Exception as error:
            raise self._failed("failed in", self._graph, error) from error
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

    def suspended(self) -> tuple[Mapping[str, Array], Array | None]:
        """See `StepRun.suspended`."""
        return self._state, self._rows.kept()

    def resume(self, state: Mapping[str, Array], rows: Array | None) -> None:
        """See `StepRun.resume`."""
        self._state = state_like(self._state, state)
        if rows is not None:
            self._rows.extend(rows)

    def close(self) -> None:
        """See `StepRun.close`."""
        self._state = {}

    def _step(self, inputs: dict[str, Array]) -> dict[str, Array]:
        if self._sliding is not None:
            inputs[self._sliding] = self._rows.take()
        outputs = self._session.run({**inputs, **self._state})
        self._state = {name: outputs[source] for name, source in self._feedback.items()}
        return {name: outputs[name] for name in self._returned}


def _disabled(graph: GraphSpec) -> list[str]:
    """The optimisers that a graph is better off without."""
    if Precision.FP16 in (graph.precision, graph.base):
        return _FATAL_IN_HALF
    return _SLOW_IN_INT8 if graph.precision is Precision.INT8 else []


def _cuda_options(options: CudaOptions) -> dict[str, str]:
    found = {
        "device_id": str(options.device),
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "HEURISTIC",
        "do_copy_in_default_stream": "1",
    }
    if options.memory_limit is not None:
        found["gpu_mem_limit"] = str(options.memory_limit)
    return found
