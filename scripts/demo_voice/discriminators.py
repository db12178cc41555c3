"""Small judges of waves: of every p-th sample (multi-period) and of smoothed copies (multi-scale).

After HiFi-GAN (Kong, Kim & Bae, NeurIPS 2020), with about a hundredth of its weights.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

__all__ = ["Discriminators", "Opinion", "deceit_loss", "detection_loss", "likeness_loss"]

Opinion = list[Tensor]
"""What the layers of one judge found; the last one is the verdict: 1 real, 0 made."""

_SLOPE = 0.1


class _Judge(nn.Module):
    """Layers with a leaky ReLU after each but the last."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(weight_norm(layer) for layer in layers)

    def opinion(self, x: Tensor) -> Opinion:
        """What every layer makes of x."""
        found: Opinion = []
        for layer in self.layers:
            x = layer(x if not found else F.leaky_relu(x, _SLOPE))
            found.append(x)
        return found


class PeriodJudge(_Judge):
    """Looks at every p-th sample side by side with the samples between."""

    def __init__(self, period: int, widths: Sequence[int]) -> None:
        pairs = list(zip((1, *widths[:-1]), widths, strict=True))
        layers: list[nn.Module] = [
            nn.Conv2d(before, width, (5, 1), (3, 1), (2, 0)) for before, width in pairs
        ]
        super().__init__([*layers, nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0))])
        self._period = period

    def forward(self, wave: Tensor) -> Opinion:
        """[B, 1, samples] -> opinion."""
        missing = -wave.shape[2] % self._period
        wave = F.pad(wave, (0, missing), mode="reflect")
        return self.opinion(wave.reshape(len(wave), 1, -1, self._period))


class ScaleJudge(_Judge):
    """Looks at the wave averaged over `rate` samples."""

    def __init__(self, rate: int, widths: Sequence[int]) -> None:
        pairs = itertools.pairwise(widths)
        layers: list[nn.Module] = [nn.Conv1d(1, widths[0], 15, padding=7)]
        layers += [
            nn.Conv1d(before, width, 41, 4, 20, groups=before // 4) for before, width in pairs
        ]
        layers += [nn.Conv1d(widths[-1], widths[-1], 5, padding=2)]
        super().__init__([*layers, nn.Conv1d(widths[-1], 1, 3, padding=1)])
        self._rate = rate

    def forward(self, wave: Tensor) -> Opinion:
        """[B, 1, samples] -> opinion."""
        return self.opinion(F.avg_pool1d(wave, self._rate) if self._rate > 1 else wave)


class Discriminators(nn.Module):
    """All judges together, half a million weights.

    Attributes:
        pull: how strongly they pull at the weights that they teach, for a gradient on the wave of
            the norm of others'; 0 until it is measured.
    """

    pull: Tensor

    def __init__(
        self,
        periods: Sequence[int] = (2, 3, 5, 7, 11),
        period_widths: Sequence[int] = (8, 32, 64, 128),
        rates: Sequence[int] = (1, 2),
        scale_widths: Sequence[int] = (16, 64, 128),
    ) -> None:
        super().__init__()
        self.periods = nn.ModuleList(PeriodJudge(period, period_widths) for period in periods)
        self.scales = nn.ModuleList(ScaleJudge(rate, scale_widths) for rate in rates)
        self.register_buffer("pull", torch.zeros(()))

    def forward(self, wave: Tensor) -> list[Opinion]:
        """Waves [B, 1, samples] -> what each judge finds."""
        return [judge(wave) for judge in (*self.periods, *self.scales)]


def detection_loss(real: Sequence[Opinion], made: Sequence[Opinion]) -> Tensor:
    """What the judges lose by their mistakes; 0 when right, 1/2 when undecided.

    Least squares (Mao et al., ICCV 2017), the mean over judges.
    """
    losses = [
        (1 - one[-1].float()).square().mean() + other[-1].float().square().mean()
        for one, other in zip(real, made, strict=True)
    ]
    return torch.stack(losses).mean()


def deceit_loss(made: Sequence[Opinion]) -> Tensor:
    """What the generator loses by being found out; 0 when taken for real."""
    return torch.stack([(1 - one[-1].float()).square().mean() for one in made]).mean()


def likeness_loss(real: Sequence[Opinion], made: Sequence[Opinion]) -> Tensor:
    """How differently real and made waves look to the judges' inner layers.

    The mean absolute difference, of each layer in units of its mean on the real wave, so that no
    layer counts for its scale.
    """
    losses = [
        F.l1_loss(other.float(), one.float().detach()) / one.float().detach().abs().mean()
        for before, after in zip(real, made, strict=True)
        for one, other in zip(before[:-1], after[:-1], strict=True)
    ]
    return torch.stack(losses).mean()
