"""A stage module becomes a checked ONNX file: small, annotated, and equal to the module.

Every graph passes the full checker and strict shape inference, holds no forbidden operator, carries
its GraphSpec in the metadata, and is run in ONNX Runtime against the module before it is kept.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxscript import ir, optimizer

from sambert_trt.engines.errors import GraphError
from sambert_trt.engines.graphs import METADATA_KEY, AxisRange, GraphSpec, TensorSpec

from .ops import OPSET
from .stages import StageModule

__all__ = ["FORBIDDEN", "GraphReport", "macs_of_graph", "write_graph"]

FORBIDDEN = frozenset(
    {
        "Attention",
        "Bernoulli",
        "Compress",
        "DFT",
        "If",
        "Loop",
        "Multinomial",
        "NonZero",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
        "STFT",
        "Scan",
        "ScatterElements",
        "ScatterND",
        "SequenceConstruct",
        "TensorScatter",
        "Unique",
    }
)
TOLERANCE = 1e-4
_EXPORTER_IR = 8


@dataclass(frozen=True)
class GraphReport:
    """What an exported graph is: node and parameter counts, file bytes, work at usual sizes
    (multiply-accumulates), and the largest difference from the module, relative to its output."""

    nodes: int
    parameters: int
    bytes: int
    macs: int
    difference: float


def write_graph(stage: StageModule, path: Path) -> GraphReport:
    """Exports, cleans, checks and compares one stage.

    Raises:
        GraphError: the graph fails a check or differs from the module.
    """
    graph = stage.graph
    model = _named(_folded(_traced(stage)), graph)
    _check(model, graph)
    onnx.save(model, str(path))
    return GraphReport(
        nodes=len(model.graph.node),
        parameters=sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer),
        bytes=path.stat().st_size,
        macs=macs_of_graph(model, graph),
        difference=_difference(stage, path),
    )


def example_inputs(graph: GraphSpec, size: str, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Seeded inputs of a graph, its axes at their `least`, `usual` or a `small` size between."""
    rng = np.random.default_rng(seed)
    axes = {name: AxisRange(*(3 * [_size(axis, size)])) for name, axis in graph.axes.items()}
    fixed = replace(graph, axes=axes)
    inputs: dict[str, NDArray[Any]] = {}
    for tensor in graph.inputs:
        shape = tuple(fixed.extent(entry).usual for entry in tensor.shape)
        if tensor.dtype == "int64":
            inputs[tensor.name] = rng.integers(0, 4, shape)
        else:
            inputs[tensor.name] = rng.standard_normal(shape, dtype=np.float32)
    return inputs


