"""The gate's own experiment: what is kept, continued and counted. Nothing is measured here."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import fake_perf
import pytest
from regression.experiment import (
    FAULTS,
    Fault,
    Trial,
    circumstances,
    fault_from_text,
    interval,
    reached,
    results,
    run_trials,
    trials_from_file,
)
from regression.gate import ExitStatus
from regression.plant import plant_from_text
from regression.registry import SUITES, suites_from_names
from regression.report import Report

from sambert_trt.engines.errors import InputError

MADE_UP = circumstances("b" * 40, fake_perf.identity())
NOTHING, SLOW = FAULTS[0], fault_from_text("slow:vocoder:0.10")


def comparing(asked: list[tuple[str, int]]) -> Callable[[Fault, int], Report]:
    """Comparisons that always find what the made-up report holds: a slower vocoder."""

    def compare(fault: Fault, number: int) -> Report:
        asked.append((fault.name, number))
        return fake_perf.report() if fault.plant else fake_perf.report(fake_perf.quiet_record())

    return compare


def trials(path: Path, count: int, asked: list[tuple[str, int]]) -> dict[str, list[Trial]]:
    return run_trials(
        path, (NOTHING, SLOW), range(count), MADE_UP, comparing(asked), lambda line: None
    )


def test_an_experiment_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    asked: list[tuple[str, int]] = []
    first = trials(tmp_path / "trials.jsonl", 2, asked)
    assert asked == [(name, number) for number in range(2) for name in ("none", SLOW.name)]
    asked.clear()
    found = trials(tmp_path / "trials.jsonl", 3, asked)
    assert asked == [("none", 2), (SLOW.name, 2)]
    assert found["none"][:2] == first["none"]
    assert len(trials_from_file(tmp_path / "trials.jsonl")) == 6


def test_a_fault_has_to_show_where_it_was_planted(tmp_path: Path) -> None:
    found = trials(tmp_path / "trials.jsonl", 1, [])
    (quiet,), (slow,) = found["none"], found[SLOW.name]
    assert quiet.status == ExitStatus.GREEN
    assert slow.status == ExitStatus.REGRESSION
    assert quiet.right(NOTHING)
    assert not slow.right(NOTHING)
    assert slow.right(SLOW)
    elsewhere = replace(slow, failed=("stage.postnet.seconds",))
    assert not elsewhere.right(SLOW)


def test_shares_are_told_with_their_intervals_and_judged(tmp_path: Path) -> None:
    (trial,) = trials(tmp_path / "trials.jsonl", 1, [])["none"]
    wrong = replace(trial, status=int(ExitStatus.REGRESSION), failed=("stage.vocoder.seconds",))
    found = {"none": [trial] * 99 + [wrong]}
    text = "\n".join(results(found, [NOTHING]))
    assert "| none | 100 | 99 green | 94.6% to 99.8% | 99% |" in text
    assert "red stage.vocoder.seconds (1)" in text
    assert reached(found, [NOTHING])
    assert not reached({"none": [trial] * 98 + [wrong] * 2}, [NOTHING])


def test_the_interval_holds_the_share() -> None:
    assert interval(100, 100) == pytest.approx((0.963, 1.0), abs=5e-4)
    assert interval(0, 10) == pytest.approx((0.0, 0.2775), abs=5e-4)


def test_the_faults_can_be_planted_and_looked_for() -> None:
    for fault in FAULTS:
        plant_from_text(fault.plant)
        assert [suite.name for suite in suites_from_names(fault.suites)]
    assert fault_from_text("none") == NOTHING
    with pytest.raises(InputError, match="no fault 'slow'; there are none, slow:vocoder"):
        fault_from_text("slow")


@pytest.mark.parametrize("line", ["{}", "[]", "nonsense", json.dumps({"fault": "none"})])
def test_a_file_of_something_else_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "trials.jsonl"
    trials(path, 1, [])
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 3 is no trial"):
        trials_from_file(path)


def test_nothing_is_planted_in_a_whole_default_comparison() -> None:
    assert NOTHING.suites == tuple(suite.name for suite in SUITES if not suite.by_choice)


@pytest.mark.parametrize("name", list(MADE_UP))
def test_trials_of_other_circumstances_are_refused_by_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / "trials.jsonl"
    trials(path, 1, [])
    other = {**MADE_UP, name: "another"}
    told = f"trial 0 of none cannot .*: {name} .* there and another now. Make them alike"
    with pytest.raises(InputError, match=told):
        run_trials(path, (NOTHING, SLOW), range(2), other, comparing([]), lambda line: None)


def test_trials_of_two_machines_are_counted_together_and_told(tmp_path: Path) -> None:
    found = trials(tmp_path / "trials.jsonl", 2, [])
    one, two = found["none"]
    assert one.machine == "Processor of tests, 2 cores (0badcafe)"
    told = list(results({"none": [one, replace(two, machine="another")]}, [NOTHING]))
    assert told[-1] == f"* trials by machine: {one.machine} (1), another (1)"


def test_a_trial_without_its_circumstances_is_none(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    trials(path, 1, [])
    line = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    del line["circumstances"]
    path.write_text(json.dumps(line) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"line 1 is no trial .*circumstances"):
        trials_from_file(path)
