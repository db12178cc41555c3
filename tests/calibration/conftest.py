"""A processor that is strict about half precision, which ONNX Runtime's CPU kernels are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

Strict = Callable[["ModelProto"], "ModelProto"]


@pytest.fixture(scope="session")
def strict() -> Strict:
    """Rewrites a graph so that every operator on halves rounds what it puts out to halves.

    ONNX Runtime computes most of them in float32, and does not round what goes from one to the
    next. The steps of a LayerNormalization on halves are halves here: a backend may do that.
    """
    pytest.importorskip("onnx", reason="graphs are converted with onnx")
    return _strict_graph


def _strict_graph(model: ModelProto) -> ModelProto:
    import onnx

    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = (*graph.input, *graph.value_info, *graph.output)
    half = onnx.TensorProto.FLOAT16
    halves = {v.name for v in values if v.type.tensor_type.elem_type == half}
    halves |= {tensor.name for tensor in graph.initializer if tensor.data_type == half}
    widened = set[str]()
    result.graph.ClearField("node")
    result.graph.ClearField("value_info")
    for node in model.graph.node:
        for step in _steps(node, halves):
            result.graph.node.extend(_rounded(step, halves, widened))
    epsilon = onnx.numpy_helper.from_array(np.array(1e-6, np.float16), "epsilon")
    result.graph.initializer.append(epsilon)
    onnx.checker.check_model(result, full_check=True)
    return result


def _steps(node: NodeProto, halves: set[str]) -> Iterator[NodeProto]:
    """A LayerNormalization on halves as its formula, anything else as it is."""
    from onnx import helper

    if node.op_type != "LayerNormalization" or node.input[0] not in halves:
        yield node
        return
    x, scale, bias = node.input
    y = node.output[0]
    mean, gap, square, variance, safe, deviation, plain, scaled = (f"{y}/{n}" for n in range(8))
    halves |= {mean, gap, square, variance, safe, deviation, plain, scaled, "epsilon"}
    yield helper.make_node("ReduceMean", [x], [mean], axes=[-1])
    yield helper.make_node("Sub", [x, mean], [gap])
    yield helper.make_node("Mul", [gap, gap], [square])
    yield helper.make_node("ReduceMean", [square], [variance], axes=[-1])
    yield helper.make_node("Add", [variance, "epsilon"], [safe])
    yield helper.make_node("Sqrt", [safe], [deviation])
    yield helper.make_node("Div", [gap, deviation], [plain])
    yield helper.make_node("Mul", [plain, scale], [scaled])
    yield helper.make_node("Add", [scaled, bias], [y])


def _rounded(node: NodeProto, halves: set[str], widened: set[str]) -> Iterator[NodeProto]:
    """The operator in float32 between casts."""
    from onnx import NodeProto, TensorProto, helper, numpy_helper

    if node.op_type == "Cast" or halves.isdisjoint((*node.input, *node.output)):
        yield node
        return
    wide = NodeProto()
    wide.CopyFrom(node)
    for position, name in enumerate(node.input):
        if name in halves:
            wide.input[position] = f"{name}/wide"
            if name not in widened:
                widened.add(name)
                yield helper.make_node("Cast", [name], [f"{name}/wide"], to=TensorProto.FLOAT)
    for attribute in wide.attribute:
        if attribute.t.data_type == TensorProto.FLOAT16:
            values = numpy_helper.to_array(attribute.t).astype(np.float32)
            attribute.t.CopyFrom(numpy_helper.from_array(values))
    outputs = [name for name in node.output if name in halves]
    for position, name in enumerate(node.output):
        wide.output[position] = f"{name}/exact" if name in halves else name
    yield wide
    for name in outputs:
        yield helper.make_node("Cast", [f"{name}/exact"], [name], to=TensorProto.FLOAT16)
