"""The CUDA driver calls this project uses, and the errors they end with.

`Driver` is the seam: cuda_driver.py fills it with cuda-bindings, cuda_pycuda.py with pycuda, the
tests with a driver that has no card. Handles and pointers are plain ints.

No CUDA package is imported here.
"""

from __future__ import annotations

from typing import Protocol

from sambert_trt.engines.errors import BackendError, DeviceLostError, DeviceMemoryError

__all__ = [
    "STICKY",
    "CudaError",
    "CudaLostError",
    "CudaMemoryError",
    "Driver",
    "Handle",
    "error_from_cuda",
]

Handle = int

STICKY = frozenset(
    f"CUDA_ERROR_{name}"
    for name in (
        # NVIDIA's words for these: "the process must be terminated and relaunched"
        "CONTAINED",
        "EXTERNAL_DEVICE",
        "HARDWARE_STACK_ERROR",
        "ILLEGAL_ADDRESS",
        "ILLEGAL_INSTRUCTION",
        "INVALID_ADDRESS_SPACE",
        "INVALID_PC",
        "LAUNCH_FAILED",
        "LAUNCH_TIMEOUT",
        "MISALIGNED_ADDRESS",
        "MPS_CLIENT_TERMINATED",
        "TENSOR_MEMORY_LEAK",
        # the context is beyond use (ASSERT), the card's memory or link is damaged, or the driver
        # is shutting down: nothing this process does next can be trusted
        "ASSERT",
        "DEINITIALIZED",
        "ECC_UNCORRECTABLE",
        "NVLINK_UNCORRECTABLE",
    )
)
"""Errors after which the process gets nothing from the card any more."""

_ADVICE = {
    "CUDA_ERROR_OUT_OF_MEMORY": "the card has no room: lower the memory budget or the chunk size, "
    "or close what else uses the card",
    "CUDA_ERROR_NO_DEVICE": "no NVIDIA card is visible: compare nvidia-smi and "
    "CUDA_VISIBLE_DEVICES",
    "CUDA_ERROR_INVALID_DEVICE": "there is no card of that number: nvidia-smi lists them",
    "CUDA_ERROR_DEVICE_UNAVAILABLE": "another process holds the card alone: see its compute mode "
    "in nvidia-smi",
    "CUDA_ERROR_SYSTEM_NOT_READY": "the card's services have not started (nvidia-fabricmanager on "
    "NVLink machines): start them and try again",
    "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH": "the driver's library and its kernel module differ: "
    "restart the machine, or the container with the host's driver",
    "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE": "the compatibility driver does not take this "
    "card: install a current driver",
    "CUDA_ERROR_STUB_LIBRARY": "the libcuda that was found is a stub: install the NVIDIA driver, "
    "or take the stub's folder out of the library path",
    "CUDA_ERROR_INVALID_CONTEXT": "the context is closed or another one is current: a fault of "
    "this program, please report it",
    "CUDA_ERROR_CONTEXT_IS_DESTROYED": "the context was closed while something still used it: a "
    "fault of this program, please report it",
}


class CudaError(BackendError):
    """A driver call that failed.

    Attributes:
        name: the error as CUDA spells it, `CUDA_ERROR_INVALID_VALUE`.
        call: what was asked of the driver.
    """

    def __init__(self, message: str, name: str = "", call: str = "") -> None:
        super().__init__(message)
        self.name, self.call = name, call


class CudaMemoryError(CudaError, DeviceMemoryError):
    """The card has no room for an allocation or a context."""


class CudaLostError(CudaError, DeviceLostError):
    """An error of `STICKY`: only a new process reaches the card again."""


def error_from_cuda(name: str, call: str, values: str = "") -> CudaError:
    """The error for a CUDA error name: what was called, with which values, and what to do."""
    what = f"{call}({values}) failed with {name}"
    if name in STICKY:
        return CudaLostError(
            f"{what}: the card answers nothing more to this process; restart it", name, call
        )
    kind = CudaMemoryError if name == "CUDA_ERROR_OUT_OF_MEMORY" else CudaError
    advice = _ADVICE.get(name, "if it happens again, report it with what sambert-tts doctor says")
    return kind(f"{what}: {advice}", name, call)


