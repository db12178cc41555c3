"""Objects that own what the CUDA driver gives: contexts, streams, events, memory, graphs.

An object of this file belongs to one context and makes it current, on the calling thread, around
every call; a context closes whatever was opened in it.

Numpy only: no CUDA package is imported here.
"""

from __future__ import annotations

import ctypes
import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sambert_trt.engines.errors import BackendError

from .cuda_calls import CudaError, Driver, Handle

__all__ = ["Context", "DeviceBuffer", "Event", "Graph", "PinnedBuffer", "Stream"]

Array = NDArray[Any]
Self = TypeVar("Self", bound="_Owned")
_LOG = logging.getLogger(__name__)
_THREAD = threading.local()
"""`context`: the one this thread has entered last and not left."""


class Context:
    """A CUDA context of its own: what is made in it is given back when it closes.

    Raises:
        CudaError: the driver gives no context; CudaMemoryError where the card is full.
    """

    def __init__(self, driver: Driver, device: int = 0) -> None:
        self.driver, self.device = driver, device
        self._lock = threading.RLock()
        self._owned: dict[_Owned, None] = {}
        self._entered = 0
        self._handle: Handle | None = driver.context_create(device)

    @property
    def handle(self) -> Handle:
        """The driver's handle."""
        if self._handle is None:
            raise BackendError(f"the context on device {self.device} was used after it was closed")
        return self._handle

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._handle is None

    def current(self) -> AbstractContextManager[None]:
        """Makes the context current on this thread for the block, and what was before afterwards.

        Inside a block of the same context it costs no driver call.

        Raises:
            BackendError: the context is closed, or the block left another context current.
            CudaError: the driver refuses; a block's own error goes first.
        """
        return _Block(self)

    def memory_info(self) -> tuple[int, int]:
        """Free and total bytes of the card."""
        with self.current():
            return self.driver.memory_info()

    def close(self) -> None:
        """Closes what is still open in the context, then the context; again does nothing.

        Raises:
            BackendError: a block still has it current.
            CudaError: the first call that failed; all others were made nevertheless.
        """
        with self._lock:
            if self._handle is None:
                return
            if self._entered:
                raise BackendError(
                    f"the context on device {self.device} cannot be closed: it is current in "
                    f"{self._entered} blocks; leave them first"
                )
            owned = [*reversed(self._owned)]
            errors = [error for one in owned if (error := _closing_error(one))]
            for one in [*self._owned]:
                one._taken()
            handle, self._handle = self._handle, None
            try:
                self.driver.context_destroy(handle)
            except CudaError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def __enter__(self) -> Context:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        _close_after(self.close, error)

    def _enter(self) -> None:
        with self._lock:
            self.driver.context_push(self.handle)
            self._entered += 1

    def _leave(self) -> None:
        with self._lock:
            self._entered -= 1
            found, handle = self.driver.context_pop(), self.handle
        if found != handle:
            raise BackendError(
                f"context {found:#x} was current where {handle:#x} was entered: a block pushed or "
                "popped another one and left it so; please report it"
            )


class _Block:
    """The block of `Context.current`."""

    __slots__ = ("_context", "_outer")

    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> None:
        self._outer: Context | None = getattr(_THREAD, "context", None)
        if self._outer is not self._context:
            self._context._enter()
            _THREAD.context = self._context

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._outer is not self._context:
            _THREAD.context = self._outer
            _close_after(self._context._leave, error)


