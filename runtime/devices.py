"""The cards of this machine, their memory and who uses it, as NVML tells without a CUDA context.

`pynvml` (the package nvidia-ml-py) is imported where it is asked; nothing else is needed.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from sambert_trt.engines.errors import BackendError

__all__ = [
    "CardWatch",
    "DeviceFacts",
    "DriverFacts",
    "ProcessFacts",
    "card_memory",
    "devices",
    "driver_facts",
    "process_bytes",
]

_REASONS = {
    "NVML_ERROR_LIBRARY_NOT_FOUND": "no NVIDIA driver is here (its library nvidia-ml was not "
    "found): install one; a container needs the host's, as with --gpus all",
    "NVML_ERROR_DRIVER_NOT_LOADED": "the NVIDIA driver is installed but not loaded: restart the "
    "machine, and see nvidia-smi",
    "NVML_ERROR_LIB_RM_VERSION_MISMATCH": "the NVIDIA driver was updated while it ran, its library "
    "and its kernel module differ: restart the machine",
    "NVML_ERROR_NO_PERMISSION": "this user may not ask the NVIDIA driver: see who may open "
    "/dev/nvidiactl",
    "NVML_ERROR_GPU_IS_LOST": "a card has fallen off the bus: restart the machine",
}


@dataclass(frozen=True)
class ProcessFacts:
    """A process on a card; `bytes` is None where the driver does not say, as under WDDM."""

    pid: int
    name: str
    bytes: int | None


@dataclass(frozen=True)
class DriverFacts:
    """The driver's version, and the newest CUDA it runs, `13.0`."""

    version: str
    cuda: str


@dataclass(frozen=True)
class DeviceFacts:
    """A card. Sizes are bytes of its memory; None where the driver does not say.

    Attributes:
        index: its number as NVML and nvidia-smi count, by bus; CUDA may count otherwise.
        target: its compute capability, `sm_86`; empty where the driver does not say.
        reserved: what driver and firmware keep, counted neither as used nor as free.
        processes: who uses it, as far as this user may see.
        problems: what could not be asked, and why.
    """

    index: int
    name: str
    uuid: str
    target: str
    total: int | None
    used: int | None
    free: int | None
    reserved: int | None
    processes: tuple[ProcessFacts, ...]
    problems: tuple[str, ...] = ()


