"""What a run ran on, what of that changed meanwhile, and why two runs cannot be compared.

Standard library, and nvidia-ml-py where it is installed; versions come from metadata, nothing is
imported for them.
"""

from __future__ import annotations

import importlib
import os
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from processor import processor_facts

__all__ = ["cautions", "differences", "fingerprint", "machine_name", "obstacles"]

CHANGED = 0.10
"""The share by which a clock or the pace may change and still be called the same."""

_BUSY = 0.5
"""Work of others for each core, above which a measurement is told to be disturbed."""

_PACKAGES = (
    *("sambert-trt", "numpy", "onnxruntime", "onnxruntime-gpu", "torch", "onnx", "nvidia-ml-py"),
    *("tensorrt-rtx-cu13-libs", "tensorrt", "tensorrt-lean-cu13-libs", "cuda-bindings"),
)
_STEADY = ("id", "processor", "cores", "memory_bytes", "virtual", "governor", "limits", "system")
"""Facts that are the same in two runs that are compared; then cards and versions."""

_CARD = ("name", "uuid", "driver", "memory_bytes")
_CARD_CLOCKS = ("sm_most_mhz", "power_limit_w")
_SLOWED = 0x8 | 0x20 | 0x40 | 0x80
"""NVML's reasons to slow down that are no choice: hardware, heat twice, and the power brake."""

_CPUS = Path("/sys/devices/system/cpu")
_CGROUPS = Path("/sys/fs/cgroup")
_LOOPS, _TURNS = 200, 10_000


def fingerprint() -> dict[str, Any]:
    """Facts by name, plain values; a fact the system does not tell is absent.

    `pace` is how many seconds a fixed loop takes at best: the processor's real clock, also where a
    virtual machine hides it. It takes a third of a second.
    """
    facts = {
        "id": _machine_id(),
        **processor_facts(),
        "pace": _pace(),
        "governor": _of_cpus("scaling_governor"),
        "mhz": _megahertz("scaling_cur_freq") or _mhz_of_cpuinfo(),
        "mhz_limit": _megahertz("scaling_max_freq"),
        "memory_bytes": _memory(),
        "virtual": _is_virtual(),
        "limits": _limits(),
        "gpu": dict(_cards()),
        "versions": {name: found for name in _PACKAGES if (found := _version(name))},
    }
    return {name: value for name, value in facts.items() if value not in (None, "", {})}


def machine_name(machine: Mapping[str, Any]) -> str:
    """A machine in a few words; two that are different have different ones."""
    cards = [str(card.get("name", "a card")) for card in machine.get("gpu", {}).values()]
    parts = (f"{machine.get('processor', '?')}, {machine.get('cores', '?')} cores", *cards)
    return f"{', '.join(parts)} ({machine.get('id', '?')})"


def cautions(machine: Mapping[str, Any]) -> tuple[str, ...]:
    """What disturbs measurements here, in sentences."""
    return tuple(_cautions(machine))


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """What of a machine changed during a run, in sentences."""
    found = list(_changed(before, after, ("id", "governor", "limits", "versions")))
    found += _clocks_changed(before, after, ("pace", "mhz_limit"))
    for name, first, second in _both_cards(before, after):
        found += (f"{name}: {text}" for text in _changed(first, second, _CARD))
        found += (f"{name}: {text}" for text in _clocks_changed(first, second, _CARD_CLOCKS))
        slowed = int(second.get("throttle_reasons", 0)) & ~int(first.get("throttle_reasons", 0))
        if slowed & _SLOWED:
            found.append(f"{name}: it was slowed down (reasons {slowed & _SLOWED:#x})")
    return tuple(found)


def obstacles(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, ...]:
    """What makes two runs differ besides the trees, in sentences; empty where nothing does."""
    found = list(_changed(one, other, (*_STEADY, "python", "versions")))
    found += _clocks_changed(one, other, ("pace", "mhz_limit"))
    if set(one.get("gpu", {})) != set(other.get("gpu", {})):
        found.append(f"gpu: {len(one.get('gpu', {}))} cards, then {len(other.get('gpu', {}))}")
    for name, first, second in _both_cards(one, other):
        found += (f"{name}: {text}" for text in _changed(first, second, _CARD))
        found += (f"{name}: {text}" for text in _clocks_changed(first, second, _CARD_CLOCKS))
    return tuple(found)


def _cautions(machine: Mapping[str, Any]) -> Iterator[str]:
    load, cores = machine.get("load") or [0.0], machine.get("cores") or 1
    if load[0] > _BUSY * cores:
        yield f"others keep the machine busy: load {load[0]} on {cores} cores"
    governor = machine.get("governor", "performance")
    if governor != "performance":
        yield f"the processor's governor is {governor}: its clock follows the load"
    for name, card in machine.get("gpu", {}).items():
        slowed = int(card.get("throttle_reasons", 0)) & _SLOWED
        if slowed:
            yield f"card {name} is slowed down (reasons {slowed:#x})"


