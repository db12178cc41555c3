"""The picture of everything tried: which points there are, where, and what they are called."""

from __future__ import annotations

from dataclasses import replace

import fake_report
import pytest

pytest.importorskip("matplotlib", reason="pictures are drawn with matplotlib")

from sambert_trt.calibration import sensitivity_plot
from sambert_trt.calibration.assessment import Outcome, Trial
from sambert_trt.calibration.recipe import StagePlan
from sambert_trt.engines.graphs import Placement, Precision, Stage


def test_broken_trials_lie_beyond_the_picture() -> None:
    outcome = fake_report.outcome()
    points, gained = sensitivity_plot._points(outcome, fake_report.baseline(Placement.CPU))
    assert gained == "time of the stage saved, %"
    names = [point.trial.name for point in points]
    assert "decoder_step" not in names
    assert names.count("vocoder") == 4
    assert {point.trial.kept for point in points} == {True, False}
    best = next(point for point in points if point.trial.plan == fake_report.VOCODER)
    assert best.gain == pytest.approx(54)
    assert best.loss == pytest.approx(100 * 0.212 / 0.3)


def test_names_that_occur_twice_say_which_range() -> None:
    outcome = fake_report.outcome()
    half = Trial(
        Stage.POSTNET,
        "postnet",
        StagePlan(Precision.FP16),
        fake_report.judgement(0.1),
        fake_report.cost(Stage.POSTNET, Placement.CPU, 1.1, 0.5),
        False,
        "slower",
    )
    outcome = replace(outcome, trials=(*outcome.trials, half))
    points, _ = sensitivity_plot._points(outcome, fake_report.baseline(Placement.CPU))
    found = sensitivity_plot._names(points)
    assert len(set(found)) == len(found)
    assert "vocoder w8a8+sums, percentile 99.99" in found
    assert {"vocoder/resblocks.0", "postnet fp16", "postnet w8a8"} <= set(found)


def test_what_was_measured_again_is_one_point() -> None:
    outcome = fake_report.outcome()
    first = outcome.trials[0]
    again = replace(first, cost=replace(first.cost, ratio=0.5))
    trials = (*outcome.trials, again)
    points, _ = sensitivity_plot._points(replace(outcome, trials=trials), {})
    assert [p.gain for p in points if p.trial.name == first.name] == [50]


def test_sizes_of_plans_are_what_a_card_is_planned_by() -> None:
    outcome: Outcome = fake_report.outcome(Placement.TENSORRT)
    base = fake_report.baseline(Placement.TENSORRT)
    points, gained = sensitivity_plot._points(outcome, base)
    best = next(point for point in points if point.trial.plan == fake_report.VOCODER)
    assert gained == "size of the plan saved, MB"
    assert best.gain == pytest.approx(20.7 * 0.69)


def test_sizes_are_of_one_kind() -> None:
    """Where one plan was not built, graphs are compared."""
    outcome = fake_report.outcome(Placement.TENSORRT)
    first, *others = outcome.trials
    trials = (replace(first, cost=replace(first.cost, plan_bytes=None)), *others)
    points, gained = sensitivity_plot._points(
        replace(outcome, trials=trials), fake_report.baseline(Placement.TENSORRT)
    )
    best = next(point for point in points if point.trial.plan == fake_report.VOCODER)
    assert gained == "size of the graph saved, MB"
    assert best.gain == pytest.approx(18.35 * 0.69)
