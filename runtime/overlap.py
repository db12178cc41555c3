"""Work side by side: text read ahead, jobs made in order, jobs run on a few threads.

Nothing here waits when a stream is left: what still runs ends by itself and is not looked at.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import suppress
from typing import Any, Generic, TypeVar

__all__ = ["ReadAhead", "overlapped"]

Item = TypeVar("Item")
Job = TypeVar("Job")
Result = TypeVar("Result")

_END = object()


class ReadAhead(Generic[Item]):
    """Reads an iterator in a thread of its own, a few items ahead, so that a source that waits
    (a pipe, a person) holds nobody up. Iterating gives each item and the seconds it took.

    After `close` the iteration ends; the thread ends when its source gives the next item.
    """

    def __init__(self, source: Iterator[Item], ahead: int = 2) -> None:
        self._source = source
        # Two places at least: closing adds the end beside an item that is on its way in.
        self._items: queue.Queue[tuple[object, float]] = queue.Queue(max(ahead, 2))
        self._closed = threading.Event()
        threading.Thread(target=self._read, name="sambert-tts-text", daemon=True).start()

    def __iter__(self) -> Iterator[tuple[Item, float]]:
        """Raises what the source raised, in its place."""
        while not self._closed.is_set():
            item, seconds = self._items.get()
            if item is _END:
                return
            if isinstance(item, _Failure):
                raise item.error
            yield item, seconds  # type: ignore[misc]

    def close(self) -> None:
        """Ends the iteration, also one that waits for an item, and the reading."""
        self._closed.set()
        with suppress(queue.Empty):
            while True:
                self._items.get_nowait()
        self._items.put((_END, 0.0))

    def _read(self) -> None:
        while not self._closed.is_set():
            start = time.perf_counter()
            try:
                item: object = next(self._source, _END)
            except BaseException as error:
                item = _Failure(error)
            self._items.put((item, time.perf_counter() - start))
            if item is _END or isinstance(item, _Failure):
                return


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


def overlapped(
    jobs: Iterator[Job], run: Callable[[Job], Result], pool: Executor, ahead: int
) -> Generator[Result, None, None]:
    """Yields `run(job)` in the jobs' order while later jobs are made and run on the pool.

    At most `ahead` results wait unasked for, so a slow consumer costs no memory. An error of making
    or running a job is raised where its result would come.
    """
    pending: deque[Future[Result]] = deque()
    maker: Future[Job | object] | None = pool.submit(next, jobs, _END)
    more = True
    try:
        while maker is not None or pending:
            wait(_awaited(maker, pending), None, FIRST_COMPLETED)
            if pending and pending[0].done():
                yield pending.popleft().result()
            if maker is not None and maker.done():
                if maker.exception() is not None and pending:
                    yield pending.popleft().result()
                    continue
                job = maker.result()
                maker, more = None, job is not _END
                if more:
                    pending.append(pool.submit(run, job))  # type: ignore[arg-type]
            if maker is None and more and len(pending) < ahead:
                maker = pool.submit(next, jobs, _END)
    finally:
        for future in pending:
            future.cancel()
        if maker is not None:
            maker.cancel()


def _awaited(maker: Future[Any] | None, pending: deque[Future[Result]]) -> list[Future[Any]]:
    return [*([maker] if maker else []), *([pending[0]] if pending else [])]
