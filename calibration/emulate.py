"""Half precision as a card computes it: every operator's result is rounded to a half.

    half graph ─ rounded_graph ─▶ float32 arithmetic, float16 values

ONNX Runtime's kernels for processors compute most operators on halves in float32, and what goes
from one operator to the next is not always rounded: they flatter a graph. May import onnx; no
torch, no exporter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper
from onnx import numpy_helper as arrays

from sambert_trt.engines.errors import GraphError

__all__ = ["has_halves", "rounded_graph"]

_MOVES = "Concat Expand Flatten Gather GatherElements GatherND Identity Pad Reshape Slice Split"
_EXACT = {
    *_MOVES.split(),
    *("Squeeze", "Tile", "Transpose", "Unsqueeze", "Where", "ConstantOfShape"),
    *("Abs", "Max", "Min", "Neg", "Relu"),
}
"""Operators that give halves wherever they are given halves: nothing to round."""

_TYPE_ATTRIBUTES = ("to", "dtype", "output_dtype")
_HALF, _FLOAT = TensorProto.FLOAT16, TensorProto.FLOAT
_AXES_AS_INPUT = 18
"""From this opset on, ReduceMean takes its axes as an input."""


def has_halves(model: ModelProto) -> bool:
    """Whether anything in a graph is a half."""
    graph = model.graph
    edges = (value.type.tensor_type.elem_type for value in (*graph.input, *graph.output))
    constants = (tensor.data_type for tensor in graph.initializer)
    casts = (a.i for n in graph.node if n.op_type == "Cast" for a in n.attribute if a.name == "to")
    return _HALF in {*edges, *constants, *casts}


def rounded_graph(model: ModelProto) -> ModelProto:
    """Rewrites a graph so that every operator on halves rounds what it puts out to halves.

    Operators compute in float32, inside too: products are summed, and the steps of a softmax or of
    an LSTM are taken, in float32, as on a card; what leaves the operator is a half. The steps of a
    LayerNormalization on halves are halves, too, because a backend may do that. Weights stored in
    int8 are dequantised beforehand.

    Args:
        model: a graph with halves, Q/DQ or not; it is not changed. Inputs, outputs and metadata
            stay as they are.

    Returns:
        The graph with fp32 weights; a copy of `model` where it has no halves.

    Raises:
        GraphError: the graph is invalid, or normalises over other axes than the last.
    """
    result = ModelProto()
    result.CopyFrom(model)
    if has_halves(model):
        result.graph.ClearField("value_info")
        _fold_weights(result.graph)
        _Rounding(result).rewrite()
        _check(result)
    return result


def _fold_weights(graph: GraphProto) -> None:
    """Constants that only a DequantizeLinear reads become the floats it gives."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    kept, folded = list[NodeProto](), list[TensorProto]()
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and all(n in constants for n in node.input if n):
            values = [arrays.to_array(constants[name]) for name in node.input if name]
            axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
            folded.append(arrays.from_array(_dequantised(*values, axis=axis), node.output[0]))
        else:
            kept.append(node)
    read = {name for node in kept for name in node.input} | {v.name for v in graph.output}
    left = [tensor for tensor in graph.initializer if tensor.name in read]
    for field, items in (("node", kept), ("initializer", [*left, *folded])):
        graph.ClearField(field)
        getattr(graph, field).extend(items)


def _dequantised(
    values: NDArray[np.generic],
    scale: NDArray[np.generic],
    zero_point: NDArray[np.generic] | None = None,
    *,
    axis: int,
) -> NDArray[np.generic]:
    """(values - zero point) * scale, per channel of an axis or for all, in the scale's type."""

    def spread(parameter: NDArray[np.generic]) -> NDArray[np.float32]:
        shape = [1] * values.ndim
        if parameter.size > 1:
            shape[axis] = parameter.size
        return parameter.astype(np.float32).reshape(shape)

    centred = values.astype(np.float32)
    if zero_point is not None:
        centred = centred - spread(zero_point)
    dequantised: NDArray[np.generic] = (centred * spread(scale)).astype(scale.dtype)
    return dequantised.reshape(values.shape)


