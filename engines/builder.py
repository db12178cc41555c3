"""Builds the plans a voice lacks: a process of their own makes them, this stores what comes out.

Importing this imports no TensorRT. Standard library only.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .build_log import BuildLog, build_log_from_text
from .build_orders import BuildOptions, BuildOrder, BuildOrders, build_orders
from .build_process import BuildCrashError, BuildProcess
from .engine import EngineRecord, EngineSpec
from .errors import OutputError
from .graphs import GraphSpec, Stage
from .private import opened_folder
from .store import EngineStore, StoredEngine

__all__ = [
    "BuildOptions",
    "BuildOrder",
    "BuildOrders",
    "BuildProgress",
    "BuildResult",
    "build_engines",
    "build_orders",
]

_SECONDS: Mapping[Stage, float] = {
    Stage.TEXT_ENCODER: 2.5,
    Stage.PROSODY: 1.0,
    Stage.DURATION_STEP: 0.3,
    Stage.MEMORY_KV: 0.1,
    Stage.DECODER_STEP: 2.6,
    Stage.POSTNET: 0.9,
    Stage.VOCODER: 1.5,
}
"""Seconds per stage of a full-size voice on one core: what an estimate begins with."""

_BLOCK = 1 << 20
_TURING = "for Turing (SM75): FP32"


@dataclass(frozen=True)
class BuildProgress:
    """Where a call is: the plan at hand, the builder's phase, and seconds.

    `remaining` is an estimate from earlier builds and from how long this call has taken so far.
    """

    order: BuildOrder
    number: int
    count: int
    phase: str
    done: int
    steps: int
    elapsed: float
    remaining: float


@dataclass(frozen=True)
class BuildResult:
    """How a plan came about: `built`, `skipped` because it was there, or `failed`.

    Attributes:
        reason: why it was built or skipped; of a failure, what happened.
        engine: the plan in its store, read back and found whole; None of a failure.
        peak_bytes: the most memory the builder's process has taken so far; -1 where unknown.
    """

    order: BuildOrder
    status: str
    reason: str
    engine: StoredEngine | None
    warnings: tuple[str, ...] = ()
    peak_bytes: int = -1

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        spec = self.order.spec
        found = {
            "stage": spec.stage.value,
            "precision": spec.precision.value,
            "status": self.status,
            "reason": self.reason,
            "key": spec.key,
            "flavour": spec.flavour.value,
            "version": spec.version,
            "targets": list(spec.targets),
        }
        return found if self.engine is None else found | self._measures(self.engine)

    def _measures(self, engine: StoredEngine) -> dict[str, Any]:
        record = engine.record
        return {
            "plan": str(engine.plan_path),
            "plan_bytes": record.plan_bytes,
            "plan_sha256": record.plan_sha256,
            "weights_bytes": record.weights_bytes,
            "scratch_bytes": record.scratch_bytes,
            "activation_bytes": record.activation_bytes,
            "kernels": record.kernels,
            "dtypes": record.dtypes,
            "build_seconds": round(record.build_seconds, 3),
            "builder_peak_bytes": self.peak_bytes,
            "warnings": list(self.warnings),
        }


Watch = Callable[[BuildProgress], None]


def build_engines(
    orders: BuildOrders, watch: Watch = lambda progress: None
) -> Iterator[BuildResult]:
    """Builds, stores and reads back each plan that is lacking; yields each result as it comes.

    A stage that cannot be built does not keep the others from it. What has been yielded as built
    stays, whatever happens later.

    Raises:
        OutputError: the store cannot be written.
        EngineError: the builder's process died or was too slow, after its stage was yielded as
            failed; those after it are not built. Or the store is not private.
    """
    for order in orders.orders:
        if order.engine is not None:
            yield BuildResult(order, "skipped", order.reason, order.engine)
    wanted = [order for order in orders.orders if order.engine is None]
    if wanted:
        _check_writable(orders.store)
        with tempfile.TemporaryDirectory(prefix="sambert-build-") as folder:
            yield from _Build(orders, wanted, Path(folder), watch).results()


class _Build:
    """The builds of one process."""

    def __init__(
        self, orders: BuildOrders, wanted: Sequence[BuildOrder], folder: Path, watch: Watch
    ) -> None:
        self._orders = orders
        self._wanted = wanted
        self._folder = folder
        self._watch = watch
        self._pace = _Pace(orders.store, wanted)

    def results(self) -> Iterator[BuildResult]:
        """A result for each plan, as its event comes."""
        spec, options = self._wanted[0].spec, self._orders.options
        request = {
            "flavour": spec.flavour.value,
            "targets": list(spec.targets),
            "lean": options.lean,
            "tf32": options.tf32,
            "jobs": [self._job(index) for index in range(len(self._wanted))],
        }
        with BuildProcess(request, self._folder, options.seconds) as process:
            try:
                for event in process.events():
                    yield from self._heard(event)
            except BuildCrashError as error:
                if error.job is not None:
                    yield BuildResult(self._wanted[error.job], "failed", str(error), None)
                raise

    def _job(self, index: int) -> dict[str, Any]:
        order = self._wanted[index]
        graph = dataclasses.replace(order.record.graph, axes=order.spec.profile)
        return {
            "name": order.name,
            "directory": str(self._orders.directory),
            "file": dataclasses.asdict(order.record.file),
            "shapes": _shapes(graph) if graph.axes else [],
            "workspace": order.spec.workspace,
            "plan": str(self._file(index, "plan")),
            "log": str(self._file(index, "log")),
        }

    def _file(self, index: int, kind: str) -> Path:
        return self._folder / f"{index}.{kind}"

    def _heard(self, event: Mapping[str, Any]) -> Iterator[BuildResult]:
        """Does what an event asks for; a result where it ends a build."""
        if event["event"] == "ready":
            return
        index = int(event["job"])
        order = self._wanted[index]
        if event["event"] in ("started", "progress"):
            self._watch(self._pace.progress(index, order, event))
            return
        self._pace.finished(index)
        log = build_log_from_text(_text(self._file(index, "log")))
        if event["event"] == "built":
            yield self._stored(index, order, log, event)
        else:
            yield BuildResult(order, "failed", _failure(order, event["message"], log), None)
        for kind in ("plan", "log"):
            self._file(index, kind).unlink(missing_ok=True)

    def _stored(
        self, index: int, order: BuildOrder, log: BuildLog, event: Mapping[str, Any]
    ) -> BuildResult:
        """Adds a plan to the store and reads it back."""
        plan, store = self._file(index, "plan"), self._orders.store
        engine = store.add(_record(order.spec, plan, log, float(event["seconds"])), plan)
        store.plan_bytes(engine)
        peak = int(event["peak_bytes"])
        return BuildResult(order, "built", order.reason, engine, log.warnings, peak)


class _Pace:
    """How long builds take: as long as last time, all of them slower or faster by one factor."""

    def __init__(self, store: EngineStore, orders: Sequence[BuildOrder]) -> None:
        last = {(e.record.spec.stage, e.record.spec.flavour): e for e in reversed(store.entries())}
        self._expected = []
        for order in orders:
            entry = last.get((order.spec.stage, order.spec.flavour))
            seconds = _SECONDS[order.spec.stage] if entry is None else entry.record.build_seconds
            self._expected.append(seconds)
        self._begun = time.monotonic()
        self._finished = 0.0
        self._done = 0

    def finished(self, index: int) -> None:
        """One build more is done, well or not."""
        self._done = index + 1
        self._finished = time.monotonic() - self._begun

    def progress(self, index: int, order: BuildOrder, event: Mapping[str, Any]) -> BuildProgress:
        """Where the builds stand at an event."""
        elapsed = time.monotonic() - self._begun
        past, rest = sum(self._expected[: self._done]), sum(self._expected[self._done :])
        expected = rest * (self._finished / past if past else 1.0)
        return BuildProgress(
            order=order,
            number=index + 1,
            count=len(self._expected),
            phase=str(event.get("phase", "")),
            done=int(event.get("done", 0)),
            steps=int(event.get("steps", 0)),
            elapsed=elapsed,
            remaining=max(expected - (elapsed - self._finished), 0.0),
        )


def _shapes(graph: GraphSpec) -> list[list[Any]]:
    """Each input's name and its least, usual and largest shape."""
    found: list[list[Any]] = []
    for tensor in graph.inputs:
        extents = [graph.extent(entry) for entry in tensor.shape]
        shapes = [[getattr(e, size) for e in extents] for size in ("least", "usual", "most")]
        found.append([tensor.name, *shapes])
    return found


