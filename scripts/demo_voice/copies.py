"""What a voice learns from one sentence in one emotion: a resampled copy of its recording.

Played at another rate, speech is higher and faster, or lower and slower, at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.errors import InputError

from .corpus import Sentence
from .mel import PEAK, MelRecipe, scaled_mels
from .pitch import PitchSearch, contour_from_wave

__all__ = ["Copy", "copy_from_wave", "divided", "symbol_means"]


@dataclass(frozen=True)
class Copy:
    """N symbols, F frames.

    Attributes:
        duration: frames int64 [N], F in all.
        mel: float32 [F, bands], 0 to 1.
        f0: hertz float32 [F], interpolated where nothing is voiced.
        voiced: bool [F].
        audio: int16 [F * hop].
    """

    duration: NDArray[np.int64]
    mel: NDArray[np.float32]
    f0: NDArray[np.float32]
    voiced: NDArray[np.bool_]
    audio: NDArray[np.int16]


def copy_from_wave(
    sentence: Sentence, wave: NDArray[np.float32], pitch: float, recipe: MelRecipe
) -> Copy:
    """The sentence `pitch` times as high and as fast.

    Args:
        wave: its recording [n].

    Raises:
        InputError: nothing in it is voiced, or no frame of it is left.
    """
    heard = _resampled(wave, pitch, recipe.rate)
    heard = heard * np.float32(PEAK / np.abs(heard).max())
    start, duration = round(sentence.start / pitch), divided(sentence.duration, pitch)
    if not duration.any():
        raise InputError(f"{sentence.audio} ({sentence.id}) is too short: {sentence.frames} frames")
    place = (heard, start, int(duration.sum()))
    search = PitchSearch().shifted(pitch)
    contour = contour_from_wave(*place, recipe.hop, recipe.rate, search)
    if not contour.voiced.any():
        raise InputError(f"{sentence.audio} ({sentence.id}) has no voice in it")
    samples = _stretch(*place, recipe.hop)
    return Copy(duration, scaled_mels(*place, recipe), contour.f0, contour.voiced, samples)


def divided(duration: NDArray[np.int64], by: float) -> NDArray[np.int64]:
    """Durations [N] at another speed: the boundaries between symbols are moved and rounded."""
    ends = np.rint(np.cumsum(duration) / by).astype(np.int64)
    return np.diff(ends, prepend=0)


def symbol_means(values: NDArray[np.floating], duration: NDArray[np.int64]) -> NDArray[np.float32]:
    """Means of values [F] over each symbol's frames, [N]; 0 for a symbol that has none."""
    sums = np.concatenate([[0], np.cumsum(values, dtype=np.float64)])
    ends = np.cumsum(duration)
    means = (sums[ends] - sums[ends - duration]) / np.maximum(duration, 1)
    found: NDArray[np.float32] = means.astype(np.float32)
    return found


def _stretch(wave: NDArray[np.float32], start: int, frames: int, hop: int) -> NDArray[np.int16]:
    """The samples of the frames, silence where the recording has ended."""
    end = start + frames * hop
    padded = np.pad(wave[start:end], (0, max(0, end - len(wave))))
    return np.rint(padded * 32768).astype(np.int16)


def _resampled(wave: NDArray[np.float32], pitch: float, rate: int) -> NDArray[np.float32]:
    if pitch == 1.0:
        return wave
    import soxr

    found: NDArray[np.float32] = soxr.resample(wave, rate * pitch, rate)
    return found
