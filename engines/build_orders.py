"""Which plans a user asks for, what decides each, and why it has to be built or not.

Importing this imports no TensorRT. Standard library only.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .build_process import BuildProcess
from .engine import EngineSpec, Flavour
from .errors import BackendError, EngineError, InputError
from .flavours import InstalledFlavour, installed_flavours
from .graphs import AxisRange, Precision, Stage
from .manifest import StageRecord, VoiceManifest
from .profiles import profile_from_graph
from .store import ENGINES, EngineStore, StoredEngine
from .targets import CURRENT, targets_from_names
from .voice import manifest_from_directory

__all__ = ["BuildOptions", "BuildOrder", "BuildOrders", "build_orders"]

_WORKSPACE = {Flavour.RTX: 0, Flavour.TENSORRT: 256 << 20}
"""Bytes of workspace by default; 0 leaves it open.

TensorRT for RTX tries nothing out, and a limit below 256 MiB only makes it choose worse: 39.9 MB
of scratch memory for the full-size vocoder instead of 36.4. TensorRT times whatever fits; 256 MiB
are seven times the largest stage measured, and leave room on a card of 8 GB.
"""

_SHA256 = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")


@dataclass(frozen=True)
class BuildOptions:
    """What a user asks for; what is left out is decided by the voice and the machine.

    Attributes:
        flavour: the product that builds; by default the one that is installed.
        targets: cards as `targets_from_names` reads them; by default the one of this machine.
        precisions: by default fp16 for stages that have such a graph, fp32 for the others.
        stages: by default all.
        axes: ranges that replace the usual ones, by axis or by `stage.axis`.
        workspace: the most scratch memory a layer may take, in bytes; 0 leaves it open.
        lean: plans that `tensorrt_lean` runs too.
        tf32: let fp32 graphs multiply numbers rounded to 10 bits of mantissa.
        force: build what is there already.
        seconds: how long a stage may take.
    """

    flavour: Flavour | None = None
    targets: tuple[str, ...] = ()
    precisions: tuple[Precision, ...] = ()
    stages: tuple[Stage, ...] = ()
    axes: Mapping[str, AxisRange] = field(default_factory=dict)
    workspace: int | None = None
    lean: bool = False
    tf32: bool = False
    force: bool = False
    seconds: float = 3600.0


@dataclass(frozen=True)
class BuildOrder:
    """One plan: what decides it, the graph it is made of, and why it is built or not.

    `engine` is the plan that is there already, read and found whole; None where it is to be built.
    """

    spec: EngineSpec
    record: StageRecord
    reason: str
    engine: StoredEngine | None

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.spec.stage.value} ({self.spec.precision.value})"


@dataclass(frozen=True)
class BuildOrders:
    """Everything one call asks for; `notes` say what was decided for the user."""

    directory: Path
    store: EngineStore
    options: BuildOptions
    orders: tuple[BuildOrder, ...]
    notes: tuple[str, ...]


def build_orders(directory: Path, options: BuildOptions) -> BuildOrders:
    """Decides what a voice's plans are, and which of them have to be built.

    A builder's process is started for a moment: it knows this machine's card and its own flags.

    Raises:
        VoiceError: the directory is no voice, or has no graph in that precision.
        InputError: a card, axis or option that does not exist or does not fit the product.
        BackendError: no builder is installed, or no driver is here where one is needed.
        EngineError: the builder's process ends or does not answer.
    """
    directory = directory.absolute()
    manifest = manifest_from_directory(directory)
    stages = _stages(manifest, options.stages)
    _check_axes(manifest, stages, options.axes)
    pairs = _pairs(manifest, stages, options.precisions)
    product = _product(options)
    ready = _answer(product, options)
    store = EngineStore(directory / ENGINES)
    entries = store.entries()
    orders = []
    for stage, precision in pairs:
        record = manifest.record(stage, precision)
        spec = _spec(record, product, ready, options)
        orders.append(_order(store, entries, spec, record, force=options.force))
    return BuildOrders(directory, store, options, tuple(orders), _notes(orders, options))


def _stages(manifest: VoiceManifest, wanted: Sequence[Stage]) -> tuple[Stage, ...]:
    """The stages in the order of a sentence."""
    missing = [stage.value for stage in wanted if stage not in manifest.stages]
    if missing:
        raise InputError(f"the voice {manifest.name} has no stage {', '.join(missing)}")
    return tuple(stage for stage in Stage if stage in (wanted or manifest.stages))


def _check_axes(
    manifest: VoiceManifest, stages: Sequence[Stage], axes: Mapping[str, AxisRange]
) -> None:
    known = {
        name: None
        for stage in stages
        for axis in manifest.stages[stage].graph.axes
        for name in (axis, f"{stage.value}.{axis}")
    }
    unknown = [name for name in axes if name not in known]
    if unknown:
        raise InputError(f"no axis {', '.join(unknown)} here; there are: {', '.join(known)}")


def _pairs(
    manifest: VoiceManifest, stages: Sequence[Stage], precisions: Sequence[Precision]
) -> list[tuple[Stage, Precision]]:
    """Each stage with each precision."""
    if not precisions:
        halves = manifest.variants.get(Precision.FP16, {})
        return [(s, Precision.FP16 if s in halves else Precision.FP32) for s in stages]
    return [(stage, precision) for precision in dict.fromkeys(precisions) for stage in stages]


def _product(options: BuildOptions) -> InstalledFlavour:
    """The product that builds."""
    if options.flavour is Flavour.LEAN:
        raise InputError("the lean runtime builds nothing: use --flavour tensorrt --lean")
    if options.lean and options.flavour is Flavour.RTX:
        raise InputError("--lean is for plans of TensorRT, not of TensorRT for RTX")
    wanted = Flavour.TENSORRT if options.lean else options.flavour
    found = [item for item in installed_flavours() if item.flavour in _WORKSPACE]
    if wanted is not None:
        found = [item for item in found if item.flavour is wanted]
    for item in found:
        if item.usable:
            return item
    reasons = "".join(f"\n  {item.flavour.value}: {item.reason}" for item in found)
    raise BackendError(f"no TensorRT builder can be used here:{reasons}")


def _answer(product: InstalledFlavour, options: BuildOptions) -> dict[str, Any]:
    """What the builder's process says it would build."""
    request = {
        "flavour": product.flavour.value,
        "targets": list(targets_from_names(options.targets or (CURRENT,))),
        "lean": options.lean,
        "tf32": options.tf32,
        "jobs": [],
    }
    with (
        tempfile.TemporaryDirectory(prefix="sambert-build-") as folder,
        BuildProcess(request, Path(folder), options.seconds) as process,
    ):
        return next(event for event in process.events() if event["event"] == "ready")


