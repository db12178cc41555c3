"""A report's charts: whole, of the right size, legible, and absent where there is nothing."""

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
from sambert_trt.calibration.assessment import Judgement
from sambert_trt.calibration.canvas import DARK, LIGHT, Look, png_of
from sambert_trt.calibration.figures import Figures, Limits
from sambert_trt.calibration.plots import drawn_charts
from sambert_trt.calibration.report import Example, Report, report_from_json, write_report
from sambert_trt.calibration.spectrograms import drawn_spectrograms
from sambert_trt.engines.graphs import Placement, Stage

CPU = (Placement.CPU,)
CHARTS = {"stages-cpu.png", "quality-cpu.png", "sensitivity-cpu.png"}


def picture(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def names(report: Report) -> set[str]:
    """The charts that there are, once they have been laid out and drawn."""
    found = dict(plots._charts(report, LIGHT))
    for figure in found.values():
        figure.draw_without_rendering()
    return set(found)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report."""
    folder = tmp_path_factory.mktemp("report")
    write_report(folder, fake_report.report(CPU))
    return folder


def with_outcome(**changes: object) -> Report:
    report = fake_report.report(CPU)
    return replace(report, outcomes=(replace(report.outcomes[0], **changes),))  # type: ignore[arg-type]


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
    figure = plots._quality(fake_report.outcome(), look)
    assert figure is not None
    image = picture(png_of(figure)).convert("RGB")
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


def test_dollars_in_names_are_no_formulas() -> None:
    trials = fake_report.trials(Placement.CPU)
    odd = tuple(replace(trial, name="vocoder/$\\bad{$") for trial in trials)
    example = Example(Placement.CPU, 1, "$\\frac{$ _", "typical", fake_report.rendering())
    report = replace(with_outcome(trials=odd), examples=(example,))
    assert names(report) == CHARTS
    assert set(drawn_spectrograms(report, LIGHT)) == {"spectrogram-1-cpu.png"}


def test_written_pictures_are_shown_and_named(written: Path) -> None:
    found = {path.name for path in (written / "pictures").iterdir()}
    assert found == CHARTS | {"spectrogram-2-cpu.png", "spectrogram-4-cpu.png"}
    markdown = (written / "report.md").read_text(encoding="utf-8")
    page = (written / "report.html").read_text(encoding="utf-8")
    assert all(f"](pictures/{name})" in markdown for name in found)
    assert page.count("<img ") == 5
    assert page.count("data:image/webp") == 2
    assert page.count("data:image/png") == 6
    assert "matplotlib is not installed" not in markdown


def test_a_report_that_was_read_back_has_charts(written: Path) -> None:
    text = (written / "report.json").read_text(encoding="utf-8")
    assert names(report_from_json(text)) == CHARTS
