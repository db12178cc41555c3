"""How a character with several readings is read where no word decides: rules over its neighbours.

The rules stand in data/polyphones.txt, whose head explains them. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from .lexicon import data_lines

__all__ = ["END", "REACH", "START", "Rule", "choose_reading", "polyphones"]

START, END = "^", "$"
"""What stands before and after the Chinese characters of a stretch in the context of a rule."""

REACH = 6
"""How many characters either side the rules may look at."""

_SIGNS = ("<", ">", "!<", "!>", "~", "!~")
"""How the data writes the texts that a rule asks for, in the order of `Rule`."""


@dataclass(frozen=True)
class Rule:
    """A reading and where it holds; empty tuples ask nothing.

    Attributes:
        before, after: what the text before must end with and the text after must begin with.
        not_before, not_after: what they must not.
        near, not_near: what must, or must not, stand anywhere in the text before.
        place: `start` where the character must begin a longer word, `end` where it must end it,
            `in` where it must not end it.
    """

    reading: str
    name: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    not_before: tuple[str, ...] = ()
    not_after: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    not_near: tuple[str, ...] = ()
    place: str = ""

    @property
    def plain(self) -> bool:
        """Whether it holds everywhere."""
        sides = (self.before, self.after, self.not_before, self.not_after)
        return not any((*sides, self.near, self.not_near, self.place))

    def fits(self, before: str, after: str, place: str = "") -> bool:
        """Whether it holds between two texts, at the `end` of a longer word or `in` it."""
        return (
            (not self.before or before.endswith(self.before))
            and (not self.after or after.startswith(self.after))
            and not (self.not_before and before.endswith(self.not_before))
            and not (self.not_after and after.startswith(self.not_after))
            and (not self.place or place == self.place or (self.place, place) == ("in", "start"))
            and (not self.near or any(text in before for text in self.near))
            and not any(text in before for text in self.not_near)
        )


def choose_reading(character: str, before: str, after: str, place: str = "") -> Rule | None:
    """The rule for a character between two texts (which `START` and `END` may bound), or None.

    `place` is `start` and `end` for the first and last character of a longer word, else `in`.
    """
    for rule in polyphones().get(character, ()):
        if rule.fits(before, after, place):
            return rule
    return None


@lru_cache(maxsize=1)
def polyphones() -> Mapping[str, tuple[Rule, ...]]:
    """The rules of each character, in order."""
    classes: dict[str, tuple[str, ...]] = {}
    rules: dict[str, tuple[Rule, ...]] = {}
    for line in data_lines("polyphones"):
        first, *rest = line.split()
        if first.startswith("@"):
            classes[first] = tuple(rest[0].split("|") if "|" in rest[0] else rest[0])
        else:
            rules[first] = (*rules.get(first, ()), _rule(rest, classes))
    return rules


def _rule(fields: list[str], classes: Mapping[str, tuple[str, ...]]) -> Rule:
    reading, name, *conditions = fields
    sides: dict[str, tuple[str, ...]] = dict.fromkeys((*_SIGNS, "="), ())
    for condition in conditions:
        sign = condition[: 1 + condition.startswith("!")]
        listed = condition[len(sign) :].split("|")
        sides[sign] = tuple(text for item in listed for text in classes.get(item, (item,)))
    before, after, not_before, not_after, near, not_near = (sides[sign] for sign in _SIGNS)
    place = "".join(sides["="])
    return Rule(reading, name, before, after, not_before, not_after, near, not_near, place)
