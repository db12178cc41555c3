"""The rules of normalisation by name: which there are, in which order they are tried.

    url email ip date year decade time score telephone id … number

A rule that is switched off leaves its text to the next that can read it; a number that no rule
wants is read as a plain quantity or digit by digit. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache

from sambert_trt.engines.errors import InputError

from .amounts import AMOUNT_RULES, LATE_UNIT, NUMBER_RULES, RANGE_RULES
from .codes import CODE_RULES, MODEL_RULES, NET_RULES, TELEPHONE_RULES
from .dates import DATE_RULES, SCORE_RULES, TIME_RULES
from .patterns import BRACKETED, Edit, Rule, Start
from .signs import ALWAYS, LATE_ROMAN, MATHS_RULES, SIGN_RULES, TRIGGER

__all__ = [
    "ALL_RULES",
    "EARLY_RULES",
    "LATE_RULES",
    "Rules",
    "late_edits",
    "rule_edits",
    "rules_without",
]

Rules = frozenset[str]
"""Names of the rules that are on."""

EARLY_RULES = (
    *NET_RULES,
    *DATE_RULES,
    *TIME_RULES,
    *TELEPHONE_RULES,
    *CODE_RULES,
    *SCORE_RULES,
    *MATHS_RULES,
    *AMOUNT_RULES,
    *RANGE_RULES,
    *NUMBER_RULES,
    *MODEL_RULES,
    *SIGN_RULES,
)
LATE_RULES = (*LATE_ROMAN, LATE_UNIT)
_FALLBACK = "number"
_FOLLOWERS = frozenset(" -/.,:：~—、)")
"""Signs that rules name as `followed`, as does a letter."""

_WIDER: Mapping[Start | str, tuple[Start, ...]] = {
    Start.DIGIT: (),
    Start.OPEN_DIGIT: (Start.DIGIT,),
    Start.LETTER: (),
    Start.OPEN_LETTER: (Start.LETTER,),
}
"""Kinds of beginnings whose rules are tried too; those of all signs are, for a sign."""

_Tried = tuple[
    Callable[[str, int], "re.Match[str] | None"], Callable[["re.Match[str]"], "str | None"], str
]

ALL_RULES: Rules = frozenset(rule.name for rule in (*EARLY_RULES, *LATE_RULES)) - {_FALLBACK}
"""Every rule that can be switched off."""


def rules_without(names: Iterable[str]) -> Rules:
    """All rules but these.

    Raises:
        InputError: there is no rule of such a name.
    """
    off = frozenset(names)
    unknown = sorted(off - ALL_RULES)
    if unknown:
        raise InputError(
            f"no rule of normalisation is called {', '.join(unknown)}; there are "
            + ", ".join(sorted(ALL_RULES))
        )
    return ALL_RULES - off


def rule_edits(text: str, rules: Rules) -> Iterator[Edit]:
    """What is said for the numbers, codes and signs of a text, from left to right."""
    return _edits(text, _tables(rules, early=True))


def late_edits(text: str, rules: Rules) -> Iterator[Edit]:
    """The same for what stands in letters alone, in a text that is otherwise normal."""
    return _edits(text, _tables(rules, early=False))


class _Tables(dict["Start | str", tuple[_Tried, ...]]):
    """The rules to try by what a text begins with, made when such a beginning is met."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        super().__init__()
        self._rules = tuple(rules)

    def __missing__(self, start: Start | str) -> tuple[_Tried, ...]:
        self[start] = tuple(
            (re.compile(rule.pattern).match, rule.reading, rule.name)
            for rule in _rules_tried(self._rules, start)
        )
        return self[start]


def _rules_tried(rules: Iterable[Rule], start: Start | str) -> Iterator[Rule]:
    kind = Start.OPEN_DIGIT if isinstance(start, str) and len(start) > 1 else start
    kinds = {start, kind, *_WIDER.get(kind, (Start.SIGN,))}
    return (rule for rule in rules if not kinds.isdisjoint(rule.starts))


def _edits(text: str, tables: _Tables) -> Iterator[Edit]:
    found = TRIGGER.search(text)
    while found:
        start = found.start()
        edit = _first_edit(text, start, tables[_start(text, found)])
        if edit:
            yield edit
            end = edit[1]
        else:
            end = start + 1 if found[0].isdigit() else found.end()
        found = TRIGGER.search(text, end)


def _first_edit(text: str, start: int, table: tuple[_Tried, ...]) -> Edit | None:
    for match_at, reading, name in table:
        match = match_at(text, start)
        said = reading(match) if match else None
        if match and said is not None and not _loses_reading(text, match.end(), said):
            return (start, match.end(), said, name)
    return None


def _loses_reading(text: str, end: int, said: str) -> bool:
    """Whether a reading in brackets would come to stand behind another character."""
    return text[end : end + 1] == BRACKETED and said[-1:] != text[end - 1]


def _start(text: str, found: re.Match[str]) -> Start | str:
    first = found[0][0]
    if first in "0123456789.":
        return Start.DIGIT if _is_closed(text, found.end()) else _number_start(text, found.end())
    if first.isascii() and first.isalpha():
        return Start.LETTER if _is_closed(text, found.end()) else Start.OPEN_LETTER
    return first


def _number_start(text: str, end: int) -> Start | str:
    following = text[end]
    if following in _FOLLOWERS:
        return f"0{following}"
    return "0a" if following.isascii() and following.isalpha() else Start.OPEN_DIGIT


def _is_closed(text: str, end: int) -> bool:
    following = text[end : end + 1]
    return not following or "\u3400" <= following < "\uf900" or following in "，。；！？"


@lru_cache(maxsize=16)
def _tables(rules: Rules, *, early: bool) -> _Tables:
    known = (*EARLY_RULES, *ALWAYS) if early else LATE_RULES
    return _Tables(rule for rule in known if rule.name in rules or rule.name == _FALLBACK)
