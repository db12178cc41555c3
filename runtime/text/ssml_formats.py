"""Dates and times whose parts stand in an order that is told: the formats of SSML's say-as.

The names are those of the W3C note "SSML 1.0 say-as attribute values". Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .dates import half_and_hour, read_clock, read_date
from .fold import folded

__all__ = ["FORMATS", "read_formatted"]

_DATES = ("ymd", "mdy", "dmy", "ym", "my", "md", "dm", "y", "m", "d")
FORMATS: Mapping[str, tuple[str, ...]] = {"date": _DATES, "time": ("hms12", "hms24")}
"""The known formats of each kind of text."""

_WIDTHS = {"y": 4, "m": 2, "d": 2}
_CLOCK = re.compile(
    r"(\d{1,2})(?:[:：.时点]?([0-5]\d)(?:[:：.分]?([0-5]\d))?)?[分秒时点]? ?(?:([ap])\.?m\.?)?",
    re.IGNORECASE,
)


def read_formatted(kind: str, form: str, text: str) -> str | None:
    """A date or time in words: (`date`, `dmy`, `6/5/2024`) -> 二零二四年五月六日.

    `form` is one of the kind's `FORMATS`; None where the text is not of it.
    """
    plain = folded(text).strip()
    return _date(form, plain) if kind == "date" else _time(form, plain)


def _date(form: str, text: str) -> str | None:
    compact = re.fullmatch("".join(f"([0-9]{{{_WIDTHS[part]}}})" for part in form), text)
    parts = compact.groups() if compact else re.findall(r"[0-9]+", text)
    if len(parts) != len(form):
        return None
    given = dict(zip(form, parts, strict=True))
    year, month, day = (given.get(letter, "") for letter in "ymd")
    if not (len(year) <= 4 and _within(month, 12) and _within(day, 31)):
        return None
    return read_date(year, month, day)


def _within(number: str, most: int) -> bool:
    return not number or (len(number) <= 2 and 1 <= int(number) <= most)


def _time(form: str, text: str) -> str | None:
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    hour, letter = match[1], match[4] or ""
    least, most = (1, 12) if form == "hms12" else (0, 24)
    if not least <= int(hour) <= most or (letter and form == "hms24"):
        return None
    half, hour = half_and_hour(hour, letter)
    return half + read_clock(hour, match[2] or "00", match[3] or "")
