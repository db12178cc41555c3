"""What is built, what is not, and why; and what stands afterwards when something goes wrong.

Builds are those of TensorRT for RTX; the stages are the quickest ones of a tiny voice.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from sambert_trt.engines import build_orders as orders_file
from sambert_trt.engines import build_process
from sambert_trt.engines.builder import (
    BuildOptions,
    BuildProgress,
    BuildResult,
    build_engines,
    build_orders,
)
from sambert_trt.engines.engine import Flavour
from sambert_trt.engines.errors import (
    BackendError,
    EngineError,
    InputError,
    OutputError,
    VoiceError,
)
from sambert_trt.engines.flavours import InstalledFlavour
from sambert_trt.engines.graphs import AxisRange, Precision, Stage
from sambert_trt.engines.manifest import FileRecord, VoiceManifest
from sambert_trt.engines.store import ENGINES, EngineStore
from sambert_trt.engines.voice import MANIFEST, manifest_from_directory

pytest.importorskip("filelock", reason="storing plans needs filelock")
pytestmark = pytest.mark.export

QUICK = (Stage.MEMORY_KV,)
OPTIONS = BuildOptions(targets=("sm_86",), stages=QUICK)


def built(voice: Path, **changes: object) -> list[BuildResult]:
    """Builds what is lacking, as OPTIONS say with those changes; the results."""
    options = dataclasses.replace(OPTIONS, **changes)  # type: ignore[arg-type]
    return list(build_engines(build_orders(voice, options)))


def outcomes(results: list[BuildResult]) -> list[tuple[str, str, str]]:
    """The stage, status and reason of each result."""
    return [(r.order.spec.stage.value, r.status, r.reason) for r in results]


def changed_manifest(voice: Path, change: Callable[[VoiceManifest], VoiceManifest]) -> None:
    """Rewrites voice.json."""
    manifest = change(manifest_from_directory(voice))
    (voice / MANIFEST).write_text(manifest.as_json(), encoding="utf-8")


def replace_graph(voice: Path, stage: Stage, content: bytes) -> None:
    """Puts another file in a graph's place, and into the manifest."""

    def change(manifest: VoiceManifest) -> VoiceManifest:
        record = manifest.stages[stage]
        (voice / record.file.path).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        file = FileRecord(record.file.path, len(content), digest)
        stages = {**manifest.stages, stage: dataclasses.replace(record, file=file)}
        return dataclasses.replace(manifest, stages=stages)

    changed_manifest(voice, change)


def test_a_plan_is_stored_with_its_record(voice: Path) -> None:
    (result,) = built(voice, targets=("rtx4060", "sm_86"))
    assert outcomes([result]) == [("memory_kv", "built", "there is none yet")]
    assert result.engine is not None
    record = result.engine.record
    content = EngineStore(voice / ENGINES).plan_bytes(result.engine)
    assert (len(content), hashlib.sha256(content).hexdigest()) == (
        record.plan_bytes,
        record.plan_sha256,
    )
    graph = manifest_from_directory(voice).stages[Stage.MEMORY_KV]
    assert record.spec.targets == ("sm_86", "sm_89")
    assert record.spec.graph_sha256 == graph.file.sha256
    assert record.spec.profile == {"steps": AxisRange(1, 112, 128)}
    assert record.spec.flags == ("one_stream", "require_user_allocation")
    assert record.weights_bytes >= 2 * graph.parameters
    assert record.scratch_bytes > 0
    assert record.dtypes == {"Float": 2}
    assert record.build_seconds > 0
    assert result.peak_bytes > 100e6 or sys.platform == "win32"


def test_the_json_of_a_result_holds_what_scripts_need(voice: Path) -> None:
    (result,) = built(voice)
    found = json.loads(json.dumps(result.as_dict()))
    assert Path(found["plan"]).stat().st_size == found["plan_bytes"]
    expected = {"stage": "memory_kv", "precision": "fp32", "status": "built", "kernels": 3}
    assert {name: found[name] for name in expected} == expected
    for name in ("weights_bytes", "scratch_bytes", "activation_bytes", "build_seconds"):
        assert found[name] > 0
    assert found["key"] == result.order.spec.key


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"targets": ("sm_86", "sm_89")}, "targets: ['sm_86'] -> ['sm_86', 'sm_89']"),
        ({"workspace": 64 << 20}, "workspace: 0 -> 67108864"),
        (
            {"axes": {"steps": AxisRange(1, 8, 16)}},
            "profile: {'steps': [1, 112, 128]} -> {'steps': [1, 8, 16]}",
        ),
        (
            {"axes": {"steps": AxisRange(1, 8, 16), "memory_kv.steps": AxisRange(1, 9, 18)}},
            "profile: {'steps': [1, 112, 128]} -> {'steps': [1, 9, 18]}",
        ),
        ({"tf32": True}, "flags: ['one_stream', 'require_user_allocation'] -> ['one_stream', "),
    ],
)
def test_twice_the_same_is_built_once_and_any_change_is_built_and_said(
    voice: Path, changes: dict[str, Any], reason: str
) -> None:
    built(voice)
    up_to_date = [("memory_kv", "skipped", "up to date")]
    assert outcomes(built(voice)) == up_to_date
    ((_, status, said),) = outcomes(built(voice, **changes))
    assert status == "built"
    assert said.startswith(reason)
    assert outcomes(built(voice, **changes)) == up_to_date
    assert outcomes(built(voice)) == up_to_date
    assert len(EngineStore(voice / ENGINES).entries()) == 2


