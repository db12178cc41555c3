"""What a graph computes: operations and weights, counted in its ONNX form.

The shapes are those of a run: a graph's own say nothing of sizes that are computed on the way.
Needs onnx and ONNX Runtime, which are imported where they are used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sambert_trt.engines.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["nodes_of_graph", "operations_of_graph", "weights_of_graph"]

Shape = tuple[int, ...]
Formula = Callable[[Shape, Shape, Shape], int]
"""Multiply-adds, by the shapes of the first two inputs and the first output."""

_LIGHT = frozenset(
    """
    Abs Add And ArgMax ArgMin BatchNormalization Cast CastLike Ceil Clip Concat Constant
    ConstantOfShape Cos CumSum DequantizeLinear Div DynamicQuantizeLinear Elu Equal Erf Exp Expand
    Flatten Floor Gather GatherElements GatherND Gelu Greater GreaterOrEqual GroupNormalization
    HardSigmoid HardSwish Identity InstanceNormalization IsInf IsNaN LayerNormalization LeakyRelu
    Less LessOrEqual Log LogSoftmax Max Mean Min Mish Mod Mul Neg NonZero Not OneHot Or PRelu Pad
    Pow QuantizeLinear RMSNormalization Range Reciprocal ReduceL1 ReduceL2 ReduceLogSumExp ReduceMax
    ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize Round ScatterND
    Selu Shape Sigmoid Sign Sin Size Slice Softmax Softplus Softsign Split Sqrt Squeeze Sub Sum
    Swish Tan Tanh Tile Transpose Trilu Unsqueeze Where Xor
    """.split()  # noqa: SIM905  # a list would take ninety lines
)
"""Nodes that multiply no matrices: they count nothing."""


def nodes_of_graph(model: Any) -> int:  # noqa: ANN401
    """How many nodes it has, those of subgraphs and functions included."""
    return _nodes(model.graph) + sum(len(function.node) for function in model.functions)


def weights_of_graph(model: Any) -> int:  # noqa: ANN401
    """Bytes of its initializers and constants."""
    return sum(_bytes(tensor) for tensor in _tensors(model.graph))


def operations_of_graph(model: Any, inputs: Mapping[str, NDArray[Any]]) -> int:  # noqa: ANN401
    """Operations of a run, two for each multiply-add of products, convolutions, recurrent cells.

    Args:
        model: the graph.
        inputs: arrays by name, of the sizes to count at; their values do not matter.

    Raises:
        InputError: there is a node of which nobody has said whether it counts.
    """
    heavy = [node for node in model.graph.node if node.op_type not in _LIGHT or node.domain]
    for node in heavy:
        if node.op_type not in _FORMULAS or node.domain:
            name = f"{node.domain or 'ai.onnx'}.{node.op_type}"
            raise InputError(
                f"the node {node.name!r} is a {name}, whose operations nobody counts: "
                "write it into regression/arithmetic.py"
            )
    shapes = _shapes(model, heavy, inputs)
    return 2 * sum(_multiplied(node, shapes) for node in heavy)


def _multiplied(node: Any, shapes: Mapping[str, Shape]) -> int:  # noqa: ANN401
    first, second, out = (shapes[name] for name in _needed(node))
    if node.op_type == "Gemm":
        turned = next((item.i for item in node.attribute if item.name == "transA"), 0)
        first = first[::-1] if turned else first
    return _FORMULAS[node.op_type](first, second, out)


def _needed(node: Any) -> tuple[str, str, str]:  # noqa: ANN401
    second = 3 if node.op_type.startswith("QLinear") else 1
    return node.input[0], node.input[second], next(filter(None, node.output))


def _product(first: Shape, second: Shape, out: Shape) -> int:
    return math.prod(out) * first[-1]


def _convolution(first: Shape, second: Shape, out: Shape) -> int:
    return math.prod(out) * math.prod(second[1:])


def _transposed(first: Shape, second: Shape, out: Shape) -> int:
    """Every element that comes in is multiplied by its channel's kernels."""
    return math.prod(first) * math.prod(second[1:])


def _recurrent(first: Shape, second: Shape, out: Shape) -> int:
    """Steps, batch, and weights [directions, gates * width, inputs] beside [..., width]."""
    steps, batch, _ = first
    directions, rows, inputs = second
    width = out[-1]
    return steps * batch * directions * rows * (inputs + width)


_FORMULAS: Mapping[str, Formula] = {
    **dict.fromkeys(("MatMul", "MatMulInteger", "QLinearMatMul", "Gemm"), _product),
    **dict.fromkeys(("Conv", "ConvInteger", "QLinearConv"), _convolution),
    "ConvTranspose": _transposed,
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _recurrent),
}


def _shapes(
    model: Any,  # noqa: ANN401
    nodes: list[Any],
    inputs: Mapping[str, NDArray[Any]],
) -> dict[str, Shape]:
    """The shapes of what these nodes take and give, in a run."""
    known = {name: tuple(array.shape) for name, array in inputs.items()}
    known |= {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    wanted = dict.fromkeys(name for node in nodes for name in _needed(node) if name not in known)
    return known | _run_shapes(model, list(wanted), inputs)


def _run_shapes(
    model: Any,  # noqa: ANN401
    names: list[str],
    inputs: Mapping[str, NDArray[Any]],
) -> dict[str, Shape]:
    import onnx
    import onnxruntime

    asked = onnx.ModelProto()
    asked.CopyFrom(model)
    del asked.graph.output[:]
    asked.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        asked.SerializeToString(), options, ["CPUExecutionProvider"]
    )
    given = {item.name: inputs[item.name] for item in session.get_inputs()}
    found = session.run(names, given)
    return {name: tuple(array.shape) for name, array in zip(names, found, strict=True)}


def _nodes(graph: Any) -> int:  # noqa: ANN401
    return len(graph.node) + sum(map(_nodes, _subgraphs(graph)))


def _subgraphs(graph: Any) -> list[Any]:  # noqa: ANN401
    attributes = [item for node in graph.node for item in node.attribute]
    own = [item.g for item in attributes if item.HasField("g")]
    return own + [sub for item in attributes for sub in item.graphs]


def _tensors(graph: Any) -> list[Any]:  # noqa: ANN401
    constants = [
        item.t
        for node in graph.node
        if node.op_type == "Constant"
        for item in node.attribute
        if item.HasField("t")
    ]
    inner = [tensor for sub in _subgraphs(graph) for tensor in _tensors(sub)]
    return [*graph.initializer, *constants, *inner]


def _bytes(tensor: Any) -> int:  # noqa: ANN401
    import onnx

    width = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    return int(math.prod(tensor.dims) * width)
