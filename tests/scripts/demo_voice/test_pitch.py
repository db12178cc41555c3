"""Pitch: of tones that are known, and where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from demo_voice.copies import symbol_means
from demo_voice.corpus import corpus_from_folder, read_wave
from demo_voice.mel import MelRecipe
from demo_voice.pitch import PitchSearch, contour_from_wave
from numpy.typing import NDArray

RATE, HOP = 16000, 200


def voice(hertz: NDArray[np.float64]) -> NDArray[np.float32]:
    """Harmonics of a pitch that is given for every sample; the first is not the loudest."""
    phase = 2 * np.pi * np.cumsum(hertz) / RATE
    levels = (0.4, 1.0, 0.7, 0.5, 0.3, 0.2)
    waves = [level * np.sin(k * phase) for k, level in enumerate(levels, start=1)]
    return np.sum(waves, axis=0).astype(np.float32) / 4


@pytest.mark.parametrize("hertz", [90.0, 147.3, 220.0, 381.0])
def test_a_steady_voice_has_its_pitch(hertz: float) -> None:
    found = contour_from_wave(voice(np.full(RATE, hertz)), 2000, 50, HOP, RATE)
    assert found.voiced.all()
    np.testing.assert_allclose(found.f0, hertz, rtol=0.005)
    assert (found.f0.dtype, found.voiced.dtype) == (np.float32, np.bool_)


def test_a_gliding_voice_is_followed_to_the_frame() -> None:
    hertz = np.linspace(150, 300, RATE)
    found = contour_from_wave(voice(hertz), 2000, 50, HOP, RATE)
    np.testing.assert_allclose(found.f0, hertz[2000 : 2000 + 50 * HOP : HOP], rtol=0.01)


def test_through_what_is_not_voiced_the_pitch_is_a_straight_line() -> None:
    wave = voice(np.where(np.arange(RATE) < RATE // 2, 160.0, 240.0))
    wave[6000:10000] = 0.02 * np.random.default_rng(0).standard_normal(4000)
    found = contour_from_wave(wave, 0, 80, HOP, RATE)
    assert found.voiced[:28].all()
    assert not found.voiced[33:47].any()
    assert found.voiced[52:].all()
    gap = np.flatnonzero(~found.voiced)
    steps = np.diff(found.f0[gap[0] - 1 : gap[-1] + 2])
    np.testing.assert_allclose(steps, steps.mean(), rtol=1e-3)
    assert (found.f0[gap[0] - 1], found.f0[gap[-1] + 1]) == pytest.approx((160, 240), rel=0.02)


@pytest.mark.parametrize("level", [0.0, 0.3])
def test_silence_and_hiss_have_no_pitch(level: float) -> None:
    noise = level * np.random.default_rng(1).standard_normal(RATE)
    found = contour_from_wave(noise.astype(np.float32), 0, 80, HOP, RATE)
    assert found.voiced.mean() < 0.1
    assert np.isfinite(found.f0).all()


def test_a_search_moves_with_the_speech() -> None:
    moved = PitchSearch(lowest=80, highest=400, band=800, window=0.03).shifted(2)
    assert (moved.lowest, moved.highest, moved.band, moved.window) == (160, 800, 1600, 0.015)


def test_it_agrees_with_the_pitch_that_the_real_corpus_gives(real_sentences: Path) -> None:
    with np.load(real_sentences / "durations.npz") as file:
        (mean, deviation), given = file["f0_mean_std"], file["pitch"].astype(np.float64)
    found, spoken = [], []
    for one in corpus_from_folder(real_sentences, "F7").sentences:
        contour = contour_from_wave(read_wave(one, MelRecipe()), one.start, one.frames, HOP, RATE)
        found.append(symbol_means(contour.f0, one.duration))
        spoken.append(one.duration > 0)
    heard = np.concatenate(spoken)
    ours, theirs = np.concatenate(found)[heard], (given * deviation + mean)[heard]
    assert np.median(np.abs(ours - theirs)) < 1.5
    assert np.corrcoef(ours, theirs)[0, 1] > 0.8
