"""Sentences one after another: their chunks, with the silences between them. Numpy only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .audio import AudioChunk
from .stream import VocoderWindow
from .synthesizer import Utterance

__all__ = ["Joined", "Piece", "record_arrays"]


@dataclass(frozen=True)
class Piece:
    """A window on its way through the vocoder; None for a sentence that has nothing to hear."""

    utterance: Utterance
    window: VocoderWindow | None
    timings: dict[str, float]
    samples: NDArray[np.float32] | None = None

    @property
    def last(self) -> bool:
        """Whether it ends its sentence."""
        return self.window is None or self.window.last


class Joined:
    """Pieces to chunks of one speech at `rate` hertz; silence stands at the start of a chunk.

    `gap` is the seconds between sentences that ask for no pause of their own.
    """

    def __init__(self, rate: int, gap: float) -> None:
        self._rate, self._gap = rate, gap
        self._position = self._silence = 0
        self._begun = -1
        self._ended: Utterance | None = None

    def chunks(self, piece: Piece) -> Iterator[AudioChunk]:
        """Yields the chunk that a piece becomes; none where it has nothing to hear."""
        utterance = piece.utterance
        if utterance.number > self._begun:
            self._begun, lead = utterance.number, utterance.sentence.lead
            self._silence += round(lead * self._rate)
        if piece.samples is not None:
            yield self._chunk(utterance, piece.samples, piece.last, piece.timings)
        if piece.last and self._position:
            pause = utterance.sentence.pause
            self._silence = round((self._gap if pause is None else pause) * self._rate)
            self._ended = None if pause is None else utterance

    def rest(self) -> Iterator[AudioChunk]:
        """Yields the pause that the last sentence asks for, as a chunk beside its own."""
        if self._ended is not None and self._silence:
            yield self._chunk(self._ended, np.zeros(0, np.float32), False, {})

    def _chunk(
        self,
        utterance: Utterance,
        samples: NDArray[np.float32],
        last: bool,
        timings: dict[str, float],
    ) -> AudioChunk:
        chunk = AudioChunk(
            samples=np.concatenate([np.zeros(self._silence, np.float32), samples]),
            sample_rate=self._rate,
            start_seconds=self._position / self._rate,
            sentence=utterance.number,
            text=utterance.sentence.text,
            last=last,
            timings=timings,
        )
        self._position += len(chunk.samples)
        self._silence = 0
        return chunk


def record_arrays(trace: dict[str, NDArray[Any]], piece: Piece) -> None:
    """Keeps a piece's samples, and at its sentence's end all arrays under `<number>/<name>`."""
    utterance = piece.utterance
    if piece.samples is not None:
        utterance.samples.append(piece.samples)
    if piece.last:
        arrays = utterance.arrays()
        trace.update({f"{utterance.number}/{name}": array for name, array in arrays.items()})