class _Owned(ABC):
    """Something of a context: made, used and destroyed while the context is current."""

    def __init__(self, context: Context, create: Callable[[], Handle]) -> None:
        self._context, self._driver = context, context.driver
        self._handle: Handle | None = None
        with context.current():
            self._handle = create()
            with context._lock:
                context._owned[self] = None

    @property
    def context(self) -> Context:
        """The context it belongs to."""
        return self._context

    @property
    def handle(self) -> Handle:
        """The driver's handle or pointer."""
        if self._handle is None:
            raise BackendError(f"a {type(self).__name__} was used after it was closed")
        return self._handle

    @property
    def closed(self) -> bool:
        """Whether it was closed, or its context was."""
        return self._handle is None

    def close(self) -> None:
        """Gives it back; again does nothing.

        Raises:
            CudaError: the driver refuses. It counts as closed all the same, unless the context
                could not even be entered: then its end, or another call, gives it back.
        """
        with self._context._lock:
            if self._handle is None:
                return
            with self._context.current():
                self._destroy(self._taken())

    def _taken(self) -> Handle:
        """The handle, which from now on nobody owns."""
        handle, self._handle = self.handle, None
        del self._context._owned[self]
        return handle

    @abstractmethod
    def _destroy(self, handle: Handle) -> None:
        """Gives the handle back to the driver, the context being current."""

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        _close_after(self.close, error)


class Stream(_Owned):
    """A queue of device work."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, context.driver.stream_create)

    def synchronize(self) -> None:
        """Waits until everything queued is done; an error of that work is raised here."""
        with self._context.current():
            self._driver.stream_synchronize(self.handle)

    def _destroy(self, handle: Handle) -> None:
        self._driver.stream_destroy(handle)


class Event(_Owned):
    """A mark in a stream, and the device's clock when it was passed."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, context.driver.event_create)

    def record(self, stream: Stream) -> None:
        """Puts the mark behind what is queued in the stream."""
        with self._context.current():
            self._driver.event_record(self.handle, stream.handle)

    def synchronize(self) -> None:
        """Waits until the mark is passed."""
        with self._context.current():
            self._driver.event_synchronize(self.handle)

    def milliseconds_since(self, start: Event) -> float:
        """Device time from `start` to this event; both must have been passed."""
        with self._context.current():
            return self._driver.event_elapsed(start.handle, self.handle)

    def _destroy(self, handle: Handle) -> None:
        self._driver.event_destroy(handle)


class PinnedBuffer(_Owned):
    """Page-locked host memory: what the device copies from and to without a detour.

    An array or memoryview over it must not be used after it is closed.
    """

    def __init__(self, context: Context, size: int) -> None:
        self.size = size
        super().__init__(context, lambda: context.driver.pinned_alloc(size))

    @property
    def pointer(self) -> int:
        """Its address."""
        return self.handle

    @property
    def view(self) -> memoryview:
        """Its bytes, writable."""
        memory = (ctypes.c_uint8 * self.size).from_address(self.handle)
        return memoryview(memory).cast("B")

    @property
    def content(self) -> memoryview:
        """Its bytes, read-only."""
        return self.view.toreadonly()

    def array(self, shape: tuple[int, ...], dtype: DTypeLike, offset: int = 0) -> Array:
        """An array over its bytes from `offset` on, not a copy."""
        wanted = np.dtype(dtype)
        size = _array_bytes(shape, wanted)
        _check_range("array", offset, size, self.size)
        return np.frombuffer(self.view[offset : offset + size], wanted).reshape(shape)

    def _destroy(self, handle: Handle) -> None:
        self._driver.pinned_free(handle)


