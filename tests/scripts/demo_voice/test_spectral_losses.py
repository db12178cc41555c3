"""Spectral distances are 0 for the same wave, grow with what is wrong, and give gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from demo_voice.mel import MelRecipe, scaled_mels
from demo_voice.spectral_losses import LogMel, MultiResolutionStft, StftDistance

BINS, HOP, WIDTH = 512, 100, 400


def waves(count: int = 2, samples: int = 2000) -> torch.Tensor:
    time = torch.arange(samples) / 16000
    pitch = 150.0 * torch.arange(1, count + 1)[:, None]
    noise = torch.randn(count, samples, generator=torch.Generator().manual_seed(0))
    return 0.3 * torch.sin(2 * torch.pi * pitch * time) + 0.02 * noise


def test_log_mel_is_that_of_the_dataset() -> None:
    wave, recipe = waves(samples=8000)[0], MelRecipe()
    found = LogMel(recipe)(wave[None])[0].t().numpy()
    wanted = scaled_mels(wave.numpy(), 0, 41, recipe)
    assert found.shape == (41, 80)
    inner = slice(5, 36)  # beyond the ends one has silence, the other a mirror
    np.testing.assert_allclose((20 * found[inner] + 80) / 100, wanted[inner], atol=1e-4)
    assert 0 < wanted.min() < wanted.max() < 1


def test_silence_has_the_least_mel_and_a_finite_gradient() -> None:
    wave = torch.zeros(1, 4000, requires_grad=True)
    mel = LogMel(MelRecipe())(wave)
    assert (mel == -5).all()
    (mel.sum() + MultiResolutionStft()(wave, waves(1, 4000))).backward()
    assert wave.grad is not None
    assert torch.isfinite(wave.grad).all()


def test_distance_at_one_resolution_is_the_formula() -> None:
    made, real = waves().unbind()
    found = StftDistance((BINS, HOP, WIDTH))(made[None], real[None])
    window = torch.hann_window(WIDTH)
    a, b = (
        torch.stft(x, BINS, HOP, WIDTH, window, return_complex=True).abs() for x in (made, real)
    )
    wanted = (b - a).norm() / b.norm() + (a.log() - b.log()).abs().mean()
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)


def test_distance_grows_with_noise_and_does_not_see_the_sign() -> None:
    real, distance = waves(), MultiResolutionStft()
    noise = torch.randn(real.shape, generator=torch.Generator().manual_seed(1))
    same, little, much = (float(distance(real + x * noise, real)) for x in (0.0, 0.01, 0.1))
    assert same == pytest.approx(0, abs=1e-6)
    assert 0.01 < little < much
    assert float(distance(-real, real)) == pytest.approx(0, abs=1e-5)


def test_following_the_gradient_brings_a_wave_nearer() -> None:
    real = waves(1)
    made = (real * 0.5).requires_grad_()
    distance = MultiResolutionStft()
    before = distance(made, real)
    (gradient,) = torch.autograd.grad(before, made)
    step = 1e-2 * gradient / gradient.norm()
    assert distance(made - step, real) < before
