"""Short-time spectra of waves: powers, mel bands, cepstra.

Numpy only.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["CEPSTRA", "cepstra", "decibels", "frames", "mel_bands", "power_spectra"]

CEPSTRA = 24
"""How many mel-cepstra describe an envelope, the level (number 0) not counted."""

_BANDS = 80
_WINDOW = 0.05
_HOP = 0.0125


def frames(wave: NDArray[np.float32], window: int, hop: int) -> NDArray[np.float32]:
    """Frames centred at 0, hop, 2 hop, ... of a wave with silence around it.

    Args:
        wave: [n].

    Returns:
        A read-only view [n // hop + 1, window].
    """
    padded = np.pad(wave, (window // 2, window - window // 2))
    return np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]


def power_spectra(
    wave: NDArray[np.float32], rate: int, window: float = _WINDOW, hop: float = _HOP
) -> NDArray[np.float32]:
    """Squared magnitudes of Hann-windowed frames.

    Args:
        wave: [n].
        rate: hertz.
        window, hop: seconds; the transform is of the next power of two.

    Returns:
        [frames, bins], bins from 0 to half the rate.
    """
    width, step = round(window * rate), max(1, round(hop * rate))
    taper = np.hanning(width + 1)[:-1].astype(np.float32)
    spectra = np.fft.rfft(frames(wave, width, step) * taper, 1 << (width - 1).bit_length())
    return (spectra.real**2 + spectra.imag**2).astype(np.float32, copy=False)


def mel_bands(powers: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Powers in 80 bands of equal width in mel, from 0 to half the rate.

    Triangles over the scale 2595 log10(1 + f / 700) (D. O'Shaughnessy, Speech Communication, 1987).

    Args:
        powers: [frames, bins], see `power_spectra`.

    Returns:
        [frames, 80].
    """
    return powers @ _triangles(rate, powers.shape[1])


def cepstra(bands: NDArray[np.float32], floor: float) -> NDArray[np.float32]:
    """Mel-cepstra 1 to 24: ln amplitude = c0 + sum of c_m cos(pi m (band + 1/2) / bands).

    Args:
        bands: powers [frames, bands].
        floor: the least power that is told from silence.

    Returns:
        [frames, 24].
    """
    count = bands.shape[1]
    angles = np.pi * np.outer(np.arange(count) + 0.5, np.arange(1, CEPSTRA + 1)) / count
    basis = (2 / count * np.cos(angles)).astype(np.float32)
    found: NDArray[np.float32] = 0.5 * np.log(np.maximum(bands, floor)) @ basis
    return found


def decibels(powers: NDArray[np.float32], floor: float) -> NDArray[np.float32]:
    """10 log10 of powers, none below `floor`."""
    levels: NDArray[np.float32] = 10 * np.log10(np.maximum(powers, floor))
    return levels


@lru_cache(maxsize=8)
def _triangles(rate: int, bins: int) -> NDArray[np.float32]:
    """Weights [bins, 80]."""
    top = 2595 * np.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, _BANDS + 2) / 2595) - 1)
    heard = np.linspace(0, rate / 2, bins)[:, None]
    rising = (heard - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - heard) / (edges[2:] - edges[1:-1])
    weights: NDArray[np.float32] = np.clip(np.minimum(rising, falling), 0, None).astype(np.float32)
    return weights
