"""Ranges: histograms that lose nothing, methods that keep their word, what real graphs compute."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from sambert_trt.calibration.ranges import (
    Histogram,
    Range,
    _expected_errors,
    chosen_range,
    observe,
)
from sambert_trt.calibration.recipe import Method
from sambert_trt.calibration.recording import Sample
from sambert_trt.engines.errors import BackendError, GraphError, InputError
from sambert_trt.engines.graphs import GraphSpec, Stage
from sambert_trt.engines.voice import manifest_from_directory
from sambert_trt.runtime.backend import FEEDBACK, RETURNED, SLIDING
from sambert_trt.runtime.onnx_backend import OnnxBackend

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from onnx import ModelProto, TensorProto, helper, numpy_helper  # noqa: E402

pytestmark = pytest.mark.export

Array = NDArray[np.float32]

NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)
ARRAYS = npst.arrays(np.float32, st.integers(1, 60), elements=NUMBERS)
METHODS = st.sampled_from(Method)


def histogram_of(*arrays: Array) -> Histogram:
    """What a histogram holds after these arrays."""
    histogram = Histogram()
    for array in arrays:
        histogram.add(array)
    return histogram


def state_of(histogram: Histogram) -> dict[str, Any]:
    """Everything a histogram holds, comparable."""
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in vars(histogram).items()
    }


def rounded(values: Array, range_: Range, symmetric: bool) -> Array:
    """The values as 8 bits over a range hold them."""
    if symmetric:
        scale, least, most, zero = range_.most / 127, -127, 127, 0
    else:
        scale, least, most = (range_.most - range_.least) / 255, 0, 255
        zero = round(-range_.least / scale)
    found: Array = (np.clip(np.round(values / scale) + zero, least, most) - zero) * scale
    return found


def leaky(count: int, seed: int = 0) -> Array:
    """What a leaky ReLU puts out."""
    values = np.random.default_rng(seed).normal(size=count).astype(np.float32)
    return np.where(values > 0, values, np.float32(0.1) * values)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(ARRAYS, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_a_histogram_does_not_depend_on_how_the_values_come(
    arrays: list[Array], random: Random
) -> None:
    values = np.concatenate(arrays)
    shuffled = values.tolist()
    random.shuffle(shuffled)
    once = state_of(histogram_of(values))
    assert state_of(histogram_of(*arrays)) == once
    assert state_of(histogram_of(np.array(shuffled, np.float32))) == once


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(ARRAYS, min_size=1, max_size=5))
def test_bins_are_few_hold_every_value_and_lie_where_it_is(arrays: list[Array]) -> None:
    histogram, values = histogram_of(*arrays), np.concatenate(arrays).astype(np.float64)
    counts, edges = histogram.counts, histogram.edges
    assert len(counts) <= 2048
    assert counts.sum() == histogram.count == len(values)
    assert histogram.zeros == np.count_nonzero(values == 0)
    assert edges[0] <= values.min()
    assert values.max() < edges[-1]
    assert counts.tolist() == [
        np.count_nonzero((values >= low) & (values < high)) for low, high in pairwise(edges)
    ]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(ARRAYS)
def test_magnitudes_are_counted_from_zero_on(values: Array) -> None:
    counts, width = histogram_of(values).magnitudes()
    largest = float(np.abs(values.astype(np.float64)).max())
    assert len(counts) <= 2048
    assert counts.sum() == len(values)
    assert (len(counts) - 1) * width <= largest <= len(counts) * width


@settings(max_examples=60, deadline=None, derandomize=True)
@given(ARRAYS, st.booleans())
def test_min_max_is_exact(values: Array, symmetric: bool) -> None:
    found = chosen_range(histogram_of(values), Method.MIN_MAX, 99.9, symmetric)
    least, most = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    largest = max(-least, most)
    assert found == (Range(-largest, largest) if symmetric else Range(least, most))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(ARRAYS, METHODS, st.floats(0.01, 100), st.booleans())
def test_every_range_holds_zero_lies_within_min_max_and_is_float32(
    values: Array, method: Method, percentile: float, symmetric: bool
) -> None:
    histogram = histogram_of(values)
    found = chosen_range(histogram, method, percentile, symmetric)
    whole = chosen_range(histogram, Method.MIN_MAX, percentile, symmetric)
    assert whole.least <= found.least <= 0 <= found.most <= whole.most
    for end in (found.least, found.most):
        assert float(np.float32(end)) == end
    if symmetric:
        assert found.least == -found.most


@settings(max_examples=60, deadline=None, derandomize=True)
@given(ARRAYS, st.floats(0.01, 100), st.floats(0.01, 100), st.booleans())
def test_a_larger_percentile_keeps_no_less(
    values: Array, one: float, other: float, symmetric: bool
) -> None:
    histogram = histogram_of(values)
    small, large = (
        chosen_range(histogram, Method.PERCENTILE, percentile, symmetric)
        for percentile in sorted((one, other))
    )
    assert large.least <= small.least
    assert small.most <= large.most


@settings(max_examples=60, deadline=None, derandomize=True)
@given(ARRAYS, st.booleans())
def test_all_of_the_values_are_min_max(values: Array, symmetric: bool) -> None:
    histogram = histogram_of(values)
    whole = chosen_range(histogram, Method.MIN_MAX, 50, symmetric)
    assert chosen_range(histogram, Method.PERCENTILE, 100, symmetric) == whole


def expected_error(histogram: Histogram, range_: Range, symmetric: bool) -> float:
    """What the search for the least error expects of one range."""
    ends = (np.array([range_.least]), np.array([range_.most]))
    return float(_expected_errors(histogram, *ends, symmetric)[0, 0])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(ARRAYS, st.booleans())
def test_the_least_error_is_no_more_than_that_of_min_max(values: Array, symmetric: bool) -> None:
    histogram = histogram_of(values)
    found, whole = (
        expected_error(histogram, chosen_range(histogram, method, 99.9, symmetric), symmetric)
        for method in (Method.MSE, Method.MIN_MAX)
    )
    assert found <= whole * (1 + 1e-5)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("percentile", [90.0, 99.0, 99.9])
def test_a_percentile_is_that_of_numpy(symmetric: bool, percentile: float) -> None:
    values = np.random.default_rng(1).normal(0.3, 1, size=60000).astype(np.float32)
    found = chosen_range(histogram_of(values), Method.PERCENTILE, percentile, symmetric)
    if symmetric:
        wanted = [np.percentile(np.abs(values), percentile)]
    else:
        cut = (100 - percentile) / 2
        wanted = list(np.percentile(values, [cut, 100 - cut]))
    ends = [found.most] if symmetric else [found.least, found.most]
    assert ends == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("method", Method)
def test_the_expected_error_is_what_rounding_does(method: Method, symmetric: bool) -> None:
    values = leaky(60000)
    histogram = histogram_of(values)
    found = chosen_range(histogram, method, 99.9, symmetric)
    error = float(np.mean((rounded(values, found, symmetric) - values) ** 2))
    assert expected_error(histogram, found, symmetric) == pytest.approx(error, rel=0.05)


@pytest.mark.parametrize("symmetric", [False, True])
def test_least_error_clips_what_is_rare(symmetric: bool) -> None:
    values = np.random.default_rng(2).standard_t(4, size=60000).astype(np.float32)
    histogram, errors = histogram_of(values), {}
    for method in Method:
        found = chosen_range(histogram, method, 99.0, symmetric)
        errors[method] = float(np.mean((rounded(values, found, symmetric) - values) ** 2))
    assert errors[Method.MSE] == min(errors.values())
    assert errors[Method.MSE] < 0.9 * errors[Method.MIN_MAX]


def test_zeros_do_not_ask_for_a_fine_step() -> None:
    values = np.maximum(leaky(30000), 0)
    padded = np.concatenate([values, np.zeros(30000, np.float32)])
    for method in (Method.MSE, Method.ENTROPY):
        alone, among = (
            chosen_range(histogram_of(array), method, 99.9, False) for array in (values, padded)
        )
        assert alone == among


@pytest.mark.parametrize("kind", ["normal", "laplace", "standard_t"])
def test_entropy_is_near_that_of_onnx_runtime(kind: str) -> None:
    from onnxruntime.quantization.calibrate import HistogramCollector

    random = np.random.default_rng(3)
    extra = (3,) if kind == "standard_t" else ()
    values = getattr(random, kind)(*extra, size=60000).astype(np.float32)
    largest = np.abs(values).max()
    counts, edges = np.histogram(values, 401, range=(-largest, largest))
    collector = HistogramCollector("entropy", True, 401, 128, 99.9, None)
    counted = (counts, edges.astype(np.float32), values.min(), values.max())
    _, theirs = collector.get_entropy_threshold(counted, 128)
    ours = chosen_range(histogram_of(values), Method.ENTROPY, 99.9, True).most
    assert 0.6 < ours / float(theirs) < 1.6


@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize(
    ("value", "plain", "symmetric"),
    [(0.0, (0, 0), (0, 0)), (2.5, (0, 2.5), (-2.5, 2.5)), (-3e7, (-3e7, 0), (-3e7, 3e7))],
)
def test_a_constant_tensor(
    method: Method, value: float, plain: tuple[float, ...], symmetric: tuple[float, ...]
) -> None:
    histogram = histogram_of(np.full(100, value, np.float32))
    for wanted, both in ((plain, False), (symmetric, True)):
        found = chosen_range(histogram, method, 99.9, both)
        whole = chosen_range(histogram, Method.MIN_MAX, 99.9, both)
        assert whole == Range(*wanted)
        assert (found.least, found.most) == pytest.approx(wanted, rel=0.05)


def test_large_arrays_are_counted_in_part_but_measured_whole() -> None:
    values = np.tile(np.arange(16, dtype=np.float32), 1 << 16)
    values[12345], values[54321] = -7.5, 99.25
    histogram = histogram_of(values.reshape(4, 4, -1))
    assert (histogram.least, histogram.most) == (-7.5, 99.25)
    assert histogram.count == pytest.approx(values.size, rel=1e-3)
    counts = histogram.counts[histogram.counts > 1000]
    assert len(counts) == 16
    assert counts == pytest.approx(np.full(16, 1 << 16), rel=1e-2)


def test_what_is_not_finite_is_counted_apart() -> None:
    values = np.array([1, np.nan, -2, np.inf, -np.inf, 0], np.float32)
    histogram = histogram_of(values, np.full(3, np.nan, np.float32), np.zeros(0, np.float32))
    assert (histogram.non_finite, histogram.count, histogram.zeros) == (6, 3, 1)
    assert (histogram.least, histogram.most) == (-2, 1)


def test_a_range_of_nothing_and_a_percentile_of_nothing_are_refused() -> None:
    with pytest.raises(GraphError, match="never seen"):
        chosen_range(Histogram(), Method.MIN_MAX, 99.9, False)
    histogram = histogram_of(leaky(10))
    for percentile in (0.0, 100.1, math.nan, -1.0):
        with pytest.raises(InputError, match="percentile"):
            chosen_range(histogram, Method.PERCENTILE, percentile, False)


def graph_of(directory: Path, stage: Stage) -> tuple[ModelProto, GraphSpec]:
    """A stage's fp32 graph and signature."""
    record = manifest_from_directory(directory).stages[stage]
    return onnx.load(directory / record.file.path), record.graph


