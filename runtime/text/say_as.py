"""Text whose kind is given: what SSML's `say-as` asks for.

What is returned is read aloud as it stands; where a text does not look like its kind, it is
returned in its plain forms, for the rules to read. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sambert_trt.engines.errors import InputError

from .amounts import read_money, read_quantity, read_unit
from .codes import NET_SIGNS, read_address, read_phone
from .dates import read_clock, read_date
from .fold import folded
from .numerals import read_digits, read_number, read_telephone
from .patterns import NUM, counted
from .signs import SIGN_NAMES

__all__ = ["KINDS", "read_as"]

_LONGEST = 24
_NUMBER = re.compile(rf"([-−]?)({NUM})")
_DATE = re.compile(r"(\d{4})\D{1,3}(\d\d?)(?:\D{1,3}(\d\d?)\D?)?|(\d{4})(\d\d)(\d\d)")
_DAY = re.compile(r"(\d\d?)\D(\d\d?)\D?")
_TIME = re.compile(r"(\d\d?)\D(\d\d)(?:\D(\d\d))?\D?")
_QUANTITY = re.compile(rf"({NUM}) ?([^\d\s]{{1,12}})")
_SCORE = re.compile(rf"({NUM}) ?[:：比-] ?({NUM})")
_FRACTION = re.compile(r"(\d{1,12})/(\d{1,12})")
_HOUSE = re.compile(r"\d{3,}(?![\d号號弄巷米])")


def read_as(kind: str, text: str) -> str:
    """A text of a given kind in words: (`digits`, `305`) -> 三零五.

    Raises:
        InputError: there is no such kind.
    """
    reading = KINDS.get(kind.strip().lower())
    if reading is None:
        raise InputError(
            f"nothing can be said as {kind!r}; the kinds are {', '.join(sorted(KINDS))}"
        )
    return reading(folded(text))


def _cardinal(text: str) -> str:
    return _NUMBER.sub(lambda m: ("负" if m[1] else "") + read_number(m[2], _LONGEST), text)


def _ordinal(text: str) -> str:
    spoken = _cardinal(text)
    return spoken if spoken.startswith("第") or spoken == text else f"第{spoken}"


def _telephone(text: str) -> str:
    groups = re.findall(r"\d+", text)
    if not groups:
        return text
    lead = "加" if text.lstrip().startswith("+") else ""
    if len(groups) == 1:
        return lead + read_phone(groups[0])
    return lead + "，".join(map(read_telephone, groups))


def _date(text: str) -> str:
    stripped = text.strip()
    if match := _DATE.fullmatch(stripped):
        return read_date(*(part for part in match.groups() if part))
    if match := _DAY.fullmatch(stripped):
        return read_date("", match[1], match[2])
    return read_date(stripped) if re.fullmatch(r"\d{4}", stripped) else text


def _time(text: str) -> str:
    match = _TIME.fullmatch(text.strip())
    return read_clock(match[1], match[2], match[3] or "") if match else text


def _currency(text: str) -> str:
    match = re.fullmatch(NUM, text.strip())
    return read_money(match[0], "", "元") if match else text


def _measure(text: str) -> str:
    match = _QUANTITY.fullmatch(text.strip())
    if not match:
        return _cardinal(text)
    return read_quantity(counted(match[1]), read_unit(match[2]) or match[2])


def _score(text: str) -> str:
    match = _SCORE.fullmatch(text.strip())
    return f"{read_number(match[1])}比{read_number(match[2])}" if match else text


def _fraction(text: str) -> str:
    match = _FRACTION.fullmatch(text.strip())
    return f"{read_number(match[2])}分之{read_number(match[1])}" if match else text


def _characters(text: str) -> str:
    """Letters apart, digits and signs by name."""
    names = {**SIGN_NAMES, **NET_SIGNS}
    spelled = (names.get(c, f" {c} " if c.isascii() else c) for c in read_digits(text))
    return re.sub(" {2,}", " ", "".join(spelled)).strip()


def _address(text: str) -> str:
    return _HOUSE.sub(lambda m: read_digits(m[0]), text)


KINDS: dict[str, Callable[[str], str]] = {
    "cardinal": _cardinal,
    "number": _cardinal,
    "ordinal": _ordinal,
    "digits": read_digits,
    "id": read_digits,
    "telephone": _telephone,
    "phone": _telephone,
    "date": _date,
    "time": _time,
    "currency": _currency,
    "money": _currency,
    "measure": _measure,
    "unit": _measure,
    "score": _score,
    "fraction": _fraction,
    "characters": _characters,
    "spell-out": _characters,
    "verbatim": _characters,
    "url": read_address,
    "net": read_address,
    "address": _address,
    "name": read_digits,
}
"""The kinds, and how each is read."""