def devices() -> list[DeviceFacts]:
    """Every card the driver shows.

    Raises:
        BackendError: NVML is not installed, or there is no driver that answers.
    """
    with _nvml() as nvml:
        return [_device(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]


def driver_facts() -> DriverFacts:
    """The driver's versions.

    Raises:
        BackendError: NVML is not installed, or there is no driver that answers.
    """
    with _nvml() as nvml:
        cuda = nvml.nvmlSystemGetCudaDriverVersion_v2()
        return DriverFacts(
            _text(nvml.nvmlSystemGetDriverVersion()), f"{cuda // 1000}.{cuda % 1000 // 10}"
        )


def process_bytes(pid: int) -> int | None:
    """What a process takes on all cards; None where the driver does not show it.

    That is so without a driver, under WDDM, for a process that uses no card, and in containers
    whose process numbers are not the host's.
    """
    try:
        found = [p.bytes for card in devices() for p in card.processes if p.pid == pid]
    except BackendError:
        return None
    known = [size for size in found if size is not None]
    return sum(known) if known and len(known) == len(found) else None


def card_memory(bus: str) -> CardWatch:
    """Watches one card.

    Args:
        bus: its PCI bus id, `0000:01:00.0`: NVML and CUDA may count cards differently.

    Raises:
        BackendError: NVML is not installed, or knows no such card.
    """
    nvml = _opened_nvml()
    try:
        return CardWatch(nvml, nvml.nvmlDeviceGetHandleByPciBusId(bus.encode()))
    except nvml.NVMLError as error:
        nvml.nvmlShutdown()
        raise BackendError(f"NVML knows no card at {bus}: {error}") from error


class CardWatch:
    """A card's memory, asked as often as one likes; NVML stays open for it."""

    def __init__(self, nvml: ModuleType, handle: Any) -> None:  # noqa: ANN401  # a C pointer
        self._nvml, self._handle = nvml, handle

    def free(self) -> int | None:
        """Free bytes of the card; None where the driver does not say."""
        try:
            return int(self._nvml.nvmlDeviceGetMemoryInfo(self._handle).free)
        except self._nvml.NVMLError:
            return None

    def process(self) -> int | None:
        """Bytes of it this process takes; None where the driver does not say."""
        return _usage(self._nvml, self._handle, []).get(os.getpid())


@contextmanager
def _nvml() -> Iterator[ModuleType]:
    nvml = _opened_nvml()
    try:
        yield nvml
    except nvml.NVMLError as error:
        raise BackendError(_reason(nvml, error)) from error
    finally:
        nvml.nvmlShutdown()


def _opened_nvml() -> ModuleType:
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError as error:
        raise BackendError(
            "nvidia-ml-py is not installed, so nothing is known of cards and their memory; "
            "install it with: pip install nvidia-ml-py"
        ) from error
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        raise BackendError(_reason(nvml, error)) from error
    return nvml


def _reason(nvml: ModuleType, error: Exception) -> str:
    code = getattr(error, "value", None)
    for name, reason in _REASONS.items():
        if getattr(nvml, name, None) == code:
            return reason
    return f"the NVIDIA driver does not answer ({error}); see nvidia-smi"


def _device(nvml: ModuleType, index: int) -> DeviceFacts:
    problems: list[str] = []

    def asked(what: str, ask: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401
        try:
            return ask(*arguments)
        except nvml.NVMLError as error:
            problems.append(f"{what}: {error}")
            return None

    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    capability = asked("capability", nvml.nvmlDeviceGetCudaComputeCapability, handle)
    memory = asked("memory", _memory, nvml, handle) or (None, None, None, None)
    total, used, free, reserved = memory
    usage = _usage(nvml, handle, problems)
    return DeviceFacts(
        index=index,
        name=_text(asked("name", nvml.nvmlDeviceGetName, handle) or ""),
        uuid=_text(asked("uuid", nvml.nvmlDeviceGetUUID, handle) or ""),
        target="" if capability is None else f"sm_{capability[0]}{capability[1]}",
        total=total,
        used=used,
        free=free,
        reserved=reserved,
        processes=tuple(
            ProcessFacts(pid, _process_name(nvml, pid), size)
            for pid, size in sorted(usage.items(), key=lambda item: (-(item[1] or 0), item[0]))
        ),
        problems=tuple(problems),
    )


def _memory(nvml: ModuleType, handle: object) -> tuple[int, int, int, int | None]:
    """Total, used, free and reserved; drivers before 510 count what is reserved as used."""
    try:
        facts = nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
        return int(facts.total), int(facts.used), int(facts.free), int(facts.reserved)
    except nvml.NVMLError as error:
        if getattr(error, "value", None) != nvml.NVML_ERROR_FUNCTION_NOT_FOUND:
            raise
    facts = nvml.nvmlDeviceGetMemoryInfo(handle)
    return int(facts.total), int(facts.used), int(facts.free), None


def _usage(nvml: ModuleType, handle: object, problems: list[str]) -> dict[int, int | None]:
    """Bytes by process; one that computes and draws is listed twice with the same bytes."""
    found: dict[int, int | None] = {}
    for kind in ("Compute", "Graphics"):
        try:
            listed = getattr(nvml, f"nvmlDeviceGet{kind}RunningProcesses")(handle)
        except nvml.NVMLError as error:
            problems.append(f"{kind.lower()} processes: {error}")
            continue
        for item in listed:
            sizes = [s for s in (found.get(item.pid), item.usedGpuMemory) if s is not None]
            found[int(item.pid)] = max(map(int, sizes)) if sizes else None
    return found


def _process_name(nvml: ModuleType, pid: int) -> str:
    """Empty where the process is another user's or in another container."""
    try:
        return _text(nvml.nvmlSystemGetProcessName(pid))
    except (nvml.NVMLError, UnicodeDecodeError):
        return ""


def _text(value: str | bytes) -> str:
    """NVML's texts are bytes in packages before 11.5."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
