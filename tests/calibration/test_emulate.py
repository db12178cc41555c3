"""Rounding as a card rounds: after every operator, whatever ONNX Runtime optimises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sambert_trt.engines.errors import GraphError
from sambert_trt.engines.graphs import METADATA_KEY, Stage
from sambert_trt.engines.manifest import StageRecord
from sambert_trt.engines.voice import file_record, manifest_from_directory
from sambert_trt.runtime.onnx_backend import OnnxBackend

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper  # noqa: E402

from sambert_trt.calibration.emulate import has_halves, rounded_graph  # noqa: E402
from sambert_trt.calibration.half import half_graph  # noqa: E402

pytestmark = pytest.mark.export

Arrays = dict[str, NDArray[Any]]
HALF, FLOAT = TensorProto.FLOAT16, TensorProto.FLOAT
LEVELS = ["ORT_DISABLE_ALL", "ORT_ENABLE_ALL"]
rng = np.random.default_rng(7)


def made(
    nodes: Sequence[NodeProto],
    weights: Arrays,
    shape: Sequence[int] = (1, 64),
    kind: int = HALF,
    opset: int = 17,
) -> ModelProto:
    """A graph from x to y, both of a kind."""
    inputs = [helper.make_tensor_value_info("x", kind, shape)]
    outputs = [helper.make_tensor_value_info("y", kind, None)]
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, tensors)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8 if opset < 19 else 10
    )
    return onnx.shape_inference.infer_shapes(model)


def ran(model: ModelProto, x: NDArray[Any], level: str) -> NDArray[Any]:
    """What comes out of a graph at a level of optimisation."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    content, providers = model.SerializeToString(), ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(content, options, providers)
    (found,) = session.run(None, {"x": x})
    assert isinstance(found, np.ndarray)
    return found


def kinds(model: ModelProto) -> Counter[str]:
    """How many nodes there are of each operator."""
    return Counter(node.op_type for node in model.graph.node)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", [HALF, FLOAT])
def test_every_step_of_a_chain_is_rounded(level: str, kind: int) -> None:
    """Casts to half and back are what an optimiser likes to drop."""
    a, b, c = rng.standard_normal((3, 64)).astype(np.float16)
    nodes = [
        helper.make_node("Cast", ["x"], ["x16"], to=HALF),
        helper.make_node("Mul", ["x16", "a"], ["p"]),
        helper.make_node("Add", ["p", "b"], ["q"]),
        helper.make_node("LeakyRelu", ["q"], ["r"], alpha=0.1),
        helper.make_node("Mul", ["r", "c"], ["s"]),
        helper.make_node("Cast", ["s"], ["y"], to=kind),
    ]
    model = made(nodes, {"a": a, "b": b, "c": c}, kind=kind)
    x = rng.standard_normal((1, 64)).astype(np.float16 if kind == HALF else np.float32)
    q = x.astype(np.float16) * a + b
    r = np.where(q > 0, q, (q.astype(np.float32) * np.float32(0.1)).astype(np.float16))
    found = ran(rounded_graph(model), x, level)
    assert found.dtype == x.dtype
    assert np.array_equal(found, (r * c).astype(x.dtype))
    exact = x.astype("d") * a + b
    exact = np.where(exact > 0, exact, 0.1 * exact) * c
    assert not np.array_equal(found, exact.astype(np.float16).astype(x.dtype))


@pytest.mark.parametrize("level", LEVELS)
def test_what_no_half_holds_is_infinite(level: str) -> None:
    nodes = [
        helper.make_node("Mul", ["x", "x"], ["square"]),
        helper.make_node("Mul", ["square", "small"], ["y"]),
    ]
    model = made(nodes, {"small": np.array(1e-3, np.float16)}, (1, 2))
    found = ran(rounded_graph(model), np.array([[255, 256]], np.float16), level)
    assert np.isfinite(found).tolist() == [[True, False]]


def test_only_arithmetic_is_rounded() -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"]),
        helper.make_node("Relu", ["t"], ["r"]),
        helper.make_node("Concat", ["r", "t"], ["c"], axis=1),
        helper.make_node("Softmax", ["c"], ["s"]),
        helper.make_node("Reshape", ["s", "shape"], ["y"]),
    ]
    model = made(nodes, {"shape": np.array([-1])})
    rounded = rounded_graph(model)
    assert kinds(rounded) == {**kinds(model), "Cast": 4}
    x = rng.standard_normal((1, 64)).astype(np.float16)
    assert np.array_equal(ran(rounded, x, LEVELS[1]), ran(model, x, LEVELS[0]))


def test_types_named_by_attributes_follow() -> None:
    one = numpy_helper.from_array(np.array([0.1], np.float16))
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["tenths"], value=one),
        helper.make_node("Cast", ["shape"], ["sizes"], to=HALF),
        helper.make_node("Gather", ["sizes", "last"], ["width"]),
        helper.make_node("Div", ["tenths", "width"], ["fraction"]),
        helper.make_node("Add", ["x", "fraction"], ["y"]),
    ]
    model = made(nodes, {"last": np.array(1)})
    x = rng.standard_normal((1, 64)).astype(np.float16)
    expected = x + np.float16(0.1) / np.float16(64)
    assert np.array_equal(ran(rounded_graph(model), x, LEVELS[1]), expected)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("opset", [17, 18])
