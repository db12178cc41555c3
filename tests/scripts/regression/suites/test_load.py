"""The load suite: every stage has its turn and is closed again, as often as the budget has it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from regression.catalogue import catalogue_from_file
from regression.suite import Settings
from regression.suites import load

from sambert_trt.engines.graphs import Stage
from sambert_trt.runtime.onnx_backend import OnnxSession


def test_every_stage_is_opened_and_closed_in_turn(
    tiny_voice: Callable[[str], Path], tmp_path: Path, opened_sessions: list[OnnxSession]
) -> None:
    settings = Settings(tmp_path, tiny_voice("plain"), tmp_path)
    with closing(load.rounds(settings)) as rounds:  # type: ignore[type-var]
        found = list(itertools.islice(rounds, len(Stage) + 1))
    names = [f"load.{stage.value}" for stage in (*Stage, next(iter(Stage)))]
    assert [list(values) for values in found] == [
        [f"{name}.open.seconds", f"{name}.close.seconds"] for name in names
    ]
    assert all(
        values[f"{name}.open.seconds"] > 0 for name, values in zip(names, found, strict=True)
    )
    catalogue = catalogue_from_file()
    assert {catalogue.metric(name).suite for values in found for name in values} == {"load"}
    assert len(opened_sessions) > 2 * len(Stage)
    assert all(session.closed for session in opened_sessions)


@pytest.mark.parametrize(("seconds", "times"), [(0.5, 1), (0.039, 1), (0.01, 4), (0.0, 40)])
def test_openings_fill_the_budget(seconds: float, times: int) -> None:
    made = 0

    def once() -> tuple[float, float]:
        nonlocal made
        made += 1
        return seconds, 0.0

    found = load._medians("vocoder", once)
    assert found == {"load.vocoder.open.seconds": seconds, "load.vocoder.close.seconds": 0.0}
    assert made == times
