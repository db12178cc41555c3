"""A CUDA driver without a card: every byte, context, stream, event and graph is accounted for.

Device memory is host memory behind made-up addresses, filled with 0xFF (as floats: NaN) so that
nothing depends on memory nobody wrote. Queued work runs at once, or when its graph is launched.

What a program must not do (use a handle under another context, twice destroyed, after its context,
past its end; pop an empty stack) raises AssertionError and stays in `driver.violations`, so that
code which swallows exceptions is found out as well. What a driver refuses raises CudaError.

Failures are injected with `fail_at`. As on a card, a call that releases something has its effect
even when it reports an error of earlier work; after a sticky error every call fails, and nothing
that is left then counts as a leak.

Only the protocol in runtime/cuda_calls.py is needed.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from bisect import bisect_right, insort
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Concatenate, NamedTuple, NoReturn, ParamSpec, Protocol, TypeVar, cast

from sambert_trt.runtime.cuda_calls import STICKY, error_from_cuda

__all__ = ["Call", "FakeCard", "FakeDriver"]

P = ParamSpec("P")
T = TypeVar("T")
H = TypeVar("H", bound="_Held")
MIB = 1 << 20
RELEASING = frozenset(
    (
        "context_destroy",
        "context_pop",
        "event_destroy",
        "exec_destroy",
        "graph_destroy",
        "memory_free",
        "pinned_free",
        "stream_destroy",
    )
)
_FILL_LIMIT = 4 * MIB
_ALIGNMENT = 512
_FIRST_ADDRESS = 0x7F00_0000_0000


class Call(NamedTuple):
    """One call of the driver, by name and arguments, and the context current on its thread."""

    name: str
    arguments: tuple[Any, ...]
    context: int | None
    thread: int


@dataclass
class FakeCard:
    """A card. `others` is what other processes hold of it, `overhead` what each context takes."""

    name: str = "Fake RTX 3070"
    capability: str = "sm_86"
    total: int = 8 << 30
    overhead: int = 200 * MIB
    others: int = 0
    peak: int = 0


class _Held(Protocol):
    context: int


@dataclass
class _Memory:
    context: int
    size: int
    content: Any  # bytearray, or a ctypes array where the address is real
    label: str = ""


@dataclass
class _Stream:
    context: int
    capture: list[Callable[[], None]] | None = None
    capturing_thread: int = 0
    broken: bool = False


@dataclass
class _Event:
    context: int
    time: float | None = None


@dataclass
class _Graph:
    context: int
    work: list[Callable[[], None]]


@dataclass
class _Context:
    device: int
    overhead: int


@dataclass
class _Failure:
    remaining: int
    name: str
    call: str | None


@dataclass
class _Tables:
    """What exists, by handle."""

    contexts: dict[int, _Context] = field(default_factory=dict)
    memory: dict[int, _Memory] = field(default_factory=dict)
    pinned: dict[int, _Memory] = field(default_factory=dict)
    streams: dict[int, _Stream] = field(default_factory=dict)
    events: dict[int, _Event] = field(default_factory=dict)
    graphs: dict[int, _Graph] = field(default_factory=dict)
    executables: dict[int, _Graph] = field(default_factory=dict)


def _call(
    method: Callable[Concatenate[FakeDriver, P], T],
) -> Callable[Concatenate[FakeDriver, P], T]:
    """Logs a call, and lets it fail where a failure is due."""
    name = method.__name__

    @functools.wraps(method)
    def logged(self: FakeDriver, *arguments: P.args, **named: P.kwargs) -> T:
        with self.lock:
            self.calls.append(Call(name, arguments, self._top(), threading.get_ident()))
            error = self._due(name)
            if error and not (name in RELEASING and error not in STICKY):
                self._end_capture(name, arguments)
                raise error_from_cuda(error, name)
            result = method(self, *arguments, **named)
            if error:
                raise error_from_cuda(error, name)
            return result

    return cast(Callable[Concatenate["FakeDriver", P], T], logged)


class FakeDriver:
    """See the module. `captures=False` is a driver without graphs, as pycuda's."""

    def __init__(self, *cards: FakeCard, captures: bool = True) -> None:
        self.cards = cards or (FakeCard(),)
        self.captures = captures
        self.lock = threading.RLock()
        self.calls: list[Call] = []
        self.violations: list[str] = []
        self.lost: str | None = None
        self._failures: list[_Failure] = []
        self._is = _Tables()
        self._dead: set[int] = set()
        self._kept: list[Any] = []  # freed pinned memory: numpy arrays may still look at it
        self._addresses: list[int] = []
        self._stacks: dict[int, list[int]] = {}
        self._handles = count(0x1000, 0x10)
        self._next_address = _FIRST_ADDRESS
        self._time = 0.0

    # --- what tests ask and set

    def fail_at(self, n: int, name: str, call: str | None = None) -> None:
        """Lets the n-th call from now (the first is 1) fail; only calls of that name where given.

        `name` is a CUDA error, `CUDA_ERROR_OUT_OF_MEMORY`.
        """
        self._failures.append(_Failure(n, name, call))

    def stop_failing(self) -> None:
        """Forgets failures that have not come up."""
        self._failures.clear()

    def used(self, device: int = 0) -> int:
        """Bytes taken of a card, by contexts, their memory and others."""
        return self.cards[device].others + self.used_by_us(device)

    def used_by_us(self, device: int = 0) -> int:
        """Bytes taken of a card by this driver's contexts and their memory."""
        return sum(self.bytes_of(c) for c, one in self._is.contexts.items() if one.device == device)

    def bytes_of(self, context: int, *, overhead: bool = True) -> int:
        """Bytes of one context: its own overhead and its device memory."""
        own = self._is.contexts[context].overhead if overhead else 0
        return own + sum(m.size for m in self._is.memory.values() if m.context == context)

    def labelled(self, label: str) -> int:
        """Bytes of device memory that were allocated under a label."""
        return sum(m.size for m in self._is.memory.values() if m.label == label)

    def left(self) -> dict[str, int]:
        """How many of each kind of object exist; empty when everything was given back."""
        kinds = {name: len(table) for name, table in vars(self._is).items() if table}
        stacks = sum(map(len, self._stacks.values()))
        return kinds | ({"current": stacks} if stacks else {})

    def assert_clean(self) -> None:
        """Nothing exists, nothing is current, nothing forbidden was done."""
        assert not self.violations, self.violations
        left = {} if self.lost else self.left()
        assert not left, left

    def names(self) -> list[str]:
        """The calls so far, by name."""
        return [call.name for call in self.calls]

    def current_context(self) -> int | None:
        """The context current on this thread; not logged as a call."""
        return self._top()

    def violate(self, what: str) -> NoReturn:
        """Records something a program must not do."""
        self.violations.append(what)
        raise AssertionError(what)

    # --- what a fake of TensorRT needs of a driver

    def allocate(self, size: int, label: str = "") -> int:
        """Device memory in the current context, like a call `memory_alloc` of that label."""
        with self.lock:
            self.calls.append(Call("memory_alloc", (size, label), self._top(), _thread()))
            if error := self._due("memory_alloc"):
                raise error_from_cuda(error, "memory_alloc")
            return self._allocate(size, label)

    def release(self, pointer: int) -> None:
        """Gives such memory back; nothing is logged and nothing fails."""
        with self.lock:
            self._free(pointer)

    def bytes_at(self, pointer: int, size: int) -> memoryview:
        """The content of device memory, which must lie within one allocation of this context."""
        with self.lock:
            self._is_current()
            start = self._start(pointer)
            memory = self._is.memory.get(start)
            if memory is None:
                self.violate(f"no device memory at {pointer:#x}")
            self._belongs("memory", start, memory.context)
            offset = pointer - start
            if offset + size > memory.size:
                self.violate(f"{size} bytes at {offset} of {memory.size} bytes of device memory")
            return memoryview(memory.content)[offset : offset + size]

    def run(self, name: str) -> None:
        """Counts as a call of that name, which fails where a failure is due."""
        with self.lock:
            self.calls.append(Call(name, (), self._top(), _thread()))
            if error := self._due(name):
                raise error_from_cuda(error, name)

    def capturing(self, stream: int) -> bool:
        """Whether a stream's work is recorded instead of run."""
        return self._own(self._is.streams, stream, "stream").capture is not None

    def break_capture(self, stream: int) -> None:
        """Work came that cannot be recorded: the recording's end will fail."""
        self._own(self._is.streams, stream, "stream").broken = True

    def enqueue(self, stream: int, work: Callable[[], None]) -> None:
        """Runs work of a stream, or records it while the stream is captured."""
        with self.lock:
            found = self._own(self._is.streams, stream, "stream")
            self._time += 0.01
            if found.capture is not None:
                found.capture.append(work)
                return
        work()

    # --- the protocol

    @property
    def can_capture(self) -> bool:
        return self.captures

    @_call
    def driver_version(self) -> int:
        return 13000

    @_call
    def device_count(self) -> int:
        return len(self.cards)

    @_call
    def device_name(self, device: int) -> str:
        return self._card(device).name

    @_call
    def device_bus(self, device: int) -> str:
        self._card(device)
        return f"0000:{device + 1:02x}:00.0"

    @_call
    def capability(self, device: int) -> str:
        return self._card(device).capability

    @_call
    def context_create(self, device: int) -> int:
        card = self._card(device)
        self._take(device, card.overhead, "context_create")
        handle = self._handle()
        self._is.contexts[handle] = _Context(device, card.overhead)
        return handle

    @_call
    def context_destroy(self, context: int) -> None:
        self._known(self._is.contexts, context, "context")
        if any(context in stack for stack in self._stacks.values()):
            self.violate(f"context {context:#x} destroyed while it is current somewhere")
        if any(g.context == context for g in self._is.executables.values()):
            self.violate(f"context {context:#x} destroyed before its executable graphs")
        for pointer in [p for p, m in self._is.memory.items() if m.context == context]:
            self._drop(pointer)
        for pointer in [p for p, m in self._is.pinned.items() if m.context == context]:
            self._unpin(pointer)
        for table in (self._is.streams, self._is.events):
            for handle in [h for h, one in table.items() if one.context == context]:
                self._remove(table, handle)
        self._remove(self._is.contexts, context)

    @_call
    def context_push(self, context: int) -> None:
        self._known(self._is.contexts, context, "context")
        self._stacks.setdefault(_thread(), []).append(context)

    @_call
    def context_pop(self) -> int:
        if self._top() is None:
            self.violate("popped an empty context stack")
        return self._stacks[_thread()].pop()

    @_call
    def context_current(self) -> int | None:
        return self._top()

    @_call
    def memory_info(self) -> tuple[int, int]:
        device = self._is.contexts[self._is_current()].device
        total = self.cards[device].total
        return max(total - self.used(device), 0), total

    @_call
    def memory_alloc(self, size: int) -> int:
        return self._allocate(size, "")

    @_call
    def memory_free(self, pointer: int) -> None:
        self._free(pointer)

    @_call
    def pinned_alloc(self, size: int) -> int:
        context = self._is_current()
        self._refuse_in_capture("pinned_alloc")
        if size <= 0:
            raise error_from_cuda("CUDA_ERROR_INVALID_VALUE", "pinned_alloc", f"{size} bytes")
        content = (ctypes.c_uint8 * size)()
        pointer = ctypes.addressof(content)
        self._is.pinned[pointer] = _Memory(context, size, content)
        return pointer

    @_call
    def pinned_free(self, pointer: int) -> None:
        self._own(self._is.pinned, pointer, "pinned memory")
        self._unpin(pointer)

    @_call
    def copy_to_device(self, target: int, source: int, size: int, stream: int) -> None:
        self.bytes_at(target, size)
        self._pinned_bytes(source, size)

        def copy() -> None:
            self.bytes_at(target, size)[:] = self._pinned_bytes(source, size)

        self.enqueue(stream, copy)

    @_call
    def copy_to_host(self, target: int, source: int, size: int, stream: int) -> None:
        self._pinned_bytes(target, size)
        self.bytes_at(source, size)

        def copy() -> None:
            self._pinned_bytes(target, size)[:] = self.bytes_at(source, size)

        self.enqueue(stream, copy)

    @_call
    def copy_on_device(self, target: int, source: int, size: int, stream: int) -> None:
        self.bytes_at(target, size)
        self.bytes_at(source, size)
        if target < source + size and source < target + size:
            self.violate(f"a copy of {size} bytes from {source:#x} overlaps its target {target:#x}")

        def copy() -> None:
            self.bytes_at(target, size)[:] = self.bytes_at(source, size)

        self.enqueue(stream, copy)

    @_call
    def memory_zero(self, pointer: int, size: int, stream: int) -> None:
        self.bytes_at(pointer, size)

        def zero() -> None:
            self.bytes_at(pointer, size)[:] = bytes(size)

        self.enqueue(stream, zero)

    @_call
    def stream_create(self) -> int:
        handle = self._handle()
        self._is.streams[handle] = _Stream(self._is_current())
        return handle

    @_call
    def stream_destroy(self, stream: int) -> None:
        if self._own(self._is.streams, stream, "stream").capture is not None:
            self.violate(f"stream {stream:#x} destroyed while it is captured")
        self._remove(self._is.streams, stream)

    @_call
    def stream_synchronize(self, stream: int) -> None:
        found = self._own(self._is.streams, stream, "stream")
        if found.capture is not None:
            found.broken = True
            raise error_from_cuda("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "stream_synchronize")

    @_call
    def event_create(self) -> int:
        handle = self._handle()
        self._is.events[handle] = _Event(self._is_current())
        return handle

    @_call
    def event_destroy(self, event: int) -> None:
        self._own(self._is.events, event, "event")
        self._remove(self._is.events, event)

    @_call
    def event_record(self, event: int, stream: int) -> None:
        found = self._own(self._is.events, event, "event")

        def record() -> None:
            found.time = self._time

        self.enqueue(stream, record)

    @_call
    def event_synchronize(self, event: int) -> None:
        self._own(self._is.events, event, "event")

    @_call
    def event_elapsed(self, start: int, end: int) -> float:
        times = [self._own(self._is.events, event, "event").time for event in (start, end)]
        if times[0] is None or times[1] is None:
            raise error_from_cuda("CUDA_ERROR_INVALID_HANDLE", "event_elapsed")
        return times[1] - times[0]

    @_call
    def capture_begin(self, stream: int) -> None:
        self._needs_captures("capture_begin")
        found = self._own(self._is.streams, stream, "stream")
        if found.capture is not None:
            raise error_from_cuda("CUDA_ERROR_ILLEGAL_STATE", "capture_begin")
        found.capture, found.broken, found.capturing_thread = [], False, _thread()

    @_call
    def capture_end(self, stream: int) -> int:
        found = self._own(self._is.streams, stream, "stream")
        if found.capture is None:
            raise error_from_cuda("CUDA_ERROR_ILLEGAL_STATE", "capture_end")
        if found.capturing_thread != _thread():
            raise error_from_cuda("CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD", "capture_end")
        work, found.capture = found.capture, None
        if found.broken:
            raise error_from_cuda("CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "capture_end")
        handle = self._handle()
        self._is.graphs[handle] = _Graph(found.context, work)
        return handle

    @_call
    def graph_destroy(self, graph: int) -> None:
        self._known(self._is.graphs, graph, "graph")
        self._remove(self._is.graphs, graph)

    @_call
    def graph_instantiate(self, graph: int) -> int:
        found = self._own(self._is.graphs, graph, "graph")
        handle = self._handle()
        self._is.executables[handle] = _Graph(found.context, list(found.work))
        return handle

    @_call
    def graph_launch(self, executable: int, stream: int) -> None:
        found = self._own(self._is.executables, executable, "executable graph")

        def launch() -> None:
            for work in found.work:
                work()

        self.enqueue(stream, launch)

    @_call
    def exec_destroy(self, executable: int) -> None:
        self._known(self._is.executables, executable, "executable graph")
        self._remove(self._is.executables, executable)

    # --- within

    def _due(self, call: str) -> str | None:
        if self.lost:
            return self.lost
        for failure in self._failures:
            failure.remaining -= failure.call in (None, call)
        due = [failure.name for failure in self._failures if failure.remaining == 0]
        self._failures = [failure for failure in self._failures if failure.remaining]
        if not due:
            return None
        self.lost = due[0] if due[0] in STICKY else None
        return due[0]

    def _end_capture(self, call: str, arguments: tuple[Any, ...]) -> None:
        """A recording whose end fails is over all the same."""
        if call == "capture_end" and not self.lost:
            self._is.streams[arguments[0]].capture = None

    def _handle(self) -> int:
        return next(self._handles)

    def _card(self, device: int) -> FakeCard:
        if not 0 <= device < len(self.cards):
            raise error_from_cuda("CUDA_ERROR_INVALID_DEVICE", "cuDeviceGet", f"device {device}")
        return self.cards[device]

    def _top(self) -> int | None:
        stack = self._stacks.get(_thread())
        return stack[-1] if stack else None

    def _is_current(self) -> int:
        context = self._top()
        if context is None:
            self.violate("no context is current")
        return context

    def _known(self, table: dict[int, T], handle: int, kind: str) -> T:
        if handle not in table:
            state = "was destroyed before" if handle in self._dead else "never existed"
            self.violate(f"{kind} {handle:#x} {state}")
        return table[handle]

    def _own(self, table: dict[int, H], handle: int, kind: str) -> H:
        found = self._known(table, handle, kind)
        self._belongs(kind, handle, found.context)
        return found

    def _belongs(self, kind: str, handle: int, context: int) -> None:
        current = self._is_current()
        if context != current:
            self.violate(f"{kind} {handle:#x} of context {context:#x} used under {current:#x}")

    def _remove(self, table: dict[int, Any], handle: int) -> None:
        del table[handle]
        self._dead.add(handle)

    def _take(self, device: int, size: int, call: str) -> None:
        card, used = self._card(device), self.used(device)
        if used + size > card.total:
            raise error_from_cuda("CUDA_ERROR_OUT_OF_MEMORY", call, f"{size} bytes")
        card.peak = max(card.peak, used + size)

    def _allocate(self, size: int, label: str) -> int:
        context = self._is_current()
        self._refuse_in_capture("memory_alloc")
        if size <= 0:
            raise error_from_cuda("CUDA_ERROR_INVALID_VALUE", "memory_alloc", f"{size} bytes")
        self._take(self._is.contexts[context].device, size, "memory_alloc")
        pointer = self._next_address
        self._next_address += (size // _ALIGNMENT + 2) * _ALIGNMENT
        content = bytearray(b"\xff") * size if size <= _FILL_LIMIT else bytearray(size)
        self._is.memory[pointer] = _Memory(context, size, content, label)
        insort(self._addresses, pointer)
        return pointer

    def _free(self, pointer: int) -> None:
        self._own(self._is.memory, pointer, "memory")
        self._refuse_in_capture("memory_free")
        self._drop(pointer)

    def _drop(self, pointer: int) -> None:
        self._remove(self._is.memory, pointer)
        self._addresses.remove(pointer)

    def _unpin(self, pointer: int) -> None:
        memory = self._is.pinned[pointer]
        ctypes.memset(pointer, 0xDD, memory.size)
        self._kept.append(memory.content)
        self._remove(self._is.pinned, pointer)

    def _start(self, pointer: int) -> int:
        index = bisect_right(self._addresses, pointer)
        return self._addresses[index - 1] if index else 0

    def _pinned_bytes(self, pointer: int, size: int) -> memoryview:
        for start, memory in self._is.pinned.items():
            if start <= pointer and pointer + size <= start + memory.size:
                offset = pointer - start
                return memoryview(memory.content).cast("B")[offset : offset + size]
        self.violate(f"{size} bytes at {pointer:#x} are not page-locked host memory")

    def _needs_captures(self, call: str) -> None:
        if not self.captures:
            raise error_from_cuda("CUDA_ERROR_NOT_SUPPORTED", call)

    def _refuse_in_capture(self, call: str) -> None:
        """While a thread captures, calls that are not queued end its recording."""
        for stream in self._is.streams.values():
            if stream.capture is not None and stream.capturing_thread == _thread():
                stream.broken = True
                raise error_from_cuda("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", call)


def _thread() -> int:
    return threading.get_ident()
