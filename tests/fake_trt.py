"""TensorRT's Python runtime without a card, over the fake driver of fake_cuda.py.

A plan is JSON (see `plan_from_graph`): the graph's signature, the profile, how many bytes weights
and scratch take, and what is computed: an ONNX file run by ONNX Runtime, or a function of the
inputs. An engine and its execution contexts take device memory in the CUDA context that is current
when they are made, and must be dropped while it is current again.

Names, arguments and return values are those of the real bindings (test_trt_api.py compares them).
Where TensorRT checks, so does this: False or None, and an error to the logger. Where TensorRT
would crash or compute nonsense (another CUDA context, unset or overlapping addresses, scratch too
small or misaligned) it is a violation of the driver's as well.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from fake_cuda import FakeDriver
from numpy.typing import NDArray

from sambert_trt.engines.graphs import AxisRange, GraphSpec, Precision, Stage, graph_spec_from_dict
from sambert_trt.engines.manifest import VoiceManifest
from sambert_trt.engines.profiles import profile_from_graph
from sambert_trt.runtime.cuda_calls import CudaError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

__all__ = ["FakeTensorRT", "plan_from_graph", "plans_from_voice"]

Array = NDArray[Any]
Compute = Callable[[Mapping[str, Array], Mapping[str, tuple[int, ...]]], Mapping[str, Array]]
Sizes = Mapping[str, int]
MAGIC = "fake plan 1"
RTX_VERSION = "1.7.1.116"
ALIGNMENT = 256
_SCRIBBLE = 4096


def plan_from_graph(
    graph: GraphSpec,
    profile: Mapping[str, AxisRange] | None = None,
    *,
    weights: int = 1 << 20,
    scratch: int = 1 << 16,
    scratch_per: Sizes | None = None,
    onnx: Path | None = None,
    targets: Sequence[str] = ("sm_86",),
    version: str = RTX_VERSION,
    capturable: bool = True,
) -> bytes:
    """The bytes of a fake plan.

    Args:
        profile: the range of each dynamic axis; the usual one where not given.
        weights: bytes of device memory the engine takes.
        scratch: bytes an execution takes, and `scratch_per` more per size of a dynamic axis.
        onnx: the graph ONNX Runtime computes; without it, a function of the module's computes.
        capturable: whether running it can be captured in a CUDA graph.
    """
    ranges = profile_from_graph(graph) if profile is None else profile
    plan = {
        "magic": MAGIC,
        "graph": graph.as_dict(),
        "profile": {name: [r.least, r.usual, r.most] for name, r in ranges.items()},
        "weights": weights,
        "scratch": scratch,
        "scratch_per": dict(scratch_per or {}),
        "onnx": None if onnx is None else str(onnx),
        "targets": list(targets),
        "version": version,
        "capturable": capturable,
        "end": MAGIC,
    }
    return json.dumps(plan).encode()


def plans_from_voice(
    directory: Path, manifest: VoiceManifest, precision: Precision = Precision.FP32
) -> dict[Stage, bytes]:
    """A plan for each stage of a voice directory, computed by ONNX Runtime."""
    records = {stage: manifest.record(stage, precision) for stage in manifest.stages}
    return {
        stage: plan_from_graph(
            record.graph,
            weights=4 * record.parameters,
            scratch_per=dict.fromkeys(record.graph.axes, 4096),
            onnx=directory / record.file.path,
        )
        for stage, record in records.items()
    }


class _Severity(Enum):
    """As in ILogger."""

    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    VERBOSE = 4


class ILogger:
    """The base of loggers; `log` is to be overridden."""

    Severity = _Severity
    INTERNAL_ERROR, ERROR = _Severity.INTERNAL_ERROR, _Severity.ERROR
    WARNING, INFO, VERBOSE = _Severity.WARNING, _Severity.INFO, _Severity.VERBOSE

    def __init__(self) -> None:
        pass

    def log(self, severity: _Severity, msg: str) -> None:
        raise NotImplementedError


class Logger(ILogger):
    """TensorRT's own logger; keeps what it is told."""

    def __init__(self, min_severity: _Severity = _Severity.WARNING) -> None:
        super().__init__()
        self.min_severity = min_severity
        self._lines: list[tuple[_Severity, str]] = []

    def log(self, severity: _Severity, msg: str) -> None:
        if severity.value <= self.min_severity.value:
            self._lines.append((severity, msg))


