"""The fundamental frequency: of tones and glides that are known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sambert_trt.calibration.pitch import f0_correlation, f0_track

Wave = NDArray[np.float32]


def voice(hertz: NDArray[np.float64], rate: int, harmonics: int = 8) -> Wave:
    """A voice-like sum of harmonics whose fundamental is `hertz` at each sample."""
    phase = 2 * np.pi * np.cumsum(hertz) / rate
    parts = [np.sin(number * phase) / number for number in range(1, harmonics + 1)]
    return (0.2 * np.sum(parts, axis=0)).astype(np.float32)


def melody(rate: int, seconds: float = 2.0, depth: float = 0.3) -> NDArray[np.float64]:
    """Hertz at each sample: up and down about 200."""
    times = np.arange(round(seconds * rate)) / rate
    return 200 * 2 ** (depth * np.sin(2 * np.pi * 1.5 * times))


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
@pytest.mark.parametrize("hertz", [65.0, 120.0, 222.2, 490.0])
def test_a_tone_is_found_within_a_percent(rate: int, hertz: float) -> None:
    found = f0_track(voice(np.full(rate, hertz), rate), rate)
    inner = found[5:-5]
    assert len(found) == 101
    assert np.abs(inner / hertz - 1).max() < 0.01


@pytest.mark.parametrize("rate", [16000, 24000])
def test_a_glide_is_followed_within_a_percent(rate: int) -> None:
    wanted = 110 * 2 ** (np.arange(2 * rate) / rate)
    found = f0_track(voice(wanted, rate), rate)
    expected = 110 * 2 ** (0.01 * np.arange(len(found)))
    assert np.abs(found / expected - 1)[5:-5].max() < 0.01


def test_silence_and_noise_have_no_pitch() -> None:
    noise = np.random.default_rng(0).normal(size=16000).astype(np.float32)
    assert not f0_track(np.zeros(16000, np.float32), 16000).any()
    assert np.count_nonzero(f0_track(noise, 16000)) <= 3


def test_a_wave_agrees_with_itself_whatever_its_level() -> None:
    wave = voice(melody(16000), 16000)
    assert f0_correlation(wave, wave, 16000) == pytest.approx(1, abs=1e-12)
    assert f0_correlation(wave, 0.1 * wave, 16000) == pytest.approx(1, abs=1e-3)


def test_a_melody_that_comes_late_agrees_less_the_later_it_comes() -> None:
    wave = voice(melody(16000), 16000)
    found = [f0_correlation(wave, np.roll(wave, 16 * late), 16000) for late in (0, 20, 60, 160)]
    values = [value for value in found if value is not None]
    assert values == sorted(values, reverse=True)
    assert len(values) == 4
    assert values[1] > 0.95
    assert values[3] < 0.2


def test_a_melody_upside_down_disagrees() -> None:
    up, down = (voice(melody(16000, depth=depth), 16000) for depth in (0.3, -0.3))
    assert f0_correlation(up, down, 16000) == pytest.approx(-1, abs=0.01)


def test_one_frame_an_octave_off_is_the_trackers_doubt() -> None:
    wanted = melody(16000)
    doubled = wanted.copy()
    doubled[16000:17600] *= 2
    found = f0_correlation(voice(wanted, 16000), voice(doubled, 16000), 16000)
    assert found is not None
    assert found > 0.98


def test_a_lost_voice_is_0_and_a_lost_melody_about_0() -> None:
    wave = voice(melody(16000), 16000)
    noise = np.random.default_rng(0).normal(size=len(wave)).astype(np.float32)
    flat = np.tile(wave[:80], len(wave) // 80)
    assert f0_correlation(wave, noise, 16000) == 0
    assert f0_correlation(wave, flat, 16000) == pytest.approx(0, abs=0.05)


def test_nothing_is_said_of_a_reference_without_a_melody() -> None:
    wave = voice(np.full(16000, 200.0), 16000)
    assert f0_correlation(wave, wave, 16000) is None
    assert f0_correlation(np.zeros_like(wave), wave, 16000) is None
    assert f0_correlation(wave[:800], wave[:800], 16000) is None