def test_another_graph_is_built_and_said(voice: Path) -> None:
    built(voice)
    graph = voice / manifest_from_directory(voice).stages[Stage.MEMORY_KV].file.path
    replace_graph(voice, Stage.MEMORY_KV, graph.read_bytes() + b"\x32\x00")  # an empty text
    ((_, status, reason),) = outcomes(built(voice))
    assert status == "built"
    assert reason.startswith("graph_sha256: ")
    assert len(reason) < 60


def test_force_builds_again(voice: Path) -> None:
    (first,) = built(voice)
    (second,) = built(voice, force=True)
    assert outcomes([second]) == [("memory_kv", "built", "asked for by --force")]
    assert first.engine is not None
    assert second.engine is not None
    assert first.engine.directory == second.engine.directory
    assert first.engine.record.created < second.engine.record.created


def test_a_damaged_plan_is_built_again_and_said(voice: Path) -> None:
    (first,) = built(voice)
    assert first.engine is not None
    plan = first.engine.plan_path
    plan.write_bytes(plan.read_bytes()[:-1] + b"!")
    ((_, status, reason),) = outcomes(built(voice))
    assert status == "built"
    assert "sha256" in reason
    assert outcomes(built(voice))[0][1] == "skipped"


def test_a_broken_graph_fails_alone_and_in_words(voice: Path) -> None:
    replace_graph(voice, Stage.MEMORY_KV, b"\x08\x07 no graph at all")
    manifest = manifest_from_directory(voice)
    swapped = voice / manifest.stages[Stage.DURATION_STEP].file.path
    content = swapped.read_bytes()
    swapped.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    stages = (Stage.DURATION_STEP, Stage.MEMORY_KV, Stage.DECODER_STEP)
    first, second, third = built(voice, stages=stages)
    assert [first.status, second.status, third.status] == ["failed", "failed", "built"]
    assert "duration_step (fp32): " in first.reason
    assert "it was changed or swapped; copy or export the voice again" in first.reason
    assert "memory_kv (fp32): TensorRT cannot read the graph" in second.reason
    assert [e.record.spec.stage for e in EngineStore(voice / ENGINES).entries()] == [
        Stage.DECODER_STEP
    ]


def test_turing_cards_take_no_fp32_matrices_and_are_said_so(voice: Path) -> None:
    stages = (Stage.MEMORY_KV, Stage.VOCODER)
    matrix, convolutions = built(voice, stages=stages, targets=("t4", "sm_89"))
    assert (matrix.status, convolutions.status) == ("failed", "built")
    assert "memory_kv (fp32) cannot be built for sm_75" in matrix.reason
    assert "--precision fp16" in matrix.reason


def test_a_workspace_that_is_too_small(voice: Path) -> None:
    (result,) = built(voice, stages=(Stage.VOCODER,), workspace=1 << 20)
    assert result.status == "failed"
    assert "vocoder (fp32) needs a " in result.reason
    assert "1,048,576 bytes" in result.reason
    assert "--workspace" in result.reason
    assert EngineStore(voice / ENGINES).entries() == []


