"""Backends by name, and what a command line may say about a card."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from sambert_trt.engines.engine import Flavour
from sambert_trt.engines.errors import BackendError, DeviceMemoryError, InputError
from sambert_trt.runtime import onnx_backend, trt_backend
from sambert_trt.runtime.backends import (
    BACKENDS,
    add_backend_options,
    backend_from_name,
    backend_from_options,
)
from sambert_trt.runtime.budget import Isolation, MemoryBudget, ResidencyMode
from sambert_trt.runtime.fallback import FallbackBackend, Remedy
from sambert_trt.runtime.gpu import GpuOptions, PlanCopies
from sambert_trt.runtime.onnx_backend import CudaOptions, OnnxBackend, OnnxProvider

SMALLER, CPU = Remedy.SMALLER_CHUNK, Remedy.CPU


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the constructors of card backends were called with; they make nothing."""
    calls: list[Any] = []

    def tensorrt(gpu: GpuOptions | None = None) -> object:
        calls.append(gpu)
        return SimpleNamespace()

    real = onnx_backend.OnnxBackend

    def onnx(provider: OnnxProvider = OnnxProvider.CPU, cuda: CudaOptions | None = None) -> object:
        if provider is OnnxProvider.CPU:
            return real()
        calls.append(cuda)
        return SimpleNamespace()

    monkeypatch.setattr(trt_backend, "TrtBackend", tensorrt)
    monkeypatch.setattr(onnx_backend, "OnnxBackend", onnx)
    return calls


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_backend_options(parser)
    return parser.parse_args(arguments)


def chosen(*arguments: str) -> object:
    return backend_from_options(parsed(*arguments))


def test_the_processor_is_the_usual_backend(asked: list[Any]) -> None:
    assert isinstance(chosen(), OnnxBackend)
    assert isinstance(backend_from_name("cpu"), OnnxBackend)
    assert not asked


def test_only_known_names() -> None:
    assert BACKENDS == ("cpu", "cuda", "tensorrt")
    with pytest.raises(InputError, match="'gpu' is none of cpu, cuda, tensorrt"):
        backend_from_name("gpu")
    with pytest.raises(InputError, match="takes no options of a card"):
        backend_from_name("cpu", GpuOptions())
    with pytest.raises(InputError, match="takes no options of a card"):
        backend_from_name("cpu", on_oom=[CPU])


FLAGS: list[tuple[list[str], dict[str, Any]]] = [
    (["--device", "1"], {"device": 1}),
    (["--flavour", "lean"], {"flavour": Flavour.LEAN}),
    (["--isolation", "shared"], {"isolation": Isolation.SHARED}),
    (["--residency", "minimal"], {"mode": ResidencyMode.MINIMAL}),
    (["--plans", "memory"], {"plans": PlanCopies.MEMORY}),
    (
        ["--plans", "pinned", "--isolation", "shared"],
        {"plans": PlanCopies.PINNED, "isolation": Isolation.SHARED},
    ),
    (["--no-prefetch"], {"prefetch": False}),
    (["--memory-warning", "6500"], {"warn_bytes": 6_500_000_000}),
    (
        ["--memory-budget", "4000"],
        {"budget": MemoryBudget(4_000_000_000, MemoryBudget.reserve)},
    ),
    (
        ["--memory-budget", "700", "--memory-reserve", "0"],
        {"budget": MemoryBudget(700_000_000, 0)},
    ),
    (["--memory-reserve", "512"], {"budget": MemoryBudget(8 << 30, 512_000_000)}),
]


@pytest.mark.parametrize(("flags", "fields"), FLAGS, ids=" ".join)
def test_every_flag_reaches_the_card(
    asked: list[Any], flags: list[str], fields: dict[str, Any]
) -> None:
    chosen("--backend", "tensorrt", *flags)
    assert asked == [GpuOptions(**fields)]


def test_no_option_was_forgotten(asked: list[Any]) -> None:
    """Each field has a flag, but for where kernels are kept; each flag is of one group or another.

    Whoever adds an option adds it to FLAGS above, or here.
    """
    covered = {name for _, fields in FLAGS for name in fields}
    assert {field.name for field in dataclasses.fields(GpuOptions)} - covered == {"kernels"}
    used = {word for flags, _ in FLAGS for word in flags if word.startswith("--")}
    parser = argparse.ArgumentParser(add_help=False)
    add_backend_options(parser)
    flags = {action.option_strings[0] for action in parser._actions}
    assert flags - used == {"--backend", "--precision", "--on-oom"}


def test_without_flags_a_card_is_used_as_usual(asked: list[Any]) -> None:
    chosen("--backend", "tensorrt")
    chosen("--backend", "cuda")
    assert asked == [None, CudaOptions(0, None)]


@pytest.mark.parametrize(
    ("megabytes", "size"),
    [("512", 512_000_000), ("1.001", 1_001_000), ("1234.567891", 1_234_567_891), ("1e3", 10**9)],
)
def test_megabytes_are_exact(asked: list[Any], megabytes: str, size: int) -> None:
    chosen("--backend", "tensorrt", "--memory-budget", megabytes, "--memory-reserve", "0")
    (options,) = asked
    assert options.budget == MemoryBudget(size, 0)


