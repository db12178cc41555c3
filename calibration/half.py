"""Half precision: an fp32 graph becomes one that computes, and keeps its weights, in float16.

Rules say for each operator how it computes; a float tensor is cast only where two operators
disagree, and at the graph's edges. May import onnx; no torch, no exporter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from sambert_trt.engines.errors import GraphError
from sambert_trt.engines.graphs import METADATA_KEY, GraphSpec, Precision, TensorSpec
from sambert_trt.runtime.backend import FEEDBACK, RETURNED

__all__ = ["RULES", "Arithmetic", "Rule", "half_graph", "half_recipe"]


class Arithmetic(str, Enum):
    """What an operator's floating-point tensors are."""

    HALF = "float16"
    FLOAT = "float32"


@dataclass(frozen=True)
class Rule:
    """How an operator computes; the inputs at `float_positions` ONNX wants in float32 even so."""

    arithmetic: Arithmetic
    float_positions: tuple[int, ...] = ()


_TYPES = {Arithmetic.HALF: TensorProto.FLOAT16, Arithmetic.FLOAT: TensorProto.FLOAT}
_HALF = (
    "Concat Expand Gather Identity Pad Reshape Shape Slice Split Squeeze Transpose Unsqueeze Where",
    "Add Cast ConstantOfShape Div LeakyRelu Mul Neg Relu Sigmoid Sin Sub Tanh",
    "Conv ConvTranspose Gemm LSTM MatMul ReduceSum Softmax",
    "DequantizeLinear QuantizeLinear",
)

RULES: Mapping[str, Rule] = {
    **dict.fromkeys(" ".join(_HALF).split(), Rule(Arithmetic.HALF)),
    "LayerNormalization": Rule(Arithmetic.FLOAT),
    "Resize": Rule(Arithmetic.HALF, float_positions=(1, 2)),
}
"""How each operator computes; one that is not here is refused.

LayerNormalization sums squares. Trained decoders carry values of 1040, and no half holds the square
of one: the variance becomes infinite, the output the bias alone, and no NaN tells. Products with
weights stay far below the largest half even when all their terms add up.
"""


def half_graph(
    model: ModelProto, graph: GraphSpec, rules: Mapping[str, Rule] = RULES
) -> tuple[ModelProto, GraphSpec]:
    """Writes an fp32 graph in half precision.

    Inputs and outputs stay float32, except the state that a backend hands from step to step and
    nobody else reads: the graph computes it in half, and float32 would only be twice as large.

    Args:
        model: the fp32 graph; it is not changed.
        graph: its signature.
        rules: how each operator computes.

    Returns:
        The checked graph, which carries its new signature, and that signature.

    Raises:
        GraphError: an operator without a rule, a constant beyond the half range, or a graph that
            is not in fp32 or not valid.
    """
    name = graph.stage.value
    if graph.precision is not Precision.FP32:
        raise GraphError(f"the {name} graph is in {graph.precision.value}: convert the fp32 one")
    signature = _half_signature(graph)
    converted = _Conversion(model, signature, rules).model()
    _check(converted, name)
    return converted, signature


def half_recipe(rules: Mapping[str, Rule] = RULES) -> str:
    """What `half_graph` does, in words."""
    floats = [name for name, rule in rules.items() if rule.arithmetic is Arithmetic.FLOAT]
    kept = f"{', '.join(sorted(floats))} in fp32, " if floats else ""
    return f"{kept}fp32 inputs and outputs, state in fp16"


def _half_signature(graph: GraphSpec) -> GraphSpec:
    returned, held = RETURNED.get(graph.stage, ()), set[str]()
    for name, source in FEEDBACK.get(graph.stage, {}).items():
        if source not in returned:
            held |= {name, source}

    def typed(tensors: Iterable[TensorSpec]) -> tuple[TensorSpec, ...]:
        dtype = Arithmetic.HALF.value
        return tuple(replace(t, dtype=dtype) if t.name in held else t for t in tensors)

    return replace(
        graph,
        precision=Precision.FP16,
        inputs=typed(graph.inputs),
        outputs=typed(graph.outputs),
    )


