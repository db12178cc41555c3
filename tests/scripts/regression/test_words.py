"""Values, changes and tolerances in words: units, digits, signs."""

from __future__ import annotations

import pytest
from regression.catalogue import Better, Gate, Metric, Scale
from regression.words import change, duration, flattened, interval, one_line, quantity, tolerance


def metric(scale: Scale = Scale.RATIO, unit: str = "s", tolerated: float = 0.04) -> Metric:
    return Metric("a.b", "s", "t", unit, Better.LOWER, Gate.PAIRED, scale, tolerated, "how", "look")


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (0.00421, "s", "4.21 ms"),
        (0.000608, "s", "608 µs"),
        (12.5, "s", "12.50 s"),
        (1_834_112, "B", "1.83 MB"),
        (999, "B", "999 B"),
        (0, "B", "0 B"),
        (-3_000_000, "B", "-3 MB"),
        (12_345, "", "12,345"),
        (2.5e9, "FLOP", "2.50 GFLOP"),
        (0.05, "dB", "0.0500 dB"),
        (None, "s", "–"),
        (float("nan"), "s", "not finite"),
    ],
)
def test_values_stand_in_the_step_that_suits_them(
    value: float | None, unit: str, words: str
) -> None:
    assert quantity(value, unit) == words


def test_a_ratio_is_told_in_per_cent_and_a_difference_in_its_unit() -> None:
    assert change(metric(), 1.102) == "+10.2 %"
    assert change(metric(), 0.9) == "−10.0 %"
    assert change(metric(), 1.0) == "±0.0 %"
    assert change(metric(), 3.0) == "+200 %"
    assert change(metric(Scale.DIFFERENCE, "B"), -2_500_000) == "−2.50 MB"
    assert interval(metric(), 1.081, 1.124) == "+8.1 to +12.4 %"
    assert interval(metric(), None, None) == "–"


def test_a_tolerance_of_nothing_is_said() -> None:
    assert tolerance(metric()) == "4 %"
    assert tolerance(metric(tolerated=0)) == "nothing"
    assert tolerance(metric(Scale.DIFFERENCE, "B", 200_000)) == "200 kB"
    assert tolerance(metric(Scale.DIFFERENCE, "", 1e-5)) == "1e-05"


def test_text_of_measured_code_becomes_one_plain_line() -> None:
    assert one_line("a\n\x1b[31mb\x1b[0m\x00\u202ec ") == "a b c"


def test_facts_are_flat_and_none_are_a_dash() -> None:
    facts = {"load": [0.1, 2], "gpu": {"0": {"name": "A"}}, "limits": None}
    assert flattened(facts) == [("load", "0.1 2"), ("gpu.0.name", "A"), ("limits", "–")]


def test_durations_beyond_a_minute_have_minutes() -> None:
    assert duration(4.21) == "4.2 s"
    assert duration(192) == "3 min 12 s"
