"""Symbol strings, verbatim, and their ids."""

from __future__ import annotations

import pytest

from sambert_trt.engines.errors import InputError
from sambert_trt.runtime.text.sentence import Sentence, Symbol
from sambert_trt.runtime.text.symbols import (
    LINGUISTIC_FIELDS,
    fields_from_units,
    ids_from_sentence,
    sentence_from_symbols,
    sentences_from_symbol_text,
)

LINE = (
    "{n_c$tone3$s_begin$word_begin$emotion_happy$F7} {i_c$tone3$s_end$word_end$emotion_happy$F7} "
    "{#4$tone_none$s_none$word_none$emotion_none$F7}"
)
EMOTIONS = ("emotion_none", "emotion_neutral", "emotion_happy")


def test_a_line_is_kept_verbatim() -> None:
    sentence = sentence_from_symbols(LINE, LINGUISTIC_FIELDS)
    assert sentence.symbols[0] == Symbol(
        ("n_c", "tone3", "s_begin", "word_begin"), "emotion_happy", "F7"
    )
    assert sentence.symbols[2].units == ("#4", "tone_none", "s_none", "word_none")
    assert sentence.symbols[2].emotion == "emotion_none"


def test_braces_emotion_and_speaker_are_optional_and_extra_fields_ignored() -> None:
    sentence = sentence_from_symbols("a_c$tone1$s_both$word_both {65$x$y$z$more}", ("sy",))
    assert [s.units for s in sentence.symbols] == [("a_c",), ("65",)]
    bare = sentence_from_symbols("a_c$tone1$s_both$word_both", LINGUISTIC_FIELDS).symbols[0]
    assert (bare.emotion, bare.speaker) == (None, None)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{a_c$tone1$s_both}", "3 of the 4 fields"),
        ("{a_c$tone1$s_both$word_both}  {b_c$tone1$s_both$word_both}", "two blanks"),
        ("   ", "empty"),
        ("{a_c$$s_both$word_both}", "symbol 1"),
    ],
)
def test_a_broken_line_is_an_error_that_names_it(line: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        sentence_from_symbols(line, LINGUISTIC_FIELDS)


def test_several_lines_with_and_without_ids() -> None:
    text = f"0\t{LINE}\n\n{LINE}\r\n1\t \n"
    sentences = list(sentences_from_symbol_text(text, LINGUISTIC_FIELDS))
    assert [len(s.symbols) for s in sentences] == [3, 3]
    assert sentences[0] == sentences[1]


def test_an_error_names_the_line() -> None:
    sentences = sentences_from_symbol_text(f"{LINE}\n\n{{a_c}}", LINGUISTIC_FIELDS)
    assert len(next(sentences).symbols) == 3
    with pytest.raises(InputError, match="line 3: symbol 1"):
        next(sentences)


def test_fields_keep_their_order_whatever_the_mapping_has(
    units: dict[str, tuple[str, ...]], byte_units: dict[str, tuple[str, ...]]
) -> None:
    assert list(units) != list(LINGUISTIC_FIELDS)
    assert fields_from_units(units) == LINGUISTIC_FIELDS
    assert fields_from_units(byte_units) == ("byte_index",)
    with pytest.raises(InputError, match="export it again"):
        fields_from_units({"sy": ("a_c",)})


@pytest.mark.parametrize("emotions", [EMOTIONS, ("none", "neutral", "happy")])
def test_ids_are_positions(units: dict[str, tuple[str, ...]], emotions: tuple[str, ...]) -> None:
    sentence = sentence_from_symbols(LINE, LINGUISTIC_FIELDS)
    rows, feelings, speakers = ids_from_sentence(sentence, units, emotions, ("F74", "F7"))
    assert rows == [[34, 4, 0, 0], [17, 4, 1, 1], [units["sy"].index("#4"), 1, 2, 4]]
    assert feelings == [2, 2, 0]
    assert speakers == [1, 1, 1]


def test_ids_are_none_where_the_style_decides(byte_units: dict[str, tuple[str, ...]]) -> None:
    sentence = Sentence("A", (Symbol(("65",)),))
    assert ids_from_sentence(sentence, byte_units, EMOTIONS, ("F7",)) == ([[65]], [None], [None])


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{angg_c$tone1$s_both$word_both}", "symbol 1: .* no sy 'angg_c'; nearest 'ang_c'"),
        ("{a_c$tone9$s_both$word_both}", "no tone 'tone9'"),
        ("{a_c$tone1$s_both$word_both$emotion_hapy}", "no emotion 'emotion_hapy'; nearest 'happy'"),
        ("{a_c$tone1$s_both$word_both$emotion_happy$M1}", "no speaker 'M1'"),
        ("{A_C$tone1$s_both$word_both}", "no sy 'A_C'"),
    ],
)
def test_an_unknown_name_is_an_error_that_helps(
    units: dict[str, tuple[str, ...]], line: str, says: str
) -> None:
    sentence = sentence_from_symbols(line, LINGUISTIC_FIELDS)
    with pytest.raises(InputError, match=says):
        ids_from_sentence(sentence, units, EMOTIONS, ("F7",))


def test_symbols_of_another_kind_of_voice_are_refused(
    byte_units: dict[str, tuple[str, ...]],
) -> None:
    sentence = sentence_from_symbols(LINE, LINGUISTIC_FIELDS)
    with pytest.raises(InputError, match="has 4 units, the voice's symbols have 1"):
        ids_from_sentence(sentence, byte_units, EMOTIONS, ("F7",))