def test_the_workspace_that_is_named_is_the_least(
    builder_installed: None, demo_voice: Path, tmp_path: Path
) -> None:
    assert builder_installed is None
    voice = shutil.copytree(demo_voice, tmp_path / "demo")
    (short,) = built(voice, stages=(Stage.POSTNET,), workspace=7 << 20)
    assert short.status == "failed"
    assert "and was given 7,340,032: build it with --workspace 8 or more" in short.reason
    (enough,) = built(voice, stages=(Stage.POSTNET,), workspace=8 << 20)
    assert enough.status == "built"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"targets": ("rtx9999",)}, InputError, "'rtx9999' is no card known here"),
        ({"targets": ("sm_86", "h100")}, InputError, "does not build for sm_90; it builds for sm_"),
        ({"targets": ("current", "sm_86")}, InputError, "current stands alone"),
        ({"axes": {"stps": AxisRange(1, 2, 3)}}, InputError, "no axis stps here; there are: steps"),
        ({"axes": {"steps": AxisRange(1, 2, 9999)}}, InputError, "takes 1 to 1024"),
        ({"flavour": Flavour.LEAN}, InputError, "--flavour tensorrt --lean"),
        ({"flavour": Flavour.RTX, "lean": True}, InputError, "not of TensorRT for RTX"),
        (
            {"precisions": (Precision.INT8,)},
            VoiceError,
            "sambert-calibrate VOICE --target tensorrt",
        ),
    ],
)
def test_what_cannot_be_built_is_refused_at_once(
    voice: Path, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as raised:
        built(voice, **changes)
    assert message in str(raised.value)
    assert not (voice / ENGINES).exists()


def test_without_a_driver_a_target_has_to_be_named(voice: Path) -> None:
    if sys.platform == "linux" and Path("/proc/driver/nvidia/version").exists():
        pytest.skip("there is a driver here")
    with pytest.raises(BackendError, match="--target rtx3070 or --target sm_86"):
        built(voice, targets=())


def test_without_tensorrt(voice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = tuple(
        InstalledFlavour(flavour, None, flavour.value, False, f"{flavour.value} is not installed")
        for flavour in Flavour
    )
    monkeypatch.setattr(orders_file, "installed_flavours", lambda: found)
    with pytest.raises(BackendError) as raised:
        built(voice)
    assert "rtx is not installed" in str(raised.value)
    assert "tensorrt is not installed" in str(raised.value)
    assert "lean" not in str(raised.value)


def test_plans_that_cannot_be_stored_are_not_built(
    voice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = build_orders(voice, OPTIONS)
    (voice / ENGINES).write_text("mine", encoding="utf-8")
    monkeypatch.setattr(build_process, "_COMMAND", ("not started",))
    with pytest.raises(OutputError, match="plans cannot be stored in "):
        list(build_engines(orders))
    assert (voice / ENGINES).read_text(encoding="utf-8") == "mine"


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
def test_a_store_that_others_may_write_is_refused_before_the_build(
    voice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = build_orders(voice, OPTIONS)
    (voice / ENGINES).mkdir()
    (voice / ENGINES).chmod(0o777)
    monkeypatch.setattr(build_process, "_COMMAND", ("not started",))
    with pytest.raises(EngineError, match="may be written by others"):
        list(build_engines(orders))


@pytest.mark.skipif(os.name != "posix", reason="signals end processes on POSIX")
def test_a_builder_that_is_killed_loses_only_what_it_was_at(
    voice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(work))
    stages = (Stage.MEMORY_KV, Stage.DECODER_STEP, Stage.VOCODER)
    orders = build_orders(voice, dataclasses.replace(OPTIONS, stages=stages))

    def kill_at_the_second(progress: BuildProgress) -> None:
        if progress.number == 2:
            psutil.Process().children()[0].kill()

    results = build_engines(orders, kill_at_the_second)
    found = [next(results), next(results)]
    with pytest.raises(EngineError) as raised:
        next(results)
    for message in (found[1].reason, str(raised.value)):
        assert "was ended by SIGKILL" in message
        assert "while it built decoder_step (fp32)" in message
    assert [result.status for result in found] == ["built", "failed"]
    checks = EngineStore(voice / ENGINES).verify()
    assert [check.directory.name.partition("-")[0] for check in checks] == ["memory_kv"]
    assert [check.problem for check in checks] == [""]
    assert list(work.iterdir()) == []


def test_progress_names_the_stage_and_time(voice: Path) -> None:
    stages = (Stage.DURATION_STEP, Stage.MEMORY_KV)
    orders = build_orders(voice, dataclasses.replace(OPTIONS, stages=stages))
    seen: list[BuildProgress] = []
    list(build_engines(orders, seen.append))
    assert {(p.number, p.count, p.order.name) for p in seen} == {
        (1, 2, "duration_step (fp32)"),
        (2, 2, "memory_kv (fp32)"),
    }
    assert {"", "Building engine"} <= {p.phase for p in seen}
    assert {(p.done, p.steps) for p in seen if p.phase == "Building engine"} == {
        (done, 6) for done in range(6)
    }
    elapsed = [p.elapsed for p in seen]
    assert elapsed == sorted(elapsed)
    assert all(0 <= p.remaining < 60 for p in seen)


def test_two_builds_at_once_both_end_well(voice: Path) -> None:
    command = "import sys; from pathlib import Path; from sambert_trt.engines.cli import main; "
    command += "sys.exit(main([sys.argv[1], '--target', 'sm_86', '--stage', 'memory_kv', '-q']))"
    both = [subprocess.Popen((sys.executable, "-c", command, str(voice))) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert [check.problem for check in EngineStore(voice / ENGINES).verify()] == [""]


def test_importing_the_builder_imports_no_tensorrt() -> None:
    program = (
        "import sys, sambert_trt.engines.builder, sambert_trt.engines.cli\n"
        "found = {name.partition('.')[0] for name in sys.modules}\n"
        "print(found & {'tensorrt', 'tensorrt_bindings', 'tensorrt_rtx_bindings', 'cuda', 'rich', "
        "'numpy', 'filelock'})"
    )
    finished = subprocess.run(
        (sys.executable, "-c", program), capture_output=True, text=True, check=True
    )
    assert finished.stdout.strip() == "set()"
