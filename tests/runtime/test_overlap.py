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

from sambert_trt.runtime.overlap import ReadAhead, overlapped


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
        with closing(results):
            for taken in range(1, 6):
                next(results)
                time.sleep(0.01)
                assert len(made) <= taken + ahead + 1


def test_leaving_early_begins_nothing_more_and_leaves_no_thread() -> None:
    before = threading.active_count()
    begun: list[int] = []

    def run(job: int) -> int:
        begun.append(job)
        time.sleep(0.01)
        return job

    with ThreadPoolExecutor(3) as pool:
        with closing(overlapped(iter(range(100)), run, pool, 8)) as results:
            next(results)
        already = len(begun)
    assert len(begun) <= already + 3
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


def readers() -> int:
    return sum(thread.name == "sambert-tts-text" for thread in threading.enumerate())


def none_left() -> bool:
    """Whether every reading thread ends within some seconds."""
    deadline = time.monotonic() + 10
    while readers() and time.monotonic() < deadline:
        time.sleep(0.01)
    return not readers()


@pytest.mark.parametrize("ahead", [1, 2, 5])
def test_reading_ahead_keeps_order_and_bounds(ahead: int) -> None:
    taken: list[int] = []

    def source() -> Iterator[int]:
        for item in range(50):
            taken.append(item)
            yield item

    with closing(ReadAhead(source(), ahead)) as reader:
        for index, (item, seconds) in enumerate(reader):
            assert item == index
            assert seconds >= 0
            assert len(taken) <= index + ahead + 2
    assert taken == list(range(50))
    assert none_left()


def test_an_error_of_the_source_comes_in_its_place() -> None:
    def source() -> Iterator[int]:
        yield 1
        yield 2
        raise LookupError("no third")

    found: list[int] = []
    with closing(ReadAhead(source())) as reader, pytest.raises(LookupError, match="no third"):
        found.extend(item for item, _ in reader)
    assert found == [1, 2]
    assert none_left()


def test_closing_ends_an_iteration_that_waits() -> None:
    waiting, go = threading.Event(), threading.Event()

    def source() -> Iterator[int]:
        waiting.set()
        go.wait(10)
        yield 1

    reader = ReadAhead(source())
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(list, reader)
        assert waiting.wait(10)
        reader.close()
        assert found.result(10) == []
    go.set()
    assert none_left()


@pytest.mark.parametrize("ahead", [1, 2])
@pytest.mark.parametrize("read", [0, 1, 3])
def test_closing_early_ends_the_reading(ahead: int, read: int) -> None:
    reader = ReadAhead(iter(range(1000)), ahead)
    items = iter(reader)
    assert [next(items)[0] for _ in range(read)] == list(range(read))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(reader.close).result(10)
    assert none_left()
