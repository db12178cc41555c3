"""What suites open, and what they say."""

from __future__ import annotations

import re
import shutil
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
from sambert_trt.engines.graphs import Precision, Stage
from sambert_trt.engines.voice import manifest_from_directory


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
    assert identity_from_settings(replace(settings, precision="fp32")) == found
    assert identity_from_settings(replace(settings, threads=2)) == replace(found, threads=2)


def test_a_precision_that_the_voice_lacks_is_told_with_those_it_has(
    settings: Settings, tmp_path: Path
) -> None:
    manifest = manifest_from_directory(settings.voice)
    voice = tmp_path / "voice"
    shutil.copytree(settings.voice, voice)
    half = replace(manifest, variants={Precision.FP16: manifest.stages})
    (voice / "voice.json").write_text(half.as_json(), encoding="utf-8")
    of_copy = replace(settings, voice=voice, precision="fp16")
    assert identity_from_settings(of_copy).precision == "fp16"
    with pytest.raises(InputError, match=r"no graphs in int8 for cpu: .* one of fp32, fp16, or"):
        identity_from_settings(replace(of_copy, precision="int8"))


def test_a_graph_that_is_not_the_manifests_is_named(settings: Settings, tmp_path: Path) -> None:
    voice = tmp_path / "voice"
    shutil.copytree(settings.voice, voice)
    path = voice / manifest_from_directory(voice).stages[Stage.VOCODER].file.path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(VoiceError, match=rf"{path.name} has sha256 .*changed or swapped"):
        identity_from_settings(replace(settings, voice=voice))


def test_texts_have_their_lengths() -> None:
    sizes = [len(re.sub(r"[，。]", "", text)) for text in (SHORT, MEDIUM, LONG)]
    assert sizes[0] == 20
    assert 45 <= sizes[1] <= 65
    assert sizes[2] >= 2.5 * sizes[1]
    assert LONG.startswith(MEDIUM)
