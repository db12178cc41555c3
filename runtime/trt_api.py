"""The part of TensorRT's Python API that running needs, alike in RTX, full and lean packages.

Imports no TensorRT itself: the module is handed in. Every call is made with the engine's CUDA
context current; that is the caller's business.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import Any, Protocol

from sambert_trt.engines.errors import BackendError, DeviceMemoryError, EngineError

__all__ = ["LoadedPlan", "TrtApi"]

_LOG = logging.getLogger(__name__)
_KEPT_MESSAGES = 40
_LOGGERS: dict[int, Any] = {}
_LOGGERS_LOCK = threading.Lock()

_DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "INT64": "int64",
    "INT32": "int32",
    "INT8": "int8",
    "BOOL": "bool",
}


class ReadableBuffer(Protocol):
    """Bytes, or something with the same memory."""

    def __len__(self) -> int: ...


class TrtApi:
    """A TensorRT module and the one logger it takes per process.

    Args:
        module: `tensorrt_rtx`, `tensorrt` or `tensorrt_lean`.
    """

    def __init__(self, module: Any) -> None:
        self._trt, self._logger = module, _logger_of(module)

    @property
    def version(self) -> str:
        """The module's full version."""
        return str(self._trt.__version__)

    def loaded(
        self, plan: ReadableBuffer, name: str, kernels: bytes | None = None, *, fixed: bool = False
    ) -> LoadedPlan:
        """Deserialises a plan and makes an execution context that brings no scratch of its own.

        Args:
            plan: the plan's content, whose sha256 has been verified.
            name: what to call it in errors.
            kernels: what `LoadedPlan.kernels` gave earlier, where the product compiles on the card.
            fixed: keep the kernels the plan brings, so that a recorded CUDA graph stays the best;
                else faster ones may be compiled in the background for the shapes that come up.

        Raises:
            DeviceMemoryError: the card is full.
            EngineError: TensorRT does not take the plan.
        """
        self._logger.forget()
        loaded = LoadedPlan(self, name)
        try:
            loaded.load(self._trt, self._logger, plan, kernels, fixed=fixed)
        except BaseException:
            loaded.close()
            raise
        return loaded

    def error(self, what: str, *, build: bool = False) -> BackendError | EngineError:
        """An error that ends in what TensorRT said last; about memory where it says so."""
        said = self._logger.last()
        self._logger.forget()
        low = said.lower().replace("_", " ")
        if "out of memory" in low or "outofmemory" in low:
            return DeviceMemoryError(f"{what}: the card is full ({said})")
        advice = "; build it again with sambert-build --force" if build else ""
        kind = EngineError if build else BackendError
        return kind(f"{what}: {said or 'it gives no reason'}{advice}")


