"""The words the front end knows beside pypinyin's dictionaries, read from data/*.txt.

How often words occur (after jieba's dictionary), readings of our own, and words whose last syllable
is light. Standard library only; nothing is read before the first call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from .readings import readings

__all__ = ["NUMERALS", "OPEN_SYLLABLE", "Lexicon", "data_lines", "lexicon"]

NUMERALS = frozenset("零〇一二两三四五六七八九十百千万亿")

OPEN_SYLLABLE = "?"
"""Where a word's own reading leaves a syllable to the rules."""

_DATA = Path(__file__).parent / "data"
_OWN_COST = 136
_PHRASE_COST = 200


@dataclass(frozen=True)
class Lexicon:
    """What is known of words.

    Attributes:
        costs: of a word in a text, in eighths of a bit: the rarer, the dearer.
        longest: by first character, the length of the longest word.
        read: of words that dictionaries get wrong: pinyin or `OPEN_SYLLABLE`, blank between.
        neutral: words whose last syllable is written without a tone.
        light: words whose last syllable has a tone in dictionaries and loses it in speech.
        own_er: words in which 儿 is a syllable of its own.
        counting: words whose 一 counts what follows them.
    """

    costs: Mapping[str, int]
    longest: Mapping[str, int]
    read: Mapping[str, str]
    neutral: frozenset[str]
    light: frozenset[str]
    own_er: frozenset[str]
    counting: frozenset[str]


@lru_cache(maxsize=1)
def lexicon() -> Lexicon:
    """All lists, read once (about 0.1 s, 15 MB).

    Raises:
        InputError: pypinyin's dictionaries are missing.
    """
    entries = map(str.split, data_lines("readings"))
    read = {word: " ".join(syllables) for word, *syllables in entries}
    sections = _sections("word_lists")
    costs = _costs()
    for word in (*read, *sections["neutral"]):
        costs[word] = min(costs.get(word, _OWN_COST), _OWN_COST)
    for phrase in readings().phrases:
        costs.setdefault(phrase, _PHRASE_COST)
    for word in sections["no words"]:
        costs.pop(word, None)
    return Lexicon(
        costs=costs,
        longest=_longest(costs),
        read=read,
        neutral=sections["neutral"],
        light=sections["light"],
        own_er=sections["own 儿"],
        counting=sections["counting 一"],
    )


def data_lines(name: str) -> Iterator[str]:
    """The lines of data/<name>.txt that hold data."""
    with (_DATA / f"{name}.txt").open(encoding="utf-8") as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                yield line.rstrip("\n")


def _costs() -> dict[str, int]:
    costs: dict[str, int] = {}
    for line in data_lines("words"):
        cost, *words = line.split()
        costs.update(dict.fromkeys(words, int(cost)))
    return costs


def _longest(words: Mapping[str, int]) -> dict[str, int]:
    longest: dict[str, int] = {}
    for word in words:
        if len(word) > longest.get(word[0], 0):
            longest[word[0]] = len(word)
    return longest


def _sections(name: str) -> dict[str, frozenset[str]]:
    sections: dict[str, set[str]] = {}
    words: set[str] = set()
    for line in data_lines(name):
        if line.startswith("["):
            words = sections.setdefault(line.strip("[]"), set())
        else:
            words.update(line.split())
    return {title: frozenset(found) for title, found in sections.items()}
