"""A graph in ONNX Runtime: what goes in is checked, state stays inside, errors are ours.

Its CUDA provider is tried with a made-up module, whose names and arguments are compared with the
real one's.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from sambert_trt.engines.errors import (
    BackendError,
    DeviceLostError,
    DeviceMemoryError,
    GraphError,
    InputError,
)
from sambert_trt.engines.graphs import GraphSpec, Precision, Stage
from sambert_trt.engines.manifest import StageRecord
from sambert_trt.engines.voice import manifest_from_directory
from sambert_trt.runtime import onnx_backend
from sambert_trt.runtime.backend import FEEDBACK, Array, Session, check_inputs
from sambert_trt.runtime.onnx_backend import CudaOptions, OnnxBackend, OnnxProvider


@pytest.fixture
def session(tiny_voice: Callable[[str], Path]) -> Callable[[Stage], Session]:
    """A loaded graph of the plain tiny voice."""
    directory = tiny_voice("plain")
    manifest = manifest_from_directory(directory)

    def opened(stage: Stage) -> Session:
        record = manifest.stages[stage]
        return OnnxBackend().open(directory, record)

    return opened


def test_the_backend_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BackendError, match=r"pip install 'sambert-trt\[cpu\]'"):
        OnnxBackend()


def test_a_closed_graph_says_so(session: Callable[[Stage], Session]) -> None:
    opened = session(Stage.TEXT_ENCODER)
    inputs = {"ids": np.ones((1, 3, 4), np.int64)}
    assert opened.run(inputs)["text_hid"].shape == (1, 3, 8)
    opened.close()
    opened.close()
    with pytest.raises(BackendError, match="was used after it was closed"):
        opened.run(inputs)


def test_an_id_beyond_its_table_is_a_backend_error(session: Callable[[Stage], Session]) -> None:
    with pytest.raises(BackendError, match=r"ONNX Runtime \S+ failed in the text_encoder graph"):
        session(Stage.TEXT_ENCODER).run({"ids": np.full((1, 3, 4), 9999, np.int64)})


def test_steps_hand_their_state_on(session: Callable[[Stage], Session]) -> None:
    """The same condition gives another duration once there is a past; a new sequence has none."""
    opened = session(Stage.DURATION_STEP)
    condition = {"condition": np.ones(opened.graph.input("condition").shape, np.float32)}
    twice = {name: np.stack([array, array]) for name, array in condition.items()}
    once = {name: array[None] for name, array in condition.items()}
    first, second = opened.steps({}), opened.steps({})
    begun = first.advance(twice)["log_duration"]
    again = np.concatenate([second.advance(once)["log_duration"] for _ in range(2)])
    assert not np.array_equal(*begun)
    assert np.array_equal(begun, again)
    state = {
        n: np.zeros(opened.graph.input(n).shape, np.float32) for n in FEEDBACK[opened.graph.stage]
    }
    by_hand = opened.run({**condition, **state})
    state = {name: by_hand[source] for name, source in FEEDBACK[opened.graph.stage].items()}
    assert np.array_equal(opened.run({**condition, **state})["log_duration"], begun[1])


def test_every_feedback_fits_its_input(session: Callable[[Stage], Session]) -> None:
    for stage, names in FEEDBACK.items():
        graph = session(stage).graph
        outputs = {tensor.name: tensor for tensor in graph.outputs}
        for name, source in names.items():
            assert outputs[source].shape == graph.input(name).shape
            assert outputs[source].dtype == graph.input(name).dtype


def test_inputs_are_compared_with_the_signature(session: Callable[[Stage], Session]) -> None:
    graph = session(Stage.TEXT_ENCODER).graph
    most = graph.axes["symbols"].most
    check_inputs(graph, {"ids": np.ones((1, most, 4), np.int64)})
    for wrong in (
        {},
        {"ids": np.ones((1, 3, 4), np.int32)},
        {"ids": np.ones((3, 4), np.int64)},
        {"ids": np.ones((1, 3, 4), np.int64), "more": np.ones(1)},
    ):
        with pytest.raises(GraphError, match="text_encoder"):
            check_inputs(graph, wrong)
    for count in (0, most + 1):
        with pytest.raises(InputError, match=f"{count} symbols asked for, its graph takes 1 to"):
            check_inputs(graph, {"ids": np.ones((1, count, 4), np.int64)})


def test_what_is_open_is_reported(tiny_voice: Callable[[str], Path]) -> None:
    """Until it is closed, or nobody has it any more."""
    directory = tiny_voice("plain")
    stages = manifest_from_directory(directory).stages
    backend = OnnxBackend()
    assert backend.memory_report().engines == ()
    sessions = [backend.open(directory, stages[s]) for s in (Stage.VOCODER, Stage.POSTNET)]
    report = backend.memory_report()
    assert report.backend.endswith("(cpu)")
    assert [engine.name for engine in report.engines] == [
        "tiny-plain/vocoder",
        "tiny-plain/postnet",
    ]
    assert report.held == sum(stages[s].file.bytes for s in (Stage.VOCODER, Stage.POSTNET))
    sessions[0].close()
    assert [e.name for e in backend.memory_report().engines] == ["tiny-plain/postnet"]
    sessions.clear()
    assert backend.memory_report().held == 0


def test_a_graph_that_is_none_prints_nothing(
    tiny_voice: Callable[[str], Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """ONNX Runtime would print, on standard output, that it falls back: there samples may go."""
    record = manifest_from_directory(tiny_voice("plain")).stages[Stage.POSTNET]
    content = b"no graph at all"
    (tmp_path / "postnet.onnx").write_bytes(content)
    with pytest.raises(BackendError, match="cannot load the postnet graph"):
        OnnxBackend().open(tmp_path, written(record, "postnet.onnx", content))
    assert capfd.readouterr().out == ""


def written(record: StageRecord, path: str, content: bytes) -> StageRecord:
    """The record of another file."""
    import hashlib

    digest = hashlib.sha256(content).hexdigest()
    return replace(record, file=replace(record.file, path=path, bytes=len(content), sha256=digest))


# the CUDA provider


@dataclass
class Machine:
    """What ONNX Runtime finds, and what goes wrong there.

    Attributes:
        providers: that the package has.
        taken: whether the CUDA provider's libraries load.
        load_error, run_error: what making a session and running it ends in.
        said: what loading libraries prints.
    """

    providers: Sequence[str] = ("CUDAExecutionProvider", "CPUExecutionProvider")
    taken: bool = True
    load_error: str = ""
    run_error: str = ""
    said: str = ""


class FakeSession:
    """A session on a made-up card: it computes on the processor."""

    def __init__(
        self,
        module: FakeOnnxruntime,
        path_or_bytes: bytes,
        sess_options: object,
        providers: Sequence[Any],
        **kwargs: object,
    ) -> None:
        self._machine, self._fallback = module.machine, kwargs.get("enable_fallback", 1)
        cuda = any(isinstance(one, tuple) for one in providers)
        if cuda and self._machine.load_error:
            if not self._fallback:
                raise RuntimeError(self._machine.load_error)
            print("Falling back to ['CPUExecutionProvider'] and retrying.")
            cuda = False
        names = ["CUDAExecutionProvider"] if cuda and self._machine.taken else []
        self._cuda = bool(names)
        self._providers = [*names, "CPUExecutionProvider"]
        disabled = kwargs.get("disabled_optimizers")
        self._real = module.real.InferenceSession(
            path_or_bytes, sess_options, ["CPUExecutionProvider"], disabled_optimizers=disabled
        )

    def get_providers(self) -> list[str]:
        return self._providers

    def get_modelmeta(self) -> object:
        return self._real.get_modelmeta()

    def run(
        self,
        output_names: Sequence[str],
        input_feed: Mapping[str, Array],
        run_options: object = None,
    ) -> list[Array]:
        if self._cuda and self._machine.run_error:
            raise RuntimeError(self._machine.run_error)
        outputs: list[Array] = self._real.run(output_names, input_feed, run_options)
        return outputs


class FakeOnnxruntime(ModuleType):
    """`import onnxruntime` on a machine with a card."""

    def __init__(self, machine: Machine, real: ModuleType) -> None:
        super().__init__("onnxruntime")
        self.machine, self.real, self.__version__ = machine, real, "1.31.1"
        self.SessionOptions = real.SessionOptions
        self.made: list[tuple[Any, Mapping[str, Any]]] = []
        self.preloaded: list[Mapping[str, Any]] = []

    def get_available_providers(self) -> list[str]:
        return [*self.machine.providers]

    def preload_dlls(
        self,
        cuda: bool = True,
        cudnn: bool = True,
        msvc: bool = True,
        directory: str | None = None,
    ) -> None:
        self.preloaded.append({"cuda": cuda, "cudnn": cudnn, "msvc": msvc, "directory": directory})
        if self.machine.said:
            print(self.machine.said)

    def InferenceSession(  # noqa: N802  # as it is called there
        self,
        path_or_bytes: bytes,
        sess_options: object = None,
        providers: Sequence[Any] = (),
        provider_options: object = None,
        **kwargs: object,
    ) -> FakeSession:
        self.made.append((providers, kwargs))
        return FakeSession(self, path_or_bytes, sess_options, providers, **kwargs)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Machine], FakeOnnxruntime]:
    """Installs ONNX Runtime on a made-up machine."""
    real = pytest.importorskip("onnxruntime")

    def install(machine: Machine) -> FakeOnnxruntime:
        module = FakeOnnxruntime(machine, real)
        monkeypatch.setitem(sys.modules, "onnxruntime", module)
        return module

    return install


def test_the_fake_has_the_names_of_the_real_one() -> None:
    real = pytest.importorskip("onnxruntime")
    pairs = [
        (FakeOnnxruntime.get_available_providers, real.get_available_providers),
        (FakeOnnxruntime.preload_dlls, real.preload_dlls),
        (FakeOnnxruntime.InferenceSession, real.InferenceSession.__init__),
        (FakeSession.run, real.InferenceSession.run),
        (FakeSession.get_providers, real.InferenceSession.get_providers),
        (FakeSession.get_modelmeta, real.InferenceSession.get_modelmeta),
    ]
    for ours, theirs in pairs:
        if inspect.isbuiltin(theirs) or "pybind11" in type(theirs).__name__:
            continue
        names = [[*inspect.signature(one).parameters] for one in (ours, theirs)]
        assert [n for n in names[0] if n != "self"] == [n for n in names[1] if n != "self"]
    source = inspect.getsource(real.InferenceSession.__init__)
    assert 'kwargs.get("enable_fallback", 1)' in source
    assert 'kwargs.get("disabled_optimizers")' in source
    assert "self._model_bytes = " in source
    options = real.SessionOptions()
    for name in ("intra_op_num_threads", "inter_op_num_threads", "log_severity_level"):
        assert isinstance(getattr(options, name), int)
    assert isinstance(options.enable_mem_pattern, bool)


Installed = Callable[[Machine], FakeOnnxruntime]


def on_cuda(
    tiny_voice: Callable[[str], Path], stage: Stage, cuda: CudaOptions | None = None
) -> tuple[OnnxBackend, Session]:
    directory = tiny_voice("plain")
    backend = OnnxBackend(OnnxProvider.CUDA, cuda)
    return backend, backend.open(directory, manifest_from_directory(directory).stages[stage])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (None, {"device_id": "0"}),
        (CudaOptions(device=2), {"device_id": "2"}),
        (CudaOptions(1, 512 << 20), {"device_id": "1", "gpu_mem_limit": "536870912"}),
    ],
)
def test_the_provider_gets_device_and_limit(
    tiny_voice: Callable[[str], Path],
    installed: Installed,
    options: CudaOptions | None,
    expected: dict[str, str],
) -> None:
    module = installed(Machine())
    on_cuda(tiny_voice, Stage.POSTNET, options)
    ((providers, kwargs),) = module.made
    (name, given), last = providers
    assert (name, last) == ("CUDAExecutionProvider", "CPUExecutionProvider")
    assert given.items() >= expected.items()
    assert ("gpu_mem_limit" in given) == ("gpu_mem_limit" in expected)
    assert given["arena_extend_strategy"] == "kSameAsRequested"
    assert all(isinstance(value, str) for value in given.values())
    assert kwargs["enable_fallback"] == 0
    assert module.preloaded == [{"cuda": True, "cudnn": True, "msvc": True, "directory": ""}]


def test_a_card_computes_the_same(tiny_voice: Callable[[str], Path], installed: Installed) -> None:
    inputs = {"ids": np.ones((1, 3, 4), np.int64)}
    directory = tiny_voice("plain")
    record = manifest_from_directory(directory).stages[Stage.TEXT_ENCODER]
    expected = OnnxBackend().open(directory, record).run(inputs)["text_hid"]
    installed(Machine())
    backend, session = on_cuda(tiny_voice, Stage.TEXT_ENCODER)
    assert np.array_equal(session.run(inputs)["text_hid"], expected)
    assert backend.memory_report().backend == "ONNX Runtime 1.31.1 (cuda)"


def test_a_package_without_the_provider(installed: Installed) -> None:
    installed(Machine(providers=("AzureExecutionProvider", "CPUExecutionProvider")))
    with pytest.raises(
        BackendError, match=r"has no CUDA provider \(it has Azure.*sambert-trt\[cuda"
    ):
        OnnxBackend(OnnxProvider.CUDA)


def test_a_package_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BackendError, match=r"pip install 'sambert-trt\[cuda\]'"):
        OnnxBackend(OnnxProvider.CUDA)


def test_a_provider_that_is_silently_not_taken(
    tiny_voice: Callable[[str], Path], installed: Installed
) -> None:
    """Without cuDNN, ONNX Runtime goes on with the processor alone."""
    installed(Machine(taken=False))
    with pytest.raises(BackendError, match=r"did not take the CUDA provider.*sambert-tts doctor"):
        on_cuda(tiny_voice, Stage.POSTNET)


def test_a_provider_that_fails_is_not_replaced(
    tiny_voice: Callable[[str], Path], installed: Installed, capsys: pytest.CaptureFixture[str]
) -> None:
    installed(Machine(load_error="CUDA failure 35: CUDA driver version is insufficient"))
    with pytest.raises(BackendError, match=r"cannot load the postnet graph: CUDA failure 35"):
        on_cuda(tiny_voice, Stage.POSTNET)
    assert capsys.readouterr().out == ""


def test_what_loading_libraries_prints_is_logged(
    installed: Installed,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    installed(Machine(said="Failed to load libcudnn.so.9"))
    with caplog.at_level("INFO"):
        OnnxBackend(OnnxProvider.CUDA)
    assert capsys.readouterr().out == ""
    assert "CUDA libraries for ONNX Runtime: Failed to load libcudnn.so.9" in caplog.text


FULL = [
    "CUDA failure 2: out of memory ; GPU=0 ; hostname=h ; expr=cudaMalloc((void**)&p, size);",
    "Failed to allocate memory for requested buffer of size 1073741824",
    "Available memory of 1024 is smaller than requested bytes of 4096",
    "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0",
    "CUDNN failure 4002: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED OUT_OF_MEMORY",
    "std::bad_alloc",
]
LOST = [
    "CUDA failure 700: an illegal memory access was encountered ; GPU=0",
    "CUDA failure 719: unspecified launch failure ; GPU=0",
    "CUDA failure 214: uncorrectable ECC error encountered",
]


@pytest.mark.parametrize("text", FULL)
def test_a_full_card_is_a_memory_error(
    tiny_voice: Callable[[str], Path], installed: Installed, text: str
) -> None:
    module = installed(Machine(load_error=text))
    with pytest.raises(DeviceMemoryError, match="cannot load the text_encoder graph, for want of"):
        on_cuda(tiny_voice, Stage.TEXT_ENCODER)
    module.machine.load_error, module.machine.run_error = "", text
    _, session = on_cuda(tiny_voice, Stage.TEXT_ENCODER)
    with pytest.raises(DeviceMemoryError, match="failed in the text_encoder graph, for want of"):
        session.run({"ids": np.ones((1, 3, 4), np.int64)})


@pytest.mark.parametrize("text", LOST)
def test_a_lost_card_says_to_restart(
    tiny_voice: Callable[[str], Path], installed: Installed, text: str
) -> None:
    installed(Machine(run_error=text))
    _, session = on_cuda(tiny_voice, Stage.TEXT_ENCODER)
    with pytest.raises(DeviceLostError, match="restart it"):
        session.run({"ids": np.ones((1, 3, 4), np.int64)})


def test_any_other_failure_is_neither(
    tiny_voice: Callable[[str], Path], installed: Installed
) -> None:
    installed(Machine(run_error="CUDNN failure 3000: CUDNN_STATUS_NOT_SUPPORTED"))
    _, session = on_cuda(tiny_voice, Stage.TEXT_ENCODER)
    with pytest.raises(BackendError, match="CUDNN_STATUS_NOT_SUPPORTED") as raised:
        session.run({"ids": np.ones((1, 3, 4), np.int64)})
    assert type(raised.value) is BackendError


@pytest.mark.parametrize(
    ("precision", "base", "disabled"),
    [
        (Precision.FP32, None, []),
        (Precision.FP16, None, ["NchwcTransformer"]),
        (Precision.INT8, Precision.FP32, ["NhwcTransformer"]),
        (Precision.INT8, Precision.FP16, ["NchwcTransformer"]),
    ],
)
def test_a_graph_goes_without_the_optimiser_that_harms_it(
    precision: Precision, base: Precision | None, disabled: list[str]
) -> None:
    graph = GraphSpec(Stage.POSTNET, (), (), {}, precision, base=base)
    assert onnx_backend._disabled(graph) == disabled


@pytest.mark.export
@pytest.mark.parametrize("provider", list(OnnxProvider))
def test_half_graphs_go_without_what_crashes_on_them(
    tiny_voice: Callable[[str], Path], tmp_path: Path, installed: Installed, provider: OnnxProvider
) -> None:
    import shutil

    pytest.importorskip("onnx", reason="graphs are converted with onnx")
    from sambert_trt.calibration.variants import write_variants

    directory = Path(shutil.copytree(tiny_voice("plain"), tmp_path / "voice"))
    write_variants(directory, Precision.FP16, [Stage.POSTNET])
    manifest = manifest_from_directory(directory)
    module = installed(Machine())
    backend = OnnxBackend(provider)
    for precision in (Precision.FP32, Precision.FP16):
        backend.open(directory, manifest.record(Stage.POSTNET, precision))
    disabled = [kwargs["disabled_optimizers"] for _, kwargs in module.made]
    assert disabled == [[], ["NchwcTransformer"]]
