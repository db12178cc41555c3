"""How far one rendering of a sentence is from another, in figures, and what is still admitted.

    mel_figures, wave_figures, duration_figures ─▶ Figures ─ merged, pooled ─▶ Figures ─ limits

Types only; each kind of figure is computed in a module of its own, pooling.py makes one of many,
limits.py compares with what is admitted.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Figures", "Limits"]


@dataclass(frozen=True)
class Figures:
    """One candidate against fp32, of one sentence or over several. None: not measured.

    Attributes:
        mel_mae, mel_max: of the normalised mel, durations forced to those of fp32.
        mel_lsd, mel_lsd_p99: log-spectral distance over mel bins, dB: mean and 99th percentile of
            frames.
        mcd: mel-cepstral distortion of 24 cepstra, dB, from the waves.
        lsd, lsd_p99: log-spectral distance of the waves' power spectra, dB.
        stft: multi-resolution spectral convergence plus log magnitude (Yamamoto et al. 2020).
        snr: of the wave, dB.
        pesq: wide band (ITU-T P.862.2), -0.5 to 4.64.
        stoi: 0 to 1.
        f0_correlation: over frames voiced in both, of log f0.
        duration_changes: fraction of symbols whose duration differs, free running.
        duration_largest: the largest of these differences, frames.
        syllable_errors: those that an offline recogniser hears beyond fp32's, fraction.
        broken: what makes the rendering unusable whatever the rest says (NaN, collapse), or "".
    """

    mel_mae: float | None = None
    mel_max: float | None = None
    mel_lsd: float | None = None
    mel_lsd_p99: float | None = None
    mcd: float | None = None
    lsd: float | None = None
    lsd_p99: float | None = None
    stft: float | None = None
    snr: float | None = None
    pesq: float | None = None
    stoi: float | None = None
    f0_correlation: float | None = None
    duration_changes: float | None = None
    duration_largest: int | None = None
    syllable_errors: float | None = None
    broken: str = ""


@dataclass(frozen=True)
class Limits:
    """What a candidate may cost in sound: the quality budget. None: not limited.

    Limits on the mean over sentences, but for `worst_*`, which no sentence may pass.
    """

    mel_mae: float | None = None
    mel_lsd_p99: float | None = None
    mcd: float | None = None
    lsd: float | None = None
    pesq: float | None = None
    stoi: float | None = None
    f0_correlation: float | None = None
    duration_changes: float | None = None
    duration_largest: int | None = None
    worst_mcd: float | None = None
    worst_pesq: float | None = None
