"""Operations agree with what torch counts for the same networks, and with counts by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from regression.arithmetic import nodes_of_graph, operations_of_graph, weights_of_graph

from sambert_trt.engines.errors import InputError
from sambert_trt.engines.graphs import Stage

onnx = pytest.importorskip("onnx", reason="graphs are counted in their ONNX form")
helper = onnx.helper


def model(nodes: list[Any], inputs: dict[str, tuple[int, ...]], **weights: tuple[int, ...]) -> Any:  # noqa: ANN401
    """A graph with weights of these shapes; the last node's first output is its own."""
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [onnx.ValueInfoProto(name=nodes[-1].output[0])],
        [
            onnx.numpy_helper.from_array(np.zeros(shape, np.float32), name)
            for name, shape in weights.items()
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def zeros(**inputs: tuple[int, ...]) -> dict[str, Any]:
    return {name: np.zeros(shape, np.float32) for name, shape in inputs.items()}


def test_a_product_counts_two_for_each_multiply_add() -> None:
    found = model(
        [
            helper.make_node("MatMul", ["x", "w"], ["y"]),
            helper.make_node("Relu", ["y"], ["z"]),
            helper.make_node("Gemm", ["z", "v"], ["out"], transA=1, transB=1),
        ],
        {"x": (7, 3)},
        w=(3, 5),
        v=(11, 7),
    )
    assert operations_of_graph(found, zeros(x=(7, 3))) == 2 * (7 * 3 * 5 + 5 * 7 * 11)
    assert weights_of_graph(found) == 4 * (15 + 77)
    assert nodes_of_graph(found) == 3


def test_sizes_that_are_computed_on_the_way_count_as_they_are() -> None:
    found = model(
        [
            helper.make_node("Concat", ["x", "x", "x"], ["long"], axis=0),
            helper.make_node("MatMul", ["long", "w"], ["out"]),
        ],
        {"x": ("n", 3)},  # type: ignore[dict-item]
        w=(3, 5),
    )
    assert operations_of_graph(found, zeros(x=(4, 3))) == 2 * 12 * 3 * 5


@pytest.mark.parametrize(("gates", "kind"), [(4, "LSTM"), (3, "GRU"), (1, "RNN")])
def test_a_recurrent_cell_counts_its_inputs_and_its_state(gates: int, kind: str) -> None:
    steps, batch, inputs, width = 6, 2, 5, 8
    node = helper.make_node(
        kind, ["x", "w", "r"], ["", "out"], hidden_size=width, direction="bidirectional"
    )
    shapes = {"w": (2, gates * width, inputs), "r": (2, gates * width, width)}
    found = model([node], {"x": (steps, batch, inputs)}, **shapes)
    counted = operations_of_graph(found, zeros(x=(steps, batch, inputs)))
    assert counted == 2 * steps * batch * 2 * gates * width * (inputs + width)


def test_stages_count_what_torch_counts(
    tiny_source: Callable[[str], Path], tiny_voice: Callable[[str], Path]
) -> None:
    """All but those with recurrent cells, which torch's own counter leaves out."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from sambert_trt.export.source import voice_sources_from_path
    from sambert_trt.export.stages import stage_modules
    from sambert_trt.export.voice_export import load_voice

    loaded = load_voice(voice_sources_from_path(tiny_source("plain"))[0])
    made = stage_modules(loaded.model, loaded.generator)
    for stage in (Stage.TEXT_ENCODER, Stage.MEMORY_KV, Stage.VOCODER):
        graph = made[stage].graph
        usual = {
            tensor.name: np.zeros([graph.extent(s).usual for s in tensor.shape], tensor.dtype)
            for tensor in graph.inputs
        }
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            made[stage].module.eval()(*(torch.from_numpy(array) for array in usual.values()))
        file = tiny_voice("plain") / "onnx" / f"{stage.value}.onnx"
        counted = operations_of_graph(onnx.load(file), usual)
        assert counted == counter.get_total_flops() > 0


def test_what_nobody_counts_is_named() -> None:
    node = helper.make_node("Einsum", ["x", "w"], ["out"], "there", equation="ab,bc->ac")
    found = model([node], {"x": (2, 3)}, w=(3, 4))
    with pytest.raises(InputError, match=r"'there' is a ai\.onnx\.Einsum, whose operations nobody"):
        operations_of_graph(found, zeros(x=(2, 3)))
    node = helper.make_node("Conv", ["x"], ["out"], domain="com.example")
    with pytest.raises(InputError, match=r"com\.example\.Conv"):
        operations_of_graph(model([node], {"x": (2, 3)}), zeros(x=(2, 3)))


def test_subgraphs_and_constants_belong_to_the_graph() -> None:
    value = onnx.numpy_helper.from_array(np.zeros((5, 2), np.float16))
    inner = [helper.make_node("Constant", [], ["c"], value=value)]
    branch = helper.make_graph(inner, "b", [], [onnx.ValueInfoProto(name="c")])
    node = helper.make_node("If", ["x"], ["out"], then_branch=branch, else_branch=branch)
    found = model([node], {"x": ()})
    assert nodes_of_graph(found) == 3
    assert weights_of_graph(found) == 2 * 20
    with pytest.raises(InputError, match="If"):
        operations_of_graph(found, zeros(x=()))
