"""The throughput suite: speakers really speak at once, and a failing one is heard of."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from regression.catalogue import catalogue_from_file
from regression.suite import Settings
from regression.suites import throughput

from sambert_trt.engines.errors import BackendError


@pytest.mark.parametrize("speakers", [1, 2, 4])
def test_speakers_speak_at_once(speakers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    together, now = threading.Barrier(speakers, timeout=10), iter([10.0, 14.0])

    def say(text: str) -> Any:  # noqa: ANN401
        together.wait()  # comes back only where all are inside
        return SimpleNamespace(seconds=3.0)

    monkeypatch.setattr(throughput.time, "perf_counter", lambda: next(now))
    voice: Any = SimpleNamespace(say=say)
    assert throughput._factor(voice, speakers) == {
        f"throughput.{speakers}.factor": speakers * 3.0 / 4.0
    }


def test_a_speaker_that_fails_ends_the_round() -> None:
    def say(text: str) -> Any:  # noqa: ANN401
        raise BackendError("no voice")

    voice: Any = SimpleNamespace(say=say)
    with pytest.raises(BackendError, match="no voice"):
        throughput._factor(voice, 4)


@pytest.mark.parametrize(("asked", "cores", "given"), [(1, 2, 2), (1, 64, 4), (8, 2, 8), (1, 1, 1)])
def test_the_voice_works_with_as_many_threads_as_a_user_has(
    asked: int, cores: int, given: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    @contextmanager
    def noted(settings: Settings) -> Iterator[None]:
        opened.append(settings.threads)
        yield

    monkeypatch.setattr(throughput.os, "cpu_count", lambda: cores)
    monkeypatch.setattr(throughput, "opened_voice", noted)
    monkeypatch.setattr(throughput, "_factor", lambda voice, count: {str(count): 1.0})
    settings = Settings(tmp_path, tmp_path, tmp_path, threads=asked)
    with closing(throughput.rounds(settings)) as rounds:  # type: ignore[type-var]
        found = list(itertools.islice(rounds, 4))
    assert opened == [given]
    assert found == [{count: 1.0} for count in ("1", "2", "4", "1")]


def test_a_real_voice_speaks(tiny_voice: Callable[[str], Path], tmp_path: Path) -> None:
    settings = Settings(tmp_path, tiny_voice("plain"), tmp_path)
    with closing(throughput.rounds(settings)) as rounds:  # type: ignore[type-var]
        found = list(itertools.islice(rounds, 3))
    catalogue = catalogue_from_file()
    assert {catalogue.metric(name).suite for values in found for name in values} == {"throughput"}
    assert all(value > 0 for values in found for value in values.values())
