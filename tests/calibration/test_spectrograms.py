"""Pictures of examples: what they show, and what they are called."""

from __future__ import annotations

import io
from dataclasses import replace

import fake_report
import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="pictures are drawn with matplotlib")

from PIL import Image

from sambert_trt.calibration import spectrograms
from sambert_trt.calibration.canvas import LIGHT, compacted
from sambert_trt.calibration.report import Example
from sambert_trt.calibration.spectrograms import drawn_spectrograms, power_spectrogram
from sambert_trt.engines.graphs import Placement

CPU = (Placement.CPU,)


@pytest.fixture(scope="module")
def drawn() -> dict[str, bytes]:
    """The pictures of a report."""
    return drawn_spectrograms(fake_report.report(CPU), LIGHT)


def picture(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_examples_have_spectrograms(drawn: dict[str, bytes]) -> None:
    assert set(drawn) == {"spectrogram-2-cpu.png", "spectrogram-4-cpu.png"}
    assert {picture(content).size for content in drawn.values()} == {(1100, 902)}


def test_renderings_of_other_lengths_are_drawn() -> None:
    made = fake_report.rendering()
    longer = np.concatenate([made.candidate, np.full(400, np.nan, np.float32)])
    assert spectrograms._shift(made) == ""
    assert spectrograms._shift(replace(made, candidate=longer)) == " (it lasts 0.025 s longer)"
    assert spectrograms._shift(replace(made, candidate=longer[:4000])) == " (it lasts 0.250 s less)"
    example = Example(Placement.CPU, 1, "", "typical", replace(made, candidate=longer))
    report = replace(fake_report.report(CPU), examples=(example,))
    assert set(drawn_spectrograms(report, LIGHT)) == {"spectrogram-1-cpu.png"}


def test_a_sentence_is_named_only_where_a_font_has_its_characters() -> None:
    example = Example(Placement.CPU, 3, "plain\x00 words", "typical")
    text, font = spectrograms._title(example)
    assert text == "Sentence 3: plain words"
    assert font is not None
    assert spectrograms._title(replace(example, text="\U000f0000"))[0] == "Sentence 3"
    assert spectrograms._title(replace(example, text="a" * 99))[0] == f"Sentence 3: {'a' * 39}…"


def test_a_spectrogram_has_seconds_hertz_and_decibels() -> None:
    rate, hertz = 16000, 2000
    wave = np.sin(2 * np.pi * hertz * np.arange(rate) / rate).astype(np.float32)
    found = power_spectrogram(wave)
    assert found.shape[0] == 513
    assert abs(found.shape[1] - rate / 256) <= 2
    middle = found[:, found.shape[1] // 2]
    assert int(middle.argmax()) == hertz * 1024 // rate
    assert middle.max() == pytest.approx(0, abs=0.1)
    assert power_spectrogram(np.zeros(5, np.float32)).max() == -80
    assert np.isfinite(power_spectrogram(np.full(5, np.nan, np.float32))).all()


def test_compacted_pictures_are_the_same_and_smaller(drawn: dict[str, bytes]) -> None:
    png = drawn["spectrogram-4-cpu.png"]
    webp = compacted(png)
    assert len(webp) < len(png)
    before, after = (np.asarray(picture(c).convert("RGB"), np.float32) for c in (png, webp))
    assert np.abs(before - after).mean() < 8
