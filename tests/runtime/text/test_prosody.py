"""Words to symbols."""

from __future__ import annotations

import pytest

from sambert_trt.runtime.text.pronounce import Kind, Word, words_from_text
from sambert_trt.runtime.text.prosody import (
    LETTERS,
    letter_phones,
    speaks_letters,
    symbols_from_words,
)


def lines(words: list[Word]) -> list[str]:
    """The units of each symbol, joined."""
    return ["$".join(symbol.units) for symbol in symbols_from_words(words)]


def test_a_word_and_its_breaks() -> None:
    assert lines(words_from_text("北京，好")) == [
        "b_c$tone3$s_begin$word_begin",
        "ei_c$tone3$s_end$word_middle",
        "j_c$tone1$s_begin$word_middle",
        "ing_c$tone1$s_end$word_end",
        "#3$tone_none$s_none$word_none",
        "h_c$tone3$s_begin$word_begin",
        "ao_c$tone3$s_end$word_end",
        "#4$tone_none$s_none$word_none",
    ]


def test_breaks_at_words_pauses_and_the_end() -> None:
    breaks = [
        line[:2] for line in lines(words_from_text("，，我们走、好，。")) if line.startswith("#")
    ]
    assert breaks == ["#1", "#3", "#4"]


def test_style_is_left_open() -> None:
    symbols = symbols_from_words(words_from_text("好"))
    assert {(s.emotion, s.speaker) for s in symbols} == {(None, None)}


def test_letters_are_spelled() -> None:
    assert lines([Word("AW", Kind.LATIN)]) == [
        "ey$tone1$s_both$word_begin",
        "d$tone1$s_begin$word_middle",
        "ah$tone1$s_end$word_middle",
        "b$tone0$s_begin$word_middle",
        "ah$tone0$s_middle$word_middle",
        "l$tone0$s_end$word_middle",
        "y$tone0$s_begin$word_middle",
        "uw$tone0$s_end$word_end",
        "#4$tone_none$s_none$word_none",
    ]
    assert lines([Word("e", Kind.LATIN)])[0] == "iy$tone1$s_both$word_both"


def test_every_letter_has_a_name_the_stock_voice_can_say(
    units: dict[str, tuple[str, ...]],
) -> None:
    assert "".join(sorted(LETTERS)) == "abcdefghijklmnopqrstuvwxyz"
    for letter in LETTERS:
        for phones, tone in letter_phones(letter):
            assert set(phones) <= set(units["sy"])
            assert tone in units["tone"]
    assert speaks_letters(units["sy"])


def test_letters_a_voice_cannot_say_are_left_out_with_a_warning(
    mandarin_units: dict[str, tuple[str, ...]], caplog: pytest.LogCaptureFixture
) -> None:
    symbols = symbols_from_words(words_from_text("好GPT"), mandarin_units["sy"])
    assert [s.units[0] for s in symbols] == ["h_c", "ao_c", "#4"]
    assert "'GPT'" in caplog.text


@pytest.mark.parametrize("text", ["", "，。！"])
def test_nothing_to_say_gives_nothing(text: str) -> None:
    assert symbols_from_words(words_from_text(text)) == ()
