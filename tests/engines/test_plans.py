"""Every stage becomes a plan for two generations of cards, made of the kernels it should have.

TensorRT for RTX builds without a card; what a plan holds is read from the builder's log.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from plan_layers import convolutions, host_reads, stream_syncs

from sambert_trt.engines.builder import BuildOptions, build_engines, build_orders
from sambert_trt.engines.engine import EngineRecord
from sambert_trt.engines.graphs import AxisRange, Precision, Stage
from sambert_trt.engines.manifest import VoiceManifest
from sambert_trt.engines.voice import manifest_from_directory

pytest.importorskip("filelock", reason="storing plans needs filelock")
pytestmark = [pytest.mark.export, pytest.mark.usefixtures("builder_installed")]

FP32, FP16 = Precision.FP32, Precision.FP16
STOCK = [("stock", FP32), ("stock", FP16), ("real", FP32), ("real", FP16)]
SMALL = [
    *(("demo", FP32), ("demo", FP16), ("nsf", FP32), ("nsf", FP16), ("fp", FP32)),
    *(("five", FP32), ("odd", FP32)),
]
SLOW = [pytest.param(*build, marks=pytest.mark.slow) for build in STOCK]
BUILDS = [*SMALL, *SLOW]

SCRATCH: Mapping[tuple[Precision, Stage], float] = {
    # The floor is 8.4 MB: TensorRT for RTX sets an arena aside for matrix products.
    (FP32, Stage.TEXT_ENCODER): 20e6,  # attention of 512 symbols with each other, 8 heads: 8.4 MB
    (FP32, Stage.PROSODY): 12e6,  # 512 symbols; 20 MB where two streams run at once
    (FP32, Stage.DURATION_STEP): 8.5e6,  # one symbol
    (FP32, Stage.MEMORY_KV): 10.5e6,  # keys and values of 128 steps and 12 layers: 1.6 MB
    (FP32, Stage.DECODER_STEP): 12e6,  # windows of 129 steps, all layers; 8.6 MB for 16
    (FP32, Stage.POSTNET): 11.5e6,  # 256 frames and 160 around them, 256 channels
    (FP32, Stage.VOCODER): 38e6,  # 275 frames, which are 55,000 samples of 16 channels, ten times
    (FP16, Stage.TEXT_ENCODER): 11e6,
    (FP16, Stage.PROSODY): 10.5e6,
    (FP16, Stage.DURATION_STEP): 8.5e6,
    (FP16, Stage.MEMORY_KV): 9.5e6,
    (FP16, Stage.DECODER_STEP): 10e6,
    (FP16, Stage.POSTNET): 10.5e6,
    (FP16, Stage.VOCODER): 24e6,
}
"""The most bytes of scratch memory a stage's plan may take: a full-size voice's, and a tenth."""

Directory = Callable[[str, Precision], Path]
Records = Callable[[str, Precision], dict[Stage, EngineRecord]]


@pytest.fixture(scope="module")
def directory(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Directory:
    """A copy of a voice by name, with the graphs of a precision."""
    found: dict[str, Path] = {}

    def source(name: str) -> Path:
        if name == "stock":
            return stock_voice(request.getfixturevalue("root"), tmp_path_factory.mktemp("stock"))
        if name in ("demo", "real"):
            return Path(request.getfixturevalue(f"{name}_voice"))
        return Path(request.getfixturevalue("tiny_voice")(name))

    def directory(name: str, precision: Precision) -> Path:
        if name not in found:
            target = tmp_path_factory.mktemp(name) / name
            found[name] = shutil.copytree(source(name), target)
        if precision is FP16:
            from sambert_trt.calibration.variants import write_variants

            write_variants(found[name], FP16)
        return found[name]

    return directory


def stock_voice(root: Path, folder: Path) -> Path:
    """A voice of full size, exported."""
    from sambert_trt.export.source import voice_sources_from_path
    from sambert_trt.export.voice_export import export_voice

    sys.path.insert(0, str(root / "scripts"))
    try:
        from stock_voice import write_stock_voice
    finally:
        sys.path.pop(0)
    write_stock_voice(folder / "source")
    (source,) = voice_sources_from_path(folder / "source")
    export_voice(source, folder / "voice")
    return folder / "voice"


@pytest.fixture(scope="module")
def records(directory: Directory) -> Records:
    """What is recorded of a voice's plans, built once."""
    found: dict[tuple[str, Precision], dict[Stage, EngineRecord]] = {}

    def records(name: str, precision: Precision) -> dict[Stage, EngineRecord]:
        if (name, precision) not in found:
            found[name, precision] = built(directory(name, precision), precision)
        return found[name, precision]

    return records


