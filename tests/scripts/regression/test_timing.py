"""What is timed runs without the collector, and the collector works again afterwards."""

from __future__ import annotations

import gc

import pytest
from regression.timing import seconds_of, without_collector


def test_the_clock_is_read_around_the_work_and_nothing_collects_in_it() -> None:
    now, collecting = 5.0, list[bool]()

    def work() -> None:
        nonlocal now
        now += 2.5
        collecting.append(gc.isenabled())

    assert seconds_of(work, lambda: now) == 2.5
    assert collecting == [False]
    assert gc.isenabled()


def test_the_collector_is_back_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), without_collector():
        print(1 // 0)
    assert gc.isenabled()
