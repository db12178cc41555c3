"""What the rules of normalisation are made of.

A rule is tried where a number, a word of Latin letters or a sign begins. Repetition inside a
pattern is bounded, so that a text of any shape takes time in proportion to its length. Standard
library only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from .numerals import read_cardinal, read_digits, read_number
from .units import MEASURE

__all__ = [
    "BRACKETED",
    "NUM",
    "SEP",
    "Edit",
    "Rule",
    "Start",
    "after",
    "before",
    "behind",
    "cardinal",
    "counted",
    "digits",
    "followed",
    "preceded",
    "saying",
]

Edit = tuple[int, int, str, str]
"""A slice of a text (start, end), what is said for it, and the rule that says so."""

BRACKETED = "\U0010fffd"
"""Stands for a reading in brackets while the text around it is read."""

NUM = r"(?:\d{1,3}(?:,\d{3}){1,6}(?!,?\d)|\d{1,24})(?:\.\d{1,20})?(?!\.?\d)"
"""A whole number or decimal, thousands marked by commas or not."""

SEP = r" ?[-~—] ?"
"""What stands between the ends of a range."""

_COUNTED = re.compile(rf" ?{MEASURE}")


class Start(Enum):
    """What a rule's text begins with.

    Open are a number and a word of Latin letters behind which stands more than Chinese
    characters, a pause or the end: most rules need that, and need not be tried otherwise.
    """

    DIGIT = "digit"
    OPEN_DIGIT = "open digit"
    LETTER = "letter"
    OPEN_LETTER = "open letter"
    SIGN = "sign"


@dataclass(frozen=True)
class Rule:
    """One way to read something.

    Attributes:
        name: by which it is switched off; several rules may share one.
        starts: kinds of beginnings, the signs it may begin with, and `followed(…)`.
        pattern: of a text that begins as `starts` says.
        reading: what is said, None where this rule does not apply after all.
    """

    name: str
    starts: Sequence[Start | str]
    pattern: str
    reading: Callable[[re.Match[str]], str | None]


def before(match: re.Match[str], length: int = 12) -> str:
    """The text just before a match."""
    return match.string[max(0, match.start() - length) : match.start()]


def after(match: re.Match[str], length: int = 12) -> str:
    """The text just after a match."""
    return match.string[match.end() : match.end() + length]


def behind(names: str) -> str:
    """A pattern: one of these names, parted by strokes, stands before."""
    return "(?:" + "|".join(f"(?<={name})" for name in names.split("|")) + ")"


def preceded(match: re.Match[str], characters: str) -> bool:
    """Whether one of these characters stands just before a match."""
    start = match.start()
    return start > 0 and match.string[start - 1] in characters


def counted(number: str, text: str = "", at: int = 0) -> str:
    """A number before what it counts: 2 is 两.

    With `text`, only where a measure word stands at this index of it.
    """
    if number == "2" and (not text or _COUNTED.match(text, at)):
        return "两"
    if text and len(number) > 12 and _COUNTED.match(text, at):
        return read_number(number, longest=24)
    return read_number(number)


def digits(match: re.Match[str]) -> str:
    """Digit by digit: the first group, the whole match where there is none."""
    return read_digits(match[1] if match.re.groups else match[0])


def followed(signs: str) -> Sequence[str]:
    """A beginning: a number behind which stands one of these signs, `a` for a letter."""
    return tuple(f"0{sign}" for sign in signs)


def saying(words: str) -> Callable[[re.Match[str]], str]:
    """A reading that is the same for whatever is matched."""
    return lambda _: words


def cardinal(digits: str) -> str:
    """As a quantity, leading zeros left out."""
    return read_cardinal(digits.lstrip("0") or "0")
