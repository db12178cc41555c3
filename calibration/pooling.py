"""Many figures become one: those of one sentence, those of all sentences, the worst.

Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from sambert_trt.engines.errors import InputError

from .assessment import Worst
from .figures import Figures

__all__ = ["BETTER_HIGH", "MEASURES", "merged", "pooled", "worst"]

MEASURES = tuple(field.name for field in fields(Figures) if field.name != "broken")
"""The names of figures that are numbers."""

BETTER_HIGH = frozenset({"snr", "pesq", "stoi", "f0_correlation"})
"""Figures that grow with quality; all others grow with the damage."""

_LARGEST = frozenset({"mel_max", "duration_largest"})
_PER_SYMBOL = frozenset({"duration_changes", "syllable_errors"})


def merged(*figures: Figures) -> Figures:
    """Several measurements of the same rendering as one: of each figure the first one measured."""
    values: dict[str, Any] = {}
    for name in MEASURES:
        found = [value for part in figures if (value := getattr(part, name)) is not None]
        values[name] = found[0] if found else None
    return Figures(**values, broken="; ".join(part.broken for part in figures if part.broken))


def pooled(sentences: Sequence[Figures], symbols: Sequence[int] | None = None) -> Figures:
    """The figures of all sentences together.

    Means over the sentences that were measured; of `mel_max` and `duration_largest` the largest.
    `broken` tells of the first sentence that is, by its number from 0.

    Args:
        symbols: how many symbols each sentence has: duration changes and syllable errors are
            fractions of all symbols, not means of fractions.

    Raises:
        InputError: not one count per sentence.
    """
    if symbols is not None and len(symbols) != len(sentences):
        raise InputError(
            f"{len(symbols)} counts of symbols for {len(sentences)} sentences: give one for each"
        )
    values: dict[str, Any] = {name: _pooled_value(name, sentences, symbols) for name in MEASURES}
    damages = (
        f"sentence {number}: {figures.broken}"
        for number, figures in enumerate(sentences)
        if figures.broken
    )
    return Figures(**values, broken=next(damages, ""))


def worst(sentences: Sequence[Figures], texts: Sequence[str]) -> dict[str, Worst]:
    """By the name of each figure that was measured, the sentence that suffers most.

    Args:
        texts: one for each sentence.

    Raises:
        InputError: not one text per sentence.
    """
    if len(texts) != len(sentences):
        raise InputError(
            f"{len(texts)} texts for {len(sentences)} judged sentences: give one for each"
        )
    found = dict[str, Worst]()
    for name in MEASURES:
        values = _measured(name, sentences)
        if values:
            choose = min if name in BETTER_HIGH else max
            wrong = [number for number, value in values.items() if math.isnan(value)]
            number = wrong[0] if wrong else choose(values, key=lambda number: values[number])
            found[name] = Worst(number, texts[number], float(values[number]))
    return found


def _pooled_value(
    name: str, sentences: Sequence[Figures], symbols: Sequence[int] | None
) -> float | None:
    values = _measured(name, sentences)
    if not values:
        return None
    if name in _LARGEST:
        wrong = [value for value in values.values() if math.isnan(value)]
        largest: float = wrong[0] if wrong else max(values.values())
        return largest
    weighted = symbols if name in _PER_SYMBOL else None
    weights = {number: weighted[number] if weighted else 1 for number in values}
    total = sum(weights.values())
    mean: float = sum(weights[number] * value for number, value in values.items()) / total
    return mean


def _measured(name: str, sentences: Sequence[Figures]) -> dict[int, Any]:
    """A figure by the number of the sentence, where it was measured."""
    values = ((number, getattr(figures, name)) for number, figures in enumerate(sentences))
    return {number: value for number, value in values if value is not None}
