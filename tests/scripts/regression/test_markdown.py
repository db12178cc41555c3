"""The summary of a pull request: what a reader sees first, and that no text becomes markup."""

from __future__ import annotations

import re
from dataclasses import replace

import fake_perf
import pytest
from regression.gate import ExitStatus, Status
from regression.markdown import MOST, escaped, markdown
from regression.record import SuiteOutcome, SuiteStatus
from regression.report import Report, unsteady

BAD_LINES = f"\n{fake_perf.BAD}" * 1000


def test_the_verdict_stands_first_and_failures_before_the_rest() -> None:
    text = markdown(fake_perf.report())
    lines = text.splitlines()
    assert lines[0] == "## perf: red"
    assert "3 of 12 metrics became worse" in lines[2]
    assert "stage.vocoder.seconds +12.1 %" in lines[2]
    failures, folded = text.split("<details>", 1)
    assert "| **worse** | one call of a stage `stage.vocoder.seconds` | 4.27 ms |" in failures
    assert "+12.1 % | +11.1 to +13.0 % | 4 % | graph.vocoder.kernels" in failures
    assert "| **missing** |" in failures
    assert "`voice.bytes`" not in failures
    assert "`voice.bytes`" in folded


def test_better_undecided_and_new_are_named() -> None:
    text = markdown(fake_perf.report())
    assert "Better: `install.bytes` −6.4 %, `stage.postnet.seconds`" in text
    assert "Undecided: `speech.first.seconds`" in text
    assert "New: `calls.text`" in text


def test_crashes_skips_machine_and_suites_are_told() -> None:
    text = markdown(fake_perf.report())
    assert "**suite load crashed**: base: ended by SIGSEGV" in text
    assert "suite plans was skipped: TensorRT for RTX is not installed" in text
    assert "| load | 0.1 0.1 0.1 | 1.0 0.4 0.2 |" in text
    assert "| processor | Processor of tests |  |" in text
    assert "Mann-Whitney" in text


def test_no_text_of_measured_code_becomes_markup() -> None:
    text = markdown(fake_perf.report())
    assert set(re.findall(r"(?<!\\)<(/?\w+)", text)) == {
        *("details", "summary", "/summary", "/details")
    }
    assert "**bold**" not in text
    assert "[link](" not in text
    assert "@you" not in text
    assert "\x1b" not in text
    assert "\x00" not in text


@pytest.mark.parametrize("bad", ["a\n## b", "| c", "`d`", "https://e", "www.f", "#1"])
def test_escaped_text_stays_on_its_line_and_links_nowhere(bad: str) -> None:
    text = escaped(bad)
    assert "\n" not in text
    assert not re.search(r"(?<!\\)[|`#]|://|www\.", text.replace("&#", ""))


def test_every_table_row_has_as_many_cells_as_its_head() -> None:
    head = 0
    for line in markdown(fake_perf.report()).splitlines():
        if line.startswith("|"):
            cells = len(re.findall(r"(?<!\\)\|", line))
            head = head or cells
            assert cells == head, line
        else:
            head = 0


def test_a_green_run_is_short() -> None:
    text = markdown(fake_perf.report(fake_perf.quiet_record(), remarks=()))
    assert text.startswith("## perf: green\n\n**none of 11 metrics became worse")
    assert "where to look" not in text


def test_a_run_of_one_side_lists_what_was_measured() -> None:
    text = markdown(fake_perf.report(fake_perf.quiet_record(base=None)))
    assert text.startswith("## perf: measured")
    assert "| Python calls of a hot loop `calls.text` |" not in text
    assert re.search(r"\| one call of a stage `stage.vocoder.seconds` \| 4\.2\d ms \|", text)


def test_a_summary_too_long_leaves_out_what_is_fine() -> None:
    report = fake_perf.report()
    most = len(markdown(report)) - 1
    short = markdown(report, most)
    assert len(short) <= most
    assert short.splitlines()[4].startswith("**5 of 12 rows are left out here")
    assert "`voice.bytes`" not in short
    assert "5 that are ok left out" in short
    assert "`stage.vocoder.seconds`" in short
    assert len(markdown(report)) < MOST


def many(report: Report, count: int, sentence: str) -> Report:
    """The report with each verdict of what failed, is new or fine `count` times."""
    kinds = report.of(Status.WORSE, Status.MISSING, Status.NEW, Status.OK)
    verdicts = [
        replace(verdict, name=f"{verdict.name}.{number}", sentence=sentence)
        for verdict in kinds
        for number in range(count)
    ]
    return replace(report, verdicts=verdicts)


