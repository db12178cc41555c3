"""Planted faults come out as large as they were asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from regression import plant
from regression.plant import SPREAD, Plant, plant_from_text, planted

from sambert_trt.engines.errors import InputError
from sambert_trt.engines.graphs import Stage
from sambert_trt.engines.voice import manifest_from_directory
from sambert_trt.runtime.backend import Backend


def test_faults_are_read() -> None:
    assert plant_from_text("") == Plant()
    assert plant_from_text("leak:5MB").leak == 5_000_000
    both = plant_from_text("slow:vocoder:0.10,slow:postnet:.5,leak:300kB")
    assert both == Plant({"vocoder": 0.1, "postnet": 0.5}, 300_000)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("slow", "'' is no share"),
        ("slow:nose:0.1", "cannot slow 'nose': the stages are text_encoder, prosody"),
        ("slow:vocoder", "'' is no share"),
        ("slow:vocoder:-1", "'-1' is no share"),
        ("slow:vocoder:0", "'0' is no share"),
        ("slow:vocoder:nan", "'nan' is no share"),
        ("leak:5", "'5' is no size"),
        ("leak:five", "no size such as 5MB"),
        ("noise:1", "give slow:STAGE:SHARE or leak:5MB"),
    ],
)
def test_what_is_no_fault_is_named(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        plant_from_text(text)


class Clock:
    """A clock that moves by a tick whenever somebody looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1e-4
        return self.now


class FakeSession:
    """Takes a second by the clock for each call."""

    graph = None

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        self._clock.now += 1.0
        return {"out": inputs["in"]}

    def steps(self, sizes: Mapping[str, int]) -> FakeSession:
        return self

    def advance(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        return self.run(inputs)

    def close(self) -> None:
        pass


class FakeBackend:
    """Opens one session for any stage."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def open(self, directory: Path, record: object) -> FakeSession:
        return FakeSession(self._clock)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(plant, "_KEPT", [])
    return Clock()


def faulty(clock: Clock, faults: str) -> Backend:
    inner: Backend = FakeBackend(clock)  # type: ignore[assignment]
    return planted(inner, plant_from_text(faults), clock)


@pytest.mark.parametrize("steps", [False, True])
def test_a_slow_stage_takes_its_share_longer_and_no_other_does(
    clock: Clock, tiny_voice: Callable[[str], Path], steps: bool
) -> None:
    manifest = manifest_from_directory(tiny_voice("plain"))
    backend = faulty(clock, "slow:vocoder:0.10")
    taken = {}
    for stage in (Stage.VOCODER, Stage.POSTNET):
        session = backend.open(Path(), manifest.stages[stage])
        before = clock.now
        call = session.steps({}).advance if steps else session.run
        assert call({"in": np.ones(1)}) == {"out": np.ones(1)}
        taken[stage] = clock.now - before
    assert taken[Stage.VOCODER] == pytest.approx(1.1, abs=0.002)
    assert taken[Stage.POSTNET] == pytest.approx(1.0, abs=0.002)


def test_a_leak_is_spread_over_sentences_and_then_stops(
    clock: Clock, tiny_voice: Callable[[str], Path]
) -> None:
    manifest = manifest_from_directory(tiny_voice("plain"))
    backend = faulty(clock, "leak:5MB")
    session = backend.open(Path(), manifest.stages[Stage.TEXT_ENCODER])
    other = backend.open(Path(), manifest.stages[Stage.VOCODER])
    kept = []
    for _ in range(SPREAD + 5):
        session.run({"in": 0})
        other.run({"in": 0})
        kept.append(sum(array.nbytes for array in plant._KEPT))
    assert kept[0] == 5_000_000 // SPREAD
    assert kept[SPREAD - 2] < 5_000_000
    assert kept[SPREAD - 1] == kept[-1] == 5_000_000
    assert all(array.all() for array in plant._KEPT)


def test_without_faults_the_backend_stays_itself(clock: Clock) -> None:
    backend: Backend = FakeBackend(clock)  # type: ignore[assignment]
    assert planted(backend, Plant(), clock) is backend