class TensorIOMode(Enum):
    """Whether a tensor goes in or comes out."""

    NONE = 0
    INPUT = 1
    OUTPUT = 2


class DataType(Enum):
    """The datatypes graphs have."""

    FLOAT = 0
    HALF = 1
    INT8 = 2
    INT32 = 3
    BOOL = 4
    INT64 = 8


class ExecutionContextAllocationStrategy(Enum):
    """Who allocates scratch."""

    STATIC = 0
    ON_PROFILE_CHANGE = 1
    USER_MANAGED = 2


class EngineValidity(Enum):
    """What RTX says of a plan before it is loaded."""

    VALID = 0
    SUBOPTIMAL = 1
    INVALID = 2


class DynamicShapesKernelSpecializationStrategy(Enum):
    """When RTX compiles kernels for the shapes it meets: in the background, at once, or never."""

    LAZY = 0
    EAGER = 1
    NONE = 2


class CudaGraphStrategy(Enum):
    """Whether RTX captures runs itself."""

    DISABLED = 0
    WHOLE_GRAPH_CAPTURE = 1


_STATIC = ExecutionContextAllocationStrategy.STATIC
DTYPES = {
    "float32": DataType.FLOAT,
    "float16": DataType.HALF,
    "int8": DataType.INT8,
    "int32": DataType.INT32,
    "bool": DataType.BOOL,
    "int64": DataType.INT64,
}


class Dims(tuple[int, ...]):
    """A shape; -1 where it is not known."""


class IHostMemory(bytes):
    """Bytes in the host's memory."""

    @property
    def nbytes(self) -> int:
        return len(self)


class FakeTensorRT:
    """What `import tensorrt_rtx` (or `tensorrt`, `tensorrt_lean`) would give.

    Args:
        flavour: the product; only RTX has `is_stream_capturable`, run-time caches and validity.
        compute: computes plans without an ONNX file; `ramp` where not given.
    """

    ILogger, Logger, TensorIOMode, DataType = ILogger, Logger, TensorIOMode, DataType
    ExecutionContextAllocationStrategy = ExecutionContextAllocationStrategy

    def __init__(
        self,
        driver: FakeDriver,
        *,
        flavour: str = "rtx",
        version: str = RTX_VERSION,
        compute: Compute | None = None,
    ) -> None:
        self.__version__ = version
        self._driver, self._compute = driver, compute or ramp
        rtx = flavour == "rtx"
        self.ICudaEngine = ICudaEngine
        self.IExecutionContext = RtxExecutionContext if rtx else IExecutionContext
        self.IRuntimeConfig = RtxRuntimeConfig if rtx else IRuntimeConfig
        self.Runtime = functools.partial(RtxRuntime if rtx else Runtime, self)
        if rtx:
            self.EngineValidity, self.CudaGraphStrategy = EngineValidity, CudaGraphStrategy
            self.DynamicShapesKernelSpecializationStrategy = (
                DynamicShapesKernelSpecializationStrategy
            )
            self.IRuntimeCache = IRuntimeCache


class _Held:
    """Device memory of a TensorRT object, bound to the CUDA context it was taken in."""

    def __init__(self, driver: FakeDriver, what: str, sizes: Iterable[int]) -> None:
        self._driver, self._what = driver, what
        self._pointers: list[int] = []
        self._home = driver.current_context()
        try:
            for size in sizes:
                if size:
                    self._pointers.append(driver.allocate(size, what))
        except CudaError:
            self.drop()
            raise

    def check(self) -> None:
        """The CUDA context must be the one it was made in."""
        current = self._driver.current_context()
        if current != self._home or current is None:
            self._driver.violate(
                f"{self._what} of context {self._home} used while {current} is current"
            )

    def drop(self) -> None:
        """Frees the memory; a violation, never an exception, where that is wrong."""
        pointers, self._pointers = self._pointers, []
        if self._driver.lost:
            return
        with suppress(AssertionError):
            if pointers:
                self.check()
            for pointer in pointers:
                self._driver.release(pointer)


