"""Written text to text that can be said: what it is, where it comes from."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from sambert_trt.engines.errors import InputError
from sambert_trt.runtime.text.normalize import ALL_RULES, normalize, normalize_text, rules_without
from sambert_trt.runtime.text.reading import Origin

TABLE = Path(__file__).parent / "data" / "normalisation.tsv"
ROWS = [
    (row["written"], row["spoken"])
    for row in csv.DictReader(
        TABLE.read_text(encoding="utf-8").splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE
    )
]


@pytest.mark.parametrize(("written", "spoken"), ROWS, ids=[written for written, _ in ROWS])
def test_what_a_newsreader_would_say(written: str, spoken: str) -> None:
    assert normalize_text(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("😀你好！！！", "你好！"),
        ("繁體字", "繁體字"),
        ("，。！😀 \u200b", ""),
        ("你 \t好", "你 好"),
        ("软\u00ad连\u200b字", "软连字"),
        ("かな한글", ""),
        ("第一行\n第二行", "第一行，第二行"),
        ("Mr. Wang", "Mr Wang"),
        ("I don't know", "I dont know"),
        ("\ud800好\x00吗", "好 吗"),
    ],
)
def test_other_text_is_cleaned(written: str, spoken: str) -> None:
    assert normalize_text(written) == spoken


def test_a_given_reading_is_kept_without_its_digit() -> None:
    assert normalize_text("重[chong2]庆的[de5]") == "重[chóng]庆的[·de]"
    assert normalize_text("重[chóng]庆") == "重[chóng]庆"
    assert normalize_text("[重复](chong2 fu4)5次") == "重[chóng]复[fù]五次"
    assert normalize_text("5只[zhi1]A4纸[zhi3]3") == "五只[zhī]A四纸[zhǐ]三"


def test_a_reading_stays_with_its_character() -> None:
    assert normalize_text("$3万[wan4]") == "美元三万[wàn]"
    assert normalize_text("3万[wan4]元") == "三万[wàn]元"


def test_brackets_that_hold_no_reading_are_read_as_text() -> None:
    assert normalize_text("下载[mp3]文件") == "下载 mp三文件"
    assert normalize_text("你[ok]好") == "你 ok 好"
    assert normalize_text("去[重庆](chong2)") == "去 重庆，chong二"


def test_marks_go_through_and_part_numbers() -> None:
    one, two = "\U000f0001", "\U000f0002"
    assert normalize_text(f"{one}，有3{two}个") == f"{one}有三{two}个"
    assert normalize_text(f"好， {one} 。{two}吗") == f"好，{one}{two}吗"


def test_every_character_knows_where_it_comes_from() -> None:
    said = normalize("Ａ有25%吗")
    assert said.text == "A有百分之二十五吗"
    assert said.origins == (
        Origin(0, 1, "form"),
        Origin(1, 2),
        *[Origin(2, 5, "percent")] * 6,
        Origin(5, 6),
    )


def test_what_is_dropped_shifts_what_follows() -> None:
    said = normalize("“你”😀好[hao3]")
    assert said.text == "你 好[hǎo]"
    assert [said.origins[i] for i in (0, 1, 2)] == [
        Origin(1, 2),
        Origin(2, 4, "punctuation"),
        Origin(4, 5),
    ]
    assert {(o.start, o.end, o.rule) for o in said.origins[3:]} == {(5, 11, "reading")}


@pytest.mark.parametrize(
    ("off", "written", "spoken"),
    [
        ("date", "2024-05-01", "二零二四杠零五杠零一"),
        ("time", "8:30", "八比三十"),
        ("telephone", "13812345678", "一百三十八亿一千二百三十四万五千六百七十八"),
        ("money", "$5", "美元五"),
        ("percent", "25%", "二十五百分号"),
        ("unit", "5kg", "五kg"),
        ("range", "3-5天", "三 五天"),
        ("fraction", "3/4", "三、四"),
        ("two", "2个", "二个"),
        ("year", "2024年", "两千零二十四年"),
        ("roman", "第III章", "第III章"),
        ("roman", "第Ⅷ章", "第 VIII 章"),
        ("circled", "①打开", "一打开"),
        ("url", "baidu.com", "baidu com"),
        ("email", "a.b@c.cn", "a b艾特c点cn"),
        ("score", "3:2", "三：二"),
        ("maths", "x²", "x二"),
        ("sign", "A&B", "A B"),
        ("model", "A380", "A三百八十"),
        ("id", "编号123", "编号一百二十三"),
        ("ordinal", "1st", "一st"),
        ("negative", "是-3", "是 三"),
        ("quarter", "Q3", "Q三"),
        ("version", "v17.4.12", "v十七点四点一二"),
        ("ip", "10.0.0.1", "十点零点零点一"),
        ("about", "2、3个", "二、三个"),
        ("decade", "90后", "九十后"),
        ("flight", "CA1234", "CA一二三四"),
        ("list", "1.打开", "一。打开"),
    ],
)
def test_a_rule_that_is_off_leaves_its_text_to_the_next(
    off: str, written: str, spoken: str
) -> None:
    assert normalize_text(written, rules_without([off])) == spoken
    assert normalize_text(written) != spoken


def test_every_rule_has_a_name_of_its_own_in_the_table() -> None:
    fired = {o.rule for written, _ in ROWS for o in normalize(written).origins}
    assert ALL_RULES - fired == set()


def test_without_any_rule_numbers_are_still_said() -> None:
    assert normalize_text("2024年5月，3.5kg，①", frozenset()) == "两千零二十四年五月，三点五kg，一"


def test_an_unknown_rule_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"called dates, times; there are about, .*date"):
        rules_without(["times", "dates"])
