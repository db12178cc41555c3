"""Sentences from a stream."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sambert_trt.runtime.text.split import cut_sentence, sentences_from_text


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("你好。再见！", ["你好。", "再见！"]),
        ("他说：“走吧。”然后走了。", ["他说：“走吧。”", "然后走了。"]),
        ('"真的?" 他问.', ['"真的?"', "他问."]),
        ("圆周率是3.14，约1,000个。", ["圆周率是3.14，约1,000个。"]),
        ("什么？！真的……好", ["什么？！", "真的……", "好"]),
        ("第一行\n第二行\r\n\n第三行", ["第一行", "第二行", "第三行"]),
        ("a.b.c is fine. Yes", ["a.b.c is fine.", "Yes"]),
        ("一；二;三", ["一；", "二;", "三"]),
        ("", []),
        (" \n ", []),
    ],
)
def test_ends(text: str, sentences: list[str]) -> None:
    assert list(sentences_from_text(text)) == sentences
    assert list(sentences_from_text(iter(text))) == sentences


def test_the_first_sentence_comes_before_the_rest_is_read() -> None:
    read: list[int] = []

    def book() -> Iterator[str]:
        for i in range(1000):
            read.append(i)
            yield f"这是第{i}句。"

    assert list(islice(sentences_from_text(book()), 2)) == ["这是第0句。", "这是第1句。"]
    assert len(read) == 3


def test_a_long_sentence_is_cut_at_a_comma() -> None:
    pieces = list(sentences_from_text("一" * 40 + "，" + "二" * 40 + "。"))
    assert pieces == ["一" * 40 + "，", "二" * 40 + "。"]


def test_a_cut_spares_numbers_and_given_readings() -> None:
    number = "一" * 55 + "1234567890。"
    assert list(sentences_from_text(number)) == ["一" * 55, "1234567890。"]
    reading = "一" * 56 + "重[chong2]庆。"
    assert list(sentences_from_text(reading)) == ["一" * 56, "重[chong2]庆。"]


def test_letters_weigh_more_in_normal_text() -> None:
    assert [len(p) for p in cut_sentence("A" * 60)] == [30, 30]
    assert [len(p) for p in cut_sentence("一" * 61)] == [60, 1]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text(alphabet='你好。，！…"”.,1a[] \n', max_size=30), max_size=12),
    st.integers(5, 60),
)
def test_nothing_is_lost_and_nothing_is_long(chunks: list[str], longest: int) -> None:
    text = "".join(chunks)
    pieces = list(sentences_from_text(chunks, longest))
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(0 < len(piece) <= longest for piece in pieces)
    assert pieces == list(sentences_from_text(text, longest))
    cut = [part for piece in pieces for part in cut_sentence(piece, longest)]
    assert "".join("".join(cut).split()) == "".join(text.split())
