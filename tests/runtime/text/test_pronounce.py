"""Words, readings, sandhi and erhua."""

from __future__ import annotations

import csv
import logging
import re
from pathlib import Path

import pytest

from sambert_trt.runtime.text.pronounce import (
    Kind,
    apply_sandhi,
    cut_words,
    lexical_pinyin,
    merge_erhua,
    words_from_text,
)


def spoken(text: str) -> str:
    """The syllables after sandhi and erhua, words parted by a slash."""
    words = merge_erhua(apply_sandhi(words_from_text(text)))
    return " / ".join(" ".join(word.syllables) or word.text for word in words)


def lexical_hits(rows: list[dict[str, str]]) -> tuple[int, int]:
    """How many syllables agree with the corpus, and how many there are."""
    hits = total = 0
    for row in rows:
        expected = row["pinyin_numbered"].replace("u:", "v").split()
        found = lexical_pinyin(re.sub(r"[^\u4e00-\u9fff]", "，", row["text"]))
        total += len(expected)
        if len(found) == len(expected):
            hits += sum(a == b for a, b in zip(found, expected, strict=True))
    return hits, total


def test_readings_agree_with_the_hsk_corpus(shared: Path) -> None:
    path = shared / "corpus" / "hsk" / "metadata.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    hits, total = lexical_hits([*rows[:100], *rows[2000:2200]])
    assert total > 2000
    assert hits / total >= 0.97


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("我有一个学生", ["我", "有", "一个", "学生"]),
        ("明天去北京大学", ["明天", "去", "北京大学"]),
        ("一百二十三年", ["一百二十三", "年"]),
        ("出去玩儿", ["出去", "玩儿"]),
        ("", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert cut_words(text) == words


@pytest.mark.parametrize(
    ("text", "pinyin"),
    [
        ("重庆银行行长", "chong2 qing4 yin2 hang2 hang2 zhang3"),
        ("妈妈喜欢音乐", "ma1 ma5 xi3 huan5 yin1 yue4"),
        ("玩儿一会儿", "wan2 r5 yi1 hui4 r5"),
        ("我的女儿和儿子", "wo3 de5 nv3 er2 he2 er2 zi5"),
        ("我得走了", "wo3 dei3 zou3 le5"),
        ("跑得很快", "pao3 de5 hen3 kuai4"),
        ("头发很长", "tou2 fa5 hen3 chang2"),
        ("慢慢地走", "man4 man4 de5 zou3"),
        ("一只猫只吃鱼", "yi1 zhi1 mao1 zhi3 chi1 yu2"),
    ],
)
def test_lexical_readings(text: str, pinyin: str) -> None:
    assert " ".join(lexical_pinyin(text)) == pinyin


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("你好", "ni2 hao3"),
        ("我很好", "wo3 / hen2 / hao3"),
        ("老虎很小", "lao2 hu3 / hen2 xiao3"),
        ("你好，好人", "ni2 hao3 / ， / hao3 ren2"),
        ("一天", "yi4 tian1"),
        ("一样", "yi2 yang4"),
        ("一个", "yi2 ge5"),
        ("第一个", "di4 yi1 ge5"),
        ("统一了", "tong3 yi1 / le5"),
        ("星期一", "xing1 qi1 yi1"),
        ("看一看", "kan4 / yi5 / kan4"),
        ("不是", "bu2 shi4"),
        ("不好", "bu4 hao3"),
        ("去不去", "qu4 / bu5 / qu4"),
    ],
)
def test_sandhi(text: str, said: str) -> None:
    assert spoken(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [("花儿", "huar1"), ("一点儿", "yi4 dianr3"), ("这儿", "zher4"), ("女儿", "nv3 er2")],
)
def test_erhua(text: str, said: str) -> None:
    assert spoken(text) == said


def test_erhua_a_voice_cannot_say_stays_a_syllable() -> None:
    words = words_from_text("花儿")
    assert merge_erhua(words, {"h_c", "ua_c"})[0].syllables == ("hua1", "er5")
    assert merge_erhua(words_from_text("白儿"))[0].syllables[-1] == "er5"


@pytest.mark.parametrize("text", ["重[chong2]叠很重[zhong4]", "重[chóng]叠很重[zhòng]"])
def test_a_given_reading_wins(text: str) -> None:
    assert lexical_pinyin(text) == ["chong2", "die2", "hen3", "zhong4"]


def test_a_given_tone_knows_no_sandhi() -> None:
    assert spoken("你[ni3]好") == "ni3 hao3"
    assert lexical_pinyin("我[de5]") == ["de5"]


def test_letters_and_pauses_are_words_of_their_own() -> None:
    words = words_from_text("我用GPT，好")
    assert [(w.text, w.kind) for w in words] == [
        ("我", Kind.HANZI),
        ("用", Kind.HANZI),
        ("GPT", Kind.LATIN),
        ("，", Kind.PAUSE),
        ("好", Kind.HANZI),
    ]


def test_a_character_without_reading_is_left_out_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        words = words_from_text("我\U000323af你")
    assert [w.text for w in words] == ["我", "你"]
    assert "\U000323af" in caplog.text
