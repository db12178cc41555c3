"""Words to a voice's symbols: phones, tones, places in syllable and word, breaks."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence

from .phones import phones_from_syllable
from .pronounce import Kind, Word
from .sentence import Symbol

__all__ = ["LETTERS", "letter_phones", "speaks_letters", "symbols_from_words"]

logger = logging.getLogger(__name__)

Syllable = tuple[tuple[str, ...], str]
"""A syllable's phones and its tone."""

LETTERS: Mapping[str, str] = {
    "a": "ey1",
    "b": "b iy1",
    "c": "s iy1",
    "d": "d iy1",
    "e": "iy1",
    "f": "eh1 f",
    "g": "jh iy1",
    "h": "ey1 ch",
    "i": "ay1",
    "j": "jh ey1",
    "k": "k ey1",
    "l": "eh1 l",
    "m": "eh1 m",
    "n": "eh1 n",
    "o": "ow1",
    "p": "p iy1",
    "q": "k y uw1",
    "r": "aa1 r",
    "s": "eh1 s",
    "t": "t iy1",
    "u": "y uw1",
    "v": "v iy1",
    "w": "d ah1 . b ah0 l . y uw0",
    "x": "eh1 k s",
    "y": "w ay1",
    "z": "z iy1",
}
"""The names of the letters in ARPAbet, stress on the vowel, syllables parted by a dot."""

_END_BREAK, _PAUSE_BREAK, _WORD_BREAK = "#4", "#3", "#1"


def symbols_from_words(
    words: Sequence[Word], phones: Collection[str] | None = None
) -> tuple[Symbol, ...]:
    """The symbols of one sentence; emotion and speaker are left to the request's style.

    `#1` stands after each word, `#3` where a mark pauses, `#4` at the end. Latin letters are
    spelled; where the voice's `phones` lack the English ones they are left out with a warning.
    Nothing to say gives no symbols.

    Raises:
        InputError: a word holds a syllable that does not exist.
    """
    symbols: list[Symbol] = []
    for word in _speakable(words, phones):
        if word.kind is not Kind.PAUSE:
            symbols += [*_word_symbols(_syllables(word)), _break_symbol(_WORD_BREAK)]
        elif symbols:
            symbols[-1] = _break_symbol(_PAUSE_BREAK)
    if symbols:
        symbols[-1] = _break_symbol(_END_BREAK)
    return tuple(symbols)


def letter_phones(letter: str) -> list[Syllable]:
    """The syllables of a Latin letter's English name: `w` -> d ah, b ah l, y uw."""
    return [_english_syllable(s.split()) for s in LETTERS[letter.lower()].split(".")]


def speaks_letters(phones: Collection[str]) -> bool:
    """Whether a voice has every phone that letter names need."""
    return {p.rstrip("01") for name in LETTERS.values() for p in name.split()} - {"."} <= set(
        phones
    )


def _speakable(words: Sequence[Word], phones: Collection[str] | None) -> Iterator[Word]:
    latin = phones is None or speaks_letters(phones)
    for word in words:
        if word.kind is Kind.LATIN and not latin:
            logger.warning("the voice has no English phones; %r is left out", word.text)
        else:
            yield word


def _syllables(word: Word) -> list[Syllable]:
    if word.kind is Kind.LATIN:
        return [syllable for letter in word.text for syllable in letter_phones(letter)]
    return [phones_from_syllable(syllable) for syllable in word.syllables]


def _english_syllable(phones: Sequence[str]) -> Syllable:
    stress = next(p[-1] for p in phones if p[-1].isdigit())
    return tuple(p.rstrip("01") for p in phones), f"tone{stress}"


def _word_symbols(syllables: Sequence[Syllable]) -> Iterator[Symbol]:
    places = [(s, p) for s, (phones, _) in enumerate(syllables) for p in range(len(phones))]
    for place, (s, p) in enumerate(places):
        phones, tone = syllables[s]
        yield Symbol(
            (
                phones[p],
                tone,
                f"s_{_position(p, len(phones))}",
                f"word_{_position(place, len(places))}",
            )
        )


def _position(index: int, count: int) -> str:
    if count == 1:
        return "both"
    return "begin" if index == 0 else "end" if index == count - 1 else "middle"


def _break_symbol(level: str) -> Symbol:
    return Symbol((level, "tone_none", "s_none", "word_none"))
