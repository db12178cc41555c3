"""cuda-bindings by way of the driver protocol: both versions' signatures, and the real bindings
calling a libcuda that is compiled for the test and needs no card."""

from __future__ import annotations

import enum
import importlib
import importlib.util
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sambert_trt.engines.errors import BackendError, DeviceLostError
from sambert_trt.runtime import cuda_driver
from sambert_trt.runtime.cuda_calls import STICKY, CudaError, CudaMemoryError, Driver
from sambert_trt.runtime.cuda_driver import CudaBindingsDriver, driver_from_cuda_bindings

CREATION = {12: "flags, dev", 13: "ctxCreateParams, flags, dev"}
PARAMETERS = {
    "cuInit": "Flags",
    "cuDriverGetVersion": "",
    "cuDeviceGetCount": "",
    "cuDeviceGet": "ordinal",
    "cuDeviceGetName": "length, dev",
    "cuDeviceGetPCIBusId": "length, dev",
    "cuDeviceGetAttribute": "attrib, dev",
    "cuCtxCreate": CREATION[13],
    "cuCtxDestroy": "ctx",
    "cuCtxPushCurrent": "ctx",
    "cuCtxPopCurrent": "",
    "cuCtxGetCurrent": "",
    "cuMemGetInfo": "",
    "cuMemAlloc": "bytesize",
    "cuMemFree": "dptr",
    "cuMemHostAlloc": "bytesize, Flags",
    "cuMemFreeHost": "p",
    "cuMemcpyHtoDAsync": "dstDevice, srcHost, ByteCount, hStream",
    "cuMemcpyDtoHAsync": "dstHost, srcDevice, ByteCount, hStream",
    "cuMemcpyDtoDAsync": "dstDevice, srcDevice, ByteCount, hStream",
    "cuMemsetD8Async": "dstDevice, uc, N, hStream",
    "cuStreamCreate": "Flags",
    "cuStreamDestroy": "hStream",
    "cuStreamSynchronize": "hStream",
    "cuEventCreate": "Flags",
    "cuEventDestroy": "hEvent",
    "cuEventRecord": "hEvent, hStream",
    "cuEventSynchronize": "hEvent",
    "cuEventElapsedTime": "hStart, hEnd",
    "cuStreamBeginCapture": "hStream, mode",
    "cuStreamEndCapture": "hStream",
    "cuGraphDestroy": "hGraph",
    "cuGraphInstantiate": "hGraph, flags",
    "cuGraphLaunch": "hGraphExec, hStream",
    "cuGraphExecDestroy": "hGraphExec",
}
"""The parameters of the bindings 12.9.10 and 13.5.0, which differ in cuCtxCreate."""

VALUES: dict[str, tuple[object, ...]] = {
    "cuDriverGetVersion": (13000,),
    "cuDeviceGetCount": (1,),
    "cuDeviceGet": (0,),
    "cuDeviceGetName": (b"Card\0  ",),
    "cuDeviceGetPCIBusId": (b"0000:01:00.0\0  ",),
    "cuDeviceGetAttribute": (8,),
    "cuMemGetInfo": (1, 2),
    "cuEventElapsedTime": (0.5,),
} | dict.fromkeys(
    (
        "cuCtxCreate",
        "cuCtxPopCurrent",
        "cuCtxGetCurrent",
        "cuMemAlloc",
        "cuMemHostAlloc",
        "cuStreamCreate",
        "cuEventCreate",
        "cuStreamEndCapture",
        "cuGraphInstantiate",
    ),
    (0x70,),
)
"""What a call returns beside its status."""


class Result(enum.IntEnum):
    """Some of CUresult."""

    CUDA_SUCCESS = 0
    CUDA_ERROR_OUT_OF_MEMORY = 2
    CUDA_ERROR_NO_DEVICE = 100
    CUDA_ERROR_LAUNCH_FAILED = 719


