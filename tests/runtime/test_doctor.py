"""sambert-tts doctor: what it finds, what it says to run next, and that nothing makes it fail."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sambert_trt.engines.engine import EngineRecord, EngineSpec, Flavour
from sambert_trt.engines.errors import BackendError
from sambert_trt.engines.flavours import InstalledFlavour
from sambert_trt.engines.graphs import Precision, Stage
from sambert_trt.engines.store import ENGINES, EngineStore
from sambert_trt.engines.voice import MANIFEST, manifest_from_directory
from sambert_trt.runtime import doctor, doctor_machine
from sambert_trt.runtime.cli import _parser, main
from sambert_trt.runtime.devices import DeviceFacts, DriverFacts, ProcessFacts
from sambert_trt.runtime.doctor import Report, Step, next_steps
from sambert_trt.runtime.doctor_machine import CudaFacts, MachineFacts, OnnxFacts, machine_facts
from sambert_trt.runtime.doctor_text import text_from_report
from sambert_trt.runtime.doctor_voice import VoiceFacts, voice_facts

pytest.importorskip("filelock", reason="storing plans needs filelock")

posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes are those of POSIX")

CARD = DeviceFacts(
    index=0,
    name="NVIDIA GeForce RTX 3070",
    uuid="GPU-0",
    target="sm_86",
    total=8_589_934_592,
    used=1_000_000_000,
    free=7_000_000_000,
    reserved=500_000_000,
    processes=(ProcessFacts(11, "a game", 900_000_000), ProcessFacts(12, "", None)),
)
RTX = InstalledFlavour(Flavour.RTX, "1.7.1.116", "tensorrt_rtx_bindings", True, "")
FULL = InstalledFlavour(Flavour.TENSORRT, "11.4.0.106", "tensorrt_bindings", True, "")
LEAN = InstalledFlavour(Flavour.LEAN, "11.4.0.106", "tensorrt_lean_bindings", True, "")
NO_FULL = replace(FULL, version=None, usable=False, reason="tensorrt_bindings is not installed")

BARE = MachineFacts(
    sambert_trt="0.1.0",
    python="CPython 3.11.7",
    platform="Linux",
    onnxruntime=OnnxFacts(problem="onnxruntime is not installed"),
    nvml=None,
    driver=None,
    driver_problem="nvidia-ml-py is not installed",
    cards=(),
    cards_problem="nvidia-ml-py is not installed",
    cuda=CudaFacts(problem="cuda-bindings is not installed"),
    tensorrt=(replace(RTX, version=None, usable=False, reason="not installed"), NO_FULL),
)
CPU = replace(BARE, onnxruntime=OnnxFacts("1.31.1", ("CPUExecutionProvider",)))
GPU = replace(
    CPU,
    nvml="13.615.71",
    driver=DriverFacts("580.65.06", "13.0"),
    driver_problem="",
    cards=(CARD,),
    cards_problem="",
    cuda=CudaFacts("13.5.0", None, ("sm_86",)),
    tensorrt=(RTX, NO_FULL),
)


@pytest.fixture
def voice(tiny_voice: Callable[[str], Path], tmp_path: Path) -> Path:
    """A tiny voice of this test's own."""
    target = tmp_path / "a voice"
    shutil.copytree(tiny_voice("plain"), target)
    shutil.rmtree(target / ENGINES, ignore_errors=True)
    return target


def with_half(voice: Path) -> None:
    """Lets the manifest name each graph in half precision, too; the files are the same."""
    manifest = manifest_from_directory(voice)
    halves = {
        stage: replace(record, recipe="half", graph=replace(record.graph, precision=Precision.FP16))
        for stage, record in manifest.stages.items()
    }
    changed = replace(manifest, variants={Precision.FP16: halves})
    (voice / MANIFEST).write_text(changed.as_json(), encoding="utf-8")


