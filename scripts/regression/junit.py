"""A report as JUnit XML: a suite of tests for each suite, a test for each metric.

worse and missing fail; what nothing can be said of, and a crashed suite, are errors; what is
undecided or not judged is skipped, with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from .gate import Status, Verdict
from .record import SuiteOutcome, SuiteStatus
from .report import (
    AGAIN,
    Report,
    change_words,
    interval_words,
    look_words,
    sentence_words,
    values_words,
)
from .words import duration, one_line, tolerance

__all__ = ["junit"]

_KIND = {
    Status.WORSE: "failure",
    Status.MISSING: "failure",
    Status.UNUSABLE: "error",
    Status.UNDECIDED: "skipped",
    Status.NOT_JUDGED: "skipped",
}
_NAME = "perf"


def junit(report: Report) -> str:
    """The text of the XML file."""
    root = ElementTree.Element("testsuites", name=_NAME, time=f"{report.seconds:.3f}")
    for outcome in report.record.outcomes:
        if not _looked_again(outcome):
            verdicts = [v for v in report.verdicts if v.metric.suite == outcome.name]
            root.append(_suite(report, outcome, verdicts))
    known = {outcome.name for outcome in report.record.outcomes}
    left = [v for v in report.verdicts if v.metric.suite not in known]
    if left:
        root.append(_suite(report, SuiteOutcome("other", SuiteStatus.MEASURED, 0.0), left))
    for kind in ("tests", "failures", "errors", "skipped"):
        root.set(kind, str(sum(int(suite.get(kind, "0")) for suite in root)))
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _suite(
    report: Report, outcome: SuiteOutcome, verdicts: Sequence[Verdict]
) -> ElementTree.Element:
    suite = ElementTree.Element(
        "testsuite",
        name=f"{_NAME}.{outcome.name}",
        timestamp=_text(report.record.started),
        time=f"{outcome.seconds:.3f}",
    )
    again = [o for o in report.record.outcomes if _again(o.name) == outcome.name]
    suite.extend(_properties(o) for o in again if _looked_again(o))
    if outcome.status is not SuiteStatus.MEASURED:
        suite.append(_unmeasured(outcome))
    elif not verdicts:
        suite.append(_case(outcome.name, "measured"))
    suite.extend(_tested(verdict) for verdict in verdicts)
    for name, tag in _COUNTED.items():
        suite.set(name, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("tests", str(len(suite.findall("testcase"))))
    return suite


def _again(name: str) -> str:
    """The suite whose second look is called so; "" where it is none."""
    return name.removesuffix(AGAIN) if name.endswith(AGAIN) else ""


def _looked_again(outcome: SuiteOutcome) -> bool:
    """Whether it is a second look that went well: it tests nothing that its suite does not."""
    return bool(_again(outcome.name)) and outcome.status is SuiteStatus.MEASURED


def _properties(again: SuiteOutcome) -> ElementTree.Element:
    found = ElementTree.Element("properties")
    words = duration(again.seconds)
    ElementTree.SubElement(found, "property", name="measured again in", value=words)
    return found


_COUNTED = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def _unmeasured(outcome: SuiteOutcome) -> ElementTree.Element:
    case = _case(outcome.name, "measured")
    crashed = outcome.status is SuiteStatus.CRASHED
    found = ElementTree.SubElement(case, "error" if crashed else "skipped")
    found.set("message", one_line(outcome.reason))
    if crashed:
        found.set("type", "crashed")
        found.text = _text(outcome.reason)
    return case


def _tested(verdict: Verdict) -> ElementTree.Element:
    case = _case(verdict.metric.suite, verdict.name)
    kind = _KIND.get(verdict.status)
    if kind is None:
        return case
    found = ElementTree.SubElement(case, kind, message=one_line(sentence_words(verdict)))
    if kind != "skipped":
        found.set("type", verdict.status.value)
        found.text = _text(_details(verdict))
    return case


def _details(verdict: Verdict) -> str:
    base, candidate = values_words(verdict)
    metric = verdict.metric
    return "\n".join(
        (
            f"{metric.title}: {base} -> {candidate}, {change_words(verdict)}",
            f"95 % interval: {interval_words(verdict)}; tolerance: {tolerance(metric)}",
            f"measured: {metric.how}",
            f"look: {look_words(verdict)}",
        )
    )


def _case(suite: str, name: str) -> ElementTree.Element:
    return ElementTree.Element("testcase", classname=f"{_NAME}.{suite}", name=_text(name))


def _text(text: str) -> str:
    """Several lines; characters that XML 1.0 does not have become blanks."""
    return "".join(c if c == "\n" or c.isprintable() else " " for c in text)