class _Rounding:
    """One graph on its way: a half x becomes a float32 x that holds halves.

    At the graph's edges x stays a half, and `x/wide` is its float32 form.
    """

    def __init__(self, model: ModelProto) -> None:
        self._model, self._graph = model, model.graph
        self._opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        self._halves = _half_values(model)
        edges = (*self._graph.input, *self._graph.output)
        self._edges = {v.name for v in edges if v.name in self._halves}

    def rewrite(self) -> None:
        """Rewrites the graph in place."""
        nodes = list(self._rewritten())
        constants = [self._widened_constant(t) for t in self._graph.initializer]
        for field, items in (("node", nodes), ("initializer", [*constants, *self._own_constants])):
            self._graph.ClearField(field)
            getattr(self._graph, field).extend(items)

    def _rewritten(self) -> Iterator[NodeProto]:
        self._own_constants = list[TensorProto]()
        for value in self._graph.input:
            if value.name in self._edges:
                yield _cast(value.name, self._wide(value.name), _FLOAT)
        for node in self._graph.node:
            for step in self._steps(node):
                yield from self._rounded(step)
        for value in self._graph.output:
            if value.name in self._edges:
                yield _cast(self._wide(value.name), value.name, _HALF)

    def _steps(self, node: NodeProto) -> Iterable[NodeProto]:
        """A LayerNormalization on halves as its formula, anything else as it is."""
        if node.op_type == "LayerNormalization" and node.input[0] in self._halves:
            return self._normalisation(node)
        return [node]

    def _normalisation(self, node: NodeProto) -> Iterator[NodeProto]:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if attributes.get("axis", -1) != -1 or len(node.output) != 1:
            raise GraphError(f"{node.name}: only a normalisation of the last axis can be rounded")
        (y,) = node.output
        x, scale, *bias = node.input
        names = [f"{y}/{step}" for step in range(8)]
        mean, gap, square, variance, safe, deviation, plain, epsilon = names
        self._halves.update(names)
        least = np.array(attributes.get("epsilon", 1e-5), np.float16)
        self._own_constants.append(arrays.from_array(least.astype(np.float32), epsilon))
        yield self._mean(x, mean)
        yield helper.make_node("Sub", [x, mean], [gap])
        yield helper.make_node("Mul", [gap, gap], [square])
        yield self._mean(square, variance)
        yield helper.make_node("Add", [variance, epsilon], [safe])
        yield helper.make_node("Sqrt", [safe], [deviation])
        yield helper.make_node("Div", [gap, deviation], [plain])
        scaled = f"{y}/scaled" if bias else y
        self._halves.add(scaled)
        yield helper.make_node("Mul", [plain, scale], [scaled])
        if bias:
            yield helper.make_node("Add", [scaled, *bias], [y])

    def _mean(self, source: str, target: str) -> NodeProto:
        if self._opset < _AXES_AS_INPUT:
            return helper.make_node("ReduceMean", [source], [target], axes=[-1])
        axes = f"{target}/axes"
        self._own_constants.append(arrays.from_array(np.array([-1]), axes))
        return helper.make_node("ReduceMean", [source, axes], [target])

    def _rounded(self, node: NodeProto) -> Iterator[NodeProto]:
        """The operator in float32, its results rounded where it does not give halves anyway."""
        wide = NodeProto()
        wide.CopyFrom(node)
        halves = [name for name in node.output if name in self._halves]
        for attribute in wide.attribute:
            _widen_attribute(attribute)
        exact = node.op_type in _EXACT
        wide.input[:] = [self._wide(name) for name in node.input]
        wide.output[:] = [
            f"{name}/exact" if name in halves and not exact else self._wide(name)
            for name in node.output
        ]
        yield wide
        if not exact:
            for name in halves:
                yield _cast(f"{name}/exact", f"{name}/half", _HALF)
                yield _cast(f"{name}/half", self._wide(name), _FLOAT)

    def _wide(self, name: str) -> str:
        return f"{name}/wide" if name in self._edges else name

    def _widened_constant(self, tensor: TensorProto) -> TensorProto:
        if tensor.data_type != _HALF:
            return tensor
        return arrays.from_array(arrays.to_array(tensor).astype(np.float32), tensor.name)


def _half_values(model: ModelProto) -> set[str]:
    try:
        graph = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True).graph
    except onnx.shape_inference.InferenceError as error:
        raise GraphError(f"the graph to be rounded is invalid: {error}") from error
    values = (*graph.input, *graph.value_info, *graph.output)
    found = {value.name for value in values if value.type.tensor_type.elem_type == _HALF}
    return found | {tensor.name for tensor in graph.initializer if tensor.data_type == _HALF}


def _widen_attribute(attribute: AttributeProto) -> None:
    if attribute.t.data_type == _HALF:
        values = arrays.to_array(attribute.t).astype(np.float32)
        attribute.t.CopyFrom(arrays.from_array(values))
    elif attribute.name in _TYPE_ATTRIBUTES and attribute.i == _HALF:
        attribute.i = _FLOAT


def _cast(source: str, target: str, to: int) -> NodeProto:
    return helper.make_node("Cast", [source], [target], to=to)


def _check(model: ModelProto) -> None:
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise GraphError(f"the rounded graph is invalid: {error}") from error
