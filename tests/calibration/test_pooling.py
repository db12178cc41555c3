"""Many figures become one."""

from __future__ import annotations

from dataclasses import fields
from math import isnan

import pytest

from sambert_trt.calibration.assessment import Worst
from sambert_trt.calibration.figures import Figures
from sambert_trt.calibration.pooling import BETTER_HIGH, MEASURES, merged, pooled, worst
from sambert_trt.engines.errors import InputError

SENTENCES = (
    Figures(mcd=0.1, pesq=4.5, duration_changes=0.0, duration_largest=0, mel_max=0.5),
    Figures(mcd=0.4, pesq=3.5, duration_changes=0.5, duration_largest=3, mel_max=0.2),
    Figures(mcd=0.1, duration_changes=0.0, duration_largest=1, mel_max=0.1),
)
TEXTS = ("一", "二", "三")


def test_every_number_is_a_measure_with_a_direction() -> None:
    assert {*MEASURES, "broken"} == {field.name for field in fields(Figures)}
    assert set(MEASURES) >= BETTER_HIGH


def test_merged_takes_every_figure_from_whoever_measured_it() -> None:
    found = merged(Figures(mcd=0.3), Figures(mel_mae=0.01, mcd=0.5), Figures(duration_largest=2))
    assert found == Figures(mcd=0.3, mel_mae=0.01, duration_largest=2)


def test_merged_names_every_damage() -> None:
    found = merged(Figures(broken="NaN in the mel"), Figures(), Figures(broken="silent"))
    assert found.broken == "NaN in the mel; silent"


def test_pooled_means_and_the_largest() -> None:
    found = pooled(SENTENCES)
    assert found.mcd == pytest.approx(0.2)
    assert found.pesq == pytest.approx(4.0)
    assert found.mel_max == 0.5
    assert found.duration_largest == 3
    assert found.duration_changes == pytest.approx(1 / 6)
    assert found.stoi is None
    assert found.broken == ""


def test_duration_changes_are_a_fraction_of_all_symbols() -> None:
    found = pooled(SENTENCES, symbols=(30, 10, 60))
    assert found.duration_changes == pytest.approx(0.05)
    assert found.mcd == pytest.approx(0.2)


def test_the_first_broken_sentence_is_told() -> None:
    found = pooled([*SENTENCES, Figures(broken="silent"), Figures(broken="NaN in the wave")])
    assert found.broken == "sentence 3: silent"


def test_nothing_pooled_is_nothing_measured() -> None:
    assert pooled([]) == Figures()


def test_the_worst_sentence_by_the_direction_of_each_figure() -> None:
    found = worst(SENTENCES, TEXTS)
    assert found["mcd"] == Worst(1, "二", 0.4)
    assert found["pesq"] == Worst(1, "二", 3.5)
    assert found["mel_max"] == Worst(0, "一", 0.5)
    assert set(found) == {"mcd", "pesq", "mel_max", "duration_changes", "duration_largest"}


@pytest.mark.parametrize(
    "call", [lambda: worst(SENTENCES, TEXTS[:2]), lambda: pooled(SENTENCES, (1,))]
)
def test_one_of_each_is_asked_for(call: object) -> None:
    assert callable(call)
    with pytest.raises(InputError, match="give one for each"):
        call()


def test_what_is_no_number_is_the_worst_and_the_largest() -> None:
    nan = float("nan")
    for found in ((0.1, nan, 0.9), (nan, 0.1, 0.9)):
        sentences = [Figures(mcd=value, pesq=value, mel_max=value) for value in found]
        for name in ("mcd", "pesq"):
            assert isnan(worst(sentences, TEXTS)[name].value)
        assert isnan(pooled(sentences).mel_max or 0.0)