def with_plans(voice: Path, stages: tuple[Stage, ...] = tuple(Stage), **changes: object) -> None:
    """Stores a plan for each stage in half precision, as TensorRT for RTX would make it."""
    manifest, store = manifest_from_directory(voice), EngineStore(voice / ENGINES)
    for stage in stages:
        plan = stage.value.encode()
        spec = EngineSpec(
            stage=stage,
            precision=Precision.FP16,
            graph_sha256=manifest.record(stage, Precision.FP16).file.sha256,
            recipe="half",
            profile={},
            flags=(),
            workspace=0,
            flavour=Flavour.RTX,
            version="1.7.1.116",
            targets=("sm_86", "sm_89"),
        )
        record = EngineRecord(
            spec=replace(spec, **changes),
            plan_bytes=len(plan),
            plan_sha256=hashlib.sha256(plan).hexdigest(),
            weights_bytes=3_000_000,
            scratch_bytes=2_000_000,
            activation_bytes=0,
            layers=(),
            build_seconds=1.0,
            tools={},
            created="2026-11-22T10:00:00+00:00",
        )
        store.add(record, plan)


def commands(machine: MachineFacts, voice: VoiceFacts | None) -> list[str]:
    return [step.command for step in next_steps(machine, voice)]


def ways(found: VoiceFacts) -> dict[tuple[str, ...], str]:
    """Why each backend cannot speak; empty where it can."""
    return {(b.backend, b.flavour, b.precision): b.reason for b in found.backends}


# ---- the machine


def test_a_machine_without_anything_is_told_to_install(voice: Path) -> None:
    found = voice_facts(voice, BARE)
    assert not found.speaks
    assert ways(found) == {("cpu", "", "fp32"): "onnxruntime is not installed"}
    assert commands(BARE, found) == ["pip install 'sambert-trt[cpu]'"]
    lean = replace(BARE, nvml="13", tensorrt=(LEAN,))
    assert commands(lean, voice_facts(voice, lean)) == ["pip install 'sambert-trt[cpu]'"]
    assert commands(BARE, None) == [
        "pip install 'sambert-trt[cpu]'",
        "sambert-export SOURCE -o VOICE",
        "sambert-tts doctor VOICE",
    ]


def test_a_machine_without_a_card_speaks_on_the_processor(voice: Path) -> None:
    found = voice_facts(voice, CPU)
    assert found.speaks
    assert commands(CPU, found) == [f"sambert-tts say --voice '{voice}' -o out.wav 今天天气真好"]


def test_a_builder_without_a_card_builds_for_others(voice: Path) -> None:
    machine = replace(CPU, nvml="13.615.71", tensorrt=(RTX,))
    with_half(voice)
    found = voice_facts(voice, machine)
    assert ways(found)["tensorrt", "rtx", "fp16"] == "there is no card"
    assert commands(machine, found)[-1] == (
        f"sambert-build '{voice}' --precision fp16 --flavour rtx --target rtx3070"
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"tensorrt": (NO_FULL,)}, "pip install 'sambert-trt[rtx]'"),
        (
            {"tensorrt": (RTX,), "cuda": CudaFacts("13.5.0", None, ("sm_90",))},
            "pip install 'sambert-trt[tensorrt]'",
        ),
        ({"cuda": CudaFacts(problem="cuda-bindings is missing")}, "pip install cuda-bindings"),
        ({"cuda": CudaFacts("13.5.0", problem="cuInit fails")}, "nvidia-smi"),
        ({"driver": DriverFacts("550.1", "12.4")}, "nvidia-smi"),
        ({"nvml": None, "driver": None, "cards": ()}, "pip install nvidia-ml-py"),
    ],
)
def test_what_a_card_lacks_comes_first(voice: Path, changes: dict[str, Any], expected: str) -> None:
    machine = replace(GPU, **changes)
    assert commands(machine, voice_facts(voice, machine))[0] == expected
    assert commands(GPU, voice_facts(voice, GPU))[0].startswith("sambert-calibrate")


def asked(monkeypatch: pytest.MonkeyPatch, *answers: object) -> None:
    """Answers the questions that other processes would; a text is a failure."""
    left = iter(answers)

    def answer(program: str) -> tuple[dict[str, Any] | None, str]:
        found = next(left)
        return (None, found) if isinstance(found, str) else (found, "")

    monkeypatch.setattr(doctor_machine, "_asked", answer)