def _size(axis: AxisRange, size: str) -> int:
    sizes = {"least": axis.least, "small": axis.least + axis.usual // 8, "usual": axis.usual}
    return min(sizes[size], axis.most)


def macs_of_graph(model: Any, graph: GraphSpec) -> int:
    """Multiply-accumulates of convolutions, matrix products and LSTMs at the usual sizes."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    del fixed.graph.value_info[:]
    for value in (*fixed.graph.input, *fixed.graph.output):
        tensor = next(t for t in (*graph.inputs, *graph.outputs) if t.name == value.name)
        for dim, entry in zip(value.type.tensor_type.shape.dim, tensor.shape, strict=True):
            dim.dim_value = graph.extent(entry).usual
    inferred = onnx.shape_inference.infer_shapes(fixed, data_prop=True)
    shapes = {t.name: tuple(t.dims) for t in inferred.graph.initializer}
    for value in (*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output):
        shapes[value.name] = tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
    return sum(_macs_of_node(node, shapes) for node in inferred.graph.node)


def _macs_of_node(node: Any, shapes: Mapping[str, tuple[int, ...]]) -> int:
    first, output = shapes.get(node.input[0], ()), shapes.get(node.output[0], ())
    if node.op_type == "Conv":
        return int(np.prod(output)) * int(np.prod(shapes[node.input[1]][1:]))
    if node.op_type == "ConvTranspose":
        return int(np.prod(first)) * int(np.prod(shapes[node.input[1]][1:]))
    if node.op_type in ("MatMul", "Gemm"):
        return int(np.prod(output)) * (first[-1] if first else 0)
    if node.op_type == "LSTM":
        per_step = sum(int(np.prod(shapes[name])) for name in node.input[1:3])
        return first[0] * per_step if first else 0
    return 0


def _traced(stage: StageModule) -> Any:
    graph = stage.graph
    tensors = (*graph.inputs, *graph.outputs)
    inputs = {name: torch.from_numpy(a) for name, a in example_inputs(graph, "small").items()}
    content = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            stage.module,
            tuple(inputs.values()),
            content,  # type: ignore[arg-type]  # the tracer writes to streams, too
            input_names=[t.name for t in graph.inputs],
            output_names=[t.name for t in graph.outputs],
            dynamic_axes={t.name: axes for t in tensors if (axes := _axes(t))},
            opset_version=OPSET,
            dynamo=False,
        )
    return onnx.load_model_from_string(content.getvalue())


def _axes(tensor: TensorSpec) -> dict[int, str]:
    return {i: entry for i, entry in enumerate(tensor.shape) if isinstance(entry, str)}


def _folded(model: Any) -> Any:
    representation = ir.serde.deserialize_model(model)
    level = logging.getLogger("onnxscript").level
    logging.getLogger("onnxscript").setLevel(logging.ERROR)
    try:
        optimizer.optimize_ir(representation)
    finally:
        logging.getLogger("onnxscript").setLevel(level)
    return ir.serde.serialize_model(representation)


def _named(model: Any, graph: GraphSpec) -> Any:
    model.graph.name = graph.stage.value
    model.ir_version = _EXPORTER_IR
    model.producer_name, model.producer_version = "sambert-trt", ""
    model.doc_string = ""
    del model.metadata_props[:]
    model.metadata_props.add(key=METADATA_KEY, value=graph.as_json())
    for value in (*model.graph.input, *model.graph.output):
        tensor = next(t for t in (*graph.inputs, *graph.outputs) if t.name == value.name)
        for dim, entry in zip(value.type.tensor_type.shape.dim, tensor.shape, strict=True):
            if isinstance(entry, int):
                dim.dim_value = entry
            else:
                dim.dim_param = entry
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in model.graph.value_info:
        del value.metadata_props[:]
    return model


def _check(model: Any, graph: GraphSpec) -> None:
    name = graph.stage.value
    try:
        onnx.checker.check_model(model, full_check=True)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise GraphError(f"the {name} graph is invalid: {error}") from error
    counts = Counter(node.op_type for node in model.graph.node)
    found = sorted(FORBIDDEN & counts.keys())
    if found:
        raise GraphError(f"the {name} graph holds {', '.join(found)}, which no engine should run")
    domains = {node.domain for node in model.graph.node} - {"", "ai.onnx"}
    if domains:
        raise GraphError(f"the {name} graph uses operators outside ONNX: {sorted(domains)}")
    expected = [[t.name for t in graph.inputs], [t.name for t in graph.outputs]]
    actual = [[v.name for v in model.graph.input], [v.name for v in model.graph.output]]
    if expected != actual:
        raise GraphError(f"the {name} graph has inputs and outputs {actual}, not {expected}")


def _difference(stage: StageModule, path: Path) -> float:
    worst = max(_differences(stage, path))
    if not worst <= TOLERANCE:
        raise GraphError(
            f"the {stage.graph.stage.value} graph differs from its module by {worst:.1e} of the "
            f"largest output, more than {TOLERANCE:.0e}; please report this voice's configuration"
        )
    return worst


def _differences(stage: StageModule, path: Path) -> Iterator[float]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    for size in ("least", "usual"):
        inputs = example_inputs(stage.graph, size, seed=1)
        with torch.no_grad():
            expected = stage.module(*(torch.from_numpy(a) for a in inputs.values()))
        for ours, theirs in zip(session.run(None, inputs), expected, strict=True):
            reference = theirs.numpy()
            scale = max(float(np.abs(reference).max(initial=0)), 1e-3)
            yield float(np.abs(ours - reference).max(initial=0)) / scale
