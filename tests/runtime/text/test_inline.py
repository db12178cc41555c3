"""The short forms of plain text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sambert_trt.engines.errors import InputError
from sambert_trt.runtime.text.inline import inline_pieces
from sambert_trt.runtime.text.marks import Manner, Mark, Marks, Pause, is_mark


def parted(text: str, marks: Marks) -> list[str | Mark]:
    """Characters, and the meanings of marks."""
    return [marks[c] if is_mark(c) else c for c in text]


def marked(text: str, marks: Marks, *, strict: bool = False) -> str:
    """A whole text with marks."""
    return "".join(inline_pieces([text], marks, strict=strict))


def read(text: str) -> list[str | Mark]:
    marks = Marks()
    return parted(marked(text, marks), marks)


@pytest.mark.parametrize(
    ("form", "seconds"),
    [
        ("[break 500ms]", 0.5),
        ("[break 1.5 s]", 1.5),
        ("[停顿 0.5s]", 0.5),
        ("[停顿0.5秒]", 0.5),
        ("[停顿 800 毫秒]", 0.8),
        ("[break 0s]", 0.0),
    ],
)
def test_pauses(form: str, seconds: float) -> None:
    assert read(f"一{form}二") == ["一", Pause("#3", seconds), "二"]


def test_emotions_nest_and_end() -> None:
    found = read("一[emotion happy]二[emotion sad 0.5]三[/emotion]四[/emotion]五")
    happy, sad = Manner(emotion="happy"), Manner(emotion="sad", intensity=0.5)
    assert found == ["一", happy, "二", sad, "三", happy, "四", Manner(), "五"]


@pytest.mark.parametrize(
    "text",
    [
        "重[chong2]庆",
        "[break]",
        "[break 5]",
        "[break500ms]",
        "[停顿]",
        "[emotion]",
        "[emotion 开心]",
        "[/break]",
        "a[b]c[",
        "[[]]",
    ],
)
def test_other_brackets_are_text(text: str) -> None:
    assert marked(text, Marks()) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[break 11s]", "break '11s': needs 0s to 10s"),
        ("[break 1.2.3s]", "break '1.2.3s': needs seconds"),
        ("[emotion sad 3]", "intensity '3': needs a number from 0 to 2"),
        ("[emotion sad 2.01]", "intensity '2.01': needs"),
    ],
)
def test_values_that_cannot_be(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        marked(text, Marks())


def test_an_intensity_of_nothing_is_one() -> None:
    assert read("[emotion sad 0]一[/emotion]") == [
        Manner(emotion="sad", intensity=0.0),
        "一",
        Manner(),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("一[/emotion]二", "[/emotion] closes nothing; leave it out"),
        ("[emotion happy]一", "[emotion happy] is never closed, it holds to the end; "),
        ("[emotion sad]一[emotion happy]二[/emotion]三", "[emotion sad] is never closed, it holds"),
    ],
)
def test_what_does_not_close_is_told_or_refused(
    text: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    marked(text, Marks())
    assert [said.startswith(message) for said in caplog.messages] == [True]
    with pytest.raises(InputError, match=re.escape(message)):
        marked(text, Marks(), strict=True)


def test_characters_of_the_marks_plane_are_dropped() -> None:
    assert read("一\U000f0000二[break 1s]") == ["一", "二", Pause("#3", 1.0)]


TEXT = "一[break 500ms]二[emotion happy]三重[chong2]庆[/emotion]四[ 五[break 1s"


@settings(deadline=None)
@given(st.lists(st.integers(1, 12), max_size=12))
def test_pieces_are_read_as_the_whole(sizes: list[int]) -> None:
    ends = [0]
    for size in sizes:
        ends.append(ends[-1] + size)
    pieces = [TEXT[a:b] for a, b in zip(ends, [*ends[1:], len(TEXT)], strict=True)]
    marks = Marks()
    assert parted("".join(inline_pieces(pieces, marks)), marks) == read(TEXT)


@pytest.mark.parametrize("blanks", [8, 9, 100])
def test_a_form_with_many_blanks_is_one_or_none_in_whatever_pieces(blanks: int) -> None:
    name, gap = "x" * 30, " " * blanks
    text = f"一[emotion{gap}{name}{gap}000001.50{gap}]二"
    cut, whole = Marks(), Marks()
    pieces = "".join(inline_pieces([text[:-2], text[-2:]], cut))
    assert parted(pieces, cut) == parted(marked(text, whole), whole)
    assert any(isinstance(part, Manner) for part in parted(pieces, cut)) is (blanks < 9)


def test_an_open_bracket_holds_up_no_more_than_a_form() -> None:
    pieces = inline_pieces(["一[" + "二" * 100, "三"], Marks())
    assert next(pieces) == "一[" + "二" * 100
