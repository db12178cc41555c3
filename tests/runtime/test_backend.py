"""State and rows between steps, in host memory, whichever backend computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sambert_trt.engines.errors import GraphError
from sambert_trt.engines.voice import manifest_from_directory
from sambert_trt.runtime.backend import (
    FEEDBACK,
    RETURNED,
    SLIDING,
    SlidingRows,
    state_like,
    zero_state,
)


@given(
    window=st.integers(1, 7),
    blocks=st.lists(st.integers(0, 9), min_size=1, max_size=6),
    moves=st.lists(st.integers(1, 5), max_size=8),
)
def test_rows_slide_as_over_one_long_array(
    window: int, blocks: list[int], moves: list[int]
) -> None:
    """Whatever the blocks rows come in: a step sees rows [step, step + window), or an error."""
    everything = np.arange(2.0 * sum(blocks)).reshape(-1, 2)
    rows, given_rows, step = SlidingRows(window), 0, 0
    left = iter(moves)
    for block in blocks:
        rows.extend(everything[given_rows : given_rows + block])
        given_rows += block
        for count in left:
            if step + count - 1 + window > given_rows:
                with pytest.raises(GraphError, match="rows ahead"):
                    rows.peek(count - 1 + window)
                break
            seen = rows.peek(count - 1 + window)
            assert np.array_equal(seen, everything[step : step + count - 1 + window])
            if count == 1:
                assert np.array_equal(rows.take(), everything[step : step + window])
            else:
                rows.skip(count)
            step += count
    kept = rows.kept()
    assert kept is not None
    assert np.array_equal(kept, everything[step:given_rows])


def test_rows_that_steps_have_passed_are_dropped() -> None:
    rows = SlidingRows(2)
    for number in range(200):
        rows.extend(np.full((1, 3), number, np.float32))
        if number:
            rows.take()
    kept = rows.kept()
    assert kept is not None
    assert kept.base is None or kept.base.size <= 12
    assert np.array_equal(kept[:, 0], [199])


def test_no_rows_at_all() -> None:
    rows = SlidingRows(3)
    assert rows.kept() is None
    with pytest.raises(GraphError, match="steps need 3 rows ahead, 0 were given"):
        rows.take()


def test_the_state_before_the_first_step(tiny_voice: Callable[[str], Path]) -> None:
    stages = manifest_from_directory(tiny_voice("plain")).stages
    for stage, names in FEEDBACK.items():
        graph = stages[stage].graph
        state = zero_state(graph, {"window": 5})
        assert list(state) == list(names)
        for name, array in state.items():
            assert array.dtype == np.dtype(graph.input(name).dtype)
            assert array.shape == tuple(
                5 if size == "window" else size for size in graph.input(name).shape
            )
            assert not array.any()


def test_every_stage_with_steps_says_what_comes_back(tiny_voice: Callable[[str], Path]) -> None:
    stages = manifest_from_directory(tiny_voice("plain")).stages
    assert set(FEEDBACK) == set(RETURNED) >= set(SLIDING)
    for stage, names in RETURNED.items():
        outputs = {tensor.name for tensor in stages[stage].graph.outputs}
        assert outputs == set(names) | set(FEEDBACK[stage].values())
    for stage, name in SLIDING.items():
        assert stages[stage].graph.input(name).shape[0] == "window"


def test_state_of_another_precision_is_cast() -> None:
    """A card's half state goes on in float32 without loss."""
    ours = {"h": np.zeros((2, 3), np.float32), "frame": np.zeros(1, np.float32)}
    half = np.linspace(-3, 3, 6, dtype=np.float16).reshape(2, 3)
    theirs = {"frame": np.ones(1, np.float32), "h": half, "other": np.ones(1)}
    state = state_like(ours, theirs)
    assert list(state) == ["h", "frame"]
    assert {array.dtype for array in state.values()} == {np.dtype(np.float32)}
    assert np.array_equal(state["h"], half.astype(np.float32))
