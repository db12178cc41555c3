"""Order, errors where they belong, a bounded look-ahead, and nothing left running."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sambert_trt.runtime.overlap import overlapped


@given(
    count=st.integers(0, 30),
    threads=st.integers(1, 4),
    ahead=st.integers(1, 6),
    slow=st.sets(st.integers(0, 29), max_size=3),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_results_come_in_order(count: int, threads: int, ahead: int, slow: set[int]) -> None:
    def run(job: int) -> int:
        if job in slow:
            time.sleep(0.002)
        return job * job

    with ThreadPoolExecutor(threads) as pool:
        found = list(overlapped(iter(range(count)), run, pool, ahead))
    assert found == [job * job for job in range(count)]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("at", [0, 1, 7])
def test_an_error_of_a_job_comes_where_its_result_would(threads: int, at: int) -> None:
    def run(job: int) -> int:
        if job == at:
            raise ValueError(job)
        return job

    found: list[int] = []
    with ThreadPoolExecutor(threads) as pool, pytest.raises(ValueError, match=str(at)):
        found.extend(overlapped(iter(range(20)), run, pool, 4))
    assert found == list(range(at))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("at", [0, 1, 7])
def test_an_error_of_making_jobs_comes_after_what_was_made(threads: int, at: int) -> None:
    def jobs() -> Iterator[int]:
        yield from range(at)
        raise LookupError(at)

    found: list[int] = []
    with ThreadPoolExecutor(threads) as pool, pytest.raises(LookupError):
        found.extend(overlapped(jobs(), lambda job: job, pool, 4))
    assert found == list(range(at))


@pytest.mark.parametrize("ahead", [1, 3])
def test_a_slow_consumer_stops_the_makers(ahead: int) -> None:
    made: list[int] = []

    def jobs() -> Iterator[int]:
        for job in range(1000):
            made.append(job)
            yield job

    with ThreadPoolExecutor(2) as pool:
        results = overlapped(jobs(), lambda job: job, pool, ahead)
        with closing(results):  # type: ignore[type-var]
            for taken in range(1, 6):
                next(results)
                time.sleep(0.01)
                assert len(made) <= taken + ahead + 1


def test_leaving_early_waits_for_what_runs_and_leaves_no_thread() -> None:
    running = threading.Semaphore(0)
    before = threading.active_count()

    def run(job: int) -> int:
        running.release()
        time.sleep(0.01)
        return job

    done: list[int] = []
    with ThreadPoolExecutor(3) as pool:
        results = overlapped(iter(range(100)), lambda job: done.append(run(job)), pool, 8)
        with closing(results):  # type: ignore[type-var]
            next(results)
        finished = len(done)
        time.sleep(0.03)
        assert len(done) == finished
    assert threading.active_count() == before


def test_jobs_are_made_while_others_run() -> None:
    """A job may wait for the next one to be made: neither side blocks the other."""
    made = [threading.Event() for _ in range(4)]

    def jobs() -> Iterator[int]:
        for job, event in enumerate(made):
            event.set()
            yield job

    def run(job: int) -> bool:
        return job == 3 or made[job + 1].wait(10)

    with ThreadPoolExecutor(2) as pool:
        assert list(overlapped(jobs(), run, pool, 3)) == [True] * 4
