"""An assignment enters its voice whole, and leaves nothing behind when it goes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sambert_trt.calibration.assessment import Candidate
from sambert_trt.calibration.install import install, recipe_path
from sambert_trt.calibration.recipe import StagePlan, Treatment
from sambert_trt.engines.errors import OutputError, VoiceError
from sambert_trt.engines.graphs import Placement, Precision, Stage
from sambert_trt.engines.manifest import StageRecord
from sambert_trt.engines.voice import file_record, manifest_from_directory
from sambert_trt.runtime.voice import open_voice

pytestmark = pytest.mark.export

RECIPE = "# the recipe\n"
INT8 = "onnx/vocoder.int8.cpu.onnx"


@pytest.fixture
def voice(tiny_voice: Callable[[str], Path], tmp_path: Path) -> Path:
    """A tiny voice of the test's own."""
    directory = tmp_path / "voice"
    shutil.copytree(tiny_voice("plain"), directory)
    return directory


@pytest.fixture
def candidates(voice: Path, tmp_path: Path) -> dict[Stage, Candidate]:
    """All stages as exported, but a vocoder that is called int8."""
    onnx = pytest.importorskip("onnx")
    from sambert_trt.engines.graphs import METADATA_KEY

    manifest = manifest_from_directory(voice)
    found = {
        stage: Candidate(stage, StagePlan(Precision.FP32), voice, record)
        for stage, record in manifest.stages.items()
    }
    source = manifest.stages[Stage.VOCODER]
    graph = replace(source.graph, precision=Precision.INT8)
    model = onnx.load(voice / source.file.path)
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            entry.value = graph.as_json()
    work = tmp_path / "candidates"
    (work / "onnx").mkdir(parents=True)
    onnx.save(model, work / INT8)
    record = StageRecord(file_record(work, INT8), graph, source.parameters, made_of(source))
    plan = StagePlan(Precision.FP32, {"all": Treatment.W8A8})
    return {**found, Stage.VOCODER: Candidate(Stage.VOCODER, plan, work, record)}


def made_of(source: StageRecord) -> str:
    return f"int8: for a test; fp32 graph {source.file.sha256[:12]}"


def files(directory: Path) -> dict[str, bytes]:
    """Every file of a directory but the lock."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


def test_a_voice_speaks_what_was_installed(voice: Path, candidates: dict[Stage, Candidate]) -> None:
    before = files(voice)
    assert install(voice, Placement.CPU, candidates, RECIPE)
    found = manifest_from_directory(voice)
    assigned = found.assignments[Placement.CPU]
    assert assigned[Stage.VOCODER] == candidates[Stage.VOCODER].record
    assert assigned[Stage.POSTNET] == found.stages[Stage.POSTNET]
    assert set(files(voice)) - set(before) == {INT8, recipe_path(Placement.CPU)}
    with open_voice(voice, precision="int8") as speaker, open_voice(voice) as usual:
        said = speaker.say("你好").samples
        assert np.allclose(said, usual.say("你好").samples, atol=1e-4)  # the same graph
    with pytest.raises(VoiceError, match=r"no int8 graph .* for tensorrt"):
        found.record(Stage.VOCODER, Precision.INT8, Placement.TENSORRT)


def test_an_assignment_without_int8_takes_the_old_one_away(
    voice: Path, candidates: dict[Stage, Candidate]
) -> None:
    before = files(voice)
    install(voice, Placement.CPU, candidates, RECIPE)
    plain = {
        stage: Candidate(stage, StagePlan(Precision.FP32), voice, record)
        for stage, record in manifest_from_directory(voice).stages.items()
    }
    assert not install(voice, Placement.CPU, plain, "# another recipe\n")
    after = files(voice)
    assert after.pop(recipe_path(Placement.CPU)) == b"# another recipe\n"
    assert after.pop("recipe.cpu.previous.toml") == RECIPE.encode()
    del before["voice.json"], after["voice.json"]
    assert after == before
    assert manifest_from_directory(voice).assignments == {}


def test_the_same_recipe_leaves_no_previous_one(
    voice: Path, candidates: dict[Stage, Candidate]
) -> None:
    for _ in range(2):
        install(voice, Placement.CPU, candidates, RECIPE)
    assert not (voice / "recipe.cpu.previous.toml").exists()


def test_halves_that_nobody_made_are_missed(
    voice: Path, candidates: dict[Stage, Candidate]
) -> None:
    before, postnet = files(voice), candidates[Stage.POSTNET]
    half = replace(postnet.record, graph=replace(postnet.record.graph, precision=Precision.FP16))
    half = replace(half, recipe=made_of(postnet.record))
    with pytest.raises(VoiceError, match="no fp16 graph of postnet"):
        install(
            voice,
            Placement.CPU,
            {**candidates, Stage.POSTNET: replace(postnet, record=half)},
            RECIPE,
        )
    assert files(voice) == before


@pytest.mark.parametrize("move", range(4))
def test_an_error_at_any_move_takes_all_back(
    voice: Path,
    candidates: dict[Stage, Candidate],
    monkeypatch: pytest.MonkeyPatch,
    move: int,
) -> None:
    install(voice, Placement.CPU, candidates, "# older\n")
    before, count, replace_path = files(voice), [0], Path.replace

    def failing(self: Path, target: Path) -> Path:
        count[0] += 1
        if count[0] == move + 1:
            raise OSError(28, "No space left on device")
        return replace_path(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(OutputError, match="No space left on device; it is unchanged"):
        install(voice, Placement.CPU, candidates, RECIPE)
    assert count[0] == move + 1
    assert files(voice) == before


@pytest.mark.parametrize("stage", [Stage.VOCODER, Stage.POSTNET])
def test_candidates_of_an_older_export_do_not_enter_the_newer_one(
    voice: Path, candidates: dict[Stage, Candidate], stage: Stage
) -> None:
    manifest = manifest_from_directory(voice)
    record = manifest.stages[stage]
    path = voice / record.file.path
    path.write_bytes(path.read_bytes() + b"\x42\x00")  # producer_name, empty: another file
    newer = replace(record, file=file_record(voice, record.file.path))
    stages = {**manifest.stages, stage: newer}
    (voice / "voice.json").write_text(replace(manifest, stages=stages).as_json(), encoding="utf-8")
    before = files(voice)
    with pytest.raises(OutputError, match=f"its {stage.value} graph is not the one that was calib"):
        install(voice, Placement.CPU, candidates, RECIPE)
    assert files(voice) == before
