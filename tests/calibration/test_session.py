"""A whole calibration of a tiny voice: what is written, kept, resumed and refused."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sambert_trt.engines.engine import EngineRecord
from sambert_trt.engines.errors import GraphError, InputError, OutputError, VoiceError
from sambert_trt.engines.graphs import Placement, Precision, Stage
from sambert_trt.engines.manifest import VoiceManifest
from sambert_trt.engines.voice import MANIFEST, file_record, manifest_from_directory
from sambert_trt.runtime.voice import open_voice

onnx = pytest.importorskip("onnx", reason="graphs are written with onnx")
pytest.importorskip("onnxruntime", reason="graphs are judged with ONNX Runtime")

from sambert_trt.calibration import costs, plots, session, texts  # noqa: E402
from sambert_trt.calibration.assessment import Candidate  # noqa: E402
from sambert_trt.calibration.cli import main  # noqa: E402
from sambert_trt.calibration.figures import Limits  # noqa: E402
from sambert_trt.calibration.install import recipe_path  # noqa: E402
from sambert_trt.calibration.material import Material, divided_texts  # noqa: E402
from sambert_trt.calibration.recipe import Treatment  # noqa: E402
from sambert_trt.calibration.report import Report  # noqa: E402
from sambert_trt.calibration.session import CalibrationOptions, calibrate, report_of  # noqa: E402

pytestmark = pytest.mark.export

LINES = ["今天天气好。", "你去哪里？", "我们一起吃饭。", "他不来了。", "好。", "请坐，喝茶吧。"]
CPU, TENSORRT = Placement.CPU, Placement.TENSORRT


@pytest.fixture(scope="module")
def _hasty() -> Iterator[None]:
    """Times everything once: what these tests ask for does not depend on the clock."""
    once = costs.paired

    def paired(*sides: Any, **given: Any) -> costs.Paired:  # noqa: ANN401
        return once(*sides, **{**given, "rounds": 1, "least": 0.0})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(costs, "paired", paired)
        yield


@pytest.fixture(autouse=True)
def _bare(_hasty: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports without charts, which take longer than a calibration; `calibrated` has them."""
    monkeypatch.setattr(plots, "drawn_charts", lambda report, look: {})


@pytest.fixture
def voice(tiny_voice: Callable[[str], Path], tmp_path: Path) -> Path:
    """A tiny voice of the test's own."""
    return copied(tiny_voice("plain"), tmp_path / "voice")