def sample_of(graph: GraphSpec, seed: int = 0, size: int = 20, steps: int = 7) -> Sample:
    """Random inputs of a stage; of step stages, of several steps."""
    random, sizes = np.random.default_rng(seed), {"window": 16} if SLIDING.get(graph.stage) else {}
    stateful = FEEDBACK.get(graph.stage, {})
    found, rows = {}, None
    for tensor in graph.inputs:
        if tensor.name in stateful:
            continue
        shape = [
            graph.extent(entry).least if isinstance(entry, int) else _length(entry, size, sizes)
            for entry in tensor.shape
        ]
        if tensor.name == SLIDING.get(graph.stage):
            rows = random.normal(size=(steps + sizes["window"], *shape[1:])).astype(np.float32)
            continue
        shape = [steps, *shape] if stateful else shape
        if tensor.dtype == "int64":
            found[tensor.name] = random.integers(0, 4, shape)
        else:
            found[tensor.name] = random.normal(size=shape).astype(np.float32)
    lengths = (steps,) if stateful else ()
    return Sample(graph.stage, seed, found, sizes if stateful else {}, rows, lengths)


def _length(entry: str, size: int, sizes: dict[str, int]) -> int:
    for mark in "*+":
        name, found, number = entry.partition(mark)
        if found:
            return size * int(number) if mark == "*" else size + int(number)
    return sizes.get(name, size)


