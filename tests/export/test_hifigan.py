"""Two upsampling branches are one transposed convolution, and one layer is one formula."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sambert_trt.export.config import HifiganConfig, NsfConfig

torch = pytest.importorskip("torch")

from sambert_trt.export.hifigan import (  # noqa: E402
    Generator,
    MergedUpsample,
    PaddedConv,
    source_rates,
)
from sambert_trt.export.ops import convolve, upsample  # noqa: E402
from sambert_trt.export.stages import VocoderChunk  # noqa: E402

pytestmark = pytest.mark.export

CONFIG = HifiganConfig(
    in_channels=5,
    out_channels=1,
    channels=8,
    kernel_size=7,
    upsample_scales=(3,),
    upsample_kernel_sizes=(7,),
    resblock_kernel_sizes=(3,),
    resblock_dilations=((1, 3),),
    causal=True,
)


def generator(config: HifiganConfig, seed: int = 0) -> Generator:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Generator(config).eval().requires_grad_(False)


@given(
    stride=st.integers(2, 10),
    extra=st.integers(0, 14),
    kernel=st.sampled_from([1, 3, 5, 7, 9]),
    causal=st.booleans(),
    frames=st.integers(1, 20),
)
@settings(max_examples=120, deadline=None, derandomize=True)
def test_both_branches_are_one(
    stride: int, extra: int, kernel: int, causal: bool, frames: int
) -> None:
    """In float64, so that nothing but the arithmetic could differ."""
    config = dataclasses.replace(
        CONFIG,
        kernel_size=kernel,
        upsample_scales=(stride,),
        upsample_kernel_sizes=(stride + extra + causal,),
        causal=causal,
    )
    whole = generator(config, seed=stride).double()
    round_weights(whole)
    merged = MergedUpsample(whole, 0).double()
    a = torch.randn(1, 8, frames, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = whole.upsample(0, a)
    assert expected.shape == (1, 4, frames * stride)
    found = merged(a[:, :, None])[:, :, 0]
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-12


def round_weights(whole: Generator) -> None:
    """Merged kernels are stored as float32: weights in 64ths lose nothing by that."""
    for module in (whole.repeat_upsamples, whole.transpose_upsamples):
        for weight in module.parameters():
            weight.copy_((weight * 64).round() / 64)


@given(
    kernel=st.integers(1, 9).map(lambda n: 2 * n - 1),
    dilation=st.integers(1, 5),
    causal=st.booleans(),
    frames=st.integers(1, 12),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_padded_convolution_is_the_sum_over_its_taps(
    kernel: int, dilation: int, causal: bool, frames: int
) -> None:
    conv = PaddedConv(3, 2, kernel, dilation, causal=causal).double()
    x = torch.randn(1, 3, frames, dtype=torch.float64)
    shift = (kernel - 1) * dilation if causal else (kernel - 1) * dilation // 2
    expected = conv.conv1d.bias.detach()[None, :, None].repeat(1, 1, frames)
    for t in range(frames):
        for tap in range(kernel):
            source = t + tap * dilation - shift
            if 0 <= source < frames:
                expected[0, :, t] += conv.conv1d.weight[:, :, tap].detach() @ x[0, :, source]
    for found in (conv(x), conv.flat(x[:, :, None])[:, :, 0]):
        assert found.shape == expected.shape
        assert (found - expected).abs().max() <= 1e-12


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("nsf", [True, False])
@pytest.mark.parametrize("frames", [1, 2, 17])
def test_the_exported_form_is_the_generator(causal: bool, nsf: bool, frames: int) -> None:
    config = dataclasses.replace(
        CONFIG,
        channels=16,
        upsample_scales=(5, 4, 2),
        upsample_kernel_sizes=(11, 8, 5 if causal else 4),
        resblock_kernel_sizes=(3, 5),
        resblock_dilations=((1, 3), (1, 2)),
        causal=causal,
        nsf=NsfConfig(7, 8000) if nsf else None,
    )
    whole = generator(config).double()
    chunk = VocoderChunk(whole).double()
    mel = torch.randn(1, frames, 5, dtype=torch.float64)
    excitation = torch.randn(1, 1, frames * 40, dtype=torch.float64) if nsf else None
    expected = whole(mel.transpose(1, 2), excitation)[:, 0]
    (found,) = chunk(mel, None if excitation is None else excitation[:, 0])
    assert found.shape == expected.shape == (1, frames * 40)
    assert (found - expected).abs().max() <= 1e-6


def test_source_rates_are_what_is_left_to_upsample() -> None:
    config = dataclasses.replace(CONFIG, upsample_scales=(10, 5, 2, 2))
    assert source_rates(config) == (20, 4, 2, 1)
    assert config.hop == 200


def test_one_sided_padding_in_both_dimensions() -> None:
    x, weight = torch.randn(1, 2, 9), torch.randn(3, 2, 4)
    bias = torch.randn(3)
    flat = convolve(x, weight, bias, (3, 0), stride=2)
    deep = convolve(x[:, :, None], weight[:, :, None], bias, (3, 0), stride=2)
    assert (flat - deep[:, :, 0]).abs().max() <= 1e-6
    back = torch.randn(2, 3, 5)
    flat = upsample(x, back, bias, 2, 1)
    deep = upsample(x[:, :, None], back[:, :, None], bias, 2, 1)
    assert flat.shape == (1, 3, 18)
    assert (flat - deep[:, :, 0]).abs().max() <= 1e-6
