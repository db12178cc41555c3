"""Graphs in half precision: what becomes half, what must not, and what is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import voices
from numpy.typing import NDArray

from sambert_trt.engines.errors import GraphError
from sambert_trt.engines.graphs import (
    METADATA_KEY,
    AxisRange,
    GraphSpec,
    Precision,
    Stage,
    TensorSpec,
)
from sambert_trt.engines.manifest import StageRecord
from sambert_trt.engines.voice import file_record, manifest_from_directory
from sambert_trt.runtime.backend import FEEDBACK, RETURNED, Session
from sambert_trt.runtime.onnx_backend import OnnxBackend
from sambert_trt.runtime.styles import Style
from sambert_trt.runtime.synthesizer import Synthesizer
from sambert_trt.runtime.voice import Voice

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper  # noqa: E402

from sambert_trt.calibration.half import (  # noqa: E402
    RULES,
    Arithmetic,
    Rule,
    half_graph,
    half_recipe,
)

pytestmark = pytest.mark.export

Strict = Callable[[ModelProto], ModelProto]

NAMES = [*(f"tiny-{variant}" for variant in voices.VARIANTS), "demo"]
HALF_STATISTICS = {**RULES, "LayerNormalization": Rule(Arithmetic.HALF)}


@pytest.fixture
def directory(
    tiny_voice: Callable[[str], Path], request: pytest.FixtureRequest
) -> Callable[[str], Path]:
    """The exported directory of a voice by its name in NAMES."""

    def find(name: str) -> Path:
        kind, _, variant = name.partition("-")
        found = tiny_voice(variant) if variant else request.getfixturevalue(f"{kind}_voice")
        assert isinstance(found, Path)
        return found

    return find


def source_of(directory: Path, stage: Stage) -> tuple[ModelProto, GraphSpec]:
    """A stage's fp32 graph and signature."""
    record = manifest_from_directory(directory).stages[stage]
    return onnx.load(directory / record.file.path), record.graph


def types_of(model: ModelProto) -> dict[str, int]:
    """The element type of every value and weight."""
    graph = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True).graph
    values = (*graph.input, *graph.value_info, *graph.output)
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    return types | {tensor.name: tensor.data_type for tensor in graph.initializer}


@pytest.mark.parametrize("stage", Stage, ids=lambda stage: stage.value)
@pytest.mark.parametrize("name", NAMES)
def test_everything_but_layer_norms_is_half(
    name: str, stage: Stage, directory: Callable[[str], Path]
) -> None:
    source, graph = source_of(directory(name), stage)
    before = source.SerializeToString(deterministic=True)
    model, half = half_graph(source, graph)
    types, norms = types_of(model), 0
    for node in model.graph.node:
        found = {types[v] for v in (*node.input, *node.output) if v}
        if node.op_type == "LayerNormalization":
            norms += 1
            assert found == {TensorProto.FLOAT}
        elif node.op_type != "Cast":
            assert TensorProto.FLOAT not in found, node.name
    assert norms == sum(node.op_type == "LayerNormalization" for node in source.graph.node)
    floats = [t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT]
    assert len(floats) == len({i for n in _norms(source) for i in n.input[1:]})
    assert all(t.raw_data for t in model.graph.initializer if t.data_type == TensorProto.FLOAT16)
    assert half.precision is Precision.FP16
    assert (half.axes, half.context) == (graph.axes, graph.context)
    assert {e.key: e.value for e in model.metadata_props}[METADATA_KEY] == half.as_json()
    assert source.SerializeToString(deterministic=True) == before
    again = half_graph(source, graph)[0]
    assert again.SerializeToString(deterministic=True) == model.SerializeToString(
        deterministic=True
    )


def _norms(model: ModelProto) -> list[NodeProto]:
    return [node for node in model.graph.node if node.op_type == "LayerNormalization"]


@pytest.mark.parametrize("stage", Stage, ids=lambda stage: stage.value)
def test_only_state_that_nobody_reads_is_half_outside(
    stage: Stage, tiny_voice: Callable[[str], Path]
) -> None:
    source, graph = source_of(tiny_voice("nsf"), stage)
    model, half = half_graph(source, graph)
    feedback = FEEDBACK.get(stage, {})
    held = {n for n, s in feedback.items() if s not in RETURNED[stage]}
    held |= {feedback[name] for name in held}
    assert {t.name for t in (*half.inputs, *half.outputs) if t.dtype == "float16"} == held
    types = types_of(model)
    numbers = {"float16": TensorProto.FLOAT16, "float32": TensorProto.FLOAT, "int64": 7}
    for ours, theirs in zip(
        (*half.inputs, *half.outputs), (*graph.inputs, *graph.outputs), strict=True
    ):
        assert replace(ours, dtype=theirs.dtype) == theirs
        assert types[ours.name] == numbers[ours.dtype]


