"""sambert-tts as a user calls it: output, exit codes, and one sentence where something is wrong."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import voices
from fake_gpu import fake_backend, fill_store

from sambert_trt.engines.errors import BackendError
from sambert_trt.engines.graphs import Precision, Stage
from sambert_trt.runtime.cli import main
from sambert_trt.runtime.gpu import GpuOptions
from sambert_trt.runtime.trt_backend import TrtBackend
from sambert_trt.runtime.voice import Voice

Opened = Callable[[Path], Voice]
TTS = Path(sysconfig.get_path("scripts")) / (
    "sambert-tts.exe" if os.name == "nt" else "sambert-tts"
)


@pytest.fixture
def plain(tiny_voice: Callable[[str], Path]) -> Path:
    """The directory of the plain tiny voice."""
    return tiny_voice("plain")


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative output lands in the test's own folder."""
    monkeypatch.chdir(tmp_path)


def say(voice: Path, *arguments: str) -> int:
    return main(["say", "--voice", str(voice), "-o", "a.wav", *arguments])


def leftovers() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def test_a_file_is_written_and_reported(plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert say(plain, "今天天气真好") == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("a.wav: ")
    assert "s of speech in" in printed.out
    assert printed.err == ""
    assert soundfile.info("a.wav").samplerate == 8000
    assert leftovers() == ["a.wav"]


def test_the_file_holds_what_the_api_says(plain: Path, opened: Opened) -> None:
    assert (
        say(plain, "你好。今天天气真好。", "--speed", "0.8", "--emotion", "happy:0.7,sad:0.3") == 0
    )
    from sambert_trt.runtime.styles import Style

    style = Style(speed=0.8, emotion={"happy": 0.7, "sad": 0.3})
    expected = opened(plain).say("你好。今天天气真好。", style)
    samples, _ = soundfile.read("a.wav", dtype="int16")
    assert samples.shape == expected.samples.shape
    assert np.abs(samples.astype(int) - expected.int16()).max() <= 1


def test_quiet_and_verbose(plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert say(plain, "你好", "-q") == 0
    assert capsys.readouterr() == ("", "")
    assert say(plain, "你好", "-vv") == 0
    printed = capsys.readouterr()
    assert "vocoder" in printed.err
    assert "decoder_step" in printed.err


@pytest.mark.parametrize("suffix", ["flac", "ogg"])
def test_other_formats_and_rates(plain: Path, suffix: str) -> None:
    assert main(["say", "你好", "--voice", str(plain), "-o", f"b.{suffix}", "--rate", "16000"]) == 0
    assert soundfile.info(f"b.{suffix}").samplerate == 16000


def test_a_trace_is_written(plain: Path) -> None:
    assert say(plain, "你好", "--trace", "t.npz") == 0
    with np.load("t.npz") as trace:
        assert {"0/text_hid", "0/durations", "0/mel_final", "0/wav"} <= set(trace.files)
    assert leftovers() == ["a.wav", "t.npz"]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_text_and_symbols_from_files(plain: Path, opened: Opened, mark: str) -> None:
    Path("text.txt").write_text(mark + "你好。\r\n今天天气真好。\r\n", encoding="utf-8")
    assert say(plain, "--file", "text.txt") == 0
    first, _ = soundfile.read("a.wav")
    assert say(plain, "你好。\n今天天气真好。\n") == 0
    second, _ = soundfile.read("a.wav")
    assert np.array_equal(first, second)
    line = voices.symbol_line(opened(plain).manifest.units, 5)
    Path("symbols.txt").write_text(f"{mark}one\t{line}\n\ntwo\t{line}\n", encoding="utf-8")
    assert say(plain, "--symbols", "symbols.txt", "--gap", "0") == 0
    samples, _ = soundfile.read("a.wav", dtype="int16")
    expected = opened(plain).say(symbols=f"{line}\n{line}", gap=0.0).int16()
    assert np.abs(samples.astype(int) - expected).max() <= 1


class Standard(io.TextIOWrapper):
    """A stand-in for standard input or output."""

    def __init__(self, content: bytes = b"", terminal: bool = False) -> None:
        super().__init__(io.BytesIO(content), encoding="utf-8")
        self.terminal = terminal

    def isatty(self) -> bool:
        """Whether somebody types."""
        return self.terminal


def test_text_from_standard_input(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Standard("你好".encode()))
    assert say(plain) == 0
    monkeypatch.setattr(sys, "stdin", Standard("你好".encode()))
    assert say(plain, "--file", "-") == 0


WRONG = [
    (["😀，。"], "nothing to speak"),
    ([""], "nothing to speak"),
    (["你好", "--emotion", "hapy"], "did you mean happy"),
    (["你好", "--emotion", "happy:x"], "is not NAME:WEIGHT"),
    (["你好", "--emotion", "happy:-1"], "needs 0 to 1000"),
    (["你好", "--emotion", "happy:,sad"], "is not NAME:WEIGHT"),
    (["你好", "--speaker", "M8"], "no speaker 'M8'"),
    (["你好", "--noise", "pink"], "needs none, or seed:N"),
    (["你好", "--noise", "seed:-1"], "needs none, or seed:N"),
    (["你好", "--noise", "seed:" + "9" * 30], "needs none, or seed:N"),
    (["你好", "--gap", "-1"], "needs 0 to 60"),
    (["你好", "--gap", "nan"], "needs 0 to 60"),
    (["你好", "--speed", "0"], "needs a number from 0.25 to 4"),
    (["你好", "--speed", "nan"], "needs a number from 0.25 to 4"),
    (["你好", "--pitch", "9"], "needs a number from -5 to 5"),
    (["你好", "--intensity", "3"], "needs a number from 0 to 2"),
    (["你好", "--rate", "7"], "needs 4000 to 192000"),
    (["你好", "--rate", "0"], "needs 4000 to 192000"),
    (["你好", "--threads", "0"], "needs 1 to 256"),
    (["你好", "--file", "x.txt"], "give one of TEXT, --file or --symbols"),
    (["--file", "absent.txt"], "absent.txt cannot be read"),
    (["--file", "."], "cannot be read"),
    (["--symbols", "absent.txt"], "absent.txt cannot be read"),
    (["--file", "latin.txt"], "is not UTF-8"),
    (["--symbols", "latin.txt"], "is not UTF-8"),
    (["--symbols", "broken.txt"], "line 2"),
    (["你好", "-o", "a.mp3"], "files end in"),
    (["你好", "-o", "folder.wav"], "is a folder; name a file"),
    (["你好", "-o", "absent/a.wav"], "choose a writable place"),
    (["你好", "--trace", "folder.wav"], "is a folder; name a file"),
    (["你好", "--precision", "fp16"], "make it with: sambert-calibrate VOICE --precision fp16"),
    (["你好", "--device", "0"], "--device is for a card"),
    (["你好", "--on-oom", "cpu"], "--on-oom is for a card: choose --backend cuda or tensorrt"),
    (["你好", "--backend", "tensorrt", "--device", "-1"], "device -1"),
    (["你好", "--backend", "tensorrt", "--memory-budget", "nan"], "--memory-budget nan"),
    (["你好", "--backend", "tensorrt", "--memory-budget", "9", "--memory-reserve", "9"], "reserve"),
    (["你好", "--backend", "tensorrt", "--on-oom", "gpu"], "needs one or both of smaller-chunk"),
    (["你好", "--backend", "cuda", "--plans", "memory"], "--plans is for --backend tensorrt"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=lambda x: " ".join(x)[-24:])
def test_one_sentence_and_nothing_half_written(
    plain: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("latin.txt").write_bytes("Größe".encode("latin-1"))
    Path("broken.txt").write_text("{a_c$tone1$s_both$word_both}\n{a_c}\n", encoding="utf-8")
    Path("folder.wav").mkdir()
    Path("a.wav").write_bytes(b"old")
    before = leftovers()
    assert say(plain, *arguments) == 1
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.startswith("sambert-tts: ")
    assert printed.err.count("\n") == 1
    assert "Traceback" not in printed.err
    assert printed.out == ""
    assert leftovers() == before
    if "--trace" not in arguments:
        assert Path("a.wav").read_bytes() == b"old"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["sing"],
        ["say", "你好"],
        ["say", "--voice"],
        ["say", "a", "--voice", "v", "--speed", "x"],
        ["say", "a", "--voice", "v", "--backend", "gpu"],
        ["say", "a", "--voice", "v", "--precision", "fp8"],
        ["say", "a", "--voice", "v", "--residency", "lazy"],
        ["say", "a", "--voice", "v", "--memory-budget", "8G"],
        ["say", "a", "--voice", "v", "--device", "one"],
    ],
)
def test_wrong_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["say", "stream"])
def test_a_voice_that_is_not_there(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "你好", "--voice", "absent"]) == 1
    assert "absent does not exist; export a voice there" in capsys.readouterr().err
    assert leftovers() == []