def inner_tensors(model: ModelProto) -> list[str]:
    """Every float tensor that a node with weights reads or an activation puts out."""
    constants = {tensor.name for tensor in model.graph.initializer}
    found: dict[str, None] = {}
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm", "LeakyRelu", "Relu"):
            found |= dict.fromkeys(name for name in node.input[:1] if name not in constants)
            found |= dict.fromkeys(node.output)
    return list(found)


def values_of(model: ModelProto, graph: GraphSpec, sample: Sample, names: list[str]) -> list[Array]:
    """The values of tensors over a whole sample, without the code under test."""
    widened = ModelProto()
    widened.CopyFrom(model)
    held = {value.name for value in (*model.graph.input, *model.graph.output)}
    for name in names:
        if name not in held:
            widened.graph.output.append(
                helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
            )
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(widened.SerializeToString(), options)
    outputs = [output.name for output in session.get_outputs()]
    stage, state, found = graph.stage, dict[str, Array](), []
    for name in FEEDBACK.get(stage, {}):
        shape = [sample.sizes[n] if isinstance(n, str) else n for n in graph.input(name).shape]
        state[name] = np.zeros(shape, np.float32)
    for step in range(sum(sample.lengths) or 1):
        feeds: dict[str, Any] = dict(sample.inputs)
        if stage in FEEDBACK:
            feeds = {name: array[step] for name, array in feeds.items()}
        if sample.rows is not None:
            feeds[SLIDING[stage]] = sample.rows[step : step + sample.sizes["window"]]
        feeds |= state
        given = dict(zip(outputs, session.run(outputs, feeds), strict=True))
        state = {name: given[source] for name, source in FEEDBACK.get(stage, {}).items()}
        found.append({**feeds, **given})
    return [np.concatenate([each[name].ravel() for each in found]) for name in names]


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("variant", ["plain", "nsf", "five"])
def test_min_max_of_a_real_graph_is_what_it_computes(
    tiny_voice: Callable[[str], Path], variant: str, stage: Stage
) -> None:
    model, graph = graph_of(tiny_voice(variant), stage)
    before, names = model.SerializeToString(), inner_tensors(model)
    samples = [sample_of(graph, seed) for seed in range(2)]
    histograms = observe(model, graph, samples, names)
    assert list(histograms) == names
    assert model.SerializeToString() == before
    wanted = [values_of(model, graph, sample, names) for sample in samples]
    for number, name in enumerate(names):
        values = np.concatenate([each[number] for each in wanted])
        found = chosen_range(histograms[name], Method.MIN_MAX, 99.9, False)
        ends = (min(values.min(), 0), max(values.max(), 0))
        assert (found.least, found.most) == pytest.approx(ends, rel=1e-4, abs=1e-5), name
        assert histograms[name].count == values.size


