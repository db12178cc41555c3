"""What every form of a report tells alike."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import fake_perf
import pytest
from regression.gate import Status
from regression.html import html
from regression.junit import junit
from regression.markdown import markdown
from regression.record import SuiteOutcome, SuiteStatus
from regression.report import Report
from regression.terminal import result_lines


def one_sided(**values: list[list[float]]) -> Report:
    """A run of one side, with these times of stages by session."""
    found = fake_perf.quiet_record(base=None)
    samples = {f"stage.{n}.seconds": fake_perf.samples_of(v) for n, v in values.items()}
    candidate = replace(found.candidate, values=samples)
    return fake_perf.report(replace(found, candidate=candidate))


def test_one_side_has_the_same_value_everywhere() -> None:
    """The geometric mean of the middle three; the median is 3 ms, the mean 6 ms."""
    report = one_sided(vocoder=[[1e-3, 2e-3, 3e-3, 8e-3, 16e-3]] * 3)
    told = "3.63 ms"
    assert f"stage.vocoder.seconds     {told}" in list(result_lines(report))
    assert f"| one call of a stage `stage.vocoder.seconds` | {told} |" in markdown(report)
    assert f'<td class="number">{told}</td>' in html(report)


def with_others() -> Report:
    """A comparison with two other systems, one of them for whole sentences only."""
    found = fake_perf.quiet_record()
    ratios = {
        "against.torch.total.ratio": fake_perf.samples_of([[4.0, 4.1, 3.9]]),
        "against.torch.length.ratio": fake_perf.samples_of([[2.0, 2.0, 2.0]]),
        "against.torch.vocoder.ratio": fake_perf.samples_of([[1.5, 1.5, 1.5]]),
        "against.other.total.ratio": fake_perf.samples_of([[0.8, 0.8, 0.8]]),
    }
    candidate = replace(found.candidate, values={**found.candidate.values, **ratios})
    return fake_perf.report(replace(found, candidate=candidate))


def test_a_summary_has_other_systems_in_a_table_before_what_is_folded() -> None:
    lines = markdown(with_others()).partition("<details>")[0].splitlines()
    head = lines.index("| stage | other | torch |")
    assert lines[head - 2].startswith("**Beside others**: how many times as long they take")
    assert lines[head + 1 : head + 5] == [
        "|---|--:|--:|",
        "| total | 0.80 | 4.00 |",
        "| length | – | 2.00 |",
        "| vocoder | – | 1.50 |",
    ]
    assert "Beside others" not in markdown(fake_perf.report())


def test_a_page_has_other_systems_before_the_pictures() -> None:
    page = html(with_others())
    section = page[page.index("<h2>Beside others</h2>") : page.index("<svg")]
    rows = [re.sub("<[^>]+>+", " ", row).split() for row in section.split("<tr>")[1:]]
    assert rows[:2] == [["stage", "other", "torch"], ["total", "0.80", "4.00"]]
    assert rows[3][:3] == ["vocoder", "–", "1.50"]
    assert "Beside others" not in html(fake_perf.report())


def test_a_ratio_to_another_system_is_not_told_as_new() -> None:
    tests = ElementTree.fromstring(junit(with_others())).iter("testcase")
    (found,) = (one for one in tests if one.get("name") == "against.torch.total.ratio")
    (skipped,) = found
    told = "torch takes 4.00 times as long (total); shown, not judged"
    assert (skipped.tag, skipped.get("message")) == ("skipped", told)


@pytest.mark.parametrize(
    ("count", "wanted"), [(1, "red: 1 of 1 metric became"), (2, "red: 1 of 2 metrics became")]
)
def test_a_verdict_counts_what_failed_and_of_how_many(count: int, wanted: str) -> None:
    report = fake_perf.report()
    verdicts = [*report.of(Status.WORSE)[:1], *report.of(Status.OK)[: count - 1]]
    outcomes = report.record.outcomes[:1]
    whole = replace(report, verdicts=verdicts, record=replace(report.record, outcomes=outcomes))
    assert whole.headline.startswith(wanted)


def test_the_verdict_names_what_only_one_side_measured() -> None:
    outcomes = (
        SuiteOutcome("stages", SuiteStatus.MEASURED, 40.0),
        SuiteOutcome("plans", SuiteStatus.MEASURED, 4.0, "base: no TensorRT"),
    )
    report = fake_perf.report(replace(fake_perf.quiet_record(), outcomes=outcomes))
    assert report.headline.startswith("not measured: none of")
    assert "suite plans measured on one side" in report.headline
    assert "stages" not in report.headline
