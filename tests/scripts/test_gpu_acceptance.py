"""The acceptance of a card, on a card that is not there: every section runs, and finds faults.

Nothing here asserts on time: the fake card has none.
"""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import fake_trt
import numpy as np
import pytest
from fake_cuda import FakeCard, FakeDriver
from fake_gpu import VERSION, FakeMemory, fill_store
from fake_trt import FakeTensorRT, plan_from_graph

from sambert_trt.engines.engine import Flavour
from sambert_trt.engines.errors import EngineError
from sambert_trt.engines.graphs import Precision, Stage
from sambert_trt.engines.voice import manifest_from_directory
from sambert_trt.runtime.onnx_backend import OnnxBackend

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
PLANLESS = ("install", "contexts", "memory", "graphs")


@pytest.fixture(scope="module")
def acceptance(root: Path) -> dict[str, ModuleType]:
    """The modules of the script by name."""
    names = ("card", "plans", "plots", "report", "results", "sections", "traffic")
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
def no_waiting(acceptance: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaked memory of a fake card does not come back by waiting."""
    monkeypatch.setattr(acceptance["card"], "SETTLING", 0.0)


Maker = Callable[..., Any]


@pytest.fixture
def card_of(acceptance: dict[str, ModuleType], voice: Path, tmp_path: Path) -> Maker:
    """Makes the acceptance's card of a fake driver."""

    def make(driver: FakeDriver | None = None, **changes: Any) -> Any:
        driver = driver or FakeDriver()
        manifest = manifest_from_directory(voice)

        def foreign_plan() -> Any:
            graph = manifest.stages[Stage.MEMORY_KV].graph
            plan = plan_from_graph(graph, targets=("sm_120",))
            return acceptance["card"].ForeignPlan("sm_120", plan)

        values: dict[str, Any] = {
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
        return acceptance["card"].Card(**{**values, **changes})

    return make


def outcome_of(acceptance: dict[str, ModuleType], card: Any, name: str) -> Any:
    """How one section ended."""
    outcomes = {o.name: o for o in acceptance["sections"].run_sections(card, [name])}
    return outcomes[name]


SECTIONS = (
    *("install", "contexts", "memory", "graphs", "parity", "streaming", "load", "step", "speech"),
    *("peak", "cycles", "sentences", "onnx_cuda", "failures"),
)


@pytest.mark.parametrize("name", SECTIONS)
def test_a_sound_card_passes(acceptance: dict[str, ModuleType], card_of: Maker, name: str) -> None:
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
def test_a_leak_turns_a_section_red(
    acceptance: dict[str, ModuleType], card_of: Maker, name: str
) -> None:
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
    acceptance: dict[str, ModuleType], card_of: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = FakeDriver()
    card = card_of(driver, memory=LeakyMemory(driver, driver.cards[0]))
    monkeypatch.setattr(acceptance["card"].Card, "noise", lambda card: 0)
    outcome = outcome_of(acceptance, card, "sentences")
    assert outcome.status.value == "failed"
    assert outcome.reason == "free memory does not shrink over the second half"


def test_what_others_do_to_the_card_is_no_leak(
    acceptance: dict[str, ModuleType], card_of: Maker, monkeypatch: pytest.MonkeyPatch
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
    acceptance: dict[str, ModuleType],
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
    acceptance: dict[str, ModuleType], card_of: Maker, wrong: Callable[[str, float], None]
) -> None:
    wrong("wave", 1e-6)
    assert outcome_of(acceptance, card_of(), "parity").status.value == "passed"


def test_other_durations_turn_streaming_red(
    acceptance: dict[str, ModuleType], card_of: Maker, wrong: Callable[[str, float], None]
) -> None:
    wrong("log_duration", 0.2)
    outcome = outcome_of(acceptance, card_of(), "streaming")
    assert outcome.status.value == "failed"
    assert "durations are ONNX Runtime's" in outcome.reason


def test_chunks_that_depend_on_their_size_turn_streaming_red(
    acceptance: dict[str, ModuleType], card_of: Maker, monkeypatch: pytest.MonkeyPatch
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
    acceptance: dict[str, ModuleType], card_of: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorRT that takes a plan of another card: one kind of bad plan is not refused."""
    plan_of = fake_trt.Runtime._plan

    def careless(self: Any, buffer: bytes | memoryview) -> Any:
        plan, reason = plan_of(self, buffer)
        text = bytes(memoryview(buffer))
        return (json.loads(text), "") if "was built for" in reason else (plan, reason)

    monkeypatch.setattr(fake_trt.Runtime, "_plan", careless)
    outcome = outcome_of(acceptance, card_of(), "failures")
    assert outcome.status.value == "failed"
    (failure,) = outcome.result.failures
    assert "of another card (sm_120)" in failure.name


def test_a_crash_instead_of_an_error_is_found(
    acceptance: dict[str, ModuleType], card_of: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(self: Any, buffer: bytes | memoryview) -> Any:
        return json.loads(bytes(memoryview(buffer))), ""

    monkeypatch.setattr(fake_trt.Runtime, "_plan", careless)
    outcome = outcome_of(acceptance, card_of(), "failures")
    assert "random bytes" in outcome.reason
    assert any("Error: " in check.found for check in outcome.result.failures)
