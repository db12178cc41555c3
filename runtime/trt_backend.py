"""TensorRT plans on an NVIDIA card: found, verified, opened when a sentence reaches them.

CUDA and TensorRT come in through runtime/cuda.py and runtime/trt_api.py; their packages are
imported when a backend is made, and only then.
"""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from sambert_trt.engines.errors import (
    BackendError,
    SambertError,
)
from sambert_trt.engines.flavours import default_flavour, trt_module
from sambert_trt.engines.graphs import GraphSpec, Placement, Precision, Stage
from sambert_trt.engines.manifest import StageRecord, VoiceManifest
from sambert_trt.engines.store import EngineStore, StoredEngine

from .backend import Session
from .budget import EngineCost, Isolation, MemoryBudget, ResidencyMode
from .cuda import Context, PinnedBuffer
from .cuda_calls import Driver
from .gpu import GpuOptions, PlanCopies
from .kernel_cache import KernelCache, default_cache_folder
from .memory import EngineMemory, MemoryReport
from .residency import ResidencyManager
from .trt_api import LoadedPlan, TrtApi
from .trt_engine import TrtEngine, records_graphs
from .trt_layout import Layout
from .trt_plan import WaitingPlan
from .trt_session import TrtSession
from .trt_space import CONTEXT_BYTES, OwnSpace, SharedSpace, Space

__all__ = ["CardMemory", "TrtBackend"]

_LOG = logging.getLogger(__name__)
_EIGHT_GIB = 8 << 30


class CardMemory(Protocol):
    """What can be asked about a card's memory without a context of one's own."""

    def free(self) -> int | None:
        """Free bytes of the card; None where nobody can tell."""

    def process(self) -> int | None:
        """Bytes the driver counts for this process; None where it does not say."""