def test_onnx_runtime_takes_device_and_budget(asked: list[Any]) -> None:
    chosen("--backend", "cuda", "--device", "2", "--memory-budget", "2000")
    assert asked == [CudaOptions(2, 2_000_000_000 - MemoryBudget.reserve)]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--device", "0"], "--device is for a card"),
        (["--on-oom", "cpu"], "--on-oom is for a card"),
        (["--no-prefetch"], "--no-prefetch is for a card"),
        (["--memory-budget", "500"], "--memory-budget is for a card"),
        (["--backend", "cuda", "--residency", "minimal"], "--residency is for --backend tensorrt"),
        (["--backend", "cuda", "--no-prefetch"], "--no-prefetch is for --backend tensorrt"),
        (
            ["--backend", "cuda", "--plans", "memory", "--flavour", "rtx"],
            "--flavour is for --backend tensorrt",
        ),
        (["--backend", "tensorrt", "--plans", "pinned"], "need isolation shared"),
        (["--backend", "tensorrt", "--on-oom", ""], "on-oom '': needs one or both of"),
        (["--backend", "tensorrt", "--on-oom", "gpu"], "on-oom 'gpu': needs one or both of"),
        (["--backend", "tensorrt", "--on-oom", "cpu,cpu"], "separated by a comma"),
        (["--backend", "tensorrt", "--device", "-1"], "device -1"),
        (["--backend", "tensorrt", "--memory-budget", "nan"], "--memory-budget nan: needs a num"),
        (["--backend", "tensorrt", "--memory-budget", "inf"], "--memory-budget inf: needs a num"),
        (["--backend", "tensorrt", "--memory-budget", "-5"], "--memory-budget -5: needs a number"),
        (["--backend", "tensorrt", "--memory-reserve", "-1"], "--memory-reserve -1: needs a num"),
        (["--backend", "tensorrt", "--memory-warning", "nan"], "--memory-warning nan: needs a num"),
        (["--backend", "tensorrt", "--memory-warning", "0"], "positive size"),
        (["--backend", "tensorrt", "--memory-budget", "0"], "reserve has to be smaller"),
        (
            ["--backend", "tensorrt", "--memory-budget", "100", "--memory-reserve", "100"],
            "100 MB with 100 MB in reserve: the reserve has to be smaller than the budget",
        ),
    ],
    ids=lambda item: item if isinstance(item, str) else " ".join(item),
)
def test_options_that_make_no_sense(asked: list[Any], flags: Sequence[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        chosen(*flags)
    assert not asked


@pytest.mark.parametrize("backend", ["cuda", "tensorrt"])
def test_remedies_are_asked_for_by_name(asked: list[Any], backend: str) -> None:
    made = chosen("--backend", backend, "--on-oom", "smaller-chunk,cpu")
    assert isinstance(made, FallbackBackend)
    assert made.remedies == (SMALLER, CPU)
    assert not isinstance(chosen("--backend", backend), FallbackBackend)


def test_a_card_without_room_for_a_context(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """There is no backend to fall back from yet: everything goes on the processor, said so."""

    def full(_: GpuOptions | None) -> None:
        raise DeviceMemoryError("no room for a context")

    monkeypatch.setattr(trt_backend, "TrtBackend", full)
    for remedies in ([], [SMALLER]):
        with pytest.raises(DeviceMemoryError, match="no room for a context"):
            backend_from_name("tensorrt", on_oom=remedies)
    assert not caplog.records
    assert isinstance(backend_from_name("tensorrt", on_oom=[SMALLER, CPU]), OnnxBackend)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage() == "everything goes on the processor: no room for a context"


def test_a_remedy_that_is_not_installed_is_found_out_at_once(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    backend_from_name("tensorrt", on_oom=[SMALLER])
    with pytest.raises(BackendError, match=r"pip install 'sambert-trt\[cpu\]'"):
        backend_from_name("tensorrt", on_oom=[CPU])
    assert len(asked) == 1


def test_a_machine_without_cuda_says_so() -> None:
    """No fake at all: neither the driver nor its bindings need to be here."""
    if cards():
        pytest.skip("this machine has a card")
    with pytest.raises(BackendError, match=r"driver|cuda"):
        backend_from_name("tensorrt")


def cards() -> int:
    """How many cards the driver shows; none where there is no driver."""
    from sambert_trt.runtime.cuda_driver import driver_from_cuda_bindings

    try:
        return driver_from_cuda_bindings().device_count()
    except BackendError:
        return 0


@pytest.mark.parametrize("value", [-1, -3])
def test_a_device_is_a_number_from_0_on(value: int) -> None:
    with pytest.raises(InputError, match=f"device {value}"):
        GpuOptions(device=value)


def test_commands_that_need_no_card_import_nothing_of_it() -> None:
    import subprocess

    program = (
        "import sys, argparse; from sambert_trt.runtime.backends import *; "
        "add_backend_options(argparse.ArgumentParser()); print(*sys.modules)"
    )
    finished = subprocess.run(
        (sys.executable, "-c", program), capture_output=True, text=True, check=True
    )
    loaded = set(finished.stdout.split())
    assert not loaded & {"onnxruntime", "tensorrt", "tensorrt_rtx", "cuda", "pynvml", "rich"}