def test_a_graph_takes_half_its_room(demo_voice: Path) -> None:
    for stage in (Stage.TEXT_ENCODER, Stage.DECODER_STEP, Stage.VOCODER):
        source, graph = source_of(demo_voice, stage)
        assert half_graph(source, graph)[0].ByteSize() < 0.52 * source.ByteSize()


@pytest.mark.parametrize("name", ["tiny-nsf", "tiny-fp", "tiny-odd", "demo"])
def test_strict_rounding_stays_close(
    name: str, directory: Callable[[str], Path], strict: Strict
) -> None:
    """As a card computes: each operator's result rounded. 20 roundings in a row are 1e-2."""
    rng = np.random.default_rng(0)
    for stage in Stage:
        source, graph = source_of(directory(name), stage)
        model, half = half_graph(source, graph)
        fixed = replace(graph, axes={n: AxisRange(*3 * [a.usual]) for n, a in graph.axes.items()})
        inputs: dict[str, NDArray[Any]] = {}
        for tensor in graph.inputs:
            shape = [fixed.extent(entry).usual for entry in tensor.shape]
            inputs[tensor.name] = rng.standard_normal(shape).astype("f")
        if "ids" in inputs:
            inputs["ids"] = rng.integers(0, 4, inputs["ids"].shape)
        expected = ran(source, inputs)
        typed = {t.name: inputs[t.name].astype(t.dtype) for t in half.inputs}
        for found, wanted in zip(ran(strict(model), typed), expected, strict=True):
            assert np.abs(found - wanted).max() < 1e-2 * np.abs(wanted).max(), stage


def ran(model: ModelProto, inputs: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """A graph's outputs, nothing optimised."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    content, providers = model.SerializeToString(), ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(content, options, providers)
    outputs: list[NDArray[Any]] = session.run(None, inputs)
    return outputs


class RealDecoder:
    """The decoder with trained weights, running freely through a sentence."""

    def __init__(self, directory: Path, voice: Voice, folder: Path) -> None:
        self._directory, self._folder, self._manifest = directory, folder, voice.manifest
        backend, records = OnnxBackend(), voice.manifest.stages
        self._sessions = {stage: backend.open(directory, records[stage]) for stage in Stage}
        with np.load(directory / "styles.npz") as arrays:
            self._styles = {name: arrays[name] for name in arrays.files}
        sentence = next(voice.sentences("今天天气真好，我们一起去公园散步吧。"))
        synthesizer, style = Synthesizer(self._manifest, self._sessions, self._styles), Style()
        encoded = synthesizer.encode(synthesizer.prepare(sentence, style))
        self._plan = synthesizer.regulate(encoded, synthesizer.predict(encoded, style), style)
        self._expected = self._mel(self._sessions[Stage.DECODER_STEP])

    def error(self, rewrite: Strict, rules: Mapping[str, Rule] = RULES) -> float:
        """The mean absolute difference of the mel from fp32, in normalised mel units."""
        source, graph = source_of(self._directory, Stage.DECODER_STEP)
        model, half = half_graph(source, graph, rules)
        (self._folder / "decoder.onnx").write_bytes(rewrite(model).SerializeToString())
        record = StageRecord(file_record(self._folder, "decoder.onnx"), half, 0)
        mel = self._mel(OnnxBackend().open(self._folder, record))
        assert np.isfinite(mel).all()
        return float(np.abs(mel - self._expected).mean())

    def _mel(self, decoder: Session) -> NDArray[np.float32]:
        sessions = {**self._sessions, Stage.DECODER_STEP: decoder}
        stream = Synthesizer(self._manifest, sessions, self._styles).begin(self._plan, 0)
        stream.refine_until(self._plan.frames)
        return stream.postnet


@pytest.fixture(scope="module")
def decoder(
    real_voice: Path, opened: Callable[[Path], Voice], tmp_path_factory: pytest.TempPathFactory
) -> RealDecoder:
    """The decoder of the voice with trained weights."""
    return RealDecoder(real_voice, opened(real_voice), tmp_path_factory.mktemp("decoder"))


def test_a_trained_decoder_keeps_its_voice(decoder: RealDecoder, strict: Strict) -> None:
    """7e-4 in ONNX Runtime and 8e-4 on a strict processor; a wrong decoder is at 0.66."""
    assert decoder.error(lambda model: model) < 3e-3
    assert decoder.error(strict) < 3e-3


def test_half_statistics_would_ruin_it(decoder: RealDecoder, strict: Strict) -> None:
    """What the test above guards against, and that it would notice: finite, and wrong speech."""
    assert decoder.error(strict, HALF_STATISTICS) > 0.3


def test_statistics_of_large_values_are_exact(strict: Strict) -> None:
    """The same without the trained voice: 1040 is what its decoder reaches."""
    nodes = [
        helper.make_node("Identity", ["x"], ["a"]),
        helper.make_node("LayerNormalization", ["a", "s", "b"], ["y"], axis=-1, epsilon=1e-6),
    ]
    weights = {"s": np.ones(32, "f"), "b": np.full(32, 0.25, "f")}
    source, graph = made(nodes, weights, (1, 32))
    x = np.linspace(-1040, 1040, 32, dtype="f")[None]
    (expected,) = ran(source, {"x": x})
    (found,) = ran(strict(half_graph(source, graph)[0]), {"x": x})
    assert np.abs(found - expected).max() < 2e-3
    (ruined,) = ran(strict(half_graph(source, graph, HALF_STATISTICS)[0]), {"x": x})
    assert np.array_equal(ruined, np.full((1, 32), 0.25, "f"))


def made(
    nodes: Sequence[NodeProto],
    weights: dict[str, NDArray[Any]],
    shape: tuple[int, ...] = (1, 4),
    outputs: Sequence[str] = ("y",),
) -> tuple[ModelProto, GraphSpec]:
    """A graph of one's own from x float32 of a shape."""
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs]
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "graph", inputs, values, tensors)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    signature = GraphSpec(
        Stage.VOCODER,
        (TensorSpec("x", "float32", shape),),
        tuple(TensorSpec(name, "float32", shape) for name in outputs),
        {},
    )
    return onnx.shape_inference.infer_shapes(model), signature


