"""A report's pictures: whole, of the right size, legible, and absent where there is nothing."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import fake_report
import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="pictures are drawn with matplotlib")

from PIL import Image

from sambert_trt.calibration import plots
from sambert_trt.calibration.assessment import Judgement, Outcome, Trial
from sambert_trt.calibration.figures import Figures, Limits
from sambert_trt.calibration.plots import (
    DARK,
    LIGHT,
    Look,
    compacted,
    drawn_charts,
    drawn_spectrograms,
    power_spectrogram,
)
from sambert_trt.calibration.recipe import StagePlan
from sambert_trt.calibration.report import Example, Report, report_from_json, write_report
from sambert_trt.engines.graphs import Placement, Precision, Stage

CPU = (Placement.CPU,)
CHARTS = {"stages-cpu.png", "quality-cpu.png", "sensitivity-cpu.png"}


def picture(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def with_outcome(**changes: object) -> Report:
    report = fake_report.report(CPU)
    return replace(report, outcomes=(replace(report.outcomes[0], **changes),))  # type: ignore[arg-type]


def names(report: Report) -> set[str]:
    return set(drawn_charts(report, LIGHT))


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2."""
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def contrast(first: str, second: str) -> float:
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_every_placement_has_its_charts() -> None:
    found = drawn_charts(fake_report.report(), LIGHT)
    assert set(found) == CHARTS | {name.replace("cpu", "tensorrt") for name in CHARTS}
    for content in found.values():
        image = picture(content)
        assert image.format == "PNG"
        assert image.width == 1400
        assert 400 <= image.height <= 1000
        assert len(np.unique(np.asarray(image.convert("L")))) > 20


@pytest.mark.parametrize("look", [LIGHT, DARK], ids=["light", "dark"])
def test_a_chart_stands_on_the_colour_of_its_page(look: Look) -> None:
    image = picture(drawn_charts(fake_report.report(CPU), look)["quality-cpu.png"]).convert("RGB")
    page = tuple(int(look.page[i : i + 2], 16) for i in (1, 3, 5))
    corners = ((0, 0), (image.width - 1, 0), (0, image.height - 1))
    assert all(image.getpixel(corner) == page for corner in corners)