def _changed(
    one: Mapping[str, Any], other: Mapping[str, Any], names: tuple[str, ...]
) -> Iterator[str]:
    for name in names:
        first, second = one.get(name), other.get(name)
        if isinstance(first, Mapping) and isinstance(second, Mapping):
            inner = _changed(first, second, tuple(dict.fromkeys((*first, *second))))
            yield from (f"{name}: {text}" for text in inner)
        elif first != second:
            yield f"{name}: {_word(first)}, then {_word(second)}"


def _clocks_changed(
    one: Mapping[str, Any], other: Mapping[str, Any], names: tuple[str, ...]
) -> Iterator[str]:
    for name in names:
        first, second = one.get(name), other.get(name)
        if first and second and abs(second / first - 1) > CHANGED:
            yield f"{name}: {first:.4g}, then {second:.4g} ({second / first - 1:+.0%})"


def _both_cards(
    one: Mapping[str, Any], other: Mapping[str, Any]
) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    theirs: Mapping[str, Mapping[str, Any]] = other.get("gpu", {})
    for name, card in one.get("gpu", {}).items():
        if name in theirs:
            yield f"card {name}", card, theirs[name]


def _word(value: object) -> str:
    return "unknown" if value is None else str(value)


def _machine_id() -> str:
    """The same for the same installation; says nothing about it."""
    found = _text(Path("/etc/machine-id")) or platform.node()
    return sha256(f"sambert-trt {found}".encode()).hexdigest()[:8]


def _pace() -> float:
    """The least of many short loops, spread so that no neighbour disturbs them all."""
    best = _seconds_of_loop()
    for number in range(_LOOPS):
        if number % 8 == 0:
            time.sleep(0.01)
        best = min(best, _seconds_of_loop())
    return round(best, 8)


def _seconds_of_loop() -> float:
    started, left = time.perf_counter(), _TURNS
    while left:
        left -= 1
    return time.perf_counter() - started


def _text(path: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text(encoding="utf-8").strip()
    return ""


def _of_cpus(name: str) -> str:
    """A setting of frequency scaling, of all cores."""
    return " ".join(sorted({_text(file) for file in _CPUS.glob(f"cpu[0-9]*/cpufreq/{name}")}))


def _megahertz(name: str) -> float | None:
    """The largest of all cores."""
    found = _of_cpus(name).split()
    return max(int(kilohertz) for kilohertz in found) / 1e3 if found else None


def _cpuinfo() -> dict[str, str]:
    lines = (line.partition(":") for line in _text(Path("/proc/cpuinfo")).splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}


def _mhz_of_cpuinfo() -> float | None:
    found = _cpuinfo().get("cpu MHz")
    return float(found) if found else None


def _is_virtual() -> bool | None:
    flags = _cpuinfo().get("flags")
    return None if flags is None else "hypervisor" in flags.split()


def _memory() -> int | None:
    with suppress(ValueError, OSError, AttributeError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _limits() -> dict[str, float]:
    """What the process's own group may use: cores and bytes; both versions of cgroups."""
    found: dict[str, float] = {}
    quota, _, period = _text(_group("cpu") / "cpu.max").partition(" ")
    if not quota:
        quota = _text(_group("cpu") / "cpu.cfs_quota_us")
        period = _text(_group("cpu") / "cpu.cfs_period_us")
    if quota.isdecimal() and period.isdecimal():
        found["cores"] = int(quota) / int(period)
    for name in ("memory.max", "memory.limit_in_bytes"):
        limit = _text(_group("memory") / name)
        if limit.isdecimal() and int(limit) < 1 << 60:
            found["memory_bytes"] = int(limit)
    return found


def _group(controller: str) -> Path:
    """The folder of this process's group; a container may show it as the root."""
    for line in _text(Path("/proc/self/cgroup")).splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers or controller in controllers.split(","):
            base = _CGROUPS / controllers if controllers else _CGROUPS
            inner = base / path.lstrip("/")
            return inner if inner.is_dir() else base
    return _CGROUPS


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cards() -> Iterator[tuple[str, dict[str, Any]]]:
    """Facts of each card by its number; nothing where there is no nvidia-ml-py, or no card."""
    try:
        nvml: Any = importlib.import_module("pynvml")
        nvml.nvmlInit()
    except Exception:  # no package, no library or no driver: there is nothing to tell
        return
    try:
        for number in range(nvml.nvmlDeviceGetCount()):
            yield str(number), _card(nvml, nvml.nvmlDeviceGetHandleByIndex(number))
    finally:
        nvml.nvmlShutdown()


def _card(nvml: Any, handle: Any) -> dict[str, Any]:  # noqa: ANN401  # untyped
    from acceptance.machine import clocks_of_handle

    facts: dict[str, Any] = {}
    for name, ask in (
        ("name", lambda: nvml.nvmlDeviceGetName(handle)),
        ("uuid", lambda: sha256(str(nvml.nvmlDeviceGetUUID(handle)).encode()).hexdigest()[:8]),
        ("driver", nvml.nvmlSystemGetDriverVersion),
        ("memory_bytes", lambda: nvml.nvmlDeviceGetMemoryInfo(handle).total),
    ):
        with suppress(nvml.NVMLError):
            facts[name] = ask()
    return facts | dict(clocks_of_handle(nvml, handle))
