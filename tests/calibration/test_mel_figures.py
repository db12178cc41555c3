"""Figures of mels: closed forms, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sambert_trt.calibration.figures import Figures
from sambert_trt.calibration.mel_figures import DB_PER_UNIT, mel_figures
from sambert_trt.engines.errors import GraphError

Mel = NDArray[np.float32]


@pytest.fixture
def mel() -> Mel:
    """A mel that moves: [200, 80]."""
    return np.random.default_rng(1).normal(size=(200, 80)).astype(np.float32)


def test_a_mel_against_itself_is_perfect(mel: Mel) -> None:
    assert mel_figures(mel, mel) == Figures(mel_mae=0, mel_max=0, mel_lsd=0, mel_lsd_p99=0)


def test_a_shift_is_its_own_distance(mel: Mel) -> None:
    found = mel_figures(mel, mel + np.float32(0.25))
    assert found.mel_mae == pytest.approx(0.25, rel=1e-5)
    assert found.mel_max == pytest.approx(0.25, rel=1e-5)
    assert found.mel_lsd == pytest.approx(0.25 * DB_PER_UNIT, rel=1e-5)
    assert found.mel_lsd_p99 == pytest.approx(0.25 * DB_PER_UNIT, rel=1e-5)


def test_a_distance_is_a_root_mean_square_over_channels(mel: Mel) -> None:
    changed = mel.copy()
    changed[:, :20] += 0.5
    found = mel_figures(mel, changed, 10.0)
    assert found.mel_mae == pytest.approx(0.125, rel=1e-5)
    assert found.mel_lsd == pytest.approx(5 * np.sqrt(20 / 80), rel=1e-5)


def test_the_99th_percentile_sees_the_frames_that_the_mean_hides(mel: Mel) -> None:
    changed = mel.copy()
    changed[:4] += 2
    found = mel_figures(mel, changed, 10.0)
    assert found.mel_lsd == pytest.approx(0.4, rel=1e-5)
    assert found.mel_lsd_p99 == pytest.approx(20, rel=1e-5)


def test_each_channel_may_have_its_own_scale(mel: Mel) -> None:
    scale = np.linspace(4, 16, 80)
    found = mel_figures(mel, mel - np.float32(1), scale)
    assert found.mel_lsd == pytest.approx(np.sqrt(np.square(scale).mean()), rel=1e-5)


@pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_what_is_not_finite_is_broken_and_has_no_figures(mel: Mel, value: float, name: str) -> None:
    changed = mel.copy()
    changed[3, 4:6] = value
    assert mel_figures(mel, changed) == Figures(broken=f"{name} in the mel: 2 of 16000 values")


def test_a_constant_has_collapsed(mel: Mel) -> None:
    constant = np.broadcast_to(mel[:1], mel.shape) + mel * np.float32(0.1)
    found = mel_figures(mel, constant)
    assert found.broken == "collapsed: the mel keeps 1.0% of its variance over time"
    assert found.mel_mae is not None


def test_a_mel_that_keeps_its_movement_has_not_collapsed(mel: Mel) -> None:
    assert not mel_figures(mel, mel * np.float32(0.3)).broken


def test_one_frame_cannot_collapse(mel: Mel) -> None:
    assert mel_figures(mel[:1], mel[1:2]).broken == ""


def test_other_shapes_are_refused(mel: Mel) -> None:
    with pytest.raises(GraphError, match=r"\[199, 80\].*\[200, 80\].*same durations"):
        mel_figures(mel, mel[:-1])


def test_a_reference_that_is_not_finite_is_refused(mel: Mel) -> None:
    with pytest.raises(GraphError, match="fp32's own mel is not finite"):
        mel_figures(np.full_like(mel, np.nan), mel)


def test_no_frames_have_no_figures() -> None:
    nothing = np.zeros((0, 80), np.float32)
    assert mel_figures(nothing, nothing) == Figures()
