"""Every graph is built by TensorRT for RTX, for two generations of cards, without any card."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sambert_trt.engines.graphs import Stage
from sambert_trt.engines.voice import manifest_from_directory

pytestmark = pytest.mark.export

BUILD = r"""
import json, re, sys
from pathlib import Path
import tensorrt_rtx_bindings.tensorrt_rtx as trt
from sambert_trt.engines.graphs import Stage
from sambert_trt.engines.voice import manifest_from_directory

class Log(trt.ILogger):
    def __init__(self):
        trt.ILogger.__init__(self)
        self.lines = []
    def log(self, severity, message):
        self.lines.append(message)

directory, log = Path(sys.argv[1]), Log()
builder = trt.Builder(log)
manifest = manifest_from_directory(directory)
for name in sys.argv[2:]:
    record = manifest.stages[Stage(name)]
    graph = record.graph
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse((directory / record.file.path).read_bytes()):
        sys.exit(f"{name}: {[parser.get_error(i).desc() for i in range(parser.num_errors)]}")
    config = builder.create_builder_config()
    if graph.axes:
        profile = builder.create_optimization_profile()
        for tensor in graph.inputs:
            extents = [graph.extent(entry) for entry in tensor.shape]
            shapes = [[getattr(e, size) for e in extents] for size in ("least", "usual", "most")]
            profile.set_shape(tensor.name, *map(tuple, shapes))
        config.add_optimization_profile(profile)
    config.num_compute_capabilities = 2
    config.set_compute_capability(trt.ComputeCapability.SM86, 0)
    config.set_compute_capability(trt.ComputeCapability.SM89, 1)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    del log.lines[:]
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        sys.exit(f"{name}: no plan; {log.lines[-3:]}")
    text = "\n".join(log.lines)
    scratch = re.search(r"Max Scratch Memory: (\d+)", text)
    print(json.dumps({
        "stage": name,
        "plan": plan.nbytes,
        "scratch": int(scratch.group(1)) if scratch else -1,
        "layers": text.count("LayerType:"),
    }))
"""


def plans_of(directory: Path, *stages: Stage) -> dict[str, dict[str, int]]:
    """Builds stages in a Python of their own: bytes of each plan and its scratch, fused layers."""
    names = [stage.value for stage in stages]
    finished = subprocess.run(
        (sys.executable, "-c", BUILD, str(directory), *names),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if finished.returncode:
        pytest.fail((finished.stdout + finished.stderr)[-3000:], pytrace=False)
    lines = [json.loads(line) for line in finished.stdout.splitlines() if line.startswith("{")]
    return {line["stage"]: line for line in lines}


@pytest.mark.parametrize("voice", ["demo", "nsf", "fp", "five", "odd"])
def test_every_stage_becomes_a_plan(
    voice: str, request: pytest.FixtureRequest, tiny_voice: Callable[[str], Path]
) -> None:
    if importlib.util.find_spec("tensorrt_rtx_bindings") is None:
        pytest.skip("TensorRT for RTX is not installed: pip install 'sambert-trt[rtx]'")
    demo = voice == "demo"
    directory = request.getfixturevalue("demo_voice") if demo else tiny_voice(voice)
    manifest = manifest_from_directory(directory)
    plans = plans_of(directory, *Stage)
    assert list(plans) == [stage.value for stage in Stage]
    for stage, record in manifest.stages.items():
        assert plans[stage.value]["plan"] > 2 * record.parameters, stage
