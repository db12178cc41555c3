"""The whole front end: what it promises for any text."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sambert_trt.engines.errors import InputError
from sambert_trt.runtime.text.frontend import MandarinFrontend
from sambert_trt.runtime.text.symbols import ids_from_sentence

Units = dict[str, tuple[str, ...]]
MOST_SYMBOLS = 240

ALPHABET = "你好我很一不儿个地得了行重2024.,:-/%年月日点Ww[]chong2，。！“”\n 😀"
WRITTEN = st.one_of(
    st.text(max_size=300),
    st.text(alphabet=ALPHABET, max_size=300),
)


def test_a_sentence(units: Units) -> None:
    (sentence,) = MandarinFrontend(units).sentences("你好。")
    assert sentence.text == "你好。"
    assert [s.units for s in sentence.symbols] == [
        ("n_c", "tone2", "s_begin", "word_begin"),
        ("i_c", "tone2", "s_end", "word_middle"),
        ("h_c", "tone3", "s_begin", "word_middle"),
        ("ao_c", "tone3", "s_end", "word_end"),
        ("#4", "tone_none", "s_none", "word_none"),
    ]


def test_lexical_tones_where_sandhi_is_off(units: Units) -> None:
    (sentence,) = MandarinFrontend(units, sandhi=False).sentences("你好")
    assert sentence.symbols[0].units[1] == "tone3"


def test_the_first_sentence_needs_only_the_beginning(units: Units) -> None:
    def endless() -> Iterator[str]:
        yield "第一句。第"
        raise AssertionError("read on before the first sentence was given out")

    assert next(MandarinFrontend(units).sentences(endless())).text == "第一句。"


@pytest.mark.parametrize("text", ["", " \n\t", "，。！？……", "😀🎉", "かな"])
def test_nothing_to_say_gives_nothing(units: Units, text: str) -> None:
    assert list(MandarinFrontend(units).sentences(text)) == []


@pytest.mark.parametrize("language", ["PinYin", "pinyin", "zh-cn"])
def test_mandarin_voices_take_text(units: Units, language: str) -> None:
    assert len(list(MandarinFrontend(units, language).sentences("好"))) == 1


def test_other_languages_want_symbols(units: Units) -> None:
    with pytest.raises(InputError, match="speaks ZhHK; give it symbols"):
        MandarinFrontend(units, "ZhHK")


def test_a_byte_voice_gets_bytes(byte_units: Units) -> None:
    (sentence,) = MandarinFrontend(byte_units, "any").sentences("好a。")
    assert [s.units for s in sentence.symbols] == [(str(byte),) for byte in "好a。".encode()]
    assert list(MandarinFrontend(byte_units).sentences("……😀")) == []


def test_a_line_without_any_end_is_cut(units: Units) -> None:
    sentences = list(MandarinFrontend(units).sentences("9876543210" * 60))
    assert len(sentences) > 5
    assert all(len(s.symbols) <= MOST_SYMBOLS for s in sentences)


@settings(max_examples=250, deadline=None)
@given(WRITTEN)
def test_any_text_gives_symbols_the_voice_has(units: Units, text: str) -> None:
    for sentence in MandarinFrontend(units).sentences(text):
        rows, emotions, speakers = ids_from_sentence(sentence, units, (), ())
        assert len(rows) == len(emotions) == len(speakers) == len(sentence.symbols)
        assert 2 <= len(rows) <= MOST_SYMBOLS
        assert sentence.symbols[-1].units[0] == "#4"
        assert sentence.symbols[0].units[1] != "tone_none"


@settings(max_examples=100, deadline=None)
@given(WRITTEN)
def test_any_text_suits_a_voice_without_english_and_erhua(mandarin_units: Units, text: str) -> None:
    for sentence in MandarinFrontend(mandarin_units).sentences(text):
        ids_from_sentence(sentence, mandarin_units, (), ())


@settings(max_examples=100, deadline=None)
@given(WRITTEN)
def test_any_text_gives_bytes(byte_units: Units, text: str) -> None:
    for sentence in MandarinFrontend(byte_units).sentences(text):
        rows, _, _ = ids_from_sentence(sentence, byte_units, (), ())
        assert 0 < len(rows) <= MOST_SYMBOLS
        assert bytes(row[0] for row in rows).decode() == sentence.text


def test_reading_text_does_not_import_pypinyin() -> None:
    program = (
        "import sys\n"
        "from sambert_trt.runtime.text.normalize import normalize_text\n"
        "from sambert_trt.runtime.text.pronounce import lexical_pinyin\n"
        "before = 'cn2an' in sys.modules\n"
        "print(*lexical_pinyin(normalize_text('3个人')))\n"
        "print(before, *(name in sys.modules for name in ('cn2an', 'pypinyin')))\n"
    )
    finished = subprocess.run(
        (sys.executable, "-c", program), capture_output=True, text=True, check=True
    )
    assert finished.stdout.split("\n")[:2] == ["san1 ge5 ren2", "False True False"]
