"""The CUDA driver by way of pycuda, for those whose program already lives in it.

Unverified on hardware; pycuda 2026.1 itself was run over a libcuda without a card. pycuda is
imported only when a driver is asked for. It has no stream capture, so steps are queued one by one;
it tells errors by NVIDIA's texts, not by name; and its objects free themselves, so they are kept
here, by context, until they are destroyed.
"""

from __future__ import annotations

import ctypes
import importlib
import itertools
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

from sambert_trt.engines.errors import BackendError

from .cuda_calls import CudaError, Driver, Handle, error_from_cuda

__all__ = ["PycudaDriver", "driver_from_pycuda"]

_MODULE = "pycuda.driver"
_NON_BLOCKING = 1
_FIRST_EVENT = 1 << 20

_TEXTS = {
    "out of memory": "OUT_OF_MEMORY",
    "invalid argument": "INVALID_VALUE",
    "initialization error": "NOT_INITIALIZED",
    "driver shutting down": "DEINITIALIZED",
    "CUDA driver is a stub library": "STUB_LIBRARY",
    "CUDA-capable device(s) is/are busy or unavailable": "DEVICE_UNAVAILABLE",
    "no CUDA-capable device is detected": "NO_DEVICE",
    "invalid device ordinal": "INVALID_DEVICE",
    "invalid device context": "INVALID_CONTEXT",
    "uncorrectable ECC error encountered": "ECC_UNCORRECTABLE",
    "uncorrectable NVLink error detected during the execution": "NVLINK_UNCORRECTABLE",
    "Invalid access of peer GPU memory over nvlink or a hardware error": "CONTAINED",
    "invalid resource handle": "INVALID_HANDLE",
    "an illegal memory access was encountered": "ILLEGAL_ADDRESS",
    "the launch timed out and was terminated": "LAUNCH_TIMEOUT",
    "context is destroyed": "CONTEXT_IS_DESTROYED",
    "device-side assert triggered": "ASSERT",
    "hardware stack error": "HARDWARE_STACK_ERROR",
    "an illegal instruction was encountered": "ILLEGAL_INSTRUCTION",
    "misaligned address": "MISALIGNED_ADDRESS",
    "operation not supported on global/shared address space": "INVALID_ADDRESS_SPACE",
    "invalid program counter": "INVALID_PC",
    "unspecified launch failure": "LAUNCH_FAILED",
    "tensor memory not completely freed": "TENSOR_MEMORY_LEAK",
    "system not yet initialized": "SYSTEM_NOT_READY",
    "system has unsupported display driver / cuda driver combination": "SYSTEM_DRIVER_MISMATCH",
    "forward compatibility was attempted on non supported HW": "COMPAT_NOT_SUPPORTED_ON_DEVICE",
    "the MPS client has been terminated by the server": "MPS_CLIENT_TERMINATED",
    "an async error has occured in external entity outside of CUDA": "EXTERNAL_DEVICE",
}
"""The texts of cuGetErrorString, as CUDA 13 has them, to the names after CUDA_ERROR_."""


def driver_from_pycuda() -> Driver:
    """Opens the NVIDIA driver with pycuda.

    Raises:
        BackendError: pycuda is not installed, or there is no NVIDIA driver or card.
    """
    try:
        api = importlib.import_module(_MODULE)
    except ImportError as error:
        raise BackendError(
            f"pycuda cannot be imported ({error}); install it with: pip install pycuda (it is "
            "compiled then, which takes a CUDA toolkit), or use cuda-bindings"
        ) from error
    driver = PycudaDriver(api)
    driver.start()
    return driver


