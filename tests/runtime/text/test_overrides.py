"""Readings in brackets."""

from __future__ import annotations

import logging

import pytest

from sambert_trt.runtime.text.overrides import mark_overrides, numbered_syllable, split_overrides


@pytest.mark.parametrize(
    ("written", "numbered"),
    [
        ("chong2", "chong2"),
        ("chóng", "chong2"),
        ("CHONG2", "chong2"),
        ("lü4", "lv4"),
        ("lu:4", "lv4"),
        ("lǜ", "lv4"),
        ("·de", "de5"),
        ("de5", "de5"),
        ("hao6", "hao2"),
        ("de", None),
        ("xyz1", None),
        ("hao9", None),
        ("", None),
    ],
)
def test_syllables(written: str, numbered: str | None) -> None:
    assert numbered_syllable(written) == numbered


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("重[chong2]庆", "重[chóng]庆"),
        ("我[de5]", "我[·de]"),
        ("[重庆](chong2 qing4)", "重[chóng]庆[qìng]"),
        ("[重庆](chóng qìng)", "重[chóng]庆[qìng]"),
        ("[重庆](chong2)", "[重庆](chong2)"),
        ("[重庆](http)", "[重庆](http)"),
    ],
)
def test_readings_are_marked(text: str, marked: str) -> None:
    assert mark_overrides(text) == marked
    assert mark_overrides(marked) == marked


def test_what_is_no_syllable_loses_its_brackets_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        assert mark_overrides("重[qong2]庆") == "重 qong2 庆"
    assert "qong2" in caplog.text


def test_readings_are_taken_out_of_the_text() -> None:
    found = split_overrides("去重[chong2]庆[x]了[·le]")
    assert found.text == "去重庆[x]了"
    assert found.given == {1: "chong2", 6: "le5"}
    assert list(found.places) == [0, 1, 10, 11, 12, 13, 14]
