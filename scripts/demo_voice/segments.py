"""What the vocoder learns from in a step: windows of sentences, seldom silent, of all emotions.

A batch depends on nothing but the dataset, the options and the random numbers it is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sambert_trt.engines.errors import InputError

from .synthesis import Margins

if TYPE_CHECKING:
    from .dataset import Dataset, Utterance

__all__ = ["SegmentSampler", "Segments", "Windows"]

_EDGES = 1 / 16
"""Share of batches where sentences begin, and as many where they end: context is missing there."""

_SILENT = 0.05
"""How often a silent window is drawn, measured by the loudest of its sentence."""

_DECIBELS = 100.0
"""What a difference of 1 is in a mel before mean and deviation are taken out."""


@dataclass(frozen=True)
class Windows:
    """How windows are drawn.

    Attributes:
        frames: of a window.
        batch: windows of a step.
        quietest: windows are made quieter by a factor from this to 1.
        emotions: how often each of the dataset's emotions is drawn; none means alike.
    """

    frames: int = 40
    batch: int = 4
    quietest: float = 0.6
    emotions: tuple[float, ...] = ()


@dataclass(frozen=True)
class Segments:
    """B windows of F frames, with context before and after.

    Attributes:
        mel: float32 [B, C, left + F + right], normalised.
        f0: float32 [B, left + F + right], hertz.
        voiced: float32 [B, left + F + right], 1 or 0.
        audio: float32 [B, 1, F * hop], without the context.
        margins: left and right.
    """

    mel: Tensor
    f0: Tensor
    voiced: Tensor
    audio: Tensor
    margins: Margins

    def to(self, device: torch.device) -> Segments:
        """The batch on a device."""
        mel, f0, voiced, audio = (
            one.to(device) for one in (self.mel, self.f0, self.voiced, self.audio)
        )
        return Segments(mel, f0, voiced, audio, self.margins)


class SegmentSampler:
    """Draws windows of the sentences that may be learned from.

    Args:
        dataset: what `prepare` wrote.
        windows: how they are drawn.
        context: frames the generator looks at before and after a frame.
        spoken: the dataset with other mels, see `spoken_dataset`.
        share: of windows that have those.

    Raises:
        InputError: the options make no sense, or an emotion has no sentence that is long enough.
    """

    def __init__(
        self,
        dataset: Dataset,
        windows: Windows,
        context: Margins,
        spoken: Dataset | None = None,
        share: float = 0.0,
    ) -> None:
        _check(windows, len(dataset.settings.emotions))
        self._dataset, self._windows, self._context = dataset, windows, context
        self._spoken, self._share = spoken, share
        self._long = [self._long_enough(one) for one in range(len(dataset.settings.emotions))]
        self._level = np.asarray(dataset.settings.mel_mean, np.float32)
        self._spread = np.asarray(dataset.settings.mel_std, np.float32)

    def draw(self, random: np.random.Generator) -> Segments:
        """A batch; all its windows stand alike to the ends of their sentences."""
        margins = self._margins(random)
        shares = np.asarray(self._windows.emotions or [1.0] * len(self._long))
        emotions = random.choice(len(self._long), self._windows.batch, p=shares / shares.sum())
        found = [self._window(int(emotion), margins, random) for emotion in emotions]
        columns = [torch.from_numpy(np.stack(column)) for column in zip(*found, strict=True)]
        mel, f0, voiced, audio = columns
        return Segments(mel, f0, voiced, audio[:, None], margins)

    def _margins(self, random: np.random.Generator) -> Margins:
        place = random.random()
        left = 0 if place < _EDGES else self._context.left
        right = 0 if place > 1 - _EDGES else self._context.right
        return Margins(left, right)

    def _window(
        self, emotion: int, margins: Margins, random: np.random.Generator
    ) -> tuple[NDArray[np.float32], ...]:
        """Mel [C, n], f0 [n] and voicing [n] with context, audio [F * hop] without."""
        index = int(random.choice(self._long[emotion]))
        sentence = self._dataset[index]
        first = self._first_frame(sentence, margins, random)
        end, hop = first + self._windows.frames, self._dataset.settings.hop
        around = slice(first - margins.left, end + margins.right)
        gain = random.uniform(self._windows.quietest, 1)
        mel = sentence.mel
        if self._spoken is not None and random.random() < self._share:
            mel = self._spoken[index].mel
        audio = np.asarray(sentence.audio[first * hop : end * hop], np.float32) * np.float32(gain)
        return (
            np.ascontiguousarray(self._quieter(mel[around], gain).T),
            np.asarray(sentence.f0[around], np.float32),
            np.asarray(sentence.voiced[around], np.float32),
            audio,
        )

    def _first_frame(
        self, sentence: Utterance, margins: Margins, random: np.random.Generator
    ) -> int:
        """Where a window begins: where it is loud more often, or at an end of the sentence."""
        frames, last = self._windows.frames, len(sentence.mel) - self._windows.frames
        if margins.left < self._context.left:
            return 0
        if margins.right < self._context.right:
            return last
        hop = self._dataset.settings.hop
        power = np.square(np.asarray(sentence.audio, np.float32)).reshape(-1, hop).sum(axis=1)
        sums = np.concatenate([[0.0], np.cumsum(power, dtype=np.float64)])
        levels = np.sqrt((sums[frames:] - sums[:-frames]).clip(min=0))
        levels = levels[margins.left : last - margins.right + 1]
        weights = levels + _SILENT * levels.max() + np.finfo(np.float32).tiny
        return margins.left + int(random.choice(len(weights), p=weights / weights.sum()))

    def _quieter(self, mel: NDArray[np.float32], gain: float) -> NDArray[np.float32]:
        """The mel [n, C] of the wave times a gain up to 1: exact, since mels end at 0."""
        raw = np.asarray(mel, np.float32) * self._spread + self._level
        raw = np.maximum(raw + np.float32(20 * np.log10(gain) / _DECIBELS), 0)
        quieter: NDArray[np.float32] = (raw - self._level) / self._spread
        return quieter

    def _long_enough(self, emotion: int) -> NDArray[np.int64]:
        dataset = self._dataset
        needed = self._context.left + self._windows.frames + self._context.right
        chosen = (dataset.emotions == emotion) & ~dataset.held_out
        found = np.flatnonzero(chosen & (dataset.frame_counts >= needed))
        if not len(found):
            name = dataset.settings.emotions[emotion].name
            raise InputError(
                f"the dataset has no sentence of the emotion {name} with {needed} frames or more "
                "to learn from; take shorter windows or prepare more sentences"
            )
        return found


def _check(windows: Windows, emotions: int) -> None:
    ranges = {
        "frames": windows.frames >= 8,
        "batch": windows.batch >= 1,
        "quietest": 0 < windows.quietest <= 1,
        "emotions": not windows.emotions
        or (
            len(windows.emotions) == emotions and min(windows.emotions) >= 0 < sum(windows.emotions)
        ),
    }
    wrong = [f"{name} {getattr(windows, name)}" for name, fits in ranges.items() if not fits]
    if wrong:
        raise InputError(f"windows of {', '.join(wrong)}: out of range for {emotions} emotions")