class Runtime:
    """Deserialises plans."""

    def __init__(self, trt: FakeTensorRT, logger: ILogger) -> None:
        if not isinstance(logger, ILogger):
            raise TypeError(f"{logger!r} is no ILogger")
        self._trt, self._logger = trt, logger

    @property
    def logger(self) -> ILogger:
        return self._logger

    def deserialize_cuda_engine(self, serialized_engine: bytes | memoryview) -> ICudaEngine | None:
        if self._trt._driver.current_context() is None:
            with suppress(AssertionError):
                self._trt._driver.violate("a plan deserialised while no context is current")
            self._failed("no CUDA context is current")
            return None
        plan, reason = self._plan(serialized_engine)
        if plan is None:
            self._failed(reason)
            return None
        try:
            return ICudaEngine(self._trt, self, plan)
        except CudaError as error:
            self._failed(_cuda_text(error))
            return None

    def _failed(self, reason: str) -> None:
        self._logger.log(
            _Severity.ERROR, f"IRuntime::deserializeCudaEngine: Error Code 1: {reason}"
        )

    def _plan(self, buffer: bytes | memoryview) -> tuple[dict[str, Any] | None, str]:
        """The plan, or None and the reason."""
        try:
            plan = json.loads(bytes(memoryview(buffer)))
            whole = plan["magic"] == plan["end"] == MAGIC
        except (ValueError, KeyError, TypeError):
            whole = False
        if not whole:
            return None, "Serialization (the plan's magic tag does not match)"
        if plan["version"] != self._trt.__version__:
            return None, f"Serialization (built with {plan['version']})"
        card = self._trt._driver.cards[0].capability
        if card not in plan["targets"]:
            return None, f"the plan was built for {plan['targets']}, this device is {card}"
        return plan, ""


class RtxRuntime(Runtime):
    """What RTX adds."""

    def get_engine_validity(self, buffer: bytes | memoryview) -> tuple[EngineValidity, int]:
        plan, _ = self._plan(buffer)
        return (EngineValidity.INVALID if plan is None else EngineValidity.VALID), 0


class ICudaEngine:
    """A deserialised plan: its weights lie on the device until it is dropped."""

    def __init__(self, trt: FakeTensorRT, runtime: Runtime, plan: dict[str, Any]) -> None:
        self._trt, self._runtime, self._plan = trt, runtime, plan
        self._graph = graph_spec_from_dict(plan["graph"])
        self._axes = {name: AxisRange(*sizes) for name, sizes in plan["profile"].items()}
        self._profile = GraphSpec(
            self._graph.stage, self._graph.inputs, self._graph.outputs, self._axes
        )
        self._tensors = {t.name: t for t in (*self._graph.inputs, *self._graph.outputs)}
        self._inputs = [tensor.name for tensor in self._graph.inputs]
        self._held = _Held(trt._driver, f"the engine of {self.name}", [plan["weights"]])

    def __del__(self) -> None:
        if hasattr(self, "_held"):
            self._held.drop()

    @property
    def name(self) -> str:
        return self._graph.stage.value

    @property
    def num_io_tensors(self) -> int:
        return len(self._tensors)

    @property
    def num_optimization_profiles(self) -> int:
        return 1

    @property
    def device_memory_size_v2(self) -> int:
        return self._scratch({name: axis.most for name, axis in self._axes.items()})

    def get_device_memory_size_for_profile_v2(self, profile_index: int) -> int:
        return self.device_memory_size_v2 if profile_index == 0 else 0

    def get_tensor_name(self, index: int) -> str:
        return list(self._tensors)[index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        if name not in self._tensors:
            return TensorIOMode.NONE
        return TensorIOMode.INPUT if name in self._inputs else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> DataType:
        return DTYPES[self._tensors[name].dtype]

    def get_tensor_shape(self, name: str) -> Dims:
        return Dims(s if isinstance(s, int) else -1 for s in self._tensors[name].shape)

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Dims]:
        if profile_index or name not in self._inputs:
            return []
        extents = [self._profile.extent(entry) for entry in self._tensors[name].shape]
        return [Dims(getattr(e, size) for e in extents) for size in ("least", "usual", "most")]

    def create_runtime_config(self) -> IRuntimeConfig:
        return self._trt.IRuntimeConfig(self._trt)

    def create_execution_context(
        self,
        strategy: ExecutionContextAllocationStrategy | IRuntimeConfig | None = None,
        runtime_config: IRuntimeConfig | None = None,
    ) -> IExecutionContext | None:
        config = strategy if isinstance(strategy, IRuntimeConfig) else runtime_config
        if config is not None:
            chosen = config.get_execution_context_allocation_strategy()
        elif isinstance(strategy, ExecutionContextAllocationStrategy):
            chosen = strategy
        else:
            chosen = _STATIC
        self._held.check()
        try:
            return self._trt.IExecutionContext(self._trt, self, chosen, config)
        except CudaError as error:
            self._error(f"ICudaEngine::createExecutionContext: {_cuda_text(error)}")
            return None

    def _scratch(self, sizes: Sizes) -> int:
        per = self._plan["scratch_per"]
        return int(self._plan["scratch"] + sum(per.get(name, 0) * n for name, n in sizes.items()))

    def _error(self, text: str) -> None:
        self._runtime._logger.log(_Severity.ERROR, text)


