"""What suites open, and what they say."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from regression import plant
from regression.opening import identity_from_settings, opened_backend, opened_voice
from regression.suite import Settings
from regression.text import LONG, MEDIUM, SHORT

from sambert_trt.engines.errors import InputError, VoiceError


@pytest.fixture
def settings(tiny_voice: Callable[[str], Path], tmp_path: Path) -> Settings:
    return Settings(tmp_path, tiny_voice("plain"), tmp_path)


def test_a_voice_speaks_and_is_closed(settings: Settings) -> None:
    with opened_voice(settings) as voice:
        assert voice.say(SHORT).seconds > 0
    with pytest.raises(VoiceError, match="closed"):
        voice.say(SHORT)


def test_planted_faults_come_in_and_change_no_sound(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plant, "_KEPT", [])
    with opened_voice(settings) as voice:
        clean = voice.say(SHORT).samples
    faulty = replace(settings, plant="leak:100kB,slow:decoder_step:0.5,slow:vocoder:0.5")
    with opened_voice(faulty) as voice:
        np.testing.assert_array_equal(voice.say(SHORT).samples, clean)
    assert sum(array.nbytes for array in plant._KEPT) == 100_000 // plant.SPREAD


def test_a_backend_may_be_wrapped(settings: Settings) -> None:
    with opened_backend(settings) as backend, opened_voice(settings, backend) as voice:
        assert voice.memory_report() == backend.memory_report()


def test_errors_name_what_is_wrong(settings: Settings) -> None:
    with (
        pytest.raises(InputError, match="steam"),
        opened_backend(replace(settings, backend="steam")),
    ):
        pass
    with (
        pytest.raises(InputError, match="cannot plant 'x'"),
        opened_voice(replace(settings, plant="x")),
    ):
        pass


def test_identity_follows_voice_precision_and_threads(
    settings: Settings, tiny_voice: Callable[[str], Path]
) -> None:
    found = identity_from_settings(settings)
    assert found == identity_from_settings(settings)
    other = identity_from_settings(replace(settings, voice=tiny_voice("nsf")))
    assert other.weights != found.weights
    assert identity_from_settings(replace(settings, precision="fp16")).precision == "fp16"
    assert identity_from_settings(replace(settings, threads=2)) == replace(found, threads=2)


def test_texts_have_their_lengths() -> None:
    sizes = [len(re.sub(r"[，。]", "", text)) for text in (SHORT, MEDIUM, LONG)]
    assert sizes[0] == 20
    assert 45 <= sizes[1] <= 65
    assert sizes[2] >= 2.5 * sizes[1]
    assert LONG.startswith(MEDIUM)
