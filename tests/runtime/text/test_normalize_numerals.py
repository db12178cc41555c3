"""Numbers one at a time."""

from __future__ import annotations

import pytest

from sambert_trt.runtime.text.numerals import (
    read_cardinal,
    read_digits,
    read_number,
    read_roman,
    read_telephone,
    shift_point,
)


@pytest.mark.parametrize(
    ("digits", "said"),
    [
        ("0", "零"),
        ("10", "十"),
        ("19", "十九"),
        ("20", "二十"),
        ("101", "一百零一"),
        ("110", "一百一十"),
        ("2222", "两千二百二十二"),
        ("10000", "一万"),
        ("10001", "一万零一"),
        ("10010", "一万零一十"),
        ("100000", "十万"),
        ("1000000", "一百万"),
        ("20000000", "两千万"),
        ("100000000", "一亿"),
        ("100010000", "一亿零一万"),
        ("100000001", "一亿零一"),
        ("200000000000", "两千亿"),
        ("007", "零零七"),
        ("1" * 13, "一" * 13),
    ],
)
def test_cardinals(digits: str, said: str) -> None:
    assert read_cardinal(digits) == said


def test_long_cardinals_where_asked_for() -> None:
    assert read_cardinal("1" + "0" * 12, longest=24) == "一万亿"
    assert read_cardinal("1" + "0" * 16, longest=24) == "一亿亿"


_VALUES = {name: value for value, name in enumerate("零一二三四五六七八九")} | {"两": 2}
_SCALES = {"十": 10, "百": 100, "千": 1000}


def _value(spoken: str) -> int:
    """The number back from its words, by the places they name."""
    for name, scale in (("亿", 10**8), ("万", 10**4)):
        head, found, tail = spoken.rpartition(name)
        if found:
            return _value(head) * scale + _value(tail)
    total, digit = 0, 0
    for character in spoken:
        if character in _SCALES:
            total, digit = total + (digit or 1) * _SCALES[character], 0
        else:
            digit = _VALUES[character]
    return total + digit


def test_cardinals_name_their_value() -> None:
    numbers = [*range(12000), *(n * 37 + n**3 for n in range(1, 3000)), 10**11 + 10**7]
    assert [n for n in numbers if _value(read_cardinal(str(n))) != n] == []


def test_decimals_and_thousands() -> None:
    assert read_number("1,234.50") == "一千二百三十四点五零"
    assert read_number("007.5") == "七点五"
    assert read_number("1,000,000,000,000") == "一万亿"


def test_digit_by_digit() -> None:
    assert read_digits("305X") == "三零五X"
    assert read_telephone("110") == "幺幺零"


def test_roman_numerals() -> None:
    assert [read_roman(n) for n in ("I", "iv", "XIV", "MCMXCIX")] == [
        "一",
        "四",
        "十四",
        "一千九百九十九",
    ]
    assert [read_roman(n) for n in ("", "IIII", "IC", "ABC")] == [None] * 4


def test_the_point_moves() -> None:
    assert [shift_point("3.5", 6), shift_point("0", 3), shift_point("1.2345", 3)] == [
        "3500000",
        "0",
        "1234.5",
    ]
