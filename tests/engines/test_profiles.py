"""What plans are built for: within the graph, and wide enough for what speaking runs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sambert_trt.engines.errors import InputError
from sambert_trt.engines.graphs import AxisRange, GraphSpec, Stage
from sambert_trt.engines.profiles import profile_from_graph
from sambert_trt.runtime.stream import OFFLINE, STREAMING, ChunkPolicy


def graph(stage: Stage, axis: AxisRange, context: tuple[int, int] = (0, 0)) -> GraphSpec:
    return GraphSpec(stage, (), (), {"n": axis}, context=context)


def ranges(smallest: int = 1) -> st.SearchStrategy[AxisRange]:
    sizes = st.lists(st.integers(smallest, 5000), min_size=3, max_size=3).map(sorted)
    return sizes.map(lambda three: AxisRange(*three))


@pytest.mark.parametrize(
    ("stage", "context", "most"),
    [
        (Stage.TEXT_ENCODER, (0, 0), 512),
        (Stage.PROSODY, (0, 0), 512),
        (Stage.MEMORY_KV, (0, 0), 128),
        (Stage.POSTNET, (0, 12), 256),
        (Stage.VOCODER, (30, 20), 290),
        (Stage.DECODER_STEP, (0, 0), 4000),
        (Stage.DURATION_STEP, (0, 0), 4000),
    ],
)
def test_the_largest_size_is_what_speech_needs(
    stage: Stage, context: tuple[int, int], most: int
) -> None:
    found = profile_from_graph(graph(stage, AxisRange(1, 60, 4000), context))
    assert found == {"n": AxisRange(1, 60, most)}


@given(st.sampled_from(Stage), ranges(), st.integers(0, 100), st.integers(0, 100))
def test_a_profile_never_leaves_the_graph(
    stage: Stage, axis: AxisRange, before: int, after: int
) -> None:
    found = profile_from_graph(graph(stage, axis, (before, after)))["n"]
    assert axis.least == found.least <= found.usual <= found.most <= axis.most
    assert found.usual <= axis.usual


@pytest.mark.parametrize("policy", [OFFLINE, STREAMING])
def test_the_chunks_of_the_runtime_fit(policy: ChunkPolicy) -> None:
    """A chunk with its context must be inside the vocoder's profile, or no plan could speak it."""
    context = (38, 38)
    vocoder = profile_from_graph(graph(Stage.VOCODER, AxisRange(1, 200, 4000), context))["n"]
    postnet = profile_from_graph(graph(Stage.POSTNET, AxisRange(1, 200, 4000)))["n"]
    assert vocoder.admits(policy.most + sum(context))
    assert postnet.admits(policy.most)


def test_named_ranges_replace_the_usual_ones() -> None:
    wanted = AxisRange(8, 100, 3000)
    spec = graph(Stage.VOCODER, AxisRange(1, 60, 4000))
    assert profile_from_graph(spec, {"n": wanted, "other": AxisRange(1, 1, 1)}) == {"n": wanted}


@pytest.mark.parametrize("wanted", [AxisRange(1, 9, 100), AxisRange(8, 9, 101)])
def test_a_range_the_graph_does_not_take_is_refused(wanted: AxisRange) -> None:
    spec = graph(Stage.VOCODER, AxisRange(2, 60, 100))
    with pytest.raises(InputError, match=rf"n from {wanted.least} to {wanted.most}: the vocoder"):
        profile_from_graph(spec, {"n": wanted})


def test_a_graph_without_dynamic_axes_has_an_empty_profile() -> None:
    assert profile_from_graph(GraphSpec(Stage.DECODER_STEP, (), (), {})) == {}
