"""How far durations are from fp32's.

Numpy only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .damage import check_pair
from .figures import Figures

__all__ = ["duration_figures"]


def duration_figures(reference: NDArray[np.int64], candidate: NDArray[np.int64]) -> Figures:
    """duration_changes and duration_largest.

    Args:
        reference, candidate: frames per symbol [symbols].

    Raises:
        GraphError: the shapes differ.
    """
    check_pair("duration", reference, candidate)
    if not reference.size:
        return Figures()
    gap = np.abs(candidate - reference)
    return Figures(
        duration_changes=float((gap > 0).mean()),
        duration_largest=int(gap.max()),
    )
