"""Digits to Chinese words: cardinals, decimals, digit by digit, telephone, Roman.

Functions of one number each; which of them a number takes is decided by the rules. Standard
library only.
"""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = [
    "read_cardinal",
    "read_digits",
    "read_number",
    "read_roman",
    "read_telephone",
    "shift_point",
]

_DIGITS = "零一二三四五六七八九"
_PLACES = ("千", "百", "十", "")
_LONGEST_CARDINAL = 12
_LONGEST_COUNT = 24
_SPOKEN_DIGITS = str.maketrans("0123456789", _DIGITS)
_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_ROMAN_FORM = re.compile(r"M{0,3}(?:C[MD]|D?C{0,3})(?:X[CL]|L?X{0,3})(?:I[XV]|V?I{0,3})")


def read_digits(digits: str) -> str:
    """Digit by digit: `305` -> 三零五; what is no digit stays."""
    return digits.translate(_SPOKEN_DIGITS)


def read_telephone(digits: str) -> str:
    """Digit by digit with 幺 for one: `110` -> 幺幺零."""
    return read_digits(digits).replace("一", "幺")


@lru_cache(maxsize=4096)
def read_cardinal(digits: str, longest: int = _LONGEST_CARDINAL) -> str:
    """As a quantity: `105` -> 一百零五, `2000` -> 两千.

    More than `longest` digits, or a leading 0, are read digit by digit.
    """
    if len(digits) > longest or (len(digits) > 1 and digits[0] == "0"):
        return read_digits(digits)
    spoken = _whole(digits) or "零"
    if spoken.startswith("一十"):
        return spoken[1:]
    leads = spoken.startswith("二") and spoken[1:2] in ("千", "万", "亿")
    return "两" + spoken[1:] if leads else spoken


def read_number(number: str, longest: int = _LONGEST_CARDINAL) -> str:
    """An unsigned integer or decimal: `3.14` -> 三点一四; commas mark thousands: `1,234`."""
    whole, *parts = number.replace(",", "").split(".")
    if "," in number:
        longest = _LONGEST_COUNT
    if parts:
        whole = whole.lstrip("0") or "0"
    return "点".join([read_cardinal(whole, longest), *map(read_digits, parts)])


def read_roman(numeral: str) -> str | None:
    """A Roman numeral in its usual form: `XIV` -> 十四; None where it is none."""
    capitals = numeral.upper()
    if not capitals or not _ROMAN_FORM.fullmatch(capitals):
        return None
    values = [_ROMAN[letter] for letter in capitals]
    following = [*values[1:], 0]
    total = sum(v if v >= n else -v for v, n in zip(values, following, strict=True))
    return read_cardinal(str(total))


def shift_point(number: str, places: int) -> str:
    """A decimal times a power of ten, without exponent: `3.5` by 6 -> `3500000`."""
    whole, _, fraction = number.replace(",", "").partition(".")
    moved = fraction.ljust(places, "0")
    rest = moved[places:].rstrip("0")
    return ((whole + moved[:places]).lstrip("0") or "0") + (f".{rest}" if rest else "")


def _whole(digits: str) -> str:
    """Of any length, by 亿 and 万; a gap of places is one 零; nothing for zero."""
    for places, name in ((8, "亿"), (4, "万")):
        if len(digits) > places:
            high, low = _whole(digits[:-places]), _whole(digits[-places:])
            gap = "零" if high and low and digits[-places] == "0" else ""
            return (high + name if high else "") + gap + low
    return _section(digits)


def _section(digits: str) -> str:
    """Up to four digits, without the zeros at either end."""
    places = zip(digits, _PLACES[-len(digits) :], strict=True)
    spoken = "".join(_DIGITS[int(d)] + place if d != "0" else "零" for d, place in places)
    return re.sub("零+", "零", spoken).strip("零")