def copied(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    return target


@pytest.fixture
def options(tmp_path: Path) -> CalibrationOptions:
    """As little as a calibration can be: no search, its vocoder in int8 by name."""
    return options_with(tmp_path / "texts.txt")


def options_with(texts: Path) -> CalibrationOptions:
    texts.write_text("\n".join(LINES), encoding="utf-8")
    return CalibrationOptions(
        placements=(CPU,),
        texts=texts,
        limits=Limits(mcd=100.0),
        keep={"vocoder": Treatment.W8A8},
        judged=2,
        seconds=0.0,
        examples=0,
    )


@dataclass(frozen=True)
class Calibrated:
    """A voice after a calibration, which tests leave as it is.

    Attributes:
        steps: what was heard of its progress.
    """

    voice: Path
    report: Report
    steps: list[tuple[str, float]]


@pytest.fixture(scope="module")
def calibrated(
    _hasty: None, tiny_voice: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Calibrated:
    """A calibrated voice with one example and all of its pictures."""
    folder, steps = tmp_path_factory.mktemp("calibrated"), list[tuple[str, float]]()
    voice = copied(tiny_voice("plain"), folder / "voice")
    asked = replace(options_with(folder / "texts.txt"), examples=1)
    report = calibrate(voice, asked, lambda *step: steps.append(step))
    return Calibrated(voice, report, steps)


@pytest.fixture(scope="module")
def interrupted(
    _hasty: None, tiny_voice: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A voice whose calibration was interrupted when nearly everything had been measured."""

    def interrupt(what: str, fraction: float) -> None:
        if "whole voice" in what:
            raise KeyboardInterrupt

    folder = tmp_path_factory.mktemp("interrupted")
    voice = copied(tiny_voice("plain"), folder / "voice")
    with pytest.raises(KeyboardInterrupt):
        calibrate(voice, options_with(folder / "texts.txt"), interrupt)
    return voice


def material_of(directory: Path, options: CalibrationOptions) -> Material:
    """The texts of a calibration as a voice reads them."""
    manifest = manifest_from_directory(directory)
    return divided_texts(
        directory, manifest, options.texts, symbols=False, recorded=200, judged=options.judged
    )


def content(directory: Path) -> dict[str, bytes]:
    """Every file of a directory but locks and what a calibration works on."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.suffix != ".lock" and ".calibration" not in path.parts
    }


def test_a_calibrated_voice_speaks_in_int8(calibrated: Calibrated) -> None:
    voice, report = calibrated.voice, calibrated.report
    assigned = manifest_from_directory(voice).assignments[CPU]
    precisions = {s.value: r.graph.precision.value for s, r in assigned.items()}
    assert precisions.pop("vocoder") == "int8"
    assert set(precisions.values()) == {"fp32"}
    assert assigned[Stage.VOCODER].file.path == "onnx/vocoder.int8.cpu.onnx"
    assert "w8a8" in assigned[Stage.VOCODER].recipe
    with open_voice(voice, precision="int8") as speaker, open_voice(voice) as exact:
        said, usual = speaker.say("你好").samples, exact.say("你好").samples
    assert said.shape == usual.shape
    assert 0 < np.abs(said - usual).max() < 0.5
    fractions = [fraction for _, fraction in calibrated.steps]
    assert fractions == sorted(fractions)
    assert 0.9 < fractions[-1] <= 1.0
    read = report_of(voice)
    assert (read.voice, read.phases) == (report.voice, report.phases)
    assert [o.trials for o in read.outcomes] == [o.trials for o in report.outcomes]
    assert len(read.examples) == 1
    written = {path.name for path in (voice / "calibration").iterdir()}
    assert {"report.json", "report.md", "report.html", "listen", "pictures"} <= written
    assert not (voice / ".calibration").exists()
    page = (voice / "calibration" / "report.html").read_text(encoding="utf-8")
    assert "vocoder" in page


def test_a_recipe_gives_the_same_graphs_again(
    calibrated: Calibrated, options: CalibrationOptions, tmp_path: Path
) -> None:
    voice, recipe = copied(calibrated.voice, tmp_path / "voice"), tmp_path / "recipe.toml"
    before = manifest_from_directory(voice)
    shutil.copyfile(voice / recipe_path(CPU), recipe)
    calibrate(voice, replace(options, keep={}, recipe=recipe))
    assert manifest_from_directory(voice) == before
    edited = recipe.read_text(encoding="utf-8").replace('"w8a8"', '"w8a8+sums"')
    recipe.write_text(edited, encoding="utf-8")
    calibrate(voice, replace(options, keep={}, recipe=recipe))
    after = manifest_from_directory(voice).assignments[CPU][Stage.VOCODER]
    old = before.assignments[CPU][Stage.VOCODER]
    assert after.recipe != old.recipe  # part of an engine's key
    assert after.file.sha256 != old.file.sha256


def test_halves_for_a_card_are_made_on_the_way(
    voice: Path, options: CalibrationOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan of one stage is built in each precision, and stands for those of the others."""
    build, built = costs.plan_record, dict[Precision, EngineRecord | None]()

    def plan_record(candidate: Candidate) -> EngineRecord | None:
        precision = candidate.record.graph.precision
        if candidate.stage is Stage.DECODER_STEP or precision not in built:
            built[precision] = build(candidate)
        return built[precision]

    monkeypatch.setattr(costs, "plan_record", plan_record)
    keep = {"decoder_step/attention": Treatment.W8}
    budget = Limits(duration_changes=1.0)
    asked = replace(options, placements=(TENSORRT,), keep=keep, limits=budget)
    report = calibrate(voice, asked)
    found = manifest_from_directory(voice)
    assert set(found.variants[Precision.FP16]) == set(Stage)
    assigned = found.assignments[TENSORRT]
    graph = assigned[Stage.DECODER_STEP].graph
    assert graph.precision is Precision.INT8
    assert graph.base in (Precision.FP16, Precision.FP32)  # tiny plans may not shrink in half
    halves = {s for s, r in assigned.items() if r.graph.precision is Precision.FP16}
    assert all(assigned[stage] == found.variants[Precision.FP16][stage] for stage in halves)
    assert report.half is not None
    assert "speed on a card" in report.unmeasured


def test_an_interrupted_calibration_goes_on(
    interrupted: Path,
    tiny_voice: Callable[[str], Path],
    options: CalibrationOptions,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert content(interrupted) == content(tiny_voice("plain"))
    voice = copied(interrupted, tmp_path / "voice")
    speakers: list[Any] = []
    monkeypatch.setattr(
        "sambert_trt.calibration.recorder._Speaker", lambda *given: speakers.append(given)
    )
    calibrate(voice, options)
    assert speakers == []  # every text had been recorded
    assert CPU in manifest_from_directory(voice).assignments


def test_texts_that_cannot_be_used(
    voice: Path, options: CalibrationOptions, caplog: pytest.LogCaptureFixture
) -> None:
    before = content(voice)
    with pytest.raises(InputError, match=r"nowhere.txt"):
        calibrate(voice, replace(options, texts=Path("nowhere.txt")))
    latin = voice.parent / "latin.txt"
    latin.write_bytes("今天\n天气".encode("gb18030"))
    with pytest.raises(InputError, match="is not UTF-8"):
        calibrate(voice, replace(options, texts=latin))
    latin.write_text("!!!\n???\n", encoding="utf-8")
    with pytest.raises(InputError, match="reads none of the texts"):
        calibrate(voice, replace(options, texts=latin))
    assert content(voice) == before
    with caplog.at_level(logging.WARNING):
        texts.calibration_texts(options.texts)
    assert "20" in caplog.text


def test_a_single_text_is_recorded_and_judged_by(
    voice: Path, options: CalibrationOptions, caplog: pytest.LogCaptureFixture
) -> None:
    assert options.texts is not None
    options.texts.write_text("今天天气好。", encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        found = material_of(voice, options)
    assert (len(found.recorded), len(found.judged)) == (1, 1)
    assert "both recorded and judged by" in caplog.text


def test_a_recipe_of_another_voice(
    calibrated: Calibrated,
    options: CalibrationOptions,
    tiny_voice: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    other = copied(tiny_voice("nsf"), tmp_path / "other")
    recipe = replace(options, keep={}, recipe=calibrated.voice / recipe_path(CPU))
    with pytest.raises(InputError, match="--adopt"):
        calibrate(other, recipe)
    with pytest.raises(InputError, match="recipe for cpu: add --target cpu"):
        calibrate(
            copied(calibrated.voice, tmp_path / "voice"), replace(recipe, placements=(TENSORRT,))
        )


def test_a_nan_in_the_checkpoint_is_named(voice: Path, options: CalibrationOptions) -> None:
    spoil(voice, Stage.VOCODER)
    before = content(voice)
    with pytest.raises((GraphError, VoiceError), match=r"vocoder|NaN|finite"):
        calibrate(voice, options)
    assert content(voice) == before


def spoil(directory: Path, stage: Stage, value: float = np.nan) -> None:
    """Puts a value into all of a stage's weights: NaN, as a diverged training does, or nothing."""
    manifest = manifest_from_directory(directory)
    record = manifest.stages[stage]
    path = directory / record.file.path
    model = onnx.load(path)
    for weight in model.graph.initializer:
        values = onnx.numpy_helper.to_array(weight)
        if values.dtype == np.float32 and values.ndim:
            weight.CopyFrom(onnx.numpy_helper.from_array(np.full_like(values, value), weight.name))
    onnx.save(model, path)
    spoilt = replace(record, file=file_record(directory, record.file.path))
    changed: VoiceManifest = replace(manifest, stages={**manifest.stages, stage: spoilt})
    (directory / MANIFEST).write_text(changed.as_json(), encoding="utf-8")


def test_a_voice_that_is_silent_in_fp32_is_told(
    voice: Path, options: CalibrationOptions, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(voice, Stage.VOCODER, 0.0)
    material = material_of(voice, options)
    with (
        caplog.at_level(logging.WARNING),
        session.Judge(voice, material.judged, threads=1, db_per_unit=12.0),
    ):
        assert caplog.text.count("is silent in fp32") == 2


def test_two_at_once(voice: Path, options: CalibrationOptions, monkeypatch: Any) -> None:  # noqa: ANN401
    from sambert_trt.engines.locks import locked

    monkeypatch.setattr(session, "_LOCK_SECONDS", 0.01)
    with locked(voice / ".calibration.lock", 1, "calibrate"), pytest.raises(OutputError):
        calibrate(voice, options)


def test_what_was_never_calibrated_has_nothing_to_explain(
    voice: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(voice), "--explain"]) == 1
    assert "calibrate the voice first" in capsys.readouterr().err


def test_the_command(
    voice: Path, options: CalibrationOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(voice), "--target", "cpu", "--texts", str(options.texts), "--seconds", "0"]
    arguments += [
        "--keep",
        "vocoder=w8a8",
        "--budget",
        "mcd=100",
        "--judge",
        "2",
        "--examples",
        "0",
    ]
    assert main([*arguments, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["voice"] == manifest_from_directory(voice).name
    assert main([str(voice), "--explain"]) == 0
    assert "vocoder" in capsys.readouterr().out
    assert main([*arguments, "--keep", "vocoder=w9"]) == 1
    assert "'w9' is none of" in capsys.readouterr().err
    assert main([*arguments, "--keep", "larynx"]) == 1
    assert "the stages are" in capsys.readouterr().err


def test_what_cannot_work_is_said_before_anything_is_recorded(
    voice: Path, options: CalibrationOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("the texts are recorded first")

    monkeypatch.setattr(session, "record", never)
    both = replace(options, placements=(CPU, TENSORRT))
    with pytest.raises(InputError, match=r"for cpu, nothing can be kept in 'vocodr'"):
        calibrate(voice, replace(options, keep={"vocodr": Treatment.W8A8}))
    with pytest.raises(InputError, match=r"for cpu, .*; for tensorrt alone, add --target tensorrt"):
        calibrate(voice, replace(both, keep={"vocoder": Treatment.W8}))
    spoil(voice, Stage.POSTNET)
    with pytest.raises(GraphError, match=r"postnet is NaN or infinite in \d+ of its"):
        calibrate(voice, options)


def test_a_recording_that_was_damaged_is_made_anew(
    interrupted: Path,
    options: CalibrationOptions,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    voice = copied(interrupted, tmp_path / "voice")
    samples = sorted((voice / ".calibration").glob("recording-*/samples/vocoder-*"))
    samples[0].write_bytes(b"cut")
    with caplog.at_level(logging.WARNING):
        calibrate(voice, options)
    assert "is missing or was cut" in caplog.text
    assert "recorded anew" in caplog.text
    assert CPU in manifest_from_directory(voice).assignments
