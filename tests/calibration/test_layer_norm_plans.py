"""In the plan of a decoder with trained weights, LayerNormalization's statistics are float32.

TensorRT's table of layers names what each kernel computes and the types that it puts out, without
any card: kernels that take a mean put it out, and the next one reads it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from sambert_trt.engines.engine import EngineRecord
from sambert_trt.engines.graphs import GraphSpec, Precision, Stage
from sambert_trt.engines.manifest import StageRecord
from sambert_trt.engines.voice import file_record, manifest_from_directory

onnx = pytest.importorskip("onnx", reason="graphs are written with onnx")

from onnx import ModelProto, NodeProto, helper, numpy_helper  # noqa: E402

from sambert_trt.calibration.assessment import Candidate  # noqa: E402
from sambert_trt.calibration.costs import plan_record  # noqa: E402
from sambert_trt.calibration.half import RULES, Arithmetic, Rule, half_graph  # noqa: E402
from sambert_trt.calibration.recipe import StagePlan  # noqa: E402

pytestmark = pytest.mark.export

STAGE = Stage.DECODER_STEP
NORMS = 25
"""Two in each of 12 layers, and one before the output."""

Build = Callable[[ModelProto, GraphSpec], EngineRecord]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """What TensorRT for RTX makes of a graph in half precision."""
    if importlib.util.find_spec("tensorrt_rtx_bindings") is None:
        pytest.skip("TensorRT for RTX is not installed: pip install 'sambert-trt[rtx]'")

    def made(model: ModelProto, graph: GraphSpec) -> EngineRecord:
        (tmp_path / "decoder.onnx").write_bytes(model.SerializeToString())
        record = StageRecord(file_record(tmp_path, "decoder.onnx"), graph, 1)
        found = plan_record(Candidate(STAGE, StagePlan(Precision.FP16), tmp_path, record))
        assert found is not None
        return found

    return made


def decoder_of(voice: Path) -> tuple[ModelProto, GraphSpec]:
    """A voice's decoder in fp32."""
    record = manifest_from_directory(voice).stages[STAGE]
    return onnx.load(voice / record.file.path), record.graph


def means(record: EngineRecord) -> list[tuple[str, ...]]:
    """The types that kernels put out which take a mean."""
    return [layer.outputs for layer in record.layers if "Mean" in layer.name]


def test_statistics_stay_in_float(build: Build, real_voice: Path) -> None:
    found = means(build(*half_graph(*decoder_of(real_voice))))
    assert len(found) == NORMS
    assert {types[:2] for types in found} == {("Float", "Float")}


def test_statistics_in_half_would_be_seen(build: Build, demo_voice: Path) -> None:
    """A smaller decoder has the same layers."""
    rules = {**RULES, "LayerNormalization": Rule(Arithmetic.HALF)}
    model, graph = half_graph(*decoder_of(demo_voice), rules)
    nodes = [step for node in model.graph.node for step in spelled_out(node)]
    model.graph.ClearField("node")
    model.graph.node.extend(nodes)
    model.graph.ClearField("value_info")
    epsilon = numpy_helper.from_array(np.array(1e-6, np.float16), "epsilon")
    axes = numpy_helper.from_array(np.array([-1]), "last")
    model.graph.initializer.extend([epsilon, axes])
    found = [types for types in means(build(model, graph)) if types]
    assert found
    assert ("Float", "Float") not in {types[:2] for types in found}


def spelled_out(node: NodeProto) -> Iterator[NodeProto]:
    """A LayerNormalization as its formula, in the type of its input; anything else as it is."""
    if node.op_type != "LayerNormalization":
        yield node
        return
    (x, scale, bias), (y,) = node.input, node.output
    mean, gap, square, variance, safe, deviation, plain, scaled = (f"{y}/{n}" for n in range(8))
    yield helper.make_node("ReduceMean", [x, "last"], [mean])
    yield helper.make_node("Sub", [x, mean], [gap])
    yield helper.make_node("Mul", [gap, gap], [square])
    yield helper.make_node("ReduceMean", [square, "last"], [variance])
    yield helper.make_node("Add", [variance, "epsilon"], [safe])
    yield helper.make_node("Sqrt", [safe], [deviation])
    yield helper.make_node("Div", [gap, deviation], [plain])
    yield helper.make_node("Mul", [plain, scale], [scaled])
    yield helper.make_node("Add", [scaled, bias], [y])
