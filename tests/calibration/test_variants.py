"""A voice's graphs in half precision: written whole, found again, and spoken with."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import voices
from numpy.typing import NDArray

from sambert_trt.engines.errors import (
    GraphError,
    InputError,
    IntegrityError,
    OutputError,
    SchemaError,
    VoiceMissingError,
)
from sambert_trt.engines.graphs import GraphSpec, Precision, Stage
from sambert_trt.engines.manifest import manifest_from_json
from sambert_trt.engines.voice import MANIFEST, checked_bytes, manifest_from_directory
from sambert_trt.runtime.voice import open_voice

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import ModelProto, TensorProto, numpy_helper

from sambert_trt.calibration import half, voice_update
from sambert_trt.calibration.spectra import power_spectra
from sambert_trt.calibration.variants import (
    TOLERANCE,
    VariantReport,
    write_variants,
)

pytestmark = pytest.mark.export

FP16 = Precision.FP16
QUICK = (Stage.MEMORY_KV, Stage.DURATION_STEP)


@pytest.fixture
def voice(tiny_voice: Callable[[str], Path], tmp_path: Path) -> Path:
    """A tiny voice of the test's own."""
    return copied(tiny_voice("plain"), tmp_path)


def copied(directory: Path, place: Path) -> Path:
    """A copy without graphs in half precision."""
    target = place / "voice"
    shutil.copytree(directory, target)
    return target


