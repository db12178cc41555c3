"""What was measured is kept and found again; the bench asks the right judge, once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sambert_trt.calibration.assessment import Candidate, Cost, Judgement, Worst
from sambert_trt.calibration.bench import Depth, WholeCost
from sambert_trt.calibration.figures import Figures
from sambert_trt.calibration.measurements import Measurements
from sambert_trt.calibration.recipe import Group, StagePlan, Treatment
from sambert_trt.calibration.recording import Sample
from sambert_trt.calibration.voice_bench import VoiceBench
from sambert_trt.engines.errors import OutputError
from sambert_trt.engines.graphs import Placement, Precision, Stage
from sambert_trt.engines.manifest import FileRecord, StageRecord, VoiceManifest
from sambert_trt.engines.voice import manifest_from_directory

FP32, FP16 = Precision.FP32, Precision.FP16
JUDGEMENT = Judgement(
    Figures(mcd=float("nan"), duration_largest=2, broken="NaN"),
    {"mcd": Worst(3, "你好", 1.5)},
    (Figures(mcd=0.1), Figures(pesq=4.0)),
)


def never() -> Judgement:
    raise AssertionError("this is known already")


def test_what_was_measured_is_found_by_the_next_process(tmp_path: Path) -> None:
    path, cost = tmp_path / "work" / "m.jsonl", Cost(9, 0.1, 0.5, 0.4, 0.6, plan_bytes=7)
    first = Measurements(path)
    assert first.judgement("a", lambda: JUDGEMENT) is JUDGEMENT
    assert first.cost("b", lambda: cost) is cost
    first.whole_cost("c", lambda: WholeCost(0.5, 0.4, 0.6))
    first.seconds("d", lambda: 2.5)
    second = Measurements(path)
    assert repr(second.judgement("a", never)) == repr(JUDGEMENT)
    assert second.cost("b", pytest.fail) == cost
    assert second.whole_cost("c", pytest.fail) == WholeCost(0.5, 0.4, 0.6)
    assert second.seconds("d", pytest.fail) == 2.5


@pytest.mark.parametrize("damage", ["", '{"key": "b", "va', "\x00\n", '{"key": "b"}\n', "[1]\n"])
def test_a_damaged_line_costs_that_line_only(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "m.jsonl"
    Measurements(path).seconds("a", lambda: 1.0)
    with path.open("a", encoding="utf-8") as file:
        file.write(damage)
    again = Measurements(path)
    assert again.seconds("b", lambda: 2.0) == 2.0
    last = Measurements(path)
    assert (last.seconds("a", pytest.fail), last.seconds("b", pytest.fail)) == (1.0, 2.0)
    assert bool(damage) == ("damaged" in caplog.text)


def test_a_value_of_another_kind_is_measured_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"key": "a", "value": {"other": 1}}\n', encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        assert Measurements(path).cost("a", lambda: Cost(1)) == Cost(1)
    assert "damaged" in caplog.text


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    measurements = Measurements(tmp_path / "work" / "m.jsonl")
    (tmp_path / "work").touch()
    with pytest.raises(OutputError, match="make room"):
        measurements.seconds("a", lambda: 1.0)


@dataclass
class FakeWorkshop:
    manifest: VoiceManifest
    placement: Placement = Placement.TENSORRT

    def groups(self, stage: Stage) -> tuple[Group, ...]:
        return (Group(stage, "a", (), 1, (Treatment.FLOAT, Treatment.W8)),)

    def candidate(self, stage: Stage, plan: StagePlan) -> Candidate:
        record = self.manifest.stages[stage]
        if plan.precision is FP32:
            return Candidate(stage, plan, Path("voice"), record)
        file = FileRecord("g.onnx", 5, f"{plan.precision.value}{sorted(plan.treated)}")
        changed = StageRecord(file, record.graph, 1)
        return Candidate(stage, plan, Path("work"), changed)


Candidates = Mapping[Stage, Candidate]


@dataclass
class FakeJudge:
    asked: list[str] = field(default_factory=list)

    def mel(self, candidates: Candidates, *, first: int | None = None) -> Judgement:
        return self._answer("mel", candidates, first)

    def wave(self, candidates: Candidates, *, first: int | None = None) -> Judgement:
        return self._answer("wave", candidates, first)

    def whole(self, candidates: Candidates, *, first: int | None = None) -> Judgement:
        return self._answer("whole", candidates, first)

    def _answer(self, depth: str, candidates: Candidates, first: int | None) -> Judgement:
        few = "" if first is None else f" by {first}"
        self.asked.append(f"{depth} {','.join(stage.value for stage in candidates)}{few}")
        return JUDGEMENT


class FakeRecording:
    seen: Mapping[Stage, int] = dict.fromkeys(Stage, 4)
    texts: Mapping[int, str] = {0: "a", 1: "b"}
    skipped: Mapping[int, str] = {}

    def samples(self, stage: Stage) -> Iterator[Sample]:
        return iter(())


@pytest.fixture
def manifest(tiny_voice: Callable[[str], Path]) -> VoiceManifest:
    return manifest_from_directory(tiny_voice("plain"))


@pytest.fixture
def made(manifest: VoiceManifest, tmp_path: Path) -> Callable[..., VoiceBench]:
    def bench(judge: FakeJudge, by: str = "") -> VoiceBench:
        return VoiceBench(
            tmp_path / "voice",
            manifest,
            FakeWorkshop(manifest),
            judge,
            FakeRecording(),
            ("你好",),
            tmp_path / "work",
            judged_by=(by,),
        )

    return bench


def test_each_question_is_asked_once(made: Callable[..., VoiceBench]) -> None:
    judge = FakeJudge()
    bench = made(judge)
    vocoder = bench.candidate(Stage.VOCODER, StagePlan(FP16))
    postnet = bench.candidate(Stage.POSTNET, StagePlan(FP32))
    for _ in range(2):
        both = {Stage.POSTNET: postnet, Stage.VOCODER: vocoder}
        bench.judge(both, Depth.WHOLE)
        bench.judge({Stage.VOCODER: vocoder}, Depth.WAVE)
        bench.judge({Stage.VOCODER: vocoder}, Depth.WAVE, quick=True)
    assert judge.asked == ["whole vocoder", "wave vocoder", "wave vocoder by 3"]


def test_an_interrupted_run_goes_on_and_other_sentences_are_judged_anew(
    made: Callable[..., VoiceBench],
) -> None:
    judge = FakeJudge()
    for by, asked in (("a", 1), ("a", 1), ("b", 2), ("a", 2)):
        bench = made(judge, by=by)
        plan = StagePlan(FP32, {"a": Treatment.W8})
        bench.judge({Stage.POSTNET: bench.candidate(Stage.POSTNET, plan)}, Depth.MEL)
        assert len(judge.asked) == asked


def test_a_card_is_not_timed(made: Callable[..., VoiceBench]) -> None:
    bench = made(FakeJudge())
    candidate = bench.candidate(Stage.VOCODER, StagePlan(FP16))
    assert bench.whole_cost({Stage.VOCODER: candidate}) is None
    assert bench.sentence_seconds(Stage.VOCODER) == 1.0
    assert bench.cost(candidate, quick=True) == Cost(5)
