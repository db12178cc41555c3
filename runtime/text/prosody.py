"""Words to a voice's symbols: phones, tones, places in syllable and word, breaks, manners."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from .latin import latin_reading
from .letters import speaks_letters
from .marks import Manner, Marks, Pause
from .options import Breaks, English
from .phones import Syllable, phones_from_syllable
from .phrasing import Spoken, phrase_ends
from .reading import Kind, Word
from .sentence import Symbol
from .warned import warn

__all__ = ["phone_count", "symbols_from_words"]

logger = logging.getLogger(__name__)

LEVELS = ("#1", "#2", "#3", "#4")
"""The breaks, weakest first."""
_WORD, _PHRASE, _PAUSE, _END = LEVELS
_COMFORTABLE = 7
"""Syllables of a phrase that asks for no break."""
_BREATH = 14
"""Syllables between pauses that ask for none; up to _LONGEST are left alone."""
_LONGEST = 20
_PHRASE_WEIGHT, _PAUSE_WEIGHT = 0.9, 2.0
"""What a break costs, against which the length of a phrase weighs."""
_LISTED = 3
"""Syllables of an item after which 、 is no pause yet."""


@dataclass(frozen=True)
class _Piece:
    """A word with its syllables and the break after it; "" where that is still open."""

    first: str
    last: str
    syllables: tuple[Syllable, ...]
    manner: Manner | None
    leans: bool = False
    level: str = ""
    seconds: float | None = None
    mark: str = ""


def symbols_from_words(
    words: Sequence[Word],
    phones: Collection[str] | None = None,
    *,
    marks: Marks | None = None,
    breaks: Breaks = Breaks.PHRASES,
    english: English = English.AUTO,
) -> tuple[Symbol, ...]:
    """The symbols of one sentence; what no mark sets is left to the request's style.

    A break stands between words, never first and never twice; the last symbol is `#4`. Latin words
    are said as `latin_reading` says, or as the syllables they carry.
    Marks give the manner of what follows, and pauses; without `marks` they mean nothing. What was
    guessed, what is said with Chinese syllables, and a pause before the first word, which has no
    place, are warned of, each once. Nothing to say gives no symbols.

    Args:
        phones: of the voice, breaks included; None has all. A break it lacks is the next weaker.

    Raises:
        InputError: a word holds a syllable that does not exist, or a mark is unknown.
    """
    pieces = _pieces(words, _Latin(phones, english), marks)
    if breaks is Breaks.PHRASES:
        pieces = _phrased(_listed(_stretches(_leaned(pieces))))
    return tuple(_symbols(pieces, _levels(phones)))


def phone_count(word: Word, phones: Collection[str] | None, english: English = English.AUTO) -> int:
    """How many phones of a sentence's symbols are a word's; arguments as `symbols_from_words`."""
    return sum(len(sounds) for sounds, _ in _syllables(word, _Latin(phones, english)))


class _Latin:
    """Says Latin words and remembers which of them to warn about."""

    def __init__(self, phones: Collection[str] | None, english: English) -> None:
        self._chosen = english is English.CHINESE
        self._phones = () if self._chosen else phones
        self._guessed: dict[str, None] = {}
        self._chinese: dict[str, None] = {}

    def syllables(self, word: str) -> tuple[Syllable, ...]:
        """The syllables of a Latin word."""
        reading = latin_reading(word, self._phones)
        if "rule" in reading.rules:
            self._guessed[word] = None
        if self._lacks_english:
            self._chinese[word] = None
        return reading.syllables

    def report(self) -> None:
        """One warning of a kind, however many words."""
        if self._guessed:
            warn(
                logger,
                "no dictionary has %s; read by rule, a lexicon may say how",
                _quoted(self._guessed),
            )
        if self._chinese:
            warn(
                logger,
                "the voice has no English phones; %s is said with Chinese syllables",
                _quoted(self._chinese),
            )

    @cached_property
    def _lacks_english(self) -> bool:
        return not (self._chosen or self._phones is None or speaks_letters(self._phones))


def _quoted(words: Collection[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)


def _pieces(words: Sequence[Word], latin: _Latin, marks: Marks | None) -> list[_Piece]:
    pieces: list[_Piece] = []
    manner: Manner | None = None
    for word in words:
        mark = marks[word.text] if word.kind is Kind.MARK and marks is not None else None
        if isinstance(mark, Manner):
            manner = None if mark.plain else mark
        elif word.kind is Kind.PAUSE or isinstance(mark, Pause):
            _set_break(pieces, mark if isinstance(mark, Pause) else word.text)
        elif word.kind is not Kind.MARK and (syllables := _syllables(word, latin)):
            leans = len(word.syllables) == 1 and word.syllables[0].endswith("5")
            pieces.append(_Piece(word.plain, word.plain, syllables, manner, leans))
    latin.report()
    return pieces


def _set_break(pieces: list[_Piece], said: Pause | str) -> None:
    """A pause that was asked for wins over a written one, and the later over the earlier."""
    if isinstance(said, Pause):
        if pieces:
            pieces[-1] = replace(pieces[-1], level=said.level, seconds=said.seconds, mark="")
        elif said.seconds:
            warn(logger, "a pause of %g s before the first word is left out", said.seconds)
    elif pieces and (not pieces[-1].level or pieces[-1].mark):
        listed = said == "、" and pieces[-1].mark in ("", "、")
        pieces[-1] = replace(pieces[-1], level=_PAUSE, mark="、" if listed else said)


def _syllables(word: Word, latin: _Latin) -> tuple[Syllable, ...]:
    if word.kind is Kind.LATIN and not word.syllables:
        return latin.syllables(word.text)
    return tuple(phones_from_syllable(syllable) for syllable in word.syllables)


def _leaned(pieces: Sequence[_Piece]) -> list[_Piece]:
    """Joins what leans on the word before it where nothing stands between the two."""
    joined: list[_Piece] = []
    for piece in pieces:
        held = joined[-1] if joined else None
        if held and piece.leans and not held.level and held.manner == piece.manner:
            syllables = held.syllables + piece.syllables
            joined[-1] = replace(piece, first=held.first, syllables=syllables, leans=False)
        else:
            joined.append(piece)
    return joined


def _listed(stretches: Sequence[Sequence[_Piece]]) -> list[_Piece]:
    """Weakens 、 between items of a few syllables."""
    lengths = [*(sum(len(p.syllables) for p in stretch) for stretch in stretches), 0]
    result: list[_Piece] = []
    for i, stretch in enumerate(stretches):
        *inner, last = stretch
        weak = last.mark == "、" and max(lengths[i], lengths[i + 1]) <= _LISTED
        result += [*inner, replace(last, level=_PHRASE) if weak else last]
    return result


def _stretches(pieces: Sequence[_Piece]) -> list[list[_Piece]]:
    """The pieces from one break that is set to the next."""
    found: list[list[_Piece]] = [[]]
    for piece in pieces:
        found[-1].append(piece)
        if piece.level:
            found.append([])
    return [stretch for stretch in found if stretch]


def _parted(stretch: Sequence[_Piece], level: str, comfortable: int, weight: float) -> list[_Piece]:
    """Sets breaks of one level where a stretch is too long."""
    spoken = [Spoken(piece.first, piece.last, len(piece.syllables)) for piece in stretch]
    ends = frozenset(phrase_ends(spoken, comfortable, weight))
    return [replace(p, level=level) if i in ends else p for i, p in enumerate(stretch)]


def _phrased(pieces: Sequence[_Piece]) -> list[_Piece]:
    """Sets pauses in stretches beyond a breath, then breaks between phrases."""
    breaths: list[_Piece] = []
    for stretch in _stretches(pieces):
        long = sum(len(piece.syllables) for piece in stretch) > _LONGEST
        breaths += _parted(stretch, _PAUSE, _BREATH, _PAUSE_WEIGHT) if long else stretch
    return [
        piece
        for stretch in _stretches(breaths)
        for piece in _parted(stretch, _PHRASE, _COMFORTABLE, _PHRASE_WEIGHT)
    ]


def _levels(phones: Collection[str] | None) -> Mapping[str, str]:
    """For each break the one the voice has; the next weaker, else the next stronger."""
    had = [level for level in LEVELS if phones is None or level in phones] or list(LEVELS)
    return {level: max((h for h in had if h <= level), default=had[0]) for level in LEVELS}


def _symbols(pieces: Sequence[_Piece], levels: Mapping[str, str]) -> Iterator[Symbol]:
    for i, piece in enumerate(pieces):
        yield from _word_symbols(piece.syllables, piece.manner)
        level = _END if i == len(pieces) - 1 else piece.level or _WORD
        yield _break_symbol(levels[level], piece.manner, piece.seconds)


@lru_cache(maxsize=1024)
def _break_symbol(level: str, manner: Manner | None, seconds: float | None) -> Symbol:
    units = (level, "tone_none", "s_none", "word_none")
    return Symbol(units, manner=manner, seconds=seconds)


@lru_cache(maxsize=8192)
def _word_symbols(syllables: tuple[Syllable, ...], manner: Manner | None) -> tuple[Symbol, ...]:
    places = [(s, p) for s, (phones, _) in enumerate(syllables) for p in range(len(phones))]
    symbols: list[Symbol] = []
    for place, (s, p) in enumerate(places):
        phones, tone = syllables[s]
        flag = f"s_{_position(p, len(phones))}"
        units = (phones[p], tone, flag, f"word_{_position(place, len(places))}")
        symbols.append(Symbol(units, manner=manner))
    return tuple(symbols)


def _position(index: int, count: int) -> str:
    if count == 1:
        return "both"
    return "begin" if index == 0 else "end" if index == count - 1 else "middle"
