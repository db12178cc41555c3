"""Where figures of a certain voice have to lie, whatever the base has.

Steps within the tolerance add up unseen from one comparison to the next; a band stops them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sambert_trt.engines.errors import InputError

__all__ = ["Band", "band_from_entry"]

_DIGITS = 8
"""Of a digest: fewer would name several voices."""


@dataclass(frozen=True)
class Band:
    """The values that a metric may have.

    Attributes:
        metric: its name as it is measured.
        weights: how the digest of the voice's weights begins.
        least, most: in the metric's unit.
        why: where the limits come from.
    """

    metric: str
    weights: str
    least: float
    most: float
    why: str

    def holds(self, value: float) -> bool:
        """Whether a value lies in it; what is no number does not."""
        return self.least <= value <= self.most


def band_from_entry(path: Path, entry: Mapping[str, Any]) -> Band:
    """Reads one band of this file.

    Raises:
        InputError: a field is missing, misspelt or makes no sense.
    """
    name = entry.get("metric", "a band without a metric")
    if wrong := sorted(set(entry) ^ set(Band.__dataclass_fields__)):
        raise InputError(f"{path}: band of {name}: {', '.join(wrong)} missing or unknown")
    band = Band(**entry)
    if not isinstance(band.weights, str) or len(band.weights) < _DIGITS:
        raise InputError(
            f"{path}: band of {name}: weights {band.weights!r}; give {_DIGITS} digits or more"
        )
    ends = (band.least, band.most)
    if not all(isinstance(end, (int, float)) and math.isfinite(end) for end in ends):
        raise InputError(f"{path}: band of {name}: {ends[0]!r} to {ends[1]!r} are no numbers")
    if band.least > band.most:
        raise InputError(f"{path}: band of {name}: {band.least} to {band.most} holds nothing")
    return band
