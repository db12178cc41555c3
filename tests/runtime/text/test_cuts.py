"""Where long sentences are cut."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sambert_trt.runtime.text.cuts import cut_index, cut_normalized, cut_places, room
from sambert_trt.runtime.text.marks import Manner, Marks
from sambert_trt.runtime.text.reading import Normalized, Origin


def cut(text: str, longest: int = 20) -> list[str]:
    """The parts of a normalised text."""
    origins = tuple(Origin(i, i + 1) for i in range(len(text)))
    parts = list(cut_normalized(Normalized(text, origins), longest))
    assert [o for part in parts for o in part.origins] == list(origins)
    return [part.text for part in parts]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("好" * 20, ["好" * 20]),
        ("好" * 12 + "，" + "好" * 12, ["好" * 12 + "，", "好" * 12]),
        (
            "好" * 6 + "，" + "好" * 6 + "，" + "好" * 12,
            ["好" * 6 + "，" + "好" * 6 + "，", "好" * 12],
        ),
        ("好、" * 12 + "好" * 10, ["好、" * 11, "好、" + "好" * 10]),
        (
            "我们去公园跑步跑完步以后然后又去市场买菜了",
            ["我们去公园跑步跑完步以后", "然后又去市场买菜了"],
        ),
        (
            "我们去公园里面 跑步 完了以后再去市场买菜做饭",
            ["我们去公园里面 跑步 ", "完了以后再去市场买菜做饭"],
        ),
    ],
)
def test_the_best_place_and_equal_parts(text: str, parts: list[str]) -> None:
    assert cut(text, 20) == parts


def test_words_and_readings_are_whole() -> None:
    parts = cut("重[chóng]庆天安门广场" * 12)
    assert len(parts) > 4
    assert all(part.startswith(("重", "天安门", "广场")) for part in parts)


def test_english_counts_by_its_sounds_and_names_of_letters_by_theirs() -> None:
    assert cut("The quick brown fox jumps over the lazy dog") == [
        "The quick brown fox jumps over the lazy dog"
    ]
    assert all(len(part) <= 7 for part in cut("W" * 60))


def test_a_voice_without_english_phones_needs_more_room_for_what_it_spells() -> None:
    text = "beautiful birthday " * 5
    said = Normalized(text, tuple(Origin(i, i + 1) for i in range(len(text))))
    assert len(list(cut_normalized(said, 60))) == 1
    assert len(list(cut_normalized(said, 60, frozenset({"a_c"})))) > 1


def test_marks_and_readings_take_no_room() -> None:
    mark = Marks().add(Manner())
    assert list(room(f"好{mark}好[hǎo]")) == [0, 1, 1, 2, *[2] * 5]
    assert cut(f"好{mark}" * 20) == [f"好{mark}" * 20]


def test_a_token_that_fills_everything_is_cut_somewhere() -> None:
    text = "1234567890" * 5
    assert cut_index(text, room(text), 5, 20, 20) == 20
    assert list(cut_places(text, room(text), 20)) == [20, 40, 50]


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="你好和我们，、 AWa[]ǎ。的", max_size=200), st.integers(8, 60))
def test_nothing_is_lost_and_nothing_is_long(text: str, longest: int) -> None:
    parts = cut(text, longest)
    assert "".join(parts) == text
    assert all(parts) or not text
    assert all(sum(c in "你好和我们的" for c in part) <= longest for part in parts)
