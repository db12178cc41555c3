"""Each stage is asked what it is asked in speech, the same at every turn, for a fixed time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from acceptance.traffic import Run, Sequence, Traffic
from regression.suite import Settings
from regression.suites import stages

from sambert_trt.engines.graphs import Stage
from sambert_trt.runtime.onnx_backend import OnnxSession, OnnxSteps


def test_every_stage_has_its_turn_and_the_same_work_each_time(
    tiny_voice: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, dict[str, tuple[int, ...]]]] = []
    run, advance = OnnxSession.run, OnnxSteps.advance

    def noted_run(self: OnnxSession, inputs: Any) -> Any:  # noqa: ANN401
        asked.append((self.graph.stage.value, {k: a.shape for k, a in inputs.items()}))
        return run(self, inputs)

    def noted_advance(self: OnnxSteps, inputs: Any) -> Any:  # noqa: ANN401
        asked.append(("steps", {k: a.shape for k, a in inputs.items()}))
        return advance(self, inputs)

    settings = Settings(tmp_path, tiny_voice("plain"), tmp_path)
    names = [f"stage.{stage.value}.seconds" for stage in Stage]
    with closing(stages.rounds(settings)) as rounds:  # type: ignore[type-var]
        next(rounds)
        monkeypatch.setattr(OnnxSession, "run", noted_run)
        monkeypatch.setattr(OnnxSteps, "advance", noted_advance)
        found = list(itertools.islice(rounds, 2 * len(names)))
    assert [list(values) for values in found] == [[name] for name in names[1:] + names + names[:1]]
    assert all(value > 0 for values in found for value in values.values())
    for stage in Stage:
        shapes = [shape for name, shape in asked if name == stage.value]
        assert shapes
        assert all(shape == shapes[0] for shape in shapes)
    assert {next(iter(shape.values()))[0] for name, shape in asked if name == "steps"} == {1, 4}


class FakeSession:
    """Counts its steps; the clock moves a second for each."""

    def __init__(self) -> None:
        self.now, self.said = 0.0, list[Any]()

    def steps(self, sizes: object) -> FakeSession:
        self.said.append(sizes)
        return self

    def extend(self, rows: object) -> None:
        self.now += 100.0
        self.said.append(rows)

    def advance(self, inputs: dict[str, Any]) -> None:
        self.now += len(inputs["x"])
        self.said.append(len(inputs["x"]))

    def close(self) -> None:
        self.said.append("closed")


@pytest.mark.parametrize(("steps", "taken"), [(32, 4), (3, 3), (1, 1)])
def test_steps_are_the_first_few_from_zero_state(steps: int, taken: int) -> None:
    session = FakeSession()
    rows: Any = "rows"
    moves = [rows, Run({"x": np.zeros((steps, 2))}, {}), rows]
    traffic = Traffic(sequences=[Sequence({"window": 8}, moves)])
    call = stages._call(session, traffic, lambda: session.now)  # type: ignore[arg-type]
    for _ in range(2):
        assert call() == 1.0
    assert session.said == [{"window": 8}, "rows", taken, "closed"] * 2


@pytest.mark.parametrize(("seconds", "calls"), [(0.004, 3), (0.0149, 1), (0.02, 1), (0.0001, 150)])
def test_calls_fill_the_budget_and_do_not_exceed_it(seconds: float, calls: int) -> None:
    made = 0

    def clock() -> float:
        return made * seconds

    def call() -> float:
        nonlocal made
        made += 1
        return float(made)

    assert stages._measured("one", call, clock) == {"one": pytest.approx((made + 1) / 2)}
    assert abs(made - calls) <= 1e-9 + (calls > 100)


def test_what_was_opened_is_closed(
    tiny_voice: Callable[[str], Path], tmp_path: Path, opened_sessions: list[OnnxSession]
) -> None:
    rounds: Iterator[Any] = stages.rounds(Settings(tmp_path, tiny_voice("plain"), tmp_path))
    next(rounds)
    assert sum(not session.closed for session in opened_sessions) == len(Stage)
    rounds.close()  # type: ignore[attr-defined]
    assert len(opened_sessions) == 2 * len(Stage)
    assert all(session.closed for session in opened_sessions)
