"""The fundamental frequency of a wave, and how far two waves agree on it.

YIN: A. de Cheveigné, H. Kawahara, "YIN, a fundamental frequency estimator for speech and music",
JASA 111(4), 2002. Numpy; soxr for waves far above what pitch needs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .spectra import frames

__all__ = ["f0_correlation", "f0_track"]

_RATE = 8000
_LOWEST, _HIGHEST = 60.0, 500.0
_WINDOW, _HOP = 0.025, 0.01
_APERIODIC = 0.2
_QUIET = 1e-4
_LEAST_FRAMES = 20
_SMOOTHED = 5
_SEMITONE = 1 / 12


def f0_correlation(
    reference: NDArray[np.float32], candidate: NDArray[np.float32], rate: int
) -> float | None:
    """Pearson's correlation of log f0 over frames voiced in both.

    Args:
        reference, candidate: waves [n] that begin together.
        rate: hertz.

    Returns:
        None where the reference has less than 0.2 s of voice or its pitch does not move. 0 where
        the candidate has lost most of the voice.
    """
    wanted, found = f0_track(reference, rate), f0_track(candidate, rate)
    both = (wanted > 0) & (found > 0)
    voiced = np.count_nonzero(wanted)
    if voiced < _LEAST_FRAMES or np.std(np.log(wanted[wanted > 0])) < 1e-3:
        return None
    if np.count_nonzero(both) < voiced / 2:
        return 0.0
    x = np.log2(wanted[both])
    y = _folded(np.log2(found[both]), x)
    x, y = x - x.mean(), y - y.mean()
    power = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / power if power > 1e-9 else 0.0


def f0_track(wave: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    """Hertz every 10 ms, between 60 and 500; 0 where there is no voice.

    Args:
        wave: [n].
        rate: hertz.

    Returns:
        [frames].
    """
    narrow, narrow_rate = _narrowed(wave, rate)
    longest = int(narrow_rate / _LOWEST) + 2
    width = round(_WINDOW * narrow_rate)
    pieces = frames(narrow, width + longest, round(_HOP * narrow_rate))
    difference, powers = _differences(pieces, width, longest)
    loudest = float(powers.max(initial=0))
    lags = _periods(difference, int(narrow_rate / _HIGHEST))
    hertz = np.where(lags > 0, narrow_rate / np.maximum(lags, 1), 0.0)
    hertz[powers <= _QUIET * loudest] = 0
    return _smoothed(hertz)


def _narrowed(wave: NDArray[np.float32], rate: int) -> tuple[NDArray[np.float32], int]:
    """At 8 kHz: all harmonics that pitch needs, in a fraction of the time."""
    if rate <= _RATE:
        return wave, rate
    import soxr

    return soxr.resample(wave, rate, _RATE), _RATE


def _differences(
    pieces: NDArray[np.float32], width: int, longest: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """YIN's difference function d(lag), lags 0 to `longest` [frames, lags]; powers [frames]."""
    wide = pieces.astype(np.float64)
    size = 1 << (wide.shape[1] - 1).bit_length()
    spectra = np.fft.rfft(wide, size)
    spectra *= np.fft.rfft(wide[:, :width], size).conj()
    products = np.fft.irfft(spectra, size)[:, : longest + 1]
    sums = np.pad(np.cumsum(wide**2, axis=1), ((0, 0), (1, 0)))
    powers = sums[:, width:] - sums[:, : longest + 1]
    return np.maximum(powers[:, :1] + powers - 2 * products, 0), powers[:, 0]


def _periods(difference: NDArray[np.float64], shortest: int) -> NDArray[np.float64]:
    """The period of each frame in samples, between samples by a parabola; 0: none."""
    lags = np.arange(1, difference.shape[1])
    sums = np.cumsum(difference[:, 1:], axis=1)
    normal = difference[:, 1:] * lags / np.maximum(sums, 1e-12)
    inner = normal[:, shortest - 1 : -1]
    dips = (inner < _APERIODIC) & (inner <= normal[:, shortest - 2 : -2])
    dips &= inner < normal[:, shortest:]
    rows = np.flatnonzero(dips.any(axis=1) & (sums[:, -1] > 0))
    places = dips[rows].argmax(axis=1) + shortest
    periods = np.zeros(len(difference))
    periods[rows] = places + _vertices(difference, rows, places)
    return periods


def _vertices(
    difference: NDArray[np.float64], rows: NDArray[np.intp], places: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Where the parabola through a dip and its neighbours is lowest, -0.5 to 0.5."""
    before, at, after = (difference[rows, places + shift] for shift in (-1, 0, 1))
    bend = np.maximum(before - 2 * at + after, 1e-12)
    return np.clip(0.5 * (before - after) / bend, -0.5, 0.5)


def _folded(y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Octaves `y` with whole octaves against `x` taken out.

    In a creaky frame the least rounding decides between a period and its double: measured, that
    alone took 0.02 off the correlation of waves that nobody tells apart.
    """
    octaves = np.round(y - x)
    return np.where(np.abs(y - x - octaves) < _SEMITONE, y - octaves, y)


def _smoothed(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median of five frames: an octave taken wrongly in one frame is not a melody."""
    padded = np.pad(hertz, _SMOOTHED // 2, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, _SMOOTHED)
    return np.where(hertz > 0, np.median(around, axis=1), 0.0)