class PycudaDriver:
    """See `Driver`.

    Args:
        api: the module `pycuda.driver`.
    """

    def __init__(self, api: ModuleType) -> None:
        self._api = api
        self._contexts: dict[Handle, Any] = {}
        self._objects: dict[Handle, dict[Handle, Any]] = {}
        self._numbers = itertools.count(_FIRST_EVENT)
        self._lock = threading.Lock()

    def start(self) -> None:
        """Initialises the driver; again does nothing."""
        self._tell("cuInit", self._api.init)

    @property
    def can_capture(self) -> bool:
        """See `Driver.can_capture`: pycuda has no graphs."""
        return False

    def driver_version(self) -> int:
        """See `Driver.driver_version`."""
        return int(self._tell("cuDriverGetVersion", self._api.get_driver_version))

    def device_count(self) -> int:
        """See `Driver.device_count`."""
        return int(self._tell("cuDeviceGetCount", self._api.Device.count))

    def device_name(self, device: int) -> str:
        """See `Driver.device_name`."""
        return str(self._tell("cuDeviceGetName", lambda: self._api.Device(device).name()))

    def device_bus(self, device: int) -> str:
        """See `Driver.device_bus`."""
        return str(self._tell("cuDeviceGetPCIBusId", lambda: self._api.Device(device).pci_bus_id()))

    def capability(self, device: int) -> str:
        """See `Driver.capability`."""
        asked = self._tell(
            "cuDeviceGetAttribute", lambda: self._api.Device(device).compute_capability()
        )
        major, minor = asked
        return f"sm_{major}{minor}"

    def context_create(self, device: int) -> Handle:
        """See `Driver.context_create`."""
        context = self._tell("cuCtxCreate", lambda: self._api.Device(device).make_context())
        try:
            self._tell("cuCtxPopCurrent", self._api.Context.pop)
        except CudaError:
            self._tell("cuCtxDestroy", context.detach)
            raise
        handle = int(context.handle)
        with self._lock:
            self._contexts[handle], self._objects[handle] = context, {}
        return handle

    def context_destroy(self, context: Handle) -> None:
        """See `Driver.context_destroy`.

        It is made current first: pycuda silently keeps a context that another thread created,
        unless it is current where it is let go.
        """
        found = self._context(context)
        self._tell("cuCtxPushCurrent", found.push)
        with self._lock:
            self._objects[context].clear()
            del self._objects[context], self._contexts[context]
        self._tell("cuCtxDestroy", found.detach)

    def context_push(self, context: Handle) -> None:
        """See `Driver.context_push`."""
        self._tell("cuCtxPushCurrent", self._context(context).push)

    def context_pop(self) -> Handle:
        """See `Driver.context_pop`."""
        handle = self._current()
        self._tell("cuCtxPopCurrent", self._api.Context.pop)
        return handle

    def context_current(self) -> Handle | None:
        """See `Driver.context_current`; contexts entered without pycuda are not seen."""
        context = self._tell("cuCtxGetCurrent", self._api.Context.get_current)
        return None if context is None else int(context.handle)

    def memory_info(self) -> tuple[int, int]:
        """See `Driver.memory_info`."""
        free, total = self._tell("cuMemGetInfo", self._api.mem_get_info)
        return int(free), int(total)

    def memory_alloc(self, size: int) -> int:
        """See `Driver.memory_alloc`."""
        found = self._tell("cuMemAlloc", lambda: self._api.mem_alloc(size), f"{size}")
        return self._kept(int(found), found)

    def memory_free(self, pointer: int) -> None:
        """See `Driver.memory_free`."""
        self._tell("cuMemFree", self._dropped(pointer).free)

    def pinned_alloc(self, size: int) -> int:
        """See `Driver.pinned_alloc`."""
        flags = self._api.host_alloc_flags.PORTABLE
        array = self._tell(
            "cuMemHostAlloc",
            lambda: self._api.pagelocked_empty(size, "uint8", mem_flags=flags),
            f"{size}",
        )
        return self._kept(int(array.ctypes.data), array)

    def pinned_free(self, pointer: int) -> None:
        """See `Driver.pinned_free`."""
        self._tell("cuMemFreeHost", self._dropped(pointer).base.free)

    def copy_to_device(self, target: int, source: int, size: int, stream: Handle) -> None:
        """See `Driver.copy_to_device`."""
        queue, memory = self._object(stream), _memory(source, size)
        self._tell("cuMemcpyHtoDAsync", lambda: self._api.memcpy_htod_async(target, memory, queue))

    def copy_to_host(self, target: int, source: int, size: int, stream: Handle) -> None:
        """See `Driver.copy_to_host`."""
        queue, memory = self._object(stream), _memory(target, size)
        self._tell("cuMemcpyDtoHAsync", lambda: self._api.memcpy_dtoh_async(memory, source, queue))

    def copy_on_device(self, target: int, source: int, size: int, stream: Handle) -> None:
        """See `Driver.copy_on_device`."""
        queue = self._object(stream)
        self._tell(
            "cuMemcpyDtoDAsync", lambda: self._api.memcpy_dtod_async(target, source, size, queue)
        )

    def memory_zero(self, pointer: int, size: int, stream: Handle) -> None:
        """See `Driver.memory_zero`."""
        queue = self._object(stream)
        self._tell("cuMemsetD8Async", lambda: self._api.memset_d8_async(pointer, 0, size, queue))

    def stream_create(self) -> Handle:
        """See `Driver.stream_create`."""
        found = self._tell("cuStreamCreate", lambda: self._api.Stream(_NON_BLOCKING))
        return self._kept(int(found.handle), found)

    def stream_destroy(self, stream: Handle) -> None:
        """See `Driver.stream_destroy`: pycuda destroys it with the last reference."""
        self._dropped(stream)

    def stream_synchronize(self, stream: Handle) -> None:
        """See `Driver.stream_synchronize`."""
        self._tell("cuStreamSynchronize", self._object(stream).synchronize)

    def event_create(self) -> Handle:
        """See `Driver.event_create`; pycuda shows no handle, so it is a number of our own."""
        found = self._tell("cuEventCreate", self._api.Event)
        return self._kept(next(self._numbers), found)

    def event_destroy(self, event: Handle) -> None:
        """See `Driver.event_destroy`."""
        self._dropped(event)

    def event_record(self, event: Handle, stream: Handle) -> None:
        """See `Driver.event_record`."""
        found, queue = self._object(event), self._object(stream)
        self._tell("cuEventRecord", lambda: found.record(queue))

    def event_synchronize(self, event: Handle) -> None:
        """See `Driver.event_synchronize`."""
        self._tell("cuEventSynchronize", self._object(event).synchronize)

    def event_elapsed(self, start: Handle, end: Handle) -> float:
        """See `Driver.event_elapsed`."""
        begin, found = self._object(start), self._object(end)
        return float(self._tell("cuEventElapsedTime", lambda: found.time_since(begin)))

    def capture_begin(self, stream: Handle) -> None:
        """See `can_capture`."""
        raise _no_graphs("cuStreamBeginCapture")

    def capture_end(self, stream: Handle) -> Handle:
        """See `can_capture`."""
        raise _no_graphs("cuStreamEndCapture")

    def graph_destroy(self, graph: Handle) -> None:
        """See `can_capture`."""
        raise _no_graphs("cuGraphDestroy")

    def graph_instantiate(self, graph: Handle) -> Handle:
        """See `can_capture`."""
        raise _no_graphs("cuGraphInstantiate")

    def graph_launch(self, executable: Handle, stream: Handle) -> None:
        """See `can_capture`."""
        raise _no_graphs("cuGraphLaunch")

    def exec_destroy(self, executable: Handle) -> None:
        """See `can_capture`."""
        raise _no_graphs("cuGraphExecDestroy")

    def _current(self) -> Handle:
        current = self.context_current()
        if current is None:
            raise error_from_cuda("CUDA_ERROR_INVALID_CONTEXT", "cuCtxGetCurrent")
        return current

    def _context(self, context: Handle) -> Any:  # noqa: ANN401  # pycuda is untyped
        with self._lock:
            if context not in self._contexts:
                raise error_from_cuda("CUDA_ERROR_INVALID_CONTEXT", "cuCtxPushCurrent")
            return self._contexts[context]

    def _kept(self, handle: Handle, found: object) -> Handle:
        current = self._current()
        with self._lock:
            self._objects[current][handle] = found
        return handle

    def _object(self, handle: Handle) -> Any:  # noqa: ANN401  # pycuda is untyped
        current = self._current()
        with self._lock:
            if handle not in self._objects[current]:
                raise error_from_cuda("CUDA_ERROR_INVALID_HANDLE", "the current context")
            return self._objects[current][handle]

    def _dropped(self, handle: Handle) -> Any:  # noqa: ANN401  # pycuda is untyped
        found = self._object(handle)
        with self._lock:
            del self._objects[self._current()][handle]
        return found

    def _tell(self, call: str, do: Callable[[], Any], values: str = "") -> Any:  # noqa: ANN401
        """What a call returns; pycuda's errors become ours."""
        try:
            return do()
        except self._api.Error as error:
            raise error_from_cuda(_name(str(error)), call, values) from error


def _name(text: str) -> str:
    """CUDA's name of an error pycuda tells as `cuMemAlloc failed: out of memory`."""
    for end, name in _TEXTS.items():
        if end in text:
            return f"CUDA_ERROR_{name}"
    return "CUDA_ERROR_UNKNOWN"


def _no_graphs(call: str) -> CudaError:
    return CudaError(
        f"{call}: pycuda has no CUDA graphs; ask can_capture first, or use cuda-bindings",
        "CUDA_ERROR_NOT_SUPPORTED",
        call,
    )


def _memory(pointer: int, size: int) -> ctypes.Array[ctypes.c_uint8]:
    """Host memory at an address, as a buffer."""
    return (ctypes.c_uint8 * size).from_address(pointer)