class TrtBackend:
    """Runs a voice's plans on one card. It may serve several voices; close it after them.

    Args:
        options: how the card is used.
        driver: CUDA; None takes cuda-bindings.
        module: TensorRT's Python module; None imports that of the flavour.
        version: the module's full version; None asks the module.
        memory: None asks NVML.

    Raises:
        BackendError: no driver, no card of that number, or no TensorRT that can be used.
    """

    def __init__(
        self,
        options: GpuOptions | None = None,
        *,
        driver: Driver | None = None,
        module: Any = None,  # noqa: ANN401  # one of three modules with the same untyped classes
        version: str | None = None,
        memory: CardMemory | None = None,
    ) -> None:
        self.options = options = options or GpuOptions()
        # The driver first: without one, tensorrt_lean crashes instead of raising.
        self._driver = driver or _driver()
        self._check_device(options.device)
        self.flavour = options.flavour or default_flavour()
        self._api = TrtApi(trt_module(self.flavour) if module is None else module)
        self.version = version or self._api.version
        self.target = self._driver.capability(options.device)
        self._shared = SharedSpace(self._driver, options.device)
        self._memory = memory or _nvml_memory(self._driver.device_bus(options.device))
        card = self._driver.device_name(options.device)
        machine = f"{card} {self._driver.driver_version()} {self.flavour.value} {self.version}"
        self._kernels = KernelCache(options.kernels or default_cache_folder(), machine)
        self._total, self._context_bytes = self._measured_card()
        self._warned, self._lock = False, threading.Lock()
        self._plans: dict[str, WaitingPlan] = {}
        self._manager: ResidencyManager[TrtEngine] = ResidencyManager(
            _within(options.budget or MemoryBudget(_EIGHT_GIB), self._total),
            options.mode,
            options.isolation,
            free_bytes=self._memory.free,
            prefetch=options.prefetch,
        )

    @property
    def placement(self) -> Placement:
        """See `Backend.placement`."""
        return Placement.TENSORRT

    def preferred(self, directory: Path, manifest: VoiceManifest) -> Precision:
        """See `Backend.preferred`: fp16 where all its plans are there, else fp32 likewise."""
        for precision in (Precision.FP16, Precision.FP32):
            with suppress(SambertError):
                for stage in Stage:
                    self._found(directory, manifest.record(stage, precision))
                return precision
        return Precision.FP16 if Precision.FP16 in manifest.variants else Precision.FP32

    def open(self, directory: Path, record: StageRecord) -> Session:
        """See `Backend.open`; the engine stays cold until it is needed, except in mode resident.

        Raises:
            EngineMissingError: there is no plan for this graph, card and TensorRT.
        """
        store, entry = self._found(directory, record)
        graph = replace(record.graph, axes=dict(entry.record.spec.profile))
        name = f"{directory.resolve().name}/{record.graph.stage.value}"
        plan = WaitingPlan(store, entry, self._pinned if self._pins else None, self.options.plans)
        cost = EngineCost(
            self._context_bytes,
            max(entry.record.weights_bytes, 0),
            max(entry.record.scratch_bytes, entry.record.activation_bytes, 0),
            Layout(graph).size,
        )
        handle = self._manager.register(
            name,
            cost,
            partial(self._engine, name, graph, plan, cost),
            (str(directory), [*Stage].index(record.graph.stage)),
        )
        with self._lock:
            self._plans[name] = plan
        session = TrtSession(self._manager, handle, graph, partial(self._forget, name))
        if self.options.mode is ResidencyMode.RESIDENT:
            try:
                session.warm()
            except BaseException:
                session.close()
                raise
        return session

    def memory_report(self) -> MemoryReport:
        """Who holds what on the card right now."""
        free = self._memory.free()
        advice = self._advice(free)
        with self._lock:
            plans = dict(self._plans)
        engines = tuple(
            EngineMemory(
                name=handle.name,
                state=handle.state.value,
                leases=handle.leases,
                opens=handle.opens,
                context=handle.cost.context,
                weights=handle.cost.weights,
                scratch=handle.cost.scratch,
                buffers=handle.cost.buffers,
                host_copy=plans[handle.name].host_bytes if handle.name in plans else 0,
            )
            for handle in self._manager.handles
        )
        return MemoryReport(
            backend=f"TensorRT ({self.flavour.value} {self.version}) on {self.target}",
            isolation=self.options.isolation.value,
            mode=self.options.mode.value,
            engines=engines,
            held=self._manager.held_bytes,
            limit=self._manager.budget.limit,
            process=self._memory.process(),
            device_total=self._total,
            device_free=free,
            counters=dict(self._manager.counters),
            advice=(advice,) if advice else (),
        )

    def evict_idle(self) -> int:
        """Closes every engine nobody uses at this moment; returns how many."""
        return self._manager.evict_idle()

    def close(self) -> None:
        """See `Backend.close`; engines still open are closed, too."""
        with ExitStack() as stack:
            stack.callback(self._shared.shut)
            with self._lock:
                for plan in self._plans.values():
                    stack.callback(plan.close)
                self._plans = {}
            self._manager.close()

    @property
    def _pins(self) -> bool:
        return self.options.plans is PlanCopies.PINNED

    def _found(self, directory: Path, record: StageRecord) -> tuple[EngineStore, StoredEngine]:
        store = EngineStore(directory / "engines")
        entry = store.find(
            stage=record.graph.stage,
            precision=record.graph.precision,
            graph_sha256=record.file.sha256,
            recipe=record.recipe,
            flavour=self.flavour,
            version=self.version,
            target=self.target,
        )
        return store, entry

    def _engine(
        self, name: str, graph: GraphSpec, plan: WaitingPlan, cost: EngineCost
    ) -> TrtEngine:
        """Opens an engine; the manager calls this when there is room."""
        content = plan.content()
        kernels = self._kernels.load(plan.sha256)

        def load() -> LoadedPlan:
            return self._api.loaded(content, name, kernels, fixed=records_graphs(graph.stage))

        def keep(compiled: bytes | None) -> None:
            self._kernels.save(plan.sha256, compiled)

        engine = TrtEngine(graph, self._space, load, cost, self._memory.free, keep)
        self._warn()
        return engine

    def _space(self) -> Space:
        if self.options.isolation is Isolation.SHARED:
            return self._shared
        return OwnSpace(self._driver, self.options.device)

    def _pinned(self, content: bytes) -> PinnedBuffer:
        buffer = PinnedBuffer(self._shared.context, len(content))
        buffer.view[: len(content)] = content
        return buffer

    def _forget(self, name: str) -> None:
        with self._lock:
            plan = self._plans.pop(name, None)
        if plan is not None:
            plan.close()

    def _check_device(self, device: int) -> None:
        count = self._driver.device_count()
        if device >= count:
            raise BackendError(
                f"there is no card {device}: the driver shows {count}; see nvidia-smi and "
                "CUDA_VISIBLE_DEVICES"
            )

    def _measured_card(self) -> tuple[int, int]:
        """The card's bytes, and what a context takes of them: by opening one."""
        before = self._memory.free()
        with Context(self._driver, self.options.device) as context:
            after, total = self._memory.free(), context.memory_info()[1]
        if before is None or after is None or after >= before:
            return total, CONTEXT_BYTES
        return total, before - after

    def _advice(self, free: int | None) -> str:
        if free is None or self._total - free <= self.options.warn_bytes:
            return ""
        used, share = self._total - free, self._memory.process()
        own = "" if share is None else f", {share / 1e6:.0f} MB of it by this process"
        return (
            f"{used / 1e6:.0f} MB of the card's {self._total / 1e6:.0f} MB are in use{own}: lower "
            "the memory budget, let engines share a context (isolation shared), keep fewer of them "
            "(mode on_demand or minimal), or close what else uses the card"
        )

    def _warn(self) -> None:
        """Says once that the card fills up, and again only after it was emptier."""
        advice = self._advice(self._memory.free())
        if advice and not self._warned:
            _LOG.warning("%s", advice)
        self._warned = bool(advice)


class _UnknownMemory:
    """A card nobody can be asked about."""

    def free(self) -> int | None:
        """See `CardMemory.free`."""
        return None

    def process(self) -> int | None:
        """See `CardMemory.process`."""
        return None


def _within(budget: MemoryBudget, card: int) -> MemoryBudget:
    """A budget no larger than the card."""
    return replace(budget, total=min(budget.total, card))


def _driver() -> Driver:
    from .cuda_driver import driver_from_cuda_bindings

    return driver_from_cuda_bindings()


def _nvml_memory(bus: str) -> CardMemory:
    from .devices import card_memory

    try:
        return card_memory(bus)
    except SambertError as error:
        _LOG.info("the card's memory cannot be watched: %s", error)
        return _UnknownMemory()