@pytest.mark.parametrize("stage", list(FEEDBACK))
def test_steps_are_those_of_the_runtime(tiny_voice: Callable[[str], Path], stage: Stage) -> None:
    directory = tiny_voice("plain")
    model, graph = graph_of(directory, stage)
    sample, (name,) = sample_of(graph), RETURNED[stage]
    session = OnnxBackend().open(directory, manifest_from_directory(directory).stages[stage])
    steps = session.steps(sample.sizes)
    if sample.rows is not None:
        steps.extend(sample.rows)
    spoken = steps.advance(sample.inputs)[name]
    assert state_of(observe(model, graph, [sample], [name])[name]) == state_of(histogram_of(spoken))


def test_steps_go_on_from_a_recorded_state(tiny_voice: Callable[[str], Path]) -> None:
    model, graph = graph_of(tiny_voice("plain"), Stage.DURATION_STEP)
    sample = sample_of(graph)
    state = {
        name: np.full([n for n in graph.input(name).shape if isinstance(n, int)], 0.5, np.float32)
        for name in FEEDBACK[graph.stage]
    }
    later = Sample(graph.stage, 0, sample.inputs, lengths=sample.lengths, state=state)
    first, second = (observe(model, graph, [each], ["h"])["h"] for each in (sample, later))
    assert first.zeros > 0
    assert second.zeros == 0
    assert second.most >= 0.5


