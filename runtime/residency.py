"""Who holds the card's memory: engines are cold until leased, and one budget decides who stays.

    cold ── opening ── open (leased or idle) ── closing ── cold

Knows neither CUDA nor TensorRT: an engine is something that opens at a cost and closes. Standard
library only.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar

from sambert_trt.engines.errors import (
    BackendError,
    DeviceLostError,
    DeviceMemoryError,
    InputError,
    SambertError,
)

__all__ = [
    "EngineCost",
    "EngineHandle",
    "EngineState",
    "Isolation",
    "MemoryBudget",
    "ResidencyEvent",
    "ResidencyManager",
    "ResidencyMode",
    "footprint",
    "uses_ahead",
]

_LOG = logging.getLogger(__name__)
_HISTORY = 256

MB = 1_000_000
GIB = 1 << 30


class Isolation(str, Enum):
    """Whether each engine has a CUDA context of its own, or all share one and one scratch."""

    ENGINE = "engine"
    SHARED = "shared"


class ResidencyMode(str, Enum):
    """Which engines stay: all, as many as the budget holds, or one."""

    RESIDENT = "resident"
    ON_DEMAND = "on_demand"
    MINIMAL = "minimal"


class EngineState(str, Enum):
    """Where an engine is."""

    COLD = "cold"
    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"


@dataclass(frozen=True)
class EngineCost:
    """Device memory of an open engine, in bytes."""

    context: int
    weights: int
    scratch: int
    buffers: int

    @property
    def total(self) -> int:
        """All of it, where the engine shares nothing."""
        return self.context + self.weights + self.scratch + self.buffers


@dataclass(frozen=True)
class MemoryBudget:
    """How much of the card the engines may take, in bytes.

    Attributes:
        total: the most this process may hold, its reserve included.
        reserve: what is left alone: never taken of `total`, and kept free on the card.
    """

    total: int = 8 * GIB
    reserve: int = 256 * MB

    def __post_init__(self) -> None:
        if not 0 <= self.reserve < self.total:
            raise InputError(
                f"a memory budget of {self.total / MB:.0f} MB with {self.reserve / MB:.0f} MB in "
                "reserve: the reserve has to be smaller than the budget"
            )

    @property
    def limit(self) -> int:
        """What engines may hold together."""
        return self.total - self.reserve


def footprint(costs: Collection[EngineCost], isolation: Isolation) -> int:
    """Bytes that engines hold together: shared ones have one context and the largest scratch."""
    if isolation is Isolation.ENGINE or not costs:
        return sum(cost.total for cost in costs)
    shared = max(cost.context for cost in costs) + max(cost.scratch for cost in costs)
    return shared + sum(cost.weights + cost.buffers for cost in costs)


def uses_ahead(history: Sequence[str], names: Sequence[str]) -> dict[str, int]:
    """How many leases from now each engine is expected to be used again.

    The future is read from the past: what followed the last time the newest entry of `history` came
    up. Engines that did not follow come after that, in the order of `names`, from the newest entry
    on and around. On a cycle this is exact, so evicting the farthest is optimal (Belady 1966).
    """
    current, past = (history[-1], [*history[:-1]]) if history else ("", [])
    followed = past[len(past) - [*reversed(past)].index(current) :] if current in past else []
    start = names.index(current) + 1 if current in names else 0
    order = dict.fromkeys((*followed, *names[start:], *names[:start]))
    order.pop(current, None)
    last = (current,) if current else ()
    return {name: distance for distance, name in enumerate((*order, *last), start=1)}


class Engine(Protocol):
    """An engine while it is open."""

    @property
    def cost(self) -> EngineCost:
        """What it takes on the device, as far as it could be measured."""

    def close(self) -> None:
        """Gives back every byte."""


Opened = TypeVar("Opened", bound=Engine)


class EngineHandle(Generic[Opened]):
    """One engine of the manager's, cold until it is leased."""

    def __init__(self, name: str, cost: EngineCost, opener: Callable[[], Opened]) -> None:
        self.name, self.cost, self._opener = name, cost, opener
        self.state = EngineState.COLD
        self.leases = self.opens = 0
        self.prefetched = False
        self.engine: Opened | None = None

    @property
    def idle(self) -> bool:
        """Whether it is open and nobody uses it."""
        return self.state is EngineState.OPEN and not self.leases

    def opened(self) -> Opened:
        """Opens the engine; the manager's business."""
        return self._opener()


@dataclass(frozen=True)
class ResidencyEvent:
    """Something the manager did: `what` is opened, prefetched, evicted, closed, waited, failed."""

    what: str
    engine: str
    bytes: int
    seconds: float


