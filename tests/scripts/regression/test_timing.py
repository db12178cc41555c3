"""What is timed runs without the collector, and the collector works again afterwards."""

from __future__ import annotations

import gc
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from regression.suite import Settings
from regression.timing import in_turn, seconds_of, without_collector


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


def test_tasks_are_done_in_turn_after_each_was_done_once() -> None:
    done = list[tuple[str, bool]]()

    def one() -> dict[str, float]:
        done.append(("one", gc.isenabled()))
        return {"one.first": 1, "one.second": 2}

    def two() -> dict[str, float]:
        done.append(("two", gc.isenabled()))
        return {"two": 3}

    settings = Settings(Path(), Path(), Path())
    found = list(islice(in_turn([one, two], settings), 3))
    assert [tuple(values) for values in found] == [
        one_ := ("one.first", "one.second"),
        ("two",),
        one_,
    ]
    assert done[:2] == [("one", True), ("two", True)]
    assert done[2:] == [("one", False), ("two", False), ("one", False)]
    done.clear()
    wanted = replace(settings, only=("one.second", "elsewhere"))
    assert [tuple(values) for values in islice(in_turn([one, two], wanted), 4)] == [
        one_,
        (),
        one_,
        (),
    ]
    assert [name for name, _ in done] == ["one", "two", "one", "one"]
