"""The harmonic source: in any chunks the same, and the formulas against float64."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sambert_trt.engines.manifest import F0Rule
from sambert_trt.runtime.excitation import Excitation, denormalised

HOP, RATE, HARMONICS = 40, 8000, 7
RULE = F0Rule(60.25, 210.5, "float64", 30.0, 0.6, HARMONICS, RATE)
WEIGHT = np.linspace(-0.5, 0.7, HARMONICS + 1, dtype=np.float32)
BIAS = np.float32([0.03])


def source(seed: int | tuple[int, ...] | None) -> Excitation:
    return Excitation(RULE, WEIGHT, BIAS, HOP, seed)


def contour(frames: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rng = np.random.default_rng(frames)
    f0 = rng.uniform(30, 400, frames).astype(np.float32)
    return f0, (rng.random(frames) > 0.4).astype(np.float32)


@given(
    cuts=st.lists(st.integers(0, 150), max_size=8),
    seed=st.one_of(st.none(), st.integers(0, 2**32)),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_chunks_join_to_the_whole(cuts: list[int], seed: int | None) -> None:
    f0, voiced = contour(150)
    whole = source(seed).chunk(f0, voiced)
    parts, ends = source(seed), [0, *sorted(cuts), 150]
    joined = np.concatenate([parts.chunk(f0[a:b], voiced[a:b]) for a, b in pairwise(ends)])
    assert joined.dtype == np.float32
    assert np.abs(joined - whole).max() <= 2e-7


def test_the_sum_of_sines_in_float64() -> None:
    f0, voiced = contour(40)
    expected = np.zeros(40 * HOP)
    phases = np.zeros(HARMONICS + 1)
    for sample in range(40 * HOP):
        frame = sample // HOP
        phases += f0[frame] * np.arange(1, HARMONICS + 2) / RATE
        sines = 0.1 * np.sin(2 * math.pi * (phases % 1)) * voiced[frame]
        expected[sample] = math.tanh(float(WEIGHT @ sines) + float(BIAS[0]))
    assert np.abs(source(None).chunk(f0, voiced) - expected).max() <= 2e-4


def test_unvoiced_frames_hold_louder_noise_and_no_tone() -> None:
    f0 = np.full(100, 200.0, np.float32)
    silent, voiced = np.zeros(100, np.float32), np.ones(100, np.float32)
    assert np.ptp(source(None).chunk(f0, silent)) == 0
    loud, quiet = source(1).chunk(f0, silent), source(1).chunk(f0, voiced)
    tone = source(1).chunk(f0, voiced) - source(2).chunk(f0, voiced)
    scale = float(np.sqrt((WEIGHT.astype(np.float64) ** 2).sum()))
    assert np.std(loud) == pytest.approx(0.1 / 3 * scale, rel=0.1)
    assert np.std(quiet) > np.std(loud)
    assert np.std(tone) > 0


def test_the_first_harmonic_starts_at_phase_zero_and_the_others_do_not() -> None:
    phases = source(5)._phase[:, 0]
    assert phases[0] == 0
    assert np.abs(phases[1:]).min() > 0
    assert np.abs(phases).max() <= math.pi
    assert not np.array_equal(phases, source(6)._phase[:, 0])
    assert not np.array_equal(phases, source((5, 1))._phase[:, 0])
    assert not source(None)._phase.any()


def test_nothing_in_nothing_out() -> None:
    empty = np.zeros(0, np.float32)
    assert source(0).chunk(empty, empty).shape == (0,)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_hertz_in_the_arithmetic_of_the_statistics(dtype: str) -> None:
    rule = F0Rule(61.253478, 215.374512, dtype, 30.0, 0.6, HARMONICS, RATE)
    rng = np.random.default_rng(0)
    mel = rng.standard_normal((1000, 5), dtype=np.float32)
    kind = np.dtype(dtype).type
    hertz = (mel[:, 3].astype(dtype) * kind(61.253478) + kind(215.374512)).astype(np.float32)
    found = denormalised(mel, rule)
    assert np.array_equal(found[:, 3], np.maximum(hertz, np.float32(30)))
    assert np.array_equal(found[:, 4], (mel[:, 4] >= np.float32(0.6)).astype(np.float32))
    assert np.array_equal(found[:, :3], mel[:, :3])