class _Conversion:
    """One graph on its way: the float values there are, and the forms each has been given."""

    def __init__(self, model: ModelProto, signature: GraphSpec, rules: Mapping[str, Rule]) -> None:
        self._source = model
        self._signature, self._rules = signature, rules
        self._constants = dict(self._constant_tensors())
        self._floats = self._float_values()
        edges = (*signature.inputs, *signature.outputs)
        self._edges = {t.name: Arithmetic(t.dtype) for t in edges if t.name in self._floats}
        self._forms = {
            (t.name, self._edges[t.name]) for t in signature.inputs if t.name in self._edges
        }
        self._nodes: list[NodeProto] = []
        self._weights: list[TensorProto] = []

    def model(self) -> ModelProto:
        """The converted graph."""
        for node in self._source.graph.node:
            if node.op_type != "Constant":
                self._nodes.append(self._converted(node))
        for tensor in self._signature.outputs:
            if tensor.name in self._edges:
                self._form(tensor.name, self._edges[tensor.name])
        exact = [t for name, t in self._constants.items() if name not in self._floats]
        converted = ModelProto()
        converted.CopyFrom(self._source)
        for field, items in (("node", self._nodes), ("initializer", [*exact, *self._weights])):
            converted.graph.ClearField(field)
            getattr(converted.graph, field).extend(items)
        converted.graph.ClearField("value_info")
        self._retype_edges(converted)
        return converted

    def _constant_tensors(self) -> Iterator[tuple[str, TensorProto]]:
        for tensor in self._source.graph.initializer:
            yield tensor.name, tensor
        for node in self._source.graph.node:
            if node.op_type == "Constant":
                (attribute,) = node.attribute
                value = helper.get_attribute_value(attribute)
                if isinstance(value, TensorProto):
                    array = numpy_helper.to_array(value)
                else:
                    array = np.array(value, np.float32 if "float" in attribute.name else np.int64)
                yield node.output[0], numpy_helper.from_array(array, node.output[0])

    def _float_values(self) -> set[str]:
        try:
            graph = onnx.shape_inference.infer_shapes(
                self._source, check_type=True, strict_mode=True
            ).graph
        except onnx.shape_inference.InferenceError as error:
            raise GraphError(
                f"the {self._signature.stage.value} graph is invalid: {error}"
            ) from error
        kind = _TYPES[Arithmetic.FLOAT]
        values = (*graph.input, *graph.value_info, *graph.output)
        found = {value.name for value in values if value.type.tensor_type.elem_type == kind}
        return found | {name for name, t in self._constants.items() if t.data_type == kind}

    def _converted(self, node: NodeProto) -> NodeProto:
        result = NodeProto()
        result.CopyFrom(node)
        if self._floats.isdisjoint((*node.input, *node.output)):
            return result
        rule = self._rule(node)
        for position, name in enumerate(node.input):
            if name in self._floats:
                wanted = Arithmetic.FLOAT if position in rule.float_positions else rule.arithmetic
                result.input[position] = self._form(name, wanted)
        for position, name in enumerate(node.output):
            if name in self._floats:
                self._forms.add((name, rule.arithmetic))
                result.output[position] = self._name(name, rule.arithmetic)
        if rule.arithmetic is Arithmetic.HALF:
            self._halve_attributes(result)
        return result

    def _rule(self, node: NodeProto) -> Rule:
        inner = any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute)
        if node.op_type not in self._rules or node.domain not in ("", "ai.onnx") or inner:
            raise GraphError(
                f"the {self._signature.stage.value} graph holds the operator "
                f"{node.domain}{node.op_type}, for which calibration/half.py has no rule"
            )
        return self._rules[node.op_type]

    def _form(self, value: str, arithmetic: Arithmetic) -> str:
        """The name under which a float value is there in an arithmetic; makes it if need be."""
        name = self._name(value, arithmetic)
        if (value, arithmetic) not in self._forms:
            self._forms.add((value, arithmetic))
            if value in self._constants:
                self._weights.append(self._tensor(self._constants[value], arithmetic, name))
            else:
                (other,) = set(Arithmetic) - {arithmetic}
                self._nodes.append(
                    helper.make_node(
                        "Cast",
                        [self._name(value, other)],
                        [name],
                        name=f"Cast/{name}",
                        to=_TYPES[arithmetic],
                    )
                )
        return name

    def _name(self, value: str, arithmetic: Arithmetic) -> str:
        plain = self._edges.get(value, Arithmetic.HALF)
        return value if arithmetic is plain else f"{value}.{arithmetic.value}"

    def _tensor(self, tensor: TensorProto, arithmetic: Arithmetic, name: str) -> TensorProto:
        values = numpy_helper.to_array(tensor)
        largest = float(np.abs(values).max(initial=0))
        if not largest <= float(np.finfo(arithmetic.value).max):
            raise GraphError(
                f"{name} in the {self._signature.stage.value} graph holds {largest:g}, "
                f"which {arithmetic.value} cannot: keep this voice in fp32"
            )
        return numpy_helper.from_array(values.astype(arithmetic.value), name)

    def _halve_attributes(self, node: NodeProto) -> None:
        for attribute in node.attribute:
            if attribute.t.data_type == _TYPES[Arithmetic.FLOAT]:
                tensor = self._tensor(attribute.t, Arithmetic.HALF, node.output[0])
                attribute.t.CopyFrom(tensor)
            elif attribute.name == "to" and attribute.i == _TYPES[Arithmetic.FLOAT]:
                attribute.i = _TYPES[Arithmetic.HALF]

    def _retype_edges(self, converted: ModelProto) -> None:
        for value in (*converted.graph.input, *converted.graph.output):
            if value.name in self._edges:
                value.type.tensor_type.elem_type = _TYPES[self._edges[value.name]]
        for entry in converted.metadata_props:
            if entry.key == METADATA_KEY:
                entry.value = self._signature.as_json()


def _check(model: ModelProto, name: str) -> None:
    try:
        onnx.checker.check_model(model, full_check=True)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise GraphError(f"the {name} graph in half precision is invalid: {error}") from error
