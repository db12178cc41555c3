"""Plans become graphs with int8 layers: where Q/DQ stand, what they hold, and what is refused."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from plan_layers import convolutions

from sambert_trt.calibration.recipe import StagePlan, Treatment
from sambert_trt.engines.build_orders import BuildOptions, build_orders
from sambert_trt.engines.builder import build_engines
from sambert_trt.engines.engine import EngineRecord, Flavour
from sambert_trt.engines.errors import GraphError, InputError
from sambert_trt.engines.graphs import (
    METADATA_KEY,
    AxisRange,
    GraphSpec,
    Placement,
    Precision,
    Stage,
)
from sambert_trt.engines.manifest import StageRecord
from sambert_trt.engines.voice import file_record, manifest_from_directory
from sambert_trt.runtime.onnx_backend import OnnxBackend

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper  # noqa: E402

from sambert_trt.calibration.half import half_graph  # noqa: E402
from sambert_trt.calibration.int8 import observed_tensors, planned_graph  # noqa: E402
from sambert_trt.calibration.placement import Layers, groups, quantised_nodes  # noqa: E402
from sambert_trt.calibration.ranges import Range  # noqa: E402

pytestmark = pytest.mark.export

BASES = {Placement.CPU: Precision.FP32, Placement.TENSORRT: Precision.FP16}
SIGNAL_TO_NOISE = 25.0
"""Decibels: the worst graph below comes out at 32; one with a wrong scale or axis below 10."""


def source_of(directory: Path, stage: Stage) -> tuple[ModelProto, GraphSpec]:
    """A stage's fp32 graph and signature."""
    record = manifest_from_directory(directory).stages[stage]
    return onnx.load(directory / record.file.path), record.graph


def plan_of(
    source: tuple[ModelProto, GraphSpec], placement: Placement, treatment: Treatment
) -> StagePlan:
    """The plan that treats every group so for which that is offered."""
    offered = groups(*source, placement)
    treated = {g.name: treatment for g in offered if treatment in g.treatments}
    return StagePlan(BASES[placement], treated)


def noise(graph: GraphSpec) -> dict[str, NDArray[Any]]:
    """Seeded inputs of usual size."""
    rng = np.random.default_rng(0)
    fixed = replace(graph, axes={n: AxisRange(*3 * [a.usual]) for n, a in graph.axes.items()})
    inputs: dict[str, NDArray[Any]] = {}
    for tensor in graph.inputs:
        shape = [fixed.extent(entry).usual for entry in tensor.shape]
        inputs[tensor.name] = rng.standard_normal(shape).astype("f")
    if "ids" in inputs:
        inputs["ids"] = rng.integers(0, 4, inputs["ids"].shape)
    return inputs


def values_of(
    model: ModelProto, names: Iterable[str], inputs: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """What an fp32 graph computes, tensor by tensor."""
    names, open_model = list(names), ModelProto()
    open_model.CopyFrom(model)
    given = {tensor.name for tensor in model.graph.input}
    shown = {tensor.name for tensor in model.graph.output}
    for name in set(names) - given - shown:
        open_model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    made = [name for name in names if name not in given]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        open_model.SerializeToString(), options, ["CPUExecutionProvider"]
    )
    found = dict(zip(made, session.run(made, dict(inputs)), strict=True)) if made else {}
    return found | {name: inputs[name] for name in names if name in given}


def ranges_of(
    source: tuple[ModelProto, GraphSpec], placement: Placement, *plans: StagePlan
) -> dict[str, Range]:
    """The range of each tensor that plans need, on noise."""
    names = {name for plan in plans for name in observed_tensors(*source, plan, placement)}
    values = values_of(source[0], names, noise(source[1]))
    return {name: Range(float(x.min()), float(x.max())) for name, x in values.items()}


def planned(
    source: tuple[ModelProto, GraphSpec], plan: StagePlan, placement: Placement
) -> tuple[ModelProto, GraphSpec]:
    """The graph of a plan, with ranges from noise."""
    return planned_graph(*source, plan, ranges_of(source, placement, plan), placement)


