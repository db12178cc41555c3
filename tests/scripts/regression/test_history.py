"""Trends as text, and what explain says: machines stay apart, gaps and old lines are named."""

from __future__ import annotations

from dataclasses import replace

import fake_perf
import pytest
from regression.bands import Band
from regression.catalogue import catalogue_from_file
from regression.explain import explained, listed_metrics, meant
from regression.history import history_lines, matching, trends
from regression.store import History

from sambert_trt.engines.errors import InputError

CATALOGUE = catalogue_from_file()


def lines(records: int = 6, pattern: str | None = "stage.vocoder.seconds") -> list[str]:
    return list(history_lines(History(fake_perf.history(records)), CATALOGUE, pattern))


def test_each_machine_has_its_own_line_in_order() -> None:
    found = lines()
    machines = [line for line in found if line.startswith("  Processor")]
    assert [line.rsplit(": ", 1)[1] for line in machines] == ["2 runs", "4 runs"]
    days = [line.split()[0] for line in found if line.startswith("    2026")]
    assert days == [f"2026-01-{day:02}" for day in (1, 4, 2, 3, 5, 6)]


def test_another_voice_or_precision_is_another_line() -> None:
    one, two = fake_perf.history(2)
    side = replace(two.candidate, identity=replace(fake_perf.identity(), precision="int8"))
    records = (one, replace(two, candidate=side, machine=one.machine))
    found = history_lines(History(records), CATALOGUE, "stage.vocoder.seconds")
    assert len([line for line in found if line.startswith("  Processor")]) == 2


def measured_otherwise(method: int = 2) -> History:
    """Four runs of one machine, the last two of another method for the time of a stage."""
    early, late = fake_perf.history(4)[:2], fake_perf.history(4)[2:]
    methods = {"stage.{stage}.seconds": method}
    late = tuple(replace(it, candidate=replace(it.candidate, methods=methods)) for it in late)
    return History(tuple(replace(it, machine=fake_perf.MACHINE) for it in (*early, *late)))


def test_another_method_is_another_line_of_its_metric_alone() -> None:
    for name, runs in (("stage.vocoder.seconds", ["2", "2"]), ("text.rate", ["4"])):
        found = history_lines(measured_otherwise(), CATALOGUE, name)
        heads = [line for line in found if line.startswith("  Processor")]
        assert [line.rsplit(": ", 1)[1].split()[0] for line in heads] == runs
        assert [line.endswith("; method 2: 2 runs") for line in heads[1:]] == [True] * len(runs[1:])


def test_the_picture_of_a_trend_does_not_join_methods() -> None:
    name = "stage.vocoder.seconds"
    alike, other = (
        "\n".join(trends(measured_otherwise(method).records, CATALOGUE, [name]))
        for method in (1, 2)
    )
    assert (alike.count("<polyline"), other.count("<polyline")) == (1, 2)
    assert "method 2" in other


def test_runs_are_in_the_order_of_time_however_they_were_appended() -> None:
    backwards = History(tuple(reversed(fake_perf.history(6))))
    assert list(history_lines(backwards, CATALOGUE, "stage.vocoder.seconds")) == lines()


def test_lines_of_another_schema_are_named() -> None:
    history = History(fake_perf.history(1), ("line 2: schema 0",))
    assert next(iter(history_lines(history, CATALOGUE, "stage.*"))) == "left out: line 2: schema 0"


@pytest.mark.parametrize("pattern", ["stage", "stage.*", "stage.{stage}.seconds"])
def test_a_pattern_means_several(pattern: str) -> None:
    names = matching(fake_perf.history(1), CATALOGUE, pattern)
    assert names == [f"stage.{stage}.seconds" for stage in ("decoder_step", "postnet", "vocoder")]


def test_a_metric_the_catalogue_no_longer_has_is_left_out() -> None:
    (record,) = fake_perf.history(1)
    values = {**record.candidate.values, "gone.since": fake_perf.samples_of([[1.0]])}
    records = (replace(record, candidate=replace(record.candidate, values=values)),)
    assert "gone.since" not in matching(records, CATALOGUE, None)


def test_a_history_without_the_metric_says_what_it_holds() -> None:
    with pytest.raises(InputError, match=r"no metric 'nope'.*stage.\{stage\}.seconds"):
        lines(pattern="nope")


def test_explain_says_all_there_is_to_know() -> None:
    (metric,) = meant(CATALOGUE, "stage.vocoder.seconds")
    words = "\n".join(explained(CATALOGUE, [metric], "stage.vocoder.seconds", None))
    for part in (metric.title, metric.how, metric.look, "less is better", "worse by 4 %"):
        assert part in words
    assert "--suite stages" in words