def test_facts_of_a_machine_with_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"onnxruntime": "1.31.1", "cuda-bindings": "13.5.0", "nvidia-ml-py": "13"}
    monkeypatch.setattr(doctor_machine, "_version", versions.get)
    monkeypatch.setattr(doctor_machine, "devices", lambda: [CARD])
    monkeypatch.setattr(doctor_machine, "driver_facts", lambda: DriverFacts("580", "13.0"))
    monkeypatch.setattr(doctor_machine, "installed_flavours", lambda: (RTX, FULL, LEAN, NO_FULL))
    asked(
        monkeypatch,
        {"version": "1.31.1", "providers": ["A", "B"], "cuda_problem": ""},
        {"problem": "", "targets": ["sm_89", "sm_86"]},
        {"version": "1.7.1.116"},
        {"version": "11.3"},
        "the process that tried it ended with code -11",
    )
    found = machine_facts()
    assert found.sambert_trt == "unknown"
    assert found.onnxruntime == OnnxFacts("1.31.1", ("A", "B"))
    assert found.cards == (CARD,)
    assert found.targets == ("sm_89", "sm_86")
    assert found.usable == (RTX,)
    assert "says it is 11.3, its package 11.4.0.106" in found.tensorrt[1].reason
    assert "cannot be imported: the process that tried it ended" in found.tensorrt[2].reason
    assert found.tensorrt[3] == NO_FULL


def test_facts_of_a_machine_where_every_question_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("never seen")

    def refused() -> None:
        raise BackendError("no driver")

    monkeypatch.setattr(doctor_machine.importlib.metadata, "version", broken)
    monkeypatch.setattr(doctor_machine, "devices", refused)
    monkeypatch.setattr(doctor_machine, "driver_facts", broken)
    monkeypatch.setattr(doctor_machine, "installed_flavours", broken)
    found = machine_facts()
    assert (found.driver_problem, found.cards_problem) == (
        "ZeroDivisionError: never seen",
        "no driver",
    )
    assert found.tensorrt == ()
    assert "onnxruntime is not installed" in found.onnxruntime.problem
    assert "cuda-bindings is not installed" in found.cuda.problem


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("answer = {'x': 1}", ({"x": 1}, "")),
        ("print('noise')\nanswer = {'x': '好'}", ({"x": "好"}, "")),
        ("import not_there.a", (None, "ModuleNotFoundError: No module named 'not_there'")),
        ("import json\njson.loads('{')", (None, "JSONDecodeError: ")),
        ("import os\nos._exit(77)", (None, "the process that tried it ended with code 77")),
        ("import os\nos.abort()", (None, "the process that tried it ended with code ")),
        ("answer = 3", (None, "no answer")),
        (
            "import time\ntime.sleep(60)",
            (None, "the process that tried it gave no answer within 2 s"),
        ),
    ],
)
def test_a_package_that_crashes_or_hangs_is_an_answer(
    monkeypatch: pytest.MonkeyPatch, program: str, expected: tuple[object, str]
) -> None:
    monkeypatch.setattr(doctor_machine, "_SECONDS", 1.5 if "sleep" in program else 60)
    answer, problem = doctor_machine._asked(program)
    assert answer == expected[0]
    assert problem.startswith(expected[1])


def test_a_python_that_cannot_be_started_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    answer, problem = doctor_machine._asked("answer = {}")
    assert answer is None
    assert problem.startswith("no process could be started to try it: ")


def test_the_names_in_the_cuda_program_are_those_of_the_real_package() -> None:
    driver = pytest.importorskip("cuda.bindings.driver", reason="cuda-bindings is not installed")
    kinds = driver.CUdevice_attribute
    for name in ("MAJOR", "MINOR"):
        assert hasattr(kinds, f"CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_{name}")
        assert f"COMPUTE_CAPABILITY_{name}" in doctor_machine._CUDA
    for name in ("cuInit", "cuDeviceGetCount", "cuDeviceGet", "cuDeviceGetAttribute"):
        assert callable(getattr(driver, name))
        assert f"driver.{name}(" in doctor_machine._CUDA
    assert driver.CUresult.CUDA_SUCCESS == 0


