"""How far a mel is from fp32's.

Numpy only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .damage import mel_damage
from .figures import Figures

__all__ = ["DB_PER_UNIT", "mel_figures"]

DB_PER_UNIT = 12.0
"""What one unit of a normalised mel is in dB, about.

KAN-TTS trains on (20 log10(mel) - 20 + 100) / 100, less its mean, over its standard deviation per
channel. So a unit is 100 deviations in dB, but the deviations stay with the training set. Estimates
for the voice zhitian_emo give 4 to 16 dB per channel, mean 12.5: figures in dB are good to about a
quarter. Where the deviations are known, pass 100 times them, per channel.
"""


def mel_figures(
    reference: NDArray[np.float32],
    candidate: NDArray[np.float32],
    db_per_unit: float | NDArray[np.floating] = DB_PER_UNIT,
) -> Figures:
    """mel_mae, mel_max, mel_lsd, mel_lsd_p99 and broken.

    The log-spectral distance of a frame is the root of the mean over channels of the squared
    difference in dB (A. H. Gray, J. D. Markel, IEEE Trans. ASSP 24(5), 1976).

    Args:
        reference, candidate: normalised mels [frames, channels].
        db_per_unit: dB per unit, of all channels or each [channels].

    Returns:
        Nothing measured where there are no frames; only `broken` where values are not finite.

    Raises:
        GraphError: the shapes differ, or the reference is not finite.
    """
    broken = mel_damage(reference, candidate)
    if not reference.size or not np.isfinite(candidate).all():
        return Figures(broken=broken)
    gap = np.abs(candidate.astype(np.float64) - reference)
    distance = np.sqrt(np.square(gap * db_per_unit).mean(axis=1))
    return Figures(
        mel_mae=float(gap.mean()),
        mel_max=float(gap.max()),
        mel_lsd=float(distance.mean()),
        mel_lsd_p99=float(np.percentile(distance, 99)),
        broken=broken,
    )
