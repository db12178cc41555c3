"""What the runtime asks of TensorRT exists in every product and version, and the fake is like it.

data/trt_api.json lists the real bindings' classes (scripts/trt_api.py writes it).
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import fake_trt
import numpy as np
import pytest
from fake_cuda import FakeCard, FakeDriver
from fake_trt import FakeTensorRT, Logger, plan_from_graph, plans_from_voice

from sambert_trt.engines.graphs import AxisRange, GraphSpec, Stage, TensorSpec
from sambert_trt.engines.voice import manifest_from_directory
from sambert_trt.runtime.backend import Array
from sambert_trt.runtime.cuda import Context, DeviceBuffer, Graph, PinnedBuffer, Stream
from sambert_trt.runtime.onnx_backend import OnnxBackend

Listing = dict[str, dict[str, Any]]

USED = {
    "Runtime": {"deserialize_cuda_engine": "serialized_engine"},
    "ICudaEngine": {
        "num_io_tensors": None,
        "get_tensor_name": "index",
        "get_tensor_mode": "name",
        "get_tensor_dtype": "name",
        "create_execution_context": "strategy",
        "create_runtime_config": "",
    },
    "IExecutionContext": {
        "set_input_shape": "name, shape",
        "infer_shapes": "",
        "get_tensor_shape": "name",
        "update_device_memory_size_for_shapes": "",
        "set_device_memory": "memory, size",
        "set_tensor_address": "name, memory",
        "execute_async_v3": "stream_handle",
    },
    "IRuntimeConfig": {"set_execution_context_allocation_strategy": "strategy"},
    "ExecutionContextAllocationStrategy": {"USER_MANAGED": None},
    "TensorIOMode": {"INPUT": None},
    "ILogger": {
        "log": "severity, msg",
        "Severity": None,
        "INTERNAL_ERROR": None,
        "ERROR": None,
        "WARNING": None,
        "INFO": None,
    },
    "DataType": dict.fromkeys(("FLOAT", "HALF", "INT64", "INT32", "INT8", "BOOL")),
}
"""What runtime/trt_api.py uses: the parameters of a method, or None for anything else."""

USED_OF_RTX = {
    "IExecutionContext": {"is_stream_capturable": "stream"},
    "ICudaEngine": {"create_execution_context": "runtime_config"},
    "IRuntimeConfig": {
        "create_runtime_cache": "",
        "set_runtime_cache": "cache",
        "dynamic_shapes_kernel_specialization_strategy": None,
    },
    "DynamicShapesKernelSpecializationStrategy": {"NONE": None},
    "IRuntimeCache": {"serialize": "", "deserialize": "blob"},
}
"""What it uses where it exists."""


@pytest.fixture(scope="module")
def listings() -> dict[str, Listing]:
    """The committed listings, by product and version."""
    path = Path(__file__).parent / "data" / "trt_api.json"
    found: dict[str, Listing] = json.loads(path.read_text(encoding="utf-8"))
    return found


def missing(used: Mapping[str, Mapping[str, str | None]], listing: Listing) -> list[str]:
    """What of `used` a listing has not, or has with other parameters."""
    found = []
    for kind, members in used.items():
        for name, parameters in members.items():
            member = listing.get(kind, {}).get(name)
            if member is None or (parameters is not None and parameters not in member):
                found.append(f"{kind}.{name}({parameters}): {member}")
    return found


def test_every_product_has_what_the_runtime_uses(listings: dict[str, Listing]) -> None:
    assert {title.split()[0] for title in listings} == {
        "tensorrt",
        "tensorrt_lean",
        "tensorrt_rtx",
    }
    assert {title.split()[1].split(".")[0] for title in listings} >= {"10", "11", "1"}
    for title, listing in listings.items():
        assert missing(USED, listing) == [], title
        assert bool(missing(USED_OF_RTX, listing)) == ("rtx" not in title), title


def test_the_table_names_all_that_the_runtime_uses(
    root: Path, listings: dict[str, Listing]
) -> None:
    """Every attribute in trt_api.py that is a member of TensorRT's is in the tables, and no other.

    Data types are named by string there.
    """
    tree = ast.parse((root / "runtime" / "trt_api.py").read_text(encoding="utf-8"))
    attributes = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) != "logging"
    }
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    theirs = {name for listing in listings.values() for kind in listing.values() for name in kind}
    tables = {n for used in (USED, USED_OF_RTX) for kind in used.values() for n in kind}
    assert (attributes & theirs) - {"name", "__init__"} - tables == set()
    assert tables - attributes - texts - {"log"} == set()


def test_what_is_installed_has_it_too(root: Path, listings: dict[str, Listing]) -> None:
    if importlib.util.find_spec("tensorrt_rtx_bindings") is None:
        pytest.skip("TensorRT for RTX is not installed: pip install 'sambert-trt[rtx]'")
    command = (sys.executable, str(root / "scripts" / "trt_api.py"), "tensorrt_rtx")
    finished = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    ((title, listing),) = json.loads(finished.stdout).items()
    assert missing(USED, listing) + missing(USED_OF_RTX, listing) == []
    assert title not in listings or listings[title] == listing


FAKED = {
    "Runtime": fake_trt.RtxRuntime,
    "ICudaEngine": fake_trt.ICudaEngine,
    "IExecutionContext": fake_trt.RtxExecutionContext,
    "IRuntimeConfig": fake_trt.RtxRuntimeConfig,
    "IRuntimeCache": fake_trt.IRuntimeCache,
    "ILogger": fake_trt.ILogger,
    "Logger": fake_trt.Logger,
    "IHostMemory": fake_trt.IHostMemory,
    "TensorIOMode": fake_trt.TensorIOMode,
    "DataType": fake_trt.DataType,
    "ExecutionContextAllocationStrategy": fake_trt.ExecutionContextAllocationStrategy,
    "EngineValidity": fake_trt.EngineValidity,
    "CudaGraphStrategy": fake_trt.CudaGraphStrategy,
    "DynamicShapesKernelSpecializationStrategy": (
        fake_trt.DynamicShapesKernelSpecializationStrategy
    ),
}


@pytest.mark.parametrize("kind", FAKED)
def test_the_fake_has_the_real_names_and_parameters(
    kind: str, listings: dict[str, Listing]
) -> None:
    (real,) = [listing for title, listing in listings.items() if "rtx" in title]
    own = {
        n
        for base in FAKED[kind].__mro__[:-1]
        if base not in (bytes, fake_trt.Enum)
        for n in vars(base)
        if not n.startswith("_")
    }
    assert own <= set(real[kind])
    for name in own:
        member = inspect.getattr_static(FAKED[kind], name)
        if inspect.isfunction(member):
            parameters = [p for p in inspect.signature(member).parameters if p != "self"]
            together = list(dict.fromkeys(", ".join(real[kind][name]).split(", ")))
            assert parameters == [p for p in together if p][: len(parameters)], name


@pytest.mark.parametrize("flavour", ["rtx", "tensorrt", "lean"])
def test_the_fake_has_what_the_runtime_uses(flavour: str) -> None:
    trt = FakeTensorRT(FakeDriver(), flavour=flavour)
    kinds = {**vars(FakeTensorRT), **vars(trt), "Runtime": trt.Runtime.func}

    def lacks(used: Mapping[str, Mapping[str, str | None]]) -> list[str]:
        return [
            f"{kind}.{name}"
            for kind, members in used.items()
            for name in members
            if not hasattr(kinds.get(kind), name)
        ]

    assert lacks(USED) == []
    assert bool(lacks(USED_OF_RTX)) == (flavour != "rtx")


GRAPH = GraphSpec(
    stage=Stage.POSTNET,
    inputs=(
        TensorSpec("frames", "float32", (1, "frames+2", 4)),
        TensorSpec("state", "float32", (1, 8)),
    ),
    outputs=(
        TensorSpec("mel", "float32", (1, "frames*3", 2)),
        TensorSpec("state_next", "float32", (1, 8)),
    ),
    axes={"frames": AxisRange(1, 5, 10)},
)
WEIGHTS, SCRATCH = 10_000, 600


class Bench:
    """A fake engine in a context, with memory for its tensors."""

    def __init__(self, stack: ExitStack, driver: FakeDriver, **plan: object) -> None:
        self.driver, self.trt = driver, FakeTensorRT(driver)
        self.logger = self.trt.Logger()
        self.context = stack.enter_context(Context(driver))
        self.stream = stack.enter_context(Stream(self.context))
        self.buffers: dict[str, DeviceBuffer] = {}
        self.staging = PinnedBuffer(self.context, 4096)
        defaults = {"weights": WEIGHTS, "scratch": SCRATCH, "scratch_per": {"frames": 10}}
        self.plan = plan_from_graph(GRAPH, **(defaults | plan))
        with self.context.current():
            self.engine = self.trt.Runtime(self.logger).deserialize_cuda_engine(self.plan)
            assert self.engine is not None, self.logger._lines
            strategy = self.trt.ExecutionContextAllocationStrategy.USER_MANAGED
            self.runs = self.engine.create_execution_context(strategy)
        stack.callback(self.drop)

    def drop(self) -> None:
        """Lets go of what TensorRT holds, in its context."""
        with self.context.current():
            self.runs = self.engine = None

    def set_up(self, frames: int) -> None:
        """Shapes, scratch and addresses for so many frames."""
        assert self.runs.set_input_shape("frames", (1, frames + 2, 4))
        size = self.runs.update_device_memory_size_for_shapes()
        assert size == SCRATCH + 10 * frames
        names = [self.engine.get_tensor_name(i) for i in range(self.engine.num_io_tensors)]
        self.buffers = {name: DeviceBuffer(self.context, 512) for name in names}
        self.buffers["scratch"] = DeviceBuffer(self.context, size)
        self.runs.set_device_memory(self.buffers["scratch"].pointer, size)
        for name in names:
            assert self.runs.set_tensor_address(name, self.buffers[name].pointer)

    def feed(self, frames: int) -> None:
        """Ones for inputs."""
        for name, shape in (("frames", (1, frames + 2, 4)), ("state", (1, 8))):
            self.buffers[name].upload(np.ones(shape, np.float32), self.staging, self.stream)

    def run(self) -> bool:
        """One run."""
        with self.context.current():
            return bool(self.runs.execute_async_v3(self.stream.handle))

    def output(self, name: str) -> Array:
        """What lies in an output's memory."""
        shape = tuple(self.runs.get_tensor_shape(name))
        self.buffers[name].download(self.staging, self.stream, 4 * int(np.prod(shape)))
        self.stream.synchronize()
        return self.staging.array(shape, np.float32).copy()


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A bench on a card of 8 GiB."""
    with ExitStack() as stack:
        yield Bench(stack, FakeDriver())


def test_a_fake_engine_runs_and_gives_back_its_memory() -> None:
    driver = FakeDriver(FakeCard(overhead=0))
    with ExitStack() as stack:
        bench = Bench(stack, driver)
        assert driver.used() == WEIGHTS
        bench.set_up(3)
        bench.feed(3)
        assert bench.run()
        mel = bench.output("mel")
        assert mel.shape == (1, 9, 2)
        assert np.allclose(mel.ravel(), 2 + np.arange(18) / 1000)
        assert np.allclose(bench.output("state_next"), 3 + np.arange(8) / 1000)
        bench.drop()
        assert driver.labelled("the engine of postnet") == 0
    driver.assert_clean()


def test_a_fake_engine_tells_its_signature(bench: Bench) -> None:
    engine, trt = bench.engine, bench.trt
    assert engine.get_tensor_mode("state") is trt.TensorIOMode.INPUT
    assert engine.get_tensor_mode("mel") is trt.TensorIOMode.OUTPUT
    assert engine.get_tensor_dtype("mel") is trt.DataType.FLOAT
    assert engine.get_tensor_shape("frames") == (1, -1, 4)
    assert engine.get_tensor_profile_shape("frames", 0) == [(1, 3, 4), (1, 7, 4), (1, 12, 4)]
    assert engine.device_memory_size_v2 == SCRATCH + 100
    assert bench.runs.infer_shapes() == ["frames"]
    assert not bench.runs.set_input_shape("frames", (1, 13, 4))
    assert "does not satisfy any optimization profiles" in bench.logger._lines[-1][1]
    assert bench.driver.violations == []


def test_a_captured_run_is_replayed(bench: Bench) -> None:
    bench.set_up(3)
    bench.feed(3)
    graph = Graph(bench.stream, lambda: bench.run() or pytest.fail("not queued"))
    assert np.isnan(bench.output("mel")).all()
    graph.launch(bench.stream)
    assert np.allclose(bench.output("mel").ravel(), 2 + np.arange(18) / 1000)


def test_a_run_that_cannot_be_captured_ends_the_recording() -> None:
    driver = FakeDriver()
    with ExitStack() as stack:
        bench = Bench(stack, driver, capturable=False)
        bench.set_up(3)
        assert not bench.runs.is_stream_capturable(bench.stream.handle)
        done = []
        with pytest.raises(Exception, match="CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"):
            Graph(bench.stream, lambda: done.append(bench.run()))
        assert done == [False]
    driver.assert_clean()


def unset_shape(bench: Bench) -> object:
    return bench.run()


def unset_address(bench: Bench) -> object:
    bench.set_up(3)
    bench.runs.set_tensor_address("mel", 0)
    return bench.run()


def small_scratch(bench: Bench) -> object:
    bench.set_up(3)
    bench.runs.set_device_memory(bench.buffers["scratch"].pointer, SCRATCH)
    return bench.run()


def misaligned_scratch(bench: Bench) -> object:
    bench.set_up(3)
    return bench.runs.set_device_memory(bench.buffers["scratch"].pointer + 8, SCRATCH)


def misaligned_tensor(bench: Bench) -> object:
    bench.set_up(3)
    bench.runs.set_tensor_address("state", bench.buffers["state"].pointer + 32)
    return bench.run()


def overlapping_state(bench: Bench) -> object:
    bench.set_up(3)
    bench.runs.set_tensor_address("state_next", bench.buffers["state"].pointer)
    return bench.run()


def small_buffer(bench: Bench) -> object:
    bench.set_up(3)
    bench.buffers["mel"] = DeviceBuffer(bench.context, 64)
    bench.runs.set_tensor_address("mel", bench.buffers["mel"].pointer)
    return bench.run()


def no_context(bench: Bench) -> object:
    bench.set_up(3)
    return bench.runs.execute_async_v3(bench.stream.handle)


def another_context(bench: Bench) -> object:
    bench.set_up(3)
    with Context(bench.driver) as other, other.current():
        return bench.runs.execute_async_v3(bench.stream.handle)


def dropped_outside(bench: Bench) -> object:
    bench.runs = bench.engine = None
    return None


def dropped_too_late(bench: Bench) -> object:
    bench.context.close()
    bench.runs = bench.engine = None
    return None


@pytest.mark.parametrize(
    ("misuse", "told"),
    [
        (unset_shape, r"shapes of \['frames'\] are not set"),
        (unset_address, r"addresses of \['mel'\] are not set"),
        (small_scratch, "600 bytes of scratch given, 630 needed"),
        (misaligned_scratch, "not aligned to 256 bytes"),
        (misaligned_tensor, "state lies at an address not aligned to 256 bytes"),
        (overlapping_state, "state_next overlaps state"),
        (small_buffer, "72 bytes at 0 of 64 bytes of device memory"),
        (no_context, "used while None is current"),
        (another_context, "of context 4096 used while"),
        (dropped_outside, "engine of postnet of context 4096 used while None"),
        (dropped_too_late, "engine of postnet of context 4096 used while None"),
    ],
)
def test_the_fake_engine_finds_misuse(misuse: Callable[[Bench], object], told: str) -> None:
    driver = FakeDriver()
    with ExitStack() as stack:
        bench = Bench(stack, driver)
        stack.callback(setattr, bench, "drop", lambda: None)
        assert not misuse(bench)
        stack.pop_all()
    assert len(driver.violations) == 1
    with pytest.raises(AssertionError, match=told):
        driver.assert_clean()


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        (b"", "magic tag does not match"),
        (plan_from_graph(GRAPH)[:-9], "magic tag does not match"),
        (plan_from_graph(GRAPH, version="1.6.0"), "built with 1.6.0"),
        (plan_from_graph(GRAPH, targets=("sm_89",)), "this device is sm_86"),
        (plan_from_graph(GRAPH, weights=8 << 30), "out of memory"),
    ],
)
def test_a_plan_that_cannot_be_loaded_is_none_and_says_why(plan: bytes, told: str) -> None:
    driver, logger = FakeDriver(), Logger()
    with Context(driver) as context, context.current():
        assert FakeTensorRT(driver).Runtime(logger).deserialize_cuda_engine(plan) is None
    assert told in logger._lines[-1][1]
    driver.assert_clean()


@pytest.mark.parametrize("stage", [Stage.TEXT_ENCODER, Stage.DECODER_STEP, Stage.VOCODER])
def test_a_plan_computes_what_its_onnx_file_computes(
    stage: Stage, tiny_voice: Callable[[str], Path]
) -> None:
    directory = tiny_voice("plain")
    manifest = manifest_from_directory(directory)
    record = manifest.stages[stage]
    rng = np.random.default_rng(3)
    inputs = {}
    for tensor in record.graph.inputs:
        shape = [record.graph.extent(entry).usual for entry in tensor.shape]
        inputs[tensor.name] = rng.integers(1, 3, shape).astype(tensor.dtype)
    expected = OnnxBackend().open(directory, record).run(inputs)
    driver, logger = FakeDriver(), Logger()
    trt = FakeTensorRT(driver)
    plan = plans_from_voice(directory, manifest)[stage]
    with Context(driver) as context, Stream(context) as stream, context.current():
        engine = trt.Runtime(logger).deserialize_cuda_engine(plan)
        assert engine is not None
        assert driver.labelled(f"the engine of {stage.value}") == 4 * record.parameters
        runs = engine.create_execution_context()
        assert runs is not None
        for name, array in inputs.items():
            assert runs.set_input_shape(name, array.shape)
            staging = PinnedBuffer(context, array.nbytes)
            buffer = DeviceBuffer(context, array.nbytes)
            buffer.upload(array, staging, stream)
            runs.set_tensor_address(name, buffer.pointer)
        outputs = {n: DeviceBuffer(context, a.nbytes) for n, a in expected.items()}
        for name, buffer in outputs.items():
            assert runs.get_tensor_shape(name) == expected[name].shape
            runs.set_tensor_address(name, buffer.pointer)
        assert runs.execute_async_v3(stream.handle), logger._lines
        for name, buffer in outputs.items():
            staging = PinnedBuffer(context, buffer.size)
            buffer.download(staging, stream, buffer.size)
            found = staging.array(expected[name].shape, expected[name].dtype)
            assert np.array_equal(found, expected[name]), name
        del runs, engine
    driver.assert_clean()
