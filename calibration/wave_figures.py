"""How far a wave is from fp32's.

Numpy; see perception.py for what needs further packages.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .damage import wave_damage
from .figures import Figures
from .perception import pesq_score, stoi_score
from .pitch import f0_correlation
from .spectra import cepstra, decibels, mel_bands, power_spectra

__all__ = ["SNR_BEST", "stft_loss", "wave_figures"]

SNR_BEST = 150.0
"""The largest SNR that is told from identity, dB: beyond what float32 samples resolve."""

_CEPSTRAL_DB = 10 / math.log(10) * math.sqrt(2)
_SILENCE = 1e-4
_DEPTH = 1e-6
_RESOLUTIONS = ((0.025, 0.005), (0.05, 0.01), (0.01, 0.002))


def wave_figures(
    reference: NDArray[np.float32], candidate: NDArray[np.float32], rate: int
) -> Figures:
    """snr, mcd, lsd, lsd_p99, stft, pesq, stoi, f0_correlation and broken.

    Mel-cepstral distortion is (10 / ln 10) sqrt(2 sum of squared differences) of cepstra 1 to 24
    (R. F. Kubichek, "Mel-cepstral distance measure for objective speech quality assessment", PACRIM
    1993), here of 80 mel bands: the root mean square in dB between two smoothed envelopes, level
    aside. It and the log-spectral distance average over frames that sound in either wave (down to
    40 dB below the loudest of fp32's), 50 ms wide and 12.5 ms apart; what lies 60 dB below fp32's
    loudest band or bin counts as silence.

    Args:
        reference, candidate: [n], full scale 1, sample by sample in time.
        rate: hertz.

    Returns:
        Nothing measured where there are no samples or fp32 is silent; only `broken` where samples
        are not finite.

    Raises:
        GraphError: the shapes differ, or the reference is not finite.
    """
    broken = wave_damage(reference, candidate, rate)
    if not reference.any() or not np.isfinite(candidate).all():
        return Figures(broken=broken)
    mcd, distances = _spectral_distances(reference, candidate, rate)
    return Figures(
        mcd=mcd,
        lsd=float(distances.mean()),
        lsd_p99=float(np.percentile(distances, 99)),
        stft=stft_loss(reference, candidate, rate),
        snr=_snr(reference, candidate),
        pesq=pesq_score(reference, candidate, rate),
        stoi=stoi_score(reference, candidate, rate),
        f0_correlation=f0_correlation(reference, candidate, rate),
        broken=broken,
    )


def stft_loss(reference: NDArray[np.float32], candidate: NDArray[np.float32], rate: int) -> float:
    """Spectral convergence plus mean absolute difference of ln magnitudes, over 3 resolutions.

    R. Yamamoto, E. Song, J.-M. Kim, "Parallel WaveGAN", ICASSP 2020: windows of 25, 50 and 10 ms,
    steps of 5, 10 and 2 ms.
    """
    return float(
        np.mean([_stft_term(reference, candidate, rate, *times) for times in _RESOLUTIONS])
    )


def _stft_term(
    reference: NDArray[np.float32],
    candidate: NDArray[np.float32],
    rate: int,
    window: float,
    hop: float,
) -> float:
    x, y = (
        np.sqrt(np.maximum(power_spectra(wave, rate, window, hop), 1e-7))
        for wave in (reference, candidate)
    )
    return float(np.linalg.norm(x - y) / np.linalg.norm(x) + np.abs(np.log(x / y)).mean())


def _spectral_distances(
    reference: NDArray[np.float32], candidate: NDArray[np.float32], rate: int
) -> tuple[float, NDArray[np.float32]]:
    """Mel-cepstral distortion, and the log-spectral distance of each sounding frame."""
    x, y = (power_spectra(wave, rate) for wave in (reference, candidate))
    bands = [mel_bands(powers, rate) for powers in (x, y)]
    levels = [band.sum(axis=1) for band in bands]
    sounding = np.maximum(*levels) > _SILENCE * levels[0].max()
    floor = _DEPTH * float(bands[0].max())
    gap = np.subtract(*(cepstra(band[sounding], floor) for band in bands))
    mcd = _CEPSTRAL_DB * float(np.sqrt(np.square(gap).sum(axis=1)).mean())
    floor = _DEPTH * float(x.max())
    gap = decibels(x[sounding], floor) - decibels(y[sounding], floor)
    return mcd, np.sqrt(np.square(gap).mean(axis=1))


def _snr(reference: NDArray[np.float32], candidate: NDArray[np.float32]) -> float:
    signal = reference.astype(np.float64)
    noise = float(np.square(candidate - signal).sum())
    power = float(np.square(signal).sum())
    return min(float(10 * np.log10(power / noise)), SNR_BEST) if noise else SNR_BEST
