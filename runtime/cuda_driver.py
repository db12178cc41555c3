"""The CUDA driver by way of cuda-bindings 12.x or 13.x.

The only file that imports cuda-bindings, and only when a driver is asked for. The two versions
differ for us in one call: cuCtxCreate takes creation parameters first since 13.0.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from sambert_trt.engines.errors import BackendError

from .cuda_calls import CudaError, Driver, Handle, error_from_cuda

__all__ = ["CudaBindingsDriver", "driver_from_cuda_bindings"]

_MODULE = "cuda.bindings.driver"
_NAME_BYTES = 256


def driver_from_cuda_bindings() -> Driver:
    """Opens the NVIDIA driver.

    Raises:
        BackendError: cuda-bindings is not installed, or there is no NVIDIA driver or card.
    """
    try:
        api = importlib.import_module(_MODULE)
    except ImportError as error:
        raise BackendError(
            f"cuda-bindings cannot be imported ({error}); install it with: "
            "pip install 'sambert-trt[rtx]' (or [tensorrt])"
        ) from error
    try:
        (status,) = api.cuInit(0)
    except Exception as error:
        raise BackendError(
            "no NVIDIA driver was found: install it, or start the container with --gpus all; "
            "without a card, speak with --backend cpu"
        ) from error
    if status:
        raise error_from_cuda(status.name, "cuInit")
    return CudaBindingsDriver(api)


class CudaBindingsDriver:
    """See `Driver`; handles are the driver's own pointers.

    Args:
        api: the module `cuda.bindings.driver`, after cuInit.
    """

    def __init__(self, api: ModuleType) -> None:
        self._api = api

    @property
    def can_capture(self) -> bool:
        """See `Driver.can_capture`."""
        return True

    def driver_version(self) -> int:
        """See `Driver.driver_version`."""
        return int(self._value("cuDriverGetVersion"))

    def device_count(self) -> int:
        """See `Driver.device_count`."""
        return int(self._value("cuDeviceGetCount"))

    def device_name(self, device: int) -> str:
        """See `Driver.device_name`."""
        return _text(self._value("cuDeviceGetName", _NAME_BYTES, self._device(device)))

    def device_bus(self, device: int) -> str:
        """See `Driver.device_bus`."""
        return _text(self._value("cuDeviceGetPCIBusId", _NAME_BYTES, self._device(device)))

    def capability(self, device: int) -> str:
        """See `Driver.capability`."""
        names = self._api.CUdevice_attribute
        major, minor = (
            self._value("cuDeviceGetAttribute", attribute, self._device(device))
            for attribute in (
                names.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                names.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
            )
        )
        return f"sm_{major}{minor}"

    def context_create(self, device: int) -> Handle:
        """See `Driver.context_create`; the driver makes it current, which is undone here."""
        flags = 0
        since_13 = (None,) if self._api.CUDA_VERSION >= 13000 else ()
        handle = int(self._value("cuCtxCreate", *since_13, flags, self._device(device)))
        try:
            self._call("cuCtxPopCurrent")
        except CudaError:
            self.context_destroy(handle)
            raise
        return handle

    def context_destroy(self, context: Handle) -> None:
        """See `Driver.context_destroy`."""
        self._call("cuCtxDestroy", context)

    def context_push(self, context: Handle) -> None:
        """See `Driver.context_push`."""
        self._call("cuCtxPushCurrent", context)

    def context_pop(self) -> Handle:
        """See `Driver.context_pop`."""
        return int(self._value("cuCtxPopCurrent"))

    def context_current(self) -> Handle | None:
        """See `Driver.context_current`."""
        return int(self._value("cuCtxGetCurrent")) or None

    def memory_info(self) -> tuple[int, int]:
        """See `Driver.memory_info`."""
        free, total = self._call("cuMemGetInfo")
        return int(free), int(total)

    def memory_alloc(self, size: int) -> int:
        """See `Driver.memory_alloc`."""
        return int(self._value("cuMemAlloc", size))

    def memory_free(self, pointer: int) -> None:
        """See `Driver.memory_free`."""
        self._call("cuMemFree", pointer)

    def pinned_alloc(self, size: int) -> int:
        """See `Driver.pinned_alloc`; the memory counts as page-locked in every context."""
        return int(self._value("cuMemHostAlloc", size, self._api.CU_MEMHOSTALLOC_PORTABLE))

    def pinned_free(self, pointer: int) -> None:
        """See `Driver.pinned_free`."""
        self._call("cuMemFreeHost", pointer)

    def copy_to_device(self, target: int, source: int, size: int, stream: Handle) -> None:
        """See `Driver.copy_to_device`."""
        self._call("cuMemcpyHtoDAsync", target, source, size, stream)

    def copy_to_host(self, target: int, source: int, size: int, stream: Handle) -> None:
        """See `Driver.copy_to_host`."""
        self._call("cuMemcpyDtoHAsync", target, source, size, stream)

    def copy_on_device(self, target: int, source: int, size: int, stream: Handle) -> None:
        """See `Driver.copy_on_device`."""
        self._call("cuMemcpyDtoDAsync", target, source, size, stream)

    def memory_zero(self, pointer: int, size: int, stream: Handle) -> None:
        """See `Driver.memory_zero`."""
        self._call("cuMemsetD8Async", pointer, 0, size, stream)

    def stream_create(self) -> Handle:
        """See `Driver.stream_create`."""
        return int(self._value("cuStreamCreate", self._api.CUstream_flags.CU_STREAM_NON_BLOCKING))

    def stream_destroy(self, stream: Handle) -> None:
        """See `Driver.stream_destroy`."""
        self._call("cuStreamDestroy", stream)

    def stream_synchronize(self, stream: Handle) -> None:
        """See `Driver.stream_synchronize`; other Python threads run on meanwhile."""
        self._call("cuStreamSynchronize", stream)

    def event_create(self) -> Handle:
        """See `Driver.event_create`."""
        return int(self._value("cuEventCreate", self._api.CUevent_flags.CU_EVENT_DEFAULT))

    def event_destroy(self, event: Handle) -> None:
        """See `Driver.event_destroy`."""
        self._call("cuEventDestroy", event)

    def event_record(self, event: Handle, stream: Handle) -> None:
        """See `Driver.event_record`."""
        self._call("cuEventRecord", event, stream)

    def event_synchronize(self, event: Handle) -> None:
        """See `Driver.event_synchronize`."""
        self._call("cuEventSynchronize", event)

    def event_elapsed(self, start: Handle, end: Handle) -> float:
        """See `Driver.event_elapsed`."""
        return float(self._value("cuEventElapsedTime", start, end))

    def capture_begin(self, stream: Handle) -> None:
        """See `Driver.capture_begin`.

        Thread-local: what other threads do with other contexts does not end the recording.
        """
        mode = self._api.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._call("cuStreamBeginCapture", stream, mode)

    def capture_end(self, stream: Handle) -> Handle:
        """See `Driver.capture_end`."""
        return int(self._value("cuStreamEndCapture", stream))

    def graph_destroy(self, graph: Handle) -> None:
        """See `Driver.graph_destroy`."""
        self._call("cuGraphDestroy", graph)

    def graph_instantiate(self, graph: Handle) -> Handle:
        """See `Driver.graph_instantiate`."""
        return int(self._value("cuGraphInstantiate", graph, 0))

    def graph_launch(self, executable: Handle, stream: Handle) -> None:
        """See `Driver.graph_launch`."""
        self._call("cuGraphLaunch", executable, stream)

    def exec_destroy(self, executable: Handle) -> None:
        """See `Driver.exec_destroy`."""
        self._call("cuGraphExecDestroy", executable)

    def _device(self, device: int) -> int:
        return int(self._value("cuDeviceGet", device))

    def _value(self, call: str, *arguments: object) -> Any:  # noqa: ANN401  # ints, bytes, handles
        """The one value a call returns beside its status."""
        (value,) = self._call(call, *arguments)
        return value

    def _call(self, call: str, *arguments: object) -> tuple[Any, ...]:
        """What a call returns beside its status.

        Raises:
            CudaError: the status is an error, or the bindings and the driver do not fit together.
        """
        try:
            status, *values = getattr(self._api, call)(*arguments)
        except Exception as error:
            raise self._mismatch(call, error) from error
        if status:
            raise error_from_cuda(status.name, call, ", ".join(map(_shown, arguments)))
        return tuple(values)

    def _mismatch(self, call: str, error: Exception) -> CudaError:
        """The driver lacks a function the bindings ask for, or answers with a code they lack."""
        return CudaError(
            f"{call} cannot be called ({error}): cuda-bindings for CUDA "
            f"{_dotted(self._api.CUDA_VERSION)} and the installed driver do not fit together; "
            "update the driver, or install cuda-bindings of the driver's CUDA version",
            "CUDA_ERROR_NOT_SUPPORTED",
            call,
        )


def _shown(argument: object) -> str:
    """An argument as errors show it: pointers and handles are told from sizes by their size."""
    if isinstance(argument, int) and argument > 1 << 40:
        return hex(argument)
    return str(argument)


def _text(value: bytes) -> str:
    """What stands before the terminating zero; the bindings give the whole buffer."""
    return value.split(b"\0")[0].decode("utf-8", "replace")


def _dotted(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"
