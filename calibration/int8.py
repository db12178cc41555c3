"""Graphs with int8 layers: a plan and the ranges of tensors become explicit Q/DQ nodes.

    fp32 graph ─ activations and weights (ONNX Runtime's quantizer) ─ weights alone ─ base ─▶ graph

May import onnx and onnxruntime's quantizer; no runtime.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.errors import GraphError, InputError
from sambert_trt.engines.graphs import METADATA_KEY, GraphSpec, Placement, Precision

from .half import half_graph
from .placement import Layers, groups, nodes_by_treatment, quantised_nodes
from .recipe import StagePlan, Treatment

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

    from .ranges import Range

__all__ = ["observed_tensors", "planned_graph"]

_LOG = logging.getLogger(__name__)

_LEAST_SCALE = 2.0**-17
"""No step between two int8 values is smaller: a half still holds it to 0.4 %, as int8 does 1/127.

Smaller scales become 0 in half precision, and a tensor divided by 0 is no number.
"""

_HALF_SCALES = 19, 9
"""The operator set, and the format that came with it, in which Q/DQ take scales in half."""

_BRANCH = "/int8"
"""Ends the name of a value that only int8 layers read while the quantizer works."""

_MATRIX = frozenset({"Gemm", "MatMul"})
"""ONNX Runtime's int8 kernels of these put out float32; a convolution's need an int8 output."""


def observed_tensors(
    model: ModelProto, graph: GraphSpec, plan: StagePlan, placement: Placement
) -> tuple[str, ...]:
    """The tensors of the fp32 graph whose ranges `planned_graph` needs, in the graph's order.

    Raises:
        InputError: the plan does not fit the graph.
    """
    return _Work(model, graph, plan, placement).observed


def planned_graph(
    model: ModelProto,
    graph: GraphSpec,
    plan: StagePlan,
    ranges: Mapping[str, Range],
    placement: Placement,
) -> tuple[ModelProto, GraphSpec]:
    """Writes a stage's graph as a plan wants it.

    The same arguments give the same bytes (serialised deterministically).

    Args:
        model: the fp32 graph; it is not changed.
        graph: its signature.
        plan: what is done to its groups.
        ranges: of `observed_tensors`, by name.
        placement: whose kernels are to run it: activations are uint8 for ONNX Runtime, int8
            around zero for TensorRT; weights are int8 around zero, with a scale per channel.

    Returns:
        The checked graph, which carries its new signature, and that signature.

    Raises:
        InputError: the plan does not fit the graph, or ranges are missing.
        GraphError: a range or a weight is not finite, or the graph is not in fp32 or not valid.
    """
    if graph.precision is not Precision.FP32:
        name = graph.stage.value
        raise GraphError(f"the {name} graph is in {graph.precision.value}: plan for the fp32 one")
    work = _Work(model, graph, plan, placement)
    made = work.model(ranges) if plan.treated else model
    if plan.base is Precision.FP16:
        made, graph = half_graph(made, graph)
    if not plan.treated:
        return made, graph
    _keep_read_tensors(made)
    return _signed(made, replace(graph, precision=Precision.INT8, base=plan.base))


@dataclass(frozen=True)
class _Work:
    """One graph, its plan, and which of its nodes and tensors the plan touches."""

    source: ModelProto
    graph: GraphSpec
    plan: StagePlan
    placement: Placement

    def __post_init__(self) -> None:
        stage, base = self.graph.stage.value, self.plan.base
        if base not in (Precision.FP32, Precision.FP16):
            raise InputError(f"{stage}: the base is fp32 or fp16, not {base.value}")
        if self.treated and base is Precision.FP16 and self.placement is Placement.CPU:
            raise InputError(
                f"{stage}: ONNX Runtime's processor kernels quantise float32 and no halves: "
                "plan int8 groups for cpu with base fp32"
            )

    @cached_property
    def layers(self) -> Layers:
        """What makes and takes which tensor."""
        return Layers(self.source)

    @cached_property
    def treated(self) -> dict[Treatment, tuple[str, ...]]:
        """Names of layers by what is done to them."""
        found = groups(self.source, self.graph, self.placement)
        return nodes_by_treatment(self.plan, found, self.graph.stage)

    @cached_property
    def quantised(self) -> tuple[NodeProto, ...]:
        """The nodes that the quantizer is to work on."""
        names = quantised_nodes(self.layers, self.treated, self.placement)
        return tuple(self.layers.by_name[name] for name in names)

    @cached_property
    def folded(self) -> dict[str, str]:
        """What a layer puts out into a Relu, and what that puts out: uint8 does its clipping."""
        return {n.input[0]: n.output[0] for n in self.quantised if n.op_type == "Relu"}

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """The tensors that come out of a quantised node in int8."""
        if self.placement is Placement.TENSORRT:
            return ()
        return tuple(n.output[0] for n in self.quantised if n.op_type not in _MATRIX)

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The tensors that go into a quantised node."""
        found = (name for node in self.quantised for name in self.layers.activations(node))
        return tuple(dict.fromkeys(found))

    @cached_property
    def observed(self) -> tuple[str, ...]:
        """The tensors whose ranges are needed."""
        wanted = {*self.inputs, *self.outputs} - set(self.folded)
        given = (tensor.name for tensor in self.source.graph.input)
        made = (name for node in self.layers.nodes for name in node.output)
        return tuple(name for name in (*given, *made) if name in wanted)

    @cached_property
    def branches(self) -> tuple[str, ...]:
        """The inputs that others read, too: those go on reading the float."""
        names = {node.name for node in self.quantised}
        shown = {tensor.name for tensor in self.source.graph.output}
        return tuple(
            tensor
            for tensor in self.inputs
            if tensor not in self.outputs
            and (tensor in shown or any(n.name not in names for n in self.layers.takers[tensor]))
        )

    def model(self, ranges: Mapping[str, Range]) -> ModelProto:
        """The graph in fp32 with its treated layers in int8."""
        made = type(self.source)()
        made.CopyFrom(self.source)
        self._check_weights()
        if self.quantised:
            made = _without_branches(self._quantised(self._branched(made), self._limits(ranges)))
        _store_weights(made, self.treated.get(Treatment.W8, ()))
        if self.plan.base is Precision.FP16:
            _take_half_scales(made)
        self._restore_origin(made)
        _sort_nodes(made)
        _keep_read_tensors(made)
        _check(made, self.graph.stage.value)
        return made

    def _check_weights(self) -> None:
        from onnx import numpy_helper

        for name in (name for names in self.treated.values() for name in names):
            weight = self.layers.by_name[name].input[1]
            if not np.isfinite(numpy_helper.to_array(self.layers.parameters[weight])).all():
                raise GraphError(
                    f"{weight} in the {self.graph.stage.value} graph holds numbers that are not "
                    "finite: export a sound checkpoint"
                )

    def _restore_origin(self, model: ModelProto) -> None:
        """Takes back what the quantizer says of itself; its shapes name tensors that are gone."""
        model.producer_name = self.source.producer_name
        model.producer_version = self.source.producer_version
        model.ClearField("metadata_props")
        model.metadata_props.extend(self.source.metadata_props)
        model.graph.ClearField("value_info")

    def _limits(self, ranges: Mapping[str, Range]) -> dict[str, tuple[float, float]]:
        missing = [name for name in self.observed if name not in ranges]
        if missing:
            raise InputError(
                f"{self.graph.stage.value}: no range of {', '.join(missing)}: observe them first"
            )
        limits = {name: self._limit(name, ranges[name]) for name in self.observed}
        limits |= {name: limits[after] for name, after in self.folded.items()}
        return limits | {name + _BRANCH: limits[name] for name in self.branches}

    def _limit(self, name: str, found: Range) -> tuple[float, float]:
        least, most = float(found.least), float(found.most)
        if not (math.isfinite(least) and math.isfinite(most) and least <= most):
            raise GraphError(
                f"{name} in the {self.graph.stage.value} graph has the range {least:g} to "
                f"{most:g}: look for numbers in the checkpoint that are not finite"
            )
        if least == most == 0:
            _LOG.warning(
                "%s in the %s graph was 0 throughout calibration: it is quantised as if it went "
                "from -1 to 1; more varied texts may show its range",
                name,
                self.graph.stage.value,
            )
            return -1.0, 1.0
        return least, most

    def _branched(self, model: ModelProto) -> ModelProto:
        """The graph with a value of its own for int8 layers wherever others read the same."""
        import onnx

        names = {node.name for node in self.quantised}
        for node in model.graph.node:
            for position, tensor in enumerate(node.input):
                if node.name in names and tensor in self.branches:
                    node.input[position] = tensor + _BRANCH
        for tensor in self.branches:
            name = tensor + _BRANCH
            model.graph.node.append(onnx.helper.make_node("Identity", [tensor], [name], name=name))
        _sort_nodes(model)
        return onnx.shape_inference.infer_shapes(model)

    def _quantised(
        self, model: ModelProto, limits: Mapping[str, tuple[float, float]]
    ) -> ModelProto:
        from onnxruntime.quantization import QDQQuantizer, QuantType
        from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData

        data = {n: (np.float32(least), np.float32(most)) for n, (least, most) in limits.items()}
        cpu = self.placement is Placement.CPU
        types = {node.op_type for node in self.quantised}
        quantizer = QDQQuantizer(
            model,
            per_channel=True,
            reduce_range=False,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8 if cpu else QuantType.QInt8,
            tensors_range=TensorsData(CalibrationMethod.MinMax, data),
            nodes_to_quantize=[node.name for node in self.quantised],
            nodes_to_exclude=[],
            op_types_to_quantize=sorted(types),
            extra_options={
                "ActivationSymmetric": not cpu,
                "WeightSymmetric": True,
                "QuantizeBias": cpu,  # TensorRT refuses a bias in int32
                "OpTypesToExcludeOutputQuantization": sorted(types & _MATRIX if cpu else types),
                "MinimumRealRange": 255 * _LEAST_SCALE,
            },
        )
        made: ModelProto = quantizer.quantize_model()
        return made