def _spec(
    record: StageRecord,
    product: InstalledFlavour,
    ready: Mapping[str, Any],
    options: BuildOptions,
) -> EngineSpec:
    workspace = options.workspace
    return EngineSpec(
        stage=record.graph.stage,
        precision=record.graph.precision,
        graph_sha256=record.file.sha256,
        recipe=record.recipe,
        profile=profile_from_graph(record.graph, _axes_of(record.graph.stage, options.axes)),
        flags=tuple(ready["flags"]),
        workspace=_WORKSPACE[product.flavour] if workspace is None else workspace,
        flavour=product.flavour,
        version=product.version or "",
        targets=tuple(ready["targets"]),
    )


def _axes_of(stage: Stage, axes: Mapping[str, AxisRange]) -> dict[str, AxisRange]:
    """The ranges for one stage; `stage.axis` beats `axis`."""
    own = {name.partition(".")[2]: axis for name, axis in axes.items() if "." in name}
    mine = {n: own[n] for n in own if f"{stage.value}.{n}" in axes}
    return {**{n: a for n, a in axes.items() if "." not in n}, **mine}


def _order(
    store: EngineStore,
    entries: Sequence[StoredEngine],
    spec: EngineSpec,
    record: StageRecord,
    *,
    force: bool,
) -> BuildOrder:
    same = [entry for entry in entries if entry.record.spec.key == spec.key]
    if force and same:
        return BuildOrder(spec, record, "asked for by --force", None)
    if same:
        try:
            store.plan_bytes(same[0])
        except EngineError as error:
            return BuildOrder(spec, record, str(error), None)
        return BuildOrder(spec, record, "up to date", same[0])
    return BuildOrder(spec, record, _difference(entries, spec), None)


def _difference(entries: Sequence[StoredEngine], spec: EngineSpec) -> str:
    """What is new about a plan, compared with the closest there is."""
    found = [
        entry.record.spec.differences(spec)
        for entry in entries
        if (entry.record.spec.stage, entry.record.spec.precision) == (spec.stage, spec.precision)
    ]
    if not found:
        return "there is none yet"
    closest: tuple[str, ...] = min(found, key=len)
    return _SHA256.sub(r"\1", "; ".join(closest))


def _notes(orders: Sequence[BuildOrder], options: BuildOptions) -> tuple[str, ...]:
    """What was decided for the user."""
    if options.precisions:
        return ()
    stages: dict[Precision, list[str]] = {}
    for order in orders:
        stages.setdefault(order.spec.precision, []).append(order.spec.stage.value)
    if list(stages) == [Precision.FP32]:
        return (
            "precision: fp32, since the voice has no fp16 graphs; make them with: "
            "sambert-calibrate VOICE --precision fp16",
        )
    if list(stages) == [Precision.FP16]:
        return ("precision: fp16, since the voice has those graphs",)
    missing = ", ".join(stages[Precision.FP32])
    return (f"precision: fp16, but fp32 for {missing}: the voice has no fp16 graph of it",)
