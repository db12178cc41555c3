"""sambert-tts text as a user calls it, and how say and stream read text."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile

from sambert_trt.engines.voice import manifest_from_directory
from sambert_trt.runtime.cli import main
from sambert_trt.runtime.text.symbols import (
    fields_from_units,
    ids_from_sentence,
    sentence_from_symbols,
)

KEYS = ["text", "normalized", "words", "pinyin", "spoken", "symbols", "warnings"]
LINE = "{h_c$tone3$s_begin$word_begin$emotion_neutral$F7} {#4$tone_none$s_none$word_none$none$F7}"


@pytest.fixture
def plain(tiny_voice: Callable[[str], Path]) -> Path:
    """The directory of the plain tiny voice."""
    return tiny_voice("plain")


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files land in the test's own folder."""
    monkeypatch.chdir(tmp_path)


def records(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    """What `text --json` prints."""
    assert main(["text", "--json", *arguments]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def failure(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line on standard error of a command that fails."""
    assert main(list(arguments)) == 1
    printed = capsys.readouterr()
    lines = [line for line in printed.err.splitlines() if line.startswith("sambert-tts: ")]
    assert len(lines) == 1
    return lines[0]


def test_one_object_for_each_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = records(capsys, "你好，我们去玩儿。3个人")
    assert list(first) == KEYS
    assert first["text"] == "你好，我们去玩儿。"
    assert first["pinyin"] == ["ni3", "hao3", "wo3", "men5", "qu4", "wan2", "r5"]
    assert first["spoken"] == ["ni2", "hao3", "wo3", "men5", "qu4", "wanr2"]
    assert first["symbols"] == first["warnings"] == []
    assert "".join(first["words"]) == "你好我们去玩儿"
    assert (second["text"], second["normalized"]) == ("3个人", "三个人")


def test_symbols_are_those_the_voice_speaks(
    plain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (record,) = records(capsys, "你好", "--voice", str(plain))
    manifest = manifest_from_directory(plain)
    sentence = sentence_from_symbols(" ".join(record["symbols"]), fields_from_units(manifest.units))
    rows, _, _ = ids_from_sentence(sentence, manifest.units, (), ())
    assert len(rows) == len(record["symbols"]) == 5


def test_a_file_and_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("in.txt").write_text("\ufeff你好。\n再见。\n", encoding="utf-8")
    from_file = records(capsys, "--file", "in.txt")
    assert [record["text"] for record in from_file] == ["你好。", "再见。"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("你好。\n再见。".encode())))
    assert records(capsys) == from_file


def test_a_table_that_fits_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["text", "3个人，你好", "--explain"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:5] == ["written", "normalised", "word", "pinyin", "spoken"]
    assert lines[1].split()[:5] == ["3", "三", "三个", "san1", "san1"]
    assert len([line for line in lines if line]) == 7


def test_in_short(plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["text", "3本书", "--voice", str(plain)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["3本书", "  said     三本书", "  pinyin   san1 ben3 shu1"]
    assert lines[3].startswith("  symbols  s_c1 an_c1")


def test_what_is_left_out_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = records(capsys, "你好😀。かな。")
    assert first["warnings"] == ["'😀' is not spoken"]
    assert second["pinyin"] == []
    assert "'かな'" in second["warnings"][0]


@pytest.mark.parametrize("text", ["", " \n", "，。！", "😀", "かな"])
def test_nothing_to_read_is_an_error(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nothing to read" in failure(capsys, "text", text)


WRONG = [
    (["你好", "--without", "dates"], "dates"),
    (["你好", "--lexicon", "none.txt"], "none.txt"),
    (["你好", "--file", "x"], "give one of TEXT"),
    (["--file", "none.txt"], "none.txt cannot be read"),
    (["--file", ""], "the name of the file is empty"),
    (["--file", "latin1.txt"], "is not UTF-8"),
    (["你好", "--voice", ""], "--voice is empty"),
    (["<speak>你好", "--ssml"], "line 1"),
    (["<speak><nix>你好</nix></speak>", "--strict"], "nix"),
    (["你好", "--front-end", "ttsfrd"], "--voice DIR"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_wrong_requests(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("latin1.txt").write_bytes(b"\xe4\xff")
    assert message in failure(capsys, "text", *arguments)


def test_a_users_lexicon_and_rules_switched_off(capsys: pytest.CaptureFixture[str]) -> None:
    Path("words.txt").write_text("重楼 chong2 lou2\n", encoding="utf-8")
    (record,) = records(capsys, "重楼", "--lexicon", "words.txt")
    assert record["pinyin"] == ["chong2", "lou2"]
    (plain,) = records(capsys, "2024-05-06")
    (changed,) = records(capsys, "2024-05-06", "--without", "date")
    assert "年" in plain["normalized"]
    assert "年" not in changed["normalized"]


def test_breaks_and_english(plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["我们的iPhone在公园里的长椅上充电", "--voice", str(plain)]
    options = ["--breaks", "words", "--english", "chinese"]
    (usual,), (changed,) = records(capsys, *asked), records(capsys, *asked, *options)
    assert (usual["pinyin"], usual["words"]) == (changed["pinyin"], changed["words"])
    assert any(symbol.startswith("{#2$") for symbol in usual["symbols"])
    assert not any(symbol.startswith("{#2$") for symbol in changed["symbols"])
    assert any(symbol.startswith("{ay$") for symbol in usual["symbols"])
    assert not any(symbol.startswith("{ay$") for symbol in changed["symbols"])
    assert main(["text", *asked, *options, "--explain"]) == 0
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("iPhone")]
    assert row.endswith("ga ai_c f_c eng_c #1")


def test_ssml_where_it_is_asked_for_or_recognised(capsys: pytest.CaptureFixture[str]) -> None:
    text = '<speak>你好<break time="1s"/>再见</speak>'
    for arguments in ([text], [text, "--ssml"]):
        assert "".join(r["text"] for r in records(capsys, *arguments)) == "你好再见"
    (record,) = records(capsys, text, "--no-ssml")
    assert "speak" in record["normalized"]


def test_lone_surrogates_and_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    (record,) = records(capsys, "你\udce4好\x00\x07\U000f0001")
    assert record["pinyin"] == ["ni3", "hao3"]


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("你好，第一句话。" * 20000, encoding="utf-8")
    program = "from sambert_trt.runtime.cli import command; command()"
    with subprocess.Popen(
        (sys.executable, "-c", program, "text", "--file", "long.txt"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


@pytest.mark.parametrize(
    ("stream", "arguments"),
    [
        ("stdin", ["text", "--file", "-"]),
        ("stdin", ["say", "--voice", "VOICE"]),
        ("stdout", ["text", "你好"]),
        ("stdout", ["stream", "你好", "--voice", "VOICE"]),
    ],
)
def test_standard_streams_that_are_closed(
    stream: str, arguments: list[str], plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = io.StringIO()
    monkeypatch.setattr(sys, stream, None)
    monkeypatch.setattr(sys, "stderr", said)
    assert main([str(plain) if word == "VOICE" else word for word in arguments]) == 1
    known = {"stdin": "standard input is closed", "stdout": "standard output is closed"}
    assert said.getvalue().startswith(f"sambert-tts: {known[stream]}")


def test_say_reads_as_text_does(plain: Path) -> None:
    Path("words.txt").write_text("重楼 chong2 lou2\n", encoding="utf-8")
    say = ["say", "--voice", str(plain), "-q", "-o"]
    assert main([*say, "a.wav", "重楼", "--lexicon", "words.txt"]) == 0
    assert main([*say, "b.wav", "重[chong2]楼[lou2]"]) == 0
    assert main([*say, "c.wav", "重楼"]) == 0
    first, second, third = (soundfile.read(f"{name}.wav")[0] for name in "abc")
    assert np.array_equal(first, second)
    assert not np.array_equal(first, third)


@pytest.mark.parametrize(
    "option",
    [
        ["--without", "date"],
        ["--ssml"],
        ["--breaks", "words"],
        ["--english", "chinese"],
        ["--front-end", "ttsfrd"],
    ],
)
def test_symbols_are_spoken_as_they_are(
    plain: Path, option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("symbols.txt").write_text(LINE, encoding="utf-8")
    message = failure(capsys, "say", "--voice", str(plain), "--symbols", "symbols.txt", *option)
    assert "are about text" in message


class Engine:
    """A stand-in for ttsfrd."""

    def initialize(self, resource: str) -> bool:
        """Takes any folder."""
        return bool(resource)

    def set_lang_type(self, language: str) -> None:
        """Takes any language."""

    def gen_tacotron_symbols(self, text: str) -> str:
        """The same line for any text."""
        return f"0\t{LINE}\n" if text else ""


def test_ttsfrd_where_it_is_installed(
    plain: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("ttsfrd")
    vars(module)["TtsFrontendEngine"] = Engine
    monkeypatch.setitem(sys.modules, "ttsfrd", module)
    asked = ["--voice", str(plain), "--front-end", "ttsfrd"]
    assert "--ttsfrd-resource DIR" in failure(capsys, "text", "你好", *asked)
    asked += ["--ttsfrd-resource", "."]
    (record,) = records(capsys, "你好", *asked)
    assert record["symbols"] == [
        "{h_c$tone3$s_begin$word_begin}",
        "{#4$tone_none$s_none$word_none}",
    ]
    assert main(["say", "你好", "-q", *asked]) == 0
    assert soundfile.info("out.wav").frames > 0
    assert "open front end" in failure(capsys, "text", "你好", "--without", "date", *asked)
