"""How a voice sounds: pitch and emotions, measured on waves that are known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from regression.catalogue import catalogue_from_file
from regression.opening import identity_from_settings
from regression.record import NotMeasured
from regression.suite import Settings
from regression.suites import manner

RATE = 16000


class Humming:
    """A voice that hums: 200 Hz for half a second, happy a third higher and a quarter faster."""

    def __init__(self, emotions: tuple[str, ...], loudness: float) -> None:
        self.manifest = SimpleNamespace(trained_emotions=emotions, emotions=())
        self._loudness = loudness
        self.styles: list[Any] = []

    def say(self, text: str, *, style: Any, seed: int) -> Any:  # noqa: ANN401
        self.styles.append((style.emotion, seed))
        pitch, seconds = (200.0 * 2 ** (4 / 12), 0.4) if style.emotion else (200.0, 0.5)
        time = np.arange(round(seconds * RATE)) / RATE
        wave = sum(np.sin(2 * math.pi * k * pitch * time) / k for k in (1, 2, 3))
        samples = (self._loudness * np.asarray(wave)).astype(np.float32)
        return SimpleNamespace(samples=samples, sample_rate=RATE, seconds=seconds)


def measured(
    monkeypatch: pytest.MonkeyPatch, *emotions: str, loudness: float = 0.1
) -> tuple[dict[str, float], Humming]:
    """What the suite finds of a humming voice."""
    voice = Humming(emotions, loudness)

    @contextmanager
    def opened(settings: Settings) -> Iterator[Humming]:
        yield voice

    monkeypatch.setattr(manner, "opened_voice", opened)
    here = Path()
    (found,) = manner.rounds(Settings(here, here, here))
    return dict(found), voice


def test_pitch_and_rate_are_those_of_the_waves(monkeypatch: pytest.MonkeyPatch) -> None:
    found, voice = measured(monkeypatch, "emotion_neutral", "emotion_happy")
    assert found == pytest.approx(
        {
            "quality.speech.pitch": 200,
            "quality.emotion.happy.pitch": 4,
            "quality.emotion.happy.rate": 1.25,
        },
        rel=0.01,
    )
    assert voice.styles == [(None, 0)] * 5 + [("happy", 0)] * 5
    catalogue = catalogue_from_file()
    assert {catalogue.metric(name).suite for name in found} == {"manner"}
    assert catalogue.lacking("manner", ["quality.speech.pitch"]) == []


def test_the_demo_voice_lies_in_its_bands(demo_voice: Path, root: Path) -> None:
    """A new voice needs new bands: those of the old one would hold nobody any more."""
    settings = Settings(root, demo_voice, root)
    weights, catalogue = identity_from_settings(settings).weights, catalogue_from_file()
    assert {weights[: len(band.weights)] for band in catalogue.bands} == {
        band.weights for band in catalogue.bands
    }
    (found,) = manner.rounds(settings)
    held = {name: catalogue.band(name, weights) for name in found}
    assert len(held) == 5
    assert [n for n, band in held.items() if band is None or not band.holds(found[n])] == []


def test_emotions_that_were_not_learned_are_not_spoken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(measured(monkeypatch, "emotion_neutral")[0]) == {"quality.speech.pitch"}


def test_a_voice_without_pitch_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotMeasured, match=r"0 of \d+ frames have a pitch"):
        measured(monkeypatch, loudness=0.0)


def test_the_same_at_every_run(tiny_voice: Callable[[str], Path], root: Path) -> None:
    settings = Settings(root, tiny_voice("nsf"), root)
    try:
        first, second = (next(manner.rounds(settings)) for _ in range(2))
    except NotMeasured:
        pytest.skip("the random weights of this voice have no pitch")
    assert first == second
