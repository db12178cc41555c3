"""Two kinds of work on a few threads: making jobs, in order, and running them, side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from typing import Any, TypeVar

__all__ = ["overlapped"]

Job = TypeVar("Job")
Result = TypeVar("Result")


def overlapped(
    jobs: Iterator[Job], run: Callable[[Job], Result], pool: Executor, ahead: int
) -> Generator[Result, None, None]:
    """Yields `run(job)` in the jobs' order while later jobs are made and run on the pool.

    At most `ahead` results wait unasked for, so a slow consumer costs no memory. An error of making
    or running a job is raised where its result would come; leaving early waits for what runs.
    """
    finished = object()
    pending: deque[Future[Result]] = deque()
    maker: Future[Job | object] | None = pool.submit(next, jobs, finished)
    more = True
    try:
        while maker is not None or pending:
            wait(_awaited(maker, pending), None, FIRST_COMPLETED)
            if pending and pending[0].done():
                yield pending.popleft().result()
            if maker is not None and maker.done():
                failed = maker.exception() is not None
                if failed and pending:
                    yield pending.popleft().result()
                    continue
                job = maker.result()
                maker, more = None, job is not finished
                if more:
                    pending.append(pool.submit(run, job))  # type: ignore[arg-type]
            if maker is None and more and len(pending) < ahead:
                maker = pool.submit(next, jobs, finished)
    finally:
        left: list[Future[Any]] = [*pending, *([maker] if maker else [])]
        for future in left:
            future.cancel()
        wait(left)


def _awaited(maker: Future[Any] | None, pending: deque[Future[Result]]) -> list[Future[Any]]:
    return [*([maker] if maker else []), *([pending[0]] if pending else [])]
