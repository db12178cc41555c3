"""Who holds the card's memory: engines are cold until leased, and one budget decides who stays.

    cold ── opening ── open (leased or idle) ── closing ── cold

Requests wait in one queue. Its head alone opens engines, and closes those that are in its way: one
at a time, so that what an engine takes can be measured. Whoever comes later passes only when its
engine is open and keeps nobody before it waiting any longer. Knows neither CUDA nor TensorRT: an
engine is something that opens at a cost and closes. Standard library only.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar

from sambert_trt.engines.errors import BackendError, DeviceLostError, DeviceMemoryError

from .budget import MB, EngineCost, Isolation, MemoryBudget, ResidencyMode, footprint
from .next_use import uses_ahead

__all__ = ["EngineHandle", "EngineState", "ResidencyEvent", "ResidencyManager"]

_LOG = logging.getLogger(__name__)
_HISTORY = 256


class EngineState(str, Enum):
    """Where an engine is."""

    COLD = "cold"
    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"


class Engine(Protocol):
    """An engine while it is open."""

    @property
    def cost(self) -> EngineCost:
        """What it takes on the device, as far as it could be measured."""

    def close(self) -> None:
        """Gives back every byte, also when it raises."""


Opened = TypeVar("Opened", bound=Engine)


class EngineHandle(Generic[Opened]):
    """One engine of the manager's, cold until it is leased; only the manager changes it.

    Attributes:
        cost: as registered until it was opened, then as measured.
        leases: how many use it or are about to.
        opens: how often it was opened.
        prefetched: open ahead of its first use.
        failed: did not open the last time.
        retired: on its way out of the manager.
        engine: while it is open.
    """

    def __init__(
        self,
        name: str,
        cost: EngineCost,
        opener: Callable[[], Opened],
        place: tuple[str, int] = ("", 0),
    ) -> None:
        self.name, self.cost, self.registered_cost, self.opener = name, cost, cost, opener
        self.place = place
        self.state = EngineState.COLD
        self.leases = self.opens = 0
        self.prefetched = self.failed = self.retired = False
        self.engine: Opened | None = None

    @property
    def idle(self) -> bool:
        """Whether it is open and nobody uses it."""
        return self.state is EngineState.OPEN and not self.leases


@dataclass(frozen=True)
class ResidencyEvent:
    """Something the manager did.

    Attributes:
        what: opened, prefetched, failed (to open), evicted, closed (for good) or waited.
        bytes: what the engine takes.
        seconds: how long it took.
    """

    what: str
    engine: str
    bytes: int
    seconds: float


@dataclass(eq=False)
class _Request(Generic[Opened]):
    """A place in the queue, then a lease."""

    handle: EngineHandle[Opened]
    leased: bool = False


class ResidencyManager(Generic[Opened]):
    """Opens and closes engines so that together they stay inside a budget.

    A thread holds one lease at a time, so threads that wait for memory wait only for threads that
    run. Requests are granted in the order they came, except that one whose engine is open passes
    those that fit beside it and beside whoever else passed.

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
        self._prefetches = prefetch and mode is ResidencyMode.ON_DEMAND
        self._handles: dict[str, EngineHandle[Opened]] = {}
        self._changed = threading.Condition()
        self._queue: list[_Request[Opened]] = []
        self._passed: list[_Request[Opened]] = []
        self._history: deque[str] = deque(maxlen=_HISTORY)
        self._mine = threading.local()
        self._prefetcher: threading.Thread | None = None
        self._lost: str | None = None
        self._closed = False
        self.events: deque[ResidencyEvent] = deque(maxlen=_HISTORY)
        self.counters: Counter[str] = Counter()

    @property
    def handles(self) -> tuple[EngineHandle[Opened], ...]:
        """The engines, by place."""
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
        self,
        name: str,
        cost: EngineCost,
        opener: Callable[[], Opened],
        place: tuple[str, int] = ("", 0),
    ) -> EngineHandle[Opened]:
        """Takes an engine on, cold.

        Args:
            name: unique.
            cost: what it will take, by the record of its build.
            opener: opens it; gives back what it took when it raises.
            place: whose it is, and which of theirs, in the order of use; engines of one place
                follow each other as they were registered.

        Raises:
            DeviceMemoryError: it cannot fit even alone, or, in mode RESIDENT, beside the others.
            BackendError: the name is taken, or the manager is closed.
        """
        handle = EngineHandle(name, cost, opener, place)
        with self._changed:
            self._check_usable()
            if name in self._handles:
                raise BackendError(f"an engine {name} is registered already: close its voice first")
            beside = [*self._handles.values()] if self.mode is ResidencyMode.RESIDENT else []
            if self._footprint([*beside, handle]) > self.budget.limit:
                raise self._no_room(handle, beside, self.budget.limit)
            ordered = sorted((*self._handles.values(), handle), key=lambda h: h.place)
            self._handles = {h.name: h for h in ordered}
        return handle

    def unregister(self, handle: EngineHandle[Opened]) -> None:
        """Closes an engine, once its leases have ended, and forgets it; no lease begins any more.

        Raises:
            BackendError: this thread holds a lease, for whose end it would wait.
        """
        self._check_free_thread(f"{handle.name} was to be closed")
        with self._changed:
            if not self._knows(handle):
                return
            handle.retired = True
            self._changed.notify_all()
            while handle.leases or handle.state in (EngineState.OPENING, EngineState.CLOSING):
                self._changed.wait()
            if not self._knows(handle):
                return
            if handle.state is EngineState.OPEN:
                self._close(handle, "closed")
            del self._handles[handle.name]

    @contextmanager
    def lease(self, handle: EngineHandle[Opened]) -> Iterator[Opened]:
        """The engine, open for the block; waits for memory that others lease.

        Raises:
            DeviceMemoryError: no room even when nobody else holds anything.
            DeviceLostError: the device failed for good, now or before.
            BackendError: the engine does not open, it or the manager is closed, or this thread
                holds a lease already.
        """
        self._check_free_thread(f"{handle.name} was asked for")
        request = _Request(handle)
        try:
            self._mine.lease = handle.name
            engine = self._entered(request)
            self._start_prefetch()
            with self._noting_loss():
                yield engine
        finally:
            self._mine.lease = None
            self._leave(request)

    def evict_idle(self) -> int:
        """Closes every engine nobody uses; returns how many."""
        with self._changed:
            return self._evict_idle()

    def close(self) -> None:
        """Closes every engine once its leases have ended; every later lease is an error.

        Raises:
            BackendError: this thread holds a lease, for whose end it would wait.
        """
        self._check_free_thread("the engines were to be closed")
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            handles = [*self._handles.values()]
        for handle in handles:
            self.unregister(handle)
        if self._prefetcher is not None:
            self._prefetcher.join()

    # the queue

    def _entered(self, request: _Request[Opened]) -> Opened:
        """Waits in the queue until the engine is open for this request; counts the lease."""
        handle, waited = request.handle, 0.0
        with self._changed:
            self._queue.append(request)
            while (engine := self._open_for(request)) is None:
                if not self._advanced(request):
                    start = time.perf_counter()
                    self._changed.wait()
                    waited += time.perf_counter() - start
            if waited:
                self._count("waited", handle, waited)
            if self._queue[0] is not request:
                self._passed.append(request)
            request.leased = True
            handle.leases += 1
            self._queue.remove(request)
            self._changed.notify_all()
            self._note_use(handle)
        return engine

    def _leave(self, request: _Request[Opened]) -> None:
        """Ends a lease, or gives up a place in the queue."""
        with self._changed:
            for line in (self._queue, self._passed):
                if request in line:
                    line.remove(request)
            if request.leased:
                request.leased = False
                request.handle.leases -= 1
            self._changed.notify_all()

    # with the lock held: whose turn it is

    def _open_for(self, request: _Request[Opened]) -> Opened | None:
        """The engine, where it is open and nobody before this request needs it gone."""
        handle = request.handle
        self._check_usable(handle)
        if handle.state is not EngineState.OPEN:
            return None
        before = self._queue[: self._queue.index(request)]
        together = {handle, *(r.handle for r in (*before, *self._passed))}
        return None if before and not self._fits(together, self._limit()) else handle.engine

    def _advanced(self, request: _Request[Opened]) -> bool:
        """Opens the engine where it is this request's turn; False where it has to wait.

        Raises:
            DeviceMemoryError: waiting would not help.
        """
        handle = request.handle
        if self._queue[0] is not request or handle.state is not EngineState.COLD:
            return False
        if self._made_room(handle):
            self._check_usable(handle)
            self._open(handle, "opened")
            return True
        if any(self._may_yield(h) for h in self._held()):
            return False
        error = self._no_room(handle, self._held(), self._limit())
        # Others may have distorted what was measured: the next lease tries again.
        handle.cost = handle.registered_cost
        raise error

    def _may_yield(self, handle: EngineHandle[Opened]) -> bool:
        """Whether its room may come free without anybody asking for that."""
        if handle.state is EngineState.OPEN:
            return handle.leases > 0 and self.mode is not ResidencyMode.RESIDENT
        return True

    def _note_use(self, handle: EngineHandle[Opened]) -> None:
        if handle.prefetched:
            handle.prefetched = False
            self.counters["prefetch_hits"] += 1
        if not self._history or self._history[-1] != handle.name:
            self._history.append(handle.name)

    # with the lock held: room

    def _held(self) -> list[EngineHandle[Opened]]:
        return [h for h in self._handles.values() if h.state is not EngineState.COLD]

    def _footprint(self, handles: Collection[EngineHandle[Opened]]) -> int:
        return footprint([handle.cost for handle in handles], self.isolation)

    def _limit(self) -> int:
        """The budget, or less where others leave less of the card free.

        Only what is wholly open counts as ours beside the free memory: an engine on its way in or
        out is partly in either.
        """
        with self._noting_loss():
            free = self._free_bytes()
        if free is None:
            return self.budget.limit
        ours = self._footprint([h for h in self._held() if h.state is EngineState.OPEN])
        return min(self.budget.limit, ours + free - self.budget.reserve)

    def _victims(
        self,
        wanted: EngineHandle[Opened],
        limit: int | None = None,
    ) -> list[EngineHandle[Opened]] | None:
        """The idle engines to close so that this one fits.

        Those needed soonest are kept, as many as fit. On a cycle of engines of different sizes this
        opens 1 to 2 % more than the best choice would.

        Returns:
            Farthest next use first; None where closing all would not be enough.
        """
        limit = self._limit() if limit is None else limit
        evicts = self.mode is not ResidencyMode.RESIDENT
        idle = [h for h in self._held() if h.idle and h is not wanted] if evicts else []
        kept = {wanted, *self._held()}.difference(idle)
        if not self._fits(kept, limit):
            return None
        ahead, victims = self._uses_ahead(wanted), []
        for handle in sorted(idle, key=lambda h: ahead[h.name]):
            if self._fits({*kept, handle}, limit):
                kept.add(handle)
            else:
                victims.append(handle)
        return victims[::-1]

    def _fits(self, handles: Collection[EngineHandle[Opened]], limit: int) -> bool:
        alone = self.mode is not ResidencyMode.MINIMAL or len(handles) <= 1
        return alone and self._footprint(handles) <= limit

    def _uses_ahead(self, handle: EngineHandle[Opened]) -> dict[str, int]:
        """Next uses, seen from a lease of this engine."""
        history = [*self._history]
        if history[-1:] != [handle.name]:
            history.append(handle.name)
        return uses_ahead(history, [*self._handles])

    # with the lock held: opening and closing

    def _made_room(self, handle: EngineHandle[Opened], limit: int | None = None) -> bool:
        """Closes idle engines until this one fits; False where that is not enough."""
        while victims := self._victims(handle, limit):
            self._close(victims[0], "evicted")
        return victims is not None

    def _open(self, handle: EngineHandle[Opened], what: str) -> None:
        """Opens an engine that has room; leaves it cold where it takes more than there is."""
        start = time.perf_counter()
        handle.state, handle.failed = EngineState.OPENING, True
        try:
            handle.cost = self._opened(handle, what).cost
            handle.opens += 1
            self._count(what, handle, time.perf_counter() - start)
            fits = self._made_room(handle, self.budget.limit)
        except BaseException:
            self._close(handle, "failed")
            raise
        if not fits:
            self._close(handle, "evicted")
            return
        handle.state, handle.failed = EngineState.OPEN, False
        handle.prefetched = what == "prefetched"

    def _opened(self, handle: EngineHandle[Opened], what: str) -> Opened:
        """Opens; where the card is fuller than reckoned, once more without the idle engines."""
        try:
            return self._from_opener(handle)
        except DeviceMemoryError:
            spare = what == "prefetched" or self.mode is ResidencyMode.RESIDENT
            if spare or not self._evict_idle():
                raise
        self._check_usable(handle)
        return self._from_opener(handle)

    def _from_opener(self, handle: EngineHandle[Opened]) -> Opened:
        with self._outside():
            handle.engine = engine = handle.opener()
        return engine

    def _close(self, handle: EngineHandle[Opened], what: str) -> None:
        """Closes an engine; it is gone also where that raises, which is logged."""
        start, engine = time.perf_counter(), handle.engine
        handle.state, handle.engine, handle.prefetched = EngineState.CLOSING, None, False
        try:
            if engine is not None:
                with self._outside():
                    engine.close()
        except Exception as error:
            _LOG.warning("closing %s: %s", handle.name, error)
        finally:
            handle.state = EngineState.COLD
            self._count(what, handle, time.perf_counter() - start)
            self._changed.notify_all()

    def _evict_idle(self) -> int:
        count = 0
        for handle in [*self._handles.values()]:
            if handle.idle:
                self._close(handle, "evicted")
                count += 1
        return count

    @contextmanager
    def _outside(self) -> Iterator[None]:
        """Lets go of the lock for the block, since opening and closing take long."""
        self._changed.release()
        try:
            with self._noting_loss():
                yield
        finally:
            self._changed.acquire()

    @contextmanager
    def _noting_loss(self) -> Iterator[None]:
        """Remembers that the device was lost before anybody else is let in."""
        try:
            yield
        except DeviceLostError as error:
            self._lost = str(error) if self._lost is None else self._lost
            raise

    # the next engine, while the current one runs

    def _start_prefetch(self) -> None:
        with self._changed:
            handle = self._expected()
            if handle is None:
                return
            request = _Request(handle)
            thread = threading.Thread(
                target=self._prefetch, args=(request,), name="sambert-tts-prefetch"
            )
            try:
                thread.start()
            except RuntimeError as error:
                _LOG.debug("opening %s ahead: %s", handle.name, error)
                return
            self._queue.append(request)
            self._prefetcher = thread

    def _expected(self) -> EngineHandle[Opened] | None:
        """The engine to open ahead of its use: cold, with room, and nobody waits for anything."""
        if not self._prefetches or self._queue or self._closed or self._lost is not None:
            return None
        if all(h.state is not EngineState.COLD for h in self._handles.values()):
            return None
        ahead = uses_ahead([*self._history], [*self._handles])
        handle = self._handles[min(ahead, key=lambda name: ahead[name])]
        if handle.state is not EngineState.COLD or handle.failed or handle.retired:
            return None
        return None if self._victims(handle) is None else handle

    def _prefetch(self, request: _Request[Opened]) -> None:
        """Opens an engine as the head of the queue; the lease that needs it reports errors."""
        handle = request.handle
        with self._changed:
            try:
                if request in self._queue and self._made_room(handle):
                    self._check_usable(handle)
                    self._open(handle, "prefetched")
            except Exception as error:
                _LOG.debug("opening %s ahead: %s", handle.name, error)
            finally:
                self._leave(request)

    # saying

    def _knows(self, handle: EngineHandle[Opened]) -> bool:
        return self._handles.get(handle.name) is handle

    def _check_usable(self, handle: EngineHandle[Opened] | None = None) -> None:
        if self._lost is not None:
            raise DeviceLostError(self._lost)
        if self._closed:
            raise BackendError("the engines were closed; open the voice again")
        if handle is not None and (handle.retired or not self._knows(handle)):
            raise BackendError(f"{handle.name} was used after it was closed; open the voice again")

    def _check_free_thread(self, what: str) -> None:
        other = getattr(self._mine, "lease", None)
        if other is not None:
            raise BackendError(
                f"{what} inside a lease of {other}: a thread uses one engine at a time; "
                "please report it"
            )

    def _no_room(
        self, handle: EngineHandle[Opened], held: Collection[EngineHandle[Opened]], limit: int
    ) -> DeviceMemoryError:
        others = [h for h in held if h is not handle]
        names = ", ".join(f"{h.name} {h.cost.total / MB:.0f} MB" for h in others)
        holders = f", of which others hold {self._footprint(others) / MB:.0f} MB ({names})"
        whose = "card" if limit < self.budget.limit else "budget"
        return DeviceMemoryError(
            f"{handle.name} needs {handle.cost.total / MB:.0f} MB on the card, the {whose} leaves "
            f"{max(limit, 0) / MB:.0f} MB for all engines{holders if others else ''}: raise the "
            "budget, let engines share a context (isolation shared), keep fewer of them (mode "
            "on_demand or minimal), or close what else uses the card"
        )

    def _count(self, what: str, handle: EngineHandle[Opened], seconds: float) -> None:
        self.counters[what] += 1
        self.events.append(ResidencyEvent(what, handle.name, handle.cost.total, seconds))
        _LOG.debug("%s %s (%.0f ms)", handle.name, what, 1e3 * seconds)
