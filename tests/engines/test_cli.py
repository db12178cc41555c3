"""sambert-build as a user calls it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from sambert_trt.engines import cli
from sambert_trt.engines.builder import BuildOptions
from sambert_trt.engines.cli import main
from sambert_trt.engines.engine import Flavour
from sambert_trt.engines.flavours import InstalledFlavour
from sambert_trt.engines.graphs import AxisRange, Precision, Stage
from sambert_trt.engines.store import ENGINES, EngineStore

pytest.importorskip("filelock", reason="storing plans needs filelock")
pytestmark = pytest.mark.export
posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals and terminals")

BUILD = Path(sysconfig.get_path("scripts")) / (
    "sambert-build.exe" if os.name == "nt" else "sambert-build"
)
QUICK = ("--target", "sm_86", "--stage", "memory_kv")


def test_a_build_ends_in_a_table_and_the_next_one_is_up_to_date(
    voice: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(voice), *QUICK]) == 0
    printed = capsys.readouterr()
    words = ("memory_kv  fp32       built", "kernels", "Float:2", "1 built, 0 up to date in ")
    for word in (*words, f"plans are in {voice / ENGINES}"):
        assert word in printed.out
    assert "memory_kv (fp32): built, there is none yet" in printed.err
    assert "precision: fp32, since the voice has no fp16 graphs" in printed.err
    assert "sambert-calibrate VOICE --precision fp16" in printed.err
    assert main([str(voice), *QUICK, "--precision", "fp32"]) == 0
    printed = capsys.readouterr()
    assert "0 built, 1 up to date" in printed.out
    assert printed.err == "memory_kv (fp32): skipped, up to date\n"


def test_json_is_a_line_per_stage(voice: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(voice), *QUICK, "--stage", "duration_step", "--target", "rtx4060", "--json"]
    assert main(arguments) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert [line["stage"] for line in (first, second)] == ["duration_step", "memory_kv"]
    assert first["targets"] == second["targets"] == ["sm_86", "sm_89"]
    assert main([*arguments, "--workspace", "1"]) == 1
    printed = capsys.readouterr()
    first, second = map(json.loads, printed.out.splitlines())
    assert {first["status"], second["status"]} == {"failed"}
    assert "--workspace" in first["reason"]
    assert first["reason"] in printed.err


def test_quiet_says_only_what_fails(voice: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(voice), *QUICK, "-q"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main([str(voice), *QUICK, "-q", "--workspace", "1"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "memory_kv (fp32) needs a larger workspace" in printed.err


def test_every_option_reaches_the_builder(
    voice: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[BuildOptions] = []

    def orders(directory: Path, options: BuildOptions) -> object:
        seen.append(options)
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "build_orders", orders)
    words = "--flavour tensorrt --target rtx3070 --target sm_89 --precision fp16 --precision int8 "
    words += "--stage vocoder --axis frames=1:2:3 --axis vocoder.frames=4:5:6 --workspace 64 "
    words += "--lean --tf32 --force --timeout 90"
    assert main([str(voice), *words.split()]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert seen == [
        BuildOptions(
            flavour=Flavour.TENSORRT,
            targets=("rtx3070", "sm_89"),
            precisions=(Precision.FP16, Precision.INT8),
            stages=(Stage.VOCODER,),
            axes={"frames": AxisRange(1, 2, 3), "vocoder.frames": AxisRange(4, 5, 6)},
            workspace=64 << 20,
            lean=True,
            tf32=True,
            force=True,
            seconds=90.0,
        )
    ]
    assert main([str(voice)]) == 130
    assert seen[1] == BuildOptions()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--axis", "steps"], "needs NAME=LEAST:USUAL:MOST"),
        (["--axis", "steps=3:2:1"], "needs 0 < LEAST <= USUAL <= MOST"),
        (["--axis", "steps=0:2:3"], "needs 0 < LEAST <= USUAL <= MOST"),
        (["--axis", "stps=1:2:3"], "no axis stps here"),
        (["--target", "toaster"], "the target 'toaster' is no card known here"),
        (["--precision", "int8"], "sambert-calibrate VOICE --target tensorrt"),
    ],
)
def test_one_sentence_and_status_1(
    voice: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(voice), *QUICK, *arguments]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("sambert-build: ")
    assert message in printed.err
    assert printed.out == ""
    assert not (voice / ENGINES).exists()


@pytest.mark.parametrize("option", [(), ("--list",), ("--verify",), ("--prune",)])
def test_what_is_no_voice(
    tmp_path: Path, option: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), *option]) == 1
    assert "voice.json: it is no voice directory" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        *([], ["v", "--flavour", "lean"], ["v", "--precision", "fp8"], ["v", "--stage", "mel"]),
        *(["v", "--workspace", "-1"], ["v", "--timeout", "0"], ["v", "--timeout", "nan"]),
        *(["v", "--list", "--prune"], ["v", "--prune", "--keep-bytes", "2T"]),
    ],
)
def test_wrong_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_what_is_stored_is_listed(voice: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(voice), "--list"]) == 0
    assert "0 plans, 0.0 MB" in capsys.readouterr().out
    main([str(voice), *QUICK, "--target", "sm_89", "-q"])
    assert main([str(voice), "--list"]) == 0
    (head, row, total) = capsys.readouterr().out.splitlines()
    assert head.split() == [
        *("stage", "precision", "key", "TensorRT", "targets", "age", "plan", "weights", "scratch")
    ]
    assert row.startswith("memory_kv  fp32")
    assert "sm_86 sm_89" in row
    assert total.startswith("1 plans, 0.2 MB")
    assert main([str(voice), "--list", "--json"]) == 0
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["stage"], line["useless"], line["kernels"]) == ("memory_kv", "", 3)


def test_a_bad_plan_is_found_and_pruned(voice: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(voice), *QUICK, "--stage", "duration_step", "-q"])
    assert main([str(voice), "--verify"]) == 0
    assert "2 plans, 0 bad" in capsys.readouterr().out
    (entry,) = (voice / ENGINES).glob("memory_kv-*")
    (entry / "plan").write_bytes(b"something else")
    assert main([str(voice), "--verify"]) == 1
    printed = capsys.readouterr().out
    assert f"{entry.name}: " in printed
    assert "2 plans, 1 bad" in printed
    assert main([str(voice), "--verify", "--json"]) == 1
    good, bad = map(json.loads, capsys.readouterr().out.splitlines())
    assert (bad["entry"], good["problem"]) == (str(entry), "")
    assert "plan" in bad["problem"]


def test_plans_of_graphs_that_changed_are_pruned(
    voice: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(voice), *QUICK, "--stage", "duration_step", "-q"])
    manifest = voice / "voice.json"
    data = json.loads(manifest.read_text(encoding="utf-8"))
    data["stages"]["memory_kv"]["file"]["sha256"] = "0" * 64
    manifest.write_text(json.dumps(data), encoding="utf-8")
    assert main([str(voice), "--list"]) == 0
    assert "is of no use: the voice has no graph" in capsys.readouterr().out
    assert main([str(voice), "--prune"]) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert "memory_kv-fp32-" in first
    assert "the voice has no graph" in first
    assert last.startswith("1 removed, 0.")
    left = [entry.record.spec.stage for entry in EngineStore(voice / ENGINES).entries()]
    assert left == [Stage.DURATION_STEP]


@pytest.mark.parametrize(
    ("installed", "pruned"), [("1.7.1.117", True), ("1.10.0.1", True), ("1.6.9.999", False)]
)
def test_plans_of_an_older_tensorrt_are_pruned(
    voice: Path, monkeypatch: pytest.MonkeyPatch, installed: str, pruned: bool
) -> None:
    main([str(voice), *QUICK, "-q"])
    found = (InstalledFlavour(Flavour.RTX, installed, "tensorrt_rtx_bindings", True, ""),)
    monkeypatch.setattr(cli, "installed_flavours", lambda: found)
    assert main([str(voice), "--prune", "-q"]) == 0
    assert bool(EngineStore(voice / ENGINES).entries()) != pruned


def test_the_oldest_plans_go_beyond_a_size(voice: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(voice), *QUICK, "-q"])
    main([str(voice), *QUICK, "-q", "--workspace", "64"])
    capsys.readouterr()
    (newest, *_) = EngineStore(voice / ENGINES).entries()
    assert main([str(voice), "--prune", "--keep-bytes", "200K", "--json"]) == 0
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert line["bytes"] > 150_000
    assert "the oldest" in line["reason"]
    assert [e.directory for e in EngineStore(voice / ENGINES).entries()] == [newest.directory]


@contextmanager
def building(voice: Path, work: Path) -> Iterator[subprocess.Popen[str]]:
    """sambert-build at its second stage, with its temporary files in `work`."""
    work.mkdir()
    command = (str(BUILD), str(voice), "--target", "sm_86", "--target", "sm_89", "--json")
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "TMPDIR": str(work)},
    ) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield process
        finally:
            process.kill()


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_finished_plans_and_nothing_else(
    voice: Path, tmp_path: Path, number: signal.Signals
) -> None:
    with building(voice, tmp_path / "work") as process:
        (child,) = psutil.Process(process.pid).children()
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "sambert-build: interrupted; nothing was left half-written"
    assert "Traceback" not in said
    assert not child.is_running()
    assert list((tmp_path / "work").iterdir()) == []
    checks = EngineStore(voice / ENGINES).verify()
    assert checks
    assert {check.problem for check in checks} == {""}
    left = {path.name for path in (voice / ENGINES).iterdir()} - {".lock"}
    assert left == {check.directory.name for check in checks}


@posix
def test_the_builder_dies_with_a_parent_that_is_killed(voice: Path, tmp_path: Path) -> None:
    with building(voice, tmp_path / "work") as process:
        (child,) = psutil.Process(process.pid).children()
        process.kill()
        process.wait()
        gone, _ = psutil.wait_procs([child], timeout=30)
    assert gone == [child]
    assert {check.problem for check in EngineStore(voice / ENGINES).verify()} == {""}


@posix
def test_a_reader_that_stops_ends_the_build_without_a_traceback(
    voice: Path, tmp_path: Path
) -> None:
    with building(voice, tmp_path / "work") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
        process.wait(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in said
    assert list((tmp_path / "work").iterdir()) == []


@posix
def test_a_terminal_sees_progress(voice: Path) -> None:
    import pty

    pytest.importorskip("rich")
    leader, follower = pty.openpty()
    command = (str(BUILD), str(voice), *QUICK, "--stage", "vocoder", "--json")
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "200"}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=follower, env=environment
    ) as process:
        os.close(follower)
        shown = b"".join(iter(lambda: _read(leader), b""))
    os.close(leader)
    assert process.returncode == 0
    assert b"2 of 2: vocoder (fp32)" in shown
    assert b"s to go" in shown


def _read(terminal: int) -> bytes:
    """What a terminal shows next; nothing when its other end is closed."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""
