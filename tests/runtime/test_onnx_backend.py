"""A graph in ONNX Runtime: what goes in is checked, state stays inside, errors are ours."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sambert_trt.engines.errors import BackendError, GraphError, InputError
from sambert_trt.engines.graphs import Stage
from sambert_trt.engines.voice import manifest_from_directory
from sambert_trt.runtime.backend import FEEDBACK, Session, check_inputs
from sambert_trt.runtime.onnx_backend import OnnxBackend


@pytest.fixture
def session(tiny_voice: Callable[[str], Path]) -> Callable[[Stage], Session]:
    """A loaded graph of the plain tiny voice."""
    directory = tiny_voice("plain")
    manifest = manifest_from_directory(directory)

    def opened(stage: Stage) -> Session:
        record = manifest.stages[stage]
        return OnnxBackend().open(directory, record)

    return opened


def test_the_backend_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BackendError, match=r"pip install 'sambert-trt\[cpu\]'"):
        OnnxBackend()


def test_a_closed_graph_says_so(session: Callable[[Stage], Session]) -> None:
    opened = session(Stage.TEXT_ENCODER)
    inputs = {"ids": np.ones((1, 3, 4), np.int64)}
    assert opened.run(inputs)["text_hid"].shape == (1, 3, 8)
    opened.close()
    opened.close()
    with pytest.raises(BackendError, match="was used after it was closed"):
        opened.run(inputs)


def test_an_id_beyond_its_table_is_a_backend_error(session: Callable[[Stage], Session]) -> None:
    with pytest.raises(BackendError, match=r"ONNX Runtime \S+ failed in the text_encoder graph"):
        session(Stage.TEXT_ENCODER).run({"ids": np.full((1, 3, 4), 9999, np.int64)})


def test_steps_hand_their_state_on(session: Callable[[Stage], Session]) -> None:
    """The same condition gives another duration once there is a past; a new sequence has none."""
    opened = session(Stage.DURATION_STEP)
    condition = {"condition": np.ones(opened.graph.input("condition").shape, np.float32)}
    twice = {name: np.stack([array, array]) for name, array in condition.items()}
    once = {name: array[None] for name, array in condition.items()}
    first, second = opened.steps({}), opened.steps({})
    begun = first.advance(twice)["log_duration"]
    again = np.concatenate([second.advance(once)["log_duration"] for _ in range(2)])
    assert not np.array_equal(*begun)
    assert np.array_equal(begun, again)
    state = {
        n: np.zeros(opened.graph.input(n).shape, np.float32) for n in FEEDBACK[opened.graph.stage]
    }
    by_hand = opened.run({**condition, **state})
    state = {name: by_hand[source] for name, source in FEEDBACK[opened.graph.stage].items()}
    assert np.array_equal(opened.run({**condition, **state})["log_duration"], begun[1])


def test_every_feedback_fits_its_input(session: Callable[[Stage], Session]) -> None:
    for stage, names in FEEDBACK.items():
        graph = session(stage).graph
        outputs = {tensor.name: tensor for tensor in graph.outputs}
        for name, source in names.items():
            assert outputs[source].shape == graph.input(name).shape
            assert outputs[source].dtype == graph.input(name).dtype


def test_inputs_are_compared_with_the_signature(session: Callable[[Stage], Session]) -> None:
    graph = session(Stage.TEXT_ENCODER).graph
    most = graph.axes["symbols"].most
    check_inputs(graph, {"ids": np.ones((1, most, 4), np.int64)})
    for wrong in (
        {},
        {"ids": np.ones((1, 3, 4), np.int32)},
        {"ids": np.ones((3, 4), np.int64)},
        {"ids": np.ones((1, 3, 4), np.int64), "more": np.ones(1)},
    ):
        with pytest.raises(GraphError, match="text_encoder"):
            check_inputs(graph, wrong)
    for count in (0, most + 1):
        with pytest.raises(InputError, match=f"{count} symbols asked for, its graph takes 1 to"):
            check_inputs(graph, {"ids": np.ones((1, count, 4), np.int64)})