class IRuntimeCache:
    """Kernels compiled on this card."""

    def __init__(self, environment: str) -> None:
        self._environment, self._kernels = environment, 0

    def serialize(self) -> IHostMemory:
        return IHostMemory(json.dumps([self._environment, self._kernels]).encode())

    def deserialize(self, blob: bytes | memoryview) -> bool:
        try:
            environment, kernels = json.loads(bytes(memoryview(blob)))
        except (ValueError, TypeError):
            return False
        if environment != self._environment:
            return False
        self._kernels = int(kernels)
        return True

    def reset(self) -> bool:
        self._kernels = 0
        return True


class IRuntimeConfig:
    """How an execution context is to be made."""

    def __init__(self, trt: FakeTensorRT) -> None:
        self._trt = trt
        self._strategy = _STATIC
        self._cache: IRuntimeCache | None = None

    def set_execution_context_allocation_strategy(
        self,
        strategy: ExecutionContextAllocationStrategy = ExecutionContextAllocationStrategy.STATIC,
    ) -> None:
        self._strategy = strategy

    def get_execution_context_allocation_strategy(self) -> ExecutionContextAllocationStrategy:
        return self._strategy


class RtxRuntimeConfig(IRuntimeConfig):
    """What RTX adds."""

    cuda_graph_strategy = CudaGraphStrategy.DISABLED
    dynamic_shapes_kernel_specialization_strategy = DynamicShapesKernelSpecializationStrategy.LAZY

    def create_runtime_cache(self) -> IRuntimeCache:
        card = self._trt._driver.cards[0]
        return IRuntimeCache(f"{card.name} {card.capability} {self._trt.__version__}")

    def set_runtime_cache(self, cache: IRuntimeCache | None = None) -> bool:
        self._cache = cache
        return True

    def get_runtime_cache(self) -> IRuntimeCache | None:
        return self._cache


