"""What was recorded is asked again, and whether the answer is the same.

Runtime and numpy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import closing

import numpy as np

from sambert_trt.runtime.backend import Array, Session

from .recording import Sample

__all__ = ["OutputDigest", "digest_of", "replayed"]


def replayed(session: Session, sample: Sample) -> dict[str, Array]:
    """Asks a stage again what it was asked when the sample was recorded.

    Returns:
        A run's outputs; of a sequence RETURNED outputs, stacked along a leading axis of steps.
    """
    if not sample.lengths:
        return session.run(sample.inputs)
    with closing(session.steps(sample.sizes)) as steps:
        if sample.state:
            steps.resume(sample.state, None)
        if sample.rows is not None:
            steps.extend(sample.rows)
        calls = [steps.advance(inputs) for inputs in _calls(sample)]
    return {name: np.concatenate([call[name] for call in calls]) for name in calls[0]}


def digest_of(outputs: Mapping[str, Array]) -> str:
    """The sha256 of arrays, in the order of their names."""
    digest = OutputDigest()
    digest.update(outputs)
    return digest.text


class OutputDigest:
    """The sha256 of arrays by name, each of which may come in pieces."""

    def __init__(self) -> None:
        self._hashes: dict[str, hashlib._Hash] = {}

    def update(self, arrays: Mapping[str, Array]) -> None:
        """Adds a piece of each."""
        for name, array in arrays.items():
            hashed = self._hashes.setdefault(name, hashlib.sha256())
            hashed.update(np.ascontiguousarray(array).data)

    @property
    def text(self) -> str:
        """The digest in hexadecimal."""
        parts = [f"{name}:{hashed.hexdigest()}" for name, hashed in sorted(self._hashes.items())]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _calls(sample: Sample) -> Iterator[dict[str, Array]]:
    start = 0
    for length in sample.lengths:
        end = start + length
        yield {name: array[start:end] for name, array in sample.inputs.items()}
        start = end
