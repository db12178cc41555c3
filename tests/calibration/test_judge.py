"""Judging by sound: what is the same counts as the same, what differs is measured and named."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import voices
from numpy.typing import NDArray

from sambert_trt.calibration.assessment import Candidate
from sambert_trt.calibration.candidate_backend import CandidateBackend, Candidates
from sambert_trt.calibration.figures import Figures
from sambert_trt.calibration.judge import Judge
from sambert_trt.calibration.recipe import StagePlan
from sambert_trt.calibration.recogniser import Recogniser
from sambert_trt.calibration.wave_figures import SNR_BEST
from sambert_trt.engines.errors import BackendError, InputError, OutputError, VoiceError
from sambert_trt.engines.graphs import GraphSpec, Precision, Stage
from sambert_trt.engines.manifest import StageRecord
from sambert_trt.engines.voice import MANIFEST, file_record, manifest_from_directory
from sambert_trt.runtime.backend import Session
from sambert_trt.runtime.ids import Ids, sentence_from_ids
from sambert_trt.runtime.onnx_backend import OnnxBackend, OnnxSession
from sambert_trt.runtime.styles import Style
from sambert_trt.runtime.text.sentence import Sentence
from sambert_trt.runtime.text.symbols import fields_from_units, sentence_from_symbols
from sambert_trt.runtime.voice import Voice, open_voice

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import ModelProto, helper, numpy_helper  # noqa: E402

from sambert_trt.calibration.half import RULES, Arithmetic, Rule, half_graph  # noqa: E402

pytestmark = pytest.mark.export

Voices = Callable[[str], Path]
Edit = Callable[[ModelProto], None]
ACOUSTIC = [stage for stage in Stage if stage is not Stage.VOCODER]
DB_PER_UNIT = 12.0


class Workbench:
    """Candidates of a voice, in a folder of the test's own."""

    def __init__(self, directory: Path, folder: Path) -> None:
        self.directory, self._folder = directory, folder
        self.manifest = manifest_from_directory(directory)

    def half(
        self, stages: Sequence[Stage] = tuple(Stage), rules: Mapping[str, Rule] = RULES
    ) -> Candidates:
        """Candidates in half precision."""
        plan = StagePlan(Precision.FP16)
        return {s: self._written(s, plan, *half_graph(*self._source(s), rules)) for s in stages}

    def edited(self, stage: Stage, edit: Edit = lambda model: None) -> Candidates:
        """A stage's fp32 graph, changed; its bytes differ in any case."""
        model, graph = self._source(stage)
        model.producer_version = "another"
        edit(model)
        return {stage: self._written(stage, StagePlan(Precision.FP32), model, graph)}

    def own(self) -> Candidates:
        """The voice's own graphs as candidates."""
        plan, stages = StagePlan(Precision.FP32), self.manifest.stages
        return {s: Candidate(s, plan, self.directory, record) for s, record in stages.items()}

    def sentences(self, *counts: int) -> list[Sentence]:
        """Sentences of so many symbols each."""
        units, found = self.manifest.units, []
        for seed, count in enumerate(counts):
            line = voices.symbol_line(units, count, seed)
            sentence = sentence_from_symbols(line, fields_from_units(units))
            found.append(replace(sentence, text=f"text {seed}"))
        return found

    def judge(
        self,
        *counts: int,
        threads: int = 2,
        rounded: bool = True,
    ) -> Judge:
        """A judge that has sentences of so many symbols."""
        return Judge(
            self.directory,
            self.sentences(*counts),
            threads=threads,
            db_per_unit=DB_PER_UNIT,
            rounded=rounded,
        )

    def _source(self, stage: Stage) -> tuple[ModelProto, GraphSpec]:
        record = self.manifest.stages[stage]
        return onnx.load(self.directory / record.file.path), record.graph

    def _written(
        self, stage: Stage, plan: StagePlan, model: ModelProto, graph: GraphSpec
    ) -> Candidate:
        name = f"{stage.value}.{plan.base.value}.onnx"
        (self._folder / name).write_bytes(model.SerializeToString())
        return Candidate(
            stage, plan, self._folder, StageRecord(file_record(self._folder, name), graph, 0)
        )