def test_the_onnx_program_says_what_this_onnxruntime_is() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    found = doctor_machine._onnx_facts()
    assert found.version == onnxruntime.__version__
    assert "CPUExecutionProvider" in found.providers
    assert found.problem == ""


def test_the_model_in_the_onnx_program_runs() -> None:
    """A card's provider is only known to load once it took a graph."""
    onnxruntime = pytest.importorskip("onnxruntime")
    hexadecimal = "".join(doctor_machine._ONNX.split('"')[i] for i in (9, 11))
    session = onnxruntime.InferenceSession(
        bytes.fromhex(hexadecimal), providers=["CPUExecutionProvider"]
    )
    assert [value.name for value in session.get_inputs()] == ["x"]


def test_the_real_machine_is_examined_without_heavy_imports() -> None:
    program = (
        "import sys\nfrom sambert_trt.runtime.doctor import report\nreport()\n"
        "print(*sys.modules, sep='\\n')"
    )
    finished = subprocess.run(
        (sys.executable, "-c", program), capture_output=True, text=True, check=True
    )
    heavy = ("torch", "tensorrt", "onnxruntime", "onnx", "cuda")
    found = {name.partition(".")[0] for name in finished.stdout.split()}
    assert "sambert_trt" in found
    assert not [name for name in found if name.startswith(heavy)]


# ---- the voice


def test_a_voice_that_is_not_there(tmp_path: Path) -> None:
    found = voice_facts(tmp_path / "absent", GPU)
    assert "absent does not exist" in found.problem
    assert not found.speaks
    assert set(ways(found).values()) == {found.problem}
    assert commands(GPU, found) == [f"sambert-export SOURCE -o {tmp_path / 'absent'}"]


def test_damaged_files_are_each_named(voice: Path) -> None:
    with_half(voice)
    with_plans(voice)
    manifest = manifest_from_directory(voice)
    for record in (manifest.styles, manifest.stages[Stage.VOCODER].file):
        content = (voice / record.path).read_bytes()
        (voice / record.path).write_bytes(content[::-1])
    found = voice_facts(voice, GPU)
    damaged = {file.path for file in found.files if file.problem}
    assert damaged == {"styles.npz", "onnx/vocoder.onnx"}
    assert "was changed or swapped" in found.damage
    assert not found.speaks
    assert commands(GPU, found) == [f"sambert-export SOURCE -o '{voice}'"]


def test_contents_that_do_not_fit_together_are_found(voice: Path) -> None:
    manifest = replace(manifest_from_directory(voice), default_emotion="none of them")
    (voice / MANIFEST).write_text(manifest.as_json(), encoding="utf-8")
    found = voice_facts(voice, CPU)
    assert not any(file.problem for file in found.files)
    assert "the default emotion 'none of them'" in found.problem
    assert not found.speaks


def test_the_way_from_a_fresh_voice_to_plans(voice: Path) -> None:
    half = f"sambert-calibrate '{voice}' --precision fp16"
    build = f"sambert-build '{voice}' --precision fp16 --flavour rtx --target current"
    say = f"sambert-tts say --voice '{voice}'"
    words = "-o out.wav 今天天气真好"
    found = voice_facts(voice, GPU)
    assert found.precisions == {"fp32": tuple(stage.value for stage in Stage)}
    assert commands(GPU, found) == [half, build, f"{say} {words}"]
    with_half(voice)
    found = voice_facts(voice, GPU)
    assert set(found.precisions) == {"fp32", "fp16"}
    assert commands(GPU, found) == [build, f"{say} {words}"]
    with_plans(voice)
    found = voice_facts(voice, GPU)
    assert ways(found) == {("cpu", "", "fp32"): "", ("tensorrt", "rtx", "fp16"): ""}
    assert {plan.runs_with for plan in found.plans} == {("rtx",)}
    assert {plan.device_bytes for plan in found.plans} == {5_000_000}
    assert commands(GPU, found) == [f"{say} --backend tensorrt --flavour rtx {words}"]