def _record(spec: EngineSpec, plan: Path, log: BuildLog, seconds: float) -> EngineRecord:
    digest, size = hashlib.sha256(), 0
    with plan.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return EngineRecord(
        spec=spec,
        plan_bytes=size,
        plan_sha256=digest.hexdigest(),
        weights_bytes=log.weights_bytes,
        scratch_bytes=log.scratch_bytes,
        activation_bytes=log.activation_bytes,
        layers=log.layers,
        build_seconds=seconds,
        tools={spec.flavour.value: spec.version, "python": platform.python_version()},
        created=datetime.now(timezone.utc).isoformat(timespec="microseconds"),
    )


def _text(log: Path) -> str:
    """A log's text; none where it could not be opened, which the job failed for."""
    return log.read_text(encoding="utf-8") if log.exists() else ""


def _failure(order: BuildOrder, message: str, log: BuildLog) -> str:
    """Why a stage has no plan, and what to do."""
    given, lacking = order.spec.workspace, log.lacking_bytes
    if given and lacking:
        mebibytes = math.ceil((given + lacking) / (1 << 20))
        return (
            f"{order.name} needs a workspace of {given + lacking:,} bytes and was given {given:,}: "
            f"build it with --workspace {mebibytes} or more, or 0 for any"
        )
    if given and lacking is not None:
        return (
            f"{order.name} needs a larger workspace than {given:,} bytes: build it with a larger "
            "--workspace, or 0 for any"
        )
    if any(_TURING in error for error in log.errors):
        return (
            f"{order.name} cannot be built for sm_75: TensorRT for RTX multiplies no fp32 matrices "
            "on Turing cards; build it with --precision fp16, which they have, or without sm_75"
        )
    said = f" ({'; '.join(log.errors[-2:])})" if log.errors else ""
    return f"{order.name}: {message}{said}"


def _check_writable(store: EngineStore) -> None:
    """Finds out before the build whether its plans can be stored, and privately."""
    try:
        store.directory.mkdir(mode=0o700, exist_ok=True)
        with (
            opened_folder(store.directory.resolve(), None),
            tempfile.TemporaryFile(dir=store.directory),
        ):
            pass
    except OSError as error:
        raise OutputError(
            f"plans cannot be stored in {store.directory}: {error.strerror or error}; make the "
            "voice's folder writable, or copy the voice to where you may write"
        ) from error