def built(
    voice: Path,
    precision: Precision,
    stages: Sequence[Stage] = (),
    axes: Mapping[str, AxisRange] | None = None,
) -> dict[Stage, EngineRecord]:
    """Builds plans for two generations of cards; what is recorded of them."""
    options = BuildOptions(
        targets=("sm_86", "sm_89"),
        precisions=(precision,),
        stages=tuple(stages),
        axes=axes or {},
    )
    results = list(build_engines(build_orders(voice, options)))
    assert [r.reason for r in results if r.engine is None] == []
    return {r.order.spec.stage: r.engine.record for r in results if r.engine is not None}


def convolutions_of(manifest: VoiceManifest, voice: Path, stage: Stage) -> int:
    """How many convolutions a stage's fp32 graph has."""
    import onnx

    model = onnx.load(voice / manifest.stages[stage].file.path)
    return sum(node.op_type in ("Conv", "ConvTranspose") for node in model.graph.node)


@pytest.mark.parametrize(("name", "precision"), BUILDS)
def test_every_stage_becomes_a_plan_within_its_budget(
    records: Records, directory: Directory, name: str, precision: Precision
) -> None:
    found = records(name, precision)
    manifest = manifest_from_directory(directory(name, precision))
    assert list(found) == list(Stage)
    for stage, record in found.items():
        size = 2 if precision is FP16 else 4
        weights = size * manifest.stages[stage].parameters
        assert record.spec.targets == ("sm_86", "sm_89")
        assert 0.9 * weights < record.weights_bytes < 1.2 * weights + 40e3, stage
        assert 0 < record.scratch_bytes <= SCRATCH[precision, stage], stage
        assert record.plan_bytes < 2 * weights + 6e6, stage


@pytest.mark.parametrize(("name", "precision"), BUILDS)
def test_plans_run_on_one_stream_and_wait_for_the_host_only_to_count_a_loop(
    records: Records, name: str, precision: Precision
) -> None:
    for stage, record in records(name, precision).items():
        assert stream_syncs(record.layers) == (), stage
        # An LSTM over frames or symbols is a loop whose length the host reads once.
        loops = stage in (Stage.PROSODY, Stage.POSTNET)
        assert len(host_reads(record.layers)) == loops, stage


@pytest.mark.parametrize(("name", "precision"), BUILDS)
def test_the_vocoder_convolves_in_the_precision_of_its_graph(
    records: Records, directory: Directory, name: str, precision: Precision
) -> None:
    voice = directory(name, precision)
    layers = convolutions(records(name, precision)[Stage.VOCODER].layers)
    wanted = convolutions_of(manifest_from_directory(voice), voice, Stage.VOCODER)
    assert 0.9 * wanted <= len(layers) <= wanted
    dtype = "Half" if precision is FP16 else "Float"
    assert {name for layer in layers for name in (*layer.inputs, *layer.outputs)} == {dtype}


@pytest.mark.parametrize(("name", "precision"), BUILDS)
def test_no_convolution_leaves_the_precision_of_its_graph(
    records: Records, name: str, precision: Precision
) -> None:
    wanted = {"Half"} if precision is FP16 else {"Float"}
    stages = {}
    for stage, record in records(name, precision).items():
        found = {dtype for layer in convolutions(record.layers) for dtype in layer.outputs}
        if found:
            stages[stage] = found
    assert stages == dict.fromkeys(stages, wanted)
    assert {Stage.TEXT_ENCODER, Stage.PROSODY, Stage.POSTNET, Stage.VOCODER} == set(stages)


@pytest.mark.parametrize(("name", "precision"), BUILDS)
def test_a_decoder_step_of_a_fixed_window_is_few_kernels(
    directory: Directory, name: str, precision: Precision
) -> None:
    voice = directory(name, precision)
    window = {"window": AxisRange(16, 16, 16)}
    record = built(voice, precision, [Stage.DECODER_STEP], window)[Stage.DECODER_STEP]
    layers = manifest_from_directory(voice).decoder_layers
    assert record.kernels <= 5 + 10 * layers  # 125 for a full-size voice of 12 layers
    assert {layer.kind for layer in record.layers} <= {"kgen", "gemm", "runtime_fusion"}
    assert record.spec.profile == window


@pytest.mark.parametrize("target", ["sm_75", "sm_80", "sm_120", "sm_121"])
def test_half_precision_is_built_for_every_generation(directory: Directory, target: str) -> None:
    options = BuildOptions(targets=(target,), precisions=(FP16,))
    results = list(build_engines(build_orders(directory("nsf", FP16), options)))
    assert [result.reason for result in results if result.engine is None] == []
    assert len(results) == len(Stage)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "precision"), STOCK)
def test_a_full_size_voice_stays_within_its_plans(
    records: Records, name: str, precision: Precision
) -> None:
    total = sum(record.plan_bytes for record in records(name, precision).values())
    # 80 MB is the aim; in fp32 the weights alone are 69.5 MB of a stock voice's plans.
    assert total <= (60e6 if precision is FP16 else 95e6)
