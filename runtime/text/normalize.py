"""Written text to text that can be read aloud: Chinese characters, Latin letters, pause marks.

    written ─ fold ─▶ plain forms ─ rules ─▶ numbers and signs in words ─ tidy ─▶ normal text

Each step is a sequence of edits of the step before, so that every character knows the slice of
the written text it came from. Traditional characters stay as they are; a reading in brackets
(`重[chong2]`) is kept, with a tone mark; control marks (`marks.py`) go through in their order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache

from .fold import fold_edits
from .overrides import MARKED, mark_overrides
from .patterns import BRACKETED, Edit
from .reading import Normalized, Origin
from .readings import HANZI
from .rules import ALL_RULES, Rules, late_edits, rule_edits, rules_without
from .say_as import read_as
from .tidy import tidy_edits

__all__ = ["ALL_RULES", "Rules", "normalize", "normalize_text", "read_as", "rules_without"]

_HAN = HANZI[1:-1].replace("〇", "")
_NORMAL = re.compile(rf"[{_HAN}]+(?:[，、；：。！？…—][{_HAN}]+)*[，、；：。！？…—]?")
_BRACKETS = re.compile(
    rf"(?P<several>\[{HANZI}{{1,40}}\]\([^()\[\]{BRACKETED}]{{1,240}}\))"
    rf"|(?<={HANZI})\[[^\[\]{BRACKETED}]{{1,24}}\]|{BRACKETED}"
)


def normalize(text: str, rules: Rules = ALL_RULES) -> Normalized:
    """What is said of a written text, and where each character of it came from.

    Nothing is said, and the result is empty, where a text holds neither words nor numbers nor
    signs. Normalising the result again changes nothing.
    """
    copy = Normalized(text, _copies(len(text)))
    if _NORMAL.fullmatch(text):
        return copy
    brackets, readings = _bracket_edits(text)
    draft = _edited(_edited(copy, brackets), fold_edits)
    draft = _edited(draft, lambda plain: rule_edits(plain, rules))
    draft = _edited(_edited(draft, tidy_edits), lambda said: late_edits(said, rules))
    return _edited(draft, lambda said: _reading_edits(said, readings)) if readings else draft


def normalize_text(text: str, rules: Rules = ALL_RULES) -> str:
    """What is said of a written text; empty where nothing can be said."""
    return normalize(text, rules).text


def _edited(draft: Normalized, edits: Callable[[str], Iterable[Edit]]) -> Normalized:
    """A draft after edits that come from left to right and do not overlap."""
    text, origins = draft.text, draft.origins
    pieces: list[str] = []
    places: list[Origin] = []
    done = 0
    for start, end, said, rule in edits(text):
        pieces += (text[done:start], said)
        places += origins[done:start]
        if said:
            origin = Origin(origins[start].start, origins[end - 1].end, rule)
            places += [origin] * len(said)
        done = end
    if not done:
        return draft
    return Normalized("".join([*pieces, text[done:]]), (*places, *origins[done:]))


def _copies(length: int) -> tuple[Origin, ...]:
    """Origins of a text that was copied as it stands; short ones are made once."""
    known = _short_copies()
    more = (Origin(i, i + 1) for i in range(len(known), length))
    return known[:length] if length <= len(known) else (*known, *more)


@lru_cache(maxsize=1)
def _short_copies() -> tuple[Origin, ...]:
    return tuple(Origin(i, i + 1) for i in range(256))


def _bracket_edits(text: str) -> tuple[Callable[[str], Iterable[Edit]], list[str]]:
    """Hides readings in brackets and stray private characters; and the readings, with marks."""
    edits: list[Edit] = []
    readings: list[str] = []

    def hide(reading: re.Match[str]) -> str:
        readings.append(reading[0])
        return BRACKETED

    for match in _BRACKETS.finditer(text):
        if match[0] == BRACKETED:
            edits.append((*match.span(), " ", "punctuation"))
            continue
        head = "" if match["several"] else text[match.start() - 1]
        marked = MARKED.sub(hide, mark_overrides(head + match[0]))
        edits.append((*match.span(), marked[len(head) :], "reading"))
    return lambda _: edits, readings


def _reading_edits(text: str, readings: Sequence[str]) -> Iterator[Edit]:
    """Puts the readings back where they stood."""
    places = (i for i, character in enumerate(text) if character == BRACKETED)
    for place, reading in zip(places, readings, strict=True):
        yield place, place + 1, reading, "reading"
