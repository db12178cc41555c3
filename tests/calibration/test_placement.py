"""Which layers are treated alike, and what is offered for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import voices

from sambert_trt.calibration.recipe import Group, StagePlan, Treatment
from sambert_trt.engines.errors import GraphError, InputError
from sambert_trt.engines.graphs import GraphSpec, Placement, Precision, Stage
from sambert_trt.engines.voice import manifest_from_directory

onnx = pytest.importorskip("onnx")

from onnx import ModelProto, NodeProto, TensorProto, helper  # noqa: E402

from sambert_trt.calibration.placement import (  # noqa: E402
    Layers,
    groups,
    nodes_by_treatment,
    quantised_nodes,
)

pytestmark = pytest.mark.export

SPEECH = {
    Stage.TEXT_ENCODER: ("attention", "ffn", "out"),
    Stage.PROSODY: ("pitch_ffn", "pitch_out", "energy_ffn", "energy_out"),
    Stage.DURATION_STEP: ("prenet", "out"),
    Stage.MEMORY_KV: ("projection",),
    Stage.DECODER_STEP: ("prenet", "in", "attention", "ffn_1", "ffn_2", "out"),
    Stage.POSTNET: ("ffn", "out"),
    Stage.VOCODER: ("resblocks.0", "resblocks.1", "resblocks.2"),
}
EXTRA = {
    ("fp", Stage.TEXT_ENCODER): (*SPEECH[Stage.TEXT_ENCODER], "pauses"),
    ("five", Stage.VOCODER): tuple(f"resblocks.{i}" for i in range(5)),
}
LAYERS = {"Conv", "Gemm", "MatMul"}


def source_of(directory: Path, stage: Stage) -> tuple[ModelProto, GraphSpec]:
    """A stage's fp32 graph and signature."""
    record = manifest_from_directory(directory).stages[stage]
    return onnx.load(directory / record.file.path), record.graph


def by_name(found: Iterable[Group]) -> dict[str, Group]:
    """Groups by name."""
    return {group.name: group for group in found}


@pytest.mark.parametrize("placement", Placement, ids=lambda placement: placement.value)
@pytest.mark.parametrize("variant", voices.VARIANTS)
def test_groups_are_layers_with_weights_each_in_one(
    variant: str, placement: Placement, tiny_voice: Callable[[str], Path]
) -> None:
    for stage in Stage:
        model, graph = source_of(tiny_voice(variant), stage)
        found, layers = groups(model, graph, placement), Layers(model)
        assert tuple(g.name for g in found) == EXTRA.get((variant, stage), SPEECH[stage])
        names = [name for group in found for name in group.nodes]
        assert len(names) == len(set(names))
        for group in found:
            assert group.stage is stage
            assert group.treatments[0] is Treatment.FLOAT
            assert len(group.treatments) > 1
            weights = [layers.parameters[layers.by_name[n].input[1]].dims for n in group.nodes]
            assert all(len(dims) > 1 for dims in weights)
            assert group.parameters == sum(product(dims) for dims in weights)
        left = [n for n in layers.nodes if layers.weight(n) is not None and n.name not in names]
        assert all(is_not_for_int8(node) for node in left), [node.name for node in left]


def product(sizes: Iterable[int]) -> int:
    """How many values an array of these sizes holds."""
    total = 1
    for size in sizes:
        total *= size
    return total


def is_not_for_int8(node: NodeProto) -> bool:
    """A depthwise memory, an embedding, or the vocoder's first, last and source convolutions."""
    kinds = "memory_block", "pitch_emb", "energy_emb", "conv_pre", "conv_post", "source_downs"
    return node.op_type == "Conv" and any(kind in " ".join(node.input) for kind in kinds)


def test_a_convolution_that_lost_its_names_is_left_alone(demo_voice: Path) -> None:
    """Weights and bias of a stock vocoder's last convolution are both rewritten by the exporter."""
    model, graph = source_of(demo_voice, Stage.VOCODER)
    names = {name for group in groups(model, graph, Placement.CPU) for name in group.nodes}
    last = [node for node in model.graph.node if node.op_type == "Conv"][-1]
    del last.input[2:]
    last.name = "node_Conv_0"
    again = {name for group in groups(model, graph, Placement.CPU) for name in group.nodes}
    assert names == again
    assert "node_Conv_0" not in again


def test_residual_blocks_are_grouped_by_upsampling(tiny_voice: Callable[[str], Path]) -> None:
    """Blocks are numbered through: two behind each transposed convolution here."""
    model, graph = source_of(tiny_voice("nsf"), Stage.VOCODER)
    layers = Layers(model)
    for number, group in enumerate(groups(model, graph, Placement.CPU)):
        biases = {layers.by_name[name].input[2] for name in group.nodes}
        blocks = {int(bias.split(".")[2]) for bias in biases}
        assert blocks == {2 * number, 2 * number + 1}


@pytest.mark.parametrize(
    ("stage", "name", "cpu", "tensorrt"),
    [
        (Stage.VOCODER, "resblocks.1", "float w8a8 w8a8+sums", "float w8 w8a8"),
        (Stage.DECODER_STEP, "attention", "float w8a8", "float w8"),
        (Stage.POSTNET, "ffn", "float w8 w8a8", "float w8 w8a8"),
        (Stage.MEMORY_KV, "projection", "float w8 w8a8", "float w8"),
    ],
)
def test_what_is_offered_depends_on_who_runs_it(
    stage: Stage, name: str, cpu: str, tensorrt: str, tiny_voice: Callable[[str], Path]
) -> None:
    source = source_of(tiny_voice("plain"), stage)
    for placement, wanted in ((Placement.CPU, cpu), (Placement.TENSORRT, tensorrt)):
        offered = by_name(groups(*source, placement))[name].treatments
        assert " ".join(t.value for t in offered) == wanted