def test_a_memory_report_is_printed(plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert say(plain, "你好", "-q", "--memory-report") == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert lines[0].startswith("ONNX Runtime ")
    assert lines[1].split() == [
        *("engine", "state", "context", "weights", "scratch", "buffers", "host", "copy", "opens")
    ]
    names = {line.split()[0] for line in lines[2:-2]}
    assert names == {f"tiny-plain/{stage.value}" for stage in Stage}
    assert lines[-2].startswith("held by engines ")
    assert lines[-1] == "this process unknown, card unknown used of unknown"


@pytest.mark.export
def test_half_graphs_speak_where_somebody_made_them(
    plain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnx", reason="graphs are converted with onnx")
    from sambert_trt.calibration.variants import write_variants

    voice = Path(shutil.copytree(plain, "voice"))
    write_variants(voice, Precision.FP16)
    spoken = []
    for precision in ("fp32", "fp16"):
        assert say(voice, "今天天气真好", "--backend", "cpu", "--precision", precision) == 0
        spoken.append(soundfile.read("a.wav")[0])
    assert capsys.readouterr().err == ""
    assert spoken[0].shape == spoken[1].shape
    assert 0 < np.abs(spoken[0] - spoken[1]).max() < 0.05


def test_speech_from_a_card_and_who_holds_it(
    plain: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The options, the backend and the report, all but for the card."""
    pytest.importorskip("filelock", reason="storing plans needs filelock")
    drivers = []

    def on_fake_card(options: GpuOptions) -> TrtBackend:
        backend, driver = fake_backend(options)
        drivers.append(driver)
        return backend

    voice = Path(shutil.copytree(plain, "v"))
    fill_store(voice)
    assert say(voice, "今天天气真好", "-q") == 0
    expected, _ = soundfile.read("a.wav")
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(Path("cache").absolute()))
    monkeypatch.setattr("sambert_trt.runtime.trt_backend.TrtBackend", on_fake_card)
    card = [
        "--backend",
        "tensorrt",
        "--isolation",
        "shared",
        "--memory-budget",
        "900",
        "--no-prefetch",
    ]
    assert say(voice, "今天天气真好", "-q", *card, "--on-oom", "cpu", "--memory-report") == 0
    found, _ = soundfile.read("a.wav")
    assert np.abs(found - expected).max() < 1e-4
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "TensorRT (rtx 1.7.1.116) on sm_86: isolation shared, mode on_demand"
    assert len(lines) == 2 + len(Stage) + 3
    assert " of 644 MB" in lines[-3]
    assert "this process unknown" not in lines[-2]
    assert f"opened {len(Stage)}" in lines[-1]
    (driver,) = drivers
    driver.assert_clean()


def test_a_machine_without_a_card_says_so(
    plain: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever it lacks: one sentence, and no speech from the processor that nobody asked for."""

    def nothing(*_: object) -> None:
        raise BackendError("no NVIDIA driver here")

    monkeypatch.setattr("sambert_trt.runtime.trt_backend.TrtBackend", nothing)
    for flags in ([], ["--on-oom", "smaller-chunk,cpu"]):
        assert say(plain, "你好", "--backend", "tensorrt", *flags) == 1
        assert capsys.readouterr().err == "sambert-tts: no NVIDIA driver here\n"
    assert leftovers() == []


def test_an_interrupt_is_130(
    plain: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sambert_trt.runtime.synthesizer.Synthesizer.vocode", interrupted)
    assert say(plain, "你好") == 130
    assert "nothing was left half-written" in capsys.readouterr().err
    assert leftovers() == []


def test_voices_are_listed(plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(plain, "good")
    shutil.copytree(plain, "bad")
    (Path("bad") / "styles.npz").write_bytes(b"cut")
    assert main(["voices", "."]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "bad\tbroken: " in lines[0]
    assert lines[1].startswith("good\tplain\tPinYin\t8000 Hz\t2 speakers\t")
    assert main(["voices", "good/onnx"]) == 1
    assert "holds no voice directory" in capsys.readouterr().err


def test_info_tells_what_a_voice_is(plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(plain), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["sample_rate"] == 8000
    assert facts["hop"] == 40
    assert facts["speakers"] == ["F7", "M7"]
    assert "happy" in facts["emotions"]
    assert facts["files_intact"] is True
    assert set(facts["stages"]) >= {"text_encoder", "vocoder"}
    assert main(["info", str(plain)]) == 0
    assert "sample_rate: 8000" in capsys.readouterr().out


def test_info_finds_a_changed_file(plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    voice = Path(shutil.copytree(plain, "v"))
    path = voice / "onnx/vocoder.onnx"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert main(["info", str(voice)]) == 1
    assert "it was changed or swapped" in capsys.readouterr().err


def test_a_stream_is_the_samples_of_the_file(
    plain: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Standard()
    monkeypatch.setattr(sys, "stdout", out)
    assert main(["stream", "你好。今天天气真好。", "--voice", str(plain)]) == 0
    buffer = out.buffer
    assert isinstance(buffer, io.BytesIO)
    samples = np.frombuffer(buffer.getvalue(), "<i2").astype(int)
    expected = opened(plain).say("你好。今天天气真好。").int16()
    assert samples.shape == expected.shape
    assert np.abs(samples - expected).max() <= 4


def test_raw_samples_are_kept_from_a_terminal(
    plain: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Standard(terminal=True))
    assert main(["stream", "你好", "--voice", str(plain)]) == 1
    assert "send them to a file or a player" in capsys.readouterr().err


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        (str(TTS), *arguments),
        capture_output=True,
        timeout=60,
        check=False,
        **options,  # type: ignore[call-overload]
    )


def test_the_installed_command(plain: Path) -> None:
    finished = run("say", "你好", "--voice", str(plain), "-o", "a.wav")
    assert finished.returncode == 0, finished.stderr
    assert soundfile.info("a.wav").frames > 0
    finished = run("stream", "--voice", str(plain), input="你好".encode())
    assert finished.returncode == 0, finished.stderr
    assert len(finished.stdout) > 100
    finished = run("say", "...", "--voice", str(plain))
    assert finished.returncode == 1
    assert finished.stderr.startswith(b"sambert-tts: there is nothing to speak")
    assert leftovers() == ["a.wav"]


@pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")
@pytest.mark.parametrize("command", ["say", "stream"])
def test_ctrl_c_while_speaking_a_book(plain: Path, command: str) -> None:
    Path("book.txt").write_text("今天天气真好，我们一起去公园吧。\n" * 20_000, encoding="utf-8")
    Path("a.wav").write_bytes(b"old")
    arguments = [command, "--file", "book.txt", "--voice", str(plain)]
    arguments += ["-o", "a.wav"] if command == "say" else []
    process = subprocess.Popen(
        (str(TTS), *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    if command == "say":
        wait_for(lambda: any(p.name.startswith(".a.wav-") for p in Path().iterdir()), process)
        time.sleep(0.3)
    else:
        process.stdout.read(1000)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert b"nothing was left half-written" in errors
    assert b"Traceback" not in errors
    assert leftovers() == ["a.wav", "book.txt"]
    assert Path("a.wav").read_bytes() == b"old"


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Until it holds, or the process has ended, or half a minute is over."""
    deadline = time.monotonic() + 30
    while not condition() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


@pytest.mark.skipif(os.name == "nt", reason="pipes are those of POSIX")
def test_a_player_that_is_closed_early(plain: Path) -> None:
    Path("book.txt").write_text("今天天气真好，我们一起去公园吧。\n" * 2000, encoding="utf-8")
    process = subprocess.Popen(
        (str(TTS), "stream", "--file", "book.txt", "--voice", str(plain)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(100)
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait(30) == 1
    process.stderr.close()
    assert b"Traceback" not in errors
