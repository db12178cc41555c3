"""Models of hearing: what makes their scores ours."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from sambert_trt.calibration import perception


@pytest.fixture
def scores(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Stands in for the package; the lengths of the waves that it was given."""
    package, lengths = ModuleType("pesq"), list[int]()

    def pesq(rate: int, reference: NDArray[np.float32], candidate: object, mode: str) -> float:
        assert (rate, mode) == (16000, "wb")
        lengths.append(len(reference))
        return 2.5 if len(reference) == 16000 else 4.2

    vars(package).update(
        pesq=pesq,
        NoUtterancesError=type("NoUtterancesError", (Exception,), {}),
        BufferTooShortError=type("BufferTooShortError", (Exception,), {}),
    )
    monkeypatch.setitem(sys.modules, "pesq", package)
    perception._optional.cache_clear()
    yield lengths
    perception._optional.cache_clear()


def test_one_alignment_that_fails_does_not_decide(scores: list[int]) -> None:
    wave = np.ones(16000, np.float32)
    assert perception.pesq_score(wave, wave, 16000) == pytest.approx(4.2)
    assert len(scores) == 3
    assert min(scores) == 16000
    assert len(set(scores)) == 3


def test_a_lead_of_silence_changes_little() -> None:
    pytest.importorskip("pesq", reason="needs pesq")
    rng = np.random.default_rng(0)
    time = np.arange(32000) / 16000
    clean = (np.sin(2 * np.pi * 150 * time) * (np.sin(2 * np.pi * 3 * time) > 0)).astype(np.float32)
    noisy = clean + 0.01 * rng.standard_normal(len(clean)).astype(np.float32)
    ours = perception.pesq_score(clean, noisy, 16000)
    lead = np.zeros(800, np.float32)
    later = perception.pesq_score(np.append(lead, clean), np.append(lead, noisy), 16000)
    assert ours is not None
    assert later == pytest.approx(ours, abs=0.2)