def offset(name: str, value: float | NDArray[np.float32], operator: str = "Add") -> Edit:
    """Adds a constant to an output, or whatever else the operator does."""

    def edit(model: ModelProto) -> None:
        for node in model.graph.node:
            node.output[:] = [f"{n}/plain" if n == name else n for n in node.output]
            node.input[:] = [f"{n}/plain" if n == name else n for n in node.input]
        constant = numpy_helper.from_array(np.asarray(value, np.float32), f"{name}/offset")
        model.graph.initializer.append(constant)
        inputs = [f"{name}/plain", f"{name}/offset"]
        model.graph.node.append(helper.make_node(operator, inputs, [name]))

    return edit


@pytest.fixture
def bench(tiny_voice: Voices, tmp_path: Path) -> Callable[[str], Workbench]:
    """A workbench for a tiny voice by variant."""
    return lambda variant: Workbench(tiny_voice(variant), tmp_path)


def exact(figures: Figures) -> bool:
    """Whether nothing that was measured differs."""
    best = {"pesq": 4.6, "stoi": 0.999, "f0_correlation": 0.999, "snr": SNR_BEST}
    values = dataclasses.asdict(figures)
    assert not values.pop("broken")
    measured = {name: value for name, value in values.items() if value is not None}
    assert measured
    return all(v >= best[n] if n in best else v == 0 for n, v in measured.items())


@pytest.mark.parametrize("stage", Stage, ids=lambda stage: stage.value)
@pytest.mark.parametrize("variant", ["nsf", "fp"])
def test_the_same_numbers_are_judged_the_same(
    bench: Callable[[str], Workbench], variant: str, stage: Stage
) -> None:
    """Whatever of the reference is used again; other bytes, so that the stage is opened anew."""
    work = bench(variant)
    candidates = work.edited(stage)
    with work.judge(9, 4) as judge:
        found = judge.whole(candidates)
        assert exact(found.figures)
        assert len(found.sentences) == judge.sentences == 2
        assert found.figures.mel_mae == found.figures.mcd == found.figures.duration_changes == 0
        part = judge.wave if stage is Stage.VOCODER else judge.mel
        assert exact(part(candidates).figures)


@pytest.mark.parametrize("variant", ["nsf", "fp", "odd"])
def test_the_reference_is_what_the_voice_says(
    bench: Callable[[str], Workbench], variant: str, opened: Callable[[Path], Voice]
) -> None:
    work = bench(variant)
    line = voices.symbol_line(work.manifest.units, 6)
    with work.judge(6) as judge:
        found = judge.rendering(work.edited(Stage.TEXT_ENCODER), 0)
    said = opened(work.directory).say(symbols=line, seed=0).samples
    assert np.array_equal(found.reference, said)
    assert np.array_equal(found.candidate, said)
    assert (found.rate, found.text) == (work.manifest.sample_rate, "text 0")


def test_rounding_after_every_operator_is_further_off(bench: Callable[[str], Workbench]) -> None:
    work = bench("nsf")
    candidates = work.half()
    with work.judge(9, 12) as rounded, work.judge(9, 12, rounded=False) as plain:
        for judged in (
            lambda j: j.mel(candidates).figures.mel_mae,
            lambda j: j.wave(candidates).figures.lsd,
            lambda j: j.whole(candidates).figures.lsd,
        ):
            assert 0 < judged(plain) < judged(rounded) < 0.1


def test_threads_change_nothing(bench: Callable[[str], Workbench]) -> None:
    work = bench("fp")
    candidates = work.half()
    with work.judge(9, 4, 12, threads=1) as one, work.judge(9, 4, 12, threads=3) as three:
        assert one.whole(candidates) == three.whole(candidates)


def test_other_durations_are_counted_and_not_heard(bench: Callable[[str], Workbench]) -> None:
    """In the figures of mel and wave durations are those of fp32: there nothing differs."""
    work = bench("nsf")
    longer = work.edited(Stage.DURATION_STEP, offset("log_duration", 0.4))
    with work.judge(9, 12) as judge:
        for found in (judge.mel(longer), judge.whole(longer)):
            assert found.figures.mel_mae == 0
            assert found.figures.duration_changes is not None
            assert 0.1 < found.figures.duration_changes <= 1
            assert found.figures.duration_largest is not None
            assert found.figures.duration_largest >= 1
            assert found.figures.broken == ""
        assert found.figures.snr == SNR_BEST
        rendering = judge.rendering(longer, 0)
    assert len(rendering.candidate) > len(rendering.reference)