def test_explain_says_why_a_metric_may_lack() -> None:
    for name, told in (("memory.device.peak", True), ("memory.peak", False)):
        metrics = meant(CATALOGUE, name)
        words = "\n".join(explained(CATALOGUE, metrics, name, None))
        assert ("  given     only with a card" in words) is told


def test_explain_names_a_method_that_is_not_the_first() -> None:
    (metric,) = meant(CATALOGUE, "memory.peak")
    for method, told in ((1, False), (2, True)):
        changed = replace(metric, method=method)
        words = explained(CATALOGUE, [changed], "memory.peak", None)
        assert any(line.startswith("  method    2: ") for line in words) is told


def test_explain_names_the_bands_of_a_metric() -> None:
    band = Band("stage.vocoder.seconds", "01234567", 0.001, 0.0025, "it was so")
    catalogue = replace(CATALOGUE, bands=(band,))
    words = [
        line
        for name in ("stage.vocoder.seconds", "memory.peak")
        for line in explained(catalogue, meant(catalogue, name), name, None)
        if line.startswith("  lies in")
    ]
    assert words == [
        "  lies in   1 ms to 2.50 ms, stage.vocoder.seconds of the weights 01234567, whatever the "
        "base has: it was so"
    ]


def test_explain_shows_last_values() -> None:
    name = "stage.vocoder.seconds"
    history = History(fake_perf.history(2))
    words = list(explained(CATALOGUE, meant(CATALOGUE, name), name, history))
    assert "last values:" in words
    assert any(line.startswith("    2026-01-02") and line.endswith(" ms") for line in words)


def test_explain_means_a_name_a_template_or_a_pattern() -> None:
    assert [m.name for m in meant(CATALOGUE, "memory")][:2] == ["memory.peak", "memory.steady"]
    assert meant(CATALOGUE, "stage.{stage}.seconds") == meant(CATALOGUE, "stage.a.seconds")
    with pytest.raises(InputError, match=r"did you mean .*stage\."):
        meant(CATALOGUE, "stages.vocoder.second")


def test_every_metric_can_be_explained_and_is_listed() -> None:
    listed = list(listed_metrics(CATALOGUE))
    assert len(listed) == len(CATALOGUE.metrics)
    for metric in CATALOGUE.metrics:
        assert meant(CATALOGUE, metric.name) == [metric]
        first = next(iter(explained(CATALOGUE, [metric], metric.name, None)))
        assert first.startswith(metric.name)


def test_numbers_of_a_card_are_not_a_suite_to_compare() -> None:
    (metric,) = meant(CATALOGUE, "card.contexts.context_bytes")
    words = list(explained(CATALOGUE, [metric], metric.name, None))
    assert any("python scripts/perf.py card REPORT" in line for line in words)


def of_versions(*versions: dict[str, str]) -> History:
    """Runs of one machine with these versions of Python and packages."""
    machines = (
        {**fake_perf.MACHINE, "python": it.get("python", "3.11"), "versions": it} for it in versions
    )
    runs = zip(fake_perf.history(len(versions)), machines, strict=True)
    return History(tuple(replace(run, machine=machine) for run, machine in runs))


def test_a_line_says_where_versions_change() -> None:
    old, new = {"numpy": "2.0", "sambert-trt": "1"}, {"numpy": "2.1", "sambert-trt": "2"}
    history = of_versions(old, old, new, {**new, "onnx": "1.21", "python": "3.12"})
    found = list(history_lines(history, CATALOGUE, "stage.vocoder.seconds"))
    head, *runs = [line for line in found if line.startswith("  ")]
    assert head.endswith(": 4 runs")
    assert [line.endswith("ms") for line in runs] == [True, True, False, False]
    assert runs[2].endswith(" ms  numpy 2.0 -> 2.1")
    assert "onnx none -> 1.21, python 3.11 -> 3.12" in runs[3]
    page = "\n".join(trends(history.records, CATALOGUE, ["stage.vocoder.seconds"]))
    assert "<p>from 2026-01-03 03:04 on, numpy 2.0 -&gt; 2.1 (Processor of tests" in page
    assert page.count("numpy 2.0") == 1


def test_a_line_of_one_version_says_nothing_of_it() -> None:
    same = {"numpy": "2.0"}
    found = "\n".join(history_lines(of_versions(same, same), CATALOGUE, "stage.vocoder.seconds"))
    assert "numpy" not in found
