"""Calls are counted wherever they are made, and the same number of them at every run."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from regression.loops import READ
from regression.suite import Settings
from regression.suites import calls


def called(times: int) -> None:
    for _ in range(times):
        len("")


@pytest.mark.parametrize("times", [0, 7])
def test_python_and_c_functions_are_counted(times: int) -> None:
    most = calls.calls_of(lambda: called(times))
    assert most - calls.calls_of(lambda: called(0)) == times


def test_calls_of_threads_count_and_waiting_for_them_does_not() -> None:
    def threaded(times: int) -> None:
        worker = threading.Thread(target=called, args=(times,))
        worker.start()
        worker.join()

    assert calls.calls_of(lambda: threaded(40)) - calls.calls_of(lambda: threaded(0)) == 40
    assert calls.calls_of(lambda: threaded(0)) < 20


def test_nothing_is_counted_afterwards() -> None:
    calls.calls_of(lambda: called(1))
    assert sys.getprofile() is None
    assert threading.getprofile() is None


def test_loops_make_the_same_calls_at_every_run(
    tiny_voice: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {"text": READ, "say": "你好。", "stream": "你好。"}
    monkeypatch.setattr(calls, "TEXTS_OF_LOOPS", texts)
    settings = Settings(tmp_path, tiny_voice("plain"), tmp_path)
    (first,), (second,) = calls.rounds(settings), calls.rounds(settings)
    assert set(first) == {"calls.text", "calls.say", "calls.stream"}
    for name, value in first.items():
        assert value == pytest.approx(second[name], rel=0.01)
    assert len(READ) == 300
    assert first["calls.text"] > 10 * len(READ)
