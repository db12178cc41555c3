"""Candidates: written once, whole or not at all, found again, and told apart by what made them."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import voices

from sambert_trt.engines.errors import GraphError, InputError, IntegrityError, OutputError
from sambert_trt.engines.graphs import Placement, Precision, Stage
from sambert_trt.engines.manifest import StageRecord, VoiceManifest
from sambert_trt.engines.voice import checked_bytes, file_record, manifest_from_directory

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
from onnx import numpy_helper

from sambert_trt.calibration import half, int8, ranges
from sambert_trt.calibration.assessment import Candidate
from sambert_trt.calibration.recipe import Method, StagePlan, Treatment
from sambert_trt.calibration.recorder import record
from sambert_trt.calibration.recording import Recording, Sample
from sambert_trt.calibration.replay import replayed
from sambert_trt.calibration.variants import write_variants
from sambert_trt.calibration.workshop import Workshop, candidate_path, graph_recipe
from sambert_trt.runtime.onnx_backend import OnnxBackend

pytestmark = pytest.mark.export

CPU, TENSORRT = Placement.CPU, Placement.TENSORRT
W8A8 = {"resblocks.0": Treatment.W8A8, "resblocks.1": Treatment.W8A8}


@pytest.fixture(scope="module")
def voice(tiny_voice: Callable[[str], Path]) -> Path:
    """A voice that nothing is written to."""
    return tiny_voice("plain")


@pytest.fixture(scope="module")
def manifest(voice: Path) -> VoiceManifest:
    """What it is."""
    return manifest_from_directory(voice)


@pytest.fixture(scope="module")
def recording(
    voice: Path, manifest: VoiceManifest, tmp_path_factory: pytest.TempPathFactory
) -> Recording:
    """Four sentences of it."""
    lines = [voices.symbol_line(manifest.units, 8 + n, seed=n) for n in range(4)]
    folder = tmp_path_factory.mktemp("recording")
    return record(voice, lines, folder, symbols=True, threads=1)


Open = Callable[..., Workshop]


@pytest.fixture
def opened(voice: Path, manifest: VoiceManifest, recording: Recording, tmp_path: Path) -> Open:
    """Opens the workshop, always with the same folder, as another process would."""

    def open_again(placement: Placement = CPU, **changes: object) -> Workshop:
        given = {"directory": voice, "manifest": manifest, "recording": recording} | changes
        return Workshop(work=tmp_path / "work", placement=placement, **given)  # type: ignore[arg-type]

    return open_again


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was observed and written, in order."""
    found: list[str] = []
    observe, planned = ranges.observe, int8.planned_graph

    def observed(*given: object) -> object:
        found.append("observe")
        return observe(*given)  # type: ignore[arg-type]

    def written(*given: object) -> object:
        found.append("write")
        return planned(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(ranges, "observe", observed)
    monkeypatch.setattr(int8, "planned_graph", written)
    return found


def files(folder: Path) -> list[str]:
    """Every file below a folder but locks."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return sorted(path.relative_to(folder).as_posix() for path in found)


def int8_plan(base: Precision = Precision.FP32, **changes: object) -> StagePlan:
    """Two groups of the vocoder in int8."""
    return replace(StagePlan(base, W8A8), **changes)  # type: ignore[arg-type]


def test_nothing_is_written_for_the_voices_own_graph(
    opened: Open, voice: Path, manifest: VoiceManifest, tmp_path: Path
) -> None:
    plan = StagePlan(Precision.FP32, {"resblocks.0": Treatment.FLOAT})
    found = opened().candidate(Stage.VOCODER, plan)
    assert found == Candidate(Stage.VOCODER, plan, voice, manifest.stages[Stage.VOCODER])
    assert not (tmp_path / "work").exists()


def test_half_graphs_are_those_of_the_voices_variants(
    opened: Open, voice: Path, calls: list[str], tmp_path: Path
) -> None:
    shutil.copytree(voice, tmp_path / "voice")
    write_variants(tmp_path / "voice", Precision.FP16, [Stage.MEMORY_KV])
    expected = manifest_from_directory(tmp_path / "voice").record(Stage.MEMORY_KV, Precision.FP16)
    found = opened().candidate(Stage.MEMORY_KV, StagePlan(Precision.FP16))
    assert found.record == expected
    assert found.record.file.path == "onnx/memory_kv.fp16.onnx"
    assert calls == ["write"]


@pytest.mark.parametrize("placement", list(Placement))
@pytest.mark.parametrize("stage", list(Stage))
def test_every_stage_becomes_an_int8_candidate(
    stage: Stage, placement: Placement, opened: Open, recording: Recording, tmp_path: Path
) -> None:
    """As far as each group goes, in the base that the placement has; ONNX Runtime runs it."""
    workshop = opened(placement)
    plan = StagePlan(
        Precision.FP32 if placement is CPU else Precision.FP16,
        {group.name: group.treatments[-1] for group in workshop.groups(stage)},
    )
    found = workshop.candidate(stage, plan)
    source = manifest_from_directory(workshop._directory).stages[stage]
    assert found.directory.parent == tmp_path / "work"
    assert found.record.file.path == f"onnx/{stage.value}.int8.{placement.value}.onnx"
    assert found.record.graph.precision is Precision.INT8
    assert found.record.parameters == source.parameters
    assert found.record.recipe.startswith(f"int8 for {placement.value}: ")
    assert found.record.recipe.isprintable()
    assert files(found.directory) == sorted([found.record.file.path, "record.json"])
    sample = next(iter(recording.samples(stage)))
    if placement is CPU:
        session = OnnxBackend().open(found.directory, found.record)
        outputs = replayed(session, sample)
        assert all(np.isfinite(array).all() for array in outputs.values())


def test_the_same_plan_is_made_once(opened: Open, calls: list[str], tmp_path: Path) -> None:
    workshop = opened()
    first = workshop.candidate(Stage.VOCODER, int8_plan())
    swapped = int8_plan(groups=dict(reversed(W8A8.items())) | {"resblocks.2": Treatment.FLOAT})
    second = workshop.candidate(Stage.VOCODER, swapped)
    assert second == replace(first, plan=swapped)
    assert calls == ["observe", "write"]
    before = files(tmp_path / "work")
    assert opened().candidate(Stage.VOCODER, int8_plan()) == first
    assert calls == ["observe", "write"]
    assert files(tmp_path / "work") == before


def test_plans_differ_by_all_that_changes_the_graph(opened: Open, calls: list[str]) -> None:
    workshop, other = opened(), opened(TENSORRT)
    plans = [
        int8_plan(),
        int8_plan(groups={"resblocks.0": Treatment.W8A8}),
        int8_plan(groups={**W8A8, "resblocks.0": Treatment.W8A8_SUMS}),
        int8_plan(method=Method.MIN_MAX),
        int8_plan(percentile=90.0),
    ]
    found = [workshop.candidate(Stage.VOCODER, plan) for plan in plans]
    found += [
        other.candidate(Stage.VOCODER, int8_plan(base)) for base in (Precision.FP32, Precision.FP16)
    ]
    assert len({candidate.directory for candidate in found}) == len(found)
    assert len({candidate.record.recipe for candidate in found}) == len(found)
    assert len({candidate.record.file.sha256 for candidate in found}) == len(found)
    assert calls.count("observe") == 1  # for all placements


def test_weights_alone_need_no_recording(
    opened: Open, calls: list[str], manifest: VoiceManifest
) -> None:
    plan = StagePlan(Precision.FP16, {"projection": Treatment.W8})
    found = opened(TENSORRT, recording=Silent()).candidate(Stage.MEMORY_KV, plan)
    assert calls == ["write"]
    assert "ranges" not in found.record.recipe
    other = graph_recipe(
        manifest.stages[Stage.MEMORY_KV], replace(plan, method=Method.MSE), TENSORRT
    )
    assert other == found.record.recipe


class Silent:
    """A recording of nothing."""

    def samples(self, stage: Stage) -> Iterator[Sample]:
        """None."""
        return iter(())


def test_a_stage_without_samples_says_what_to_do(opened: Open, tmp_path: Path) -> None:
    workshop = opened(recording=Silent())
    with pytest.raises(
        GraphError, match=r"nothing was recorded of vocoder.*record with more texts"
    ):
        workshop.candidate(Stage.VOCODER, int8_plan())
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (StagePlan(Precision.FP32, {"ffn": Treatment.W8}), "vocoder has no group 'ffn'"),
        (int8_plan(groups={"resblocks.0": Treatment.W8}), "resblocks.0 cannot be w8 here"),
        (StagePlan(Precision.INT8), "base.* is fp32 or fp16, not int8"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused(opened: Open, plan: StagePlan, words: str) -> None:
    with pytest.raises(InputError, match=words):
        opened().candidate(Stage.VOCODER, plan)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_weight_that_is_no_number_is_named(
    opened: Open, voice: Path, tmp_path: Path, value: float
) -> None:
    broken = tmp_path / "voice"
    shutil.copytree(voice, broken)
    manifest = with_weight(broken, value)
    workshop = opened(directory=broken, manifest=manifest)
    with pytest.raises(
        GraphError, match=r"the weight weight of memory_kv is NaN or infinite in 1 of"
    ):
        workshop.candidate(Stage.MEMORY_KV, StagePlan(Precision.FP16))
    with pytest.raises(GraphError, match="the checkpoint is damaged"):
        workshop.groups(Stage.MEMORY_KV)


def with_weight(voice: Path, value: float) -> VoiceManifest:
    """Puts a value into the keys' and values' projection; the manifest that goes with it."""
    manifest = manifest_from_directory(voice)
    source = manifest.stages[Stage.MEMORY_KV]
    model = onnx.load(voice / source.file.path)
    (tensor,) = (t for t in model.graph.initializer if t.name == "weight")
    weights = numpy_helper.to_array(tensor).copy()
    weights[1, 2] = value
    tensor.CopyFrom(numpy_helper.from_array(weights, "weight"))
    (voice / source.file.path).write_bytes(model.SerializeToString())
    record = replace(source, file=file_record(voice, source.file.path))
    return replace(manifest, stages={**manifest.stages, Stage.MEMORY_KV: record})


def test_a_damaged_graph_of_the_voice_is_refused(opened: Open, voice: Path, tmp_path: Path) -> None:
    broken = tmp_path / "voice"
    shutil.copytree(voice, broken)
    path = broken / "onnx" / "vocoder.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(IntegrityError, match=r"vocoder\.onnx has sha256"):
        opened(directory=broken).candidate(Stage.VOCODER, int8_plan())


@pytest.mark.parametrize("damage", ["graph", "cut", "record", "no graph"])
def test_a_damaged_candidate_is_made_anew(opened: Open, calls: list[str], damage: str) -> None:
    first = opened().candidate(Stage.VOCODER, int8_plan())
    content = checked_bytes(first.directory, first.record.file)
    graph = first.directory / first.record.file.path
    if damage == "graph":
        graph.write_bytes(content[:-1] + b"!")
    elif damage == "cut":
        graph.write_bytes(content[:100])
    elif damage == "record":
        (first.directory / "record.json").write_text("[]", encoding="utf-8")
    else:
        graph.unlink()
    again = opened().candidate(Stage.VOCODER, int8_plan())
    assert again == first
    assert checked_bytes(again.directory, again.record.file) == content
    assert calls == ["observe", "write", "write"]


def test_damaged_ranges_are_observed_anew(
    opened: Open, calls: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = opened().candidate(Stage.VOCODER, int8_plan())
    (path,) = (tmp_path / "work" / "ranges").glob("*.npz")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert opened().candidate(Stage.VOCODER, int8_plan()) == first
    assert calls == ["observe", "write", "observe"]
    assert "are damaged and observed anew" in caplog.text
    assert path.read_bytes() == content


def test_stored_histograms_are_those_observed(opened: Open, calls: list[str]) -> None:
    """So that a plan tried later, by another process, gets the ranges it would have got."""
    workshop = opened()
    workshop.candidate(Stage.VOCODER, int8_plan())
    plans = [int8_plan(method=method) for method in Method]
    expected = [workshop.candidate(Stage.VOCODER, plan) for plan in plans]
    for candidate in expected:
        shutil.rmtree(candidate.directory)
    other = opened()
    assert [other.candidate(Stage.VOCODER, plan) for plan in plans] == expected
    assert calls.count("observe") == 1
    histogram, before = (w._histograms[Stage.VOCODER] for w in (other, workshop))
    assert list(histogram) == list(before)
    for name, found in histogram.items():
        assert vars(found).keys() == vars(before[name]).keys()
        for key, value in vars(found).items():
            assert np.array_equal(value, vars(before[name])[key]), key
            assert type(value) is type(vars(before[name])[key]), key


@pytest.mark.parametrize("changed", ["recording", "graph", "rules"])
def test_other_sources_make_other_candidates(
    changed: str,
    opened: Open,
    recording: Recording,
    voice: Path,
    calls: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another fp32 graph or recording is observed anew; other rules for halves only written."""
    plan = StagePlan(Precision.FP32, {"projection": Treatment.W8A8})
    if changed == "rules":
        plan = StagePlan(Precision.FP16)
    first = opened().candidate(Stage.MEMORY_KV, plan)
    calls.clear()
    changes: dict[str, object] = {}
    if changed == "recording":
        changes["recording"] = Louder(recording)
    elif changed == "graph":
        shutil.copytree(voice, tmp_path / "voice")
        manifest = with_weight(tmp_path / "voice", 3.0)
        changes |= {"directory": tmp_path / "voice", "manifest": manifest}
    else:
        monkeypatch.setattr(half, "half_recipe", lambda: "another way")
    second = opened(**changes).candidate(Stage.MEMORY_KV, plan)
    assert second.directory != first.directory
    assert calls == (["write"] if changed == "rules" else ["observe", "write"])


class Louder:
    """A recording whose every input is twice as large."""

    def __init__(self, inner: Recording) -> None:
        self._inner = inner

    def samples(self, stage: Stage) -> Iterator[Sample]:
        """Those of the other, doubled."""
        for sample in self._inner.samples(stage):
            yield replace(sample, inputs={n: 2 * a for n, a in sample.inputs.items()})


def test_an_interrupted_run_leaves_what_is_whole(
    opened: Open, calls: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sambert_trt.calibration.workshop.file_record", interrupted)
        with pytest.raises(KeyboardInterrupt):
            opened().candidate(Stage.VOCODER, int8_plan())
    assert [name.partition("/")[0] for name in files(tmp_path / "work")] == ["ranges"]
    opened().candidate(Stage.VOCODER, int8_plan())
    assert calls == ["observe", "write", "write"]


@pytest.mark.parametrize("what", ["ranges", "candidate"])
def test_a_full_disk_is_said_and_leaves_nothing_half_written(
    what: str, opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if what == "ranges":
        monkeypatch.setattr(np, "savez", full)
    else:
        monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=r"writing .* failed: No space left on device; make room"):
        opened().candidate(Stage.VOCODER, int8_plan())
    left = files(tmp_path / "work")
    assert [name.partition("/")[0] for name in left] == ([] if what == "ranges" else ["ranges"])


def test_a_path_names_precision_and_placement() -> None:
    half_plan = StagePlan(Precision.FP16)
    assert candidate_path(Stage.VOCODER, StagePlan(Precision.FP32), CPU) == "onnx/vocoder.onnx"
    assert candidate_path(Stage.VOCODER, half_plan, CPU) == "onnx/vocoder.fp16.onnx"
    assert candidate_path(Stage.VOCODER, int8_plan(), CPU) == "onnx/vocoder.int8.cpu.onnx"


def test_a_recipe_says_everything(manifest: VoiceManifest) -> None:
    source: StageRecord = manifest.stages[Stage.VOCODER]
    found = graph_recipe(source, int8_plan(), CPU)
    for words in (
        "int8 for cpu: resblocks.0 w8a8, resblocks.1 w8a8; the rest fp32; ranges percentile 99.99",
        "; ONNX Runtime ",
        "; sambert-trt ",
        f"fp32 graph {source.file.sha256[:12]}",
    ):
        assert words in found
    assert "ranges mse;" in graph_recipe(source, int8_plan(method=Method.MSE), CPU)