class Named:
    """A class of constants, each its own name."""

    def __getattr__(self, name: str) -> str:
        return name


class Bindings(ModuleType):
    """A stand-in for cuda.bindings.driver that takes as many arguments as the real one."""

    def __init__(self, major: int) -> None:
        super().__init__("cuda.bindings.driver")
        self.CUDA_VERSION = 1000 * major
        self.CU_MEMHOSTALLOC_PORTABLE = 1
        self.calls: list[tuple[str, tuple[object, ...]]] = []
        self.statuses: dict[str, Result] = {}
        for kind in ("CUdevice_attribute", "CUstream_flags", "CUevent_flags"):
            setattr(self, kind, Named())
        self.CUstreamCaptureMode = Named()
        for name, parameters in (PARAMETERS | {"cuCtxCreate": CREATION[major]}).items():
            setattr(
                self, name, self._function(name, len(parameters.split(",") if parameters else ()))
            )

    def _function(self, name: str, count: int) -> Callable[..., tuple[object, ...]]:
        def function(*arguments: object) -> tuple[object, ...]:
            if len(arguments) != count:
                raise TypeError(f"{name}() takes {count} arguments ({len(arguments)} given)")
            self.calls.append((name, arguments))
            status = self.statuses.get(name, Result.CUDA_SUCCESS)
            values = VALUES.get(name, ())
            return (status, *(values if not status else (None,) * len(values)))

        return function


ARGUMENTS = {
    "device": 0,
    "size": 64,
    "pointer": 0x100,
    "target": 0x100,
    "source": 0x200,
    "stream": 0x300,
    "event": 0x400,
    "start": 0x400,
    "end": 0x401,
    "context": 0x500,
    "graph": 0x600,
    "executable": 0x700,
}


def call_everything(driver: Driver) -> dict[str, object]:
    """Calls every method of the protocol; what each returned."""
    found = {}
    for name, method in inspect.getmembers(Driver, inspect.isfunction):
        if not name.startswith("_"):
            parameters = [p for p in inspect.signature(method).parameters if p != "self"]
            found[name] = getattr(driver, name)(*(ARGUMENTS[p] for p in parameters))
    return found


def installed() -> ModuleType:
    """The real bindings."""
    if importlib.util.find_spec("cuda") is None:
        pytest.skip("cuda-bindings is not installed: pip install cuda-bindings")
    return importlib.import_module("cuda.bindings.driver")


@pytest.mark.parametrize("major", [12, 13])
def test_every_call_has_the_arguments_the_bindings_take(major: int) -> None:
    bindings = Bindings(major)
    returned = call_everything(CudaBindingsDriver(bindings))
    assert {name for name, _ in bindings.calls} == set(PARAMETERS) - {"cuInit"}
    assert dict(bindings.calls)["cuCtxCreate"] == ((None, 0, 0) if major == 13 else (0, 0))
    assert dict(bindings.calls)["cuMemcpyHtoDAsync"] == (0x100, 0x200, 64, 0x300)
    assert dict(bindings.calls)["cuMemsetD8Async"] == (0x100, 0, 64, 0x300)
    assert returned["device_name"] == "Card"
    assert returned["device_bus"] == "0000:01:00.0"
    assert returned["capability"] == "sm_88"
    assert returned["memory_info"] == (1, 2)
    assert returned["context_create"] == 0x70


