"""The harmonic source of NSF voices, computed outside the graphs so that every backend agrees."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.manifest import F0Rule

__all__ = ["Excitation", "denormalised"]

_LOUD = np.float32(0.1)
_NOISE = np.float32(0.003)
_QUIET = np.float32(0.1 / 3 / 0.003)
_BLOCK = 32


def denormalised(mel: NDArray[np.float32], rule: F0Rule | None) -> NDArray[np.float32]:
    """Turns the last two channels of an NSF voice's frames [n, C] into hertz and {0, 1}.

    f0 = max(x * scale + offset, floor) in the rule's dtype; voiced from the rule's threshold on.
    Other voices' frames come back unchanged.
    """
    if rule is None:
        return mel
    out: NDArray[np.float32] = mel.copy()
    kind = np.dtype(rule.dtype).type
    hertz = (mel[:, -2].astype(kind) * kind(rule.scale) + kind(rule.offset)).astype(np.float32)
    out[:, -2] = np.maximum(hertz, np.float32(rule.floor))
    out[:, -1] = mel[:, -1] >= np.float32(rule.voiced_from)
    return out


class Excitation:
    """One sentence's source signal, in chunks of any size.

    The running phase is kept in float64 and rounded to float32 sample by sample, as torch's CPU
    cumsum does, so chunks and whole agree bit for bit and follow the original over any length.

    Args:
        rule: harmonics and sampling rate.
        weight, bias: the mixing layer, float32 [harmonics + 1] and [1].
        hop: samples per frame.
        seed: of the random phases and noise; None makes both zero.
    """

    def __init__(
        self,
        rule: F0Rule,
        weight: NDArray[np.float32],
        bias: NDArray[np.float32],
        hop: int,
        seed: int | tuple[int, ...] | None,
    ) -> None:
        self._rate, self._hop = np.float32(rule.sampling_rate), hop
        self._weight, self._bias = weight, bias
        count = rule.harmonics + 1
        self._multiples = np.arange(1, count + 1, dtype=np.float32)[:, None]
        self._running = np.zeros((count, 1))
        self._phase = np.zeros((count, 1), np.float32)
        self._noise = None if seed is None else np.random.default_rng(seed)
        if self._noise is not None:
            self._phase[1:, 0] = self._noise.uniform(-math.pi, math.pi, count - 1)

    def chunk(self, f0: NDArray[np.float32], voiced: NDArray[np.float32]) -> NDArray[np.float32]:
        """The next frames' f0 in hertz [n] and voicing in {0, 1} [n] -> samples [n * hop]."""
        pieces = [
            self._block(f0[start : start + _BLOCK], voiced[start : start + _BLOCK])
            for start in range(0, len(f0), _BLOCK)
        ]
        return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)

    def _block(self, f0: NDArray[np.float32], voiced: NDArray[np.float32]) -> NDArray[np.float32]:
        samples = len(f0) * self._hop
        step = np.repeat(f0[None] * self._multiples / self._rate, self._hop, axis=1)
        running = np.cumsum(np.concatenate([self._running, step], axis=1), axis=1)[:, 1:]
        self._running = running[:, -1:].copy()
        fraction = np.mod(running.astype(np.float32), np.float32(1))
        noise = np.zeros((len(self._multiples), samples), np.float32)
        if self._noise is not None:
            drawn = self._noise.standard_normal((samples, len(self._multiples)), np.float32)
            noise = drawn.T * _NOISE
        return self.mixed(fraction, np.repeat(voiced, self._hop), self._phase, noise)

    def mixed(
        self,
        fraction: NDArray[np.float32],
        voiced: NDArray[np.float32],
        phase: NDArray[np.float32],
        noise: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Phase fractions and noise [harmonics, n], voicing [n], phases [harmonics, 1] -> [n]."""
        loud = _LOUD * np.sin(np.float32(2 * math.pi) * fraction + phase) + noise
        harmonics = loud * voiced + _QUIET * noise * (1 - voiced)
        out: NDArray[np.float32] = np.tanh(self._weight @ harmonics + self._bias)
        return out