def test_the_commands_are_ones_the_command_line_takes(voice: Path) -> None:
    with_half(voice)
    with_plans(voice)
    found = voice_facts(voice, GPU)
    spoken = [shlex.split(c) for c in commands(GPU, found) if c.startswith("sambert-tts")]
    assert spoken
    for words in spoken:
        assert _parser().parse_args(words[1:]).voice == str(voice)


@pytest.mark.parametrize(
    ("changes", "machine", "obstacle"),
    [
        ({"targets": ("sm_120",)}, GPU, "targets: sm_120 built, this card is sm_86"),
        ({"version": "1.6.0.1"}, GPU, "version: 1.6.0.1 built, 1.7.1.116 is here"),
        ({"graph_sha256": "99" * 32}, GPU, "graph: built from 999999999999, the voice now has"),
        ({"recipe": "old"}, GPU, "recipe: built as 'old', the voice now has 'half'"),
        ({"precision": Precision.INT8}, GPU, "graph: the voice has no int8 graph of vocoder"),
        ({}, CPU, "card: there is none"),
        (
            {},
            replace(GPU, cards=(replace(CARD, target=""),), cuda=CudaFacts("13")),
            "card: its capability is unknown",
        ),
        ({}, replace(GPU, tensorrt=(NO_FULL,)), "flavour: no TensorRT can be used here"),
    ],
)
def test_a_plan_that_does_not_run_here_says_why(
    voice: Path, changes: dict[str, object], machine: MachineFacts, obstacle: str
) -> None:
    with_half(voice)
    with_plans(voice, (Stage.VOCODER,), **changes)
    found = voice_facts(voice, machine)
    (plan,) = found.plans
    assert plan.runs_with == ()
    assert any(item.startswith(obstacle) for item in plan.obstacles), plan.obstacles
    pruned = f"sambert-build '{voice}' --prune" in commands(machine, found)
    assert pruned is (obstacle.startswith(("graph", "recipe")) and machine is GPU)


def test_the_stages_without_a_plan_are_named(voice: Path) -> None:
    with_half(voice)
    with_plans(voice, (Stage.VOCODER, Stage.POSTNET))
    reason = ways(voice_facts(voice, GPU))["tensorrt", "rtx", "fp16"]
    assert reason == (
        "no plan that runs here for text_encoder, prosody, duration_step, memory_kv, decoder_step"
    )


def test_the_closest_of_two_products_explains_a_plan(voice: Path) -> None:
    machine = replace(GPU, tensorrt=(FULL, RTX))
    with_half(voice)
    with_plans(voice, (Stage.VOCODER,), targets=("sm_89",))
    (plan,) = voice_facts(voice, machine).plans
    assert plan.obstacles == ("targets: sm_89 built, this card is sm_86",)


def test_the_lean_runtime_is_sent_to_where_tensorrt_is(voice: Path) -> None:
    machine = replace(GPU, tensorrt=(LEAN,))
    with_half(voice)
    (step,) = (s for s in next_steps(machine, voice_facts(voice, machine)) if "build" in s.command)
    assert step.command == (
        f"sambert-build '{voice}' --precision fp16 --flavour tensorrt --lean --target sm_86"
    )
    assert "run it where TensorRT is" in step.reason


@posix
def test_plans_that_others_may_write_carry_their_remedy(voice: Path) -> None:
    with_half(voice)
    with_plans(voice)
    (voice / ENGINES).chmod(0o777)
    found = voice_facts(voice, GPU)
    assert all("may be written by others" in plan.problem for plan in found.plans)
    assert "no plan that runs here" in ways(found)["tensorrt", "rtx", "fp16"]
    steps = list(next_steps(GPU, found))
    assert steps[0].command == f"chmod -R go-w '{voice / ENGINES}'"
    assert steps[0].reason.endswith("a plan is code")
    assert [step.command.split()[0] for step in steps] == ["chmod", "sambert-tts"]


