"""How far a wave is from the recording it should be, in spectra: differentiable, in torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .mel import MelRecipe, mel_filters

__all__ = ["LogMel", "MultiResolutionStft", "Resolution", "StftDistance"]

_LEAST_AMPLITUDE = 1e-5
"""As in the recipe of the mels that voices are trained on."""

_LEAST_POWER = 1e-12
"""Under a root: keeps the gradient of silence finite, and hides no mel."""

_FAINT = 3e-4
"""Amplitudes below it are alike: their logarithms would be all that is learned."""

Resolution = tuple[int, int, int]
"""Samples of the transform, of the hop and of the window."""

RESOLUTIONS: tuple[Resolution, ...] = (
    (2048, 240, 1200),
    (1024, 120, 600),
    (512, 50, 240),
    (256, 30, 120),
)


class _Magnitudes(nn.Module):
    """Amplitudes of Hann-windowed frames centred at 0, hop, 2 hop, ...; ends are mirrored."""

    window: Tensor

    def __init__(self, resolution: Resolution) -> None:
        super().__init__()
        self._bins, self._hop, self._width = resolution
        self.register_buffer("window", torch.hann_window(self._width), persistent=False)

    def forward(self, wave: Tensor) -> Tensor:
        """[B, samples] -> [B, bins, frames]."""
        spectra = torch.stft(
            wave, self._bins, self._hop, self._width, self.window, return_complex=True
        )
        return (spectra.real.square() + spectra.imag.square()).clamp(min=_LEAST_POWER).sqrt()


class LogMel(nn.Module):
    """Base-10 logarithms of the mel amplitudes of `demo_voice.mel`; a twentieth of decibels."""

    filters: Tensor

    def __init__(self, recipe: MelRecipe) -> None:
        super().__init__()
        self._magnitudes = _Magnitudes((recipe.transform, recipe.hop, recipe.window))
        self.register_buffer("filters", torch.tensor(mel_filters(recipe).T), persistent=False)

    def forward(self, wave: Tensor) -> Tensor:
        """[B, samples] -> [B, bands, samples // hop + 1]."""
        amplitudes: Tensor = self.filters @ self._magnitudes(wave)
        return amplitudes.clamp(min=_LEAST_AMPLITUDE).log10()


class StftDistance(nn.Module):
    """Spectral convergence + mean difference of log amplitudes at one resolution.

    Equations 4 and 5 of Parallel WaveGAN (Yamamoto, Song & Kim, ICASSP 2020).
    """

    def __init__(self, resolution: Resolution) -> None:
        super().__init__()
        self._magnitudes = _Magnitudes(resolution)

    def forward(self, made: Tensor, real: Tensor) -> Tensor:
        """Two waves [B, samples] -> their distance, a scalar."""
        with torch.no_grad():
            wanted: Tensor = self._magnitudes(real)
        found: Tensor = self._magnitudes(made)
        heard = wanted.clamp(min=_FAINT)
        difference = wanted - found
        converged: Tensor = difference.norm() / heard.norm()
        return converged + F.l1_loss(found.clamp(min=_FAINT).log(), heard.log())


class MultiResolutionStft(nn.Module):
    """The mean of `StftDistance` over several resolutions, so that none can be played against."""

    def __init__(self, resolutions: Sequence[Resolution] = RESOLUTIONS) -> None:
        super().__init__()
        self._distances = nn.ModuleList(StftDistance(one) for one in resolutions)

    def forward(self, made: Tensor, real: Tensor) -> Tensor:
        """Two waves [B, samples] -> their distance, a scalar."""
        return torch.stack([one(made, real) for one in self._distances]).mean()