def test_of_a_long_window_64_frames_are_observed_here_and_there(
    tiny_voice: Callable[[str], Path],
) -> None:
    model, graph = graph_of(tiny_voice("nsf"), Stage.VOCODER)
    sample = sample_of(graph, size=200)
    starts = np.arange(200, dtype=np.float32)
    sample.inputs["mel"][...] = starts[None, :, None]
    hop = sample.inputs["excitation"].shape[1] // 200
    sample.inputs["excitation"][...] = np.repeat(starts, hop)
    seen = set[float]()
    for count in range(1, 6):
        found = observe(model, graph, [sample] * count, ["mel", "excitation"])
        mel, excitation = found["mel"], found["excitation"]
        assert (mel.least, mel.most) == (excitation.least, excitation.most)
        assert excitation.count * sample.inputs["mel"].shape[2] == mel.count * hop
        assert mel.count == count * 64 * sample.inputs["mel"].shape[2]
        seen.add(mel.most - mel.least)
    assert min(seen) == 63
    assert max(seen) > 130


def test_nan_in_a_checkpoint_is_named(tiny_voice: Callable[[str], Path]) -> None:
    model, graph = graph_of(tiny_voice("plain"), Stage.VOCODER)
    (weight,) = (t for t in model.graph.initializer if t.name == _first_weight(model))
    values = numpy_helper.to_array(weight).copy()
    values.flat[3] = np.nan
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    node = next(node for node in model.graph.node if node.op_type == "Conv")
    sample = Sample(Stage.VOCODER, 17, sample_of(graph).inputs)
    with pytest.raises(GraphError, match=rf"vocoder .*{node.output[0]} .*text 17.*checkpoint"):
        observe(model, graph, [sample], ["mel", node.output[0]])


def _first_weight(model: ModelProto) -> str:
    return str(next(node for node in model.graph.node if node.op_type == "Conv").input[1])


def test_what_cannot_be_observed_is_refused(tiny_voice: Callable[[str], Path]) -> None:
    model, graph = graph_of(tiny_voice("plain"), Stage.MEMORY_KV)
    sample = sample_of(graph)
    assert observe(model, graph, [], []) == {}
    with pytest.raises(GraphError, match="nothing was recorded of memory_kv"):
        observe(model, graph, [], ["memory"])
    with pytest.raises(GraphError, match="memory_kv graph computes no nowhere"):
        observe(model, graph, [sample], ["memory", "nowhere"])
    with pytest.raises(GraphError, match="a sample of vocoder cannot run memory_kv"):
        observe(model, graph, [Sample(Stage.VOCODER, 0, {})], ["memory"])
    from sambert_trt.calibration.half import half_graph

    with pytest.raises(GraphError, match="observe the fp32 one"):
        observe(*half_graph(model, graph), [sample], ["memory"])


def test_a_sample_that_does_not_fit_fails_in_onnx_runtime(
    tiny_voice: Callable[[str], Path],
) -> None:
    model, graph = graph_of(tiny_voice("plain"), Stage.MEMORY_KV)
    sample = Sample(Stage.MEMORY_KV, 0, {"memory": np.zeros((1, 3, 2), np.float32)})
    with pytest.raises(BackendError, match="memory_kv"):
        observe(model, graph, [sample], ["memory"])


def test_a_value_that_is_no_float_cannot_be_observed(tiny_voice: Callable[[str], Path]) -> None:
    model, graph = graph_of(tiny_voice("plain"), Stage.TEXT_ENCODER)
    shape = next(node for node in model.graph.node if node.op_type == "Shape").output[0]
    with pytest.raises((BackendError, GraphError), match="text_encoder"):
        observe(model, graph, [sample_of(graph)], [shape])