def _without_branches(model: ModelProto) -> ModelProto:
    sources = {
        node.output[0]: node.input[0]
        for node in model.graph.node
        if node.op_type == "Identity" and node.output[0] == node.input[0] + _BRANCH
    }
    kept = [node for node in model.graph.node if node.output[0] not in sources]
    for node in kept:
        for position, name in enumerate(node.input):
            node.input[position] = sources.get(name, name)
    _replace(model, kept)
    return model


def _store_weights(model: ModelProto, names: Iterable[str]) -> None:
    """Puts int8 weights and a DequantizeLinear where layers had float weights."""
    import onnx

    layers, stored = Layers(model), dict[str, str]()
    for name in names:
        node = layers.by_name[name]
        weight, axis = node.input[1], _channels(node)
        if weight not in stored:
            stored[weight] = f"{weight}/float"
            tensors = tuple(_int8_tensors(layers.parameters[weight], axis))
            model.graph.initializer.extend(tensors)
            inputs = [tensor.name for tensor in tensors]
            restored = onnx.helper.make_node(
                "DequantizeLinear", inputs, [stored[weight]], name=f"{weight}/restored", axis=axis
            )
            model.graph.node.append(restored)
        node.input[1] = stored[weight]


def _channels(node: NodeProto) -> int:
    """The axis of the weights along which the outputs lie."""
    if node.op_type == "Conv":
        return 0
    transposed = any(a.name == "transB" and a.i for a in node.attribute)
    return 0 if transposed else 1


