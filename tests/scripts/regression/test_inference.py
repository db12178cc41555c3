"""What a change is estimated as, how wide its interval is, and what the rank test says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from regression.catalogue import Scale
from regression.inference import change_from_samples, middle, trimmed_mean
from regression.record import Samples
from regression.simulation import Noise, made_up, rates

from sambert_trt.engines.errors import InputError


def samples(*sessions: tuple[float, ...]) -> Samples:
    """Values by session."""
    return Samples(sessions)


def pair(effect: float, sessions: int, rounds: int, seed: int = 0) -> tuple[Samples, Samples]:
    """Base and candidate without warm-up and spikes."""
    noise = Noise(jitter=(0.02, 0.02), spikes=0.0, warm_up=(0.0, 1.0))
    return made_up(noise, sessions, rounds, effect, np.random.default_rng(seed))


def test_equal_sides_have_not_changed() -> None:
    same = samples((1.0, 2.0), (3.0, 4.0))
    change = change_from_samples(same, same, Scale.RATIO)
    assert (change.estimate, change.low, change.high) == (1.0, 1.0, 1.0)
    assert (change.sessions, change.rounds) == (2, 4)
    assert change.p == 1.0


def test_the_ratio_is_of_geometric_means_of_pairs() -> None:
    change = change_from_samples(samples((1.0, 10.0)), samples((2.0, 80.0)), Scale.RATIO)
    assert change.estimate == pytest.approx(4.0)


def test_a_difference_is_in_the_unit() -> None:
    sides = samples((100.0,), (200.0,), (300.0,)), samples((105.0,), (206.0,), (304.0,))
    change = change_from_samples(*sides, Scale.DIFFERENCE)
    assert change.estimate == pytest.approx(5.0)
    # Student's t of 5, 6, 4 with two degrees of freedom, which the bootstrap cannot make narrower
    assert change.high - change.estimate == pytest.approx(4.302653 / math.sqrt(3))
    assert change.low == pytest.approx(5.0 - 4.302653 / math.sqrt(3))


def test_sides_that_swap_give_the_inverse() -> None:
    base, candidate = pair(0.2, 4, 6)
    there = change_from_samples(base, candidate, Scale.RATIO)
    back = change_from_samples(candidate, base, Scale.RATIO)
    assert back.estimate == pytest.approx(1 / there.estimate)
    assert back.low == pytest.approx(1 / there.high, rel=0.01)
    assert back.p == there.p


def test_the_same_values_give_the_same_change() -> None:
    sides = pair(0.1, 3, 10)
    assert change_from_samples(*sides, Scale.RATIO) == change_from_samples(*sides, Scale.RATIO)


def test_what_one_session_alone_shows_does_not_bind_the_interval() -> None:
    """Rounds are not independent: sessions that disagree keep the interval wide."""
    agreeing = samples(*(((1.1,) * 25,) * 3))
    torn = samples((1.0,) * 25, (1.1,) * 25, (1.21,) * 25)
    base = samples(*(((1.0,) * 25,) * 3))
    narrow, wide = (
        change_from_samples(base, candidate, Scale.RATIO) for candidate in (agreeing, torn)
    )
    assert narrow.low > 1.06
    assert wide.low < 1.03
    assert wide.estimate == pytest.approx(narrow.estimate)


def test_sessions_may_be_of_different_lengths() -> None:
    base = samples((1.0,) * 25, (1.0,) * 13, (1.0,) * 7)
    candidate = samples((1.1,) * 25, (1.1,) * 13, (1.1,) * 7)
    change = change_from_samples(base, candidate, Scale.RATIO)
    assert change.rounds == 45
    assert change.low < change.estimate == pytest.approx(1.1)
    assert change.low > 1.0


def test_rare_spikes_move_nothing() -> None:
    base = samples(*(((1.0,) * 10,) * 3))
    spiked = samples(*(((1.0,) * 8 + (5.0, 3.0),) * 3))
    assert change_from_samples(base, spiked, Scale.RATIO).estimate == pytest.approx(1.0)
    assert middle(spiked, Scale.RATIO) == pytest.approx(1.0)


def test_of_sessions_of_one_round_a_spiked_one_moves_nothing() -> None:
    base, spiked = samples(*(((1.0,),) * 6)), samples(*(((1.1,),) * 5), (5.0,))
    change = change_from_samples(base, spiked, Scale.RATIO)
    assert change.estimate == pytest.approx(1.1)
    assert middle(spiked, Scale.RATIO) == pytest.approx(1.1)
    # the bootstrap still draws it
    assert change.high > 1.1


@pytest.mark.parametrize(("count", "kept"), [(4, [0, 3]), (5, [1, 3]), (10, [2, 7])])
def test_a_fifth_is_trimmed_at_either_end(count: int, kept: list[int]) -> None:
    values = np.arange(count, dtype=float) ** 2
    expected = values[kept[0] : kept[1] + 1].mean()
    assert trimmed_mean(values[::-1].copy()) == pytest.approx(expected)


def test_one_value_a_side_bounds_nothing() -> None:
    change = change_from_samples(samples((1.0,)), samples((2.0,)), Scale.RATIO)
    assert (change.low, change.high) == (0.0, math.inf)
    assert "nothing says how sure" in change.note


def test_few_processes_are_said() -> None:
    assert "only 3 independent" in change_from_samples(*pair(0.0, 3, 6), Scale.RATIO).note
    assert change_from_samples(*pair(0.0, 5, 6), Scale.RATIO).note == ""


def test_sides_wholly_apart_have_the_least_p_even_with_ties() -> None:
    base, candidate = samples((1.0,), (1.0,), (2.0,)), samples((3.0,), (3.0,), (4.0,))
    change = change_from_samples(base, candidate, Scale.RATIO)
    assert change.p == change.least_p == pytest.approx(2 / 20)


def test_p_is_that_of_the_rank_test() -> None:
    base, candidate = samples((1.0, 2.0, 4.0, 6.0)), samples((3.0, 5.0, 7.0, 8.0))
    # U = 3 of 4 and 4: seven of the seventy orders are at or below it
    assert change_from_samples(base, candidate, Scale.RATIO).p == pytest.approx(2 * 7 / 70)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_a_value_without_a_ratio_is_named(value: float) -> None:
    with pytest.raises(InputError, match=f"{value:g} is no value"):
        change_from_samples(samples((1.0, 1.0)), samples((1.0, value)), Scale.RATIO)


def test_a_difference_takes_zero_and_negative_values() -> None:
    sides = samples((0.0,), (-5.0,)), samples((0.0,), (-5.0,))
    assert change_from_samples(*sides, Scale.DIFFERENCE).estimate == 0.0


def test_a_difference_refuses_what_is_not_finite() -> None:
    with pytest.raises(InputError, match="nan is no value"):
        change_from_samples(samples((-1.0, math.nan)), samples((1.0, 1.0)), Scale.DIFFERENCE)


def test_sides_with_different_rounds_are_refused() -> None:
    with pytest.raises(InputError, match=r"\[2\] and \[1\]"):
        change_from_samples(samples((1.0, 2.0)), samples((1.0,)), Scale.RATIO)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Of 80, 95 % are 76; fewer than 69 would be a chance of one in a thousand."""
    assert rates(3, 8, 0.0, 80, seed=3).covered >= 69 / 80


def test_a_large_slowdown_is_found_and_none_is_not() -> None:
    assert rates(3, 10, 0.0, 20, seed=1).red == 0
    assert rates(3, 10, 0.4, 6, seed=1).red == 1
