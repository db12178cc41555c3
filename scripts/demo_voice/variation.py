"""Sentences as a front end might cut them: words and breaks change, sound does not.

Breaks `#1` and `#2` take no time, so they can come and go; a voice that has met all kinds speaks
well whatever front end reads the text. Rows are ids of (sy, tone, syllable_flag, word_segment).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sambert_trt.export.config import Vocabulary

__all__ = ["Line", "Units", "Variation", "varied"]

_BREAKS = ("#1", "#2", "#3", "#4")
_SILENT = _BREAKS[:2]

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Line:
    """A sentence's symbols and what belongs to each.

    Attributes:
        ling: int64 [N, 4].
        duration: int64 [N], frames.
        pitch, energy: float32 [N], normalised.
    """

    ling: Ids
    duration: Ids
    pitch: NDArray[np.float32]
    energy: NDArray[np.float32]

    def take(self, rows: Ids) -> Line:
        """These symbols, in this order."""
        return Line(self.ling[rows], self.duration[rows], self.pitch[rows], self.energy[rows])


@dataclass(frozen=True)
class Variation:
    """How often words are cut in another way than the corpus does; the rest stays as it is.

    Attributes:
        whole: no breaks inside, words as they are.
        drawn: after each word `#1`, `#2` or nothing, by chance.
        single: each syllable a word of its own.
    """

    whole: float = 0.2
    drawn: float = 0.25
    single: float = 0.1


class Units:
    """What the ids of rows mean that are looked at here."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        sounds, tones, flags, places = vocabulary.units.values()
        self.breaks = {sounds.index(name) for name in _BREAKS}
        self.silent = [sounds.index(name) for name in _SILENT]
        self.pause, self.final = sounds.index("#3"), sounds.index("#4")
        self.first_flags = {flags.index("s_begin"), flags.index("s_both")}
        self.last_flags = {flags.index("s_end"), flags.index("s_both")}
        self.places = {name: places.index(name) for name in places[:5]}
        self.break_row = (
            tones.index("tone_none"),
            flags.index("s_none"),
            places.index("word_none"),
        )

    def row(self, sound: int) -> Ids:
        """The row [1, 4] of a break."""
        return np.array([(sound, *self.break_row)])


def varied(line: Line, units: Units, how: Variation, random: np.random.Generator) -> Line:
    """The sentence with its words and breaks cut by chance, as `how` says."""
    drawn = random.random()
    for share, cut in ((how.whole, _whole), (how.drawn, _drawn), (how.single, _single)):
        if drawn < share:
            return cut(line, units, random)
        drawn -= share
    return line


def _whole(line: Line, units: Units, random: np.random.Generator) -> Line:
    return line.take(np.flatnonzero(~np.isin(line.ling[:, 0], units.silent)))


def _drawn(line: Line, units: Units, random: np.random.Generator) -> Line:
    """A break stays, becomes the other one, or goes."""
    silent = np.isin(line.ling[:, 0], units.silent)
    kept = np.flatnonzero(~silent | (random.random(len(silent)) < 2 / 3))
    found = line.take(kept)
    places = np.flatnonzero(silent[kept])
    found.ling[places, 0] = random.choice(units.silent, len(places))
    return found


def _single(line: Line, units: Units, random: np.random.Generator) -> Line:
    """Syllables as words: their positions by section 3.4 of the format, and `#1` after each."""
    spoken = ~np.isin(line.ling[:, 0], [*units.breaks])
    ling = line.ling.copy()
    first, last = (
        spoken & np.isin(ling[:, 2], [*flags]) for flags in (units.first_flags, units.last_flags)
    )
    for where, place in (
        (spoken, "word_middle"),
        (last, "word_end"),
        (first, "word_begin"),
        (first & last, "word_both"),
    ):
        ling[where, 3] = units.places[place]
    cut = Line(ling, line.duration, line.pitch, line.energy)
    bare = cut.take(np.flatnonzero(~np.isin(ling[:, 0], units.silent)))
    return _with_breaks(bare, units, _ends_of_syllables(bare, units))


def _ends_of_syllables(line: Line, units: Units) -> Sequence[int]:
    """After which rows a syllable ends that no break follows."""
    breaks = np.isin(line.ling[:, 0], [*units.breaks])
    ends = ~breaks & np.isin(line.ling[:, 2], [*units.last_flags])
    followed = np.append(breaks[1:], True)
    return [int(place) for place in np.flatnonzero(ends & ~followed)]


def _with_breaks(line: Line, units: Units, after: Sequence[int]) -> Line:
    places = np.asarray(after, np.int64) + 1
    row = units.row(units.silent[0])
    return Line(
        np.insert(line.ling, places, row, axis=0),
        np.insert(line.duration, places, 0),
        np.insert(line.pitch, places, 0),
        np.insert(line.energy, places, 0),
    )