class IExecutionContext:
    """Runs an engine; several may share one."""

    def __init__(
        self,
        trt: FakeTensorRT,
        engine: ICudaEngine,
        strategy: ExecutionContextAllocationStrategy,
        config: IRuntimeConfig | None,
    ) -> None:
        self._trt, self._engine, self._config = trt, engine, config
        self.name = ""
        self._user_managed = strategy is ExecutionContextAllocationStrategy.USER_MANAGED
        self._shapes: dict[str, tuple[int, ...]] = {
            tensor.name: tuple(engine.get_tensor_shape(tensor.name))
            for tensor in engine._graph.inputs
        }
        self._addresses: dict[str, int] = {}
        self._memory: tuple[int, int] = (0, 0)
        own = 0 if self._user_managed else engine.device_memory_size_v2
        self._held = _Held(trt._driver, f"an execution context of {engine.name}", [own])
        if config is not None and config._cache is not None:
            config._cache._kernels += 1

    def __del__(self) -> None:
        if hasattr(self, "_held"):
            self._held.drop()

    @property
    def engine(self) -> ICudaEngine:
        return self._engine

    def set_input_shape(self, name: str, shape: Sequence[int]) -> bool:
        bounds = self._engine.get_tensor_profile_shape(name, 0)
        fits = bool(bounds) and len(shape) == len(bounds[0])
        if not fits or any(
            not low <= n <= high for n, low, high in zip(shape, bounds[0], bounds[2], strict=True)
        ):
            self._engine._error(
                f"IExecutionContext::setInputShape: Error Code 3: {name} of {tuple(shape)} does "
                f"not satisfy any optimization profiles: {bounds}"
            )
            return False
        self._shapes[name] = tuple(map(int, shape))
        return True

    def infer_shapes(self) -> list[str]:
        return [name for name, shape in self._shapes.items() if -1 in shape]

    def get_tensor_shape(self, name: str) -> Dims:
        if name in self._shapes:
            return Dims(self._shapes[name])
        if self.infer_shapes():
            return self._engine.get_tensor_shape(name)
        return Dims(self._output_shape(name))

    def update_device_memory_size_for_shapes(self) -> int:
        if missing := self.infer_shapes():
            self._engine._error(f"updateDeviceMemorySizeForShapes: shapes of {missing} are not set")
            return 0
        return self._engine._scratch(self._sizes())

    def set_device_memory(self, memory: int, size: int) -> None:
        if not self._user_managed:
            self._misuse("memory given to an execution context that has its own")
        elif memory % ALIGNMENT:
            self._misuse(f"scratch at {memory:#x} is not aligned to {ALIGNMENT} bytes")
        else:
            self._memory = (memory, size)

    def set_tensor_address(self, name: str, memory: int) -> bool:
        if name not in self._engine._tensors:
            self._engine._error(f"IExecutionContext::setTensorAddress: no tensor {name}")
            return False
        self._addresses[name] = memory
        return True

    def get_tensor_address(self, name: str) -> int:
        return self._addresses.get(name, 0)

    def execute_async_v3(self, stream_handle: int) -> bool:
        if self._trt._driver.lost:
            self._engine._error(f"Error Code 1: Cuda Runtime ({self._trt._driver.lost})")
            return False
        with suppress(AssertionError):
            self._held.check()
            run = self._checked_run()
            if run is None:
                return False
            return self._queued(stream_handle, run)
        return False

    def _queued(self, stream: int, run: Callable[[], None]) -> bool:
        driver = self._trt._driver
        if driver.capturing(stream) and not self._engine._plan["capturable"]:
            driver.break_capture(stream)
            self._engine._error("Error Code 1: Cuda Runtime (operation failed due to capture)")
            return False
        try:
            driver.run("execute_async_v3")
        except CudaError as error:
            self._engine._error(f"Error Code 1: {_cuda_text(error)}")
            return False
        driver.enqueue(stream, run)
        return True

    def _checked_run(self) -> Callable[[], None] | None:
        """The run under the shapes and addresses of now, or None where something is not set."""
        if missing := self.infer_shapes():
            self._misuse(f"shapes of {missing} are not set")
            return None
        names = [*self._engine._tensors]
        if unset := [name for name in names if not self._addresses.get(name)]:
            self._misuse(f"addresses of {unset} are not set")
            return None
        wanted = self._engine._scratch(self._sizes())
        scratch = self._memory if self._user_managed else (0, 0)
        if self._user_managed and scratch[1] < wanted:
            self._misuse(f"{scratch[1]} bytes of scratch given, {wanted} needed")
            return None
        shapes = {name: tuple(self.get_tensor_shape(name)) for name in names}
        return _Run(self, shapes, dict(self._addresses), scratch)

    def _misuse(self, what: str) -> None:
        """What TensorRT answers with an error at best."""
        self._engine._error(f"IExecutionContext: Error Code 3: API Usage Error ({what})")
        with suppress(AssertionError):
            self._trt._driver.violate(f"{self._engine.name}: {what}")

    def _sizes(self) -> dict[str, int]:
        return _axis_sizes(self._engine._graph, self._shapes)

    def _output_shape(self, name: str) -> tuple[int, ...]:
        sizes = {axis: AxisRange(n, n, n) for axis, n in self._sizes().items()}
        graph = self._engine._graph
        fixed = GraphSpec(graph.stage, graph.inputs, graph.outputs, sizes)
        return tuple(fixed.extent(entry).least for entry in self._engine._tensors[name].shape)


class RtxExecutionContext(IExecutionContext):
    """What RTX adds."""

    def is_stream_capturable(self, stream: int) -> bool:
        config = self._config
        lazy = DynamicShapesKernelSpecializationStrategy.LAZY
        waits = getattr(config, "dynamic_shapes_kernel_specialization_strategy", lazy) is lazy
        return bool(self._engine._plan["capturable"]) and not (waits and self._engine._axes)