def kinds(model: ModelProto) -> Counter[str]:
    """How many nodes there are of each operator."""
    return Counter(node.op_type for node in model.graph.node)


def test_constants_are_weights_like_others() -> None:
    nodes = [
        helper.make_node("Constant", [], ["a"], value=numpy_helper.from_array(np.ones(4, "f"))),
        helper.make_node("Constant", [], ["half"], value_float=0.5),
        helper.make_node("Constant", [], ["axes"], value_ints=[0]),
        helper.make_node("Add", ["x", "a"], ["b"]),
        helper.make_node("Mul", ["b", "half"], ["c"]),
        helper.make_node("Squeeze", ["c", "axes"], ["y"]),
    ]
    model, _ = half_graph(*made(nodes, {}))
    assert kinds(model) == {"Cast": 2, "Add": 1, "Mul": 1, "Squeeze": 1}
    weights = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    assert {n: str(w.dtype) for n, w in weights.items()} == {
        "a": "float16",
        "half": "float16",
        "axes": "int64",
    }
    (found,) = ran(model, {"x": np.arange(4, dtype="f")[None]})
    assert found.tolist() == [0.5, 1.0, 1.5, 2.0]


def test_types_named_by_attributes_follow() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node(
            "ConstantOfShape",
            ["shape"],
            ["ones"],
            value=numpy_helper.from_array(np.ones(1, "f")),
        ),
        helper.make_node("Cast", ["shape"], ["sizes"], to=TensorProto.FLOAT),
        helper.make_node("Gather", ["sizes", "last"], ["width"]),
        helper.make_node("Mul", ["ones", "width"], ["wide"]),
        helper.make_node("Add", ["x", "wide"], ["y"]),
    ]
    model, _ = half_graph(*made(nodes, {"last": np.array(1)}))
    assert kinds(model)["Cast"] == 3
    (found,) = ran(model, {"x": np.arange(4, dtype="f")[None]})
    assert found.tolist() == [[4, 5, 6, 7]]


def test_scales_of_resize_stay_float() -> None:
    nodes = [
        helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="nearest"),
    ]
    model, _ = half_graph(*made(nodes, {"scales": np.array([1, 1, 2], "f")}, (1, 1, 4)))
    (scales,) = model.graph.initializer
    assert scales.data_type == TensorProto.FLOAT
    assert ran(model, {"x": np.arange(4, dtype="f")[None, None]})[0].shape == (1, 1, 8)