def test_the_worst_sentence_is_named(bench: Callable[[str], Workbench]) -> None:
    work = bench("plain")
    with work.judge(9, 4, 12) as judge:
        found = judge.mel(work.half(ACOUSTIC))
    values = [figures.mel_mae for figures in found.sentences]
    worst = found.worst["mel_mae"]
    assert worst.value == max(v for v in values if v is not None) == values[worst.sentence]
    assert worst.text == f"text {worst.sentence}"


@pytest.mark.parametrize(
    ("stage", "output", "value", "message"),
    [
        (Stage.POSTNET, "mel", np.nan, "NaN in the mel"),
        (Stage.DECODER_STEP, "frames", np.inf, "in the mel"),
        (Stage.VOCODER, "wave", np.nan, "NaN in the wave"),
        (Stage.DURATION_STEP, "log_duration", 9.0, "more than 800"),
        (Stage.DURATION_STEP, "log_duration", np.nan, "nan frames"),
        (Stage.DURATION_STEP, "log_duration", 1.0, "collapsed: .* frames, .* in fp32"),
        (Stage.DURATION_STEP, "log_duration", 0.0, "collapsed: 0 frames"),
        (Stage.TEXT_ENCODER, "text_hid", np.nan, "nan frames|NaN"),
    ],
)
def test_what_is_broken_is_said(
    bench: Callable[[str], Workbench], stage: Stage, output: str, value: float, message: str
) -> None:
    work = bench("plain")
    candidates = work.edited(stage, offset(output, value, "Add" if value else "Mul"))
    with work.judge(9, 4) as judge:
        part = judge.wave if stage is Stage.VOCODER else judge.mel
        for found in (part(candidates), judge.whole(candidates)):
            assert all(figures.broken for figures in found.sentences)
            with pytest.raises(AssertionError, match=message):
                raise AssertionError(found.figures.broken)
        assert exact(judge.whole(work.edited(stage)).figures)


def test_what_has_no_frames_cannot_be_rendered(bench: Callable[[str], Workbench]) -> None:
    work = bench("plain")
    silent = work.edited(Stage.DURATION_STEP, offset("log_duration", 0, "Mul"))
    with (
        work.judge(5) as judge,
        pytest.raises(InputError, match="nothing is to be heard of 'text 0'"),
    ):
        judge.rendering(silent, 0)


@pytest.mark.parametrize("variant", ["nsf", "fp"])
def test_a_front_of_nan_breaks_no_judge(bench: Callable[[str], Workbench], variant: str) -> None:
    work = bench(variant)
    with work.judge(9) as judge:
        for output in ("text_hid", "pause_classes")[: 1 + (variant == "fp")]:
            found = judge.whole(work.edited(Stage.TEXT_ENCODER, offset(output, np.nan)))
            assert found.figures.broken or found.figures.duration_changes


def test_a_rendering_of_other_durations_is_listened_to(bench: Callable[[str], Workbench]) -> None:
    """With fp32's durations all is well; with its own, a decoder meets what it cannot speak."""
    work = bench("plain")
    candidates = {
        **work.edited(Stage.DURATION_STEP, offset("log_duration", 0.4)),
        **work.edited(Stage.POSTNET, offset("mel", 1e-3)),
    }
    with work.judge(9) as judge:
        found = judge.whole(candidates)
        assert found.figures.broken == ""
        spoken = judge.rendering(candidates, 0)
        assert found.figures.mel_mae == pytest.approx(1e-3, rel=1e-2)
        assert len(spoken.candidate) != len(spoken.reference)


def test_pauses_elsewhere_are_durations_that_differ(bench: Callable[[str], Workbench]) -> None:
    """A filled pause counts to the symbol after it; mel and wave cannot be compared then."""
    work = bench("fp")
    outputs = {t.name: t.shape for t in work.manifest.stages[Stage.TEXT_ENCODER].graph.outputs}
    classes = int(outputs["pause_classes"][-1])
    for winner in range(classes):
        push = np.zeros(classes, np.float32)
        push[winner] = 1e3
        moved = work.edited(Stage.TEXT_ENCODER, offset("pause_classes", push))
        with work.judge(9) as judge:
            found = judge.whole(moved)
            rendering = judge.rendering(moved, 0)
        assert rendering.reference.shape != rendering.candidate.shape
        assert found.figures.mel_mae is found.figures.mcd is None
        assert found.figures.duration_changes


