"""What is read, said and heard, held against tables, the torch reference, and a recogniser."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from regression.record import NotMeasured
from regression.suite import Settings
from regression.suites import quality, reading, syllables

from sambert_trt.calibration import recogniser
from sambert_trt.engines.errors import InputError
from sambert_trt.runtime.text import normalize


def test_the_share_of_cases_read_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "table.tsv"
    table.write_text('class\twritten\tspoken\na\tx\tx\na\ty\ty\nb\tz\tZ\nb\t"\t"\n', "utf-8")
    monkeypatch.setattr(reading, "NORMALISATION", table)
    monkeypatch.setattr(normalize, "normalize_text", str)
    settings = Settings(tmp_path, tmp_path, tmp_path)
    assert list(reading.rounds(settings)) == [{"quality.text.accuracy": 0.75}]
    table.unlink()
    with pytest.raises(NotMeasured, match=r"no .*table\.tsv"):
        next(iter(reading.rounds(settings)))


_LOADED = quality._reference


@lru_cache
def loaded_once(source: Path) -> Any:  # noqa: ANN401
    """The torch reference, for all tests."""
    return _LOADED(Settings(source, source, source, source=source))


@pytest.fixture
def settings(
    tiny_voice: Callable[[str], Path],
    tiny_source: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Settings:
    """A tiny voice with its checkpoint, and one sentence."""
    monkeypatch.setattr(quality, "CLAUSES", quality.CLAUSES[:1])
    monkeypatch.setattr(quality, "_reference", lambda settings: loaded_once(settings.source))
    return Settings(tmp_path, tiny_voice("plain"), tmp_path, source=tiny_source("plain"))


def test_a_sound_voice_is_as_good_as_its_reference(settings: Settings) -> None:
    (found,) = quality.rounds(settings)
    assert 0 < found["quality.speech.mel.error"] < 1e-4
    assert 0 <= found["quality.speech.distance"] < 0.01
    assert found["quality.speech.seconds"] > 0.1


def test_worse_speech_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from sambert_trt.export.reference import Reference

    steps = Reference.steps

    def louder(self: Reference, ids: Any, *, noise: Any = None) -> Any:  # noqa: ANN401
        for name, array in steps(self, ids, noise=noise):
            if name == "mel_final":
                yield name, array + 0.25
            elif name == "wav":
                yield name, np.repeat(array, 2)
            else:
                yield name, array

    (sound,) = quality.rounds(settings)
    monkeypatch.setattr(Reference, "steps", louder)
    (worse,) = quality.rounds(settings)
    assert worse["quality.speech.mel.error"] == pytest.approx(0.25, rel=1e-3)
    assert worse["quality.speech.distance"] > sound["quality.speech.distance"] + 1


def test_what_is_no_number_is_no_quality(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sambert_trt.export.reference import Reference

    broken = {"mel_final": np.full((3, 80), np.nan, np.float32), "wav": np.zeros(9, np.float32)}
    monkeypatch.setattr(Reference, "steps", lambda self, ids: broken.items())
    with pytest.raises(InputError, match="values that are no numbers"):
        next(iter(quality.rounds(settings)))


def test_without_a_checkpoint_nothing_is_compared(tmp_path: Path) -> None:
    with pytest.raises(NotMeasured, match="--source"):
        next(iter(quality.rounds(Settings(tmp_path, tmp_path, tmp_path))))


def test_a_length_that_differs_counts_as_wrong() -> None:
    short, long = quality._padded(np.ones((2, 3)), np.ones((4, 3)))
    assert short.shape == long.shape == (4, 3)
    assert np.abs(short - long).mean() == 0.5


def test_syllables_are_counted_over_all_sentences(
    tiny_voice: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syllables, "_SENTENCES", 2)
    settings = Settings(tmp_path, tiny_voice("plain"), tmp_path)
    heard: list[str] = []

    class Deaf:
        def transcribe(self, wave: Any) -> str:  # noqa: ANN401
            heard.append("x")
            return ""

    monkeypatch.setattr(
        recogniser, "find_recogniser", lambda threads: recogniser.Recogniser(Deaf())
    )
    assert list(syllables.rounds(settings)) == [{"quality.speech.syllables": 1.0}]
    assert len(heard) == 2
    monkeypatch.setattr(recogniser, "find_recogniser", lambda threads: None)
    with pytest.raises(NotMeasured, match="no recogniser"):
        next(iter(syllables.rounds(settings)))