class Driver(Protocol):
    """The driver calls in use. Every method raises CudaError when the driver refuses.

    Sizes are bytes. Memory, streams, events and graphs belong to the context that is current when
    they are made, and are only used and destroyed while it is current. A thread has its own stack
    of current contexts.
    """

    @property
    def can_capture(self) -> bool:
        """Whether the capture and graph calls exist; where not, they raise BackendError."""

    def driver_version(self) -> int:
        """The newest CUDA the driver knows: 13000 for 13.0."""

    def device_count(self) -> int:
        """How many cards are visible."""

    def device_name(self, device: int) -> str:
        """The name of a card."""

    def device_bus(self, device: int) -> str:
        """A card's PCI bus id, `0000:01:00.0`, by which NVML finds the same card."""

    def capability(self, device: int) -> str:
        """A card's compute capability, `sm_86`."""

    def context_create(self, device: int) -> Handle:
        """A new context, which is not current."""

    def context_destroy(self, context: Handle) -> None:
        """Destroys a context, which is current nowhere, with all that was made in it."""

    def context_push(self, context: Handle) -> None:
        """Makes a context current on this thread, above the one that was."""

    def context_pop(self) -> Handle:
        """Takes the current context off this thread's stack and returns it."""

    def context_current(self) -> Handle | None:
        """The context current on this thread."""

    def memory_info(self) -> tuple[int, int]:
        """Free and total bytes of the current context's card."""

    def memory_alloc(self, size: int) -> int:
        """Device memory, aligned to 256 bytes or more."""

    def memory_free(self, pointer: int) -> None:
        """Gives device memory back; waits for work that uses it."""

    def pinned_alloc(self, size: int) -> int:
        """Page-locked host memory, at an address this process can read and write."""

    def pinned_free(self, pointer: int) -> None:
        """Gives page-locked host memory back."""

    def copy_to_device(self, target: int, source: int, size: int, stream: Handle) -> None:
        """Queues a copy from page-locked memory, which must not change before it is done."""

    def copy_to_host(self, target: int, source: int, size: int, stream: Handle) -> None:
        """Queues a copy into page-locked memory."""

    def copy_on_device(self, target: int, source: int, size: int, stream: Handle) -> None:
        """Queues a copy within the context's memory."""

    def memory_zero(self, pointer: int, size: int, stream: Handle) -> None:
        """Queues filling memory with zeros."""

    def stream_create(self) -> Handle:
        """A queue of work that does not wait for the default stream."""

    def stream_destroy(self, stream: Handle) -> None:
        """Destroys a stream; work still queued in it finishes."""

    def stream_synchronize(self, stream: Handle) -> None:
        """Waits until all queued work is done; reports its errors."""

    def event_create(self) -> Handle:
        """A mark that can be put into a stream."""

    def event_destroy(self, event: Handle) -> None:
        """Destroys an event."""

    def event_record(self, event: Handle, stream: Handle) -> None:
        """Puts the mark behind the work queued so far."""

    def event_synchronize(self, event: Handle) -> None:
        """Waits until the stream has come past the mark."""

    def event_elapsed(self, start: Handle, end: Handle) -> float:
        """Milliseconds between two marks that both have been passed."""

    def capture_begin(self, stream: Handle) -> None:
        """From here on this thread's work in the stream is recorded instead of run."""

    def capture_end(self, stream: Handle) -> Handle:
        """Ends the recording; returns the graph of what was recorded."""

    def graph_destroy(self, graph: Handle) -> None:
        """Destroys a graph."""

    def graph_instantiate(self, graph: Handle) -> Handle:
        """An executable graph, which stands without the graph it was made of."""

    def graph_launch(self, executable: Handle, stream: Handle) -> None:
        """Queues the recorded work."""

    def exec_destroy(self, executable: Handle) -> None:
        """Destroys an executable graph."""
