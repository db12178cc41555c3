"""sambert-calibrate: what it prints, and its exit codes."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from sambert_trt.calibration.cli import main
from sambert_trt.engines.graphs import Precision, Stage
from sambert_trt.engines.voice import manifest_from_directory

pytestmark = pytest.mark.export


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def voice(tiny_voice: Callable[[str], Path]) -> str:
    """A tiny voice of the test's own."""
    pytest.importorskip("onnx", reason="graphs are converted with onnx")
    shutil.copytree(tiny_voice("plain"), "voice")
    return "voice"


def test_a_table_and_then_nothing_to_do(voice: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([voice, "--precision", "fp16"]) == 0
    lines = capsys.readouterr().out.splitlines()
    head, *rows, total, note = lines
    assert head.split() == ["stage", "fp32", "MB", "fp16", "MB", "largest", "difference", "s"]
    assert [row.split()[0] for row in rows] == [stage.value for stage in Stage]
    assert len({len(line) for line in lines[:-1]}) == 1
    assert total.split()[0] == "all"
    assert "relative to" in note
    assert set(manifest_from_directory(Path(voice)).variants[Precision.FP16]) == set(Stage)
    assert main([voice, "--precision", "fp16"]) == 0
    assert "nothing has changed" in capsys.readouterr().out
    assert main([voice, "--precision", "fp16", "--force"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(lines)


def test_one_json_object(voice: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = []
    for _ in range(2):
        assert main([voice, "--precision", "fp16", "--json"]) == 0
        printed = capsys.readouterr()
        assert printed.err == ""
        found.append(json.loads(printed.out))
    made, kept = found
    assert (made["voice"], made["precision"], made["unchanged"]) == ("voice", "fp16", False)
    assert kept["unchanged"]
    assert [stage["difference"] for stage in kept["stages"]] == [None] * 7
    for new, old in zip(made["stages"], kept["stages"], strict=True):
        assert new["bytes"] == Path(voice, new["path"]).stat().st_size
        assert new["difference"] > 0
        same = ("stage", "path", "bytes", "fp32_bytes", "recipe")
        assert [new[key] for key in same] == [old[key] for key in same]


def test_quiet_prints_nothing(voice: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([voice, "--precision", "fp16", "-q"]) == 0
    assert capsys.readouterr() == ("", "")


def test_a_terminal_sees_what_is_being_done(
    voice: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert main([voice, "--precision", "fp16", "--json"]) == 0
    shown = capsys.readouterr().err
    assert "0% |" in shown
    assert "text_encoder" in shown
    assert "vocoder" in shown
    assert shown.endswith("\r")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "--precision", "fp16"], "nowhere does not exist; export a voice there with"),
        (["voice", "--texts", "nowhere.txt"], "nowhere.txt cannot be read"),
        (["voice", "--recipe", "nowhere.toml"], "nowhere.toml cannot be read"),
        (["voice", "--budget", "mcd=loud"], "mcd"),
        (["voice", "--symbols"], "name the file, too"),
        (["voice", "--adopt"], "name it with --recipe FILE"),
        (["voice", "--recipe", "r.toml", "--keep", "vocoder"], "into the recipe"),
        (["voice", "--seconds", "nan"], "needs a number from 0 on"),
        (["voice", "--keep", "vocoder=w9"], "'w9' is none of float, w8, w8a8, w8a8+sums"),
        (["voice", "--explain"], "calibrate the voice first, with: sambert-calibrate voice"),
    ],
)
@pytest.mark.usefixtures("voice")
def test_a_failure_is_one_sentence(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("sambert-calibrate: ")
    assert message in printed.err
    assert len(printed.err.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [[], ["voice", "--precision", "fp64"], ["voice", "--judge", "0"]]
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "usage: sambert-calibrate" in capsys.readouterr().err


@pytest.mark.parametrize("package", ["onnx", "filelock"])
def test_a_package_that_is_missing_names_the_extra(
    package: str, voice: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in ("half", "variants"):
        monkeypatch.delitem(sys.modules, f"sambert_trt.calibration.{module}", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    assert main([voice, "--precision", "fp16"]) == 1
    printed = capsys.readouterr().err
    assert f"{package} is not installed; install it with: pip install" in printed
    assert "'sambert-trt[calibrate]'" in printed


def test_ctrl_c(
    voice: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from sambert_trt.calibration import half

    def interrupted(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(half, "half_graph", interrupted)
    assert main([voice, "--precision", "fp16"]) == 130
    assert "interrupted; the voice is whole" in capsys.readouterr().err
    assert manifest_from_directory(Path(voice)).variants == {}


def test_the_command_starts_without_onnx() -> None:
    """--help is answered before the second that onnx takes to load."""
    import subprocess

    program = "import sys, sambert_trt.calibration.cli; print('onnx' in sys.modules)"
    finished = subprocess.run(
        (sys.executable, "-c", program), capture_output=True, text=True, check=True
    )
    assert finished.stdout.strip() == "False"


def test_a_part_is_kept_in_one_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twice = ["--keep", "vocoder=w8", "--keep", "vocoder=w8a8"]
    assert main([str(tmp_path), *twice]) == 1
    assert "--keep vocoder=w8a8: vocoder is kept otherwise already" in capsys.readouterr().err
