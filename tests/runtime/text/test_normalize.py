"""Written text to text that can be said."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sambert_trt.runtime.text.normalize import fold_width, normalize_text, read_signs
from sambert_trt.runtime.text.numerals import read_cardinal, read_number, read_numbers

CASES = [
    ("我有3个苹果", "我有三个苹果"),
    ("共有12345人", "共有一万二千三百四十五人"),
    ("共有1,234,567元", "共有一百二十三万四千五百六十七元"),
    ("圆周率是3.14", "圆周率是三点一四"),
    ("增长了25%", "增长了百分之二十五"),
    ("下降-3.5%", "下降百分之负三点五"),
    ("气温是-5度", "气温是负五度"),
    ("气温是−5℃", "气温是负五摄氏度"),
    ("2024年5月1日", "二零二四年五月一日"),
    ("2024-05-01", "二零二四年五月一日"),
    ("2024/5/1", "二零二四年五月一日"),
    ("95年3月", "九五年三月"),
    ("3年前", "三年前"),
    ("90年代", "九十年代"),
    ("现在是8:30", "现在是八点三十分"),
    ("8:05出发", "八点零五分出发"),
    ("8：00开始", "八点开始"),
    ("12:30:45", "十二点三十分四十五秒"),
    ("8:00-9:30", "八点到九点三十分"),
    ("电话13812345678", "电话幺三八，幺二三四，五六七八"),
    ("拨打010-12345678", "拨打零幺零，幺二三四五六七八"),
    ("拨打110", "拨打幺幺零"),
    ("验证码是4071", "验证码是四零七一"),
    ("分数是3/4", "分数是四分之三"),
    ("价格¥12.5", "价格十二点五元"),
    ("赚了$3万", "赚了三万美元"),
    ("第2名", "第二名"),
    ("2个人2点来", "两个人两点来"),
    ("2月2日", "二月二日"),
    ("２０２４年", "二零二四年"),
    ("比分3:2", "比分三比二"),
    ("5~10天", "五到十天"),
    ("10kg", "十千克"),
    ("面积50m²", "面积五十平方米"),
    ("3+2=5", "三加二等于五"),
    ("编号007", "编号零零七"),
    ("房间305室", "房间三零五室"),
    ("①和½", "一 和 二分之一"),
    ("٣人", "三人"),
]


@pytest.mark.parametrize(("written", "said"), CASES)
def test_numbers_are_read(written: str, said: str) -> None:
    assert normalize_text(written) == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("😀你好！！！", "你好！"),
        ("他说：“好。”", "他说：好。"),
        ("Hello, world.", "Hello，world。"),
        ("ＡＢＣ café", "ABC cafe"),
        ("繁體字", "繁體字"),
        ("A&B", "A和B"),
        ("，。！😀 \u200b", ""),
        ("你 \t好", "你 好"),
        ("等等......好", "等等…好"),
        ("かな한글", ""),
    ],
)
def test_other_text_is_cleaned(written: str, said: str) -> None:
    assert normalize_text(written) == said


def test_a_given_reading_is_kept_without_its_digit() -> None:
    assert normalize_text("重[chong2]庆的[de5]") == "重[chóng]庆的[·de]"
    assert normalize_text("重[chóng]庆") == "重[chóng]庆"


def test_brackets_that_hold_no_reading_are_read_as_text() -> None:
    assert normalize_text("下载[mp3]文件") == "下载 mp三 文件"
    assert normalize_text("你[ok]好") == "你 ok 好"


@pytest.mark.parametrize(
    ("digits", "said"),
    [
        ("0", "零"),
        ("105", "一百零五"),
        ("100000000", "一亿"),
        ("007", "零零七"),
        ("1" * 13, "一" * 13),
    ],
)
def test_cardinals(digits: str, said: str) -> None:
    assert read_cardinal(digits) == said


def test_each_step_stands_alone() -> None:
    assert fold_width("Ａ１①") == "A1 1 "
    assert read_number("1,234.50") == "一千二百三十四点五零"
    assert read_signs("a.b, c.") == "a.b， c。"


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123456789.,:-/%~+=¥$ 年月日点个第拨打至a[]", max_size=40))
def test_no_ascii_digit_survives_reading(text: str) -> None:
    assert not any(c in "0123456789" for c in read_numbers(text))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=120))
def test_normal_text_is_digit_free_and_normal(text: str) -> None:
    said = normalize_text(text)
    assert not any(c.isdigit() for c in said)
    assert normalize_text(said) == said
