"""The HiFi-GAN generator in torch, plain and NSF, causal and centred, weights without weight norm.

Shapes: F mel frames, hop = product of the upsampling factors, samples F * hop.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import HifiganConfig
from .ops import convolve, upsample
from .typed import members

__all__ = ["Generator", "MergedUpsample", "source_rates"]

FINAL_SLOPE = 0.01


class PaddedConv(nn.Module):
    """A convolution that keeps the length: zeros on the left only when causal, else both sides."""

    def __init__(
        self, width_in: int, width: int, kernel: int, dilation: int = 1, *, causal: bool
    ) -> None:
        super().__init__()
        reach = (kernel - 1) * dilation
        self.padding = (reach, 0) if causal else (reach // 2, reach // 2)
        self.dilation = dilation
        self.conv1d = nn.Conv1d(width_in, width, kernel, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        """[1, width_in, T] -> [1, width, T]."""
        out: Tensor = self.conv1d(F.pad(x, self.padding))
        return out

    def flat(self, x: Tensor) -> Tensor:
        """The same over [1, width_in, 1, T]."""
        conv = self.conv1d
        weight = conv.weight[:, :, None]
        return convolve(x, weight, conv.bias, self.padding, dilation=self.dilation)


class SourceConv(nn.Module):
    """Brings the excitation down to a stage's rate."""

    def __init__(self, width: int, rate: int, *, causal: bool) -> None:
        super().__init__()
        self.rate = rate
        kernel = 1 if rate == 1 else 2 * rate
        side = 0 if rate == 1 else rate // 2
        self.padding = (kernel - 1, 0) if causal else (side, side)
        self.conv1d = nn.Conv1d(1, width, kernel, stride=rate)

    def forward(self, excitation: Tensor) -> Tensor:
        """[1, 1, samples] -> [1, width, samples / rate]."""
        out: Tensor = self.conv1d(F.pad(excitation, self.padding))
        return out

    def flat(self, excitation: Tensor) -> Tensor:
        """The same over [1, 1, 1, samples]."""
        conv = self.conv1d
        weight = conv.weight[:, :, None]
        return convolve(excitation, weight, conv.bias, self.padding, stride=self.rate)


class Deconv(nn.Module):
    """The transposed convolution of a stage, its output cut to length * stride."""

    def __init__(
        self, width_in: int, width: int, kernel: int, stride: int, *, causal: bool
    ) -> None:
        super().__init__()
        self.stride = stride
        self.crop = 0 if causal else (kernel - stride) // 2
        self.deconv = nn.ConvTranspose1d(width_in, width, kernel, stride, padding=self.crop)

    def forward(self, x: Tensor) -> Tensor:
        """[1, width_in, T] -> [1, width, T * stride]."""
        out: Tensor = self.deconv(x)[:, :, : x.shape[2] * self.stride]
        return out


class ResBlock(nn.Module):
    """Pairs of dilated and plain convolutions with residuals."""

    def __init__(
        self, width: int, kernel: int, dilations: tuple[int, ...], slope: float, *, causal: bool
    ) -> None:
        super().__init__()
        self.slope = slope
        self.convs1 = nn.ModuleList(
            PaddedConv(width, width, kernel, d, causal=causal) for d in dilations
        )
        self.convs2 = nn.ModuleList(
            PaddedConv(width, width, kernel, causal=causal) for _ in dilations
        )

    def forward(self, x: Tensor) -> Tensor:
        """[1, width, T] -> [1, width, T]."""
        for first, second in zip(self.convs1, self.convs2, strict=True):
            y = first(F.leaky_relu(x, self.slope))
            x = x + second(F.leaky_relu(y, self.slope))
        return x

    def flat(self, x: Tensor) -> Tensor:
        """The same over [1, width, 1, T]."""
        firsts, seconds = members(self.convs1, PaddedConv), members(self.convs2, PaddedConv)
        for first, second in zip(firsts, seconds, strict=True):
            y = first.flat(F.leaky_relu(x, self.slope))
            x = x + second.flat(F.leaky_relu(y, self.slope))
        return x


class SourceMixer(nn.Module):
    """The weights that mix the harmonics into one excitation; evaluated outside the graph."""

    def __init__(self, harmonics: int) -> None:
        super().__init__()
        self.ffn = nn.ModuleList([nn.Conv1d(harmonics, 1, 1)])

    @property
    def layer(self) -> nn.Conv1d:
        """The mixing layer."""
        return members(self.ffn, nn.Conv1d)[0]

    def forward(self, harmonics: Tensor) -> Tensor:
        """[1, harmonics, samples] -> excitation [1, 1, samples]."""
        return torch.tanh(self.layer(harmonics))


def source_rates(config: HifiganConfig) -> tuple[int, ...]:
    """By how much the excitation is decimated for each stage, for instance 20, 4, 2, 1."""
    scales = config.upsample_scales
    return tuple(math.prod(scales[stage + 1 :]) for stage in range(len(scales)))


