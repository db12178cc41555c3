"""Which units of a voice's tables training had too seldom to learn them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.manifest import EMOTION_FIELD
from sambert_trt.export.config import Vocabulary
from sambert_trt.export.phone_sets import MASK, RESERVED

__all__ = ["untrained_units"]

_LEAST = 1e-4
"""The share of all symbols that a name has to have, to count as learned."""

_EVERYWHERE = {"sy": ("#1", "#2")}
"""Training puts these between words by chance, whatever the corpus has."""


def untrained_units(
    vocabulary: Vocabulary, lines: Iterable[NDArray[np.integer]], emotions: Iterable[str]
) -> dict[str, list[str]]:
    """The names that less than one symbol in ten thousand had, by field of a symbol.

    Padding, end and mask rows are left out.

    Args:
        vocabulary: the voice's tables.
        lines: the ids [N, 4] of every sentence that was trained on.
        emotions: full names of the emotions that were trained on.
    """
    fields = list(vocabulary.units)
    seen = [np.zeros(len(vocabulary.units[field]), np.int64) for field in fields]
    for ling in lines:
        for column, counts in enumerate(seen):
            np.add.at(counts, ling[:, column], 1)
    found = {
        field: _unseen(
            names,
            {n for n, count in zip(names, counts, strict=True) if count > _LEAST * counts.sum()},
            _EVERYWHERE.get(field),
        )
        for (field, names), counts in zip(vocabulary.units.items(), seen, strict=True)
    }
    return found | {EMOTION_FIELD: _unseen(vocabulary.emotions, set(emotions))}


def _unseen(names: Iterable[str], seen: set[str], always: Iterable[str] | None = None) -> list[str]:
    known = seen | {*RESERVED, MASK, *(always or ())}
    return [name for name in names if name not in known]
