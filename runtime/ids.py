"""A sentence given as ids instead of names. Numpy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.errors import InputError
from sambert_trt.engines.manifest import VoiceManifest

from .text.sentence import Sentence, Symbol
from .text.symbols import fields_from_units

__all__ = ["Ids", "sentence_from_ids"]


@dataclass(frozen=True)
class Ids:
    """A sentence as ids: units [N, fields], and emotion and speaker [N] or None for the style's."""

    units: NDArray[np.integer[Any]]
    emotion: NDArray[np.integer[Any]] | None = None
    speaker: NDArray[np.integer[Any]] | None = None


def sentence_from_ids(ids: Ids, manifest: VoiceManifest) -> Sentence:
    """The sentence whose names stand at these ids in the voice's tables.

    Raises:
        InputError: another shape or dtype, or an id the voice does not have.
    """
    fields = fields_from_units(manifest.units)
    units = np.asarray(ids.units)
    if not np.issubdtype(units.dtype, np.integer):
        raise InputError(f"ids are {units.dtype}: needs whole numbers")
    if units.ndim != 2 or units.shape[1] != len(fields):
        raise InputError(
            f"ids have shape {units.shape}: needs [symbols, {len(fields)}] for {', '.join(fields)}"
        )
    columns = [_names(units[:, i], manifest.units[field], field) for i, field in enumerate(fields)]
    emotions = _optional_names(ids.emotion, manifest.emotions, "emotion", len(units))
    speakers = _optional_names(ids.speaker, manifest.speakers, "speaker", len(units))
    rows = zip(zip(*columns, strict=True), emotions, speakers, strict=True)
    return Sentence("", tuple(Symbol(tuple(u), e, s or None) for u, e, s in rows))


def _names(ids: NDArray[np.integer[Any]], names: tuple[str, ...], field: str) -> list[str]:
    for position, i in enumerate(ids.tolist(), start=1):
        if not 0 <= i < len(names):
            raise InputError(
                f"{field} id {i} at symbol {position}: this voice has 0 to {len(names) - 1}"
            )
    return [names[i] for i in ids.tolist()]


def _optional_names(
    ids: NDArray[np.integer[Any]] | None, names: tuple[str, ...], field: str, count: int
) -> list[str | None]:
    if ids is None:
        return [None] * count
    if np.shape(ids) != (count,):
        raise InputError(f"{field} ids have shape {np.shape(ids)}: needs ({count},)")
    return list(_names(np.asarray(ids), names, field))
