"""A report: read back as written, complete, escaped, self-contained, and never half on disk."""

from __future__ import annotations

import errno
import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from itertools import takewhile
from pathlib import Path

import fake_report
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from sambert_trt.calibration import report as report_module
from sambert_trt.calibration.assessment import Cost, Judgement, Outcome, Worst
from sambert_trt.calibration.figures import Figures, Limits
from sambert_trt.calibration.recipe import StagePlan
from sambert_trt.calibration.report import (
    Example,
    Report,
    explain_text,
    listening_sentences,
    report_from_json,
    report_json,
    this_machine,
    verdict_sentences,
    write_report,
)
from sambert_trt.calibration.report_content import document_of
from sambert_trt.calibration.report_html import Drawings, report_html
from sambert_trt.calibration.report_markdown import report_markdown
from sambert_trt.calibration.report_words import (
    LIMITS,
    amount,
    interval,
    quantity,
    seconds_words,
    shortened,
    speedup,
    standings,
    why,
)
from sambert_trt.engines.errors import OutputError, SchemaError
from sambert_trt.engines.graphs import Placement, Precision, Stage

CPU = (Placement.CPU,)
VOID = {"meta", "img", "source", "br", "link", "input"}
NUMBERS = st.none() | st.floats()


class Page(HTMLParser):
    """What a page holds; tags have to be closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def attributes(self, tag: str) -> list[dict[str, str]]:
        """Of every such tag."""
        return [attributes for name, attributes in self.tags if name == tag]


def page_of(report: Report, drawings: Drawings | None = None) -> str:
    drawings = drawings or Drawings()
    return report_html(document_of(report, drawings.light.keys()), drawings)


def markdown_of(report: Report) -> str:
    return report_markdown(document_of(report))


def plain(markdown: str) -> str:
    """Markdown as it is read: escapes taken back."""
    text = re.sub(r"\\([^\w\s])", r"\1", markdown)
    return text.replace("&lt;", "<").replace("&amp;", "&").replace("&#47;", "/")


def content(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without matplotlib."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)


def with_outcome(**changes: object) -> Report:
    report = fake_report.report(CPU)
    return replace(report, outcomes=(replace(report.outcomes[0], **changes),))  # type: ignore[arg-type]


def sentences_of(report: Report) -> str:
    return " ".join(verdict_sentences(report, report.outcomes[0]))


# JSON


def test_a_report_is_read_back_as_it_was_written() -> None:
    report = fake_report.report()
    assert report_from_json(report_json(report)) == report
    assert report_from_json(report_json(report)).examples[0].renderings is None


@given(st.builds(Figures, *[NUMBERS] * 13, st.none() | st.integers(), NUMBERS, st.text()), NUMBERS)
@settings(max_examples=60, deadline=None)
def test_any_figures_are_read_back(figures: Figures, seconds: float | None) -> None:
    judgement = Judgement(
        figures, {"mcd": Worst(0, figures.broken, figures.mcd or 0.0)}, (figures,)
    )
    outcome = replace(fake_report.outcome(), trials=(), whole=judgement, ratio=seconds)
    report = replace(fake_report.report(()), outcomes=(outcome,), peak_bytes=None)
    text = report_json(report)
    json.loads(text, parse_constant=pytest.fail)
    assert repr(report_from_json(text)) == repr(report)


def test_numbers_of_numpy_are_numbers() -> None:
    cost = Cost(np.int64(5), np.float32(0.5), np.float64("nan"))  # type: ignore[arg-type]
    baseline = {Placement.CPU: {Stage.VOCODER: cost}}
    found = report_from_json(report_json(replace(fake_report.report(()), baseline=baseline)))
    read = found.baseline[Placement.CPU][Stage.VOCODER]
    assert (read.graph_bytes, read.seconds) == (5, 0.5)
    assert read.ratio is not None
    assert np.isnan(read.ratio)


def test_where_graphs_lay_is_nobodys_business(tmp_path: Path) -> None:
    found = fake_report.outcome()
    moved = {s: replace(c, directory=tmp_path) for s, c in found.candidates.items()}
    text = report_json(with_outcome(candidates=moved))
    assert str(tmp_path) not in text
    assert report_from_json(text).outcomes[0].candidates == found.candidates


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "no schema number"),
        ("{}", "no schema number"),
        ('{"schema": true}', "no schema number"),
        ('{"schema": 2}', "upgrade sambert-trt"),
        ('{"schema": 0}', "calibrate the voice again"),
        ('{"schema": 1}', "lacks voice"),
    ],
)
def test_what_is_no_report_is_refused(text: str, words: str) -> None:
    with pytest.raises(SchemaError, match=words):
        report_from_json(text, "some.json")


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("voice",), 3, "report.voice is 3"),
        (("outcomes",), {}, "report.outcomes is {}, not a list"),
        (("outcomes", 0), [], r"report.outcomes is \[\], not an object"),
        (("outcomes", 0, "goal"), "fast", "'fast' is not a valid Goal"),
        (("outcomes", 0, "ratio"), "1", "report.outcomes.ratio is '1', not of type float"),
        (("outcomes", 0, "trials", 0, "kept"), 1, "trials.kept is 1, not of type bool"),
        (("outcomes", 0, "trials", 0, "cost", "graph_bytes"), 1.5, "not of type int"),
        (("outcomes", 0, "candidates", "vocoder", "record", "graph"), {}, "graph signature"),
        (("machine", "packages"), [], r"packages is \[\], not an object"),
    ],
)
def test_a_wrong_value_is_named(path: tuple[str | int, ...], value: object, words: str) -> None:
    data = json.loads(report_json(fake_report.report(CPU)))
    place = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(SchemaError, match=words):
        report_from_json(json.dumps(data))


def test_keys_of_later_versions_are_passed_over() -> None:
    report = fake_report.report(CPU)
    data = json.loads(report_json(report))
    data["outcomes"][0]["trials"][0]["mood"] = "good"
    assert report_from_json(json.dumps(data)) == report


# the verdict


def test_the_verdict_says_what_is_kept_what_it_gains_and_what_it_costs() -> None:
    text = sentences_of(fake_report.report(CPU))
    assert "postnet and vocoder in int8" in text
    assert "1.61 times as fast as fp32 end to end (95 %: 1.56 to 1.67)" in text
    assert "54.3 MB of graphs instead of 69.8 MB" in text
    assert "MCD 0.212 dB (at most 0.300 dB)" in text
    assert "3 more limits kept: inside the budget." in text


def test_stages_that_stay_in_half_are_the_other_ones() -> None:
    text = sentences_of(fake_report.report((Placement.TENSORRT,)))
    assert "postnet and vocoder in int8 and the other stages in fp16" in text
    assert "its speed was not measured" in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"low": 0.9, "high": 1.1}, "which may be no gain at all"),
        ({"low": None}, "1.61 times as fast as fp32 end to end,"),
        ({"violations": ("MCD 0.4 dB instead of at most 0.3 dB",)}, "beyond the budget, kept"),
        ({"limits": Limits(mcd=0.1)}, "beyond the budget, kept because asked for (MCD)"),
        ({"limits": Limits()}, "mel MAE 0.0112, mel, largest error 0.370 and mel LSD 0.110 dB; no"),
        ({"whole": Judgement(Figures(), {}, ())}, "Its sound was not judged."),
        ({"whole": Judgement(Figures(broken="NaN"), {}, ())}, "It is unusable: NaN."),
        (
            {"whole": Judgement(Figures(mcd=0.2), {}, ())},
            "inside the budget; mel MAE, PESQ, STOI, durations changed and MCD not measured.",
        ),
    ],
)
def test_the_verdict_hides_nothing(changes: dict[str, object], words: str) -> None:
    if words.endswith("MCD not measured."):
        words = words.replace(" and MCD", "").replace("STOI, durations", "STOI and durations")
        changes["limits"] = replace(fake_report.LIMITS, worst_mcd=None)
    assert words in sentences_of(with_outcome(**changes))


def test_nothing_kept_is_a_verdict_too() -> None:
    fp32 = StagePlan(Precision.FP32)
    found = fake_report.outcome().candidates
    report = with_outcome(candidates={s: replace(c, plan=fp32) for s, c in found.items()})
    assert "nothing is worth keeping: every stage stays in fp32" in sentences_of(report)
    assert "sambert-tts" not in markdown_of(report)


def test_explaining_names_every_trial_with_its_reason() -> None:
    report = fake_report.report()
    text = explain_text(report)
    for outcome in report.outcomes:
        assert all(stage.value in text for stage in outcome.candidates)
        for trial in outcome.trials:
            assert f"{'kept   ' if trial.kept else 'dropped'}  {trial.name}: " in text
            assert why(trial) in text
    assert "2.17× (2.09 to 2.24) of fp32's speed, 5.69 MB" in text
    assert "mel MAE 0.0112" in text


def test_explaining_writes_no_control_characters() -> None:
    trial = replace(fake_report.trials(Placement.CPU)[0], reason="\x1b[31mred\x07\u202egnp")
    text = explain_text(with_outcome(trials=(trial,)))
    assert "red" in text
    assert all(c.isprintable() or c == "\n" for c in text)


# Markdown


def test_markdown_holds_every_trial_limit_and_figure() -> None:
    report = fake_report.report()
    text = plain(markdown_of(report))
    for outcome in report.outcomes:
        for trial in outcome.trials:
            assert trial.name in text
            assert why(trial) in text
        for standing in standings(outcome.whole, outcome.limits):
            assert standing.limit_words in text
            assert standing.bound.reason in text
    for words in (*report.unmeasured.values(), *report.phases, report.machine.cpu, "min-max"):
        assert words in text
    assert text.index("postnet and vocoder in int8") < text.index("## ")


def test_rows_of_markdown_tables_have_as_many_cells_as_heads() -> None:
    lines = markdown_of(fake_report.report()).splitlines()
    rules = [number for number, line in enumerate(lines) if re.fullmatch(r"\|[-:|]+\|", line)]
    assert len(rules) >= 10
    for number in rules:
        wanted = lines[number].count("|") + 1
        rows = list(takewhile(lambda line: line.startswith("|"), lines[number - 1 :]))
        assert len(rows) > 2
        assert {len(re.split(r"(?<!\\)\|", row)) for row in rows} == {wanted}


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[a](javascript:alert(1))",
        "![a](http://example.org/a.png)",
        "a | b",
        "`code` ``` ~~~",
        "http://example.org www.example.org a@example.org",
        "# heading\n\n- list\n1. one\n<b>",
        "\\| \\<b\\>",
        "&lt;b&gt;",
        "\u202egnp.exe\x00\x1b",
    ],
)
def test_texts_stay_texts(text: str) -> None:
    trial = replace(fake_report.trials(Placement.CPU)[0], reason=text, name=text)
    judgement = fake_report.judgement(1.0, text)
    worst = {"mcd": Worst(0, text, 1.0)}
    report = replace(
        with_outcome(trials=(trial,), whole=replace(judgement, worst=worst), notes={text: text}),
        voice=text,
        unmeasured={text: text},
        examples=(Example(Placement.CPU, 0, text, "typical"),),
    )
    markdown, page = markdown_of(report), Page(page_of(report))
    for mark in ("<script", "<img", "<b>", "://", "www.", "\n- list", "\n1. ", "\x1b"):
        assert mark not in markdown
    assert set(re.findall(r"(?<!\\)\]\((\w+)", markdown)) == {"listen"}
    assert "\u202e" not in markdown + page.text
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "img", "b"})
    shown = "".join(c if c.isprintable() or c == "\n" else " " for c in text)
    assert page.text.count(shown) >= 5


# HTML


@pytest.fixture(scope="module")
def page() -> str:
    drawn = {f"{kind}-cpu.png": b"\x89PNG light" for kind in ("stages", "quality", "sensitivity")}
    drawn["spectrogram-2-cpu.png"] = b"RIFF\0\0\0\0WEBP"
    dark = {name: b"\x89PNG dark" for name in drawn if not name.startswith("spectrogram")}
    return page_of(fake_report.report(), Drawings(drawn, dark))


def test_the_page_needs_nothing_from_elsewhere(page: str) -> None:
    found = Page(page)
    assert not re.search(r"(?:https?:)?//[a-z]", page.replace("</", ""))
    assert {tag for tag, _ in found.tags}.isdisjoint({"script", "link", "iframe", "object", "base"})
    assert all(a["src"].startswith("data:image/") for a in found.attributes("img"))
    assert all(re.fullmatch(r"listen/\d+-\w+\.wav", a["src"]) for a in found.attributes("audio"))
    assert "url(" not in page
    assert not any(name.startswith("on") for _, attributes in found.tags for name in attributes)
    assert "default-src 'none'" in page


def test_the_page_can_be_read_by_ear(page: str) -> None:
    found = Page(page)
    anchors = {a["href"][1:] for a in found.attributes("a") if a["href"].startswith("#")}
    assert anchors <= {attributes.get("id") for _, attributes in found.tags}
    assert len(anchors) > 8
    assert all(len(a["alt"]) > 20 for a in found.attributes("img"))
    assert all(a["scope"] in ("col", "row") for a in found.attributes("th"))
    assert len(found.attributes("caption")) == len(found.attributes("table")) > 8
    assert all(a["aria-label"] for a in found.attributes("audio"))
    assert found.attributes("html") == [{"lang": "en"}]
    assert len(found.attributes("h1")) == 1


def test_the_page_has_pictures_for_light_and_dark(page: str) -> None:
    found = Page(page)
    assert len(found.attributes("img")) == 4
    assert [a["media"] for a in found.attributes("source")] == ["(prefers-color-scheme: dark)"] * 3
    kinds = [a["src"].partition(";")[0] for a in found.attributes("img")]
    assert kinds == ["data:image/png"] * 3 + ["data:image/webp"]


def test_page_and_markdown_say_the_same(page: str) -> None:
    report, text = fake_report.report(), Page(page).text
    for outcome in report.outcomes:
        for trial in outcome.trials:
            assert trial.name in text
            assert why(trial) in text
    for mark in ("✓ within", "✗ dropped", "✓ kept", "not limited"):
        assert mark in text
        assert mark in plain(markdown_of(report))


# tables


def test_columns_without_numbers_are_left_out() -> None:
    text = markdown_of(fake_report.report(CPU))
    assert "plan MB" not in text
    assert "kernels" not in text
    both = markdown_of(fake_report.report((Placement.TENSORRT,)))
    assert "plan MB" in both
    assert "23.2 → ?" in both
    assert "20.7 → 6.42" in both


def test_range_methods_are_compared() -> None:
    text = plain(markdown_of(fake_report.report(CPU))).partition("## Range methods")[2]
    rows = [line for line in text.partition("## ")[0].splitlines() if line.startswith("| ")]
    names = [row.split("|")[1].strip() for row in rows]
    assert names == ["range", "min-max", "entropy", "mse", "percentile 99.99"]
    assert rows[-1].endswith("✓ kept |")


def test_a_limit_that_nobody_measured_is_not_called_kept() -> None:
    whole = Judgement(Figures(mcd=0.2), {}, ())
    text = markdown_of(with_outcome(whole=whole, limits=Limits(pesq=3.8)))
    assert "| PESQ | – | at least 3.80 | ? not measured | – | – |" in text


def test_every_limit_has_a_reason_and_a_figure() -> None:
    assert {bound.limit for bound in LIMITS} == set(Limits.__dataclass_fields__)
    assert all(bound.reason and hasattr(Figures(), bound.figure) for bound in LIMITS)
    assert all(quantity(n).label != n for n in Figures.__dataclass_fields__ if n != "broken")


@pytest.mark.parametrize(
    ("limits", "figures", "within"),
    [
        (Limits(mcd=0.3), Figures(mcd=0.3), True),
        (Limits(mcd=0.3), Figures(mcd=0.31), False),
        (Limits(mcd=0.3), Figures(mcd=float("nan")), False),
        (Limits(pesq=3.8), Figures(pesq=3.79), False),
        (Limits(pesq=3.8), Figures(pesq=4.0), True),
        (Limits(pesq=3.8), Figures(), None),
    ],
)
def test_how_a_figure_stands(limits: Limits, figures: Figures, within: bool | None) -> None:
    assert standings(Judgement(figures, {}, ()), limits)[0].within is within


def test_numbers_have_units_and_sensible_digits() -> None:
    found = [amount(v) for v in (0, 0.0123, 0.5, 4.567, 45.67, 456.7)]
    assert found == ["0.00", "0.0123", "0.50", "4.57", "45.7", "457"]
    seconds = [seconds_words(s) for s in (2e-5, 0.0042, 3.1, 252, None)]
    assert seconds == ["20.0 µs", "4.20 ms", "3.10 s", "4 min 12 s", "–"]
    assert speedup(0.5, 0.4, 0.625) == "2.00× (1.60 to 2.50)"
    assert speedup(None) == speedup(0.0) == speedup(float("nan")) == "–"
    assert interval(0.5, None) == ""
    assert quantity("pesq").words(float("inf")) == "not finite"
    assert quantity("some_figure").label == "some figure"


def test_reasons_do_not_repeat_what_stands_beside_them() -> None:
    kept = replace(fake_report.trials(Placement.CPU)[0], kept=True, reason="kept: faster")
    assert why(kept) == "faster"
    assert why(replace(kept, kept=False)) == "kept: faster"
    assert why(replace(kept, kept=False, reason="dropped: slower")) == "slower"
    assert shortened("一二三四五", 4) == "一二三…"
    assert shortened("一二三四", 4) == "一二三四"


def test_times_are_of_the_same_rounds() -> None:
    """At another time fp32 takes longer: its own seconds are no comparison."""
    report = fake_report.report(CPU)
    slow = {stage: replace(cost, seconds=9.0) for stage, cost in report.baseline[CPU[0]].items()}
    text = markdown_of(replace(report, baseline={Placement.CPU: slow}))
    row = next(line for line in text.splitlines() if line.startswith("| vocoder | int8"))
    assert "2.17× (2.09 to 2.24) | 310 ms → 143 ms |" in row


def test_sentences_that_are_named_are_listed_in_full() -> None:
    text = plain(markdown_of(fake_report.report(CPU)))
    listed = text.partition("Sentences that are named above.")[2]
    assert fake_report.TEXTS[2] in listed
    assert fake_report.TEXTS[4] in listed
    assert f"2: {shortened(fake_report.TEXTS[2])}" in text


# choosing and machine


def test_the_worst_sentences_and_typical_ones_are_for_listening() -> None:
    parts = tuple(Figures(mcd=value) for value in (0.1, 0.9, 0.2, 0.3, 0.25, 0.15))
    worst = {"mcd": Worst(1, "b", 0.9), "pesq": Worst(0, "a", 2.0), "snr": Worst(1, "b", 3.0)}
    assert listening_sentences(Judgement(Figures(), worst, parts)) == {
        1: "worst mcd",
        0: "worst pesq",
        4: "typical",
        2: "typical",
    }
    assert listening_sentences(Judgement(Figures(), {}, ())) == {}
    assert len(listening_sentences(Judgement(Figures(), {}, (Figures(),) * 9))) == 2


def test_this_machine_is_described() -> None:
    machine = this_machine("some card")
    assert machine.cpu
    assert machine.cores >= 1
    assert machine.python == sys.version.split()[0]
    assert machine.packages["numpy"] == np.__version__
    assert machine.card == "some card"


# files


@pytest.mark.usefixtures("bare")
def test_without_matplotlib_the_report_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_report(tmp_path, fake_report.report(CPU))
    assert {path.name for path in tmp_path.iterdir()} == {
        "report.json",
        "report.md",
        "report.html",
        "listen",
    }
    for name in ("report.md", "report.html"):
        assert "matplotlib is not installed" in (tmp_path / name).read_text(encoding="utf-8")
    assert "](pictures/" not in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "no pictures" in caplog.text


def test_an_import_that_fails_otherwise_is_not_taken_for_matplotlib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plots = pytest.importorskip("sambert_trt.calibration.plots")

    def broken(*arguments: object) -> dict[str, bytes]:
        raise ImportError("no such thing", name="numpy.nothing")

    monkeypatch.setattr(plots, "drawn_charts", broken)
    with pytest.raises(ImportError, match="no such thing"):
        write_report(tmp_path, fake_report.report(CPU))
    assert not any(tmp_path.iterdir())


@pytest.mark.usefixtures("bare")
def test_recordings_are_pairs_of_waves(tmp_path: Path) -> None:
    report = fake_report.report()
    write_report(tmp_path, report)
    names = {path.name for path in (tmp_path / "listen").iterdir()}
    assert names == {f"{n}-{which}.wav" for n in (2, 4) for which in ("fp32", "cpu", "tensorrt")}
    wave, rate = soundfile.read(tmp_path / "listen" / "2-cpu.wav", dtype="float32")
    renderings = report.examples[0].renderings
    assert renderings is not None
    assert rate == renderings.rate
    np.testing.assert_allclose(wave, renderings.candidate, atol=1 / 32768)
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\((listen/[^)]+)\)", markdown)
    assert {Path(link).name for link in links} == names


@pytest.mark.usefixtures("bare")
def test_recordings_are_short_and_finite(tmp_path: Path) -> None:
    made = fake_report.rendering(seconds=0.1)
    wave = np.full(fake_report.RATE * 31, 2.0, np.float32)
    wave[:3] = np.nan, np.inf, -np.inf
    example = Example(Placement.CPU, 0, "", "typical", replace(made, candidate=wave))
    write_report(tmp_path, replace(fake_report.report(CPU), examples=(example,)))
    read, rate = soundfile.read(tmp_path / "listen" / "0-cpu.wav", dtype="float32")
    assert len(read) == 30 * rate
    np.testing.assert_allclose(read[:4], [0, 1, -1, 1], atol=1e-3)


@pytest.mark.usefixtures("bare")
def test_a_new_report_takes_the_place_of_the_old(tmp_path: Path) -> None:
    folder = tmp_path / "voice" / "calibration"
    write_report(folder, fake_report.report())
    (folder / "my notes.txt").write_text("mine")
    report = replace(fake_report.report(CPU), examples=(), voice="another")
    write_report(folder, report)
    assert content(folder).keys() == {"report.json", "report.md", "report.html", "my notes.txt"}
    assert report_from_json((folder / "report.json").read_text(encoding="utf-8")) == report


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("failing", range(1, 9))
def test_a_move_that_fails_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    write_report(tmp_path, fake_report.report(CPU))
    before, replacing, moves = content(tmp_path), Path.replace, 0

    def move(source: Path, target: Path) -> Path:
        nonlocal moves
        moves += 1
        if moves == failing:
            raise PermissionError(errno.EACCES, "in use")
        return replacing(source, target)

    monkeypatch.setattr(Path, "replace", move)
    with pytest.raises(OutputError, match="in use; what was there before is unchanged"):
        write_report(tmp_path, replace(fake_report.report(CPU), voice="another"))
    assert content(tmp_path) == before
    assert not list(tmp_path.glob(".report-*"))


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("part", ["report_json", "report_markdown", "report_html", "_write_wave"])
def test_a_full_disk_leaves_the_old_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    write_report(tmp_path, fake_report.report(CPU))
    before = content(tmp_path)

    def full(*arguments: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(report_module, part, full)
    with pytest.raises(OutputError, match="No space left on device"):
        write_report(tmp_path, fake_report.report(CPU))
    assert content(tmp_path) == before
    assert not list(tmp_path.glob(".report-*"))


@pytest.mark.usefixtures("bare")
def test_a_wave_that_cannot_be_written_is_an_output_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise soundfile.LibsndfileError(2, "disk full: ")

    monkeypatch.setattr(soundfile, "write", full)
    with pytest.raises(OutputError, match="disk full"):
        write_report(tmp_path, fake_report.report(CPU))
    assert not any(tmp_path.iterdir())


def test_a_place_that_is_no_folder_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "calibration").write_text("a file")
    with pytest.raises(OutputError, match="calibration failed"):
        write_report(tmp_path / "calibration", fake_report.report(CPU))
    assert (tmp_path / "calibration").read_text() == "a file"


@pytest.mark.usefixtures("bare")
def test_texts_that_no_file_holds_are_written_with_marks(tmp_path: Path) -> None:
    write_report(tmp_path, replace(fake_report.report(CPU), voice="a\udc80b"))
    assert report_from_json((tmp_path / "report.json").read_text(encoding="utf-8")).voice == "a?b"


@pytest.mark.usefixtures("bare")
def test_nothing_calibrated_is_a_report_too(tmp_path: Path) -> None:
    write_report(tmp_path, fake_report.report(()))
    assert "No assignment was searched for" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_outcomes_without_details_are_reported() -> None:
    empty = Outcome(
        Placement.CPU,
        fake_report.outcome().goal,
        Limits(),
        fake_report.outcome().recipe,
        {},
        (),
        Judgement(Figures(), {}, ()),
    )
    report = replace(fake_report.report(()), outcomes=(empty,))
    makers: tuple[Callable[[Report], str], ...] = (markdown_of, page_of, explain_text)
    assert all("every stage stays in fp32" in make(report) for make in makers)
