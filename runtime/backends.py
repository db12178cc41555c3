"""Backends by name, and their options on the command line.

What a backend needs is imported when it is made.
"""

from __future__ import annotations

import argparse
import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

from sambert_trt.engines.engine import Flavour
from sambert_trt.engines.errors import DeviceMemoryError, InputError
from sambert_trt.engines.graphs import Precision

from .backend import Backend
from .budget import MB, Isolation, MemoryBudget, ResidencyMode
from .fallback import FallbackBackend, Remedy, remedies_from_text
from .gpu import GpuOptions, PlanCopies

__all__ = ["BACKENDS", "add_backend_options", "backend_from_name", "backend_from_options"]

_LOG = logging.getLogger(__name__)

BACKENDS = ("cpu", "cuda", "tensorrt")

_CARD_OPTIONS = (
    *("device", "memory_budget", "memory_reserve", "flavour", "isolation", "residency"),
    *("plans", "no_prefetch", "memory_warning"),
)


def backend_from_name(
    name: str, gpu: GpuOptions | None = None, on_oom: Sequence[Remedy] = ()
) -> Backend:
    """A backend: `cpu` and `cuda` are ONNX Runtime's, `tensorrt` runs plans.

    Args:
        name: one of BACKENDS.
        gpu: how the card is used; `cuda` takes device and budget from it, the budget for each graph
            on its own.
        on_oom: what to try, in order, when the card has no room; with Remedy.CPU also when there
            is not even room to begin with.

    Raises:
        InputError: another name, or options of a card with `cpu`.
        BackendError: what the backend, or a remedy, needs is not installed, or there is no card.
    """
    if name not in BACKENDS:
        raise InputError(f"the backend {name!r} is none of {', '.join(BACKENDS)}")
    if name == "cpu":
        if gpu is not None or on_oom:
            raise InputError("the backend cpu takes no options of a card: choose cuda or tensorrt")
        return _processor()
    # First, so that it is not a full card that finds out what is not installed.
    processor = _processor() if Remedy.CPU in on_oom else None
    try:
        made = _tensorrt(gpu) if name == "tensorrt" else _cuda(gpu or GpuOptions())
    except DeviceMemoryError as error:
        if processor is None:
            raise
        _LOG.warning("everything goes on the processor: %s", error)
        return processor
    return FallbackBackend(made, on_oom, processor) if on_oom else made


def add_backend_options(command: argparse.ArgumentParser) -> None:
    """Adds what `backend_from_options` reads."""
    command.add_argument("--backend", choices=BACKENDS, default="cpu", help="what computes (cpu)")
    command.add_argument(
        "--precision",
        choices=[precision.value for precision in Precision],
        help="of the graphs (what the backend prefers)",
    )
    card = command.add_argument_group("graphics card, for the backends cuda and tensorrt")
    card.add_argument("--device", type=int, metavar="N", help="the card's number (0)")
    card.add_argument(
        "--memory-budget",
        type=float,
        metavar="MB",
        help="the most to take of the card (8590); cuda: for each graph",
    )
    card.add_argument(
        "--memory-reserve", type=float, metavar="MB", help="to leave free on the card (256)"
    )
    card.add_argument(
        "--on-oom",
        metavar="WHAT",
        help="when the card is full: smaller-chunk, cpu, or both, in the order to try",
    )
    for name, kind, text in (
        ("flavour", Flavour, "which TensorRT (what is installed)"),
        ("isolation", Isolation, "a CUDA context for each engine, or one shared (engine)"),
        ("residency", ResidencyMode, "which engines stay open (on_demand)"),
        ("plans", PlanCopies, "where plans wait while engines are closed (page_cache)"),
    ):
        choices = [value.value for value in kind]
        card.add_argument(f"--{name}", choices=choices, help=f"tensorrt: {text}")
    card.add_argument(
        "--no-prefetch",
        action="store_true",
        default=None,
        help="tensorrt: open no engine before it is needed",
    )
    card.add_argument(
        "--memory-warning", type=float, metavar="MB", help="tensorrt: warn beyond this (7500)"
    )


def backend_from_options(options: argparse.Namespace) -> Backend:
    """The backend a command line asks for.

    Raises:
        InputError: options that do not go together.
        BackendError: see `backend_from_name`.
    """
    named = _given(options)
    remedies = () if options.on_oom is None else remedies_from_text(options.on_oom)
    if options.backend == "cpu" and (named or options.on_oom is not None):
        first = next(iter(named), "on_oom").replace("_", "-")
        raise InputError(f"--{first} is for a card: choose --backend cuda or tensorrt with it")
    if options.backend == "cuda":
        foreign = sorted(set(named) - {"device", "memory_budget", "memory_reserve"})
        if foreign:
            raise InputError(f"--{foreign[0].replace('_', '-')} is for --backend tensorrt")
    return backend_from_name(options.backend, _gpu(named) if named else None, remedies)


def _given(options: argparse.Namespace) -> dict[str, Any]:
    found = {name: getattr(options, name) for name in _CARD_OPTIONS}
    return {name: value for name, value in found.items() if value is not None}


def _gpu(named: dict[str, Any]) -> GpuOptions:
    readers: dict[str, tuple[str, Callable[[Any], Any]]] = {
        "device": ("device", int),
        "flavour": ("flavour", Flavour),
        "isolation": ("isolation", Isolation),
        "residency": ("mode", ResidencyMode),
        "plans": ("plans", PlanCopies),
        "no_prefetch": ("prefetch", lambda value: not value),
    }
    chosen = {field: read(named[name]) for name, (field, read) in readers.items() if name in named}
    sizes = {
        name: _bytes(name, named[name])
        for name in ("memory_budget", "memory_reserve", "memory_warning")
        if name in named
    }
    if "memory_warning" in sizes:
        chosen["warn_bytes"] = sizes.pop("memory_warning")
    if sizes:
        fields = {name.removeprefix("memory_"): size for name, size in sizes.items()}
        fields["total"] = fields.pop("budget", MemoryBudget.total)
        chosen["budget"] = MemoryBudget(**fields)
    return GpuOptions(**chosen)


def _bytes(name: str, megabytes: float) -> int:
    if not (math.isfinite(megabytes) and megabytes >= 0):
        option = name.replace("_", "-")
        raise InputError(f"--{option} {megabytes:g}: needs a number of megabytes from 0 on")
    return round(megabytes * MB)


def _processor() -> Backend:
    from .onnx_backend import OnnxBackend

    return OnnxBackend()


def _cuda(gpu: GpuOptions) -> Backend:
    from .onnx_backend import CudaOptions, OnnxBackend, OnnxProvider

    limit = None if gpu.budget is None else gpu.budget.limit
    return OnnxBackend(OnnxProvider.CUDA, CudaOptions(gpu.device, limit))


def _tensorrt(gpu: GpuOptions | None) -> Backend:
    from .trt_backend import TrtBackend

    return TrtBackend(gpu)