class DeviceBuffer(_Owned):
    """Device memory of a fixed size in bytes."""

    def __init__(self, context: Context, size: int) -> None:
        self.size = size
        super().__init__(context, lambda: context.driver.memory_alloc(size))

    @property
    def pointer(self) -> int:
        """Its device address, aligned to 256 bytes."""
        return self.handle

    def upload(
        self, values: Array, staging: PinnedBuffer, stream: Stream, *, offset: int = 0
    ) -> None:
        """Writes an array at `offset`, by way of the same place in `staging`.

        Returns before the copy is done: `staging` must not change until the stream is synchronized.
        """
        staging.array(values.shape, values.dtype, offset)[...] = values
        self.upload_bytes(staging, stream, values.nbytes, offset=offset)

    def upload_bytes(
        self, staging: PinnedBuffer, stream: Stream, size: int, *, offset: int = 0
    ) -> None:
        """Queues a copy of `size` bytes from the same place in `staging`."""
        self._check_staging("upload", staging, offset, size)
        with self._context.current():
            self._driver.copy_to_device(
                self.handle + offset, staging.handle + offset, size, stream.handle
            )

    def download(
        self, staging: PinnedBuffer, stream: Stream, size: int, *, offset: int = 0
    ) -> None:
        """Queues a copy of `size` bytes into the same place in `staging`.

        Once the stream is synchronized, `staging.array` holds the values.
        """
        self._check_staging("download", staging, offset, size)
        with self._context.current():
            self._driver.copy_to_host(
                staging.handle + offset, self.handle + offset, size, stream.handle
            )

    def copy_from(self, source: DeviceBuffer, stream: Stream, size: int | None = None) -> None:
        """Queues a copy of the first `size` bytes of another buffer of the same context."""
        count = source.size if size is None else size
        _check_range("copy", 0, count, min(self.size, source.size))
        with self._context.current():
            self._driver.copy_on_device(self.handle, source.handle, count, stream.handle)

    def zero(self, stream: Stream, size: int | None = None) -> None:
        """Queues filling the first `size` bytes with zeros."""
        count = self.size if size is None else size
        _check_range("zero", 0, count, self.size)
        with self._context.current():
            self._driver.memory_zero(self.handle, count, stream.handle)

    def _check_staging(self, what: str, staging: PinnedBuffer, offset: int, size: int) -> None:
        _check_range(what, offset, size, min(self.size, staging.size))

    def _destroy(self, handle: Handle) -> None:
        self._driver.memory_free(handle)


class Graph(_Owned):
    """Work recorded from a stream once, to be queued again with one call.

    Args:
        stream: where `work` queues what it does.
        work: called once; it allocates nothing and waits for nothing.

    Raises:
        CudaError: the work cannot be recorded. The stream is usable again.
    """

    def __init__(self, stream: Stream, work: Callable[[], None]) -> None:
        super().__init__(
            stream.context, lambda: _captured(stream.context.driver, stream.handle, work)
        )

    def close(self) -> None:
        """See `_Owned.close`; a graph is no part of its context and needs none to be destroyed."""
        with self._context._lock:
            if self._handle is not None:
                self._destroy(self._taken())

    def launch(self, stream: Stream) -> None:
        """Queues the recorded work."""
        with self._context.current():
            self._driver.graph_launch(self.handle, stream.handle)

    def _destroy(self, handle: Handle) -> None:
        self._driver.exec_destroy(handle)


def _captured(driver: Driver, stream: Handle, work: Callable[[], None]) -> Handle:
    driver.capture_begin(stream)
    try:
        work()
    except BaseException:
        _abandon_capture(driver, stream)
        raise
    graph = driver.capture_end(stream)
    try:
        executable = driver.graph_instantiate(graph)
    except BaseException as error:
        _close_after(lambda: driver.graph_destroy(graph), error)
        raise
    try:
        driver.graph_destroy(graph)
    except BaseException as error:
        _close_after(lambda: driver.exec_destroy(executable), error)
        raise
    return executable


def _abandon_capture(driver: Driver, stream: Handle) -> None:
    """Ends a recording whose work failed; that the driver calls it invalid too is expected."""
    try:
        driver.graph_destroy(driver.capture_end(stream))
    except CudaError as error:
        _LOG.debug("ending a failed capture: %s", error)


def _close_after(close: Callable[[], None], error: BaseException | None) -> None:
    """Closes; an error that is already on its way is not replaced by one of closing."""
    try:
        close()
    except BackendError as failure:
        if error is None:
            raise
        _LOG.warning("closing after an error: %s", failure)


def _closing_error(owned: _Owned) -> BackendError | None:
    try:
        owned.close()
    except BackendError as error:
        return error
    return None


def _array_bytes(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count * dtype.itemsize


def _check_range(what: str, offset: int, size: int, room: int) -> None:
    if offset < 0 or size < 0 or offset + size > room:
        raise BackendError(
            f"{what} of {size} bytes at {offset} leaves the buffer of {room} bytes: a fault of "
            "this program, please report it"
        )