class _Run:
    """One execution, with the addresses it was queued with."""

    def __init__(
        self,
        context: IExecutionContext,
        shapes: Mapping[str, tuple[int, ...]],
        addresses: Mapping[str, int],
        scratch: tuple[int, int],
    ) -> None:
        self._trt, self._engine = context._trt, context._engine
        self._shapes, self._addresses, self._scratch = shapes, addresses, scratch
        self._check_overlaps()
        for name in shapes:
            self._bytes(name)

    def __call__(self) -> None:
        """Reads inputs, computes, writes outputs; what lies in scratch is overwritten."""
        self._scribble()
        inputs = {name: self._array(name).copy() for name in self._engine._inputs}
        wanted = {n: s for n, s in self._shapes.items() if n not in inputs}
        onnx = self._engine._plan["onnx"]
        if onnx:
            half = self._engine._graph.precision is not Precision.FP32
            outputs: Mapping[str, Array] = _onnx_outputs(onnx, half, inputs)
        else:
            outputs = self._trt._compute(inputs, wanted)
        for name, shape in wanted.items():
            found = np.asarray(outputs[name])
            if found.shape != shape:
                self._trt._driver.violate(f"{name} computed as {found.shape}, planned {shape}")
            self._array(name)[...] = found
        self._scribble()

    def _array(self, name: str) -> Array:
        flat: Array = np.frombuffer(self._bytes(name), self._dtype(name))
        return flat.reshape(self._shapes[name])

    def _dtype(self, name: str) -> np.dtype[Any]:
        return np.dtype(self._engine._tensors[name].dtype)

    def _size(self, name: str) -> int:
        return int(np.prod(self._shapes[name], dtype=np.int64)) * self._dtype(name).itemsize

    def _bytes(self, name: str) -> memoryview:
        if self._addresses[name] % ALIGNMENT:
            self._trt._driver.violate(f"{name} lies at an address not aligned to {ALIGNMENT} bytes")
        return self._trt._driver.bytes_at(self._addresses[name], self._size(name))

    def _scribble(self) -> None:
        pointer, size = self._scratch
        for start in {0, max(size - _SCRIBBLE, 0)}:
            count = min(_SCRIBBLE, size - start)
            if count:
                self._trt._driver.bytes_at(pointer + start, count)[:] = b"\xa5" * count

    def _check_overlaps(self) -> None:
        inputs = set(self._engine._inputs)
        ranges = {n: (self._addresses[n], self._addresses[n] + self._size(n)) for n in self._shapes}
        for one in set(ranges) - inputs:
            for other in set(ranges) - {one}:
                (a, b), (c, d) = ranges[one], ranges[other]
                if a < d and c < b:
                    self._trt._driver.violate(f"the output {one} overlaps {other}")


def ramp(inputs: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """Outputs that depend on every input value: its mean, plus a ramp that starts anew for each."""
    level = sum(float(np.mean(array)) for array in inputs.values())
    return {
        name: level + number + np.arange(np.prod(shape), dtype=np.float32).reshape(shape) / 1000
        for number, (name, shape) in enumerate(shapes.items())
    }


@functools.lru_cache(maxsize=32)
def _onnx_session(path: str, half: bool) -> InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # NchwcTransformer ends the process on some half-precision graphs
    dropped = ["NchwcTransformer"] if half else []
    return onnxruntime.InferenceSession(
        path, options, ["CPUExecutionProvider"], disabled_optimizers=dropped
    )


def _onnx_outputs(path: str, half: bool, inputs: Mapping[str, Array]) -> dict[str, Array]:
    session = _onnx_session(path, half)
    names = [tensor.name for tensor in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))


def _axis_sizes(graph: GraphSpec, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """The size of each dynamic axis, read off the inputs' shapes."""
    found: dict[str, int] = {}
    for tensor in graph.inputs:
        for entry, size in zip(tensor.shape, shapes[tensor.name], strict=True):
            if isinstance(entry, int):
                continue
            if "*" in entry:
                name, _, factor = entry.partition("*")
                found[name] = size // int(factor)
            else:
                name, _, offset = entry.partition("+")
                found[name] = size - int(offset or 0)
    return found


def _cuda_text(error: CudaError) -> str:
    """As TensorRT words it: out of memory is spelled out."""
    if error.name == "CUDA_ERROR_OUT_OF_MEMORY":
        return "OutOfMemory (Requested size could not be allocated: out of memory)"
    return f"Cuda Runtime ({error.name})"
