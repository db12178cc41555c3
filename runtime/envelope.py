"""How loud a sentence's samples are, and where silence stands between them.

Gains belong to samples of the sentence, not of a chunk, so that chunks and whole agree bit for bit.
Numpy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .delivery import Delivery

__all__ = ["Envelope", "Shape", "envelope_from_delivery"]

_RAMP = 0.006
"""Seconds in which a gain changes, a frame's at most: no click, and no syllable is blurred."""


@dataclass(frozen=True)
class Shape:
    """A chunk's gains [count], and silences as (samples before it, samples), ascending."""

    gain: NDArray[np.float32]
    silences: tuple[tuple[int, int], ...]

    def applied(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The samples [count] as loud as asked for, within [-1, 1], and with the silences."""
        loud = np.clip(samples * self.gain, np.float32(-1), np.float32(1))
        pieces, done = [], 0
        for position, count in self.silences:
            pieces += [loud[done:position], np.zeros(count, np.float32)]
            done = position
        return np.concatenate([*pieces, loud[done:]])


@dataclass(frozen=True)
class Envelope:
    """The same of a whole sentence: gains [F * hop]."""

    gain: NDArray[np.float32]
    silences: tuple[tuple[int, int], ...]

    def shape(self, start: int, count: int) -> Shape | None:
        """Of the chunk that begins at a sample; None where nothing changes.

        Silence between two chunks stands in the later one.
        """
        end = start + count
        gain, last = self.gain[start:end], end == len(self.gain)
        silences = tuple(
            (position - start, samples)
            for position, samples in self.silences
            if start <= position < end or (last and position == end)
        )
        return Shape(gain, silences) if silences or (gain != 1).any() else None


def envelope_from_delivery(
    durations: NDArray[np.int64], delivery: Delivery, hop: int, rate: int
) -> Envelope | None:
    """Gains follow the volumes of the symbols, and are 0 where a pause of given length stands.

    What the symbol's own frames lack of the pause is added as silence in their middle.

    Args:
        durations: frames of each symbol [N].
        delivery: what the marks say of each.
        hop, rate: samples per frame and per second.
    """
    ends = np.cumsum(durations) * hop
    starts = ends - durations * hop
    pauses = np.flatnonzero(delivery.seconds > 0)
    if not len(pauses) and (delivery.volume == 1).all():
        return None
    ramp = min(round(_RAMP * rate), hop)
    gain = _volume_gain(starts, ends, delivery.volume, ramp)
    silences: list[tuple[int, int]] = []
    for i in pauses:
        start, end = int(starts[i]), int(ends[i])
        middle = (start + end) // 2
        _mute(gain, min(start + ramp, middle), max(end - ramp, middle), ramp)
        lacking = round(float(delivery.seconds[i]) * rate) - (end - start)
        silences.append((middle, max(lacking, 0)))
    return Envelope(gain.astype(np.float32), tuple(s for s in silences if s[1]))


def _volume_gain(
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    volumes: NDArray[np.float32],
    ramp: int,
) -> NDArray[np.float64]:
    heard = np.flatnonzero(ends > starts)
    knots: list[tuple[float, float]] = [(0.0, float(volumes[heard[0]]) if len(heard) else 1.0)]
    for before, after in _pairs(heard):
        if volumes[before] != volumes[after]:
            edge = float(starts[after])
            knots.append((edge - ramp / 2, float(volumes[before])))
            knots.append((edge + ramp / 2, float(volumes[after])))
    places, values = zip(*knots, strict=True)
    gain: NDArray[np.float64] = np.interp(np.arange(int(ends[-1])), places, values)
    return gain


def _pairs(rows: NDArray[np.int64]) -> Sequence[tuple[int, int]]:
    return list(zip(rows[:-1].tolist(), rows[1:].tolist(), strict=True))


def _mute(gain: NDArray[np.float64], start: int, end: int, ramp: int) -> None:
    """Silence from `start` to `end`, which gains reach in ramps outside."""
    first, last = max(start - ramp, 0), min(end + ramp, len(gain))
    places = (start - ramp, start, end, end + ramp)
    gain[first:last] *= np.interp(np.arange(first, last), places, (1.0, 0.0, 0.0, 1.0))