class Generator(nn.Module):
    """The generator; `state_dict` has the checkpoint's names with weight norm folded."""

    def __init__(self, config: HifiganConfig) -> None:
        super().__init__()
        self.config = config
        causal, slope, top = config.causal, config.negative_slope, config.channels
        self.conv_pre = PaddedConv(config.in_channels, top, config.kernel_size, causal=causal)
        self.transpose_upsamples = nn.ModuleList()
        self.repeat_upsamples = nn.ModuleList()
        self.conv_blocks = nn.ModuleList()
        if config.nsf is not None:
            self.source_module = SourceMixer(config.nsf.nb_harmonics + 1)
            self.source_downs = nn.ModuleList()
        stages = zip(
            config.upsample_scales, config.upsample_kernel_sizes, source_rates(config), strict=True
        )
        for stage, (scale, kernel, rate) in enumerate(stages):
            wide, narrow = top >> stage, top >> (stage + 1)
            self.transpose_upsamples.append(
                _at(1, Deconv(wide, narrow, kernel, scale, causal=causal))
            )
            self.repeat_upsamples.append(
                _at(2, PaddedConv(wide, narrow, config.kernel_size, causal=causal))
            )
            for size, dilations in zip(
                config.resblock_kernel_sizes, config.resblock_dilations, strict=True
            ):
                self.conv_blocks.append(ResBlock(narrow, size, dilations, slope, causal=causal))
            if config.nsf is not None:
                self.source_downs.append(SourceConv(narrow, rate, causal=causal))
        last = top >> len(config.upsample_scales)
        self.conv_post = PaddedConv(last, config.out_channels, config.kernel_size, causal=causal)

    def blocks(self, stage: int) -> list[ResBlock]:
        """A stage's residual blocks."""
        count = len(self.config.resblock_kernel_sizes)
        return members(self.conv_blocks, ResBlock)[stage * count : (stage + 1) * count]

    def upsample(self, stage: int, a: Tensor) -> Tensor:
        """The original's two branches, [1, wide, T] -> [1, narrow, T * scale]."""
        scale = self.config.upsample_scales[stage]
        repeated = self.repeat_upsamples[stage].get_submodule("2")(
            F.interpolate(a, scale_factor=float(scale), mode="nearest")
        )
        out: Tensor = repeated + self.transpose_upsamples[stage].get_submodule("1")(a)
        return out

    def forward(self, mel: Tensor, excitation: Tensor | None = None) -> Tensor:
        """Mel [1, C, F] and, for NSF, excitation [1, 1, F * hop] -> wave [1, 1, F * hop]."""
        x = self.conv_pre(mel)
        for stage in range(len(self.config.upsample_scales)):
            x = x + torch.sin(x)
            x = self.upsample(stage, F.leaky_relu(x, self.config.negative_slope))
            if excitation is not None:
                x = x + self.source_downs[stage](excitation)
            blocks = self.blocks(stage)
            total = blocks[0](x)
            for block in blocks[1:]:
                total = total + block(x)
            x = total / len(blocks)
        return torch.tanh(self.conv_post(F.leaky_relu(x, FINAL_SLOPE)))


class MergedUpsample(nn.Module):
    """Both upsampling branches of a stage as one transposed convolution, exactly.

    Nearest repetition by s followed by a convolution of K taps (reach p samples to the left) adds
    w[m] at tap j + p - m for every j < s; the transposed convolution's own taps stand at
    k - crop. Both act on the same activation, so their kernels add up.
    """

    def __init__(self, generator: Generator, stage: int) -> None:
        super().__init__()
        repeat = generator.repeat_upsamples[stage].get_submodule("2")
        deconv = generator.transpose_upsamples[stage].get_submodule("1")
        kernel, bias, self.crop = _merged_kernel(repeat, deconv)
        self.stride = generator.config.upsample_scales[stage]
        self.weight = nn.Parameter(kernel, requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)

    def forward(self, a: Tensor) -> Tensor:
        """[1, wide, 1, T] -> [1, narrow, 1, T * stride]."""
        return upsample(a, self.weight[:, :, None], self.bias, self.stride, self.crop)


def _merged_kernel(repeat: nn.Module, deconv: nn.Module) -> tuple[Tensor, Tensor, int]:
    assert isinstance(repeat, PaddedConv)
    assert isinstance(deconv, Deconv)
    conv, up = repeat.conv1d, deconv.deconv
    stride, reach, taps = deconv.stride, repeat.padding[0], conv.weight.shape[2]
    first = min(reach - (taps - 1), -deconv.crop)
    last = max(stride - 1 + reach, up.weight.shape[2] - 1 - deconv.crop, stride - 1)
    kernel = up.weight.new_zeros(*up.weight.shape[:2], last - first + 1, dtype=torch.float64)
    start = -deconv.crop - first
    kernel[:, :, start : start + up.weight.shape[2]] += up.weight.double()
    for tap in range(taps):
        start = reach - tap - first
        kernel[:, :, start : start + stride] += conv.weight[:, :, tap].t().double()[:, :, None]
    bias = conv.bias.double() + up.bias.double()  # type: ignore[union-attr]
    return kernel.float(), bias.float(), -first


def _at(index: int, module: nn.Module) -> nn.Module:
    holder = nn.Module()
    holder.add_module(str(index), module)
    return holder
