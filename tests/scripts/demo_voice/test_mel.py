"""Mels: bands where they belong, levels in decibels, frames centred where they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from demo_voice.copies import symbol_means
from demo_voice.corpus import corpus_from_folder, read_wave
from demo_voice.framing import framed
from demo_voice.mel import PEAK, MelRecipe, mel_filters, scaled_mels

RECIPE = MelRecipe()


def test_frames_are_centred_and_silence_lies_around() -> None:
    wave = np.arange(1, 11, dtype=np.float32)
    found = framed(wave, 1, 4, 3, 4)
    assert found.tolist() == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9], [9, 10, 0, 0]]
    assert framed(wave, 8, 1, 3, 4).tolist() == [[7, 8, 9, 10]]


def test_triangles_have_an_area_of_one_hertz_and_stand_by_the_scale_of_slaney() -> None:
    filters = mel_filters(RECIPE)
    assert filters.shape == (1025, 80)
    np.testing.assert_allclose(filters.sum(axis=0) * 16000 / 2048, 1, atol=0.08)
    peaks = filters.argmax(axis=0) * 16000 / 2048
    top = 15 + 27 * np.log(8) / np.log(6.4)  # mels of 8 kHz: 200/3 Hz each up to 1 kHz
    assert peaks[0] == pytest.approx(top / 81 * 200 / 3, abs=8)
    assert peaks[79] == pytest.approx(1000 * 6.4 ** ((top * 80 / 81 - 15) / 27), abs=8)


def test_a_tone_ten_times_as_loud_is_twenty_decibels_higher() -> None:
    t = np.arange(16000) / 16000
    loud = np.sin(2 * np.pi * 440 * t).astype(np.float32)
    mels = [scaled_mels(factor * loud, 4000, 20, RECIPE) for factor in (0.01, 0.1)]
    band = int(mels[1][0].argmax())
    edges = np.flatnonzero(mel_filters(RECIPE)[:, band]) * 16000 / 2048
    assert edges.min() < 440 < edges.max()
    np.testing.assert_allclose(mels[1][:, band] - mels[0][:, band], 0.2, atol=1e-3)


def test_levels_stay_between_nothing_and_one() -> None:
    assert not scaled_mels(np.zeros(8000, np.float32), 0, 10, RECIPE).any()
    noise = 1000 * np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    assert scaled_mels(noise, 0, 10, RECIPE).max() == 1


def test_a_frame_hears_a_click_at_its_centre_loudest() -> None:
    wave = np.zeros(8000, np.float32)
    wave[1000 + 7 * 200] = 1
    assert int(scaled_mels(wave, 1000, 20, RECIPE).sum(axis=1).argmax()) == 7


def test_the_energies_of_the_real_corpus_come_out_again(real_sentences: Path) -> None:
    with np.load(real_sentences / "durations.npz") as file:
        given, (mean, deviation) = file["energy"], file["energy_mean_std"]
        mel_mean, mel_std = file["mel_mean"], file["mel_std"]
    found, spoken = [], []
    for one in corpus_from_folder(real_sentences, "F7").sentences:
        wave = read_wave(one, RECIPE)
        mels = scaled_mels(wave * (PEAK / np.abs(wave).max()), one.start, one.frames, RECIPE)
        level = ((mels - mel_mean) / mel_std).mean(axis=1)
        found.append((symbol_means(level, one.duration) - mean) / deviation)
        spoken.append(one.duration > 0)
    error = np.abs(np.concatenate(found) - given)[np.concatenate(spoken)]
    assert error.mean() < 0.06
