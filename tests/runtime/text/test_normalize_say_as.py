"""Text whose kind is given."""

from __future__ import annotations

import pytest

from sambert_trt.engines.errors import InputError
from sambert_trt.runtime.text.normalize import normalize_text, read_as


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("cardinal", "12345", "一万二千三百四十五"),
        ("cardinal", "-3.5", "负三点五"),
        ("number", "1234567890123", "一万二千三百四十五亿六千七百八十九万零一百二十三"),
        ("ordinal", "3", "第三"),
        ("ordinal", "第3", "第三"),
        ("digits", "2024", "二零二四"),
        ("telephone", "13812345678", "幺三八，幺二三四，五六七八"),
        ("telephone", "010-8888 6666", "零幺零，八八八八，六六六六"),
        ("telephone", "+86 10086", "加八六，幺零零八六"),
        ("date", "2024-05-01", "二零二四年五月一日"),
        ("date", "20240501", "二零二四年五月一日"),
        ("date", "2024年5月", "二零二四年五月"),
        ("date", "5/1", "五月一日"),
        ("date", "1999", "一九九九年"),
        ("time", "2:05", "两点零五分"),
        ("time", "12:30:05", "十二点三十分零五秒"),
        ("currency", "12.50", "十二点五元"),
        ("currency", "$5", "五美元"),
        ("measure", "5kg", "五千克"),
        ("measure", "2个", "两个"),
        ("score", "3-2", "三比二"),
        ("fraction", "5/1", "一分之五"),
        ("characters", "USA-1", "U S A 杠一"),
        ("spell-out", "你好a", "你好 a"),
        ("url", "http://a.cn/1", "a点cn斜杠一"),
        ("address", "中山路128号8栋1203室", "中山路一百二十八号八栋一二零三室"),
        ("name", "张3", "张三"),
        ("cardinal", "１００", "一百"),
        ("cardinal", "٤٠٥", "四百零五"),
        ("time", "８：０５", "八点零五分"),
        ("telephone", "１３８１２３４５６７８", "幺三八，幺二三四，五六七八"),
        ("fraction", "½", "二分之一"),
        (" Digits ", "7", "七"),
    ],
)
def test_a_text_of_a_kind(kind: str, text: str, said: str) -> None:
    assert normalize_text(read_as(kind, text)) == said


@pytest.mark.parametrize("kind", ["date", "time", "score", "telephone", "fraction"])
def test_what_does_not_look_like_its_kind_is_left_to_the_rules(kind: str) -> None:
    assert read_as(kind, "明天见") == "明天见"


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'dates'; the kinds are address, cardinal, .*verbatim"):
        read_as("dates", "5/1")
