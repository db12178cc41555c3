"""Both sides of a suite in turn: fresh processes for each session, in it one round after the other.

Whatever the machine does in the meantime meets both sides alike, so they are compared round by
round. Standard library only.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from .process import WorkerError, WorkerProcess
from .record import Identity, NotMeasured, Samples, SuiteOutcome, SuiteStatus
from .suite import Settings, Suite
from .warmup import warm_up_rounds

__all__ = ["Measured", "identities", "measure"]

_LIMIT = 120.0
"""Seconds an answer may take at least; a suite with much to do gets ten times what it says."""

Round = Mapping[str, Mapping[str, float]]
"""Values by side and measured name."""


@dataclass(frozen=True)
class Measured:
    """What a suite gave.

    Attributes:
        values: samples by side and measured name; a side that skipped or crashed has none. Of a
            metric that several sides have, session i and round j belong together.
        outcome: how it ended. MEASURED with a reason: one side skipped, the other did not.
        warm_up: rounds left out by measured name, all sessions together.
    """

    values: Mapping[str, Mapping[str, Samples]]
    outcome: SuiteOutcome
    warm_up: Mapping[str, int] = field(default_factory=dict)


def measure(
    suite: Suite,
    sides: Mapping[str, Settings],
    *,
    seed: int = 0,
    say: Callable[[str], None] = lambda line: None,
    limit: float | None = None,
) -> Measured:
    """Measures a suite: of every side in turn, or of the only one.

    A side that fails, dies or hangs ends the suite as crashed; nothing is raised for that, and no
    process is left, not even by Ctrl-C.

    Args:
        suite: what, in how many sessions and rounds.
        sides: by name, which messages use: {"base": ..., "candidate": ...}. `work` of each exists.
        seed: of the order in which the sides take turns.
        say: gets a line when a session begins.
        limit: seconds that one answer of a worker may take; None is what the suite's size needs.
    """
    started, run = time.monotonic(), _Run(suite, sides, seed, limit or _limit(suite))
    sessions: list[list[Round]] = []
    try:
        for number in range(suite.sessions):
            say(f"{suite.name}: session {number + 1} of {suite.sessions}")
            sessions.append(run.session(number))
            if not run.active:
                break
        values, warm_up = samples_from_sessions(sessions, run.active)
    except WorkerError as error:
        return Measured({name: {} for name in sides}, run.outcome(started, str(error)))
    everything = {name: values.get(name, {}) for name in sides}
    return Measured(everything, run.outcome(started), warm_up)


def identities(sides: Mapping[str, Settings], *, limit: float = _LIMIT) -> dict[str, Identity]:
    """What each side would speak with, asked in a process of its own tree.

    Raises:
        InputError: the voice cannot be read, or lacks the precision.
        WorkerError: a side cannot say, e.g. because it cannot be imported.
    """
    found = {}
    for side, settings in sides.items():
        with WorkerProcess(side, settings, "", limit) as worker:
            found[side] = Identity(**worker.identity())
    return found


def _limit(suite: Suite) -> float:
    return max(_LIMIT, 10 * suite.seconds)


class _Run:
    """The sessions of one suite."""

    def __init__(
        self, suite: Suite, sides: Mapping[str, Settings], seed: int, limit: float
    ) -> None:
        self._suite, self._sides, self._limit = suite, sides, limit
        self._random = random.Random(f"{seed} {suite.name}")
        self._starts, self._turns = self._orders(), self._orders()
        self._skipped: dict[str, str] = {}

    @property
    def active(self) -> list[str]:
        """The sides that have not skipped."""
        return [side for side in self._sides if side not in self._skipped]

    def session(self, number: int) -> list[Round]:
        """The rounds of a new process for each side."""
        hash_seed = self._random.randrange(1, 2**32)
        with ExitStack() as stack:
            workers: dict[str, WorkerProcess] = {}
            for side in self._order(self._starts):
                settings, module = self._sides[side], self._suite.name
                worker = WorkerProcess(side, settings, module, self._limit, hash_seed)
                with self._skipping(side):
                    workers[side] = stack.enter_context(worker)
            return list(self._rounds(workers))

    def outcome(self, started: float, crash: str = "") -> SuiteOutcome:
        """How it ended."""
        skipped = "; ".join(f"{side}: {reason}" for side, reason in self._skipped.items())
        if len(self._skipped) == len(self._sides) and len(set(self._skipped.values())) == 1:
            skipped = next(iter(self._skipped.values()))
        status = SuiteStatus.MEASURED if self.active else SuiteStatus.SKIPPED
        if crash:
            status = SuiteStatus.CRASHED
        seconds = time.monotonic() - started
        return SuiteOutcome(self._suite.name, status, seconds, crash or skipped)

    def _rounds(self, workers: Mapping[str, WorkerProcess]) -> Iterator[Round]:
        for number in range(self._suite.rounds):
            found: dict[str, Mapping[str, float]] = {}
            order = self._order(self._turns)
            for side in order if self._suite.together else ():
                workers[side].begin()
            for side in order:
                with self._skipping(side):
                    values = workers[side].next()
                    if values is not None:
                        found[side] = values
            ended = [side for side in self.active if side not in found]
            if ended and not number:
                raise WorkerError(f"{' and '.join(ended)}: the suite gave no values")
            if ended and found:  # what it had yet to measure would be missing on both sides
                raise WorkerError(f"{' and '.join(ended)}: the suite ended after {number} rounds")
            if ended or not found:
                return
            yield found

    @contextmanager
    def _skipping(self, side: str) -> Iterator[None]:
        """Remembers why a side cannot be measured, and goes on."""
        try:
            yield
        except NotMeasured as reason:
            self._skipped[side] = str(reason)

    def _order(self, orders: Iterator[Sequence[str]]) -> list[str]:
        return [side for side in next(orders) if side not in self._skipped]

    def _orders(self) -> Iterator[Sequence[str]]:
        """Orders without end: by chance, but in every two turns each side is first once."""
        forward = list(self._sides)
        while True:
            pair = [forward, forward[::-1]]
            self._random.shuffle(pair)
            yield from pair


def samples_from_sessions(
    sessions: Sequence[Sequence[Round]], sides: Sequence[str]
) -> tuple[dict[str, dict[str, Samples]], dict[str, int]]:
    """Samples by side and measured name, without the rounds that warmed up, and how many those are.

    Of a metric that several sides have, only rounds count in which all of them have it.

    Raises:
        WorkerError: sides have a metric, but never in the same round.
    """
    values: dict[str, dict[str, Samples]] = {side: {} for side in sides}
    warm_up: dict[str, int] = {}
    for name in _names(sessions, sides):
        having = [side for side in sides if _has(sessions, side, name)]
        table = [_columns(session, having, name) for session in sessions]
        kept = [columns for columns in table if columns[0]]
        if not kept:
            raise WorkerError(f"{' and '.join(having)} never have {name} in the same round")
        cuts = [warm_up_rounds(columns) for columns in kept]
        if sum(cuts):
            warm_up[name] = sum(cuts)
        for place, side in enumerate(having):
            rows = (tuple(c[place][cut:]) for c, cut in zip(kept, cuts, strict=True))
            values[side][name] = Samples(tuple(rows))
    return values, warm_up


def _names(sessions: Sequence[Sequence[Round]], sides: Sequence[str]) -> list[str]:
    names: dict[str, None] = {}
    for session in sessions:
        for found in session:
            for side in sides:
                names.update(dict.fromkeys(found.get(side, ())))
    return list(names)


def _has(sessions: Sequence[Sequence[Round]], side: str, name: str) -> bool:
    return any(name in found.get(side, ()) for session in sessions for found in session)


def _columns(session: Sequence[Round], sides: Sequence[str], name: str) -> list[list[float]]:
    """Of each side the values of the rounds in which all sides have one."""
    rows = [found for found in session if all(name in found.get(side, ()) for side in sides)]
    return [[found[side][name] for found in rows] for side in sides]