class LoadedPlan:
    """A deserialised plan and its execution context; `TrtApi.loaded` makes it.

    TensorRT's objects are attributes and never local variables: a traceback would keep those alive
    beyond the CUDA context they have to be destroyed in.
    """

    def __init__(self, api: TrtApi, name: str) -> None:
        self._api, self._name = api, name
        self._trt: Any = None
        self._runtime: Any = None
        self._engine: Any = None
        self._config: Any = None
        self._cache: Any = None
        self._context: Any = None

    def load(
        self, trt: Any, logger: Any, plan: ReadableBuffer, kernels: bytes | None, *, fixed: bool
    ) -> None:
        """See `TrtApi.loaded`."""
        self._trt, self._runtime = trt, trt.Runtime(logger)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise self._api.error(
                f"TensorRT {self._api.version} does not load the plan of {self._name}", build=True
            )
        self._make_context(kernels, fixed=fixed)
        if self._context is None:
            raise self._api.error(f"TensorRT makes no execution context for {self._name}")

    def tensors(self) -> dict[str, tuple[str, bool]]:
        """Name -> (numpy dtype, whether it is an input)."""
        engine, found = self._engine, {}
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            dtype = engine.get_tensor_dtype(name).name
            is_input = engine.get_tensor_mode(name) == self._trt.TensorIOMode.INPUT
            found[name] = (_DTYPES.get(dtype, dtype.lower()), is_input)
        return found

    def set_shapes(self, shapes: dict[str, tuple[int, ...]]) -> int:
        """Fixes the inputs' shapes; returns the bytes of scratch that running takes then.

        Raises:
            BackendError: a shape outside the profile.
        """
        for name, shape in shapes.items():
            if not self._context.set_input_shape(name, shape):
                raise self._api.error(f"{self._name} takes no {name} of shape {shape}")
        try:
            missing = self._context.infer_shapes()
        except RuntimeError as error:
            raise self._api.error(f"{self._name} takes no such shapes ({error})") from error
        if missing:
            raise BackendError(f"{self._name}: shapes of {', '.join(missing)} are not set")
        return int(self._context.update_device_memory_size_for_shapes())

    def output_shape(self, name: str) -> tuple[int, ...]:
        """An output's shape under the shapes set."""
        return tuple(int(size) for size in self._context.get_tensor_shape(name))

    def set_scratch(self, pointer: int, size: int) -> None:
        """The memory to compute in, aligned to 256 bytes."""
        self._context.set_device_memory(pointer, size)

    def set_address(self, name: str, pointer: int) -> None:
        """Where a tensor lies on the device, aligned to 256 bytes."""
        if not self._context.set_tensor_address(name, pointer):
            raise self._api.error(f"{self._name} takes no address for {name}")

    def enqueue(self, stream: int) -> None:
        """Queues one run.

        Raises:
            BackendError: TensorRT refuses.
        """
        if not self._context.execute_async_v3(stream):
            raise self._api.error(f"TensorRT failed in the {self._name} engine")

    def capturable(self, stream: int) -> bool:
        """Whether a run may be recorded into a CUDA graph, as far as TensorRT can tell."""
        asked = getattr(self._context, "is_stream_capturable", None)
        return asked is None or bool(asked(stream))

    def kernels(self) -> bytes | None:
        """What was compiled for this card so far; None where the product compiles nothing here."""
        if self._cache is None:
            return None
        return bytes(memoryview(self._cache.serialize()))

    def close(self) -> None:
        """Lets go of everything, in order: context, configuration, cache, engine, runtime."""
        self._context = None
        self._config = None
        self._cache = None
        self._engine = None
        self._runtime = None

    def _make_context(self, kernels: bytes | None, *, fixed: bool) -> None:
        strategy = self._trt.ExecutionContextAllocationStrategy.USER_MANAGED
        if not hasattr(self._engine, "create_runtime_config"):
            self._context = self._engine.create_execution_context(strategy)
            return
        self._config = self._engine.create_runtime_config()
        self._config.set_execution_context_allocation_strategy(strategy)
        if fixed and hasattr(self._config, "dynamic_shapes_kernel_specialization_strategy"):
            none = self._trt.DynamicShapesKernelSpecializationStrategy.NONE
            self._config.dynamic_shapes_kernel_specialization_strategy = none
        if hasattr(self._config, "create_runtime_cache"):
            self._cache = self._config.create_runtime_cache()
            if kernels and not self._cache.deserialize(kernels):
                _LOG.info("%s: compiled kernels of another card or driver, not used", self._name)
            self._config.set_runtime_cache(self._cache)
        self._context = self._engine.create_execution_context(self._config)


def _logger_of(trt: Any) -> Any:
    """TensorRT keeps the first logger of a process; later ones are ignored."""
    with _LOGGERS_LOCK:
        if id(trt) not in _LOGGERS:
            _LOGGERS[id(trt)] = _new_logger(trt)
        return _LOGGERS[id(trt)]


def _new_logger(trt: Any) -> Any:
    severities = trt.ILogger.Severity
    levels = {
        severities.INTERNAL_ERROR: logging.ERROR,
        severities.ERROR: logging.ERROR,
        severities.WARNING: logging.WARNING,
        severities.INFO: logging.DEBUG,
    }

    class Logger(trt.ILogger):  # type: ignore[misc]  # a class of the module at hand
        """Hands messages to logging and keeps errors for the exception that follows."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self._errors: deque[tuple[int, str]] = deque(maxlen=_KEPT_MESSAGES)

        def log(self, severity: Any, message: str) -> None:
            level = levels.get(severity)
            if level is None:
                return
            if level == logging.ERROR:
                self._errors.append((threading.get_ident(), message))
            _LOG.log(min(level, logging.WARNING) - 10, "TensorRT: %s", message)

        def forget(self) -> None:
            own = threading.get_ident()
            kept = [entry for entry in self._errors if entry[0] != own]
            self._errors.clear()
            self._errors.extend(kept)

        def last(self) -> str:
            """This thread's newest error, or, as TensorRT has threads of its own, any newest."""
            own, found = threading.get_ident(), [*reversed(self._errors)]
            return next(
                (text for ident, text in found if ident == own), found[0][1] if found else ""
            )

    return Logger()
