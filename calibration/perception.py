"""Models of hearing, where their packages are installed: PESQ and STOI.

May import pesq, pystoi and soxr inside functions; pesq and pystoi are optional.
"""

from __future__ import annotations

import importlib
import logging
from functools import lru_cache
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAST_SECONDS", "pesq_score", "resampled_wave", "stoi_score"]

_LOG = logging.getLogger(__name__)

LEAST_SECONDS = 0.5
"""Shorter waves hold too few of the frames that both models average over."""

_PESQ_RATE, _STOI_RATE = 16000, 10000
_STOI_FRAMES = 32
_LEADS = (0, 400, 1600)
"""Samples of silence before both waves. PESQ aligns them and now and then errs: the same pair of a
sentence of 1.8 s, 32 dB apart, scored 2.85 from its beginning and 4.24 to 4.39 with other leads."""


def pesq_score(
    reference: NDArray[np.float32], candidate: NDArray[np.float32], rate: int
) -> float | None:
    """Wide-band PESQ (ITU-T P.862.2) at 16 kHz, the median over a few leads of silence.

    Args:
        reference, candidate: waves [n].
        rate: hertz; others than 16000 are resampled.

    Returns:
        None where pesq is not installed, below 0.5 s, or where PESQ finds no utterance.
    """
    package = _optional("pesq")
    if package is None or len(reference) < LEAST_SECONDS * rate or not candidate.any():
        return None
    pair = [resampled_wave(wave, rate, _PESQ_RATE) for wave in (reference, candidate)]
    try:
        scores = [
            package.pesq(_PESQ_RATE, *(np.pad(wave, (lead, 0)) for wave in pair), "wb")
            for lead in _LEADS
        ]
        return float(np.median(scores))
    except (package.NoUtterancesError, package.BufferTooShortError):
        return None


def stoi_score(
    reference: NDArray[np.float32], candidate: NDArray[np.float32], rate: int
) -> float | None:
    """Short-time objective intelligibility (Taal et al., ICASSP 2010), 0 to 1.

    Args:
        reference, candidate: waves [n].
        rate: hertz; others than 10000 are resampled.

    Returns:
        None where pystoi is not installed, below 0.5 s, or with less than 0.4 s above silence.
    """
    package = _optional("pystoi")
    if package is None or len(reference) < LEAST_SECONDS * rate or not reference.any():
        return None
    pair = [resampled_wave(wave, rate, _STOI_RATE) for wave in (reference, candidate)]
    if _sounding(pair[0]) < _STOI_FRAMES:
        return None
    return float(package.stoi(*pair, _STOI_RATE))


def _sounding(wave: NDArray[np.float32]) -> int:
    """How many frames STOI keeps: those down to 40 dB below the loudest."""
    pieces = np.lib.stride_tricks.sliding_window_view(wave, 256)[::128]
    powers = np.square(pieces * np.hanning(258)[1:-1]).sum(axis=1)
    return int(np.count_nonzero(powers > 1e-4 * powers.max()))


@lru_cache(maxsize=2)
def _optional(name: str) -> ModuleType | None:
    """A package that may be missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        _LOG.info("%s is not used: %s", name, error)
        return None


def resampled_wave(wave: NDArray[np.float32], rate: int, wanted: int) -> NDArray[np.float32]:
    """A wave [n] of `rate` hertz at `wanted` hertz."""
    if rate == wanted:
        return wave
    import soxr

    found: NDArray[np.float32] = soxr.resample(wave, rate, wanted)
    return found
