"""Quality budgets: by name, from a line of text, and what is refused."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from sambert_trt.calibration.figures import Figures, Limits
from sambert_trt.calibration.limits import LIMITS, limits_from_text, unmeasured
from sambert_trt.calibration.pooling import BETTER_HIGH
from sambert_trt.engines.errors import InputError

NAMES = [field.name for field in fields(Limits)]


@pytest.mark.parametrize("name", NAMES)
def test_each_budget_is_tighter_than_the_next(name: str) -> None:
    tight, close, loose = (getattr(LIMITS[n], name) for n in ("transparent", "close", "small"))
    if name.removeprefix("worst_") in BETTER_HIGH:
        assert tight >= close >= loose
        assert tight > loose
    else:
        assert tight <= close <= loose
        assert tight < loose


@pytest.mark.parametrize("budget", LIMITS)
def test_a_sentence_may_be_worse_than_the_mean(budget: str) -> None:
    limits = LIMITS[budget]
    assert limits.worst_mcd > limits.mcd  # type: ignore[operator]
    assert limits.worst_pesq < limits.pesq  # type: ignore[operator]


def test_the_default_is_what_the_project_promises() -> None:
    limits = LIMITS["close"]
    assert (limits.mcd, limits.pesq) == (0.3, 3.8)
    assert LIMITS["transparent"].mel_mae == 3e-3
    assert LIMITS["transparent"].mel_lsd_p99 == 0.5
    assert LIMITS["transparent"].duration_changes == 0.01


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("close", LIMITS["close"]),
        (" small ", LIMITS["small"]),
        ("mcd=0.3,pesq=3.8", Limits(mcd=0.3, pesq=3.8)),
        ("close, mcd = 0.5", replace(LIMITS["close"], mcd=0.5)),
        ("close,pesq=off,worst_pesq=off", replace(LIMITS["close"], pesq=None, worst_pesq=None)),
        ("duration_largest=2", Limits(duration_largest=2)),
        ("stoi=1,mcd=0", Limits(stoi=1.0, mcd=0.0)),
    ],
)
def test_a_line_becomes_limits(text: str, wanted: Limits) -> None:
    assert limits_from_text(text) == wanted


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is none of transparent, close, small"),
        ("closed", "'closed' is none of transparent, close, small"),
        ("mdc=0.3", "'mdc=0.3' is no limit.*mel_mae.*worst_pesq"),
        ("close,mcd", "'mcd' is no limit"),
        ("close,", "'' is no limit"),
        ("mcd=0.3,close", "'close' must come first"),
        ("close,small", "'small' must come first"),
        ("mcd=0.3,mcd=0.4", "sets mcd twice"),
        ("mcd=", "mcd=: needs a number from 0, or off"),
        ("mcd=loud", "mcd=loud: needs a number from 0"),
        ("mcd=nan", "needs a number"),
        ("mcd=inf", "needs a number"),
        ("mcd=-0.1", "needs a number from 0"),
        ("pesq=4.7", "from 0 to 4.64"),
        ("stoi=98", "from 0 to 1"),
        ("duration_largest=1.5", "needs a whole number"),
        ("duration_largest=inf", "needs a whole number"),
    ],
)
def test_a_line_that_makes_no_sense_is_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        limits_from_text(text)


def test_what_is_limited_but_was_not_measured_is_named_once() -> None:
    limits = limits_from_text("mcd=0.3,pesq=3.8,worst_pesq=3.5,worst_mcd=0.5,stoi=0.9")
    assert unmeasured(Figures(mcd=0.1), limits) == ("pesq", "stoi")
    assert unmeasured(Figures(mcd=0.1, pesq=4.0, stoi=0.9), limits) == ()


def test_no_limits_ask_for_no_measurement() -> None:
    assert unmeasured(Figures(), Limits()) == ()