def content(directory: Path) -> dict[str, bytes]:
    """Every file of a voice; the lock stays and is empty."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    found = {path.relative_to(directory).as_posix(): path.read_bytes() for path in files}
    assert found.pop(".calibrate.lock", b"") == b""
    return found


def test_every_stage_is_written_and_named(voice: Path) -> None:
    before, steps = content(voice), list[tuple[str, int, int]]()
    report = write_variants(voice, FP16, progress=lambda *step: steps.append(step))
    manifest, after = manifest_from_directory(voice), content(voice)
    assert not report.unchanged
    assert after.keys() - before.keys() == {f"onnx/{stage.value}.fp16.onnx" for stage in Stage}
    assert {n: c for n, c in after.items() if n in before and n != MANIFEST} == {
        n: c for n, c in before.items() if n != MANIFEST
    }
    assert replace(manifest, variants={}) == manifest_from_json(before[MANIFEST].decode())
    assert steps == [*((s.value, i, 7) for i, s in enumerate(Stage)), ("done", 7, 7)]
    for found in report.stages:
        source = manifest.stages[found.stage]
        assert manifest.record(found.stage, FP16) == found.record
        assert checked_bytes(voice, found.record.file) != checked_bytes(voice, source.file)
        assert found.record.graph.precision is FP16
        assert found.record.parameters == source.parameters
        assert found.record.recipe.startswith("fp16: LayerNormalization in fp32, fp32 inputs and")
        assert source.file.sha256[:12] in found.record.recipe
        assert found.source_bytes == source.file.bytes
        assert found.difference is not None
        assert 0 < found.difference < 5e-3
    assert json.loads(json.dumps(report.as_dict()))["stages"][0]["bytes"] > 0


@pytest.mark.parametrize("name", ["nsf", "odd"])
def test_a_voice_speaks_in_half_precision(
    name: str, tiny_voice: Callable[[str], Path], tmp_path: Path
) -> None:
    expected, found = spoken_twice(copied(tiny_voice(name), tmp_path))
    assert 0 < relative(found, expected) < 1e-2


def test_a_trained_voice_speaks_in_half_precision(demo_voice: Path, tmp_path: Path) -> None:
    """By its spectra: the pitch is rounded, and the phases of its harmonics drift."""
    waves = spoken_twice(copied(demo_voice, tmp_path))
    expected, found = (np.sqrt(power_spectra(wave, 16000)) for wave in waves)
    assert 0 < relative(found, expected) < 2e-2


def spoken_twice(directory: Path) -> list[NDArray[np.float32]]:
    """The same symbols in fp32 and in fp16."""
    write_variants(directory, FP16)
    with (
        open_voice(directory, threads=1) as exact,
        open_voice(directory, threads=1, precision="fp16") as halved,
    ):
        line = voices.symbol_line(exact.manifest.units, 12)
        return [voice.say(symbols=line, seed=0).samples for voice in (exact, halved)]


def relative(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    assert found.shape == expected.shape
    return float(np.sqrt(np.square(found - expected).mean() / np.square(expected).mean()))


def test_what_is_there_is_kept_unless_forced(voice: Path) -> None:
    write_variants(voice, FP16)
    before, path = content(voice), voice / "onnx" / "vocoder.fp16.onnx"
    written = path.stat().st_mtime_ns
    again = write_variants(voice, FP16)
    assert again.unchanged
    assert [stage.difference for stage in again.stages] == [None] * 7
    assert path.stat().st_mtime_ns == written
    forced = write_variants(voice, FP16, force=True)
    assert not any(stage.unchanged for stage in forced.stages)
    assert path.stat().st_mtime_ns > written
    assert content(voice) == before


def test_stages_come_one_by_one(voice: Path) -> None:
    first = write_variants(voice, FP16, iter([Stage.MEMORY_KV]))
    assert [stage.stage for stage in first.stages] == [Stage.MEMORY_KV]
    second = write_variants(voice, FP16, [Stage.MEMORY_KV, Stage.DURATION_STEP])
    assert [stage.stage for stage in second.stages] == [Stage.DURATION_STEP, Stage.MEMORY_KV]
    assert [stage.unchanged for stage in second.stages] == [False, True]
    assert set(manifest_from_directory(voice).variants[FP16]) == set(QUICK)


def test_another_converter_makes_them_anew(voice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = write_variants(voice, FP16, QUICK)
    monkeypatch.setattr(half, "half_recipe", lambda: "another way")
    new = write_variants(voice, FP16, QUICK)
    assert not any(stage.unchanged for stage in new.stages)
    assert [s.record.file for s in new.stages] == [s.record.file for s in old.stages]
    assert "another way" in manifest_from_directory(voice).record(Stage.MEMORY_KV, FP16).recipe


@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_a_damaged_graph_is_made_anew(voice: Path, damage: str) -> None:
    write_variants(voice, FP16, QUICK)
    before, path = content(voice), voice / "onnx" / "memory_kv.fp16.onnx"
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] + (b"" if damage == "cut" else b"!"))
    report = write_variants(voice, FP16, QUICK)
    assert {s.stage: s.unchanged for s in report.stages} == {
        Stage.MEMORY_KV: False,
        Stage.DURATION_STEP: True,
    }
    assert content(voice) == before


def test_a_damaged_graph_of_another_stage_is_forgotten(voice: Path) -> None:
    """It could not be opened any more, and would keep the voice from opening at all."""
    write_variants(voice, FP16, QUICK)
    (voice / "onnx" / "memory_kv.fp16.onnx").write_bytes(b"")
    write_variants(voice, FP16, [Stage.PROSODY])
    expected = {Stage.DURATION_STEP, Stage.PROSODY}
    assert set(manifest_from_directory(voice).variants[FP16]) == expected


@pytest.mark.parametrize("precision", [Precision.INT8, Precision.FP32])
def test_other_precisions_are_not_made_graph_by_graph(voice: Path, precision: Precision) -> None:
    before = content(voice)
    with pytest.raises(InputError, match=f"{precision.value} is no precision of single graphs"):
        write_variants(voice, precision)
    assert content(voice) == before


def test_what_is_no_voice_says_so(voice: Path, tmp_path: Path) -> None:
    with pytest.raises(VoiceMissingError, match="does not exist; export a voice there"):
        write_variants(tmp_path / "nowhere", FP16)
    with pytest.raises(VoiceMissingError, match="name its folder"):
        write_variants(voice / MANIFEST, FP16)
    (voice / MANIFEST).write_text("{}", encoding="utf-8")
    before = content(voice)
    with pytest.raises(SchemaError):
        write_variants(voice, FP16)
    assert content(voice) == before


def test_a_damaged_voice_is_left_alone(voice: Path) -> None:
    path = voice / "onnx" / "vocoder.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    before = content(voice)
    with pytest.raises(IntegrityError, match=r"vocoder\.onnx has sha256"):
        write_variants(voice, FP16)
    assert content(voice) == before


Half = tuple[ModelProto, GraphSpec]


def spoiled(monkeypatch: pytest.MonkeyPatch, value: float) -> None:
    """Lets the converter set every weight of more than one axis to a value."""
    real = half.half_graph

    def convert(model: ModelProto, graph: GraphSpec) -> Half:
        converted, signature = real(model, graph)
        for tensor in converted.graph.initializer:
            if tensor.data_type == TensorProto.FLOAT16 and len(tensor.dims) > 1:
                array = np.full_like(numpy_helper.to_array(tensor), value)
                tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        return converted, signature

    monkeypatch.setattr(half, "half_graph", convert)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
@pytest.mark.parametrize("stage", Stage, ids=lambda stage: stage.value)
def test_a_graph_that_differs_is_refused(
    voice: Path, monkeypatch: pytest.MonkeyPatch, stage: Stage, value: float
) -> None:
    before = content(voice)
    spoiled(monkeypatch, value)
    with pytest.raises(GraphError, match=f"the {stage.value} graph in half precision is off by"):
        write_variants(voice, FP16, [stage])
    assert content(voice) == before
    assert TOLERANCE < 0.1


def test_an_error_at_the_last_stage_leaves_nothing(
    voice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, real = content(voice), half.half_graph

    def convert(model: ModelProto, graph: GraphSpec) -> Half:
        if graph.stage is Stage.VOCODER:
            raise KeyboardInterrupt
        return real(model, graph)

    monkeypatch.setattr(half, "half_graph", convert)
    with pytest.raises(KeyboardInterrupt):
        write_variants(voice, FP16)
    assert content(voice) == before


def renamed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Lets the converter make graphs of other bytes."""
    real = half.half_graph

    def convert(model: ModelProto, graph: GraphSpec) -> Half:
        converted, signature = real(model, graph)
        converted.producer_version = name
        return converted, signature

    monkeypatch.setattr(half, "half_graph", convert)


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_error_at_any_move_takes_all_back(
    voice: Path, monkeypatch: pytest.MonkeyPatch, existing: bool, error: BaseException
) -> None:
    """Two graphs and two manifests are moved; and the voice is whole before every move."""
    if existing:
        write_variants(voice, FP16, QUICK)
    renamed(monkeypatch, "new")
    before, real, moves = content(voice), Path.replace, list[Path]()
    failing = 0

    def move(source: Path, target: Path) -> Path:
        if target.is_relative_to(voice) and source.is_relative_to(voice / ".calibrate"):
            for record in manifest_from_directory(voice).files:
                checked_bytes(voice, record)
            moves.append(target)
            if len(moves) == failing:
                raise error
        return real(source, target)

    monkeypatch.setattr(Path, "replace", move)
    for failing in range(1, 5):
        del moves[:]
        expected = OutputError if isinstance(error, OSError) else KeyboardInterrupt
        with pytest.raises(expected):
            write_variants(voice, FP16, QUICK, force=True)
        assert content(voice) == before
        assert len(moves) == failing
    failing = 0
    write_variants(voice, FP16, QUICK, force=True)
    assert content(voice) != before
    assert len(manifest_from_directory(voice).variants[FP16]) == 2


