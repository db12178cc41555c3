"""Figures of waves: closed forms, order under growing noise, and what makes a wave unusable."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sambert_trt.calibration import perception
from sambert_trt.calibration.figures import Figures
from sambert_trt.calibration.pooling import BETTER_HIGH
from sambert_trt.calibration.spectra import cepstra, mel_bands, power_spectra
from sambert_trt.calibration.wave_figures import SNR_BEST, stft_loss, wave_figures
from sambert_trt.engines.errors import GraphError
from sambert_trt.runtime.voice import Voice

Wave = NDArray[np.float32]
RATE = 16000
MEASURED = ("mcd", "lsd", "lsd_p99", "stft", "snr", "pesq", "stoi")


def speechlike(rate: int = RATE, seconds: float = 2.0) -> Wave:
    """Syllables: harmonics of a moving pitch under a moving formant, with pauses and some hiss."""
    times = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(180 + 40 * np.sin(2 * np.pi * 1.3 * times)) / rate
    formant = 700 + 500 * np.sin(2 * np.pi * 2.1 * times)
    wave = np.zeros_like(times)
    for number in range(1, 20):
        loudness = 1 / (1 + ((number * 180 - formant) / 300) ** 2) + 0.02
        wave += loudness * np.sin(number * phase)
    wave *= np.clip(np.sin(2 * np.pi * 2 * times), 0, None)
    hiss = np.random.default_rng(7).normal(size=len(times))
    return (0.08 * wave + 2e-4 * hiss).astype(np.float32)


def noise(count: int, seed: int = 0) -> Wave:
    """White, of power 1."""
    return np.random.default_rng(seed).normal(size=count).astype(np.float32)


@pytest.fixture(scope="module")
def demo_speech(demo_voice: Path, opened: Callable[[Path], Voice]) -> tuple[Wave, int]:
    """A sentence of the demo voice, and its rate."""
    audio = opened(demo_voice).say("今天天气真好，我们去公园走走吧。")
    return audio.samples, audio.sample_rate


def test_a_wave_against_itself_is_perfect() -> None:
    wave = speechlike()
    found = wave_figures(wave, wave, RATE)
    assert (found.mcd, found.lsd, found.lsd_p99, found.stft) == (0, 0, 0, 0)
    assert found.snr == SNR_BEST
    assert found.f0_correlation == pytest.approx(1, abs=1e-9)
    assert found.broken == ""


def test_perception_of_identity() -> None:
    pytest.importorskip("pesq", reason="PESQ comes from the package pesq")
    pytest.importorskip("pystoi", reason="STOI comes from the package pystoi")
    wave = speechlike()
    found = wave_figures(wave, wave, RATE)
    assert found.pesq == pytest.approx(4.64, abs=0.01)  # the most that P.862.2 gives
    assert found.stoi == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("rate", [8000, 16000, 24000])
def test_every_figure_worsens_with_noise(rate: int) -> None:
    wave = speechlike(rate)
    hiss = noise(len(wave), 3) * np.std(wave)
    ladder = [wave_figures(wave, wave + hiss * 10 ** (-down / 20), rate) for down in (60, 40, 20)]
    for name in MEASURED:
        values = [getattr(figures, name) for figures in ladder]
        if None in values:
            assert name in ("pesq", "stoi")
            assert perception._optional({"pesq": "pesq", "stoi": "pystoi"}[name]) is None
            continue
        sign = -1 if name in BETTER_HIGH else 1
        assert sorted(values, key=lambda value: sign * value) == values, name
        assert len(set(values)) == 3, name


@pytest.mark.parametrize("decibels", [-3.0, 1.0])
def test_a_gain_is_its_own_log_spectral_distance(decibels: float) -> None:
    wave = 0.1 * noise(2 * RATE)
    found = wave_figures(wave, wave * np.float32(10 ** (decibels / 20)), RATE)
    assert found.lsd == pytest.approx(abs(decibels), rel=0.01)
    assert found.mcd == pytest.approx(0, abs=1e-3)


def test_snr_is_that_of_the_noise_added() -> None:
    wave = speechlike()
    added = noise(len(wave), 5)
    added *= np.sqrt(np.square(wave).sum() / np.square(added).sum()) / 10
    assert wave_figures(wave, wave + added, RATE).snr == pytest.approx(20, abs=0.01)


def test_cepstra_are_the_cosines_of_a_log_spectrum() -> None:
    angles = np.pi * (np.arange(80) + 0.5) / 80
    envelope = 0.7 + 0.5 * np.cos(3 * angles) - 0.2 * np.cos(24 * angles) + np.cos(40 * angles)
    found = cepstra(np.exp(2 * envelope)[None].astype(np.float32), 1e-9)
    expected = np.zeros(24)
    expected[[2, 23]] = 0.5, -0.2
    assert found[0] == pytest.approx(expected, abs=1e-5)


def test_mel_cepstral_distortion_is_the_distance_of_envelopes_in_decibels() -> None:
    """White noise through a filter whose gain in dB is a cosine over the mel scale."""
    wave, depth = 0.1 * noise(4 * RATE), 2.0
    spectrum = np.fft.rfft(wave)
    hertz = np.linspace(0, RATE / 2, len(spectrum))
    mel = np.log10(1 + hertz / 700) / np.log10(1 + RATE / 2 / 700)
    shaped = np.fft.irfft(spectrum * 10 ** (depth * np.cos(2 * np.pi * mel) / 20), len(wave))
    found = wave_figures(wave, shaped.astype(np.float32), RATE)
    by_hand = 10 / math.log(10) * math.sqrt(2) * depth * math.log(10) / 20
    assert by_hand == pytest.approx(depth / math.sqrt(2))
    assert found.mcd == pytest.approx(by_hand, rel=0.05)


def test_powers_of_a_sine_stand_in_its_bin_and_band() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    powers = power_spectra(tone, RATE)
    assert powers.shape == (81, 513)
    assert powers[40].argmax() == 64
    assert powers[40, 64] == pytest.approx((800 / 4) ** 2, rel=0.01)
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 82) / 2595) - 1)
    band = int(mel_bands(powers, RATE)[40].argmax())
    assert edges[band] < 1000 < edges[band + 2]


def test_every_band_hears_something_at_every_rate() -> None:
    for rate in (4000, 8000, 16000, 24000, 48000):
        bands = mel_bands(power_spectra(noise(rate), rate), rate)
        assert bands.mean(axis=0).min() > 0, rate


def test_stft_loss_of_twice_a_wave() -> None:
    """Convergence 1, ln magnitudes ln 2 apart."""
    wave = 0.1 * noise(RATE)
    assert stft_loss(wave, 2 * wave, RATE) == pytest.approx(1 + math.log(2), rel=1e-3)


def without(wave: Wave) -> Wave:
    return np.full_like(wave, 1e-5) * noise(len(wave))


def clipped(wave: Wave) -> Wave:
    return np.clip(20 * wave, -1, 1)


def with_nan(wave: Wave) -> Wave:
    changed = wave.copy()
    changed[100:112] = np.nan
    return changed


def with_infinity(wave: Wave) -> Wave:
    changed = wave.copy()
    changed[100] = -np.inf
    return changed


def offset(wave: Wave) -> Wave:
    return np.full_like(wave, 0.3)


def buzz(wave: Wave) -> Wave:
    return (0.1 * np.sign(np.sin(2 * np.pi * 80 * np.arange(len(wave)) / RATE))).astype(np.float32)


def hiss(wave: Wave) -> Wave:
    return 0.05 * noise(len(wave))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (with_nan, "NaN in the wave: 12 of 32000 values"),
        (with_infinity, "infinity in the wave: 1 of 32000 values"),
        (without, "silent: -100 dB against -"),
        (offset, "silent: -120 dB against -"),
        (clipped, "clipping: "),
        (buzz, "collapsed: the wave keeps "),
        (hiss, "collapsed: the wave keeps "),
    ],
)
def test_what_cannot_be_used_is_named(damage: Callable[[Wave], Wave], words: str) -> None:
    wave = speechlike()
    assert wave_figures(wave, damage(wave), RATE).broken.startswith(words)


def test_noise_alone_does_not_make_a_wave_unusable() -> None:
    wave = speechlike()
    for down in (40, 20, 10):
        added = noise(len(wave)) * np.std(wave) * 10 ** (-down / 20)
        assert wave_figures(wave, (wave + added).astype(np.float32), RATE).broken == "", down


def test_a_steady_reference_cannot_collapse() -> None:
    tone = buzz(np.zeros(2 * RATE, np.float32))
    assert wave_figures(tone, tone * np.float32(0.9), RATE).broken == ""


def test_only_broken_is_said_of_what_is_not_finite() -> None:
    wave = speechlike()
    found = wave_figures(wave, with_nan(wave), RATE)
    assert found == Figures(broken=found.broken)


def test_a_silent_reference_and_no_samples_have_no_figures() -> None:
    silence, nothing = np.zeros(RATE, np.float32), np.zeros(0, np.float32)
    assert wave_figures(silence, speechlike()[:RATE], RATE) == Figures()
    assert wave_figures(nothing, nothing, RATE) == Figures()


def test_a_short_wave_is_measured_without_models_of_hearing() -> None:
    wave = speechlike()[2000:4000]
    found = wave_figures(wave, (wave + 0.01 * noise(2000)).astype(np.float32), RATE)
    assert found.mcd is not None
    assert found.mcd > 0
    assert (found.pesq, found.stoi, found.f0_correlation) == (None, None, None)


def test_little_speech_in_a_long_silence_has_no_stoi() -> None:
    pytest.importorskip("pystoi", reason="STOI comes from the package pystoi")
    wave = np.zeros(2 * RATE, np.float32)
    wave[8000:10000] = speechlike()[2000:4000]
    assert perception.stoi_score(wave, wave, RATE) is None


def test_nothing_is_guessed_where_packages_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perception, "_optional", lambda name: None)
    wave = speechlike()
    found = wave_figures(wave, (wave * np.float32(0.9)).astype(np.float32), RATE)
    assert (found.pesq, found.stoi) == (None, None)
    assert found.mcd is not None


def test_other_lengths_are_refused() -> None:
    wave = speechlike()
    with pytest.raises(GraphError, match=r"\[31999\].*\[32000\]"):
        wave_figures(wave, wave[:-1], RATE)


def test_a_reference_that_is_not_finite_is_refused() -> None:
    wave = speechlike()
    with pytest.raises(GraphError, match="fp32's own wave is not finite"):
        wave_figures(with_nan(wave), wave, RATE)


@pytest.mark.export
def test_speech_in_fewer_bits_is_ordered(demo_speech: tuple[Wave, int]) -> None:
    wave, rate = demo_speech
    found = [
        wave_figures(wave, np.round(wave * 2**bits).astype(np.float32) / 2**bits, rate)
        for bits in (15, 11, 9, 7)
    ]
    values = [figures.mcd for figures in found if figures.mcd is not None]
    assert values == sorted(values)
    assert values[0] < 0.01
    assert values[-1] > 1
    assert all(figures.f0_correlation > 0.99 for figures in found if figures.f0_correlation)
    assert not any(figures.broken for figures in found)
