"""Nothing above the budget, nothing left behind, nobody waits for ever, and few openings.

Threads run under a schedule of our own: one at a time, switched wherever the manager takes or lets
go of its lock, waits, opens or closes. So every run can be repeated, and a deadlock is a state in
which nobody can go on, not a time that has passed.
"""

from __future__ import annotations

import random
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import pairwise, permutations, product
from types import SimpleNamespace
from unittest import mock

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from sambert_trt.engines.errors import (
    BackendError,
    DeviceLostError,
    DeviceMemoryError,
    SambertError,
)
from sambert_trt.runtime import residency
from sambert_trt.runtime.budget import EngineCost, Isolation, MemoryBudget, ResidencyMode, footprint
from sambert_trt.runtime.residency import EngineHandle, EngineState, ResidencyManager

MOST_STEPS = 20_000
PATIENCE = 30.0


class _Aborted(BaseException):
    """Ends a thread whose schedule was given up."""


class Interrupt(BaseException):
    """Stands for KeyboardInterrupt, which would end the tests."""


@dataclass(eq=False)
class _Task:
    run: Callable[[], None]
    name: str
    thread: threading.Thread = field(init=False)
    baton: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    ready: Callable[[], bool] = lambda: True
    done: bool = False


class Schedule:
    """Runs threads one at a time; `choose(n)` says which of the n that can go on does."""

    def __init__(self, choose: Callable[[int], int]) -> None:
        self._choose = choose
        self._tasks: dict[int, _Task] = {}
        self._all: list[_Task] = []
        self._back = threading.Semaphore(0)
        self._given_up = False
        self.errors: list[BaseException] = []

    def spawn(self, run: Callable[[], None], name: str) -> _Task:
        """A thread more, to be run when it is chosen."""
        task = _Task(run, name)
        task.thread = threading.Thread(target=self._body, args=(task,), name=name, daemon=True)
        self._all.append(task)
        task.thread.start()
        return task

    def run(self) -> None:
        """Runs all threads to their ends.

        Raises:
            AssertionError: nobody can go on, or they go on for ever.
        """
        for _ in range(MOST_STEPS):
            self._all = [task for task in self._all if not task.done]
            if not self._all:
                break
            ready = [task for task in self._all if task.ready()]
            if not ready:
                self._give_up("deadlock")
            self._step(ready[self._choose(len(ready))])
        else:
            self._give_up("livelock")
        for error in self.errors:
            raise AssertionError(f"a thread ended with {error!r}") from error

    def pause(self, until: Callable[[], bool] = lambda: True) -> None:
        """Lets others go on; called by scheduled threads, and nothing elsewhere."""
        task = self._tasks.get(threading.get_ident())
        if task is None:
            assert until()
            return
        if self._given_up:
            raise _Aborted
        task.ready = until
        self._back.release()
        task.baton.acquire()
        if self._given_up:
            raise _Aborted

    def _step(self, task: _Task) -> None:
        task.baton.release()
        assert self._back.acquire(timeout=PATIENCE), f"{task.name} never came back"

    def _body(self, task: _Task) -> None:
        task.baton.acquire()
        self._tasks[threading.get_ident()] = task
        try:
            if not self._given_up:
                task.run()
        except _Aborted:
            pass
        except BaseException as error:
            self.errors.append(error)
        del self._tasks[threading.get_ident()]
        task.done = True
        self._back.release()

    def _give_up(self, why: str) -> None:
        frames = sys._current_frames()
        stacks = [
            f"{task.name}:\n" + "".join(traceback.format_stack(frames[task.thread.ident or 0])[-9:])
            for task in self._all
        ]
        self._given_up = True
        for task in self._all:
            self._step(task)
        raise AssertionError(f"{why}\n" + "\n".join(stacks))


class ScheduledCondition:
    """threading.Condition under a schedule."""

    def __init__(
        self, schedule: Schedule, observe: Callable[[set[int]], None], woken: Callable[[], None]
    ) -> None:
        self._schedule, self._observe, self._woken = schedule, observe, woken
        self._owner: int | None = None
        self._depth = 0
        self._asleep: set[int] = set()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self) -> None:
        """Takes the lock, once more where this thread has it."""
        if self._owner != threading.get_ident():
            self._schedule.pause(lambda: self._owner is None)
            self._owner = threading.get_ident()
        self._depth += 1

    def release(self) -> None:
        """Lets go of it."""
        if self._owner != threading.get_ident():
            return
        self._depth -= 1
        if not self._depth:
            self._observe(self._asleep)
            self._owner = None
            self._schedule.pause()

    def wait(self) -> None:
        """Lets go of it until notified."""
        me = threading.get_ident()
        assert (self._owner, self._depth) == (me, 1)
        self._asleep.add(me)
        self._observe(self._asleep)
        self._owner, self._depth = None, 0
        self._schedule.pause(lambda: self._owner is None and me not in self._asleep)
        self._owner, self._depth = me, 1
        self._woken()

    def notify_all(self) -> None:
        """Wakes those that wait."""
        assert self._owner == threading.get_ident()
        self._asleep.clear()


class ScheduledThread:
    """threading.Thread under a schedule."""

    def __init__(
        self, schedule: Schedule, target: Callable[..., None], args: tuple[Request], name: str
    ) -> None:
        self._schedule, self._name = schedule, name
        self._target = partial(target, *args)

    def start(self) -> None:
        """Starts it."""
        self._task = self._schedule.spawn(self._run, self._name)

    def _run(self) -> None:
        with suppress(Interrupt):
            self._target()

    def join(self) -> None:
        """Waits for its end."""
        self._schedule.pause(lambda: self._task.done)


