"""The XML that CI shows: valid, a test for each metric, the counts of its parts."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import fake_perf
import pytest
from regression.junit import junit
from regression.record import SuiteOutcome, SuiteStatus
from regression.report import unsteady


@pytest.fixture(scope="module")
def tree() -> ElementTree.Element:
    return ElementTree.fromstring(junit(fake_perf.report()).encode())


def case(tree: ElementTree.Element, name: str) -> ElementTree.Element:
    (found,) = (one for one in tree.iter("testcase") if one.get("name") == name)
    return found


def test_every_verdict_is_a_test(tree: ElementTree.Element) -> None:
    names = [one.get("name") for one in tree.iter("testcase")]
    verdicts = fake_perf.report().verdicts
    assert {verdict.name for verdict in verdicts} <= set(names)
    assert tree.tag == "testsuites"
    assert all(one.get("classname", "").startswith("perf.") for one in tree.iter("testcase"))


def test_what_became_worse_or_is_missing_fails(tree: ElementTree.Element) -> None:
    failure = case(tree, "stage.vocoder.seconds").find("failure")
    assert failure is not None
    assert failure.get("type") == "worse"
    assert "12.1 % slower" in failure.get("message", "")
    assert "look: graph.vocoder.kernels" in (failure.text or "")
    missing = case(tree, "graph.postnet.nodes").find("failure")
    assert missing is not None
    assert missing.get("type") == "missing"


def test_what_is_fine_has_nothing_and_what_is_open_is_skipped(tree: ElementTree.Element) -> None:
    assert len(case(tree, "voice.bytes")) == 0
    assert case(tree, "speech.first.seconds").find("skipped") is not None


def test_a_slower_time_of_an_unsteady_machine_is_an_error() -> None:
    report = fake_perf.report()
    verdicts = unsteady(report.verdicts, "governor: performance, then powersave")
    tree = ElementTree.fromstring(junit(replace(report, verdicts=verdicts)).encode())
    error = case(tree, "stage.vocoder.seconds").find("error")
    assert error is not None
    assert error.get("type") == "unusable"
    assert "governor: performance, then powersave" in error.get("message", "")


def test_a_crashed_suite_is_an_error_and_a_skipped_one_skipped(tree: ElementTree.Element) -> None:
    crashed = tree.find("testsuite[@name='perf.load']/testcase/error")
    assert crashed is not None
    assert "the end" in (crashed.text or "").splitlines()
    skipped = tree.find("testsuite[@name='perf.plans']/testcase/skipped")
    assert skipped is not None
    assert skipped.get("message") == "TensorRT for RTX is not installed"


@pytest.mark.parametrize(
    ("attribute", "tag"),
    [("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")],
)
def test_counts_are_those_of_the_parts(tree: ElementTree.Element, attribute: str, tag: str) -> None:
    for part in (tree, *tree.findall("testsuite")):
        assert part.get(attribute) == str(len(list(part.iter(tag))))
    assert len(list(tree.iter(tag))) > 0


def test_metrics_of_a_suite_that_did_not_run_are_not_lost() -> None:
    outcomes = (SuiteOutcome("stages", SuiteStatus.MEASURED, 1.0),)
    tree = ElementTree.fromstring(junit(fake_perf.report(fake_perf.record(outcomes=outcomes))))
    assert tree.find("testsuite[@name='perf.other']/testcase[@name='voice.bytes']") is not None


def test_a_second_look_is_a_property_of_its_suite_unless_it_crashed() -> None:
    stages = SuiteOutcome("stages", SuiteStatus.MEASURED, 40.0)
    again = SuiteOutcome("stages (again)", SuiteStatus.MEASURED, 80.3)
    record = fake_perf.record(outcomes=(stages, again))
    tree = ElementTree.fromstring(junit(fake_perf.report(record)))
    assert [suite.get("name") for suite in tree] == ["perf.stages", "perf.other"]
    told = tree.find("testsuite[@name='perf.stages']/properties/property")
    assert told is not None
    assert dict(told.items()) == {"name": "measured again in", "value": "1 min 20 s"}
    crashed = replace(again, status=SuiteStatus.CRASHED, reason="killed")
    record = fake_perf.record(outcomes=(stages, crashed))
    tree = ElementTree.fromstring(junit(fake_perf.report(record)))
    assert tree.find("testsuite[@name='perf.stages (again)']/testcase/error") is not None
