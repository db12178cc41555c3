"""The memory suite: what it says is enough for a leak to show, and a planted one does."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from regression import plant
from regression.catalogue import catalogue_from_file
from regression.record import NotMeasured
from regression.suite import Settings
from regression.suites import memory

MB = 1_000_000


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc")
def test_what_sentences_keep_is_growth(
    tiny_voice: Callable[[str], Path], root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(root / "scripts"))
    clean, leaking = (
        next(memory.rounds(Settings(root, tiny_voice("plain"), tmp_path, plant=fault)))
        for fault in ("", "leak:5MB")
    )
    assert set(clean) == set(leaking) == {"memory.peak", "memory.steady", "memory.growth"}
    catalogue = catalogue_from_file()
    assert {catalogue.metric(name).suite for name in clean} == {"memory"}
    assert 20 * MB < clean["memory.steady"] < clean["memory.peak"] + MB
    assert clean["memory.growth"] < 2 * MB
    assert 3 * MB < leaking["memory.growth"] - clean["memory.growth"] < 6 * MB
    assert leaking["memory.steady"] > clean["memory.steady"] + 2 * MB


def test_a_planted_leak_has_room_in_what_is_said() -> None:
    sentences = sum(len(re.findall("。", text)) for text in memory._TEXTS)
    further = memory._SETTLING + memory._FURTHER
    assert sentences + further >= plant.SPREAD
    assert memory._FURTHER >= 0.75 * plant.SPREAD
    said = list(itertools.islice(memory._sentences(), further))
    assert len(set(said)) == further


def test_each_round_is_a_process_with_one_arena(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def noted(module: str, settings: Settings, environment: Mapping[str, str]) -> dict[str, float]:
        asked.append((module, settings.plant, dict(environment)))
        return {"memory.peak": float(len(asked))}

    monkeypatch.setattr(memory, "asked", noted)
    rounds = memory.rounds(Settings(tmp_path, tmp_path, tmp_path, plant="leak:5MB"))
    assert [next(rounds), next(rounds)] == [{"memory.peak": 1.0}, {"memory.peak": 2.0}]
    assert asked == 2 * [("regression.suites.memory", "leak:5MB", {"MALLOC_ARENA_MAX": "1"})]


def test_without_proc_and_psutil_nothing_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(memory, "_STATUS", tmp_path / "status")
    monkeypatch.setattr(memory, "import_module", missing)
    with pytest.raises(NotMeasured, match="psutil"):
        next(memory.rounds(Settings(tmp_path, tmp_path, tmp_path)))


def test_psutil_tells_what_proc_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psutil")
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "status")
    assert 10 * MB < memory._resident() < 10_000 * MB


def test_the_most_that_the_driver_told_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from sambert_trt.runtime import devices

    told = iter([3, None, 7, 5])
    monkeypatch.setattr(devices, "process_bytes", lambda process: next(told))
    card, none = memory._Card("tensorrt"), memory._Card("cpu")
    for _ in range(4):
        card.look()
        none.look()
    assert card.found() == {"memory.device.peak": 7}
    assert catalogue_from_file().metric("memory.device.peak").suite == "memory"
    assert none.found() == {}
