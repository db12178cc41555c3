"""Numbers that can be worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from demo_voice.measures import Interval, Tally, mean_pitch, ratio_interval


def test_a_rate_counts_syllables_not_sentences() -> None:
    found = ratio_interval([(1, 2), (3, 4)])
    # of two sentences a draw has twice the one, twice the other, or both
    assert found == Interval(4 / 6, 1 / 2, 3 / 4, 2)


def test_one_sentence_has_no_interval() -> None:
    assert ratio_interval([(1, 4)]) == Interval(0.25, 0.25, 0.25, 1)


def test_the_interval_narrows_with_the_sentences() -> None:
    few, many = (ratio_interval([(i % 2, 1) for i in range(count)]) for count in (16, 400))
    assert many.value == few.value == 0.5
    assert many.high - many.low == pytest.approx((few.high - few.low) / 5, rel=0.2)
    # 1.96 standard errors of a fair coin
    assert many.high - many.low == pytest.approx(2 * 1.96 * 0.5 / math.sqrt(400), rel=0.1)


def test_what_was_not_measured_is_left_out() -> None:
    tally = Tally()
    for amount, weight in ((None, 1.0), (math.nan, 1.0), (1.0, 0.0)):
        tally.add("rate", "speech", amount, weight)
    assert tally.intervals() == {}
    tally.add("rate", "speech", 2.0)
    tally.add("rate", "teacher", 3.0, 6.0)
    found = tally.intervals()["rate"]
    assert {side: interval.value for side, interval in found.items()} == {
        "speech": 2.0,
        "teacher": 0.5,
    }


def test_pitch_is_the_mean_of_semitones_of_voiced_frames() -> None:
    plain, octave = np.array([0.0, 100.0, 400.0]), np.array([200.0, 0.0, 800.0])
    low, high = mean_pitch(plain), mean_pitch(octave)
    assert low == pytest.approx(12 * math.log2(200))
    assert low is not None
    assert high == pytest.approx(low + 12)
    assert mean_pitch(np.zeros(3)) is None
