"""The acceptance of a card, on a card that is not there: every section runs, and finds faults.

Nothing here asserts on time: the fake card has none.
"""

from __future__ import annotations

import importlib
import json
import math
import shutil
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol
from xml.etree import ElementTree

import fake_trt
import numpy as np
import pytest
from fake_cuda import FakeCard, FakeDriver
from fake_gpu import VERSION, FakeMemory, fill_store
from fake_trt import FakeTensorRT, plan_from_graph

from sambert_trt.engines.engine import Flavour
from sambert_trt.engines.errors import BackendError
from sambert_trt.engines.graphs import Precision, Stage
from sambert_trt.engines.voice import manifest_from_directory
from sambert_trt.runtime.onnx_backend import OnnxBackend

if TYPE_CHECKING:
    from acceptance.card import Card, ForeignPlan
    from acceptance.results import Outcome, Result

Modules = dict[str, ModuleType]

TINY = {
    "cycles": 2,
    "failed_loads": 8,
    "sentences": 6,
    "rounds": 1,
    "opens": 1,
    "bursts": 2,
    "contexts": 2,
    "lengths": (1, 9),
    "text": 1,
    "idle_samples": 1,
}


@pytest.fixture(scope="module")
def acceptance(root: Path) -> Modules:
    """The modules of the script by name."""
    names = ("card", "lasting", "plans", "plots", "report", "results", "sections")
    sys.path.insert(0, str(root / "scripts"))
    try:
        found = {name: importlib.import_module(f"acceptance.{name}") for name in names}
        return {**found, "script": importlib.import_module("gpu_acceptance")}
    finally:
        sys.path.pop(0)


