"""What makes a rendering unusable whatever its figures say: NaN, silence, clipping, collapse.

Numpy only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.errors import GraphError

from .spectra import decibels, mel_bands, power_spectra

__all__ = ["check_pair", "mel_damage", "wave_damage"]

_MOVES = 0.05
"""The least part of fp32's variance over time that is still speech: rounding keeps 0.9 and more."""

_QUIETER = 30.0
_FULL_SCALE = 0.999
_CLIPPED = 1e-3
_BLOCK = 8


def mel_damage(reference: NDArray[np.float32], candidate: NDArray[np.float32]) -> str:
    """What is wrong with a mel, in words; "": nothing.

    Args:
        reference, candidate: normalised [frames, channels].

    Raises:
        GraphError: the shapes differ, or fp32's own mel is not finite.
    """
    check_pair("mel", reference, candidate)
    return _not_finite("mel", candidate) or _stands_still("mel", reference, candidate)


def wave_damage(reference: NDArray[np.float32], candidate: NDArray[np.float32], rate: int) -> str:
    """What is wrong with a wave, in words; "": nothing.

    Args:
        reference, candidate: [n], full scale 1.
        rate: hertz.

    Raises:
        GraphError: the shapes differ, or fp32's own wave is not finite.
    """
    check_pair("wave", reference, candidate)
    return (
        _not_finite("wave", candidate)
        or _silent(reference, candidate)
        or _clipped(reference, candidate)
        or _stands_still("wave", _movement(reference, rate), _movement(candidate, rate))
    )


def check_pair(what: str, reference: NDArray[np.generic], candidate: NDArray[np.generic]) -> None:
    """Refuses what cannot be compared.

    Raises:
        GraphError: the shapes differ, or fp32's own values are not finite.
    """
    if reference.shape != candidate.shape:
        raise GraphError(
            f"a {what} of shape {list(candidate.shape)} cannot be compared with fp32's of shape "
            f"{list(reference.shape)}: compare at the same durations"
        )
    if not np.isfinite(reference).all():
        raise GraphError(
            f"fp32's own {what} is not finite: the voice's weights hold NaN or overflow; "
            "export it again from an intact checkpoint"
        )


def _not_finite(what: str, candidate: NDArray[np.float32]) -> str:
    wrong = candidate.size - np.count_nonzero(np.isfinite(candidate))
    if not wrong:
        return ""
    kind = "NaN" if np.isnan(candidate).any() else "infinity"
    return f"{kind} in the {what}: {wrong} of {candidate.size} values"


def _silent(reference: NDArray[np.float32], candidate: NDArray[np.float32]) -> str:
    wanted, found = _level(reference), _level(candidate)
    return f"silent: {found:.0f} dB against {wanted:.0f} dB" if found < wanted - _QUIETER else ""


def _level(wave: NDArray[np.float32]) -> float:
    """Root mean square in dB of full scale, without the mean, not below -120."""
    return float(20 * np.log10(max(np.std(wave, dtype=np.float64), 1e-6))) if wave.size else -120.0


def _clipped(reference: NDArray[np.float32], candidate: NDArray[np.float32]) -> str:
    wanted, found = (
        np.count_nonzero(np.abs(wave) >= _FULL_SCALE) / max(wave.size, 1)
        for wave in (reference, candidate)
    )
    if found <= wanted + _CLIPPED:
        return ""
    return f"clipping: {found:.1%} of samples at full scale, {wanted:.1%} in fp32"


def _stands_still(what: str, reference: NDArray[np.float32], candidate: NDArray[np.float32]) -> str:
    """Rows over time that have lost their movement: a constant, a buzz, even noise."""
    wanted, found = _variance(reference), _variance(candidate)
    if wanted < 1e-6 or found >= _MOVES * wanted:
        return ""
    return f"collapsed: the {what} keeps {found / wanted:.1%} of its variance over time"


def _variance(rows: NDArray[np.float32]) -> float:
    return float(rows.var(axis=0, dtype=np.float64).mean()) if len(rows) > 1 else 0.0


def _movement(wave: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Mel bands in dB of 0.1 s each, in which even noise stands still.

    Each against the wave's own peak, 60 dB deep. Nothing where the wave is shorter than 0.5 s.
    """
    bands = mel_bands(power_spectra(wave, rate), rate)
    whole = len(bands) // _BLOCK
    if whole < 5:
        return np.zeros((0, bands.shape[1]), np.float32)
    blocks = bands[: whole * _BLOCK].reshape(whole, _BLOCK, -1).mean(axis=1)
    return decibels(blocks, max(float(blocks.max()) * 1e-6, 1e-12))
