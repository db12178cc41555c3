"""What is in a voice's graphs, and what must never be."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import voices

from sambert_trt.engines.errors import GraphError
from sambert_trt.engines.graphs import (
    METADATA_KEY,
    AxisRange,
    GraphSpec,
    Stage,
    TensorSpec,
    graph_spec_from_dict,
)
from sambert_trt.engines.voice import manifest_from_directory

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")

from sambert_trt.export.onnx_graphs import (  # noqa: E402
    FORBIDDEN,
    example_inputs,
    macs_of_graph,
    write_graph,
)
from sambert_trt.export.stages import StageModule  # noqa: E402

pytestmark = pytest.mark.export

TINY = [f"tiny-{variant}" for variant in voices.VARIANTS]
NAMES = [*TINY, *voices.GOLDEN, "demo", "real"]


@pytest.fixture(params=NAMES)
def directory(request: pytest.FixtureRequest) -> Path:
    """Every exported voice."""
    name = str(request.param)
    if name in ("demo", "real"):
        found: Path = request.getfixturevalue(f"{name}_voice")
        return found
    kind = "golden" if name in voices.GOLDEN else "tiny"
    make: Callable[[str], Path] = request.getfixturevalue(f"{kind}_voice")
    return make(name.removeprefix("tiny-"))


def test_every_graph_keeps_its_contract(directory: Path) -> None:
    manifest = manifest_from_directory(directory)
    assert set(manifest.stages) == set(Stage)
    for stage, record in manifest.stages.items():
        model = onnx.load(directory / record.file.path)
        onnx.checker.check_model(model, full_check=True)
        check_metadata(model, record.graph, stage)
        check_operators(model, stage)
        check_shapes(model, record.graph)
        counted = sum(int(np.prod(t.dims)) for t in model.graph.initializer)
        assert counted == record.parameters


def check_metadata(model: Any, graph: GraphSpec, stage: Stage) -> None:  # noqa: ANN401
    (entry,) = model.metadata_props
    assert entry.key == METADATA_KEY
    assert graph_spec_from_dict(json.loads(entry.value)) == graph
    assert graph.stage is stage
    assert model.graph.name == stage.value
    assert not model.doc_string
    assert not any(node.doc_string for node in model.graph.node)
    assert not model.functions


def check_operators(model: Any, stage: Stage) -> None:  # noqa: ANN401
    counts = Counter(node.op_type for node in model.graph.node)
    assert not FORBIDDEN & counts.keys()
    assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}
    assert [(entry.domain, entry.version) for entry in model.opset_import if not entry.domain] == [
        ("", 17)
    ]
    if stage is Stage.VOCODER:
        assert not {"Pad", "Resize", "Upsample", "Shape", "Gather"} & counts.keys()
    if stage in (Stage.DURATION_STEP, Stage.DECODER_STEP):
        assert not {"Shape", "Range", "Where"} & counts.keys()
    if stage is Stage.DECODER_STEP:
        assert "LSTM" not in counts


def check_shapes(model: Any, graph: GraphSpec) -> None:  # noqa: ANN401
    types = {"float32": onnx.TensorProto.FLOAT, "int64": onnx.TensorProto.INT64}
    for values, tensors in (
        (model.graph.input, graph.inputs),
        (model.graph.output, graph.outputs),
    ):
        assert [value.name for value in values] == [tensor.name for tensor in tensors]
        for value, tensor in zip(values, tensors, strict=True):
            assert value.type.tensor_type.elem_type == types[tensor.dtype]
            found = tuple(
                dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim
            )
            assert found == tensor.shape


def test_the_vocoder_of_the_demo_voice_is_lean(demo_voice: Path) -> None:
    """Two branches per stage became one transposed convolution, and nothing pads or repeats."""
    counts = Counter(n.op_type for n in onnx.load(demo_voice / "onnx/vocoder.onnx").graph.node)
    assert counts["ConvTranspose"] == 4
    assert not {"Pad", "Resize", "Expand", "Tile", "Slice"} & counts.keys()


class Doubled(torch.nn.Module):
    """Doubles its input, or what a test makes of it."""

    def __init__(self, change: Callable[[Any], Any]) -> None:
        super().__init__()
        self.change = change

    def forward(self, x: Any) -> tuple[Any]:  # noqa: ANN401 - a tensor
        """[1, n] -> [1, n]."""
        return (self.change(x),)


def stage_of(change: Callable[[Any], Any]) -> StageModule:
    shape = (1, "n")
    graph = GraphSpec(
        Stage.PROSODY,
        (TensorSpec("x", "float32", shape),),
        (TensorSpec("y", "float32", shape),),
        {"n": AxisRange(1, 4, 9)},
    )
    return StageModule(Doubled(change).eval(), graph)


def test_a_graph_is_written_and_measured(tmp_path: Path) -> None:
    report = write_graph(stage_of(lambda x: x * 2), tmp_path / "g.onnx")
    assert report.nodes == 1
    assert report.bytes == (tmp_path / "g.onnx").stat().st_size
    assert report.difference <= 1e-6
    assert [path.name for path in tmp_path.iterdir()] == ["g.onnx"]


def test_a_graph_with_a_forbidden_operator_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="holds NonZero, which no engine should run"):
        write_graph(stage_of(lambda x: x + torch.nonzero(x).sum()), tmp_path / "g.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_graph_that_froze_a_size_is_refused(tmp_path: Path) -> None:
    def frozen(x: Any) -> Any:  # noqa: ANN401 - a tensor
        return x + torch.ones(1, int(x.shape[1])) * int(x.shape[1])

    with pytest.raises(GraphError, match=r"differs from its module|failed|prosody"):
        write_graph(stage_of(frozen), tmp_path / "g.onnx")


def test_a_module_that_cannot_be_traced_leaves_nothing(tmp_path: Path) -> None:
    def broken(x: Any) -> Any:  # noqa: ANN401 - a tensor
        raise RuntimeError(f"no forward for {x.shape}")

    with pytest.raises(RuntimeError, match="no forward"):
        write_graph(stage_of(broken), tmp_path / "g.onnx")
    assert list(tmp_path.iterdir()) == []


def test_work_is_counted_at_the_usual_sizes(tiny_voice: Callable[[str], Path]) -> None:
    directory = tiny_voice("plain")
    manifest = manifest_from_directory(directory)
    record = manifest.stages[Stage.MEMORY_KV]
    (tensor,) = record.graph.inputs
    (out,) = record.graph.outputs
    steps = record.graph.axes["steps"].usual
    width, keys = int(tensor.shape[2]), int(out.shape[2])
    model = onnx.load(directory / record.file.path)
    assert macs_of_graph(model, record.graph) == steps * width * keys


def test_example_inputs_fit_the_signature() -> None:
    graph = stage_of(lambda x: x).graph
    assert example_inputs(graph, "least")["x"].shape == (1, 1)
    assert example_inputs(graph, "usual")["x"].shape == (1, 4)
    assert np.array_equal(example_inputs(graph, "usual")["x"], example_inputs(graph, "usual")["x"])