@pytest.mark.parametrize("look", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_are_told_apart_without_colour(look: Look) -> None:
    assert contrast(look.text, look.page) > 7
    assert contrast(look.soft, look.page) > 4.5
    assert contrast(look.after, look.page) > 3
    assert contrast(look.bad, look.page) > 3
    assert contrast(look.after, look.before) > 2


def test_examples_have_spectrograms() -> None:
    found = drawn_spectrograms(fake_report.report(CPU), LIGHT)
    assert set(found) == {"spectrogram-2-cpu.png", "spectrogram-4-cpu.png"}
    assert {picture(content).size for content in found.values()} == {(1100, 902)}


def test_renderings_of_other_lengths_are_drawn() -> None:
    made = fake_report.rendering()
    longer = np.concatenate([made.candidate, np.full(400, np.nan, np.float32)])
    assert plots._shift(made) == ""
    assert plots._shift(replace(made, candidate=longer)) == " (it lasts 0.025 s longer)"
    assert plots._shift(replace(made, candidate=longer[:4000])) == " (it lasts 0.250 s less)"
    example = Example(Placement.CPU, 1, "", "typical", replace(made, candidate=longer))
    report = replace(fake_report.report(CPU), examples=(example,))
    assert set(drawn_spectrograms(report, LIGHT)) == {"spectrogram-1-cpu.png"}


def test_nothing_to_show_is_no_picture() -> None:
    assert names(with_outcome(trials=())) == CHARTS - {"sensitivity-cpu.png"}
    assert names(with_outcome(limits=Limits())) == {"stages-cpu.png"}
    assert names(with_outcome(candidates={})) == CHARTS - {"stages-cpu.png"}
    unjudged = tuple(replace(t, judgement=None) for t in fake_report.trials(Placement.CPU))
    assert names(with_outcome(trials=unjudged)) == CHARTS - {"sensitivity-cpu.png"}
    empty = Example(Placement.CPU, 1, "", "typical", None)
    assert drawn_spectrograms(replace(fake_report.report(CPU), examples=(empty,)), LIGHT) == {}


def test_stages_that_were_not_measured_are_drawn() -> None:
    """Neither a baseline, nor times, nor sizes of plans."""
    assert names(replace(fake_report.report(CPU), baseline={})) == CHARTS
    trials = fake_report.trials(Placement.CPU)
    some = [
        replace(t, cost=replace(t.cost, ratio=None)) if t.stage is Stage.POSTNET else t
        for t in trials
    ]
    assert names(with_outcome(trials=tuple(some))) == CHARTS


def test_figures_far_beyond_their_limits_are_drawn() -> None:
    whole = Judgement(Figures(mcd=300.0, pesq=-0.5, mel_mae=float("nan")), {}, ())
    assert "quality-cpu.png" in names(with_outcome(whole=whole))


def test_broken_trials_lie_beyond_the_picture() -> None:
    outcome = fake_report.outcome()
    points, gained = plots._points(outcome, fake_report.baseline(Placement.CPU))
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
    points, _ = plots._points(outcome, fake_report.baseline(Placement.CPU))
    found = plots._names(points)
    assert len(set(found)) == len(found)
    assert "vocoder w8a8+sums, percentile 99.99" in found
    assert {"vocoder/resblocks.0", "postnet fp16", "postnet w8a8"} <= set(found)


def test_what_was_measured_again_is_one_point() -> None:
    outcome = fake_report.outcome()
    first = outcome.trials[0]
    again = replace(first, cost=replace(first.cost, ratio=0.5))
    trials = (*outcome.trials, again)
    points, _ = plots._points(replace(outcome, trials=trials), {})
    assert [p.gain for p in points if p.trial.name == first.name] == [50]


def test_dollars_in_names_are_no_formulas() -> None:
    trials = fake_report.trials(Placement.CPU)
    odd = tuple(replace(trial, name="vocoder/$\\bad{$") for trial in trials)
    example = Example(Placement.CPU, 1, "$\\frac{$ _", "typical", fake_report.rendering())
    report = replace(with_outcome(trials=odd), examples=(example,))
    assert names(report) == CHARTS
    assert set(drawn_spectrograms(report, LIGHT)) == {"spectrogram-1-cpu.png"}


def test_a_sentence_is_named_only_where_a_font_has_its_characters() -> None:
    example = Example(Placement.CPU, 3, "plain\x00 words", "typical")
    text, font = plots._title(example)
    assert text == "Sentence 3: plain words"
    assert font is not None
    assert plots._title(replace(example, text="\U000f0000"))[0] == "Sentence 3"
    assert plots._title(replace(example, text="a" * 99))[0] == f"Sentence 3: {'a' * 39}…"


def test_a_spectrogram_has_seconds_hertz_and_decibels() -> None:
    rate, hertz = 16000, 2000
    wave = np.sin(2 * np.pi * hertz * np.arange(rate) / rate).astype(np.float32)
    found = power_spectrogram(wave)
    assert found.shape[0] == 513
    assert abs(found.shape[1] - rate / 256) <= 2
    middle = found[:, found.shape[1] // 2]
    assert int(middle.argmax()) == hertz * 1024 // rate
    assert middle.max() == pytest.approx(0, abs=0.1)
    assert power_spectrogram(np.zeros(5, np.float32)).max() == -80
    assert np.isfinite(power_spectrogram(np.full(5, np.nan, np.float32))).all()


def test_compacted_pictures_are_the_same_and_smaller() -> None:
    png = drawn_spectrograms(fake_report.report(CPU), LIGHT)["spectrogram-4-cpu.png"]
    webp = compacted(png)
    assert len(webp) < len(png)
    before, after = (np.asarray(picture(c).convert("RGB"), np.float32) for c in (png, webp))
    assert np.abs(before - after).mean() < 8


def test_written_pictures_are_shown_and_named(tmp_path: Path) -> None:
    write_report(tmp_path, fake_report.report(CPU))
    found = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert found == CHARTS | {"spectrogram-2-cpu.png", "spectrogram-4-cpu.png"}
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert all(f"](pictures/{name})" in markdown for name in found)
    assert page.count("<img ") == 5
    assert page.count("data:image/webp") == 2
    assert page.count("data:image/png") == 6
    assert "matplotlib is not installed" not in markdown


def test_a_report_that_was_read_back_has_charts(tmp_path: Path) -> None:
    write_report(tmp_path / "a", fake_report.report(CPU))
    text = (tmp_path / "a" / "report.json").read_text(encoding="utf-8")
    assert names(report_from_json(text)) == CHARTS


def test_sizes_of_plans_are_what_a_card_is_planned_by() -> None:
    outcome: Outcome = fake_report.outcome(Placement.TENSORRT)
    base = fake_report.baseline(Placement.TENSORRT)
    points, gained = plots._points(outcome, base)
    best = next(point for point in points if point.trial.plan == fake_report.VOCODER)
    assert gained == "size of the plan saved, MB"
    assert best.gain == pytest.approx(20.7 * 0.69)


def test_sizes_are_of_one_kind() -> None:
    """Where one plan was not built, graphs are compared."""
    outcome = fake_report.outcome(Placement.TENSORRT)
    first, *others = outcome.trials
    trials = (replace(first, cost=replace(first.cost, plan_bytes=None)), *others)
    points, gained = plots._points(
        replace(outcome, trials=trials), fake_report.baseline(Placement.TENSORRT)
    )
    best = next(point for point in points if point.trial.plan == fake_report.VOCODER)
    assert gained == "size of the graph saved, MB"
    assert best.gain == pytest.approx(18.35 * 0.69)
