"""sambert-export as a user calls it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from sambert_trt.engines.voice import manifest_from_directory
from sambert_trt.export.cli import main

pytest.importorskip("torch")
pytestmark = pytest.mark.export

EXPORT = Path(sysconfig.get_path("scripts")) / (
    "sambert-export.exe" if os.name == "nt" else "sambert-export"
)


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def test_an_export_is_reported_and_then_up_to_date(
    tiny_source: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(tiny_source("plain"))
    assert main([source, "-o", "voice"]) == 0
    printed = capsys.readouterr().out
    for word in ("text_encoder", "vocoder", "parameters", "is ready in", "sambert-tts say"):
        assert word in printed
    assert manifest_from_directory(Path("voice")).name == "plain"
    assert main([source, "-o", "voice"]) == 0
    assert "up to date" in capsys.readouterr().out


@pytest.fixture
def _untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs of a few bytes instead of seconds of tracing."""
    from sambert_trt.export import voice_export
    from sambert_trt.export.onnx_graphs import GraphReport

    def write(_: object, path: Path) -> GraphReport:
        path.write_bytes(b"graph")
        return GraphReport(1, 1, 5, 1, 0.0)

    monkeypatch.setattr(voice_export, "write_graph", write)


@pytest.mark.usefixtures("_untraced")
def test_explicit_files(tiny_source: Callable[[str], Path]) -> None:
    folder = tiny_source("plain")
    arguments = [
        *("--am-config", str(folder / "am/config.yaml")),
        *("--am-checkpoint", str(folder / "am/ckpt/checkpoint_0.pth")),
        *("--voc-config", str(folder / "voc/config.yaml")),
        *("--voc-checkpoint", str(folder / "voc/ckpt/checkpoint_0.pth")),
        *("--audio-config", str(folder / "audio_config.yaml")),
    ]
    assert main([*arguments, "-o", "voice", "--voice", "anna"]) == 0
    assert manifest_from_directory(Path("voice")).name == "anna"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "v"], "give one of SOURCE, --modelscope ID, or explicit files"),
        (["s", "--modelscope", "x", "-o", "v"], "give one of SOURCE"),
        (["--am-config", "c", "-o", "v"], "explicit files need both"),
        (["absent", "-o", "v"], "absent"),
        (["empty", "-o", "v"], "empty"),
        (["voice.zip", "-o", "v"], "voice.zip"),
        (["source", "-o", "mine"], "exists and is not a voice directory"),
        (["source", "-o", "file"], "exists and is not a voice directory"),
        (["source", "-o", "file/v"], "choose a writable place"),
        (["source", "--voice", "bob", "-o", "v"], "bob"),
        (["source", "--language", "Klingon", "-o", "v"], "Klingon"),
        (["cut", "-o", "v"], "checkpoint_0.pth"),
    ],
)
def test_one_sentence_and_nothing_half_written(
    tiny_source: Callable[[str], Path],
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(tiny_source("plain"), "source")
    shutil.copytree(tiny_source("plain"), "cut")
    path = Path("cut/voc/ckpt/checkpoint_0.pth")
    path.write_bytes(path.read_bytes()[:1000])
    Path("empty").mkdir()
    Path("mine").mkdir()
    Path("mine/thesis.tex").write_text("mine", encoding="utf-8")
    Path("file").write_text("mine", encoding="utf-8")
    Path("voice.zip").write_bytes(b"PK\x03\x04 broken")
    before = sorted(Path().rglob("*"))
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert message in printed.err
    assert "sambert-export: " in printed.err
    assert "Traceback" not in printed.err
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize("arguments", [[], ["source"], ["source", "-o"], ["a", "b", "-o", "v"]])
def test_wrong_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_an_interrupt_is_130(
    tiny_source: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from sambert_trt.export import voice_export

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(voice_export, "write_graph", interrupted)
    assert main([str(tiny_source("plain")), "-o", "v"]) == 130
    assert "nothing was left half-written" in capsys.readouterr().err
    assert list(Path().iterdir()) == []


@pytest.mark.usefixtures("_untraced")
def test_a_repository_of_several_voices_becomes_several_directories(shared: Path) -> None:
    source = str(shared / "golden/extras/modelrepo_nomask")
    assert main([source, "-o", "out"]) == 0
    assert sorted(p.name for p in Path("out").iterdir()) == ["alpha", "beta"]
    assert manifest_from_directory(Path("out/beta")).name == "beta"


def test_the_installed_command() -> None:
    finished = subprocess.run(
        (str(EXPORT), "absent", "-o", "v"), capture_output=True, encoding="utf-8", check=False
    )
    assert finished.returncode == 1
    assert finished.stderr.startswith("sambert-export: ")
    assert finished.stderr.count("\n") == 1
    assert list(Path().iterdir()) == []
