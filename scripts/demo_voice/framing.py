"""Waves as overlapping frames. Numpy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["framed"]


def framed(
    wave: NDArray[np.float32], start: int, count: int, hop: int, width: int
) -> NDArray[np.float32]:
    """Frames centred on samples start, start + hop, ...: what is around them is heard too.

    Args:
        wave: [n]; silence lies before and after it.
        start: the sample that is in the middle of the first frame.
        count: frames.

    Returns:
        A read-only view [count, width].
    """
    first = start - width // 2
    end = first + (count - 1) * hop + width
    padded = np.pad(wave, (max(0, -first), max(0, end - len(wave))))
    windows = np.lib.stride_tricks.sliding_window_view(padded, width)
    return windows[max(0, first) :: hop][:count]