def _int8_tensors(weight: TensorProto, axis: int) -> Iterator[TensorProto]:
    """Weights, scales and zero points."""
    from onnx import numpy_helper

    values: NDArray[np.float32] = numpy_helper.to_array(weight)
    others = tuple(a for a in range(values.ndim) if a != axis)
    most = np.abs(values).max(axis=others, keepdims=True)
    half = np.maximum(most / 127, _LEAST_SCALE).astype(np.float16)
    scales = half.astype(np.float32)
    rounded = np.clip(np.rint(values / scales), -127, 127).astype(np.int8)
    yield numpy_helper.from_array(rounded, f"{weight.name}/int8")
    yield numpy_helper.from_array(scales.reshape(-1), f"{weight.name}/scale")
    yield numpy_helper.from_array(np.zeros(scales.size, np.int8), f"{weight.name}/zero")


def _take_half_scales(model: ModelProto) -> None:
    """Declares the operator set in which Q/DQ may compute in half; the other operators agree."""
    opset, version = _HALF_SCALES
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx"):
            entry.version = max(entry.version, opset)
    model.ir_version = max(model.ir_version, version)


def _keep_read_tensors(model: ModelProto) -> None:
    """Keeps each initializer that a node reads, by name: float weights that became int8 go."""
    read = {name for node in model.graph.node for name in node.input}
    kept = {tensor.name: tensor for tensor in model.graph.initializer if tensor.name in read}
    copies = [type(t).FromString(t.SerializeToString()) for _, t in sorted(kept.items())]
    model.graph.ClearField("initializer")
    model.graph.initializer.extend(copies)


def _sort_nodes(model: ModelProto) -> None:
    """Moves nodes in front of the first that reads them; the others keep their order."""
    makers = {name: node for node in model.graph.node for name in node.output}
    done = set[str]()

    def ordered(node: NodeProto) -> Iterator[NodeProto]:
        if node.name not in done:
            done.add(node.name)
            for name in node.input:
                if name in makers:
                    yield from ordered(makers[name])
            yield node

    _replace(model, [found for node in model.graph.node for found in ordered(node)])


def _replace(model: ModelProto, nodes: Iterable[NodeProto]) -> None:
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    model.graph.ClearField("node")
    model.graph.node.extend(copies)


def _signed(model: ModelProto, graph: GraphSpec) -> tuple[ModelProto, GraphSpec]:
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            entry.value = graph.as_json()
            return model, graph
    model.metadata_props.add(key=METADATA_KEY, value=graph.as_json())
    return model, graph


def _check(model: ModelProto, name: str) -> None:
    import onnx

    try:
        onnx.checker.check_model(model, full_check=True)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise GraphError(f"the {name} graph in int8 is invalid: {error}") from error
