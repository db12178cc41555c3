"""What the numbers were measured on, and section `install`: how large the runtime is on the disk.

`pynvml` is imported where it is asked; nothing else but the standard library is needed.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

from installed import closure, size
from processor import processor_facts

from sambert_trt.engines.errors import SambertError
from sambert_trt.engines.flavours import installed_flavours
from sambert_trt.engines.manifest import VoiceManifest
from sambert_trt.runtime.devices import driver_facts

from .card import Card
from .results import Result

__all__ = ["clock_facts", "clocks_of_handle", "machine_facts", "measure_install", "voice_facts"]

_PACKAGES = (
    *("sambert-trt", "numpy", "onnxruntime", "onnxruntime-gpu", "nvidia-ml-py", "cuda-bindings"),
    *("tensorrt-rtx-cu13-libs", "tensorrt", "tensorrt-lean-cu13-libs"),
)


def machine_facts(card: Card) -> dict[str, Any]:
    """Card, driver, TensorRT, processor, versions and the revision of the checkout."""
    return {
        "card": _card_facts(card),
        "driver": _driver_facts(),
        "tensorrt": [
            {"flavour": item.flavour.value, "version": item.version, "usable": item.usable}
            for item in installed_flavours()
        ],
        "used": None if card.flavour is None else f"{card.flavour.value} {card.version}",
        "memory_probe": card.probe,
        "clocks": clock_facts(card),
        "processor": processor_facts(),
        "versions": {name: _version(name) for name in _PACKAGES if _version(name)},
        "revision": _revision(),
    }


def voice_facts(manifest: VoiceManifest) -> dict[str, Any]:
    """Which voice was spoken with, and how large it is."""
    return {
        "name": manifest.name,
        "sample_rate": manifest.sample_rate,
        "parameters": sum(record.parameters for record in manifest.stages.values()),
        "nsf": manifest.f0 is not None,
        "precisions": ["fp32", *(precision.value for precision in manifest.variants)],
    }


def clock_facts(card: Card) -> dict[str, Any]:
    """Clocks, temperature, power and why the card runs slower than it could; what NVML tells."""
    if card.opened_driver is None:
        return {}
    try:
        nvml: Any = importlib.import_module("pynvml")
        nvml.nvmlInit()
    except Exception:  # no package, no library or no driver: there is nothing to tell
        return {}
    try:
        bus = card.driver.device_bus(card.device)
        return dict(clocks_of_handle(nvml, nvml.nvmlDeviceGetHandleByPciBusId(bus.encode())))
    except nvml.NVMLError:
        return {}
    finally:
        nvml.nvmlShutdown()


def clocks_of_handle(nvml: Any, handle: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401  # untyped
    """What NVML tells of a card's clocks, heat and power, by name."""
    questions: dict[str, Callable[[], Any]] = {
        "sm_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
        "sm_most_mhz": lambda: nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM),
        "memory_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM),
        "temperature": lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
        "power_w": lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1e3,
        "power_limit_w": lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1e3,
        "throttle_reasons": lambda: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle),
        "performance_state": lambda: nvml.nvmlDeviceGetPerformanceState(handle),
    }
    for name, ask in questions.items():
        with suppress(nvml.NVMLError, AttributeError):
            yield name, ask()


def _card_facts(card: Card) -> dict[str, Any]:
    if card.opened_driver is None:
        return {"absent": card.absent}
    driver, device = card.driver, card.device
    version = driver.driver_version()
    return {
        "name": driver.device_name(device),
        "target": driver.capability(device),
        "bus": driver.device_bus(device),
        "newest_cuda": f"{version // 1000}.{version % 1000 // 10}",
        "free_bytes": None if card.memory is None else card.memory.free(),
    }


def _driver_facts() -> dict[str, str]:
    try:
        return asdict(driver_facts())
    except SambertError as error:
        return {"unknown": str(error)}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except PackageNotFoundError:
        return None


def _revision() -> str:
    """The commit of the checkout, and whether files differ from it."""
    root = Path(__file__).resolve().parent.parent.parent
    try:
        finished = subprocess.run(
            ("git", "describe", "--always", "--dirty", "--abbrev=12"),
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return "unknown"
    return finished.stdout.strip() or "unknown"


def measure_install(card: Card, result: Result) -> None:
    """The size of what `pip install 'sambert-trt[rtx]'` puts on the disk, dependencies included."""
    sizes = {name: size(found) for name, found in closure(["sambert-trt[rtx]"]).items()}
    wanted = {"tensorrt-rtx-cu13-libs", "cuda-bindings", "numpy"}
    missing = sorted(wanted - set(sizes))
    if missing:
        result.notes.append(f"not installed, so not counted: {', '.join(missing)}")
    else:
        result.numbers["install_mb"] = sum(sizes.values()) / 1e6
    rows = sorted(sizes.items(), key=lambda item: -item[1])
    result.table(
        "the runtime with TensorRT for RTX on the disk",
        ("package", "MB"),
        [(name, size / 1e6) for name, size in rows],
    )
