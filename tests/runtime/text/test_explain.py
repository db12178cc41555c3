"""Tables and records of how a sentence was read."""

from __future__ import annotations

import pytest

from sambert_trt.runtime.text.explain import (
    Row,
    display_width,
    lines_from_reading,
    plain_text,
    printable,
    record_from_reading,
    rows_from_reading,
    symbol_text,
    table_from_reading,
)
from sambert_trt.runtime.text.marks import Manner, Marks, Pause
from sambert_trt.runtime.text.options import English
from sambert_trt.runtime.text.prosody import symbols_from_words
from sambert_trt.runtime.text.reading import Kind, Normalized, Origin, Reading, Word
from sambert_trt.runtime.text.sentence import Symbol


def copied(text: str) -> tuple[Origin, ...]:
    """Origins of a text that was not changed."""
    return tuple(Origin(i, i + 1) for i in range(len(text)))


def reading(*, symbols: bool = False, warnings: tuple[str, ...] = ()) -> Reading:
    """玩儿“3”个，CPU: erhua, a quote that is silent, a digit, a pause, and letters."""
    written = "玩儿“3”个，CPU"
    origins = [*(Origin(i, i + 1) for i in (0, 1)), Origin(3, 4, "cardinal")]
    origins += [Origin(i, i + 1) for i in range(5, 10)]
    words = (
        Word("玩儿", Kind.HANZI, ("wan2", "r5"), start=0, reasons=("phrase", "rule:erhua")),
        Word("三个", Kind.HANZI, ("san1", "ge4"), start=2, reasons=("character", "character")),
        Word("，", Kind.PAUSE, start=4),
        Word("CPU", Kind.LATIN, start=5),
    )
    spoken = (
        Word("玩儿", Kind.HANZI, ("wanr2",), reasons=("phrase",)),
        Word("三个", Kind.HANZI, ("san1", "ge5"), start=2, reasons=("character", "sandhi:neutral")),
        *words[2:],
    )
    said = symbols_from_words(spoken) if symbols else ()
    return Reading(
        written, Normalized("玩儿三个，CPU", tuple(origins)), words, spoken, said, warnings
    )


def test_a_row_for_each_character_and_for_what_is_silent() -> None:
    assert rows_from_reading(reading()) == [
        Row("玩", "玩", "玩儿", "wan2", "wanr2", "phrase"),
        Row("儿", "儿", "", "r5", "↑", "rule:erhua"),
        Row("“", rule="not said"),
        Row("3", "三", "三个", "san1", "san1", "cardinal character"),
        Row("”", rule="not said"),
        Row("个", "个", "", "ge4", "ge5", "character sandhi:neutral"),
        Row("，", "，"),
        Row("CPU", "CPU", "CPU", "", "S IY1 P IY1 Y UW1", "latin:letters"),
    ]


def test_symbols_stand_with_their_characters() -> None:
    rows = rows_from_reading(reading(symbols=True))
    heard = [row.symbols for row in rows if row.rule != "not said"]
    assert heard[0] == "w_c anr_c"
    assert heard[1].startswith("#")
    assert heard[2] == "s_c an_c"
    assert heard[3] == "g_c e_c"
    assert heard[4] == "#3"
    assert heard[5].endswith(" #4")


def test_every_symbol_is_shown_once() -> None:
    explained = reading(symbols=True)
    shown = [name for row in rows_from_reading(explained) for name in row.symbols.split()]
    assert shown == [symbol.units[0] for symbol in explained.symbols]


def test_what_leaves_a_blank_is_shown_as_not_said() -> None:
    words = tuple(Word(c, Kind.HANZI, ("hao3",), start=i) for i, c in ((0, "我"), (2, "好")))
    normalized = Normalized("我 好", copied("我😀好"))
    rows = rows_from_reading(Reading("我😀好", normalized, words, words))
    assert [row.written for row in rows] == ["我", "😀", "好"]
    assert rows[1] == Row("😀", rule="not said")


def test_a_warning_without_words_stands_alone() -> None:
    silent = Reading("", Normalized("", ()), (), (), warnings=("w",))
    assert list(table_from_reading(silent)) == ["! w"]
    assert list(lines_from_reading(silent)) == ["", "  warning  w"]