def test_stages_of_fp32_are_opened_once(
    bench: Callable[[str], Workbench], monkeypatch: pytest.MonkeyPatch
) -> None:
    work, real, opened = bench("plain"), OnnxBackend.open, list[str]()

    def count(backend: OnnxBackend, directory: Path, record: StageRecord) -> Session:
        session = real(backend, directory, record)
        opened.append(record.file.path)
        assert isinstance(session, OnnxSession)
        sessions.append(session)
        return session

    sessions = list[OnnxSession]()
    monkeypatch.setattr(OnnxBackend, "open", count)
    with work.judge(5) as judge:
        assert len(opened) == len(Stage)
        assert exact(judge.whole(work.own()).figures)
        assert len(opened) == len(Stage)
        judge.whole({**work.own(), **work.edited(Stage.POSTNET)})
        assert opened[len(Stage) :] == ["postnet.fp32.onnx"]
        assert sessions[-1].closed
        assert not any(session.closed for session in sessions[:-1])
    assert all(session.closed for session in sessions)


def test_nothing_stays_on_disk(
    bench: Callable[[str], Workbench], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, place = bench("plain"), tmp_path / "temporary"
    candidates = work.half([Stage.POSTNET])
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    with work.judge(5) as judge:
        judge.mel(candidates)
        assert list(place.iterdir()) == []
        place.rmdir()
        with pytest.raises(OutputError, match=r"could not be written to .*temporary.*TMPDIR"):
            judge.mel(candidates)
        place.write_text("")
        assert exact(judge.mel({}).figures)


def test_candidates_speak_through_a_voice(bench: Callable[[str], Workbench]) -> None:
    """The same backend serves whoever opens the voice: exactly what the judge heard."""
    work = bench("nsf")
    candidates, line = work.half(), voices.symbol_line(work.manifest.units, 9)
    with work.judge(9) as judge:
        heard = judge.rendering(candidates, 0).candidate
    backend = CandidateBackend(OnnxBackend(), candidates, rounded=True)
    with open_voice(work.directory, threads=1, backend=backend) as voice:
        said = voice.say(symbols=line, seed=0).samples
        assert voice.memory_report().engines
    assert np.array_equal(said, heard)


def test_styles_take_turns(bench: Callable[[str], Workbench]) -> None:
    work = bench("plain")
    styles = (Style(), Style(speed=0.5))
    same = work.sentences(9) * 3
    with Judge(work.directory, same, styles, threads=2, db_per_unit=1.0) as judge:
        lengths = [len(judge.rendering({}, number).reference) for number in range(3)]
    assert lengths[0] == lengths[2]
    assert lengths[1] > 1.5 * lengths[0]


class Forgetful:
    """Hears the sentence, without its last syllable where it has another length than fp32's."""

    def __init__(self) -> None:
        self.lengths = list[int]()

    def transcribe(self, wave: NDArray[np.float32]) -> str:
        """See `Transcriber`."""
        self.lengths.append(len(wave))
        return "你好世界"[: 4 - (len(wave) != self.lengths[0])]


def test_a_recogniser_hears_what_would_be_spoken(bench: Callable[[str], Workbench]) -> None:
    work, ears = bench("plain"), Forgetful()
    longer = work.edited(Stage.DURATION_STEP, offset("log_duration", 0.4))
    other = work.edited(Stage.VOCODER)
    (sentence,) = work.sentences(9)
    said = replace(sentence, text="你好世界。")
    recogniser = Recogniser(ears)
    with Judge(
        work.directory, [said], threads=1, db_per_unit=DB_PER_UNIT, recogniser=recogniser
    ) as judge:
        assert judge.whole(longer).figures.syllable_errors == 0.25
        assert judge.whole(other).figures.syllable_errors == 0
        assert len(ears.lengths) == 3
        assert judge.whole({}).figures.syllable_errors == 0
        assert judge.mel(longer).figures.syllable_errors is None
        assert len(ears.lengths) == 3


def test_a_few_sentences_may_do(bench: Callable[[str], Workbench]) -> None:
    work = bench("plain")
    candidates = work.half()
    with work.judge(9, 4, 12) as judge:
        for part in (judge.mel, judge.wave, judge.whole):
            assert part(candidates, first=2).sentences == part(candidates).sentences[:2]


def test_there_must_be_something_to_judge_by(bench: Callable[[str], Workbench]) -> None:
    work = bench("plain")
    with pytest.raises(InputError, match="at least one sentence"):
        work.judge()
    silent = Judge(work.directory, [Sentence("nothing", ())], threads=1, db_per_unit=1.0)
    with pytest.raises(InputError, match=r"'nothing' cannot be judged by: .* without symbols"):
        silent.__enter__()


def test_a_voice_that_speaks_nan_is_no_reference(
    bench: Callable[[str], Workbench], tmp_path: Path
) -> None:
    work, target = bench("plain"), tmp_path / "voice"
    shutil.copytree(work.directory, target)
    candidate = work.edited(Stage.VOCODER, offset("wave", np.nan))[Stage.VOCODER]
    shutil.copyfile(
        candidate.directory / candidate.record.file.path, target / "onnx" / "vocoder.onnx"
    )
    record = replace(candidate.record, file=file_record(target, "onnx/vocoder.onnx"))
    manifest = replace(work.manifest, stages={**work.manifest.stages, Stage.VOCODER: record})
    (target / MANIFEST).write_text(manifest.as_json(), encoding="utf-8")
    with (
        pytest.raises(VoiceError, match="speaks 'text 0' as NaN in fp32"),
        Workbench(target, tmp_path).judge(5),
    ):
        pass


def test_after_closing_nothing_can_be_judged(bench: Callable[[str], Workbench]) -> None:
    work = bench("plain")
    with work.judge(5) as judge:
        pass
    with pytest.raises((BackendError, RuntimeError), match=r"closed|shutdown"):
        judge.whole(work.edited(Stage.POSTNET))


GUARDED = (
    *("utt0", "seg133", "seg017", "seg215", "seg206"),
    *("sent013", "sent002", "sent023", "sent085", "sent006"),
)
"""10 sentences, 5 to 64 symbols each."""


def real_sentences(shared: Path, directory: Path, names: Sequence[str]) -> list[Sentence]:
    """Published sentences of the voice with trained weights, by name."""
    manifest, found = manifest_from_directory(directory), []
    with np.load(shared / "real/zhitian_emo/expected_e2e.npz") as arrays:
        for name in names:
            parts = (arrays[f"{name}/inputs_{part}"] for part in ("ling", "emo", "spk"))
            found.append(replace(sentence_from_ids(Ids(*parts), manifest), text=name))
    return found


@pytest.fixture(scope="module")
def real_bench(real_voice: Path, tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    """A workbench for the voice with trained weights."""
    return Workbench(real_voice, tmp_path_factory.mktemp("real"))


@pytest.fixture(scope="module")
def real_judge(real_bench: Workbench, shared: Path) -> Iterator[Judge]:
    """A judge of the voice with trained weights."""
    sentences = real_sentences(shared, real_bench.directory, GUARDED)
    with Judge(real_bench.directory, sentences, threads=2, db_per_unit=DB_PER_UNIT) as judge:
        yield judge


@pytest.mark.parametrize("rounded", [False, True])
def test_a_trained_voice_keeps_its_sound_in_half_precision(
    real_bench: Workbench, real_judge: Judge, rounded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every operator in half, in ONNX Runtime and rounded."""
    monkeypatch.setattr(real_judge, "_rounded", rounded)
    found = real_judge.mel(real_bench.half(ACOUSTIC)).figures
    assert passed(found) == {"mel_mae": True, "mel_lsd_p99": True, "duration_changes": True}
    assert found.duration_largest is not None
    assert found.duration_largest <= 1
    assert found.broken == ""


def test_what_the_limits_are_there_to_catch(real_bench: Workbench, real_judge: Judge) -> None:
    """A LayerNormalization whose statistics are halves makes finite mels of wrong speech."""
    rules = {**RULES, "LayerNormalization": Rule(Arithmetic.HALF)}
    ruined = real_judge.mel(real_bench.half([Stage.DECODER_STEP], rules=rules), first=3).figures
    assert passed(ruined, slack=30) == {
        "mel_mae": False,
        "mel_lsd_p99": False,
        "duration_changes": True,
    }


def passed(figures: Figures, slack: float = 1) -> Mapping[str, bool]:
    """Which of the limits on a voice in half precision are kept; `slack` widens them."""
    limits = {"mel_mae": 3e-3, "mel_lsd_p99": 0.5, "duration_changes": 0.01}
    return {name: getattr(figures, name) <= slack * limit for name, limit in limits.items()}
