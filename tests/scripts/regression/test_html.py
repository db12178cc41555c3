"""The page: complete by itself, well-formed, and no text becomes markup."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import fake_perf
import pytest
from regression.catalogue import catalogue_from_file
from regression.gate import ExitStatus, Status
from regression.history import history_html
from regression.html import html
from regression.plots import Lane, Point, Row, distribution, forest, trend
from regression.report import unsteady
from regression.store import History
from regression.style import STYLE

PLACES = (("line", "x1"), ("circle", "cx"), ("line", "x2"))
"""The ends of an interval in the overview, and the change between them."""

VOID = ("meta", "br", "link")


class Balance(HTMLParser):
    """Collects tags, and fails where one is closed that is not open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag


def tags_of(page: str) -> list[str]:
    parser = Balance()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser.seen


@pytest.fixture(scope="module")
def page() -> str:
    return html(fake_perf.report(history=fake_perf.history(5)))


def test_the_page_is_well_formed_and_has_no_script(page: str) -> None:
    tags = tags_of(page)
    assert "script" not in tags
    assert tags.count("svg") > 5
    assert "default-src 'none'" in page


def test_nothing_is_fetched_from_elsewhere(page: str) -> None:
    assert not re.findall(r"(?:src|href)=\"(?!#)", page)
    assert "url(" not in page
    assert "@import" not in page


def test_the_verdict_failures_and_reasons_are_there(page: str) -> None:
    assert "red: 3 of 12 metrics became worse" in page
    assert "<h2>Samples of what failed</h2>" in page
    assert "suite load crashed" in page
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;" in page
    assert "graph.vocoder.kernels" in page


@pytest.mark.parametrize("status", [one for one in ExitStatus if one is not ExitStatus.USAGE])
def test_every_end_of_a_run_has_a_colour_of_its_own(status: ExitStatus) -> None:
    colours = dict(re.findall(r"\.verdict\.([\w-]+) { border-color: var\((--\w+)\)", STYLE))
    assert len(set(colours.values())) == len(colours) == 5
    report = fake_perf.report(status=status)
    assert f'class="verdict {report.colour.replace(" ", "-")}"' in html(report)
    assert report.colour.replace(" ", "-") in colours


def test_a_run_of_one_side_is_not_shown_as_green() -> None:
    alone = fake_perf.report(fake_perf.quiet_record(base=None))
    assert 'class="verdict measured"' in html(alone)
    assert 'class="verdict green"' in html(fake_perf.report(fake_perf.quiet_record()))


def test_code_in_texts_of_metrics_is_code_and_that_of_others_stays_text(page: str) -> None:
    report = fake_perf.report()
    metric = replace(report.verdicts[0].metric, look="`a.py`; b")
    verdicts = [replace(v, metric=metric) for v in report.of(Status.NEW)]
    found = html(replace(report, verdicts=verdicts))
    assert "<small><code>a.py</code>; b</small>" in found
    assert "(javascript:alert(1)) `code` " in found
    assert "`" not in page.replace("`code`", "")


def test_what_is_unusable_is_not_counted_as_worse() -> None:
    report = fake_perf.report()
    verdicts = unsteady(report.verdicts, "governor: performance, then powersave")
    tiles = re.sub("<[^>]+>", "", html(replace(report, verdicts=verdicts)))
    assert "worse or missing 2" in tiles
    assert "unusable 1" in tiles


def test_both_looks_of_a_failure_are_drawn(page: str) -> None:
    failed = page.split("<h2>Samples of what failed</h2>")[1].partition("</section>")[0]
    assert failed.count("<svg") == 1
    for lane in ("base", "candidate", "base, again", "candidate, again"):
        assert f">{lane}</text>" in failed
    assert failed.count('class="dot faint"') == 2 * 75 + 2 * 150


def test_a_run_of_one_side_has_a_page() -> None:
    page = html(fake_perf.report(fake_perf.quiet_record(base=None)))
    tags_of(page)
    assert "nothing to compare with" in page
    assert "voice.bytes" in page


def test_machines_are_never_joined_in_a_trend() -> None:
    history = History(fake_perf.history(6), ("line 3 is of schema 0",))
    page = history_html(history, catalogue_from_file(), "stage.vocoder.seconds")
    tags_of(page)
    assert page.count("<polyline") == 2
    points = re.findall(r'<polyline class="ink" points="([^"]*)"', page)
    assert sorted(len(line.split()) for line in points) == [2, 4]
    assert "line 3 is of schema 0" in page


def overview(*rows: Row) -> ElementTree.Element:
    return ElementTree.fromstring(forest(rows))


def texts(drawing: ElementTree.Element) -> list[str]:
    return [one.text or "" for one in drawing.iter("text")]


def test_the_overview_reaches_as_far_as_what_changed() -> None:
    """A failure of six tolerances has its place, and stands between its ends."""
    drawing = overview(Row("slow", 6.0, 5.2, 6.9, "worse"), Row("calm", 0.1, -0.4, 0.5, "ok"))
    assert {"-3", "8"} <= {*texts(drawing)}
    assert len(list(drawing.iter("polygon"))) == 0
    slow, calm = (
        [float(part.get(at, "")) for tag, at in PLACES for part in list(g.iter(tag))[:1]]
        for g in drawing.iter("g")
    )
    assert slow[0] < slow[1] < slow[2]
    assert calm[2] < slow[0]


def test_what_lies_outside_the_overview_is_marked_with_its_number() -> None:
    drawing = overview(Row("slower", 225.0, 180.0, 300.0, "worse"), Row("calm", 0.0, -1, 1, "ok"))
    slower, calm = drawing.iter("g")
    assert "225" in texts(slower)
    assert slower.find("circle") is None
    assert slower.find("polygon") is not None
    assert calm.find("circle") is not None
    assert calm.find("polygon") is None


def test_names_are_whole_and_within_the_picture() -> None:
    name = "stage.a_long_name_of_a_stage_of_some_voice.seconds"
    drawing = overview(Row(name, 0.0, -1.0, 1.0, "ok"))
    (found,) = (one for one in drawing.iter("text") if one.text == name)
    assert float(found.get("x", "0")) >= 6.5 * len(name)
    width = float(drawing.get("viewBox", "").split()[2])
    assert all(float(one.get("x", "0")) <= width for one in drawing.iter("text"))


def test_plots_are_xml_and_survive_values_that_are_none() -> None:
    nan, inf = float("nan"), float("inf")
    drawings = (
        forest([Row("a<b", 0.5, -inf, inf, "undecided"), Row("c", nan, nan, nan, "ok")]),
        distribution("a&b", "ms", 1e-3, [Lane("base", "base", [[1.0], [nan]])]),
        distribution("one", "", 1.0, [Lane("base", "base", [[2.0]]), Lane("x", "cand", [[]])]),
        trend("t", "s", 1.0, {"m": [Point(0, 1.0, 1.0, 1.0, "then")]}),
        trend("t", "s", 1.0, {}),
    )
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        assert root.get("aria-label")
        assert "nan" not in drawing
        assert "inf" not in drawing