@pytest.mark.parametrize(
    ("phones", "english", "spoken", "rule"),
    [
        (None, English.AUTO, "HH AH0 L OW1", "latin:lexicon"),
        (None, English.CHINESE, "ha1 lou2", "latin:chinese"),
        (("a_c",), English.AUTO, "ha1 lou2", "latin:chinese"),
    ],
)
def test_latin_words_tell_how_and_why(
    phones: tuple[str, ...] | None, english: English, spoken: str, rule: str
) -> None:
    words = (Word("hello", Kind.LATIN),)
    normalized = Normalized("hello", copied("hello"))
    (row,) = rows_from_reading(Reading("hello", normalized, words, words), phones, english)
    assert (row.spoken, row.rule) == (spoken, rule)


def test_a_slice_is_shown_where_it_begins() -> None:
    normalized = Normalized("十二", (Origin(0, 2, "cardinal"), Origin(0, 2, "cardinal")))
    words = (Word("十二", Kind.HANZI, ("shi2", "er4")),)
    rows = rows_from_reading(Reading("12", normalized, words, words))
    assert [(row.written, row.normalised) for row in rows] == [("12", "十"), ("", "二")]


def test_readings_in_brackets_and_marks_are_not_shown() -> None:
    mark = Marks().add(Pause())
    text = f"{mark}重[chóng]{mark}庆"
    words = (
        Word(mark, Kind.MARK),
        Word("重庆", Kind.HANZI, ("chong2", "qing4"), frozenset((0,)), 1, ("given", "phrase")),
    )
    origins = (Origin(0, 0), *(Origin(0, 9),) * 8, Origin(9, 9), Origin(9, 10))
    rows = rows_from_reading(Reading("重[chong2]庆", Normalized(text, origins), words, words))
    assert [(row.normalised, row.pinyin, row.rule) for row in rows] == [
        ("重", "chong2", "given"),
        ("庆", "qing4", "phrase"),
    ]
    assert plain_text(text) == "重庆"


def test_what_became_no_word_is_shown_as_left_out() -> None:
    rows = rows_from_reading(Reading("㐀", Normalized("㐀", copied("㐀")), (), ()))
    assert rows == [Row("㐀", "㐀", rule="left out")]


def test_tones_that_no_reason_explains_are_sandhi() -> None:
    lexical = (Word("你好", Kind.HANZI, ("ni3", "hao3")),)
    spoken = (Word("你好", Kind.HANZI, ("ni2", "hao3")),)
    found = Reading("你好", Normalized("你好", copied("你好")), lexical, spoken)
    assert [row.rule for row in rows_from_reading(found)] == ["sandhi", ""]


def test_the_columns_of_a_table_stand_below_each_other() -> None:
    lines = list(table_from_reading(reading(warnings=("left out: x",))))
    assert lines[-1] == "! left out: x"
    assert lines[0].split() == ["written", "normalised", "word", "pinyin", "spoken", "rule"]
    starts = {
        display_width(line[: line.index(name)])
        for line, name in zip(lines[1:3], ("wan2", "r5"), strict=True)
    }
    assert starts == {lines[0].index("pinyin")}


@pytest.mark.parametrize(
    ("text", "columns"), [("ab", 2), ("你a", 3), ("，", 2), ("e\u0301", 1), ("\u200b", 0), ("ü", 1)]
)
def test_columns_of_a_terminal(text: str, columns: int) -> None:
    assert display_width(text) == columns


def test_a_record_for_scripts() -> None:
    assert record_from_reading(reading(warnings=("w",))) == {
        "text": "玩儿“3”个，CPU",
        "normalized": "玩儿三个，CPU",
        "words": ["玩儿", "三个", "CPU"],
        "pinyin": ["wan2", "r5", "san1", "ge4"],
        "spoken": ["wanr2", "san1", "ge5"],
        "symbols": [],
        "warnings": ["w"],
    }


@pytest.mark.parametrize(
    ("symbol", "text"),
    [
        (Symbol(("a_c", "tone1")), "{a_c$tone1}"),
        (Symbol(("12",), "emotion_happy", "F7"), "{12$emotion_happy$F7}"),
        (Symbol(("a",), manner=Manner(emotion="sad")), "{a$sad}"),
        (Symbol(("a",), manner=Manner(speaker="F7")), "{a$$F7}"),
    ],
)
def test_a_symbol_as_text(symbol: Symbol, text: str) -> None:
    assert symbol_text(symbol) == text


def test_in_short() -> None:
    lines = list(lines_from_reading(reading(symbols=True, warnings=("w",))))
    assert lines[0] == "玩儿“3”个，CPU"
    assert [line.split()[0] for line in lines[1:]] == [
        "said",
        "pinyin",
        "spoken",
        "symbols",
        "warning",
    ]
    assert "w_c2 anr_c2" in lines[4]


def test_control_characters_and_surrogates_are_printable() -> None:
    assert printable("好\x07\ud800") == "好\\x07\\ud800"