class ResidencyManager(Generic[Opened]):
    """Opens and closes engines so that together they stay inside a budget.

    A thread holds one lease at a time, so threads that wait for memory wait only for threads that
    run. Requests are granted in the order they came.

    Args:
        budget: how much engines may take.
        mode: which engines stay open.
        isolation: how their costs add up.
        free_bytes: the card's free memory right now, None where nobody can tell.
        prefetch: open the engine that is expected next while the current one runs.
    """

    def __init__(
        self,
        budget: MemoryBudget,
        mode: ResidencyMode = ResidencyMode.ON_DEMAND,
        isolation: Isolation = Isolation.ENGINE,
        *,
        free_bytes: Callable[[], int | None] = lambda: None,
        prefetch: bool = True,
    ) -> None:
        self.budget, self.mode, self.isolation = budget, mode, isolation
        self._free_bytes = free_bytes
        self._handles: dict[str, EngineHandle[Opened]] = {}
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()
        self._history: deque[str] = deque(maxlen=_HISTORY)
        self._mine = threading.local()
        self._lost: DeviceLostError | None = None
        self._closed = False
        self._ahead: ThreadPoolExecutor | None = None
        self._prefetch = prefetch and mode is ResidencyMode.ON_DEMAND
        self.events: deque[ResidencyEvent] = deque(maxlen=_HISTORY)
        self.counters: Counter[str] = Counter()

    @property
    def handles(self) -> tuple[EngineHandle[Opened], ...]:
        """The engines, in the order they were registered."""
        with self._changed:
            return tuple(self._handles.values())

    @property
    def held_bytes(self) -> int:
        """What all engines that are not cold hold, by the manager's reckoning."""
        with self._changed:
            return self._footprint(self._held())

    @property
    def closed(self) -> bool:
        """Whether the manager was closed."""
        return self._closed

    def register(
        self, name: str, cost: EngineCost, opener: Callable[[], Opened]
    ) -> EngineHandle[Opened]:
        """Takes an engine on, cold.

        Args:
            name: unique; stages in the order a sentence meets them.
            cost: what it will take, by the record of its build.
            opener: opens it; gives back what it took when it raises.

        Raises:
            DeviceMemoryError: it cannot fit even alone, or, in mode RESIDENT, beside the others.
        """
        handle = EngineHandle(name, cost, opener)
        with self._changed:
            self._check_usable()
            if name in self._handles:
                raise BackendError(f"an engine {name} is registered already: close its voice first")
            beside = [*self._handles.values()] if self.mode is ResidencyMode.RESIDENT else []
            if self._footprint([*beside, handle]) > self.budget.limit:
                raise self._no_room(handle, beside)
            self._handles[name] = handle
        return handle

    def unregister(self, handle: EngineHandle[Opened]) -> None:
        """Closes an engine, once its leases have ended, and forgets it."""
        with self._changed:
            while handle.leases or handle.state in (EngineState.OPENING, EngineState.CLOSING):
                self._changed.wait()
            if self._handles.get(handle.name) is not handle:
                return
            del self._handles[handle.name]
            was_open = handle.state is EngineState.OPEN
            if was_open:
                handle.state = EngineState.CLOSING
        if was_open:
            self._close(handle, "closed")

    @contextmanager
    def lease(self, handle: EngineHandle[Opened]) -> Iterator[Opened]:
        """The engine, open for the block; waits for memory that others lease.

        Raises:
            DeviceMemoryError: no room even when nobody else holds anything.
            DeviceLostError: the device failed for good, now or before.
            BackendError: the engine does not open, the manager is closed, or this thread holds a
                lease already.
        """
        self._check_single(handle)
        victims = self._admitted(handle)
        try:
            if victims is not None:
                self._open(handle, victims, "opened")
            self._mine.lease = handle.name
            self._start_prefetch(handle)
            yield self._engine_of(handle)
        except DeviceLostError as error:
            self._lost = error
            raise
        finally:
            self._release(handle)

    def evict_idle(self) -> int:
        """Closes every engine nobody uses; returns how many."""
        with self._changed:
            idle = [handle for handle in self._handles.values() if handle.idle]
            for handle in idle:
                handle.state = EngineState.CLOSING
        for handle in idle:
            self._close(handle, "evicted")
        return len(idle)

    def close(self) -> None:
        """Closes every engine once its leases have ended; every later lease is an error."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            handles = [*self._handles.values()]
        if self._ahead is not None:
            self._ahead.shutdown(wait=True, cancel_futures=True)
        for handle in handles:
            self.unregister(handle)

    # granting

    def _check_single(self, handle: EngineHandle[Opened]) -> None:
        other = getattr(self._mine, "lease", None)
        if other is not None:
            raise BackendError(
                f"{handle.name} was asked for inside a lease of {other}: a thread uses one engine "
                "at a time; please report it"
            )

    def _admitted(self, handle: EngineHandle[Opened]) -> list[EngineHandle[Opened]] | None:
        """Counts a lease once its turn and its memory have come; whom to close, None where open."""
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            try:
                return self._granted(handle, ticket)
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()

    def _engine_of(self, handle: EngineHandle[Opened]) -> Opened:
        if handle.engine is None:
            raise BackendError(f"{handle.name} was leased and is not open; please report it")
        return handle.engine

    def _granted(
        self, handle: EngineHandle[Opened], ticket: object
    ) -> list[EngineHandle[Opened]] | None:
        """Waits for the turn and for room; None where the engine is open, else whom to close."""
        waited = False
        while True:
            self._check_usable()
            if self._handles.get(handle.name) is not handle:
                raise BackendError(f"{handle.name} was used after it was closed")
            if self._queue[0] is ticket:
                if handle.state is EngineState.OPEN:
                    self._enter(handle)
                    return None
                if handle.state is EngineState.COLD:
                    victims = self._victims(handle)
                    if victims is not None:
                        self._begin(handle, victims)
                        self._enter(handle)
                        return victims
                    if not self._others_move(handle):
                        raise self._no_room(handle, self._held())
            if not waited:
                waited = True
                self._count("waited", handle, 0.0)
            self._changed.wait()

    def _enter(self, handle: EngineHandle[Opened]) -> None:
        handle.leases += 1
        if handle.prefetched:
            handle.prefetched = False
            self.counters["prefetch_hits"] += 1
        if not self._history or self._history[-1] != handle.name:
            self._history.append(handle.name)

    def _release(self, handle: EngineHandle[Opened]) -> None:
        self._mine.lease = None
        with self._changed:
            handle.leases -= 1
            self._changed.notify_all()

    def _others_move(self, handle: EngineHandle[Opened]) -> bool:
        """Whether an engine is leased, opening or closing, so that waiting may help."""
        return any(h is not handle and not h.idle for h in self._held())

    # room

    def _held(self) -> list[EngineHandle[Opened]]:
        return [h for h in self._handles.values() if h.state is not EngineState.COLD]

    def _footprint(self, handles: Collection[EngineHandle[Opened]]) -> int:
        return footprint([handle.cost for handle in handles], self.isolation)

    def _limit(self) -> int:
        """The budget, or less where others leave less of the card free.

        Only what is wholly open counts as ours beside the free memory: an engine on its way in or
        out is partly in either.
        """
        free = self._free_bytes()
        if free is None:
            return self.budget.limit
        ours = self._footprint([h for h in self._held() if h.state is EngineState.OPEN])
        return min(self.budget.limit, ours + free - self.budget.reserve)

    def _victims(self, wanted: EngineHandle[Opened]) -> list[EngineHandle[Opened]] | None:
        """The idle engines to close so that `wanted` fits, farthest next use first; None: never."""
        held, limit = [h for h in self._held() if h is not wanted], self._limit()

        def fits(gone: Sequence[EngineHandle[Opened]]) -> bool:
            kept = [h for h in held if h not in gone]
            if kept and self.mode is ResidencyMode.MINIMAL:
                return False
            return self._footprint([*kept, wanted]) <= limit

        chosen: list[EngineHandle[Opened]] = []
        for handle in self._farthest_first(held):
            if fits(chosen):
                break
            chosen.append(handle)
        if not fits(chosen):
            return None
        for handle in [*reversed(chosen)]:
            spared = [h for h in chosen if h is not handle]
            if fits(spared):
                chosen = spared
        return chosen

    def _farthest_first(self, held: Collection[EngineHandle[Opened]]) -> list[EngineHandle[Opened]]:
        ahead = uses_ahead([*self._history], [*self._handles])
        idle = [h for h in held if h.idle] if self.mode is not ResidencyMode.RESIDENT else []
        return sorted(idle, key=lambda h: ahead[h.name], reverse=True)

    def _begin(
        self, handle: EngineHandle[Opened], victims: Collection[EngineHandle[Opened]]
    ) -> None:
        handle.state = EngineState.OPENING
        for victim in victims:
            victim.state = EngineState.CLOSING

    # opening and closing, outside the lock

    def _open(
        self,
        handle: EngineHandle[Opened],
        victims: Collection[EngineHandle[Opened]],
        what: str,
    ) -> None:
        """Closes victims and opens the engine that `_begin` announced."""
        start = time.perf_counter()
        try:
            for victim in victims:
                self._close(victim, "evicted")
            engine = self._opened(handle, what)
        except BaseException as error:
            self._fail(handle, victims, error)
            raise
        with self._changed:
            handle.engine, handle.state = engine, EngineState.OPEN
            handle.opens += 1
            handle.prefetched = what == "prefetched"
            self._count(what, handle, time.perf_counter() - start)
            self._changed.notify_all()

    def _opened(self, handle: EngineHandle[Opened], what: str) -> Opened:
        """Opens; where the card is fuller than reckoned, once more without the idle engines."""
        patient = what == "prefetched" or self.mode is ResidencyMode.RESIDENT
        try:
            engine = handle.opened()
        except DeviceMemoryError:
            if patient or not self.evict_idle():
                raise
            engine = handle.opened()
        try:
            self._check_measured(handle, engine.cost, evict=not patient)
        except BaseException:
            engine.close()
            raise
        return engine

    def _check_measured(
        self, handle: EngineHandle[Opened], cost: EngineCost, *, evict: bool
    ) -> None:
        """Whether an engine fits with what it really took."""
        with self._changed:
            handle.cost = cost
            others = [h for h in self._held() if h is not handle]
            over = self._footprint([*others, handle]) > self.budget.limit
        if over and evict and self.evict_idle():
            self._check_measured(handle, cost, evict=False)
        elif over:
            raise self._no_room(handle, others)

    def _fail(
        self,
        handle: EngineHandle[Opened],
        victims: Collection[EngineHandle[Opened]],
        error: BaseException,
    ) -> None:
        with self._changed:
            handle.state, handle.engine = EngineState.COLD, None
            for victim in victims:
                if victim.state is EngineState.CLOSING:
                    victim.state = EngineState.OPEN
            if isinstance(error, DeviceLostError):
                self._lost = error
            self._count("failed", handle, 0.0)
            self._changed.notify_all()

    def _close(self, handle: EngineHandle[Opened], what: str) -> None:
        """Closes an engine that was announced as closing; an error is logged, and the end."""
        start, engine = time.perf_counter(), handle.engine
        try:
            if engine is not None:
                engine.close()
        except SambertError as error:
            _LOG.warning("closing %s: %s", handle.name, error)
            if isinstance(error, DeviceLostError):
                self._lost = error
        finally:
            with self._changed:
                handle.state, handle.engine, handle.prefetched = EngineState.COLD, None, False
                self._count(what, handle, time.perf_counter() - start)
                self._changed.notify_all()

    # the next engine, while the current one runs

    def _start_prefetch(self, current: EngineHandle[Opened]) -> None:
        if not self._prefetch:
            return
        with self._changed:
            ahead = uses_ahead([*self._history], [*self._handles])
            soonest = min(ahead, key=lambda name: ahead[name], default=current.name)
            handle = self._handles.get(soonest)
            if self._closed or handle is None or handle.state is not EngineState.COLD:
                return
            victims = self._victims(handle)
            if victims is None or self._queue:
                return
            self._begin(handle, victims)
            if self._ahead is None:
                self._ahead = ThreadPoolExecutor(1, thread_name_prefix="sambert-tts-prefetch")
            pool = self._ahead
        try:
            pool.submit(self._prefetched, handle, victims)
        except RuntimeError:
            self._abandon(handle, victims)

    def _prefetched(
        self, handle: EngineHandle[Opened], victims: Collection[EngineHandle[Opened]]
    ) -> None:
        with suppress(SambertError):
            self._open(handle, victims, "prefetched")

    def _abandon(
        self, handle: EngineHandle[Opened], victims: Collection[EngineHandle[Opened]]
    ) -> None:
        with self._changed:
            handle.state = EngineState.COLD
            for victim in victims:
                victim.state = EngineState.OPEN
            self._changed.notify_all()

    # saying

    def _check_usable(self) -> None:
        if self._lost is not None:
            raise DeviceLostError(str(self._lost)) from self._lost
        if self._closed:
            raise BackendError("the engines were closed; open the voice again")

    def _no_room(
        self, handle: EngineHandle[Opened], held: Collection[EngineHandle[Opened]]
    ) -> DeviceMemoryError:
        holders = ", ".join(f"{h.name} {h.cost.total / MB:.0f} MB" for h in held if h is not handle)
        return DeviceMemoryError(
            f"{handle.name} needs {handle.cost.total / MB:.0f} MB on the card, the budget leaves "
            f"{self._limit() / MB:.0f} MB for all engines"
            + (f" and others hold {holders}" if holders else "")
            + ": raise the budget, let engines share a context (isolation shared), keep fewer of "
            "them (mode on_demand or minimal), or close what else uses the card"
        )

    def _count(self, what: str, handle: EngineHandle[Opened], seconds: float) -> None:
        self.counters[what] += 1
        self.events.append(ResidencyEvent(what, handle.name, handle.cost.total, seconds))
        _LOG.debug("%s %s (%.0f ms)", handle.name, what, 1e3 * seconds)