def test_the_installed_bindings_have_these_parameters() -> None:
    api = installed()
    expected = PARAMETERS | {"cuCtxCreate": CREATION[api.CUDA_VERSION // 1000]}
    found = {}
    for name in PARAMETERS:
        first = (getattr(api, name).__doc__ or "").splitlines()[0]
        heads = [part.split(":")[0].split() for part in first[len(name) + 1 : -1].split(",")]
        found[name] = ", ".join(head[-1] for head in heads if head)
    assert found == expected


def test_the_file_names_no_other_function() -> None:
    source = inspect.getsource(cuda_driver)
    assert set(re.findall(r"\bcu[A-Z]\w+", source)) - {"cuInit"} == set(PARAMETERS) - {"cuInit"}


def test_sticky_errors_are_those_nvidia_documents_as_such() -> None:
    """And a few after which the card itself, or the driver, cannot be trusted."""
    results = {
        result.name: " ".join((result.__doc__ or "").split()) for result in installed().CUresult
    }
    documented = {n for n, text in results.items() if "must be terminated and relaunched" in text}
    assert len(documented) >= 10
    assert documented <= STICKY
    added = {"ASSERT", "DEINITIALIZED", "ECC_UNCORRECTABLE", "NVLINK_UNCORRECTABLE"}
    assert {name.removeprefix("CUDA_ERROR_") for name in STICKY & set(results)} - added == {
        name.removeprefix("CUDA_ERROR_") for name in documented
    }


def test_an_error_carries_its_name_call_and_values() -> None:
    bindings = Bindings(13)
    bindings.statuses = {
        "cuMemAlloc": Result.CUDA_ERROR_OUT_OF_MEMORY,
        "cuStreamSynchronize": Result.CUDA_ERROR_LAUNCH_FAILED,
    }
    driver = CudaBindingsDriver(bindings)
    with pytest.raises(CudaMemoryError, match=r"cuMemAlloc\(4096\) failed with CUDA_ERROR_OUT_OF"):
        driver.memory_alloc(4096)
    with pytest.raises(DeviceLostError, match=r"cuStreamSynchronize\(0x7f0000000000\) failed"):
        driver.stream_synchronize(0x7F00_0000_0000)


def test_a_context_that_cannot_be_popped_is_destroyed() -> None:
    bindings = Bindings(13)
    bindings.statuses = {"cuCtxPopCurrent": Result.CUDA_ERROR_LAUNCH_FAILED}
    with pytest.raises(CudaError, match="cuCtxPopCurrent"):
        CudaBindingsDriver(bindings).context_create(0)
    assert bindings.calls[-1] == ("cuCtxDestroy", (0x70,))


def test_without_cuda_bindings_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings.driver", None)
    with pytest.raises(BackendError, match=r"pip install 'sambert-trt\[rtx\]'"):
        driver_from_cuda_bindings()


def test_without_a_driver_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    bindings = Bindings(13)

    def missing(flags: int) -> tuple[object, ...]:
        raise RuntimeError('"cuda" is an NVIDIA driver library')

    monkeypatch.setitem(sys.modules, "cuda.bindings.driver", bindings)
    bindings.statuses = {"cuInit": Result.CUDA_ERROR_NO_DEVICE}
    with pytest.raises(BackendError, match=r"CUDA_ERROR_NO_DEVICE: no NVIDIA card is visible"):
        driver_from_cuda_bindings()
    monkeypatch.setattr(bindings, "cuInit", missing)
    with pytest.raises(
        BackendError, match=r"no NVIDIA driver was found: .*speak with --backend cpu"
    ):
        driver_from_cuda_bindings()


STUB_SCRIPT = r"""
import ctypes, json, os
import numpy as np
from sambert_trt.runtime.cuda import Context, DeviceBuffer, Event, Graph, PinnedBuffer, Stream
from sambert_trt.runtime.cuda_calls import CudaError
from sambert_trt.runtime.cuda_driver import driver_from_cuda_bindings

def round_trip():
    values = np.arange(4, dtype=np.float32)
    with (
        Context(driver, 1) as context, Stream(context) as stream,
        PinnedBuffer(context, 64) as staging,
        DeviceBuffer(context, 64) as here, DeviceBuffer(context, 64) as there,
        Event(context) as begin, Event(context) as end,
    ):
        here.zero(stream)
        here.upload(values, staging, stream, offset=16)
        with Graph(stream, lambda: there.copy_from(here, stream)) as graph:
            begin.record(stream)
            graph.launch(stream)
            end.record(stream)
            there.download(staging, stream, 32)
            stream.synchronize()
            end.synchronize()
            milliseconds = end.milliseconds_since(begin)
            with context.current():
                entered = driver.context_current() == context.handle
        found = staging.array((8,), np.float32).tolist()
        return found, milliseconds, entered, context.memory_info()

def failing(function, code):
    os.environ["STUB_FAIL"] = f"{function}:{code}"
    try:
        round_trip()
    except CudaError as error:
        return [type(error).__name__, error.name, error.call, stub.stub_left()]
    finally:
        os.environ["STUB_FAIL"] = ""

stub = ctypes.CDLL("libcuda.so.1")
driver = driver_from_cuda_bindings()
told = {
    "version": driver.driver_version(),
    "cards": [
        (driver.device_name(i), driver.device_bus(i), driver.capability(i))
        for i in range(driver.device_count())
    ],
    "round": round_trip(),
    "left": stub.stub_left(),
    "current": driver.context_current(),
    "failures": [
        failing("cuMemAlloc_v2", 2), failing("cuStreamSynchronize", 719),
        failing("cuGraphInstantiateWithFlags", 1), failing("cuEventCreate", 12345),
        failing("cuCtxCreate_v2", 2) or failing("cuCtxCreate_v4", 2),
    ],
}
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a libcuda.so.1 that needs no card."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("compiling a libcuda for the test needs cc on Linux")
    installed()
    folder = tmp_path_factory.mktemp("libcuda")
    source = Path(__file__).parent / "data" / "libcuda.c"
    target = folder / "libcuda.so.1"
    subprocess.run((compiler, "-shared", "-fPIC", "-o", target, source, "-ldl"), check=True)
    return folder


def under_stub(folder: Path, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a script with that libcuda."""
    return subprocess.run(
        (sys.executable, "-c", script),
        env=os.environ | {"LD_LIBRARY_PATH": str(folder)} | environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_the_real_bindings_call_a_driver(stub: Path) -> None:
    finished = under_stub(stub, STUB_SCRIPT)
    assert finished.returncode == 0, finished.stderr
    told: dict[str, Any] = json.loads(finished.stdout)
    assert told["version"] == 13020
    assert told["cards"] == [
        ["Stub 0", "0000:01:00.0", "sm_86"],
        ["Stub 1", "0000:02:00.0", "sm_89"],
    ]
    assert told["round"] == [[0, 0, 0, 0, 0, 1, 2, 3], 0.5, True, [7_000_000_000, 8_000_000_000]]
    assert told["left"] == 0
    assert told["current"] is None
    assert [failure[:3] for failure in told["failures"]] == [
        ["CudaMemoryError", "CUDA_ERROR_OUT_OF_MEMORY", "cuMemAlloc"],
        ["CudaLostError", "CUDA_ERROR_LAUNCH_FAILED", "cuStreamSynchronize"],
        ["CudaError", "CUDA_ERROR_INVALID_VALUE", "cuGraphInstantiate"],
        ["CudaError", "CUDA_ERROR_NOT_SUPPORTED", "cuEventCreate"],
        ["CudaMemoryError", "CUDA_ERROR_OUT_OF_MEMORY", "cuCtxCreate"],
    ]
    assert [failure[3] for failure in told["failures"]] == [0] * 5


def test_a_driver_too_old_for_the_bindings_says_so(stub: Path) -> None:
    script = (
        "from sambert_trt.runtime.cuda_driver import driver_from_cuda_bindings\n"
        "driver_from_cuda_bindings().context_create(0)"
    )
    form = "v4" if installed().CUDA_VERSION >= 13000 else "v2"
    finished = under_stub(stub, script, STUB_LACKS=f"cuCtxCreate_{form}")
    assert "CudaError: cuCtxCreate cannot be called" in finished.stderr
    assert "do not fit together; update the driver" in finished.stderr
