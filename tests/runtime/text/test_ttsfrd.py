"""The closed front end behind a stand-in: its output is accepted, its absence is said."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from sambert_trt.engines.errors import InputError
from sambert_trt.runtime.text.symbols import ids_from_sentence
from sambert_trt.runtime.text.ttsfrd import TtsfrdFrontend, open_ttsfrd

Units = dict[str, tuple[str, ...]]
SYMBOLS = (
    "{h_c$tone3$s_begin$word_begin$emotion_neutral$F7} "
    "{ao_c$tone3$s_end$word_end$emotion_neutral$F7} "
    "{#4$tone_none$s_none$word_none$emotion_none$F7}"
)


class Engine:
    """Writes the same symbols for whatever it gets."""

    def __init__(self, output: str = f"0\t{SYMBOLS}\n") -> None:
        self.output, self.read, self.resource, self.language = output, list[str](), "", ""

    def initialize(self, resource: str) -> bool:
        """Takes any folder but one called broken."""
        self.resource = resource
        return Path(resource).name != "broken"

    def set_lang_type(self, language: str) -> None:
        """Keeps the language."""
        self.language = language

    def gen_tacotron_symbols(self, text: str) -> str:
        """The same lines for any text."""
        self.read.append(text)
        return self.output


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An installed ttsfrd."""
    made, module = Engine(), ModuleType("ttsfrd")
    vars(module)["TtsFrontendEngine"] = lambda: made
    monkeypatch.setitem(sys.modules, "ttsfrd", module)
    return made


def test_its_symbols_are_the_voices(engine: Engine, units: Units, tmp_path: Path) -> None:
    frontend = TtsfrdFrontend(units, open_ttsfrd(tmp_path, "PinYin"))
    (sentence,) = frontend.sentences("好。")
    assert (engine.resource, engine.language) == (str(tmp_path), "pinyin")
    assert sentence.text == "好。"
    rows, emotions, speakers = ids_from_sentence(sentence, units, (), ())
    assert len(rows) == 3
    assert {*emotions, *speakers} == {None}


def test_emotions_and_speakers_that_mean_something_are_kept(units: Units) -> None:
    line = SYMBOLS.replace("emotion_neutral$F7", "emotion_happy$M1", 1)
    (sentence,) = TtsfrdFrontend(units, Engine(f"0\t{line}")).sentences("好")
    assert (sentence.symbols[0].emotion, sentence.symbols[0].speaker) == ("emotion_happy", "M1")
    assert (sentence.symbols[1].emotion, sentence.symbols[1].speaker) == (None, None)


def test_one_line_is_one_sentence_and_blank_lines_are_none(units: Units) -> None:
    engine = Engine(f"0\t{SYMBOLS}\n\n1\t{SYMBOLS}\n2\t\n")
    assert len(list(TtsfrdFrontend(units, engine).sentences("好"))) == 2


def test_text_goes_in_by_sentences_and_ssml_as_a_whole(units: Units) -> None:
    engine = Engine()
    assert len(list(TtsfrdFrontend(units, engine).sentences(["你好。再", "见。"]))) == 2
    assert engine.read == ["你好。", "再见。"]
    engine.read.clear()
    assert len(list(TtsfrdFrontend(units, engine).sentences(["<speak>你。", "好。</speak>"]))) == 1
    assert engine.read == ["<speak>你。好。</speak>"]
    assert list(TtsfrdFrontend(units, engine).sentences("")) == []


def test_what_is_no_symbol_is_an_error(units: Units) -> None:
    with pytest.raises(InputError, match="ttsfrd read '好' as no symbols"):
        list(TtsfrdFrontend(units, Engine("0\tnonsense")).sentences("好"))


def test_it_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ttsfrd", None)
    with pytest.raises(InputError, match="leave --front-end out"):
        open_ttsfrd(tmp_path, "PinYin")


@pytest.mark.usefixtures("engine")
def test_its_resources_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unpacked resource\.zip"):
        open_ttsfrd(tmp_path / "nowhere", "PinYin")
    (tmp_path / "broken").mkdir()
    with pytest.raises(InputError, match="does not take the resources"):
        open_ttsfrd(tmp_path / "broken", "PinYin")
