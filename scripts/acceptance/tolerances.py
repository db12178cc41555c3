"""How far a card's results may be from ONNX Runtime's in fp32, and why. Standard library only.

No card was at hand when these were set. Those of fp16 are about ten times what ONNX Runtime's fp16
graphs of a trained voice differ by on a processor, which computes much of them in float32 (stages
5e-4 to 7e-3 and 54 to 73 dB, free-running steps 49 dB, mel 53 dB, wave 36 dB).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sambert_trt.engines.graphs import Precision

__all__ = ["CHUNKS", "MELS", "RUNS", "STEPS", "TF32", "WAVES", "Tolerance"]


@dataclass(frozen=True)
class Tolerance:
    """What is allowed.

    Attributes:
        relative: the largest difference, as a share of the tensor's largest magnitude.
        decibels: the least signal to error.
        reason: why so much.
    """

    relative: float
    decibels: float
    reason: str

    def admits(self, relative: float, decibels: float) -> bool:
        """Whether a measurement is within both."""
        return relative <= self.relative and decibels >= self.decibels

    def __str__(self) -> str:
        return f"{self.relative:g} of the largest value, {self.decibels:g} dB"


_FP32 = (
    "float32 rounds to 6e-8, and sums are taken in another order; TF32, which would round to 1e-3, "
    "is off in plans of this project"
)
_FP16 = "float16 rounds weights and every intermediate value to 5e-4"
_INT8 = "int8 rounds to 4e-3 of the largest value, layer after layer"

RUNS: Mapping[Precision, Tolerance] = {
    Precision.FP32: Tolerance(1e-4, 80, _FP32),
    Precision.FP16: Tolerance(3e-2, 40, _FP16),
    Precision.INT8: Tolerance(0.5, 15, _INT8),
}
"""One run of a stage on the same inputs."""

STEPS: Mapping[Precision, Tolerance] = {
    Precision.FP32: Tolerance(1e-3, 60, f"{_FP32}; each step goes on from the last one's rounding"),
    Precision.FP16: Tolerance(5e-2, 35, f"{_FP16}, and the state that goes from step to step"),
    Precision.INT8: Tolerance(1.0, 10, f"{_INT8}; each step goes on from the last one's rounding"),
}
"""Hundreds of steps that run freely, their state on the card."""

CHUNKS: Mapping[Precision, Tolerance] = {
    Precision.FP32: Tolerance(1e-3, 60, "other shapes may take other kernels: float32 rounding"),
    Precision.FP16: Tolerance(5e-2, 35, "other shapes may take other kernels: float16 rounding"),
    Precision.INT8: Tolerance(0.3, 20, "other shapes may take other kernels: int8 rounding"),
}
"""Speech in chunks, and the same speech whole, both from the card."""

MELS: Mapping[Precision, Tolerance] = {
    Precision.FP32: Tolerance(1e-2, 60, f"{_FP32}; six stages follow each other"),
    Precision.FP16: Tolerance(
        6e-2, 35, f"{_FP16}; rounded on a processor, a trained voice differs by 0.064 of 3 at most"
    ),
    Precision.INT8: Tolerance(1.0, 8, f"{_INT8}; six stages follow each other"),
}
"""A whole sentence's mel, where durations are the same."""

WAVES: Mapping[Precision, Tolerance] = {
    Precision.FP32: Tolerance(1e-2, 50, f"{_FP32}; the vocoder follows the mel's differences"),
    Precision.FP16: Tolerance(
        0.4, 15, f"{_FP16}; a vocoder makes up phases, and makes up others from another mel"
    ),
    Precision.INT8: Tolerance(1.0, 3, f"{_INT8}; a vocoder makes up phases"),
}
"""A whole sentence's wave, where no phase is summed up."""

TF32 = Tolerance(5e-2, 30, "ONNX Runtime's CUDA provider rounds to TF32, 1e-3, unless told not to")
"""Speech by ONNX Runtime's CUDA provider."""