class FakeCard:
    """Every byte engines take, from before they open until they have closed.

    Attributes:
        faults: the error of the n-th call that opens or closes.
        wrong: what must not happen and did.
        others: what other processes hold.
    """

    def __init__(self, total: int, isolation: Isolation, pause: Callable[[], None]) -> None:
        self.total, self.isolation, self.pause = total, isolation, pause
        self.faults: dict[int, BaseException] = {}
        self.wrong: list[str] = []
        self.held: dict[str, EngineCost] = {}
        self.users: Counter[str] = Counter()
        self.others = self.calls = self.peak = 0
        self.opened: list[str] = []
        self.lost = False
        self._counting = threading.Lock()

    @contextmanager
    def used_by(self, name: str) -> Iterator[None]:
        """Somebody computes with this engine."""
        with self._counting:
            self.users[name] += 1
        try:
            yield
        finally:
            with self._counting:
                self.users[name] -= 1

    @property
    def used(self) -> int:
        """By our engines."""
        return footprint([*self.held.values()], self.isolation)

    def free(self) -> int:
        """What is left."""
        return max(self.total - self.others - self.used, 0)

    def call(self) -> None:
        """Raises the fault of this call, if there is one."""
        self.calls += 1
        fault = self.faults.get(self.calls)
        self.lost |= isinstance(fault, DeviceLostError)
        if fault is not None:
            raise fault

    def opener(self, name: str, cost: EngineCost) -> Callable[[], FakeEngine]:
        """Opens an engine that takes `cost`."""

        def opened() -> FakeEngine:
            if name in self.held:
                self.wrong.append(f"{name} was opened twice")
            with_it = footprint([*self.held.values(), cost], self.isolation)
            if with_it > self.total - self.others:
                raise DeviceMemoryError(f"the card has no room for {name}")
            self.held[name] = cost
            self.peak = max(self.peak, self.used)
            self.opened.append(name)
            try:
                self.pause()
                self.call()
            except BaseException:
                del self.held[name]
                raise
            return FakeEngine(self, name, cost)

        return opened


@dataclass
class FakeEngine:
    """Open on a fake card."""

    card: FakeCard
    name: str
    cost: EngineCost

    def close(self) -> None:
        """Gives its bytes back, also when it raises."""
        if self.card.users[self.name]:
            self.card.wrong.append(f"{self.name} was closed in use")
        try:
            self.card.pause()
            self.card.call()
        finally:
            if self.card.held.pop(self.name, None) is None:
                self.card.wrong.append(f"{self.name} was closed twice")


Manager = ResidencyManager[FakeEngine]
Handle = EngineHandle[FakeEngine]
Request = residency._Request[FakeEngine]


class Queue(list[Request]):
    """The manager's queue, which knows who came when."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived: list[Request] = []
        self.asking: dict[int, Handle] = {}
        self.requests: dict[int, Request] = {}

    def append(self, request: Request) -> None:
        """Somebody queues: a lease asks for its thread's engine, a prefetch for another."""
        super().append(request)
        self.arrived = [r for r in self.arrived if r in self or r.leased] + [request]
        if request.handle is self.asking.get(threading.get_ident()):
            self.requests[threading.get_ident()] = request

    def later(self, request: Request) -> set[Handle]:
        """Engines leased to those who came after this request."""
        after = self.arrived[self.arrived.index(request) + 1 :]
        return {r.handle for r in after if r.leased}


class Watch:
    """Judges the manager's state whenever it lets go of its lock."""

    def __init__(self, manager: Manager, *, exact: bool, card_changes: bool) -> None:
        self.manager, self.queue = manager, Queue()
        manager._queue = self.queue
        self.wrong: list[str] = []
        self.passed = 0
        self._exact, self._card_changes = exact, card_changes

    def observe(self, asleep: set[int]) -> None:
        """Called with the lock held; `asleep` wait and nobody woke them."""
        self._check_states([*self.manager._handles.values()])
        if self._exact:
            self._check_order()
        sleeping = [self.queue.requests[t] for t in asleep if t in self.queue.requests]
        if all(request in sleeping for request in self.queue) and not self._card_changes:
            stuck = [r.handle.name for r in self.queue if self._may_go(r)]
            self.wrong.extend(f"nobody woke {name}" for name in stuck)

    def _check_states(self, handles: list[Handle]) -> None:
        held = [h for h in handles if h.state is not EngineState.COLD]
        if sum(h.state is EngineState.OPENING for h in held) > 1:
            self.wrong.append("two engines open at once")
        if not self._fits([h for h in held if h.state is EngineState.OPEN]):
            self.wrong.append("open engines are above the budget")
        for h in handles:
            open_ = h.state is EngineState.OPEN
            if (h.engine is not None) is not open_ and h.state is not EngineState.OPENING:
                self.wrong.append(f"{h.name} is {h.state} with engine {h.engine}")

    def _check_order(self) -> None:
        """Nobody waits for somebody who came later."""
        for request in self.queue:
            later = self.queue.later(request)
            self.passed += bool(later)
            if later and not self._fits({request.handle, *later}):
                names = [handle.name for handle in later]
                self.wrong.append(f"{names} keep {request.handle.name} waiting")

    def _may_go(self, request: Request) -> bool:
        """Whether a request in the queue could be granted, or refused, right now."""
        moving = (EngineState.OPENING, EngineState.CLOSING)
        if any(h.state in moving for h in self.manager._handles.values()):
            return False
        try:
            engine = self.manager._open_for(request)
        except DeviceLostError:
            return False  # noted before the lease ends, which wakes everybody
        except BackendError:
            return True
        first = self.queue[0] is request and request.handle.state is EngineState.COLD
        idle = all(h.idle for h in self.manager._held())
        room = first and (idle or self.manager._victims(request.handle) is not None)
        return room or engine is not None

    def _fits(self, handles: Collection[Handle]) -> bool:
        if self.manager.mode is ResidencyMode.MINIMAL and len(handles) > 1:
            return False
        total = footprint([h.cost for h in handles], self.manager.isolation)
        return total <= self.manager.budget.limit


costs = st.builds(
    EngineCost, st.integers(0, 3), st.integers(1, 4), st.integers(0, 3), st.integers(0, 1)
)
ERRORS: list[Callable[[], BaseException]] = [
    lambda: DeviceMemoryError("injected"),
    lambda: BackendError("injected"),
    lambda: ValueError("injected"),
    lambda: Interrupt("injected"),
    lambda: DeviceLostError("injected"),
]


@dataclass
class World:
    """What is drawn for a run.

    Attributes:
        larger: how much more weights each engine has than it was registered with.
        room: of the budget, above what the largest engine needs; of it all in mode RESIDENT.
        programs: of each thread, (operation, engine or amount, how often it pauses).
        faults: (number of the call that opens or closes, which error).
        interrupts: numbers of the waits that an interrupt ends.
    """

    mode: ResidencyMode
    isolation: Isolation
    prefetch: bool
    asks_card: bool
    costs: list[EngineCost]
    larger: list[int]
    room: int
    programs: list[list[tuple[str, int, int]]]
    faults: dict[int, int]
    interrupts: set[int]
    seed: int

    @property
    def exact(self) -> bool:
        """Whether the reckoning is right."""
        return not any(self.larger)

    def does(self, operation: str) -> bool:
        """Whether a program holds this operation."""
        return any(name == operation for program in self.programs for name, _, _ in program)


