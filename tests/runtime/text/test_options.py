"""How a request wants its text read."""

from __future__ import annotations

from dataclasses import fields

import pytest

from sambert_trt.engines.errors import InputError
from sambert_trt.runtime.text.options import (
    Breaks,
    English,
    ReadingKeywords,
    ReadingOptions,
    options_from_keywords,
)
from sambert_trt.runtime.text.rules import ALL_RULES
from sambert_trt.runtime.text.user_lexicon import UserLexicon


def test_keywords_and_options_have_the_same_names() -> None:
    assert list(ReadingKeywords.__annotations__) == [field.name for field in fields(ReadingOptions)]


def test_nothing_given_is_as_usual() -> None:
    assert options_from_keywords() == ReadingOptions()
    assert options_from_keywords(ssml=None, lexicon=None, rules=None) == ReadingOptions()
    assert ReadingOptions().asked == ()


def test_every_keyword_arrives() -> None:
    words, rules = UserLexicon.from_mapping({"重楼": "chong2 lou2"}), ALL_RULES - {"date"}
    options = options_from_keywords(
        ssml=False, strict=True, lexicon=words, rules=rules, breaks="words", english="chinese"
    )
    expected = ReadingOptions(False, True, words, rules, Breaks.WORDS, English.CHINESE)
    assert options == expected
    assert options.asked == tuple(ReadingKeywords.__annotations__)


def test_choices_that_there_are_not() -> None:
    with pytest.raises(InputError, match="breaks 'none': needs phrases or words"):
        options_from_keywords(breaks="none")
    with pytest.raises(InputError, match="english 'spell': needs auto or chinese"):
        options_from_keywords(english="spell")


def test_a_misspelled_keyword_is_named_with_the_known_ones() -> None:
    with pytest.raises(TypeError, match=r"unexpected keyword lexikon: .* ssml, strict, lexicon"):
        options_from_keywords(lexikon=None)  # type: ignore[call-arg]