def test_a_normalisation_of_halves_takes_halves_all_the_way(opset: int, bias: bool) -> None:
    norm = helper.make_node(
        "LayerNormalization", ["x", "s", "b"][: 2 + bias], ["y"], axis=-1, epsilon=1e-6
    )
    weights = {"s": np.ones(64, np.float16), "b": np.full(64, 0.25, np.float16)}
    model = rounded_graph(made([norm], weights, opset=opset))
    assert "LayerNormalization" not in kinds(model)
    x = rng.standard_normal((1, 64)).astype(np.float16)
    found, level = ran(model, x, LEVELS[1]).astype("d"), 0.25 * bias
    plain = (x - x.mean(dtype="d")) / x.std(dtype="d") + level
    assert 0 < np.abs(found - plain).max() < 1e-2
    ruined = ran(model, np.linspace(-1040, 1040, 64, dtype=np.float16)[None], LEVELS[1])
    assert np.array_equal(ruined, np.full((1, 64), level))


def test_a_normalisation_of_other_axes_is_refused() -> None:
    norm = helper.make_node("LayerNormalization", ["x", "s"], ["y"], axis=0)
    model = made([norm], {"s": np.ones((1, 64), np.float16)})
    with pytest.raises(GraphError, match="only a normalisation of the last axis"):
        rounded_graph(model)


@pytest.mark.parametrize("level", LEVELS)
def test_quantised_halves_are_what_they_stand_for(level: str) -> None:
    """Q and DQ of halves, their scales halves, too: the product of int8 values, rounded."""
    weight = rng.integers(-127, 128, (8, 64)).astype(np.int8)
    scales = rng.uniform(1e-3, 2e-3, 8).astype(np.float16)
    step = np.float16(0.0317)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "step", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "step", "zero"], ["d"]),
        helper.make_node("DequantizeLinear", ["w8", "scales", "zeros"], ["w"], axis=0),
        helper.make_node("Gemm", ["d", "w"], ["y"], transB=1),
    ]
    weights = {"w8": weight, "scales": scales, "step": step, "zero": np.int8(0)}
    constants = {name: np.asarray(value) for name, value in weights.items()}
    constants["zeros"] = np.zeros(8, np.int8)
    rounded = rounded_graph(made(nodes, constants, opset=21))
    assert kinds(rounded)["DequantizeLinear"] == 1
    assert "w8" not in {tensor.name for tensor in rounded.graph.initializer}
    x = rng.standard_normal((1, 64)).astype(np.float16)
    quantised = np.clip(np.rint(x.astype("f") / step.astype("f")), -128, 127)
    d = (quantised * step.astype("f")).astype(np.float16)
    w = (weight * scales.astype("f")[:, None]).astype(np.float16)
    found = ran(rounded, x, level)
    expected = (d.astype("d") @ w.astype("d").T).astype(np.float16)
    assert np.abs(found - expected).max() <= np.spacing(np.abs(expected).max())


@pytest.mark.parametrize("stage", Stage, ids=lambda stage: stage.value)
def test_a_rounded_stage_stands_in_for_its_graph(
    stage: Stage, tiny_voice: Callable[[str], Path], tmp_path: Path
) -> None:
    """Same signature, same metadata; opened by the runtime's own backend, optimised as ever."""
    directory = tiny_voice("nsf")
    record = manifest_from_directory(directory).stages[stage]
    half, graph = half_graph(onnx.load(directory / record.file.path), record.graph)
    before = half.SerializeToString(deterministic=True)
    rounded = rounded_graph(half)
    assert half.SerializeToString(deterministic=True) == before
    assert has_halves(half)
    assert {e.key: e.value for e in rounded.metadata_props}[METADATA_KEY] == graph.as_json()
    for ours, theirs in (
        (rounded.graph.input, half.graph.input),
        (rounded.graph.output, half.graph.output),
    ):
        assert list(ours) == list(theirs)
    (tmp_path / "graph.onnx").write_bytes(rounded.SerializeToString())
    session = OnnxBackend().open(
        tmp_path, StageRecord(file_record(tmp_path, "graph.onnx"), graph, 0)
    )
    assert session.graph == graph


def test_a_graph_without_halves_stays_as_it_is(tiny_voice: Callable[[str], Path]) -> None:
    model = onnx.load(tiny_voice("plain") / "onnx/text_encoder.onnx")
    assert not has_halves(model)
    rounded = rounded_graph(model)
    assert rounded is not model
    assert rounded.SerializeToString(deterministic=True) == model.SerializeToString(
        deterministic=True
    )


def test_an_invalid_graph_is_refused() -> None:
    """Halves and floats do not add up."""
    model = made([helper.make_node("Identity", ["x"], ["y"])], {})
    model.graph.node[0].CopyFrom(helper.make_node("Add", ["x", "w"], ["y"]))
    model.graph.initializer.append(numpy_helper.from_array(np.ones(64, "f"), "w"))
    with pytest.raises(GraphError, match="graph to be rounded is invalid"):
        rounded_graph(model)
