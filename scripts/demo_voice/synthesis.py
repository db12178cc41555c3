"""The generator over batches and over windows of longer sentences, exactly as over whole ones.

A window comes with frames of context before and after it. Context is dropped on the way to the
samples as soon as no later layer looks at it, so that it costs little; where a sentence begins or
ends there is none, and the layers' own padding is right.

Under torch.autocast, what reads or makes a wave stays float32: of 8 bits the noise would cover a
wave's high bands.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from sambert_trt.export.hifigan import FINAL_SLOPE, Generator
from sambert_trt.export.signatures import vocoder_context

if TYPE_CHECKING:
    from sambert_trt.export.config import HifiganConfig

    from .dataset import Utterance

__all__ = ["Margins", "Source", "copy_synthesis", "excitation", "generate"]

_LEAST_HERTZ = 30.0
_LOUD, _NOISE = 0.1, 0.003
"""Amplitudes of a harmonic and of the noise upon it, as the original draws them."""


@dataclass(frozen=True)
class Margins:
    """Frames of context before and after the window; 0 where the sentence begins or ends."""

    left: int
    right: int


@dataclass(frozen=True)
class Source:
    """What the excitation of B waves of F frames is made of.

    Attributes:
        f0: float32 [B, F], hertz.
        voiced: float32 [B, F], 1 or 0.
        phase: float32 [B, harmonics, 1], radians at the first sample.
        noise: float32 [B, harmonics, F * hop], of the standard normal distribution.
    """

    f0: Tensor
    voiced: Tensor
    phase: Tensor
    noise: Tensor


def excitation(generator: Generator, source: Source) -> Tensor:
    """The harmonic source [B, 1, F * hop], as `sambert_trt.export.reference` has it one by one."""
    nsf = generator.config.nsf
    assert nsf is not None
    multiples = torch.arange(1, nsf.nb_harmonics + 2, device=source.f0.device)[:, None]
    hertz = source.f0.clamp(min=_LEAST_HERTZ).repeat_interleave(generator.config.hop, 1)[:, None]
    voiced = source.voiced.repeat_interleave(generator.config.hop, 1)[:, None]
    cycles = torch.cumsum(hertz * multiples / nsf.sampling_rate, dim=2) % 1
    noise = source.noise * _NOISE
    loud = _LOUD * torch.sin(2 * math.pi * cycles + source.phase) + noise
    quiet = _LOUD / 3 / _NOISE * noise
    mixed: Tensor = generator.source_module(loud * voiced + quiet * (1 - voiced))
    return mixed


def generate(generator: Generator, mel: Tensor, excited: Tensor | None, margins: Margins) -> Tensor:
    """The wave of a window.

    Args:
        generator: plain or NSF, causal or centred.
        mel: [B, C, left + F + right].
        excited: with NSF, the excitation [B, 1, (left + F + right) * hop].
        margins: left and right; as much as `vocoder_context` says, or all that there is.

    Returns:
        [B, 1, F * hop], what the generator makes of the whole sentence there.
    """
    rate, held, slope = 1, margins, generator.config.negative_slope
    x = generator.conv_pre(mel)
    for stage, scale in enumerate(generator.config.upsample_scales):
        wanted = _needed(generator.config, stage, held)
        x, held = _cut(x, held, wanted), wanted
        x = generator.upsample(stage, F.leaky_relu(x + torch.sin(x), slope))
        rate, held = rate * scale, Margins(held.left * scale, held.right * scale)
        if excited is not None:
            with _exact(mel.device):
                brought = generator.source_downs[stage](excited)
            x = x + _cut(brought, Margins(margins.left * rate, margins.right * rate), held)
        x = _mean([block(x) for block in generator.blocks(stage)])
    with _exact(mel.device):
        wave = torch.tanh(generator.conv_post(F.leaky_relu(x.float(), FINAL_SLOPE)))
    return _cut(wave, held, Margins(0, 0))


def _needed(config: HifiganConfig, stage: int, held: Margins) -> Margins:
    """What of the context this stage and those after it look at, in samples of its input."""
    rest = replace(
        config,
        upsample_scales=config.upsample_scales[stage:],
        upsample_kernel_sizes=config.upsample_kernel_sizes[stage:],
        nsf=None,
    )
    left, right = vocoder_context(rest)
    return Margins(min(left, held.left), min(right, held.right))


def _exact(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, enabled=False)


def _mean(parts: list[Tensor]) -> Tensor:
    """In place of torch.stack, which copies."""
    return sum(parts[1:], parts[0]) / len(parts)


def _cut(x: Tensor, held: Margins, wanted: Margins) -> Tensor:
    first, last = held.left - wanted.left, x.shape[2] - (held.right - wanted.right)
    return x[:, :, first:last]


@torch.inference_mode()
def copy_synthesis(
    generator: Generator, utterance: Utterance, random: np.random.Generator | None = None
) -> NDArray[np.float32]:
    """What the vocoder makes of a recording's own features.

    Args:
        generator: of the dataset's mels; on any device.
        random: of NSF's phases and noise; None means none of either.

    Returns:
        [hop * F].
    """
    device = next(generator.parameters()).device
    mel = torch.tensor(np.asarray(utterance.mel, np.float32).T[None], device=device)
    excited = None
    if generator.config.nsf is not None:
        source = whole_source(generator.config, utterance, random)
        on_device = {name: value.to(device) for name, value in vars(source).items()}
        excited = excitation(generator, Source(**on_device))
    wave: NDArray[np.float32] = generator(mel, excited)[0, 0].cpu().numpy()
    return wave


def whole_source(
    config: HifiganConfig, utterance: Utterance, random: np.random.Generator | None
) -> Source:
    """The source of a whole sentence; the first harmonic begins with phase 0."""
    assert config.nsf is not None
    count, frames = config.nsf.nb_harmonics + 1, len(utterance.f0)
    phase = np.zeros((1, count, 1), np.float32)
    noise = np.zeros((1, count, frames * config.hop), np.float32)
    if random is not None:
        phase[0, 1:, 0] = random.uniform(-math.pi, math.pi, count - 1)
        noise[0] = random.standard_normal((frames * config.hop, count), dtype=np.float32).T
    return Source(
        torch.tensor(np.asarray(utterance.f0, np.float32)[None]),
        torch.tensor(np.asarray(utterance.voiced, np.float32)[None]),
        torch.from_numpy(phase),
        torch.from_numpy(noise),
    )