def checked(text: str) -> str:
    """The text, whose tables are whole and whose folded parts are closed."""
    depth, head = 0, 0
    for line in text.splitlines():
        depth += line.startswith("<details>") - (line == "</details>")
        assert depth in (0, 1), line
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert not head or cells in (0, head), line
        head = cells
    assert depth == 0
    return text


@pytest.mark.parametrize("most", [2000, 5000, 20_000, MOST])
@pytest.mark.parametrize("sentence", ["slower", fake_perf.BAD * 300])
def test_thousands_of_failures_stay_within_the_limit(most: int, sentence: str) -> None:
    report = many(fake_perf.report(), 300, sentence)
    text = checked(markdown(report, most))
    assert most / 2 < len(text) <= most
    lines = text.splitlines()
    assert "metrics became worse" in lines[2]
    left_out = re.match(r"\*\*(\d+) of (\d+) rows are left out here", lines[4])
    assert left_out is not None
    assert "(`--json`) and the page (`--html`) have them" in lines[4]
    shown = {found for line in lines for found in re.findall(r"^\|.*? `([^`]+\.\d+)` \|", line)}
    assert int(left_out[1]) == int(left_out[2]) - len(shown)
    assert int(left_out[2]) == len(report.verdicts)
    failures = [line for line in lines if line.startswith(("| **worse**", "| **missing**"))]
    assert len(failures) > most / 500


def test_new_metrics_by_the_thousand_are_counted_and_cut() -> None:
    found = fake_perf.report()
    (new,) = found.of(Status.NEW)
    verdicts = [replace(new, name=f"calls.{number}") for number in range(2000)]
    text = checked(markdown(replace(found, verdicts=verdicts)))
    assert len(text) <= MOST
    assert "`calls.29`, and 1970 more" in text
    assert text.count("| new |") > 500


def test_thousands_of_values_of_one_side_are_cut() -> None:
    found = fake_perf.quiet_record(base=None)
    times = found.candidate.values["stage.vocoder.seconds"]
    values = {f"stage.part{number}.seconds": times for number in range(3000)}
    text = checked(
        markdown(
            fake_perf.report(replace(found, candidate=replace(found.candidate, values=values)))
        )
    )
    assert MOST / 2 < len(text) <= MOST
    assert re.search(r"^\*\*\d+ of 3000 rows are left out", text, re.MULTILINE)


def test_long_reasons_and_many_remarks_leave_room_for_failures() -> None:
    crash = SuiteOutcome("load", SuiteStatus.CRASHED, 1.0, f"first{BAD_LINES}last words")
    found = fake_perf.report(fake_perf.record(outcomes=(crash,)))
    text = checked(markdown(replace(found, remarks=[fake_perf.BAD] * 2000)))
    assert len(text) <= MOST
    assert "**suite load crashed**: first" in text
    assert "last words" in text
    assert "| **worse** | one call of a stage `stage.vocoder.seconds` |" in text
    assert "Machine and method" in text


def test_an_interrupted_run_says_so() -> None:
    assert markdown(fake_perf.report(status=ExitStatus.INTERRUPTED)).startswith(
        "## perf: interrupted"
    )


def test_changed_clocks_make_slower_times_unusable_others_open_and_counts_judged() -> None:
    report = fake_perf.report()
    verdicts = unsteady(report.verdicts, "pace: 1, then 1.3 (+30%)")
    found = {verdict.name: verdict for verdict in verdicts}
    assert found["stage.vocoder.seconds"].status is Status.UNUSABLE
    assert "pace: 1, then 1.3" in found["stage.vocoder.seconds"].sentence
    assert "measure again on a steady machine" in found["stage.vocoder.seconds"].sentence
    assert found["stage.postnet.seconds"].status is Status.UNDECIDED, "it was better"
    assert found["text.rate"].status is Status.UNDECIDED
    assert found["graph.vocoder.nodes"].status is Status.WORSE
    assert unsteady(report.verdicts, "") == list(report.verdicts)
    text = markdown(replace(report, verdicts=verdicts))
    assert "1 unusable: stage.vocoder.seconds" in text.splitlines()[2]
    assert "| **unusable** | one call of a stage `stage.vocoder.seconds` |" in text
    assert "Undecided: `stage.decoder\\_step.seconds`" not in text
    assert "Undecided:" in text
