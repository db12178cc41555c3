"""Where an engine lives on the card: a CUDA context and scratch memory, its own or shared.

Numpy-free; knows CUDA only through runtime/cuda.py.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Protocol

from .cuda import Context, DeviceBuffer
from .cuda_calls import Driver

__all__ = ["OwnSpace", "SharedSpace", "Space"]

CONTEXT_BYTES = 300_000_000
"""What a context is reckoned to take until one was measured on this card (seen: 100 to 300 MB)."""

_LEAST_SCRATCH = 4096


class Space(Protocol):
    """A context, and scratch memory in it."""

    @property
    def context(self) -> Context:
        """The CUDA context."""

    @property
    def lock(self) -> threading.RLock:
        """Held while scratch is in use."""

    def scratch(self, size: int) -> DeviceBuffer:
        """At least so many bytes, until the next call; its content is nobody's."""

    def close(self) -> None:
        """Gives back what nobody else uses."""


class _Scratch:
    """Device memory that grows when more is asked for, the old given back first."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._buffer: DeviceBuffer | None = None

    def at_least(self, size: int) -> DeviceBuffer:
        """The memory."""
        wanted = max(size, _LEAST_SCRATCH)
        if self._buffer is None or self._buffer.size < wanted:
            self.drop()
            self._buffer = DeviceBuffer(self._context, wanted)
        return self._buffer

    def drop(self) -> None:
        """Gives it back."""
        buffer, self._buffer = self._buffer, None
        if buffer is not None:
            buffer.close()


class OwnSpace:
    """A context for one engine: closing it returns every byte."""

    def __init__(self, driver: Driver, device: int) -> None:
        self.context = Context(driver, device)
        self.lock = threading.RLock()
        self._scratch = _Scratch(self.context)

    def scratch(self, size: int) -> DeviceBuffer:
        """See `Space.scratch`."""
        return self._scratch.at_least(size)

    def close(self) -> None:
        """See `Space.close`."""
        self.context.close()


class SharedSpace:
    """One context and one scratch for all engines, which therefore run one at a time.

    The context is made when the first engine opens and stays until `shut`. Scratch is given back
    whenever an engine closes, so that it never outgrows the largest engine that is still open.
    """

    def __init__(self, driver: Driver, device: int) -> None:
        self._made: Callable[[], Context] = lambda: Context(driver, device)
        self._context: Context | None = None
        self._scratch: _Scratch | None = None
        self.lock = threading.RLock()

    @property
    def context(self) -> Context:
        """See `Space.context`."""
        with self.lock:
            if self._context is None:
                self._context = self._made()
                self._scratch = _Scratch(self._context)
            return self._context

    def scratch(self, size: int) -> DeviceBuffer:
        """See `Space.scratch`."""
        context = self.context
        if self._scratch is None:
            self._scratch = _Scratch(context)
        return self._scratch.at_least(size)

    def close(self) -> None:
        """See `Space.close`."""
        with self.lock:
            if self._scratch is not None:
                self._scratch.drop()

    def shut(self) -> None:
        """Destroys the context, after the last engine."""
        with self.lock, ExitStack() as stack:
            context, self._context = self._context, None
            scratch, self._scratch = self._scratch, None
            if context is not None:
                stack.callback(context.close)
            if scratch is not None:
                stack.callback(scratch.drop)
