"""Figures of durations."""

from __future__ import annotations

import numpy as np
import pytest

from sambert_trt.calibration.duration_figures import duration_figures
from sambert_trt.calibration.figures import Figures
from sambert_trt.engines.errors import GraphError

DURATIONS = np.array([0, 7, 12, 3, 9], np.int64)


def test_the_same_durations_change_nothing() -> None:
    assert duration_figures(DURATIONS, DURATIONS) == Figures(duration_changes=0, duration_largest=0)


def test_changes_are_counted_and_the_largest_is_named() -> None:
    found = duration_figures(DURATIONS, DURATIONS + np.array([0, 1, 0, -3, 0]))
    assert found == Figures(duration_changes=0.4, duration_largest=3)


def test_another_number_of_symbols_is_refused() -> None:
    with pytest.raises(GraphError, match=r"\[4\].*\[5\]"):
        duration_figures(DURATIONS, DURATIONS[:4])


def test_no_symbols_have_no_figures() -> None:
    assert duration_figures(DURATIONS[:0], DURATIONS[:0]) == Figures()
