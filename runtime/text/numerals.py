"""Digits to Chinese words: dates, times, money, phone numbers, fractions, quantities.

`read_numbers` leaves no digit. Cardinals come from cn2an (0.5 MB on disk, 5 MB in memory); which
reading a number takes is decided by the patterns here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

__all__ = ["read_cardinal", "read_digits", "read_number", "read_numbers", "read_telephone"]

_DIGITS = "零一二三四五六七八九"
_LONGEST_CARDINAL = 12
_MEASURES = (
    "个|天|年|位|本|只|次|种|条|张|块|件|小时|分钟|秒|周|星期|岁|斤|公斤|千克|公里|千米|米|倍|杯|碗|瓶|名|辆|家|点|"
    "元|美元|欧元|英镑|人|口|双|把|台|座|棵|句|首|场|层|间|套|片|份|颗|支|头|匹|门|节|章|段|行|列|排|组|队|对|"
    "万|亿|千|升|吨|里|刻|趟|遍|回|架|部|封|盒|包|袋|箱|幅|轮|届|代|国|者|边|侧"
)
_CURRENCIES = {"¥": "元", "￥": "元", "$": "美元", "€": "欧元", "£": "英镑"}
_UNITS = {
    "km/h": "公里每小时",
    "m/s": "米每秒",
    "km²": "平方公里",
    "m²": "平方米",
    "m³": "立方米",
    "km": "公里",
    "cm": "厘米",
    "mm": "毫米",
    "kg": "千克",
    "mg": "毫克",
    "ml": "毫升",
    "mL": "毫升",
    "kHz": "千赫兹",
    "Hz": "赫兹",
    "kW": "千瓦",
    "m": "米",
    "g": "克",
    "t": "吨",
    "L": "升",
    "s": "秒",
    "h": "小时",
    "℃": "摄氏度",
    "°C": "摄氏度",
    "℉": "华氏度",
    "°F": "华氏度",
    "°": "度",
}
_NUMBER = r"\d+(?:\.\d+)?"
_CODES = "房间号?|编号|账号|帐号|卡号|学号|密码|验证码|邮编|尾号|QQ号?"
_LINES = "拨打|打|电话|热线|号码|致电|拨"
_OPERATORS = {"+": "加", "×": "乘", "*": "乘", "÷": "除以", "=": "等于", "<": "小于", ">": "大于"}


def read_digits(digits: str) -> str:
    """Digit by digit: `305` -> 三零五."""
    return "".join(_DIGITS[int(d)] for d in digits)


def read_telephone(digits: str) -> str:
    """Digit by digit with 幺 for one: `110` -> 幺幺零."""
    return read_digits(digits).replace("一", "幺")


def read_cardinal(digits: str) -> str:
    """As a quantity: `105` -> 一百零五; more than twelve digits or a leading 0, digit by digit."""
    if len(digits) > _LONGEST_CARDINAL or (len(digits) > 1 and digits[0] == "0"):
        return read_digits(digits)
    return _an2cn()(digits, "low")


def read_number(number: str) -> str:
    """An unsigned integer or decimal, thousands marked by commas or not: `3.14` -> 三点一四."""
    whole, *parts = number.replace(",", "").split(".")
    return "点".join([_whole(whole, bool(parts)), *map(read_digits, parts)])


def read_numbers(text: str) -> str:
    """Replaces every ASCII digit of a text, the longest pattern that fits first."""
    for pattern, reading in _rules():
        text = pattern.sub(reading, text)
    return text


def _whole(digits: str, decimal: bool) -> str:
    return read_cardinal(digits.lstrip("0") or "0") if decimal else read_cardinal(digits)


@lru_cache(maxsize=1)
def _an2cn() -> Callable[[str, str], str]:
    from cn2an import an2cn

    spoken: Callable[[str, str], str] = an2cn
    return spoken


@lru_cache(maxsize=1)
def _rules() -> tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...]:
    """The patterns in order; each works on what those before it left."""
    start, end = r"(?<![\d.])", r"(?![\d])"
    units = "|".join(re.escape(u) for u in sorted(_UNITS, key=len, reverse=True))
    rules: list[tuple[str, Callable[[re.Match[str]], str]]] = [
        (r"(?<![\d,.])\d{1,3}(?:,\d{3})+(?![\d,])", lambda m: m[0].replace(",", "")),
        (start + r"(\d{4})([-/.])(1[0-2]|0?[1-9])\2(3[01]|[12]\d|0?[1-9])" + end, _date),
        (start + r"([12]\d{3})(?=\s*年)", lambda m: read_digits(m[1])),
        (start + r"(\d{2})(?=年\d{1,2}月)", lambda m: read_digits(m[1])),
        (start + r"(0?\d|1\d|2[0-4])[:：]([0-5]\d)(?:[:：]([0-5]\d))?" + end, _time),
        (rf"({_NUMBER})\s?[:：]\s?({_NUMBER})", lambda m: f"{_n(m[1])}比{_n(m[2])}"),
        (r"(?<![\d.])(?:\+?86[- ]?)?(1[3-9]\d)[- ]?(\d{4})[- ]?(\d{4})" + end, _telephone),
        (start + r"(0\d{2,3})[- ](\d{7,8})" + end, _telephone),
        (start + r"([48]00)-?(\d{3,4})-?(\d{3,4})" + end, _telephone),
        (rf"({_LINES})([是为：: ]{{0,2}})(\d{{3,}}){end}", _after_telephone),
        (rf"({_CODES})([是为：: ]{{0,2}})(\d{{3,}}){end}", _after_code),
        (start + r"(\d{3,4})(?=室|房|路公交|路车|次列车|航班)", lambda m: read_digits(m[1])),
        (
            rf"([¥￥$€£])\s?({_NUMBER})\s?([千万亿]*)",
            lambda m: f"{_n(m[2])}{m[3]}{_CURRENCIES[m[1]]}",
        ),
        (rf"({_NUMBER})\s?[¥￥]", lambda m: f"{_n(m[1])}元"),
        (rf"({_NUMBER}[%‰]?)\s?[-~～—–至到]+\s?(?={_NUMBER})", _range_start),
        (r"(?<=[点分秒日月])\s?[-~～—–]\s?(?=[零一两二三四五六七八九十])", lambda _: "到"),
        (rf"(?<![A-Za-z\d)）])[-−–]\s?(?=[¥$]?{_NUMBER})", lambda _: "负"),
        (rf"(负?)({_NUMBER})\s?%", lambda m: f"百分之{m[1]}{_n(m[2])}"),
        (rf"(负?)({_NUMBER})\s?‰", lambda m: f"千分之{m[1]}{_n(m[2])}"),
        (start + r"(\d{1,4})/(\d{1,4})(?![\d/])", lambda m: f"{_n(m[2])}分之{_n(m[1])}"),
        (rf"({_NUMBER})\s?({units})(?![A-Za-z\d])", lambda m: f"{_quantity(m[1])}{_UNITS[m[2]]}"),
        (r"(?<=[\d\u4e00-\u9fff])\s?([+×*÷=<>])\s?(?=[-−]?\d)", lambda m: _OPERATORS[m[1]]),
        (r"(?<=[A-Za-z])-?(\d{3,})", lambda m: read_digits(m[1])),
        (rf"(?<![第\d.A-Za-z])2(?=(?:{_MEASURES}))(?!年代)", lambda _: "两"),
        (r"\d+(?:\.\d+)+|\d+", lambda m: read_number(m[0])),
    ]
    return tuple((re.compile(pattern), reading) for pattern, reading in rules)


_n = read_number


def _quantity(number: str) -> str:
    return "两" if number == "2" else read_number(number)


def _date(match: re.Match[str]) -> str:
    month, day = (read_cardinal(match[i].lstrip("0")) for i in (3, 4))
    return f"{read_digits(match[1])}年{month}月{day}日"


def _time(match: re.Match[str]) -> str:
    hour, minute, second = match[1], match[2], match[3]
    spoken = ("两" if int(hour) == 2 else read_cardinal(str(int(hour)))) + "点"
    if minute != "00" or second:
        spoken += f"{_two_digits(minute)}分"
    return spoken + (f"{_two_digits(second)}秒" if second else "")


def _two_digits(digits: str) -> str:
    value = read_cardinal(str(int(digits)))
    return f"零{value}" if digits[0] == "0" and digits != "00" else value


def _telephone(match: re.Match[str]) -> str:
    return "，".join(read_telephone(group) for group in match.groups())


def _after_telephone(match: re.Match[str]) -> str:
    return match[1] + match[2] + read_telephone(match[3])


def _after_code(match: re.Match[str]) -> str:
    return match[1] + match[2] + read_digits(match[3])


def _range_start(match: re.Match[str]) -> str:
    return f"{match[1]}到"