@pytest.fixture(scope="module")
def voice(tiny_voice: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny voice with fake plans for every stage."""
    directory = tmp_path_factory.mktemp("acceptance") / "voice"
    shutil.copytree(tiny_voice("nsf"), directory)
    fill_store(directory)
    return directory


@pytest.fixture(autouse=True)
def no_waiting(acceptance: Modules, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaked memory of a fake card does not come back by waiting."""
    monkeypatch.setattr(acceptance["card"], "SETTLING", 0.0)


class Maker(Protocol):
    """Makes the acceptance's card of a fake driver; `changes` are fields of `Card`."""

    def __call__(self, driver: FakeDriver | None = None, **changes: object) -> Card: ...


@pytest.fixture
def card_of(acceptance: Modules, voice: Path, tmp_path: Path) -> Maker:
    """See `Maker`."""

    def foreign_plan() -> ForeignPlan:
        graph = manifest_from_directory(voice).stages[Stage.MEMORY_KV].graph
        plan = plan_from_graph(graph, targets=("sm_120",))
        found: ForeignPlan = acceptance["card"].ForeignPlan("sm_120", plan)
        return found

    def make(driver: FakeDriver | None = None, **changes: object) -> Card:
        driver = driver or FakeDriver()
        values: dict[str, object] = {
            "voice": voice,
            "kernels": tmp_path / "kernels",
            "counts": acceptance["card"].Counts(**TINY),
            "opened_driver": driver,
            "memory": FakeMemory(driver, driver.cards[0]),
            "trt": FakeTensorRT(driver),
            "flavour": Flavour.RTX,
            "version": VERSION,
            "precisions": (Precision.FP32,),
            "foreign_plan": foreign_plan,
            "onnx_cuda": OnnxBackend,
            "threads": 1,
        }
        card: Card = acceptance["card"].Card(**{**values, **changes})
        return card

    return make


def outcome_of(acceptance: Modules, card: Card, name: str) -> Outcome:
    """How one section ended."""
    outcomes = {o.name: o for o in acceptance["sections"].run_sections(card, [name])}
    outcome: Outcome = outcomes[name]
    return outcome


SECTIONS = (
    *("install", "contexts", "memory", "graphs", "parity", "streaming", "load", "step", "speech"),
    *("peak", "cycles", "sentences", "onnx_cuda", "failures"),
)


@pytest.mark.parametrize("name", SECTIONS)
def test_a_sound_card_passes(acceptance: Modules, card_of: Maker, name: str) -> None:
    driver = FakeDriver()
    outcome = outcome_of(acceptance, card_of(driver), name)
    assert outcome.reason == ""
    assert outcome.status.value == "passed"
    assert name == "install" or outcome.result.checks or outcome.result.numbers
    driver.assert_clean()


class LeakyDriver(FakeDriver):
    """Keeps a page of every context that is destroyed."""

    def context_destroy(self, context: int) -> None:
        super().context_destroy(context)
        self.cards[0].others += 4096


@pytest.mark.parametrize("name", ["contexts", "cycles", "peak", "failures"])
def test_a_leak_turns_a_section_red(acceptance: Modules, card_of: Maker, name: str) -> None:
    outcome = outcome_of(acceptance, card_of(LeakyDriver()), name)
    assert outcome.status.value == "failed"
    assert "back" in outcome.reason or "nothing is left" in outcome.reason


class LeakyMemory(FakeMemory):
    """Says with every question that 100 bytes more are gone."""

    asked = 0

    def free(self) -> int | None:
        self.asked += 1
        return (super().free() or 0) - 100 * self.asked


def test_memory_that_shrinks_from_sentence_to_sentence_is_found(
    acceptance: Modules, card_of: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = FakeDriver()
    card = card_of(driver, memory=LeakyMemory(driver, driver.cards[0]))
    monkeypatch.setattr(acceptance["card"].Card, "noise", lambda card: 0)
    outcome = outcome_of(acceptance, card, "sentences")
    assert outcome.status.value == "failed"
    assert outcome.reason == "free memory does not shrink over the second half"


def test_what_others_do_to_the_card_is_no_leak(
    acceptance: Modules, card_of: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a desktop free memory changes by itself: within that, nothing is red, and it is said."""
    monkeypatch.setattr(acceptance["card"].Card, "noise", lambda card: 1 << 20)
    outcome = outcome_of(acceptance, card_of(LeakyDriver()), "cycles")
    assert outcome.status.value == "passed"
    assert any("others use the card" in note for note in outcome.result.notes)


Outputs = Mapping[str, np.ndarray[Any, Any]]


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, float], None]:
    """Lets the fake card compute an output wrongly by so much of its largest value."""

    def spoil(name: str, share: float) -> None:
        right = fake_trt._onnx_outputs

        def outputs(onnx: str, half: bool, inputs: Outputs) -> Outputs:
            found = right(onnx, half, inputs)
            if name in found:
                found[name] = found[name] + np.float32(share * np.abs(found[name]).max())
            return found

        monkeypatch.setattr(fake_trt, "_onnx_outputs", outputs)

    return spoil


@pytest.mark.parametrize(
    ("tensor", "stage"),
    [
        ("text_hid", "fp32 text_encoder"),
        ("energy", "fp32 prosody"),
        ("memory_kv", "fp32 memory_kv"),
        ("state_next", "fp32 decoder_step, steps"),
        ("mel", "fp32 postnet, steps"),
        ("wave", "fp32 vocoder"),
    ],
)
def test_a_wrong_output_turns_its_stage_red(
    acceptance: Modules,
    card_of: Maker,
    wrong: Callable[[str, float], None],
    tensor: str,
    stage: str,
) -> None:
    wrong(tensor, 0.01)
    outcome = outcome_of(acceptance, card_of(), "parity")
    assert outcome.status.value == "failed"
    assert [check.name.partition(" (")[0] for check in outcome.result.failures] == [stage]


def test_a_difference_within_the_tolerance_is_none(
    acceptance: Modules, card_of: Maker, wrong: Callable[[str, float], None]
) -> None:
    wrong("wave", 1e-6)
    assert outcome_of(acceptance, card_of(), "parity").status.value == "passed"


def test_other_durations_turn_streaming_red(
    acceptance: Modules, card_of: Maker, wrong: Callable[[str, float], None]
) -> None:
    wrong("log_duration", 0.2)
    outcome = outcome_of(acceptance, card_of(), "streaming")
    assert outcome.status.value == "failed"
    assert "durations are ONNX Runtime's" in outcome.reason


def test_chunks_that_depend_on_their_size_turn_streaming_red(
    acceptance: Modules, card_of: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = fake_trt._onnx_outputs

    def outputs(onnx: str, half: bool, inputs: Outputs) -> Outputs:
        found = right(onnx, half, inputs)
        if "wave" in found:
            found["wave"] = found["wave"] * np.float32(1 + found["wave"].size / 1e4)
        return found

    monkeypatch.setattr(fake_trt, "_onnx_outputs", outputs)
    outcome = outcome_of(acceptance, card_of(), "streaming")
    assert "chunked equals whole" in outcome.reason


def test_a_plan_that_loads_although_it_is_bad_is_found(
    acceptance: Modules, card_of: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorRT that takes a plan of another card: one kind of bad plan is not refused."""
    plan_of = fake_trt.Runtime._plan

    def careless(self: fake_trt.Runtime, buffer: bytes) -> tuple[dict[str, Any] | None, str]:
        plan, reason = plan_of(self, buffer)
        return (json.loads(bytes(buffer)), "") if "was built for" in reason else (plan, reason)

    monkeypatch.setattr(fake_trt.Runtime, "_plan", careless)
    outcome = outcome_of(acceptance, card_of(), "failures")
    assert outcome.status.value == "failed"
    (failure,) = outcome.result.failures
    assert "of another card (sm_120)" in failure.name


def test_a_crash_instead_of_an_error_is_found(
    acceptance: Modules, card_of: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(self: fake_trt.Runtime, buffer: bytes) -> tuple[dict[str, Any] | None, str]:
        return json.loads(bytes(buffer)), ""

    monkeypatch.setattr(fake_trt.Runtime, "_plan", careless)
    outcome = outcome_of(acceptance, card_of(), "failures")
    assert "random bytes" in outcome.reason
    assert any("Error: " in check.found for check in outcome.result.failures)


def test_an_engine_that_cannot_be_opened_keeps_nobody_else_from_it(
    acceptance: Modules, card_of: Maker
) -> None:
    """The card fails while steps are timed: that section is red, the next one green."""
    driver = FakeDriver()
    driver.fail_at(1, "CUDA_ERROR_OUT_OF_MEMORY", "pinned_alloc")
    card = card_of(driver)
    outcomes = {o.name: o for o in acceptance["sections"].run_sections(card, ["step", "cycles"])}
    assert outcomes["step"].status.value == "failed"
    assert "CUDA_ERROR_OUT_OF_MEMORY" in outcomes["step"].reason
    assert outcomes["cycles"].status.value == "passed"
    driver.assert_clean()


def test_a_budget_that_is_too_small_is_refused_and_said(
    acceptance: Modules, card_of: Maker
) -> None:
    """Contexts of 800 MB do not fit into 700 MB: no configuration of that budget speaks."""
    driver = FakeDriver(FakeCard(overhead=800 << 20))
    outcome = outcome_of(acceptance, card_of(driver), "peak")
    assert outcome.status.value == "passed"
    refused = [note for note in outcome.result.notes if "needs" in note]
    assert len(refused) == 4
    assert "peak_700_mb" not in outcome.result.numbers
    driver.assert_clean()


def test_without_plans_the_bare_card_is_still_looked_at(
    acceptance: Modules, card_of: Maker
) -> None:
    """As on a data-centre card, which TensorRT for RTX does not know."""
    prepare = partial(acceptance["plans"].prepare_plans, wanted=(Precision.FP32,), build=True)
    driver = FakeDriver(FakeCard(capability="sm_90"))
    card = card_of(driver, prepare=prepare, precisions=())
    outcomes = {o.name: o for o in acceptance["sections"].run_sections(card)}
    ran = {name for name, o in outcomes.items() if o.status.value == "passed"}
    assert ran == {"install", "contexts", "memory", "graphs", "onnx_cuda"}
    assert {o.status.value for name, o in outcomes.items() if name not in ran} == {"not run"}
    assert "no plans for sm_90" in outcomes["parity"].reason
    assert outcomes["plans"].reason == outcomes["cycles"].reason
    driver.assert_clean()


def test_plans_that_are_there_are_found_and_missing_ones_named(
    acceptance: Modules, card_of: Maker
) -> None:
    prepare = partial(acceptance["plans"].prepare_plans, wanted=(Precision.FP32,), build=False)
    card = card_of(prepare=prepare, precisions=())
    assert outcome_of(acceptance, card, "plans").status.value == "passed"
    assert card.precisions == (Precision.FP32,)
    other = card_of(FakeDriver(FakeCard(capability="sm_89")), prepare=prepare, precisions=())
    outcomes = {o.name: o for o in acceptance["sections"].run_sections(other, ["load"])}
    assert "sambert-build" in outcomes["load"].reason
    assert "sm_86 built, this card is sm_89" in outcomes["load"].reason


def test_without_a_card_nothing_has_passed(acceptance: Modules, card_of: Maker) -> None:
    card = card_of(opened_driver=None, memory=None, absent="no NVIDIA driver was found")
    outcomes = [*acceptance["sections"].run_sections(card)]
    assert {o.reason for o in outcomes if o.name != "install"} == {"no NVIDIA driver was found"}
    assert not acceptance["sections"].passed(outcomes)
    alone = [*acceptance["sections"].run_sections(card, ["install"])]
    assert acceptance["sections"].passed(alone)


def test_a_provider_that_is_absent_is_not_run(acceptance: Modules, card_of: Maker) -> None:
    def absent() -> OnnxBackend:
        raise BackendError("this ONNX Runtime has no CUDA provider")

    outcome = outcome_of(acceptance, card_of(onnx_cuda=absent), "onnx_cuda")
    assert outcome.status.value == "not run"
    assert "no CUDA provider" in outcome.reason


@pytest.mark.export
@pytest.mark.parametrize("name", ["parity", "streaming", "step"])
def test_half_precision_is_compared_with_fp32_within_what_halves_cost(
    acceptance: Modules, card_of: Maker, voice: Path, tmp_path: Path, name: str
) -> None:
    pytest.importorskip("onnx", reason="half-precision graphs are made with onnx")
    from sambert_trt.calibration.variants import write_variants

    directory = Path(shutil.copytree(voice, tmp_path / "half"))
    write_variants(directory, Precision.FP16)
    fill_store(directory, Precision.FP16)
    driver = FakeDriver()
    card = card_of(driver, voice=directory, precisions=(Precision.FP16, Precision.FP32))
    outcome = outcome_of(acceptance, card, name)
    assert (outcome.status.value, outcome.reason) == ("passed", "")
    driver.assert_clean()


def test_after_the_card_is_lost_nothing_else_is_tried(acceptance: Modules, card_of: Maker) -> None:
    driver = FakeDriver()
    driver.fail_at(1, "CUDA_ERROR_ILLEGAL_ADDRESS", "stream_synchronize")
    card = card_of(driver)
    outcomes = {o.name: o for o in acceptance["sections"].run_sections(card, ["step", "cycles"])}
    assert outcomes["step"].status.value == "failed"
    assert "CUDA_ERROR_ILLEGAL_ADDRESS" in outcomes["step"].reason
    assert outcomes["cycles"].reason.startswith("the card was lost in the section step")


def test_without_nvml_the_driver_says_what_is_free(acceptance: Modules) -> None:
    driver = FakeDriver(FakeCard(total=1 << 30, overhead=1 << 20))
    memory = acceptance["card"].WatchingContext(driver, 0)
    assert memory.free() == (1 << 30) - (1 << 20)
    assert memory.process() is None
    driver.fail_at(1, "CUDA_ERROR_UNKNOWN", "memory_info")
    assert memory.free() is None


def test_memory_nobody_can_tell_of_is_not_measured(acceptance: Modules, card_of: Maker) -> None:
    class Silent(FakeMemory):
        def free(self) -> int | None:
            return None

    driver = FakeDriver()
    card = card_of(driver, memory=Silent(driver, driver.cards[0]))
    outcome = outcome_of(acceptance, card, "cycles")
    assert outcome.status.value == "not run"
    assert "how much of the card is free" in outcome.reason


def test_a_growing_series_has_its_slope_and_a_flat_one_none(acceptance: Modules) -> None:
    slope = acceptance["lasting"].slope
    assert slope([8e9] * 9) == 0.0
    assert slope([8e9 + 12.5 * n for n in range(9)]) == pytest.approx(12.5)
    assert slope([1.0]) == 0.0
    assert math.isnan(slope([1.0, math.nan, 2.0]))


# the report


def files_of(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "report.json", tmp_path / "report.md"


def test_the_report_is_whole(
    acceptance: Modules, card_of: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = files_of(tmp_path)
    only = ["contexts", "graphs", "cycles"]
    assert acceptance["script"].accept(card_of(), only, files, {"scale": "tiny"}) == 0
    data = json.loads(files[0].read_text(encoding="utf-8"))
    assert data["verdict"] == "passed"
    assert data["machine"]["card"]["name"] == "Fake RTX 3070"
    ran = {section["name"] for section in data["sections"] if section["status"] == "passed"}
    assert ran == {"plans", *only}
    text = files[1].read_text(encoding="utf-8")
    assert "| peak of the card, contexts included, at best | 700 |" in text
    assert "not measured" in text
    plots = [*tmp_path.glob("*.svg")]
    assert {plot.name for plot in plots} == {
        "report-cycles-engine.svg",
        "report-cycles-shared.svg",
    }
    for plot in plots:
        assert f"]({plot.name})" in text
        ElementTree.parse(plot)
    printed = capsys.readouterr().out
    assert "not run: " in printed
    assert "passed; the report is in" in printed


def test_a_failed_section_fails_the_run(
    acceptance: Modules, card_of: Maker, tmp_path: Path
) -> None:
    files = files_of(tmp_path)
    card = card_of(LeakyDriver())
    assert acceptance["script"].accept(card, ["contexts"], files, {}) == 1
    assert json.loads(files[0].read_text(encoding="utf-8"))["verdict"] == "failed"
    assert "**failed**: contexts give everything back" in files[1].read_text(encoding="utf-8")


def test_an_interrupted_run_keeps_what_it_found(
    acceptance: Modules, card_of: Maker, tmp_path: Path
) -> None:
    """Ctrl-C between two configurations of a section: what was found before it is in the report."""
    files = files_of(tmp_path)

    def say(line: str) -> None:
        if line.startswith("cycles, shared"):
            raise KeyboardInterrupt

    card = card_of(say=say)
    assert acceptance["script"].accept(card, ["contexts", "cycles", "failures"], files, {}) == 130
    sections = {s["name"]: s for s in json.loads(files[0].read_text(encoding="utf-8"))["sections"]}
    assert sections["contexts"]["status"] == "passed"
    assert sections["cycles"]["status"] == "interrupted"
    assert len(sections["cycles"]["checks"]) == len(Stage)
    assert sections["failures"]["status"] == "not run"
    assert sections["failures"]["reason"] == "not reached"
    assert "Verdict: **unfinished**" in files[1].read_text(encoding="utf-8")
    driver = card.opened_driver
    assert isinstance(driver, FakeDriver)
    driver.assert_clean()


def test_a_process_that_dies_leaves_the_section_it_died_in(
    acceptance: Modules, card_of: Maker, tmp_path: Path
) -> None:
    """The report on the disk, at the moment TensorRT is given a bad plan."""
    files, seen = files_of(tmp_path), list[dict[str, Any]]()

    def say(line: str) -> None:
        if line.startswith("failures: cut"):
            seen.append(json.loads(files[0].read_text(encoding="utf-8")))

    acceptance["script"].accept(card_of(say=say), ["failures"], files, {})
    (section,) = (s for s in seen[0]["sections"] if s["name"] == "failures")
    assert section["status"] == "running"
    assert section["reason"] == "the process ended in this section"
    assert seen[0]["verdict"] == "unfinished"


def test_targets_are_met_missed_or_not_measured(acceptance: Modules) -> None:
    def outcome(name: str, **numbers: float) -> Outcome:
        status, result = acceptance["results"].Status.PASSED, acceptance["results"].Result()
        result.numbers |= numbers
        found: Outcome = acceptance["results"].Outcome(name, "", status, result=result)
        return found

    outcomes = [
        outcome("peak", peak_mb=2000.0, peak_700_mb=690.0),
        outcome("load", reopen_ms=151.0),
        outcome("speech", first_audio_ms=50.0, ten_seconds_ms=math.nan),
    ]
    verdicts = [target.verdict for target in acceptance["sections"].targets(outcomes)]
    assert verdicts == ["pass", "fail", "pass", "not measured", "not measured"]
    assert not acceptance["sections"].passed(outcomes)
    assert acceptance["sections"].passed(outcomes[:1])


def test_what_is_no_number_is_null_and_a_plot_without_points_is_a_plot(
    acceptance: Modules, tmp_path: Path
) -> None:
    results, files = acceptance["results"], files_of(tmp_path)
    result: Result = results.Result(numbers={"x": math.nan, "y": math.inf})
    result.plots.append(results.Plot("empty", "<&>", "x", "y", {"a": [], "b": [(0.0, math.nan)]}))
    result.table("t", ("a|b", "c"), [["1|2\n3", None]])
    outcome = results.Outcome("load", "Opening", results.Status.PASSED, result=result)
    report = acceptance["report"].Report(("x",), "now", {}, {}, {}, [outcome])
    acceptance["report"].write_report(report, *files)
    data = json.loads(files[0].read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert data["sections"][0]["numbers"] == {"x": None, "y": None}
    ElementTree.parse(tmp_path / "report-empty.svg")
    assert "1\\|2 3" in files[1].read_text(encoding="utf-8")


def test_numbers_of_a_plot_lie_inside_it(acceptance: Modules) -> None:
    points = [(float(i), float(i % 7)) for i in range(50)]
    plot = acceptance["results"].Plot("p", "title", "x", "y", {"line": points})
    tree = ElementTree.fromstring(acceptance["plots"].svg_from_plot(plot))
    (line,) = tree.iter("{http://www.w3.org/2000/svg}polyline")
    places = [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
    width, height = float(tree.attrib["width"]), float(tree.attrib["height"])
    assert len(places) == 50
    assert all(0 < x < width and 0 < y < height for x, y in places)
    assert places[0][1] > places[6][1]


def test_quantiles(acceptance: Modules) -> None:
    quantile = acceptance["results"].quantile
    samples = [float(n) for n in range(1, 21)]
    assert quantile(samples, 0.95) == 19.0
    assert quantile([3.0], 0.95) == 3.0
    assert math.isnan(quantile([], 0.5))


# the command line


@pytest.mark.parametrize(
    "arguments",
    [
        ("voice", "--only", "nothing"),
        ("voice", "--cycles", "0"),
        ("voice", "--quick", "--full"),
        ("voice", "--precision", "fp8"),
        (),
    ],
)
def test_wrong_usage_is_told(acceptance: Modules, arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as error:
        acceptance["script"].main(arguments)
    assert error.value.code == 2


def test_a_voice_that_is_none_is_an_error_in_words(
    acceptance: Modules, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert acceptance["script"].main([str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("gpu_acceptance: ")


def test_counts_replace_those_of_the_scale(acceptance: Modules) -> None:
    script = acceptance["script"]
    options = script._parser().parse_args(["voice", "--quick", "--cycles", "3"])
    counts = script._counts(options)
    assert counts.cycles == 3
    assert counts.sentences == acceptance["card"].QUICK.sentences
    full = script._counts(script._parser().parse_args(["voice"]))
    assert (full.cycles, full.failed_loads, full.sentences) == (1000, 200, 10_000)


@pytest.mark.export
def test_missing_plans_are_built_and_one_for_another_card(
    acceptance: Modules, card_of: Maker, tiny_voice: Callable[[str], Path], tmp_path: Path
) -> None:
    """With the real builder, which needs no card; the fake one cannot run what it builds."""
    pytest.importorskip("tensorrt_rtx_bindings", reason="TensorRT for RTX builds the plans")
    plans = acceptance["plans"]
    directory = Path(shutil.copytree(tiny_voice("plain"), tmp_path / "voice"))
    card = card_of(voice=directory, precisions=(), version=plans.installed_flavours()[0].version)
    card.prepare = partial(plans.prepare_plans, wanted=(Precision.FP32,), build=True)
    outcome = outcome_of(acceptance, card, "plans")
    assert (outcome.status.value, outcome.reason) == ("passed", "")
    assert card.precisions == (Precision.FP32,)
    (table,) = outcome.result.tables
    assert [row[2] for row in table.rows] == ["built"] * len(Stage)
    foreign = plans._foreign_plan(card)
    assert foreign.target == "sm_120"
    assert len(foreign.content) > 10_000
    again = outcome_of(acceptance, card, "plans")
    assert again.result.notes == ["every plan was there"]
