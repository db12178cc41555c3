"""What TensorRT makes of a voice's graphs for one card: layers, bytes, scratch memory, seconds.

TensorRT for RTX builds for cards that are not there, so the figures are had everywhere. The plans
go into a store of this suite's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from sambert_trt.engines.errors import InputError

from ..record import NotMeasured
from ..suite import Settings

if TYPE_CHECKING:
    from sambert_trt.engines.build_orders import BuildOrders
    from sambert_trt.engines.builder import BuildResult

__all__ = ["rounds"]

_TARGET = "sm_86"
"""The same on every machine: one of the cards that the project is made for."""


def rounds(settings: Settings) -> Iterator[Mapping[str, float]]:
    """`plan.*`, once.

    Raises:
        NotMeasured: no builder is installed.
        InputError: a stage cannot be built.
        SambertError: the voice cannot be read.
    """
    from sambert_trt.engines.builder import build_engines

    found: dict[str, float] = {}
    for result in build_engines(_orders(settings)):
        found |= _facts(result)
    yield found


def _orders(settings: Settings) -> BuildOrders:
    """Every plan anew, in a store of our own."""
    from sambert_trt.engines.builder import BuildOptions, build_orders
    from sambert_trt.engines.engine import Flavour
    from sambert_trt.engines.errors import BackendError
    from sambert_trt.engines.graphs import Precision
    from sambert_trt.engines.store import EngineStore

    options = BuildOptions(
        flavour=Flavour.RTX,
        targets=(_TARGET,),
        precisions=() if settings.precision is None else (Precision(settings.precision),),
        force=True,
    )
    try:
        orders = build_orders(settings.voice, options)
    except BackendError as error:
        raise NotMeasured(str(error)) from error
    return replace(orders, store=EngineStore(settings.work / "engines"))


def _facts(result: BuildResult) -> dict[str, float]:
    if result.engine is None:
        raise InputError(f"there is no plan of {result.order.name}: {result.reason}")
    record = result.engine.record
    facts = {
        "layers": record.kernels,
        "bytes": record.plan_bytes,
        "scratch": record.scratch_bytes,
        "build.seconds": record.build_seconds,
    }
    stage = record.spec.stage.value
    return {f"plan.{stage}.{name}": value for name, value in facts.items()}
