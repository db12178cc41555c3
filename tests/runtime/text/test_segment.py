"""Words cut out of Chinese text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sambert_trt.runtime.text.segment import cut_words, reading_parts, word_parts


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("我有一个学生", ["我", "有", "一个", "学生"]),
        ("明天去北京大学", ["明天", "去", "北京大学"]),
        ("一百二十三年", ["一百二十三", "年"]),
        ("二十一个人", ["二十一", "个人"]),
        ("千万不要去", ["千万", "不要", "去"]),
        ("出去玩儿", ["出去", "玩儿"]),
        ("研究生命的起源", ["研究", "生命", "的", "起源"]),
        ("", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert cut_words(text) == words


def test_a_window_edge_cuts_no_word() -> None:
    words = cut_words("今天北京大学" * 300)
    assert words == ["今天", "北京大学"] * 300


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("纸老虎", ("纸", "老虎")),
        ("展览馆", ("展览", "馆")),
        ("你好", ("你好",)),
        ("三百二十五", ("三百", "二十", "五")),
        ("九九八一", ("九九", "八一")),
    ],
)
def test_parts(word: str, parts: tuple[str, ...]) -> None:
    assert word_parts(word) == parts


@given(text=st.text(alphabet="一二三百万儿女个不人民北京大学银行长", max_size=40))
@settings(deadline=None, max_examples=40)
def test_nothing_is_lost(text: str) -> None:
    assert "".join(cut_words(text)) == text
    for word in cut_words(text):
        assert "".join(word_parts(word)) == word
        assert "".join(reading_parts(word)) == word
