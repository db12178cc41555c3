"""The speech suite: its arithmetic on a voice whose clock is known, and its turns on a real one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from regression.catalogue import Gate, catalogue_from_file
from regression.suite import Settings
from regression.suites import speech


@dataclass
class FakeVoice:
    """Gives chunks of one second each after these waits; the clock moves with them."""

    waits: tuple[float, ...]
    now: float = 0.0
    styles: list[Any] = field(default_factory=list)

    def stream(self, text: str, style: object = None) -> Iterator[Any]:
        self.styles.append(style)
        for wait in self.waits:
            self.now += wait
            yield SimpleNamespace(samples=np.zeros(800), sample_rate=800)

    def say(self, text: str) -> Any:  # noqa: ANN401
        self.now += sum(self.waits)
        return SimpleNamespace(seconds=float(len(self.waits)))

    def sentences(self, text: str) -> Iterator[str]:
        for character in text:
            self.now += 0.5
            yield character


@pytest.fixture
def voice(monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401
    """A voice whose wall passes twice as fast as its work."""
    found = FakeVoice((1.0, 3.0, 2.0))
    monkeypatch.setattr(speech.time, "perf_counter", lambda: 2 * found.now)
    return found


def test_first_audio_is_told_apart_from_the_whole(voice: Any) -> None:  # noqa: ANN401
    told = {
        "speech.first.seconds": 1.0,
        "speech.first.wall.seconds": 2.0,
        "speech.short.factor": 2.0,
    }
    assert speech._short(voice, lambda: voice.now, None) == told
    both = {**told, "speech.style.seconds": 0.0}
    assert speech._short(voice, lambda: voice.now, "emotion_sad") == both
    assert [getattr(style, "emotion", None) for style in voice.styles[1:]] == [None, "emotion_sad"]


def test_the_longest_gap_is_waited_for(voice: Any) -> None:  # noqa: ANN401
    found = speech._medium(voice, lambda: voice.now)
    assert found == {
        "speech.gap.seconds": 6.0,
        "speech.medium.factor": 2.0,
        "speech.medium.wall.factor": 4.0,
    }
    assert speech._long(voice, lambda: voice.now) == {"speech.long.factor": 2.0}


def test_waits_of_a_listener_turn_red() -> None:
    for name in ("speech.gap.seconds", "speech.medium.wall.factor"):
        metric = catalogue_from_file().metric(name)
        assert (metric.gate, metric.tolerance) == (Gate.PAIRED, 0.25)


def test_characters_are_counted_by_the_second(voice: Any) -> None:  # noqa: ANN401
    assert speech._read(voice, lambda: voice.now) == {"text.rate": 2.0}
    assert len(speech._text()) == 3000


@pytest.mark.parametrize(
    ("emotions", "other"),
    [
        (("emotion_calm", "_", "emotion_sad", "emotion_calm"), "emotion_sad"),
        (("emotion_calm", "_", "~", "[MASK]"), None),
        (("",), None),
    ],
)
def test_a_voice_without_another_emotion_has_none(
    emotions: tuple[str, ...], other: str | None
) -> None:
    manifest = SimpleNamespace(emotions=emotions, default_emotion="emotion_calm")
    voice: Any = SimpleNamespace(manifest=manifest)
    assert speech._other_emotion(voice) == other


@pytest.mark.parametrize("full", [False, True])
def test_each_round_is_one_task_in_turn(
    full: bool,
    tiny_voice: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(speech, "LONG", speech.SHORT)
    settings, tasks = Settings(tmp_path, tiny_voice("plain"), tmp_path, full=full), 3 + full
    with closing(speech.rounds(settings)) as rounds:  # type: ignore[type-var]
        found = list(itertools.islice(rounds, 2 * tasks))
    names = [set(values) for values in found[:tasks]]
    assert names == [set(values) for values in found[tasks:]]
    assert set().union(*names) == {
        *("speech.first.seconds", "speech.first.wall.seconds", "speech.gap.seconds"),
        "speech.medium.wall.factor",
        *(f"speech.{length}.factor" for length in ("short", "medium", "long")[: 2 + full]),
        *("speech.style.seconds", "text.rate"),
    }
    catalogue = catalogue_from_file()
    assert {catalogue.metric(name).suite for name in set().union(*names)} == {"speech"}
    assert all(
        value > 0
        for values in found
        for name, value in values.items()
        if name != "speech.style.seconds"
    )
