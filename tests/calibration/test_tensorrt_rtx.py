"""Graphs in half precision become plans for two generations of cards, without any card."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from plan_layers import convolutions, host_reads, stream_syncs

from sambert_trt.engines.build_orders import BuildOptions, build_orders
from sambert_trt.engines.builder import build_engines
from sambert_trt.engines.engine import EngineRecord, Flavour
from sambert_trt.engines.graphs import AxisRange, Precision, Stage
from sambert_trt.engines.voice import manifest_from_directory

pytest.importorskip("onnx")

from sambert_trt.calibration.variants import write_variants

pytestmark = pytest.mark.export

LOOPS = {Stage.PROSODY, Stage.POSTNET}
"""LSTMs over a length that only the device knows: the host reads it, in fp32 as well."""


@pytest.fixture
def plans(tmp_path: Path) -> Callable[..., dict[Stage, EngineRecord]]:
    """Builds stages of a copy of a voice in half precision."""
    if importlib.util.find_spec("tensorrt_rtx_bindings") is None:
        pytest.skip("TensorRT for RTX is not installed: pip install 'sambert-trt[rtx]'")

    def build(
        source: Path, stages: tuple[Stage, ...], axes: Mapping[str, AxisRange]
    ) -> dict[Stage, EngineRecord]:
        directory = tmp_path / source.name
        if not directory.exists():
            shutil.copytree(source, directory)
        write_variants(directory, Precision.FP16)
        options = BuildOptions(
            flavour=Flavour.RTX,
            targets=("sm_86", "sm_89"),
            precisions=(Precision.FP16,),
            stages=stages,
            axes=axes,
        )
        results = list(build_engines(build_orders(directory, options)))
        assert [r.reason for r in results if r.engine is None] == []
        return {r.order.spec.stage: r.engine.record for r in results if r.engine is not None}

    return build


def check(plans: Mapping[Stage, EngineRecord], parameters: Mapping[Stage, int]) -> None:
    """Convolutions run in half, weights take two bytes, and nobody waits for another stream."""
    for stage, record in plans.items():
        assert {layer.outputs[0] for layer in convolutions(record.layers)} <= {"Half"}, stage
        assert record.dtypes["Half"] > record.dtypes["Float"], stage
        assert not stream_syncs(record.layers), stage
        assert bool(host_reads(record.layers)) == (stage in LOOPS), stage
        assert record.weights_bytes < 2.1 * parameters[stage] + 20_000, stage
    assert convolutions(plans[Stage.VOCODER].layers)


@pytest.mark.parametrize("voice", ["nsf", "demo"])
def test_every_stage_becomes_a_plan_in_half_precision(
    voice: str,
    request: pytest.FixtureRequest,
    tiny_voice: Callable[[str], Path],
    plans: Callable[..., dict[Stage, EngineRecord]],
) -> None:
    demo = voice == "demo"
    source = request.getfixturevalue("demo_voice") if demo else tiny_voice(voice)
    built = plans(source, (), {})
    assert list(built) == list(Stage)
    check(built, parameters_of(source))


@pytest.mark.slow
def test_a_full_size_decoder_keeps_its_kernels_few(
    real_voice: Path, plans: Callable[..., dict[Stage, EngineRecord]]
) -> None:
    """118 kernels a step with static shapes, 117 in fp32; 48 MB with the first voice's vocoder."""
    built = plans(real_voice, (), {})
    check(built, parameters_of(real_voice))
    assert sum(record.plan_bytes for record in built.values()) < 60e6
    assert max(record.scratch_bytes for record in built.values()) < 16e6
    window = AxisRange(48, 48, 48)
    static = plans(real_voice, (Stage.DECODER_STEP,), {"decoder_step.window": window})
    assert static[Stage.DECODER_STEP].kernels <= 125
    assert built[Stage.DECODER_STEP].kernels <= 125


def parameters_of(directory: Path) -> dict[Stage, int]:
    """How many weights each stage has."""
    stages = manifest_from_directory(directory).stages
    return {stage: record.parameters for stage, record in stages.items()}
