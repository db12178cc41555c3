"""Sentences from a stream."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sambert_trt.runtime.text.marks import Boundary, Manner, Marks, Pause
from sambert_trt.runtime.text.split import sentences_from_text

ENDS = [
    ("你好。再见！", ["你好。", "再见！"]),
    ("他说：“走吧。”然后走了。", ["他说：“走吧。”", "然后走了。"]),
    ("（注意安全。）下一句。", ["（注意安全。）", "下一句。"]),
    ("他（真的吗？）走了。好", ["他（真的吗？）走了。", "好"]),
    ("《你好吗？》是一本书。好", ["《你好吗？》是一本书。", "好"]),
    ('"真的?" 他问.', ['"真的?"', "他问."]),
    ("他说'don't go.' 然后走了", ["他说'don't go.'", "然后走了"]),
    ("什么？！真的！！！好", ["什么？！", "真的！！！", "好"]),
    ("第一行\n第二行\r\n\n第三行", ["第一行", "第二行", "第三行"]),
    ("第一段\u2028第二段", ["第一段", "第二段"]),
    ("一；二;三", ["一；", "二;", "三"]),
    ("", []),
    (" \n ", []),
]
ELLIPSES = [
    ("我……我不知道。你呢？", ["我……我不知道。", "你呢？"]),
    ("等等...他来了。", ["等等...他来了。"]),
    ("好吧。。。我知道了。", ["好吧。。。我知道了。"]),
    ("“可是……”他说。“走！”", ["“可是……”他说。", "“走！”"]),
    ("他走了……“真的？”", ["他走了……", "“真的？”"]),
    ("Well... I know.", ["Well...", "I know."]),
    ("真的吗……？好", ["真的吗……？", "好"]),
]
WHOLE = [
    "圆周率是3.14，约1,000个。",
    "约 .5 公斤",
    "a.b.c is fine.",
    "请看 https://example.com/a?b=c&d=1.2 这里",
    "写信到 someone@mail.example.com 去",
    "版本 v2.3.1 好",
    "Mr. Smith and Dr. Wang",
    "the U.S. Army",
    "J. K. Rowling 的书",
    "e.g. this, etc. and so on",
    "见 No. 5 和 Fig. 3",
    "AT&amp;T 公司",
    "1. 打开电源",
    "12.关上",
    "A. 选项",
    "iv. 第四",
    "（1）第一，一、第二",
]


@pytest.mark.parametrize(("text", "sentences"), [*ENDS, *ELLIPSES])
def test_ends(text: str, sentences: list[str]) -> None:
    assert list(sentences_from_text(text)) == sentences


@pytest.mark.parametrize("text", WHOLE)
def test_no_end_inside(text: str) -> None:
    assert list(sentences_from_text(text)) == [text]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("No. 他不来。", ["No.", "他不来。"]),
        ("今年是18. 他20。", ["今年是18.", "他20。"]),
        ("It ends here. Yes it does.", ["It ends here.", "Yes it does."]),
        ("1. 打开。2. 关上。", ["1. 打开。", "2. 关上。"]),
    ],
)
def test_a_point_that_ends(text: str, sentences: list[str]) -> None:
    assert list(sentences_from_text(text)) == sentences


def test_the_first_sentence_comes_before_the_rest_is_read() -> None:
    read: list[int] = []

    def book() -> Iterator[str]:
        for i in range(1000):
            read.append(i)
            yield f"这是第{i}句。"

    assert list(islice(sentences_from_text(book()), 2)) == ["这是第0句。", "这是第1句。"]
    assert len(read) == 3


@pytest.mark.parametrize("marks", [None, Marks()])
def test_a_line_comes_with_its_line_break(marks: Marks | None) -> None:
    def typed() -> Iterator[str]:
        yield "你好。\n"
        raise AssertionError("read on before the line was given out")

    assert next(sentences_from_text(typed(), marks=marks)) == "你好。"


def test_a_long_sentence_is_cut_after_a_comma() -> None:
    text = "一" * 40 + "，" + "二" * 60 + "。"
    assert list(sentences_from_text(text)) == ["一" * 40 + "，", "二" * 60 + "。"]
    assert list(sentences_from_text("一" * 40 + "，" + "二" * 40 + "。")) == [
        "一" * 40 + "，" + "二" * 40 + "。"
    ]


def test_no_comma_leaves_it_to_whoever_knows_how_it_is_said() -> None:
    assert len(list(sentences_from_text("好" * 230 + "。"))) == 1


@pytest.mark.parametrize("token", ["1234567890" * 3, "重[chong2]庆", "Donaudampfschiff"])
def test_a_cut_spares_what_is_read_as_a_whole(token: str) -> None:
    for before in range(225, 241):
        pieces = list(sentences_from_text("好" * before + token + "好" * 100))
        assert sum(token in piece for piece in pieces) == 1, before


def test_a_cut_spares_words() -> None:
    text = "今天天气真好我们去公园" * 30
    first, second = islice(sentences_from_text(text), 2)
    assert len(first) <= 240
    assert second.startswith(("今天", "天气", "真", "好", "我们", "去", "公园"))
    assert not second.startswith("天天")


def test_readings_and_marks_take_no_room() -> None:
    marks = Marks()
    character = marks.add(Manner(speed=2.0))
    text = "重[chong2]" * 88 + character * 30 + "。"
    assert list(sentences_from_text(text + "好", marks=marks)) == [text, "好"]


def test_a_boundary_ends_a_sentence_and_takes_the_marks_after_it() -> None:
    marks = Marks()
    end, pause, loud = (marks.add(m) for m in (Boundary(0.5), Pause("#3", 1.0), Manner(volume=2.0)))
    text = f"你好{end} {loud}再{pause}见。{pause}{loud} 好"
    assert list(sentences_from_text(text, marks=marks)) == [
        f"你好{end} {loud}",
        f"再{pause}见。{pause}{loud}",
        "好",
    ]


def test_without_meanings_marks_end_nothing() -> None:
    end = Marks().add(Boundary())
    assert list(sentences_from_text(f"你好{end}再见")) == [f"你好{end}再见"]


PIECES = st.lists(st.text(alphabet='你好。，！…"”.,;1a&[]（） \n、和', max_size=40), max_size=12)


@settings(max_examples=75, deadline=None)
@given(PIECES, st.integers(5, 60))
def test_nothing_is_lost_and_pieces_do_not_matter(chunks: list[str], longest: int) -> None:
    text = "".join(chunks)
    sentences = list(sentences_from_text(text, longest))
    assert "".join("".join(sentences).split()) == "".join(text.split())
    assert all(sentences)
    assert max(map(_room, sentences), default=0) <= 4 * longest
    assert sentences == list(sentences_from_text(chunks, longest))
    assert sentences == list(sentences_from_text(iter(text), longest))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["你好", "。", " ", "B", "P", "M", "，", "\n"]), max_size=60))
def test_pieces_do_not_matter_to_marks(pieces: list[str]) -> None:
    marks = Marks()
    meant = {"B": Boundary(1.0), "P": Pause(), "M": Manner(speed=2.0)}
    meant_by: dict[str, str] = {marks.add(mark): name for name, mark in meant.items()}
    signs = {name: character for character, name in meant_by.items()}
    text = "".join(signs.get(piece, piece) for piece in pieces)
    sentences = list(sentences_from_text(text, 5, marks))
    assert sentences == list(sentences_from_text(iter(text), 5, marks))
    assert "".join("".join(sentences).split()) == "".join(text.split())
    for sentence in sentences:
        ended = [i for i, c in enumerate(sentence) if c in meant_by and meant_by[c] == "B"]
        assert not ended or "你好" not in sentence[ended[0] :]


def _room(sentence: str) -> int:
    return len(re.sub(r"\[[^\[\]]{0,16}\]", "", sentence))