RARE = ["evict", "unregister", "register", "others", "lost", "close"]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    sizes = draw(st.lists(costs, min_size=2, max_size=5))
    engines, few = st.integers(0, len(sizes) - 1), st.integers(0, 2)
    names = st.sampled_from(["lease"] * 12 + (RARE if draw(st.booleans()) else ["evict"]))
    program = st.lists(st.tuples(names, engines, few), min_size=1, max_size=10)
    larger = few if draw(st.booleans()) else st.just(0)
    calls = st.integers(1, 25)
    return World(
        mode=draw(st.sampled_from([ResidencyMode.ON_DEMAND, *ResidencyMode])),
        isolation=draw(st.sampled_from(Isolation)),
        prefetch=draw(st.booleans()),
        asks_card=draw(st.booleans()),
        costs=sizes,
        larger=[draw(larger) for _ in sizes],
        room=draw(st.integers(0, 12)),
        programs=draw(st.lists(program, min_size=1, max_size=4)),
        faults=draw(st.dictionaries(calls, st.integers(0, len(ERRORS) - 1), max_size=3)),
        interrupts=draw(st.sets(calls, max_size=1)),
        seed=draw(st.integers(0, 1 << 30)),
    )


class Run:
    """A world's threads on a scheduled manager."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.schedule = Schedule(random.Random(world.seed).randrange)
        alone = max(footprint([cost], world.isolation) for cost in world.costs)
        every = footprint(world.costs, world.isolation)
        least = every if world.mode is ResidencyMode.RESIDENT else alone
        self.limit = least + world.room
        self.card = FakeCard(self.limit + 20, world.isolation, self.schedule.pause)
        self.card.faults = {call: ERRORS[kind]() for call, kind in world.faults.items()}
        fake = SimpleNamespace(
            Condition=lambda: ScheduledCondition(self.schedule, self._observe, self._woken),
            Thread=lambda target, args, name: ScheduledThread(self.schedule, target, args, name),
            local=threading.local,
        )
        self.module = mock.patch.object(residency, "threading", fake)
        with self.module:
            self.manager = Manager(
                MemoryBudget(self.limit + 7, 7),
                world.mode,
                world.isolation,
                free_bytes=self.card.free if world.asks_card else lambda: None,
                prefetch=world.prefetch,
            )
        changes = world.asks_card and world.does("others")
        self.watch = Watch(self.manager, exact=world.exact, card_changes=changes)
        self.handles = [self.register(i) for i in range(len(world.costs))]
        self.granted = self.waits = 0
        self.ended: Counter[str] = Counter()

    def register(self, number: int) -> Handle:
        cost, more = self.world.costs[number], self.world.larger[number]
        real = EngineCost(cost.context, cost.weights + more, cost.scratch, cost.buffers)
        opener = self.card.opener(str(number), real)
        return self.manager.register(str(number), cost, opener)

    def go(self) -> None:
        """Runs all programs, then closes."""
        with self.module:
            for number, program in enumerate(self.world.programs):
                self.schedule.spawn(partial(self._perform, program), f"program {number}")
            self.schedule.run()
            self.schedule.spawn(self._close_for_good, "close")
            self.schedule.run()

    def _observe(self, asleep: set[int]) -> None:
        self.watch.observe(asleep)

    def _woken(self) -> None:
        self.waits += 1
        if self.waits in self.world.interrupts:
            raise Interrupt("injected")

    def _perform(self, program: list[tuple[str, int, int]]) -> None:
        for name, number, pauses in program:
            with self._judged(name):
                getattr(self, f"_{name}")(number, pauses)

    @contextmanager
    def _judged(self, name: str) -> Iterator[None]:
        """Whether an operation may end as it does."""
        try:
            yield
        except (SambertError, ValueError, Interrupt) as error:
            self.ended[f"{name}: {type(error).__name__}"] += 1
            if not self._may_say(str(error)):
                raise

    def _may_say(self, text: str) -> bool:
        world = self.world
        expected = {
            "injected": True,
            "was used after it was closed": world.does("unregister"),
            "the engines were closed": world.does("close"),
            " MB on the card, the ": not world.exact or (world.asks_card and world.does("others")),
            "the card has no room": not world.exact or world.does("others"),
        }
        return any(allowed and words in text for words, allowed in expected.items())

    def _lease(self, number: int, pauses: int, lost: bool = False) -> None:
        handle, gone = self.handles[number], self.card.lost
        self.watch.queue.asking[threading.get_ident()] = handle
        with self.manager.lease(handle) as engine:
            self.granted += 1
            if gone:
                self.card.wrong.append(f"{handle.name} was leased though the device was lost")
            if engine.name not in self.card.held or engine is not handle.engine:
                self.card.wrong.append(f"{handle.name} was leased and is not open")
            with self.card.used_by(handle.name):
                for _ in range(pauses):
                    self.schedule.pause()
                if lost:
                    self.card.lost = True
                    raise DeviceLostError("injected")

    def _lost(self, number: int, pauses: int) -> None:
        self._lease(number, pauses, lost=self.world.seed % 3 == 0)

    def _evict(self, number: int, pauses: int) -> None:
        self.manager.evict_idle()

    def _unregister(self, number: int, pauses: int) -> None:
        self.manager.unregister(self.handles[number])

    def _register(self, number: int, pauses: int) -> None:
        with suppress(BackendError):
            self.handles[number] = self.register(number)

    def _others(self, number: int, pauses: int) -> None:
        self.card.others = 7 * number

    def _close(self, number: int, pauses: int) -> None:
        if pauses == 2:
            self.manager.close()

    def _close_for_good(self) -> None:
        while True:
            with suppress(Interrupt):
                return self.manager.close()

    def check(self) -> None:
        """What holds at the end of every run."""
        world, manager = self.world, self.manager
        assert self.card.wrong + self.watch.wrong == []
        assert self.card.held == {}
        assert manager.handles == ()
        assert manager.held_bytes == 0
        assert manager._queue == []
        for handle in self.handles:
            assert (handle.state, handle.leases) == (EngineState.COLD, 0)
            with pytest.raises((BackendError, DeviceLostError)), manager.lease(handle):
                pass
        if world.exact:
            assert self.card.peak <= self.limit
        if world.mode is ResidencyMode.RESIDENT and world.exact and not world.does("evict"):
            assert manager.counters["evicted"] == 0


@given(world=worlds())
@settings(max_examples=300, deadline=None, derandomize=True, report_multiple_bugs=False)
def test_nothing_goes_wrong_whatever_happens(world: World) -> None:
    run = Run(world)
    run.go()
    run.check()
    for what in run.manager.counters | run.ended:
        event(what)
    if run.watch.passed:
        event("passed")


COLLISIONS = {
    "leases and evictions": [["lease 0", "evict 0", "lease 1"], ["lease 1", "evict 0", "lease 0"]],
    "a lease and unregistering it": [["lease 0", "lease 1"], ["unregister 1"], ["lease 2"]],
    "a prefetch and unregistering it": [["lease 0", "lease 1", "lease 0"], ["unregister 2"]],
    "a prefetch and closing": [["lease 0", "lease 1"], ["close 0"]],
    "leases and closing": [["lease 0", "lease 1", "lease 2"], ["lease 2", "lease 1"], ["close 0"]],
    "the same engine": [["lease 0", "lease 1"], ["lease 1", "lease 0"], ["lease 1"]],
}


@pytest.mark.parametrize("programs", COLLISIONS.values(), ids=COLLISIONS)
@pytest.mark.parametrize("mode", ResidencyMode)
def test_collisions_end_well_in_whatever_order(
    programs: list[list[str]], mode: ResidencyMode
) -> None:
    for seed in range(60):
        world = World(
            mode=mode,
            isolation=Isolation.ENGINE,
            prefetch=seed % 3 > 0,
            asks_card=False,
            costs=[EngineCost(0, 1, 0, 0)] * 3,
            larger=[0] * 3,
            room=seed % 2,
            programs=[[(p.split()[0], int(p.split()[1]), 2) for p in texts] for texts in programs],
            faults={},
            interrupts=set(),
            seed=seed,
        )
        run = Run(world)
        run.go()
        run.check()


def test_a_schedule_finds_those_who_wait_for_ever() -> None:
    schedule = Schedule(lambda ready: 0)
    schedule.spawn(lambda: schedule.pause(lambda: False), "sleeper")
    with pytest.raises(AssertionError, match="deadlock\nsleeper:"):
        schedule.run()


# real threads


class Team:
    """Threads that have to end; what one raises is raised at the end."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self.errors: list[BaseException] = []

    def __enter__(self) -> Team:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.join()

    def run(self, work: Callable[[], object]) -> None:
        """Starts a thread."""
        thread = threading.Thread(target=self._body, args=(work,), daemon=True)
        self.threads.append(thread)
        thread.start()

    def join(self) -> None:
        """Waits for all of them; where one does not end, shows where all are."""
        end = time.monotonic() + PATIENCE
        for thread in self.threads:
            thread.join(max(end - time.monotonic(), 0.0))
        if any(thread.is_alive() for thread in self.threads):
            stacks = ["".join(traceback.format_stack(f)) for f in sys._current_frames().values()]
            pytest.fail("threads wait for ever:\n" + "\n".join(stacks))
        for error in self.errors:
            raise error

    def _body(self, work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            self.errors.append(error)


def elsewhere(work: Callable[[], object]) -> None:
    """Runs it in another thread, to its end or error."""
    with Team() as team:
        team.run(work)


def wait_until(true: Callable[[], bool]) -> None:
    """For what another thread is about to do."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0)


def megabytes(number: float) -> int:
    return int(number * 1e6)


class Kit:
    """A manager on a fake card, engines by name with their sizes in MB."""

    def __init__(
        self,
        sizes: Mapping[str, float],
        limit: float,
        mode: ResidencyMode = ResidencyMode.ON_DEMAND,
        *,
        prefetch: bool = False,
        card: float = 1000,
        real: Mapping[str, float] | None = None,
        free: Callable[[FakeCard], int | None] = lambda card: None,
    ) -> None:
        self.card = FakeCard(megabytes(card), Isolation.ENGINE, lambda: None)
        budget = MemoryBudget(megabytes(limit + 1), megabytes(1))
        ask = partial(free, self.card)
        self.manager = Manager(budget, mode, free_bytes=ask, prefetch=prefetch)
        self.real = {n: megabytes(size) for n, size in {**sizes, **(real or {})}.items()}
        self.before: dict[str, Callable[[], object]] = {}
        self.handles = {name: self.register(name, size) for name, size in sizes.items()}

    def register(self, name: str, size: float) -> Handle:
        """Takes an engine on."""
        cost = EngineCost(0, megabytes(size), 0, 0)
        return self.manager.register(name, cost, partial(self._opened, name))

    def _opened(self, name: str) -> FakeEngine:
        self.before.get(name, lambda: None)()
        return self.card.opener(name, EngineCost(0, self.real[name], 0, 0))()

    def use(self, *names: str) -> None:
        """Leases one after another."""
        for name in names:
            with self.manager.lease(self.handles[name]), self.card.used_by(name):
                pass

    @contextmanager
    def leased(self, name: str) -> Iterator[FakeEngine]:
        """A lease."""
        with self.manager.lease(self.handles[name]) as engine, self.card.used_by(name):
            yield engine

    def wait_for_queue(self, length: int) -> None:
        """Until so many wait."""
        wait_until(lambda: len(self.manager._queue) == length)

    @property
    def open(self) -> list[str]:
        """Names of the engines that are open."""
        return [h.name for h in self.manager.handles if h.state is EngineState.OPEN]


def test_many_threads_come_to_an_end() -> None:
    kit = Kit(dict(zip("abcdef", (3, 4, 5, 6, 7, 8), strict=True)), limit=15, prefetch=True)
    kit.card.faults = {call: BackendError("injected") for call in range(7, 2000, 13)}
    interval = sys.getswitchinterval()

    def work(seed: int) -> None:
        choice = random.Random(seed).choice
        for _ in range(100):
            with suppress(BackendError):
                kit.use(choice("abcdef"))

    sys.setswitchinterval(1e-5)
    try:
        with Team() as team:
            for seed in range(6):
                team.run(partial(work, seed))
        elsewhere(kit.manager.close)
    finally:
        sys.setswitchinterval(interval)
    assert kit.card.wrong == []
    assert kit.card.held == {}
    assert kit.card.peak <= megabytes(15)
    counters = kit.manager.counters
    assert min(counters[what] for what in ("failed", "evicted", "waited", "opened")) > 0


def test_a_large_engine_is_not_passed_by_those_that_keep_it_waiting() -> None:
    kit, order = Kit({"a": 5, "b": 5, "large": 10}, limit=10), []

    def lease(name: str) -> None:
        with kit.leased(name):
            order.append(name)

    with Team() as team:
        with kit.leased("a"):
            for place, name in enumerate(["large", "a", "b", "a"], start=1):
                team.run(partial(lease, name))
                kit.wait_for_queue(place)
        team.join()
    assert order[0] == "large"
    assert order[1:].count("a") == 2
    kit.manager.close()


def test_an_open_engine_passes_where_nobody_waits_longer_for_it() -> None:
    kit, gate = Kit({"a": 6, "small": 2, "large": 8}, limit=10), threading.Event()
    kit.use("small")
    with Team() as team:
        with kit.leased("a"):
            team.run(partial(kit.use, "large"))
            kit.wait_for_queue(1)
            elsewhere(partial(kit.use, "small"))
            assert kit.open == ["a", "small"]
            kit.before["large"] = gate.wait
        wait_until(lambda: kit.handles["large"].state is EngineState.OPENING)
        elsewhere(partial(kit.use, "small"))
        gate.set()
    assert kit.card.opened == ["small", "a", "large"]
    kit.manager.close()


def test_together_those_who_pass_keep_nobody_waiting() -> None:
    kit, order = Kit({"a": 4, "b": 3, "c": 3, "large": 7}, limit=10), []
    kit.use("b", "c")
    gates = {"b": threading.Event(), "c": threading.Event()}

    def lease(name: str) -> None:
        with kit.leased(name):
            order.append(name)
            assert gates.get(name, gates["b"]).wait(PATIENCE)

    with Team() as team:
        with kit.leased("a"):
            team.run(partial(lease, "large"))
            kit.wait_for_queue(1)
            team.run(partial(lease, "b"))
            wait_until(lambda: order == ["b"])
            team.run(partial(lease, "c"))
            kit.wait_for_queue(2)
        wait_until(lambda: order == ["b", "large"])
        gates["c"].set()
        gates["b"].set()
    assert order == ["b", "large", "c"]
    kit.manager.close()


def test_threads_share_an_engine() -> None:
    kit = Kit({"a": 5}, limit=10)
    both = threading.Barrier(2, timeout=PATIENCE)

    def work() -> None:
        with kit.leased("a"):
            both.wait()

    with Team() as team:
        team.run(work)
        team.run(work)
    assert kit.card.opened == ["a"]
    kit.manager.close()


# few openings


def least_opens(uses: Sequence[int], sizes: Sequence[int], limit: int, held: int = 0) -> list[int]:
    """How often one has to open at least, after each use; sets of engines are bits."""

    @cache
    def kept(held: int, wanted: int) -> tuple[int, ...]:
        """The largest subsets of `held` that fit beside the wanted engine."""
        room = limit - sizes[wanted]
        fitting = [s for s in range(held + 1) if s & held == s and total(s) <= room]
        return tuple(s for s in fitting if not any(s & t == s != t for t in fitting))

    @cache
    def total(engines: int) -> int:
        return sum(size for bit, size in enumerate(sizes) if engines >> bit & 1)

    least, counts = {held: 0}, []
    for wanted in uses:
        after: dict[int, int] = {}
        for before, count in least.items():
            present = before >> wanted & 1
            for stays in (before,) if present else kept(before, wanted):
                now = stays | 1 << wanted
                after[now] = min(after.get(now, count + 1), count + (not present))
        least = after
        counts.append(min(least.values()))
    return counts


def opens_by_age(uses: Sequence[int], sizes: Sequence[int], limit: int) -> int:
    """Openings where the engine longest unused is closed first."""
    held: list[int] = []
    count = 0
    for wanted in uses:
        count += wanted not in held
        held = [engine for engine in held if engine != wanted]
        while sum(sizes[engine] for engine in held) + sizes[wanted] > limit:
            held.pop(0)
        held.append(wanted)
    return count


def opens(
    uses: Sequence[int], sizes: Sequence[int], limit: int, order: Sequence[int] = ()
) -> tuple[list[int], list[int]]:
    """The manager's openings after each use, and whom it held then, as bits."""
    kit = Kit({str(i): sizes[i] for i in order or range(len(sizes))}, limit)
    counts, held = [], []
    for engine in uses:
        kit.use(str(engine))
        counts.append(kit.manager.counters["opened"])
        held.append(sum(1 << int(name) for name in kit.open))
    kit.manager.close()
    return counts, held


@pytest.mark.parametrize("count", range(1, 8))
def test_a_cycle_in_the_registered_order_is_opened_as_seldom_as_possible(count: int) -> None:
    uses = [*range(count)] * 5
    for capacity in range(1, count + 1):
        sizes = [1] * count
        assert opens(uses, sizes, capacity)[0] == least_opens(uses, sizes, capacity)


@pytest.mark.parametrize("count", range(2, 8))
def test_any_cycle_is_opened_as_seldom_as_possible_once_it_is_known(count: int) -> None:
    orders = [*permutations(range(count))]
    chosen = orders if count < 5 else random.Random(count).sample(orders, 12)
    uses, sizes = [*range(count)] * 4, [1] * count
    for order, capacity in product(chosen, range(1, count + 1)):
        counts, held = opens(uses, sizes, capacity, order)
        later = [number - counts[count - 1] for number in counts[count:]]
        assert later == least_opens(uses[count:], sizes, capacity, held[count - 1])


def test_engines_of_different_sizes_are_opened_little_more_often_than_necessary() -> None:
    draw = random.Random(7)
    ours = best = 0
    for _ in range(80):
        sizes = [draw.randint(1, 9) for _ in range(draw.randint(3, 6))]
        limit = draw.randint(max(sizes), sum(sizes))
        uses = [*range(len(sizes))] * 6
        counts = opens(uses, sizes, limit)[0]
        assert counts[-1] <= opens_by_age(uses, sizes, limit)
        ours, best = ours + counts[-1], best + least_opens(uses, sizes, limit)[-1]
    assert best <= ours <= 1.02 * best


SENTENCES = {
    "alike": [4] * 10,
    "short": [1] * 10,
    "mixed": [1, 5, 3, 2, 7, 4, 1, 3, 6, 2],
}


@pytest.mark.parametrize("chunks", SENTENCES.values(), ids=SENTENCES)
@pytest.mark.parametrize("capacity", range(1, 8))
def test_sentences_in_chunks_open_little_more_than_necessary(
    chunks: list[int], capacity: int
) -> None:
    uses = [stage for count in chunks for stage in (0, 1, 2, *[3, 4, 5, 6] * count)]
    counts, best = opens(uses, [1] * 7, capacity)[0], least_opens(uses, [1] * 7, capacity)
    assert best[-1] <= counts[-1] <= 1.08 * best[-1]
    assert counts[-1] <= opens_by_age(uses, [1] * 7, capacity)


# ahead of time


def test_the_next_engine_opens_while_the_current_one_is_leased() -> None:
    kit = Kit(dict.fromkeys("abcd", 5), limit=10, prefetch=True)
    begun = {name: threading.Event() for name in "abcd"}
    kit.before = {name: event.set for name, event in begun.items()}
    for name, following in zip("abcdabcdabcd", "bcdabcdabcda", strict=True):
        with kit.leased(name):
            begun[name].clear()
            assert begun[following].wait(PATIENCE)
    kit.manager.close()
    assert kit.card.wrong == []
    assert kit.card.peak == megabytes(10)
    counters = kit.manager.counters
    assert (counters["opened"], counters["prefetched"], counters["prefetch_hits"]) == (1, 12, 11)


def test_a_lease_waits_for_the_prefetch_of_its_engine() -> None:
    kit, gate = Kit({"a": 5, "b": 5}, limit=10, prefetch=True), threading.Event()
    kit.before["b"] = gate.wait
    kit.use("a")
    with Team() as team:
        team.run(partial(kit.use, "b"))
        kit.wait_for_queue(2)
        assert kit.handles["b"].state in (EngineState.COLD, EngineState.OPENING)
        gate.set()
    assert kit.card.opened == ["a", "b"]
    assert kit.manager.counters["prefetch_hits"] == 1
    kit.manager.close()


def test_the_current_engine_is_leased_again_during_a_prefetch() -> None:
    kit, gate = Kit({"a": 5, "b": 5}, limit=10, prefetch=True), threading.Event()
    kit.before["b"] = gate.wait
    kit.use("a", "a")
    gate.set()
    kit.manager.close()
    assert kit.card.held == {}


def test_a_failed_prefetch_is_silent_and_the_lease_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kit, tries = Kit({"a": 5, "b": 5}, limit=10, prefetch=True), []

    def broken() -> None:
        tries.append(threading.current_thread().name)
        raise BackendError("b is broken")

    kit.before["b"] = broken
    kit.use("a")
    kit.wait_for_queue(0)
    kit.use("a")
    assert tries == ["sambert-tts-prefetch"]
    with pytest.raises(BackendError, match="b is broken"):
        kit.use("b")
    assert len(tries) == 2
    kit.before = {}
    kit.use("b", "a")
    kit.manager.close()
    assert caplog.records == []


def test_closing_ends_the_prefetch() -> None:
    kit = Kit({"a": 5, "b": 5}, limit=10, prefetch=True)
    prefetch = kit.manager._prefetch

    def slowly(request: Request) -> None:
        prefetch(request)
        wait_until(lambda: not kit.manager._handles)
        for _ in range(1000):
            time.sleep(0)

    with mock.patch.object(kit.manager, "_prefetch", slowly):
        kit.use("a")
        kit.manager.close()
    assert kit.manager._prefetcher is not None
    assert not kit.manager._prefetcher.is_alive()


def test_a_prefetch_that_finds_the_card_full_leaves_the_others_open() -> None:
    kit = Kit(dict.fromkeys("abc", 5), limit=15, prefetch=True, card=12)
    kit.use("b")
    kit.wait_for_queue(0)
    assert kit.manager.counters["prefetched"] == 1
    kit.use("c", "b", "c")
    kit.wait_for_queue(0)
    assert (kit.open, kit.handles["a"].failed) == (["b", "c"], True)
    kit.manager.close()


def test_a_prefetch_closes_what_is_needed_last() -> None:
    names = "abcdef"
    kit = Kit(dict.fromkeys(names, 1), limit=4, prefetch=True)
    for current in (names * 4)[:-1]:
        with kit.leased(current):
            kit.wait_for_queue(0)
            at = names.index(current)
            following = [names[(at + ahead) % 6] for ahead in range(1, 6)]
            kept = [name for name in following if name in kit.open]
            assert following[0] == kept[0]
            if len(kit.manager.events) > 12:
                assert len(kept) == 3
    events = [e for e in kit.manager.events if e.what in ("evicted", "prefetched")]
    kit.manager.close()
    for evicted, prefetched in pairwise(events):
        if (evicted.what, prefetched.what) == ("evicted", "prefetched"):
            gap = (names.index(evicted.engine) - names.index(prefetched.engine)) % 6
            assert gap > 1


@pytest.mark.parametrize("mode", [ResidencyMode.RESIDENT, ResidencyMode.MINIMAL])
def test_only_mode_on_demand_opens_ahead(mode: ResidencyMode) -> None:
    kit = Kit({"a": 5, "b": 5}, limit=10, mode=mode, prefetch=True)
    with mock.patch.object(threading, "Thread", side_effect=AssertionError("a thread")):
        kit.use(*"abababab")
    assert kit.manager.counters["prefetched"] == 0
    kit.manager.close()


def test_without_another_thread_nothing_opens_ahead() -> None:
    kit = Kit({"a": 5, "b": 5}, limit=10, prefetch=True)
    with mock.patch.object(threading.Thread, "start", side_effect=RuntimeError("no threads")):
        kit.use("a", "b")
    assert kit.card.opened == ["a", "b"]
    kit.manager.close()


def test_an_engine_alone_is_not_opened_ahead() -> None:
    kit = Kit({"a": 5}, limit=10, prefetch=True)
    kit.use("a", "a")
    assert kit.card.opened == ["a"]
    kit.manager.close()


# modes, budgets, and costs that were reckoned wrong


def test_resident_engines_stay() -> None:
    kit = Kit({"a": 5, "b": 3}, limit=10, mode=ResidencyMode.RESIDENT)
    kit.use(*"abab")
    assert kit.card.opened == ["a", "b"]
    with pytest.raises(DeviceMemoryError, match=r"c needs 3 MB .* 10 MB .* others hold 8 MB"):
        kit.register("c", 3)
    assert kit.manager.evict_idle() == 2
    kit.manager.close()


def test_resident_engines_stay_also_where_the_card_is_full() -> None:
    kit = Kit({"a": 5, "b": 5}, limit=10, mode=ResidencyMode.RESIDENT, card=8)
    kit.use("a")
    with pytest.raises(DeviceMemoryError, match="the card has no room for b"):
        kit.use("b")
    assert kit.open == ["a"]
    kit.manager.close()


def test_resident_engines_stay_also_where_they_take_more_than_their_records() -> None:
    kit = Kit({"a": 5, "b": 5}, limit=10, mode=ResidencyMode.RESIDENT, real={"a": 6})
    kit.use("a")
    with pytest.raises(DeviceMemoryError, match="b needs 5 MB"):
        kit.use("b")
    assert kit.open == ["a"]
    kit.manager.close()


def test_resident_engines_do_not_wait_for_those_that_stay() -> None:
    kit = Kit({"a": 5, "b": 5}, limit=10, mode=ResidencyMode.RESIDENT, real={"a": 6})
    with kit.leased("a"), pytest.raises(DeviceMemoryError, match="b needs 5 MB"):
        elsewhere(partial(kit.use, "b"))
    kit.manager.close()


def test_a_minimal_manager_holds_one_engine() -> None:
    kit = Kit(dict.fromkeys("abc", 1), limit=100, mode=ResidencyMode.MINIMAL)
    for name in "abccab":
        kit.use(name)
        assert kit.open == [name]
    assert kit.card.peak == megabytes(1)
    assert kit.card.opened == [*"abcab"]
    kit.manager.close()


def test_shared_contexts_leave_room_for_more_engines() -> None:
    for isolation, count in ((Isolation.ENGINE, 1), (Isolation.SHARED, 3)):
        card = FakeCard(10**9, isolation, lambda: None)
        manager = Manager(MemoryBudget(650, 0), isolation=isolation, prefetch=False)
        cost = EngineCost(300, 50, 80, 10)
        for name in "abc":
            handle = manager.register(name, cost, card.opener(name, cost))
            with manager.lease(handle):
                pass
        assert len(card.held) == count
        assert manager.held_bytes == footprint([cost] * count, isolation)
        manager.close()


def test_a_full_card_counts_as_well_as_the_budget() -> None:
    kit = Kit({"a": 5, "b": 5}, limit=10, card=20, free=FakeCard.free)
    kit.use("a")
    kit.card.others = megabytes(12)
    kit.use("b")
    assert kit.open == ["b"]
    kit.card.others = megabytes(15)
    with pytest.raises(DeviceMemoryError) as info:
        kit.use("a")
    assert "a needs 5 MB on the card, the card leaves 4 MB for all engines" in str(info.value)
    kit.card.others = 0
    kit.use("a", "b")
    assert kit.open == ["a", "b"]
    kit.manager.close()


def test_no_room_names_everybody_and_what_to_do() -> None:
    kit = Kit({"vocoder": 30, "decoder": 20}, limit=50, mode=ResidencyMode.RESIDENT)
    kit.use("vocoder", "decoder")
    with pytest.raises(DeviceMemoryError) as info:
        kit.register("emotion_encoder", 15)
    assert str(info.value) == (
        "emotion_encoder needs 15 MB on the card, the budget leaves 50 MB for all engines, of "
        "which others hold 50 MB (vocoder 30 MB, decoder 20 MB): raise the budget, let engines "
        "share a context (isolation shared), keep fewer of them (mode on_demand or minimal), or "
        "close what else uses the card"
    )
    kit.manager.close()


def test_an_engine_that_never_fits_is_refused_at_once() -> None:
    kit = Kit({"a": 5}, limit=10)
    with pytest.raises(DeviceMemoryError, match="b needs 11 MB on the card, the budget leaves 10"):
        kit.register("b", 11)
    assert [handle.name for handle in kit.manager.handles] == ["a"]


def test_an_engine_larger_than_its_record_makes_idle_ones_leave() -> None:
    kit = Kit({"a": 4, "b": 3, "c": 3}, limit=10, real={"c": 6})
    kit.use("a", "b", "c")
    assert kit.manager.held_bytes <= megabytes(10)
    assert kit.handles["c"].state is EngineState.OPEN
    assert kit.handles["c"].cost.total == megabytes(6)
    kit.manager.close()


def test_an_engine_larger_than_its_record_waits_for_those_in_use() -> None:
    kit = Kit({"a": 5, "b": 5}, limit=10, real={"b": 6})
    with Team() as team:
        with kit.leased("a"):
            team.run(partial(kit.use, "b"))
            wait_until(lambda: kit.manager.counters["evicted"] == 1)
            assert kit.open == ["a"]
        team.join()
    assert kit.card.opened == ["a", "b", "b"]
    assert kit.open == ["b"]
    kit.manager.close()


def test_an_engine_measured_too_large_is_tried_again() -> None:
    kit = Kit({"a": 5}, limit=10, real={"a": 12})
    with pytest.raises(DeviceMemoryError, match="a needs 12 MB"):
        kit.use("a")
    assert kit.card.opened == ["a"]
    assert kit.card.held == {}
    kit.real["a"] = megabytes(5)
    kit.use("a")
    assert kit.open == ["a"]
    kit.manager.close()


def test_a_full_card_is_emptied_of_idle_engines_once() -> None:
    kit = Kit({"a": 5, "b": 5}, limit=10, card=8)
    kit.use("a", "b")
    assert (kit.open, kit.card.opened) == (["b"], ["a", "b"])
    kit.card.total = megabytes(1)
    with pytest.raises(DeviceMemoryError, match="the card has no room for a"):
        kit.use("a")
    assert kit.open == []
    kit.manager.close()


def test_a_device_lost_while_a_full_card_is_emptied_opens_nothing_more() -> None:
    kit, tries = Kit({"a": 5, "b": 5}, limit=10, card=8), []
    kit.before["b"] = partial(tries.append, "b")
    kit.card.faults = {2: DeviceLostError("it burned")}
    kit.use("a")
    with pytest.raises(DeviceLostError, match="it burned"):
        kit.use("b")
    assert tries == ["b"]
    kit.manager.close()
    assert kit.card.held == {}


def test_what_is_being_opened_counts() -> None:
    kit, held = Kit({"a": 5, "b": 3}, limit=10), []
    kit.before["b"] = lambda: held.append(kit.manager.held_bytes)
    kit.use("a", "b")
    assert held == [megabytes(8)]
    kit.manager.close()


# ends


def test_a_lost_device_stays_lost() -> None:
    kit = Kit({"a": 5, "b": 5}, limit=10)
    kit.use("b")
    with pytest.raises(DeviceLostError, match="it burned"), kit.leased("a"):
        raise DeviceLostError("it burned")
    kit.card.faults = {call: DeviceLostError("and burns") for call in range(1, 99)}
    for name in "abab":
        with pytest.raises(DeviceLostError, match="it burned"):
            kit.use(name)
    with pytest.raises(DeviceLostError, match="it burned"):
        kit.register("c", 1)
    assert kit.card.opened == ["b", "a"]
    kit.manager.close()
    assert kit.card.held == {}


@pytest.mark.parametrize("where", ["opening", "closing", "asking", "ahead"])
def test_a_device_may_be_lost_anywhere(where: str) -> None:
    lost, prefetch = DeviceLostError(""), where == "ahead"

    def free(card: FakeCard) -> int | None:
        if card.others:
            raise lost
        return None

    kit = Kit({"a": 5, "b": 5}, limit=10 if prefetch else 5, prefetch=prefetch, free=free)
    calls = {"opening": 3, "closing": 2, "ahead": 2}
    kit.card.faults = {calls[where]: lost} if where in calls else {}
    kit.use("a")
    kit.wait_for_queue(0)
    kit.card.others = int(where == "asking")
    for name in "ba":
        with pytest.raises(DeviceLostError):
            kit.use(name)
    kit.card.others = 0
    kit.manager.close()
    assert kit.card.held == {}
    assert kit.card.opened.count("b") <= 1


def test_an_engine_that_does_not_close_is_gone_nevertheless(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kit = Kit({"a": 5, "b": 5}, limit=5)
    kit.card.faults = {2: ValueError("stuck")}
    kit.use("a", "b")
    assert kit.open == ["b"]
    assert kit.manager.held_bytes == megabytes(5)
    assert "closing a: stuck" in caplog.text
    kit.manager.close()


def test_a_closed_manager_opens_nothing() -> None:
    kit = Kit({"a": 5, "b": 5}, limit=10)
    with Team() as team, kit.leased("a"):
        team.run(kit.manager.close)
        wait_until(lambda: kit.manager.closed)
        with pytest.raises(BackendError, match="the engines were closed"):
            elsewhere(partial(kit.use, "b"))
        assert kit.open == ["a"]
    assert kit.card.held == {}
    assert kit.card.opened == ["a"]
    kit.manager.close()
    with pytest.raises(BackendError, match="the engines were closed; open the voice again"):
        kit.register("c", 1)


def test_an_unregistered_engine_waits_for_its_lease_and_is_gone() -> None:
    kit = Kit({"a": 5, "b": 5, "large": 10}, limit=10)
    with Team() as team, kit.leased("a"):
        team.run(partial(kit.manager.unregister, kit.handles["a"]))
        wait_until(lambda: kit.handles["a"].retired)
        with pytest.raises(BackendError, match="a was used after it was closed"):
            elsewhere(partial(kit.use, "a"))
        with pytest.raises(BackendError, match="an engine a is registered already"):
            kit.register("a", 5)
    assert [handle.name for handle in kit.manager.handles] == ["b", "large"]
    assert kit.card.held == {}
    kit.manager.unregister(kit.handles["a"])
    kit.handles["a"] = kit.register("a", 5)
    kit.use("a")
    kit.manager.close()


def test_who_waits_for_an_unregistered_engine_is_told() -> None:
    kit = Kit({"a": 5, "large": 10}, limit=10)
    with kit.leased("a"), Team() as team:
        team.run(partial(kit.use, "large"))
        kit.wait_for_queue(1)
        elsewhere(partial(kit.manager.unregister, kit.handles["large"]))
        with pytest.raises(BackendError, match="large was used after it was closed"):
            team.join()
        team.errors.clear()
    kit.manager.close()


def test_who_waits_for_a_leased_engine_is_told_when_it_is_unregistered() -> None:
    kit = Kit({"a": 5, "large": 10}, limit=10)
    with Team() as team, kit.leased("a"):
        team.run(partial(kit.use, "large"))
        kit.wait_for_queue(1)
        with Team() as waiting:
            waiting.run(partial(kit.use, "a"))
            kit.wait_for_queue(2)
            team.run(partial(kit.manager.unregister, kit.handles["a"]))
            with pytest.raises(BackendError, match="a was used after it was closed"):
                waiting.join()
            waiting.errors.clear()
    kit.manager.close()


def test_a_thread_uses_one_engine_at_a_time() -> None:
    kit = Kit({"a": 5, "b": 5}, limit=10)
    with kit.leased("a"):
        for forbidden in (
            partial(kit.use, "b"),
            partial(kit.manager.unregister, kit.handles["b"]),
            kit.manager.close,
        ):
            with pytest.raises(BackendError, match=r"inside a lease of a: .*please report it"):
                forbidden()
        assert kit.manager.evict_idle() == 0
    kit.use("b")
    kit.manager.close()


def test_events_tell_what_happened() -> None:
    kit = Kit({"a": 5, "b": 6}, limit=10)
    kit.use("a", "b")
    kit.manager.close()
    told = [(e.what, e.engine, e.bytes) for e in kit.manager.events]
    a, b = megabytes(5), megabytes(6)
    assert told == [("opened", "a", a), ("evicted", "a", a), ("opened", "b", b), ("closed", "b", b)]
    assert kit.manager.counters == {"opened": 2, "evicted": 1, "closed": 1}
    assert [kit.handles[name].opens for name in "ab"] == [1, 1]
