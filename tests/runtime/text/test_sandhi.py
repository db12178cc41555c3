"""The tones of connected speech and erhua."""

from __future__ import annotations

import pytest

from sambert_trt.runtime.text.marks import Marks, Pause
from sambert_trt.runtime.text.pronounce import apply_sandhi, merge_erhua, words_from_text
from sambert_trt.runtime.text.reading import Kind, Word
from sambert_trt.runtime.text.user_lexicon import UserLexicon


def spoken(text: str) -> str:
    """The syllables after sandhi and erhua, words parted by a slash."""
    words = merge_erhua(apply_sandhi(words_from_text(text)))
    return " / ".join(" ".join(word.syllables) or word.text for word in words)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("你好", "ni2 hao3"),
        ("我很好", "wo3 / hen2 / hao3"),
        ("我也很好", "wo2 / ye3 / hen2 / hao3"),
        ("老虎很小", "lao2 hu3 / hen2 xiao3"),
        ("纸老虎", "zhi3 lao2 hu3"),
        ("展览馆", "zhan2 lan2 guan3"),
        ("五百九十九", "wu2 bai2 jiu3 shi2 jiu3"),
        ("你好，好人", "ni2 hao3 / ， / hao3 ren2"),
        ("我想买水果", "wo3 / xiang2 / mai3 / shui2 guo3"),
        ("姐姐有椅子", "jie3 jie5 / you2 / yi3 zi5"),
    ],
)
def test_third_tones(text: str, said: str) -> None:
    assert spoken(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("一天", "yi4 tian1"),
        ("一样", "yi2 yang4"),
        ("一个", "yi2 ge5"),
        ("第一个", "di4 yi1 ge5"),
        ("统一了", "tong3 yi1 / le5"),
        ("同一个", "tong2 yi2 ge5"),
        ("星期一", "xing1 qi1 yi1"),
        ("一月一日", "yi1 yue4 / yi1 ri4"),
        ("一年级", "yi1 / nian2 ji2"),
        ("看一看", "kan4 / yi5 / kan4"),
        ("三百一十一", "san1 bai3 yi4 shi2 yi1"),
        ("一百", "yi4 bai3"),
        ("二〇一一年", "er4 ling2 yi1 yi1 / nian2"),
        ("唯一", "wei2 yi1"),
        ("七八个", "qi1 ba1 ge5"),
    ],
)
def test_one(text: str, said: str) -> None:
    assert spoken(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("不是", "bu2 shi4"),
        ("不好", "bu4 hao3"),
        ("去不去", "qu4 / bu5 / qu4"),
        ("对不起", "dui4 bu5 qi3"),
        ("一不小心", "yi2 bu4 xiao3 xin1"),
        ("不一样", "bu4 / yi2 yang4"),
    ],
)
def test_not(text: str, said: str) -> None:
    assert spoken(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("故事", "gu4 shi5"),
        ("小姐", "xiao2 jie5"),
        ("走走", "zou2 zou5"),
        ("三个人", "san1 ge5 / ren2"),
        ("手里", "shou2 li5"),
        ("个人", "ge4 ren2"),
    ],
)
def test_syllables_that_are_light_in_speech_only(text: str, said: str) -> None:
    assert spoken(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("花儿", "huar1"),
        ("一点儿", "yi4 dianr3"),
        ("这儿", "zher4"),
        ("女儿", "nv3 er2"),
        ("玩儿", "wanr2"),
    ],
)
def test_erhua(text: str, said: str) -> None:
    assert spoken(text) == said


def test_erhua_a_voice_cannot_say_stays_a_syllable() -> None:
    words = words_from_text("花儿")
    assert merge_erhua(words, {"h_c", "ua_c"})[0].syllables == ("hua1", "er5")
    assert merge_erhua(words_from_text("白儿"))[0].syllables[-1] == "er5"


def test_merged_words_keep_what_is_given_in_place() -> None:
    word = Word("这儿好", Kind.HANZI, ("zhe4", "r5", "hao3"), frozenset({2}), 0, ("a", "b", "c"))
    merged = merge_erhua([word])[0]
    assert (merged.syllables, merged.given) == (("zher4", "hao3"), {1})
    assert merged.reasons == ("a", "c")


def test_a_given_tone_knows_no_sandhi() -> None:
    assert spoken("你[ni3]好") == "ni3 hao3"
    lexicon = UserLexicon.from_mapping({"你好": "ni3 hao3"})
    assert apply_sandhi(words_from_text("你好", lexicon))[0].syllables == ("ni3", "hao3")


def test_sandhi_goes_across_a_mark_and_says_why() -> None:
    words = apply_sandhi(words_from_text(f"你{Marks().add(Pause())}好"))
    assert [word.syllables for word in words] == [("ni2",), (), ("hao3",)]
    assert [word.reasons for word in words] == [("sandhi:third",), (), ("character",)]


def test_latin_words_keep_their_syllables() -> None:
    lexicon = UserLexicon.from_mapping({"OK": "ou1 kei3"})
    words = apply_sandhi(words_from_text("OK好", lexicon))
    assert [word.syllables for word in words] == [("ou1", "kei3"), ("hao3",)]


def test_words_without_reasons_stay_without() -> None:
    words = apply_sandhi([Word("你好", Kind.HANZI, ("ni3", "hao3"))])
    assert (words[0].syllables, words[0].reasons) == (("ni2", "hao3"), ())
