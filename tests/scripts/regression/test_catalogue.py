"""The metrics file is read strictly, and a measured name finds its metric."""

from __future__ import annotations

from pathlib import Path

import pytest
from regression.catalogue import Better, Gate, Scale, catalogue_from_file
from regression.registry import SUITES

from sambert_trt.engines.errors import InputError

LINE = """
[[metric]]
name = "stage.{stage}.seconds"
suite = "stages"
title = "a call"
unit = "s"
gate = "paired"
tolerance = 0.04
how = "by hand"
"""


def read(text: str, tmp_path: Path) -> None:
    """Reads such a file."""
    path = tmp_path / "metrics.toml"
    path.write_text(text, encoding="utf-8")
    catalogue_from_file(path)


def test_a_line_has_what_is_usual(tmp_path: Path) -> None:
    path = tmp_path / "metrics.toml"
    path.write_text(LINE, encoding="utf-8")
    metric = catalogue_from_file(path).metrics[0]
    assert (metric.better, metric.gate, metric.scale) == (
        Better.LOWER,
        Gate.PAIRED,
        Scale.RATIO,
    )
    assert (metric.tolerance, metric.look) == (0.04, "")
    assert (metric.optional, metric.method) == ("", 1)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (LINE.replace("title", "titel"), "titel, title missing or unknown"),
        (LINE.replace('unit = "s"', ""), "unit missing"),
        (LINE.replace('"paired"', '"pared"'), "'pared' is not a valid Gate"),
        (LINE.replace("0.04", "-1"), "tolerance -1 is no number"),
        (LINE.replace("0.04", '"4 %"'), "is no number"),
        (LINE.replace("0.04", "true"), "tolerance True is no number"),
        (LINE.replace("0.04", "nan"), "tolerance nan is no number"),
        (LINE + "optional = true", "optional True is no reason"),
        (LINE + "method = 0", "method 0 is no whole number from 1 on"),
        (LINE + "method = true", "method True is no whole number"),
        (LINE + "method = 1.5", "method 1.5 is no whole number"),
        (LINE + LINE, "stands there twice"),
        ("[[metric]", "holds no metrics"),
    ],
)
def test_a_line_that_is_wrong_is_named(text: str, named: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        read(text, tmp_path)
    assert named in str(refused.value)


BAND = """
[[band]]
metric = "stage.vocoder.seconds"
weights = "0123456789"
least = 1
most = 2.5
why = "because"
"""
SAME = LINE.replace('"paired"', '"limit"')


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (LINE + BAND, "stage.vocoder.seconds varies from run to run"),
        (
            SAME + BAND.replace("vocoder.seconds", "vocoder.bytes"),
            "no metric 'stage.vocoder.bytes'",
        ),
        (SAME + BAND.replace("why", "because"), "because, why missing or unknown"),
        (SAME + BAND.replace("0123456789", "0123"), "weights '0123'; give 8 digits or more"),
        (SAME + BAND.replace("2.5", "0.5"), "1 to 0.5 holds nothing"),
        (SAME + BAND.replace("2.5", "nan"), "1 to nan are no numbers"),
        (SAME + BAND.replace("2.5", '"2"'), "1 to '2' are no numbers"),
    ],
)
def test_a_band_that_is_wrong_is_named(text: str, named: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        read(text, tmp_path)
    assert named in str(refused.value)


def test_a_band_is_of_one_metric_and_one_voice(tmp_path: Path) -> None:
    path = tmp_path / "metrics.toml"
    path.write_text(SAME + BAND, encoding="utf-8")
    catalogue = catalogue_from_file(path)
    band = catalogue.band("stage.vocoder.seconds", "0123456789abcdef")
    assert band is not None
    assert [value for value in (0.9, 1.0, 2.5, 2.6, float("nan")) if band.holds(value)] == [1, 2.5]
    assert catalogue.band("stage.postnet.seconds", "0123456789abcdef") is None
    assert catalogue.band("stage.vocoder.seconds", "0123") is None
    assert catalogue.without_gates(["stage.{stage}.seconds"]).bands == catalogue.bands


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml holds no metrics"):
        catalogue_from_file(tmp_path / "none.toml")


def test_a_measured_name_is_of_the_first_metric_that_matches() -> None:
    catalogue = catalogue_from_file()
    assert catalogue.metric("stage.vocoder.seconds").name == "stage.{stage}.seconds"
    assert catalogue.metric("card.step.decoder_step_fp16_as_a_cuda_graph_ms").gate is Gate.LIMIT
    assert catalogue.metric("card.step.decoder_step_fp16_onnx_runtime_cpu_ms").gate is Gate.NONE
    for name in ("stage.seconds", "stage.a.b.seconds", "stage..seconds", "xstage.a.seconds"):
        with pytest.raises(InputError, match="no metric"):
            catalogue.metric(name)


def test_names_are_ordered_as_the_catalogue_is() -> None:
    names = ["stage.vocoder.seconds", "install.bytes", "stage.postnet.seconds", "voice.bytes"]
    assert catalogue_from_file().ordered(names) == [
        *("install.bytes", "voice.bytes", "stage.postnet.seconds", "stage.vocoder.seconds"),
    ]


def test_what_a_suite_did_not_give_is_lacking() -> None:
    catalogue = catalogue_from_file()
    assert catalogue.lacking("stages", []) == ["stage.{stage}.seconds"]
    assert catalogue.lacking("stages", ["stage.vocoder.seconds"]) == []
    assert catalogue.lacking("memory", ["memory.peak", "memory.growth"]) == ["memory.steady"]


def test_a_name_stands_for_the_first_metric_that_matches_alone(tmp_path: Path) -> None:
    path = tmp_path / "metrics.toml"
    special = LINE.replace("stage.{stage}.seconds", "stage.vocoder.seconds")
    path.write_text(special + LINE, encoding="utf-8")
    catalogue = catalogue_from_file(path)
    assert catalogue.lacking("stages", ["stage.vocoder.seconds"]) == ["stage.{stage}.seconds"]


def test_only_methods_that_are_not_the_first_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "metrics.toml"
    path.write_text(LINE + "method = 3" + LINE.replace("seconds", "bytes"), encoding="utf-8")
    assert catalogue_from_file(path).methods == {"stage.{stage}.seconds": 3}


def test_every_metric_is_of_a_suite_and_says_where_to_look() -> None:
    suites = {suite.name for suite in SUITES} | {"card"}
    for metric in catalogue_from_file().metrics:
        assert metric.suite in suites, metric.name
        assert metric.title, metric.name
        assert metric.how, metric.name
        assert metric.look or metric.gate is Gate.NONE, metric.name


def test_tolerances_that_nobody_judges_by_are_nothing() -> None:
    for metric in catalogue_from_file().metrics:
        if metric.gate is Gate.NONE:
            assert metric.tolerance == 0, metric.name
        if metric.gate is Gate.PAIRED:
            assert metric.tolerance > 0, metric.name
        if metric.scale is Scale.RATIO and metric.better is Better.HIGHER:
            assert metric.tolerance < 1, metric.name
