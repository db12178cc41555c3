"""Waves reach who listens; who is missing is named."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from demo_voice.hearing import Ears, find_ears
from numpy.typing import NDArray

from sambert_trt.calibration.recogniser import Heard, Recogniser


class Echo:
    """A recogniser that writes down how long a wave is at its rate."""

    def transcribe(self, wave: NDArray[np.float32]) -> str:
        return "好" * (len(wave) // 16000)


def test_waves_come_to_the_listeners_at_16_khz() -> None:
    ears = Ears(Recogniser(Echo()), lambda wave: float(len(wave)))
    wave = np.zeros(16000, np.float32)
    found = ears.hear(wave, 8000, "好好")
    assert found is not None
    assert found.errors == 0
    assert ears.naturalness(wave, 8000) == 32000


def test_silence_of_no_length_is_all_wrong_and_not_judged() -> None:
    ears, nothing = Ears(Recogniser(Echo()), lambda wave: 3.0), np.zeros(0, np.float32)
    assert ears.hear(nothing, 16000, "好好") == Heard(2, 2, 2, "")
    assert ears.naturalness(nothing, 16000) is None


def test_nobody_listens() -> None:
    assert Ears().hear(np.zeros(9, np.float32), 16000, "好") is None
    assert Ears().naturalness(np.zeros(9, np.float32), 16000) is None


def test_a_listener_that_is_not_installed_is_named_with_its_packages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    ears = find_ears()
    assert ears.recogniser is None
    assert ears.judge is None
    assert "pip install faster-whisper" in ears.missing["recogniser"]
    assert "pip install --no-deps distillmos" in ears.missing["distillmos"]