def test_a_write_that_fails_is_one_sentence(voice: Path) -> None:
    (voice / ".calibrate").write_text("no folder")
    before = content(voice)
    with pytest.raises(OutputError, match=r"writing into .*voice failed: .*; it is unchanged"):
        write_variants(voice, FP16)
    assert content(voice) == before


def test_what_a_killed_process_left_is_removed(voice: Path) -> None:
    (voice / ".calibrate" / "onnx").mkdir(parents=True)
    (voice / ".calibrate" / "onnx" / "half-written").write_bytes(b"?")
    write_variants(voice, FP16, QUICK)
    assert not (voice / ".calibrate").exists()


def test_two_at_once_make_them_once(voice: Path) -> None:
    def write() -> VariantReport:
        return write_variants(voice, FP16, QUICK)

    with ThreadPoolExecutor(2) as pool:
        reports = [future.result() for future in [pool.submit(write) for _ in range(2)]]
    assert sorted(report.unchanged for report in reports) == [False, True]
    assert set(manifest_from_directory(voice).variants[FP16]) == set(QUICK)


def test_a_lock_that_is_held_for_long_says_so(voice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from filelock import FileLock

    monkeypatch.setattr(voice_update, "_LOCK_SECONDS", 0.01)
    with (
        FileLock(voice / ".calibrate.lock"),
        pytest.raises(OutputError, match=r"another process has held .*\.lock"),
    ):
        write_variants(voice, FP16)


def test_a_voice_exported_meanwhile_is_left_alone(
    voice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = half.half_graph

    def convert(model: ModelProto, graph: GraphSpec) -> Half:
        manifest = manifest_from_directory(voice)
        text = replace(manifest, name="another").as_json()
        (voice / MANIFEST).write_text(text, encoding="utf-8")
        return real(model, graph)

    monkeypatch.setattr(half, "half_graph", convert)
    with pytest.raises(OutputError, match="was exported again meanwhile"):
        write_variants(voice, FP16, QUICK)
    assert manifest_from_directory(voice).name == "another"
    assert manifest_from_directory(voice).variants == {}


def test_a_lost_half_graph_takes_nothing_from_the_voice(voice: Path) -> None:
    write_variants(voice, Precision.FP16)
    (voice / "onnx/postnet.fp16.onnx").unlink()
    open_voice(voice, threads=1).close()
    with pytest.raises(VoiceMissingError, match=r"postnet\.fp16\.onnx is missing"):
        open_voice(voice, threads=1, precision=Precision.FP16)