def test_a_damaged_plan_is_a_problem_and_stays_where_it_is(voice: Path) -> None:
    with_half(voice)
    with_plans(voice)
    store = EngineStore(voice / ENGINES)
    entry = store.entries()[0]
    entry.plan_path.write_bytes(b"x")
    (store.entries()[1].directory / "record.json").write_bytes(b"x")
    found = voice_facts(voice, GPU)
    problems = {plan.name: plan.problem for plan in found.plans if plan.problem}
    assert len(problems) == 2
    assert "its record says" in problems[entry.directory.name]
    assert entry.plan_path.read_bytes() == b"x"
    assert any(c.startswith("sambert-build") for c in commands(GPU, found))


def test_an_engines_folder_that_is_none_is_a_problem(voice: Path) -> None:
    (voice / ENGINES).write_text("x", encoding="utf-8")
    found = voice_facts(voice, GPU)
    assert "cannot be read" in found.plans_problem
    assert found.plans == ()
    assert found.speaks


# ---- the report


def reports(voice: Path) -> Iterator[Report]:
    """Every kind of report."""
    with_half(voice)
    with_plans(voice)
    for machine in (BARE, CPU, GPU, replace(GPU, tensorrt=(RTX, FULL, LEAN))):
        for found in (None, voice_facts(voice, machine), voice_facts(voice / "x", machine)):
            steps = tuple(next_steps(machine, found))
            yield Report(machine, found, steps, ok=found is None or found.speaks)


def test_every_report_is_text_and_json(voice: Path) -> None:
    keys = set()
    for item in reports(voice):
        data = json.loads(item.as_json())
        keys.add(tuple(sorted(data)))
        assert set(data["machine"]) == {f.name for f in dataclasses.fields(MachineFacts)}
        assert data["voice"] is None or set(data["voice"]) == {
            f.name for f in dataclasses.fields(VoiceFacts)
        }
        text = text_from_report(item)
        assert all(step.command in text for step in item.next)
        assert text.splitlines()[-1].startswith("     ")
    assert keys == {("machine", "next", "ok", "schema", "voice")}


def test_the_text_tells_who_uses_the_card(voice: Path) -> None:
    with_half(voice)
    with_plans(voice)
    text = text_from_report(Report(GPU, voice_facts(voice, GPU), (), True))
    assert "driver       580.65.06, CUDA up to 13.0" in text
    assert "card 0       NVIDIA GeForce RTX 3070 (sm_86): 7000 MB of 8590 MB free" in text
    assert "900 MB by process 11 a game" in text
    assert "unknown by process 12\n" in text
    assert "tensorrt     rtx: 1.7.1.116, usable" in text
    assert "tensorrt: not usable: tensorrt_bindings is not installed" in text
    assert "(rtx 1.7.1.116, sm_86, sm_89; 0 MB, 5 MB on the card): runs here" in text
    assert "tensorrt (rtx) in fp16: can speak" in text


def test_a_fault_in_the_doctor_itself_is_part_of_the_report(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("never seen")

    monkeypatch.setattr(doctor, "machine_facts", lambda: CPU)
    monkeypatch.setattr(doctor, "voice_facts", broken)
    monkeypatch.setattr(doctor, "next_steps", broken)
    found = doctor.report(tmp_path)
    assert found.voice == VoiceFacts(str(tmp_path), "ZeroDivisionError: never seen")
    assert (found.next, found.ok) == ((), False)


@pytest.mark.parametrize("machine", [CPU, BARE])
def test_the_command_ends_with_whether_the_voice_can_be_spoken(
    voice: Path,
    machine: MachineFacts,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(doctor, "machine_facts", lambda: machine)
    speaks = machine is CPU
    assert main(["doctor", str(voice)]) == (0 if speaks else 1)
    printed = capsys.readouterr()
    assert ("cpu in fp32: can speak" in printed.out) is speaks
    assert printed.err == ""
    assert main(["doctor", str(voice), "--json"]) == (0 if speaks else 1)
    assert json.loads(capsys.readouterr().out)["ok"] is speaks
    assert main(["doctor"]) == 0
    assert main(["doctor", str(voice / "absent")]) == 1


def test_the_command_on_this_machine(voice: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime")
    assert main(["doctor", str(voice), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["voice"]["backends"][0] == {
        "backend": "cpu",
        "flavour": "",
        "precision": "fp32",
        "usable": True,
        "reason": "",
    }
    assert Step(**data["next"][-1]).reason