def test_quantised_values_are_restored_in_half() -> None:
    """With scales in half, which Q/DQ take from operator set 19 on; what is int8 stays."""
    scale = {"s": np.array(0.25, "f"), "z": np.array(0, np.int8)}
    stored = {"w": np.array([4, -8, 0, 2], np.int8)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["a"]),
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["y"]),
    ]
    source, graph = made(nodes, scale | stored)
    source.opset_import[0].version, source.ir_version = 19, 9
    model, _ = half_graph(source, graph)
    types = types_of(model)
    assert {n: types[n] for n in "sabwzq"} == {
        **dict.fromkeys("sab", TensorProto.FLOAT16),
        **dict.fromkeys("wzq", TensorProto.INT8),
    }
    (found,) = ran(model, {"x": np.array([[0.3, -0.3, 100, 0]], "f")})
    assert found.tolist() == [[1.25, -2.25, 31.75, 0.5]]


def test_a_value_is_cast_once_however_often_it_is_used() -> None:
    """The weight s and the value a are wanted in both types; y is an output that others read."""
    norm = {"axis": -1, "epsilon": 1e-6}
    nodes = [
        helper.make_node("Mul", ["x", "s"], ["a"]),
        helper.make_node("LayerNormalization", ["a", "s", "s"], ["y"], **norm),
        helper.make_node("LayerNormalization", ["a", "s", "s"], ["b"], **norm),
        helper.make_node("Add", ["y", "b"], ["c"]),
        helper.make_node("Sub", ["c", "y"], ["z"]),
    ]
    source, graph = made(nodes, {"s": np.ones(4, "f")}, outputs=("y", "z"))
    model, _ = half_graph(source, graph)
    casts = [tuple(n.input) + tuple(n.output) for n in model.graph.node if n.op_type == "Cast"]
    assert len(casts) == len({name for name, _ in casts}) == 5
    assert sorted(t.name for t in model.graph.initializer) == ["s", "s.float32"]
    x = np.array([[1, 2, 3, 5]], "f")
    for found, wanted in zip(ran(model, {"x": x}), ran(source, {"x": x}), strict=True):
        assert np.abs(found - wanted).max() < 3e-3


@pytest.mark.parametrize("value", [65510.0, -1e6, np.inf, np.nan])
def test_a_constant_beyond_the_half_range_is_refused(value: float) -> None:
    source = made([helper.make_node("Add", ["x", "w"], ["y"])], {"w": np.array([value], "f")})
    with pytest.raises(GraphError, match=r"w in the vocoder graph holds .*, which float16 cannot"):
        half_graph(*source)


def test_the_largest_half_and_the_smallest_float_are_not() -> None:
    weights = {"w": np.array([65504, -65504, 1e-30, 0], "f")}
    model, _ = half_graph(*made([helper.make_node("Add", ["x", "w"], ["y"])], weights))
    (found,) = model.graph.initializer
    assert numpy_helper.to_array(found).tolist() == [65504, -65504, 0, 0]


@pytest.mark.parametrize(
    ("operator", "domain", "named"), [("Erf", "", "Erf"), ("Relu", "own", "ownRelu")]
)
def test_an_operator_without_a_rule_is_refused(operator: str, domain: str, named: str) -> None:
    source, graph = made([helper.make_node(operator, ["x"], ["y"], domain=domain)], {})
    with pytest.raises(GraphError, match=f"operator {named}, for which calibration/half.py"):
        half_graph(source, graph)


def test_a_graph_that_is_not_fp32_is_refused(tiny_voice: Callable[[str], Path]) -> None:
    source, graph = source_of(tiny_voice("plain"), Stage.MEMORY_KV)
    with pytest.raises(GraphError, match="memory_kv graph is in fp16: convert the fp32 one"):
        half_graph(*half_graph(source, graph))


def test_an_invalid_graph_is_refused() -> None:
    source, graph = made([helper.make_node("Add", ["x", "nowhere"], ["y"])], {})
    with pytest.raises(GraphError, match=r"vocoder graph.* is invalid"):
        half_graph(source, graph)


def test_the_recipe_names_what_stays_float() -> None:
    recipe = "LayerNormalization in fp32, fp32 inputs and outputs, state in fp16"
    assert half_recipe() == recipe
    assert half_recipe(HALF_STATISTICS) == "fp32 inputs and outputs, state in fp16"