def test_plans_of_what_is_not_there_are_refused(tiny_voice: Callable[[str], Path]) -> None:
    found = groups(*source_of(tiny_voice("plain"), Stage.DECODER_STEP), Placement.TENSORRT)
    unknown = StagePlan(Precision.FP16, {"heads": Treatment.W8})
    with pytest.raises(InputError, match=r"decoder_step has no group 'heads': there is prenet, in"):
        nodes_by_treatment(unknown, found, Stage.DECODER_STEP)
    wrong = StagePlan(Precision.FP16, {"attention": Treatment.W8A8})
    with pytest.raises(InputError, match=r"decoder_step/attention cannot be w8a8.* float, w8$"):
        nodes_by_treatment(wrong, found, Stage.DECODER_STEP)
    nothing = StagePlan(Precision.FP16, {"ffn": Treatment.W8})
    with pytest.raises(InputError, match=r"postnet has no group 'ffn': there is none"):
        nodes_by_treatment(nothing, (), Stage.POSTNET)


def test_float_groups_are_not_treated(tiny_voice: Callable[[str], Path]) -> None:
    found = groups(*source_of(tiny_voice("plain"), Stage.POSTNET), Placement.CPU)
    plan = StagePlan(Precision.FP32, {"ffn": Treatment.W8A8, "out": Treatment.FLOAT})
    treated = nodes_by_treatment(plan, found, Stage.POSTNET)
    assert treated == {Treatment.W8A8: by_name(found)["ffn"].nodes}


def test_what_lies_between_layers_depends_on_who_runs_it(
    tiny_voice: Callable[[str], Path],
) -> None:
    """TensorRT: the layers. ONNX Runtime: activations between two layers, and sums on demand."""
    model, graph = source_of(tiny_voice("plain"), Stage.VOCODER)
    layers, (first, *_) = Layers(model), groups(model, graph, Placement.CPU)

    def kinds(treatment: Treatment, placement: Placement) -> list[tuple[str, int]]:
        names = quantised_nodes(layers, {treatment: first.nodes}, placement)
        assert list(names) == [node.name for node in layers.nodes if node.name in names]
        types = [layers.by_name[name].op_type for name in names]
        return sorted((kind, types.count(kind)) for kind in set(types))

    pairs = len(first.nodes) // 2
    blocks = 2
    assert kinds(Treatment.W8A8, Placement.TENSORRT) == [("Conv", 2 * pairs)]
    assert kinds(Treatment.W8A8, Placement.CPU) == [("Conv", 2 * pairs), ("LeakyRelu", pairs)]
    assert kinds(Treatment.W8A8_SUMS, Placement.CPU) == [
        ("Add", pairs),
        ("Conv", 2 * pairs),
        ("LeakyRelu", 2 * pairs - (blocks - 1)),
    ]
    assert kinds(Treatment.W8, Placement.CPU) == []


def test_a_relu_between_two_convolutions_is_theirs(tiny_voice: Callable[[str], Path]) -> None:
    """Not so between two products: ONNX Runtime's put out float32."""
    model, graph = source_of(tiny_voice("plain"), Stage.POSTNET)
    layers, found = Layers(model), by_name(groups(model, graph, Placement.CPU))
    names = quantised_nodes(layers, {Treatment.W8A8: found["ffn"].nodes}, Placement.CPU)
    relus = [name for name in names if layers.by_name[name].op_type == "Relu"]
    assert len(relus) == len(found["ffn"].nodes) // 2
    model, graph = source_of(tiny_voice("plain"), Stage.DURATION_STEP)
    layers, found = Layers(model), by_name(groups(model, graph, Placement.CPU))
    treated = {Treatment.W8A8: found["prenet"].nodes}
    assert quantised_nodes(layers, treated, Placement.CPU) == found["prenet"].nodes


def test_a_graph_without_layers_has_no_groups() -> None:
    model, graph = bare_graph(["one", "two"])
    assert groups(model, graph, Placement.TENSORRT) == ()


@pytest.mark.parametrize("names", [["one", "one"], ["one", ""]])
def test_nodes_need_names_of_their_own(names: list[str]) -> None:
    model, graph = bare_graph(names)
    with pytest.raises(GraphError, match="nodes of the vocoder graph have no name, or the same"):
        groups(model, graph, Placement.TENSORRT)


def bare_graph(names: list[str]) -> tuple[ModelProto, GraphSpec]:
    """A vocoder of two nodes without weights."""
    nodes = [
        helper.make_node("Relu", ["x"], ["y"], name=names[0]),
        helper.make_node("Relu", ["y"], ["z"], name=names[1]),
    ]
    x, z = (helper.make_tensor_value_info(n, TensorProto.FLOAT, (1,)) for n in "xz")
    model = helper.make_model(helper.make_graph(nodes, "graph", [x], [z]))
    return model, GraphSpec(Stage.VOCODER, (), (), {})
