"""What the acoustic model learns from in a step: sentences of like length, varied and joined.

A batch depends on nothing but the dataset, the options and the random numbers it is given: a
training that goes on where it was interrupted meets the batches it would have met.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from sambert_trt.engines.errors import InputError

from .variation import Line, Units, Variation, varied

if TYPE_CHECKING:
    from .dataset import Dataset, Utterance

__all__ = ["AcousticBatch", "Mixing", "Sampler", "Sentence", "joined"]

_NEIGHBOURS = 0.1
"""Share of the sentences, next to each other by length, that a batch is drawn of."""

_LEAST_PAUSE, _MOST_PAUSE = 8, 60
"""Frames of a pause inside a sentence that may stand between two."""


@dataclass(frozen=True)
class AcousticBatch:
    """B sentences side by side, 0 where one has ended.

    Attributes:
        ling: int64 [B, N, 4].
        symbols: mask [B, N].
        emotion: int64 [B], rows of the emotion table.
        duration: int64 [B, N], frames.
        pitch, energy: float32 [B, N], normalised.
        mel: float32 [B, F, C]; with NSF, f0 (normalised) and voiced are the last channels.
    """

    ling: Tensor
    symbols: Tensor
    emotion: Tensor
    duration: Tensor
    pitch: Tensor
    energy: Tensor
    mel: Tensor

    def to(self, device: torch.device) -> AcousticBatch:
        """The batch on a device."""
        return AcousticBatch(**{name: value.to(device) for name, value in vars(self).items()})


@dataclass(frozen=True)
class Sentence:
    """What is said in one go: symbols, frames float32 [F, C] and the row of its emotion."""

    line: Line
    frames: NDArray[np.float32]
    emotion: int


@dataclass(frozen=True)
class Mixing:
    """What batches are made of.

    Attributes:
        frames: in a batch, about.
        joined: how often 1, 2, 3 ... sentences of the corpus are said in one go.
        emotions: how often each of the dataset's emotions is drawn.
        variation: how words and breaks are cut.
    """

    frames: int = 1600
    joined: tuple[float, ...] = (0.6, 0.2, 0.12, 0.08)
    emotions: tuple[float, ...] = (0.5, 0.25, 0.25)
    variation: Variation = field(default_factory=Variation)


def joined(
    sentences: Sequence[Sentence], pauses: Sequence[NDArray[np.float32]], units: Units
) -> Sentence:
    """Sentences said in one go, a pause after each but the last: its end becomes `#3`.

    Args:
        pauses: frames [P, C], one fewer than sentences.
    """
    lines, frames = [], []
    for sentence, pause in zip(sentences, (*pauses, None), strict=True):
        line = sentence.line
        if pause is not None:
            line = Line(
                line.ling.copy(), line.duration.copy(), line.pitch.copy(), line.energy.copy()
            )
            line.ling[-1, 0] = units.pause
            line.duration[-1] += len(pause)
        lines.append(line)
        frames += [sentence.frames] if pause is None else [sentence.frames, pause]
    parts = ([getattr(line, name) for line in lines] for name in vars(lines[0]))
    whole = Line(*map(np.concatenate, parts))
    return replace(sentences[0], line=whole, frames=np.concatenate(frames))


class Sampler:
    """Draws batches of a dataset's sentences that may be learned from.

    Args:
        read: makes a sentence of an utterance.
        units: what ids mean.
        mixing: what batches are made of.

    Raises:
        InputError: the shares fit neither the dataset nor each other.
    """

    def __init__(
        self,
        dataset: Dataset,
        read: Callable[[Utterance], Sentence],
        units: Units,
        mixing: Mixing,
    ) -> None:
        self._dataset, self._read, self._units, self._mixing = dataset, read, units, mixing
        count = len(dataset.settings.emotions)
        if len(mixing.emotions) != count or not sum(mixing.emotions) or not sum(mixing.joined):
            raise InputError(
                f"shares of emotions {mixing.emotions} and of joined sentences {mixing.joined}: "
                f"the dataset has {count} emotions, and neither may be nothing but zeros"
            )
        self._by_length = [self._learned(emotion) for emotion in range(count)]
        self._pauses = [self._found_pauses(order) for order in self._by_length]

    def draw(self, random: np.random.Generator) -> AcousticBatch:
        """A batch."""
        many = 1 + int(random.choice(len(self._mixing.joined), p=_shares(self._mixing.joined)))
        centre, found = random.random(), list[Sentence]()
        while sum(len(one.frames) for one in found) < self._mixing.frames:
            emotion = int(random.choice(len(self._by_length), p=_shares(self._mixing.emotions)))
            found.append(self._drawn(emotion, many, centre, random))
        return batch_of(found)

    def _drawn(
        self, emotion: int, many: int, centre: float, random: np.random.Generator
    ) -> Sentence:
        utterances = self._near(emotion, many if self._pauses[emotion] else 1, centre, random)
        sentences = [self._varied(self._read(one), random) for one in utterances]
        pauses = [self._pause(emotion, random) for _ in sentences[1:]]
        return joined(sentences, pauses, self._units)

    def _varied(self, sentence: Sentence, random: np.random.Generator) -> Sentence:
        line = varied(sentence.line, self._units, self._mixing.variation, random)
        return replace(sentence, line=line)

    def _near(
        self, emotion: int, many: int, centre: float, random: np.random.Generator
    ) -> list[Utterance]:
        """Utterances from around a place in the order by length."""
        order = self._by_length[emotion]
        half = _NEIGHBOURS / 2 * random.uniform(-1, 1, many)
        places = np.clip((centre + half) * len(order), 0, len(order) - 1).astype(int)
        return [self._dataset[int(order[place])] for place in places]

    def _learned(self, emotion: int) -> NDArray[np.int64]:
        """The sentences of an emotion that are not held out, by length."""
        dataset = self._dataset
        chosen = np.flatnonzero((dataset.emotions == emotion) & ~dataset.held_out)
        if not len(chosen):
            name = dataset.settings.emotions[emotion].name
            raise InputError(f"the dataset has no sentence of the emotion {name} to learn from")
        found: NDArray[np.int64] = chosen[np.argsort(dataset.frame_counts[chosen], kind="stable")]
        return found

    def _pause(self, emotion: int, random: np.random.Generator) -> NDArray[np.float32]:
        """Frames of silence as one of the emotion's own pauses has them."""
        index, first, count = self._pauses[emotion][
            int(random.integers(len(self._pauses[emotion])))
        ]
        return self._read(self._dataset[index]).frames[first : first + count]

    def _found_pauses(self, order: NDArray[np.int64]) -> list[tuple[int, int, int]]:
        """Sentence, first frame and number of frames of the pauses inside sentences."""
        found = []
        for index in order.tolist():
            one = self._dataset[index]
            long = (one.duration >= _LEAST_PAUSE) & (one.duration <= _MOST_PAUSE)
            found += [
                (index, int(one.duration[:place].sum()), int(one.duration[place]))
                for place in np.flatnonzero(long & (one.ling[:, 0] == self._units.pause)).tolist()
            ]
        return found


def batch_of(sentences: Sequence[Sentence]) -> AcousticBatch:
    """Sentences side by side."""
    lines = [sentence.line for sentence in sentences]
    return AcousticBatch(
        ling=_padded([line.ling for line in lines]),
        symbols=_padded([np.ones(len(line.ling), bool) for line in lines]),
        emotion=torch.tensor([sentence.emotion for sentence in sentences]),
        duration=_padded([line.duration for line in lines]),
        pitch=_padded([line.pitch for line in lines]),
        energy=_padded([line.energy for line in lines]),
        mel=_padded([sentence.frames for sentence in sentences]),
    )


def _padded(rows: Sequence[NDArray[np.generic]]) -> Tensor:
    return pad_sequence([torch.from_numpy(np.ascontiguousarray(row)) for row in rows], True)


def _shares(weights: Sequence[float]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = np.asarray(weights, np.float64) / sum(weights)
    return shares
