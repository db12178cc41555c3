"""Length regulation: from log durations to the decoder's memory, exactly as the original rounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.errors import InputError

from .envelope import Envelope

__all__ = ["LengthPlan", "length_plan"]

_LONGEST_SYMBOL = 800
"""Frames (10 s at 12.5 ms). Real phones stay below 30; beyond this the model has collapsed."""


@dataclass(frozen=True)
class LengthPlan:
    """What durations decided.

    Attributes:
        durations: frames per symbol, int64 [N].
        frames: their sum F.
        band: how many decoder steps each attention looks back and ahead.
        memory: float32 [L, r * P + S + M] with L = ceil(F / r).
        envelope: how loud the samples are and where silence stands; None leaves them alone.
    """

    durations: NDArray[np.int64]
    frames: int
    band: int
    memory: NDArray[np.float32]
    envelope: Envelope | None = None

    @property
    def steps(self) -> int:
        """Decoder steps L."""
        return len(self.memory)


def length_plan(
    log_durations: NDArray[np.float32],
    text: NDArray[np.float32],
    speaker: NDArray[np.float32],
    emotion: NDArray[np.float32],
    timescales: NDArray[np.float32],
    *,
    frames_per_step: int,
    speed: float | NDArray[np.float32] = 1.0,
    limits: NDArray[np.float32] | None = None,
) -> LengthPlan:
    """Repeats each symbol for its frames, adds the position inside it, folds r frames into a step.

    d = (exp(x) - 1) / speed, n = floor(d + 0.5); band = int(max(d) / r + 0.5), from the unrounded
    d. Pad frames repeat zeros and carry the position code of number 0, which is 0, 1, 0, 1, ...

    Args:
        log_durations: log(duration + 1) [N].
        text, speaker, emotion: [N, P], [N, S], [N, M].
        timescales: divisors of the position code [P].
        frames_per_step: r.
        speed: divides the durations, one for all or one for each [N].
        limits: the most frames each symbol may have [N].

    Raises:
        InputError: a symbol is longer than ten seconds.
    """
    exact = (np.exp(log_durations) - np.float32(1)) / np.asarray(speed, np.float32)
    if limits is not None:
        exact = np.minimum(exact, limits)
    longest = float(exact.max(initial=0))
    if not longest <= _LONGEST_SYMBOL:
        raise InputError(
            f"symbol {int(exact.argmax()) + 1} would last {longest:.0f} frames, more than "
            f"{_LONGEST_SYMBOL}: raise the speed, or check that the symbols suit this voice"
        )
    durations = np.floor(exact + np.float32(0.5)).astype(np.int64)
    frames, band = int(durations.sum()), int(np.float32(longest) / frames_per_step + 0.5)
    pad = -frames % frames_per_step
    expanded = [
        np.pad(np.repeat(rows, durations, axis=0), ((0, pad), (0, 0)))
        for rows in (text, speaker, emotion)
    ]
    numbers = _numbers_inside(durations, frames, pad)
    grouped = (expanded[0] + _position_code(numbers, timescales)).reshape(
        -1, frames_per_step * text.shape[1]
    )
    first = slice(None, None, frames_per_step)
    memory = np.concatenate([grouped, expanded[1][first], expanded[2][first]], axis=1)
    return LengthPlan(durations, frames, band, memory)


def _numbers_inside(durations: NDArray[np.int64], frames: int, pad: int) -> NDArray[np.float32]:
    starts = np.repeat(np.cumsum(durations) - durations, durations)
    numbers = np.arange(frames) - starts + 1
    return np.concatenate([numbers, np.zeros(pad, np.int64)]).astype(np.float32)


def _position_code(
    numbers: NDArray[np.float32], timescales: NDArray[np.float32]
) -> NDArray[np.float32]:
    angle = numbers[:, None] / timescales[None, :]
    code = np.empty_like(angle)
    code[:, 0::2] = np.sin(angle[:, 0::2])
    code[:, 1::2] = np.cos(angle[:, 1::2])
    return code