def outputs_of(
    model: ModelProto, graph: GraphSpec, folder: Path, inputs: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """A graph's outputs from the runtime's own backend."""
    (folder / "graph.onnx").write_bytes(model.SerializeToString())
    record = StageRecord(file_record(folder, "graph.onnx"), graph, 0)
    typed = {t.name: inputs[t.name].astype(t.dtype) for t in graph.inputs}
    return OnnxBackend().open(folder, record).run(typed)


def decibels(found: NDArray[Any], wanted: NDArray[Any]) -> float:
    """Signal to noise."""
    gap = found.astype(np.float64) - wanted
    return float(10 * np.log10((wanted.astype(np.float64) ** 2).sum() / (gap**2).sum()))


@pytest.mark.parametrize("placement", Placement, ids=lambda placement: placement.value)
@pytest.mark.parametrize("stage", Stage, ids=lambda stage: stage.value)
@pytest.mark.parametrize("voice", ["nsf", "fp"])
def test_every_offer_becomes_a_graph_that_speaks_alike(
    voice: str,
    stage: Stage,
    placement: Placement,
    tiny_voice: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    source = source_of(tiny_voice(voice), stage)
    before, inputs = source[0].SerializeToString(deterministic=True), noise(source[1])
    expected = values_of(source[0], [t.name for t in source[1].outputs], inputs)
    plans = [plan_of(source, placement, treatment) for treatment in list(Treatment)[1:]]
    plans = [plan for plan in plans if plan.treated]
    assert plans
    ranges = ranges_of(source, placement, *plans)
    for plan in plans:
        model, graph = planned_graph(*source, plan, ranges, placement)
        check_form(source, plan, placement, ranges, (model, graph))
        for name, found in outputs_of(model, graph, tmp_path, inputs).items():
            assert decibels(found, expected[name]) > SIGNAL_TO_NOISE, name
    assert source[0].SerializeToString(deterministic=True) == before


def check_form(
    source: tuple[ModelProto, GraphSpec],
    plan: StagePlan,
    placement: Placement,
    ranges: Mapping[str, Range],
    made: tuple[ModelProto, GraphSpec],
) -> None:
    """Names, signature, order, and weights stored once, in a byte each."""
    model, graph = made
    onnx.checker.check_model(model, full_check=True)
    assert {e.key: e.value for e in model.metadata_props} == {METADATA_KEY: graph.as_json()}
    assert graph.precision is Precision.INT8
    assert (graph.axes, graph.context) == (source[1].axes, source[1].context)
    again = planned_graph(*source, plan, ranges, placement)[0]
    assert again.SerializeToString(deterministic=True) == model.SerializeToString(
        deterministic=True
    )
    nodes, tensors = model.graph.node, model.graph.initializer
    assert max(Counter(node.name for node in nodes).values()) == 1
    assert max(Counter(name for node in nodes for name in node.output).values()) == 1
    names = [tensor.name for tensor in tensors]
    assert names == sorted(set(names))
    assert set(names) <= {name for node in nodes for name in node.input}
    treated = [g for g in groups(*source, placement) if g.name in plan.treated]
    layers = Layers(source[0])
    floats = {name for g in treated for n in g.nodes if (name := layers.weight(layers.by_name[n]))}
    assert floats.isdisjoint(names)
    stored = sum(t.ByteSize() for t in tensors if t.data_type == TensorProto.INT8 and len(t.dims))
    assert stored >= sum(group.parameters for group in treated)
    matrices = [t for t in tensors if t.data_type == TensorProto.INT8 and len(t.dims) > 1]
    assert len(matrices) == len(floats)


def makers_of(model: ModelProto) -> dict[str, NodeProto]:
    """The node that makes a tensor."""
    return {name: node for node in model.graph.node for name in node.output}


@pytest.mark.parametrize("stage", [Stage.VOCODER, Stage.POSTNET, Stage.TEXT_ENCODER])
def test_tensorrt_gets_symmetric_int8_right_before_each_layer(
    stage: Stage, tiny_voice: Callable[[str], Path]
) -> None:
    source = source_of(tiny_voice("nsf"), stage)
    plan = plan_of(source, Placement.TENSORRT, Treatment.W8A8)
    model, _ = planned(source, plan, Placement.TENSORRT)
    makers = makers_of(model)
    tensors = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    treated = {
        n for g in groups(*source, Placement.TENSORRT) for n in g.nodes if g.name in plan.groups
    }
    count = 0
    for node in model.graph.node:
        if node.name in treated:
            count += 1
            restored = makers[node.input[0]]
            assert restored.op_type == "DequantizeLinear"
            assert makers[restored.input[0]].op_type == "QuantizeLinear"
            assert makers[node.input[1]].op_type == "DequantizeLinear"
            assert len(tensors[makers[node.input[1]].input[1]]) == len(
                tensors[makers[node.input[1]].input[0]]
            )
            assert len(node.input) < 3 or tensors[node.input[2]].dtype == np.float16
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            scale, zero = tensors[node.input[1]], tensors[node.input[2]]
            assert scale.dtype == np.float16
            assert (scale > 0).all()
            assert zero.dtype == np.int8
            assert not zero.any()
    assert count == len(treated)


def test_the_processor_gets_free_uint8_activations_and_int8_weights(
    tiny_voice: Callable[[str], Path],
) -> None:
    source = source_of(tiny_voice("nsf"), Stage.VOCODER)
    plan = plan_of(source, Placement.CPU, Treatment.W8A8)
    model, _ = planned(source, plan, Placement.CPU)
    tensors = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    zeros = set[int]()
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            zero = tensors[node.input[2]]
            assert zero.dtype == np.uint8
            zeros.add(int(zero))
        elif node.op_type == "DequantizeLinear" and node.input[0] in tensors:
            assert tensors[node.input[0]].dtype in (np.int8, np.int32)
            assert not tensors[node.input[2]].any()
    assert len(zeros) > 5


@pytest.mark.parametrize("treatment", [Treatment.W8A8, Treatment.W8A8_SUMS])
def test_residual_sums_stay_float_unless_asked_for(
    treatment: Treatment, tiny_voice: Callable[[str], Path]
) -> None:
    source = source_of(tiny_voice("nsf"), Stage.VOCODER)
    model, _ = planned(source, plan_of(source, Placement.CPU, treatment), Placement.CPU)
    makers, readers = makers_of(model), Layers(model).takers
    layers = Layers(source[0])
    treated = {name for group in groups(*source, Placement.CPU) for name in group.nodes}
    names = set(quantised_nodes(layers, {treatment: treated}, Placement.CPU))
    sums = 0
    for node in model.graph.node:
        if node.op_type == "Add" and any(
            makers[name].op_type == "DequantizeLinear" for name in node.input
        ):
            whole = all(makers[name].op_type == "DequantizeLinear" for name in node.input)
            after = {reader.op_type for reader in readers[node.output[0]]}
            if treatment is Treatment.W8A8:
                assert not whole
                assert "QuantizeLinear" not in after
            sums += whole and after == {"QuantizeLinear"}
    blocks = [n for n in names if layers.by_name[n].op_type == "Add"]
    assert sums == len(blocks) == (0 if treatment is Treatment.W8A8 else len(treated) // 2)


@pytest.mark.parametrize("placement", Placement, ids=lambda placement: placement.value)
def test_others_go_on_reading_the_float(
    placement: Placement, tiny_voice: Callable[[str], Path]
) -> None:
    """The postnet's memory runs beside its layers: what a layer reads in int8, it reads exactly."""
    source = source_of(tiny_voice("plain"), Stage.POSTNET)
    layers = Layers(source[0])
    first = next(g for g in groups(*source, placement) if g.name == "ffn").nodes[2]
    shared = layers.by_name[first].input[0]
    others = [n for n in layers.takers[shared] if n.name != first]
    assert others
    model, _ = planned(source, StagePlan(BASES[placement], {"ffn": Treatment.W8A8}), placement)
    made = Layers(model).by_name
    assert made[first].input[0] != shared
    for other in others:
        assert shared in made[other.name].input
    assert not any(node.op_type == "Identity" for node in model.graph.node)


def test_a_plan_of_one_base_alone_is_that_base(tiny_voice: Callable[[str], Path]) -> None:
    model, graph = source_of(tiny_voice("plain"), Stage.POSTNET)
    floats = {"ffn": Treatment.FLOAT}
    plain = planned_graph(model, graph, StagePlan(Precision.FP32, floats), {}, Placement.CPU)
    assert plain == (model, graph)
    half = planned_graph(model, graph, StagePlan(Precision.FP16, floats), {}, Placement.TENSORRT)
    assert half == half_graph(model, graph)
    assert observed_tensors(model, graph, StagePlan(Precision.FP16), Placement.CPU) == ()


def test_stored_weights_keep_the_state_in_half(tiny_voice: Callable[[str], Path]) -> None:
    source = source_of(tiny_voice("plain"), Stage.DECODER_STEP)
    plan = StagePlan(Precision.FP16, {"attention": Treatment.W8})
    assert observed_tensors(*source, plan, Placement.TENSORRT) == ()
    model, graph = planned_graph(*source, plan, {}, Placement.TENSORRT)
    assert graph.input("state").dtype == "float16"
    kinds = Counter(node.op_type for node in model.graph.node)
    assert kinds["QuantizeLinear"] == 0
    assert kinds["DequantizeLinear"] == len(
        next(g for g in groups(*source, Placement.TENSORRT) if g.name == "attention").nodes
    )


def test_what_a_plan_needs_is_part_of_what_all_plans_need(
    tiny_voice: Callable[[str], Path],
) -> None:
    """So tensors are observed once, whatever is tried afterwards."""
    for stage in Stage:
        source = source_of(tiny_voice("fp"), stage)
        for placement in Placement:
            plans = [plan_of(source, placement, treatment) for treatment in Treatment]
            known = {name for p in plans for name in observed_tensors(*source, p, placement)}
            for group in groups(*source, placement):
                for treatment in group.treatments:
                    plan = StagePlan(Precision.FP32, {group.name: treatment})
                    assert set(observed_tensors(*source, plan, placement)) <= known


@pytest.mark.parametrize("placement", Placement, ids=lambda placement: placement.value)
def test_a_tensor_that_is_zero_is_quantised_with_a_warning(
    placement: Placement,
    tiny_voice: Callable[[str], Path],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    source = source_of(tiny_voice("plain"), Stage.VOCODER)
    plan = plan_of(source, placement, Treatment.W8A8)
    ranges = ranges_of(source, placement, plan)
    zero, tiny = list(ranges)[:2]
    ranges |= {zero: Range(0.0, 0.0), tiny: Range(0.0, 1e-30)}
    with caplog.at_level(logging.WARNING):
        model, graph = planned_graph(*source, plan, ranges, placement)
    (said,) = [r.getMessage() for r in caplog.records if r.name.startswith("sambert_trt")]
    assert said.startswith(f"{zero} in the vocoder graph was 0 throughout calibration")
    scales = {n.input[1] for n in model.graph.node if n.op_type == "QuantizeLinear"}
    arrays = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    assert all(np.isfinite(arrays[n]) and arrays[n] > 5e-6 for n in scales)
    outputs = outputs_of(model, graph, tmp_path, noise(source[1]))
    assert all(np.isfinite(array).all() for array in outputs.values())


@pytest.mark.parametrize("ends", [(0.0, np.nan), (-np.inf, 1.0), (1.0, -1.0)])
def test_ranges_that_are_none_are_refused(
    ends: tuple[float, float], tiny_voice: Callable[[str], Path]
) -> None:
    source = source_of(tiny_voice("plain"), Stage.VOCODER)
    plan = plan_of(source, Placement.CPU, Treatment.W8A8)
    ranges = ranges_of(source, Placement.CPU, plan)
    name = next(iter(ranges))
    with pytest.raises(GraphError, match=f"{name} in the vocoder graph has the range"):
        planned_graph(*source, plan, ranges | {name: Range(*ends)}, Placement.CPU)


def test_a_channel_of_zeros_is_stored(tiny_voice: Callable[[str], Path]) -> None:
    source = changed_weights(source_of(tiny_voice("plain"), Stage.MEMORY_KV), 0.0)
    plan = StagePlan(Precision.FP16, {"projection": Treatment.W8})
    model, _ = planned_graph(*source, plan, {}, Placement.TENSORRT)
    (scales,) = [
        numpy_helper.to_array(t) for t in model.graph.initializer if t.name == "weight/scale"
    ]
    assert scales.dtype == np.float16
    assert (scales > 0).all()


@pytest.mark.parametrize("treatment", [Treatment.W8, Treatment.W8A8])
def test_weights_that_are_no_numbers_are_refused(
    treatment: Treatment, tiny_voice: Callable[[str], Path]
) -> None:
    source = changed_weights(source_of(tiny_voice("plain"), Stage.MEMORY_KV), np.nan)
    plan = StagePlan(Precision.FP32, {"projection": treatment})
    ranges = ranges_of(source, Placement.CPU, plan)
    with pytest.raises(GraphError, match="weight in the memory_kv graph holds numbers that are"):
        planned_graph(*source, plan, ranges, Placement.CPU)


def changed_weights(
    source: tuple[ModelProto, GraphSpec], value: float
) -> tuple[ModelProto, GraphSpec]:
    """The memory's projection with one output channel of that value."""
    (tensor,) = [t for t in source[0].graph.initializer if t.name == "weight"]
    array = numpy_helper.to_array(tensor).copy()
    array[3] = value
    tensor.CopyFrom(numpy_helper.from_array(array, "weight"))
    return source


def test_plans_that_do_not_fit_are_refused(tiny_voice: Callable[[str], Path]) -> None:
    source = source_of(tiny_voice("plain"), Stage.MEMORY_KV)
    treated = {"projection": Treatment.W8A8}
    with pytest.raises(InputError, match=r"memory_kv: no range of .*: observe them first"):
        planned_graph(*source, StagePlan(Precision.FP32, treated), {}, Placement.CPU)
    with pytest.raises(InputError, match=r"memory_kv: .* for cpu with base fp32"):
        planned_graph(*source, StagePlan(Precision.FP16, treated), {}, Placement.CPU)
    with pytest.raises(InputError, match="the base is fp32 or fp16, not int8"):
        planned_graph(*source, StagePlan(Precision.INT8), {}, Placement.CPU)
    with pytest.raises(InputError, match="memory_kv has no group 'attention': there is projection"):
        observed_tensors(
            *source, StagePlan(Precision.FP32, {"attention": Treatment.W8}), Placement.CPU
        )
    with pytest.raises(GraphError, match="memory_kv graph is in fp16: plan for the fp32 one"):
        planned_graph(*half_graph(*source), StagePlan(Precision.FP32), {}, Placement.CPU)


REPEAT = """
import json, sys
from pathlib import Path
import onnx
from sambert_trt.calibration.int8 import observed_tensors, planned_graph
from sambert_trt.calibration.placement import groups
from sambert_trt.calibration.ranges import Range
from sambert_trt.calibration.recipe import StagePlan, Treatment
from sambert_trt.engines.graphs import METADATA_KEY, Placement, Precision, graph_spec_from_dict

folder, cpu = Path(sys.argv[1]), Placement.CPU
model = onnx.load(folder / "source.onnx")
(text,) = [entry.value for entry in model.metadata_props if entry.key == METADATA_KEY]
graph = graph_spec_from_dict(json.loads(text))
treated = {group.name: Treatment.W8A8_SUMS for group in groups(model, graph, cpu)}
plan = StagePlan(Precision.FP32, treated)
ranges = dict.fromkeys(observed_tensors(model, graph, plan, cpu), Range(-1.0, 2.0))
made, _ = planned_graph(model, graph, plan, ranges, cpu)
(folder / "made.onnx").write_bytes(made.SerializeToString(deterministic=True))
"""
"""What the test below does, for a process in which sets are in another order."""


def test_bytes_are_the_same_in_another_process(
    tiny_voice: Callable[[str], Path], tmp_path: Path
) -> None:
    source = source_of(tiny_voice("plain"), Stage.VOCODER)
    plan = plan_of(source, Placement.CPU, Treatment.W8A8_SUMS)
    names = observed_tensors(*source, plan, Placement.CPU)
    ranges = dict.fromkeys(names, Range(-1.0, 2.0))
    here = planned_graph(*source, plan, ranges, Placement.CPU)[0]
    (tmp_path / "source.onnx").write_bytes(source[0].SerializeToString())
    subprocess.run(
        [sys.executable, "-c", REPEAT, str(tmp_path)],
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        timeout=120,
    )
    assert (tmp_path / "made.onnx").read_bytes() == here.SerializeToString(deterministic=True)


Treated = Mapping[Stage, Mapping[str, Treatment]]


@pytest.fixture
def plans_with(tmp_path: Path) -> Callable[..., dict[Stage, EngineRecord]]:
    """Builds stages of a copy of a voice as plans for TensorRT want them."""
    if importlib.util.find_spec("tensorrt_rtx_bindings") is None:
        pytest.skip("TensorRT for RTX is not installed: pip install 'sambert-trt[rtx]'")

    def build(voice: Path, treated: Treated) -> dict[Stage, EngineRecord]:
        directory = tmp_path / "voice"
        shutil.copytree(voice, directory, dirs_exist_ok=True)
        manifest = manifest_from_directory(voice)
        records = {s: written(directory, manifest.stages[s], treated[s]) for s in treated}
        assigned = {Placement.TENSORRT: {**manifest.stages, **records}}
        text = replace(manifest, assignments=assigned).as_json()
        (directory / "voice.json").write_text(text, encoding="utf-8")
        options = BuildOptions(
            flavour=Flavour.RTX,
            targets=("sm_86", "sm_89"),
            precisions=(Precision.INT8,),
            stages=tuple(treated),
        )
        results = list(build_engines(build_orders(directory, options)))
        assert [result.reason for result in results if result.engine is None] == []
        return {r.order.spec.stage: r.engine.record for r in results if r.engine is not None}

    return build


def written(directory: Path, record: StageRecord, treated: Mapping[str, Treatment]) -> StageRecord:
    """A stage's graph with int8 layers, beside the voice's own."""
    stage, path = record.graph.stage, f"onnx/{record.graph.stage.value}.int8.onnx"
    plan = StagePlan(Precision.FP16, treated)
    model, graph = planned(source_of(directory, stage), plan, Placement.TENSORRT)
    (directory / path).write_bytes(model.SerializeToString())
    return StageRecord(file_record(directory, path), graph, record.parameters)


def test_residual_blocks_become_int8_kernels(
    tiny_voice: Callable[[str], Path], plans_with: Callable[..., dict[Stage, EngineRecord]]
) -> None:
    voice = tiny_voice("nsf")
    found = groups(*source_of(voice, Stage.VOCODER), Placement.TENSORRT)
    treated = {Stage.VOCODER: {g.name: Treatment.W8A8 for g in found}}
    layers = plans_with(voice, treated)[Stage.VOCODER].layers
    inputs = Counter(set(layer.inputs) >= {"Int8"} for layer in convolutions(layers))
    assert inputs[True] == sum(len(group.nodes) for group in found)


def test_stored_attention_adds_no_kernel(
    tiny_voice: Callable[[str], Path], plans_with: Callable[..., dict[Stage, EngineRecord]]
) -> None:
    plain, stored = (
        plans_with(tiny_voice("plain"), {Stage.DECODER_STEP: {"attention": treatment}})
        for treatment in (Treatment.FLOAT, Treatment.W8)
    )
    assert stored[Stage.DECODER_STEP].kernels <= plain[Stage.DECODER_STEP].kernels + 1
    assert stored[Stage.DECODER_STEP].weights_bytes < plain[Stage.DECODER_STEP].weights_bytes


@pytest.mark.parametrize("treatment", [Treatment.W8, Treatment.W8A8])
def test_every_stage_and_treatment_becomes_a_plan(
    treatment: Treatment,
    tiny_voice: Callable[[str], Path],
    plans_with: Callable[..., dict[Stage, EngineRecord]],
) -> None:
    voice, treated = tiny_voice("fp"), dict[Stage, Mapping[str, Treatment]]()
    for stage in Stage:
        plan = plan_of(source_of(voice, stage), Placement.TENSORRT, treatment)
        if plan.treated:
            treated[stage] = plan.treated
    built = plans_with(voice, treated)
    assert set(built) == set(treated)
    assert all(record.plan_bytes for record in built.values())
