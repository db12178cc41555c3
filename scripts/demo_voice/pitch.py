"""The fundamental frequency of speech at every frame, and where there is voice.

P. Boersma, "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise
ratio of a sampled sound", Proc. Institute of Phonetic Sciences 17, 1993: peaks of the windowed
autocorrelation divided by that of the window, and the path through them that costs least. Numpy
only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .framing import framed

__all__ = ["Contour", "PitchSearch", "contour_from_wave"]


@dataclass(frozen=True)
class PitchSearch:
    """What is taken for pitch; costs are on the scale of a correlation, 0 to 1.

    Attributes:
        lowest, highest: hertz.
        band: hertz; what lies above is not listened to: harmonics are below, hiss above.
        window: seconds.
        voiced: the correlation that speaks for voice in a loud frame.
        silent: the loudness, as a share of the wave's peak, below which voice is doubted.
        octave: what an octave down costs a candidate.
        jump: what an octave between neighbouring frames costs.
        change: what voice to silence, or back, costs.
        candidates: of a frame.
    """

    lowest: float = 75.0
    highest: float = 500.0
    band: float = 800.0
    window: float = 0.03
    voiced: float = 0.45
    silent: float = 0.05
    octave: float = 0.03
    jump: float = 1.5
    change: float = 0.4
    candidates: int = 8

    def shifted(self, by: float) -> PitchSearch:
        """The same for speech that is `by` times as high and as fast."""
        return replace(
            self,
            lowest=self.lowest * by,
            highest=self.highest * by,
            band=self.band * by,
            window=self.window / by,
        )


@dataclass(frozen=True)
class Contour:
    """Pitch over time.

    Attributes:
        f0: hertz float32 [F], through unvoiced frames on a straight line between their neighbours;
            0 everywhere where nothing is voiced.
        voiced: bool [F].
    """

    f0: NDArray[np.float32]
    voiced: NDArray[np.bool_]


def contour_from_wave(
    wave: NDArray[np.float32],
    start: int,
    count: int,
    hop: int,
    rate: int,
    search: PitchSearch = PitchSearch(),
) -> Contour:
    """The pitch at samples start, start + hop, ... of a wave.

    Args:
        wave: [n].
        count: F, frames.
        rate: hertz.
    """
    low = _low_passed(wave, rate, search.band)
    pieces = framed(low, start, count, hop, round(search.window * rate))
    hertz, strength = _candidates(pieces, rate, search)
    loudness = np.abs(pieces).max(axis=1, initial=0) / max(float(np.abs(low).max(initial=0)), 1e-9)
    doubt = 2 - loudness * (1 + search.voiced) / search.silent
    unvoiced = search.voiced + np.maximum(0, doubt)
    hertz, strength = (
        np.column_stack([np.zeros(count), hertz]),
        np.column_stack([unvoiced, strength]),
    )
    return _interpolated(hertz[np.arange(count), _path(hertz, strength, search)])


def _low_passed(wave: NDArray[np.float32], rate: int, band: float) -> NDArray[np.float32]:
    """The wave with all above `band` hertz faded out over half an octave."""
    hertz = np.fft.rfftfreq(len(wave), 1 / rate)
    fade = np.clip(1 - 2 * np.log2(np.maximum(hertz, band) / band), 0, 1)
    return np.fft.irfft(np.fft.rfft(wave) * fade, len(wave)).astype(np.float32)


def _interpolated(hertz: NDArray[np.float64]) -> Contour:
    voiced = hertz > 0
    if not voiced.any():
        return Contour(np.zeros(len(hertz), np.float32), voiced)
    places = np.flatnonzero(voiced)
    f0 = np.interp(np.arange(len(hertz)), places, hertz[places])
    return Contour(f0.astype(np.float32), voiced)


def _candidates(
    pieces: NDArray[np.float32], rate: int, search: PitchSearch
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The best peaks of each frame: hertz and strength [F, candidates]; strength -inf: none."""
    first, last = int(rate / search.highest), int(np.ceil(rate / search.lowest))
    correlation = _correlation(pieces, last + 1)
    before, here, after = (correlation[:, first + s : last + s + 1] for s in (-1, 0, 1))
    bend = np.maximum(2 * here - before - after, 1e-9)
    shift = 0.5 * (after - before) / bend
    lag = np.arange(first, last + 1) + np.clip(shift, -0.5, 0.5)
    height = np.minimum(here + 0.25 * (after - before) * shift, 1.0)
    strength = height - search.octave * np.log2(search.highest * lag / rate)
    strength = np.where((here > before) & (here >= after) & (here > 0), strength, -np.inf)
    best = np.argpartition(-strength, search.candidates, axis=1)[:, : search.candidates]
    rows = np.arange(len(pieces))[:, None]
    return rate / lag[rows, best], strength[rows, best]


def _correlation(pieces: NDArray[np.float32], lags: int) -> NDArray[np.float64]:
    """Normalised autocorrelation [F, lags + 1] at lags 0, 1, ..."""
    width = pieces.shape[1]
    taper = np.hanning(width + 2)[1:-1]
    size = 1 << (2 * width - 1).bit_length()
    centred = (pieces - pieces.mean(axis=1, keepdims=True)) * taper
    spectra = np.fft.rfft(np.vstack([centred, taper]), size)
    products = np.fft.irfft(spectra.real**2 + spectra.imag**2, size)[:, : lags + 1]
    normal = products / np.maximum(products[:, :1], 1e-12)
    result: NDArray[np.float64] = normal[:-1] / normal[-1]
    return result


def _path(
    hertz: NDArray[np.float64], strength: NDArray[np.float64], search: PitchSearch
) -> NDArray[np.intp]:
    """The candidate [F] of each frame on the best path; number 0 is no voice (Viterbi)."""
    voiced = hertz > 0
    octaves = np.log2(np.where(voiced, hertz, 1.0))
    score, origin = strength[0], np.zeros(hertz.shape, np.intp)
    for t in range(1, len(hertz)):
        jump = search.jump * np.abs(octaves[t] - octaves[t - 1][:, None])
        both = voiced[t] & voiced[t - 1][:, None]
        change = search.change * (voiced[t] != voiced[t - 1][:, None])
        total = score[:, None] - np.where(both, jump, change)
        origin[t] = total.argmax(axis=0)
        score = total.max(axis=0) + strength[t]
    path = np.empty(len(hertz), np.intp)
    path[-1] = score.argmax()
    for t in range(len(hertz) - 1, 0, -1):
        path[t - 1] = origin[t, path[t]]
    return path
