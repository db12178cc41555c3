"""The length regulator against a loop over symbols and frames."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sambert_trt.engines.errors import InputError
from sambert_trt.runtime.length import LengthPlan, length_plan

P, S, M = 6, 3, 2
SCALES = np.float32(10000.0) ** (np.arange(P) // 2 * 2 / np.float32(P)).astype(np.float32)


def plan_of(logs: NDArray[np.float32], r: int, speed: float = 1.0) -> LengthPlan:
    text, speaker, emotion = inputs(len(logs))
    return length_plan(logs, text, speaker, emotion, SCALES, frames_per_step=r, speed=speed)


def inputs(count: int) -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(count)
    return [rng.standard_normal((count, width), dtype=np.float32) for width in (P, S, M)]


def memory_by_hand(durations: list[int], r: int) -> NDArray[np.float32]:
    """Frame by frame, step by step."""
    text, speaker, emotion = inputs(len(durations))
    frames = []
    for symbol, count in enumerate(durations):
        frames += [(symbol, number) for number in range(1, count + 1)]
    frames += [(-1, 0)] * (-len(frames) % r)
    rows = []
    for step in range(0, len(frames), r):
        row: list[float] = []
        for symbol, number in frames[step : step + r]:
            for channel in range(P):
                angle = np.float32(number) / SCALES[channel]
                code = math.cos(angle) if channel % 2 else math.sin(angle)
                row.append((0.0 if symbol < 0 else float(text[symbol, channel])) + code)
        symbol = frames[step][0]
        rows.append([*row, *speaker[symbol], *emotion[symbol]])
    return np.array(rows, np.float32).reshape(-1, r * P + S + M)


@given(
    logs=st.lists(st.floats(0, 3.5, width=32), min_size=1, max_size=30),
    r=st.integers(1, 6),
    speed=st.sampled_from([0.25, 1.0, 1.3, 4.0]),
)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_the_plan_is_the_loop(logs: list[float], r: int, speed: float) -> None:
    array = np.array(logs, np.float32)
    plan = plan_of(array, r, speed)
    exact = [(np.exp(x) - np.float32(1)) / np.float32(speed) for x in array]
    durations = [int(np.floor(d + np.float32(0.5))) for d in exact]
    assert plan.durations.tolist() == durations
    assert plan.frames == sum(durations)
    assert plan.steps == -(-plan.frames // r)
    assert plan.band == int(np.float32(max(exact)) / r + 0.5)
    expected = memory_by_hand(durations, r)
    assert plan.memory.shape == expected.shape
    assert plan.memory.dtype == np.float32
    assert np.abs(plan.memory - expected).max(initial=0) <= 1e-5


def test_half_a_frame_is_rounded_up() -> None:
    logs = np.log1p(np.array([0.4999, 0.5001, 1.4999, 2.5001], np.float32))
    assert plan_of(logs, 1).durations.tolist() == [0, 1, 1, 3]


def test_the_band_is_that_of_the_longest_symbol_before_rounding() -> None:
    assert plan_of(np.log1p(np.float32([4.4, 1.0])), 3).band == 1
    assert plan_of(np.log1p(np.float32([4.6, 1.0])), 3).band == 2
    assert plan_of(np.log1p(np.float32([0.4])), 1).band == 0


def test_pad_frames_carry_the_code_of_number_zero() -> None:
    plan = plan_of(np.log1p(np.float32([1.0])), 3)
    assert plan.memory[0, P : 3 * P].tolist() == [0.0, 1.0] * P


@pytest.mark.parametrize("value", [7.0, 100.0, float("inf"), float("nan")])
def test_a_collapsed_model_is_told_apart_from_speech(value: float) -> None:
    with np.errstate(over="ignore"), pytest.raises(InputError, match="symbol 2 would last"):
        plan_of(np.float32([1.0, value, 0.5]), 3)
