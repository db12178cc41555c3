"""What a voice directory holds, which of it is damaged, and what speaks with it on this machine.

Numpy is imported where the tables of a voice are read. Nothing here raises.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sambert_trt.engines.graphs import Placement, Precision, Stage
from sambert_trt.engines.manifest import StageRecord, VoiceManifest
from sambert_trt.engines.store import ENGINES, EngineCheck, EngineStore, StoredEngine
from sambert_trt.engines.voice import checked_bytes, manifest_from_directory

from .doctor_machine import MachineFacts, tried

__all__ = ["BackendFacts", "FileFacts", "PlanFacts", "VoiceFacts", "voice_facts"]


@dataclass(frozen=True)
class FileFacts:
    """A file of a voice; `problem` is empty when it is the one the manifest names."""

    path: str
    problem: str


@dataclass(frozen=True)
class PlanFacts:
    """A plan: whether it runs here, and if not, why.

    Attributes:
        flavour, version, targets: of what it was built with and for; empty where its record
            cannot be read, as are the numbers.
        device_bytes: weights and scratch on the card.
        runs_with: the products of this machine that run it on one of its cards, for the voice as
            it is now.
        obstacles: why none does.
        problem: what is wrong with its files; a plan with a problem is not run.
    """

    name: str
    stage: str
    precision: str
    flavour: str = ""
    version: str = ""
    targets: tuple[str, ...] = ()
    plan_bytes: int = 0
    device_bytes: int = 0
    runs_with: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class BackendFacts:
    """A way to speak with a voice here; `reason` says why it is not usable.

    `backend` is what --backend takes; `flavour` what --flavour takes, empty without TensorRT.
    """

    backend: str
    flavour: str
    precision: str
    usable: bool
    reason: str


@dataclass(frozen=True)
class VoiceFacts:
    """A voice directory.

    Attributes:
        problem: why it cannot be used at all.
        precisions: the stages that have a graph, by precision; of int8 by placement, `int8 cpu`.
        plans_problem: why its plans cannot be looked at.
    """

    directory: str
    problem: str = ""
    name: str = ""
    language: str = ""
    sample_rate: int = 0
    files: tuple[FileFacts, ...] = ()
    precisions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    plans: tuple[PlanFacts, ...] = ()
    plans_problem: str = ""
    backends: tuple[BackendFacts, ...] = ()

    @property
    def damage(self) -> str:
        """The first thing that is wrong with the voice itself; empty when it is whole."""
        return next((file.problem for file in self.files if file.problem), self.problem)

    @property
    def speaks(self) -> bool:
        """Whether some backend can speak with it here."""
        return any(backend.usable for backend in self.backends)


def voice_facts(directory: Path, machine: MachineFacts) -> VoiceFacts:
    """Reads everything in a voice directory and compares it with the machine."""
    manifest, problem = tried(partial(manifest_from_directory, directory))
    if manifest is None:
        return VoiceFacts(str(directory), problem, backends=tuple(_backends((), machine, problem)))
    files = tuple(
        FileFacts(record.path, tried(partial(checked_bytes, directory, record))[1])
        for record in manifest.files
    )
    damage = next((file.problem for file in files if file.problem), "")
    if not damage:
        problem = damage = tried(partial(_check_contents, directory, manifest))[1]
    plans, plans_problem = tried(partial(_plans, directory, manifest, machine))
    return VoiceFacts(
        directory=str(directory),
        problem=problem,
        name=manifest.name,
        language=manifest.language,
        sample_rate=manifest.sample_rate,
        files=files,
        precisions=_precisions(manifest),
        plans=plans or (),
        plans_problem=plans_problem,
        backends=tuple(_backends(plans or (), machine, damage, manifest)),
    )


def _check_contents(directory: Path, manifest: VoiceManifest) -> None:
    from .checks import checked_tables

    checked_tables(directory, manifest)


def _precisions(manifest: VoiceManifest) -> dict[str, tuple[str, ...]]:
    found = {p.value: set(stages) for p, stages in manifest.variants.items()}
    for placement in manifest.assignments:
        quantised = _quantised(manifest, placement)
        found[f"{Precision.INT8.value} {placement.value}"] = set(quantised)
    found = {Precision.FP32.value: set(manifest.stages), **found}
    return {name: tuple(s.value for s in Stage if s in stages) for name, stages in found.items()}


def _quantised(manifest: VoiceManifest, placement: Placement) -> dict[Stage, StageRecord]:
    """The graphs of an assignment that are in int8."""
    records = manifest.assignments.get(placement, {})
    return {s: r for s, r in records.items() if r.graph.precision is Precision.INT8}


def _plans(
    directory: Path, manifest: VoiceManifest, machine: MachineFacts
) -> tuple[PlanFacts, ...]:
    checks = EngineStore(directory / ENGINES).verify()
    plans = [_plan(check, manifest, machine) for check in checks]
    order = [stage.value for stage in Stage]
    return tuple(sorted(plans, key=lambda plan: (order.index(plan.stage), plan.precision)))


def _plan(check: EngineCheck, manifest: VoiceManifest, machine: MachineFacts) -> PlanFacts:
    name = check.directory.name
    stage, precision, _ = name.rsplit("-", 2)
    if check.engine is None:
        return PlanFacts(name, stage, precision, problem=check.problem)
    record = check.engine.record
    runs_with, obstacles = _obstacles(check.engine, manifest, machine)
    return PlanFacts(
        name=name,
        stage=stage,
        precision=precision,
        flavour=record.spec.flavour.value,
        version=record.spec.version,
        targets=record.spec.targets,
        plan_bytes=record.plan_bytes,
        device_bytes=record.device_bytes,
        runs_with=runs_with,
        obstacles=obstacles,
        problem=check.problem,
    )


def _obstacles(
    engine: StoredEngine, manifest: VoiceManifest, machine: MachineFacts
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The products that run a plan here; where none does, what stands against the closest."""
    spec = engine.record.spec
    stages = {
        **manifest.variants,
        Precision.FP32: manifest.stages,
        Precision.INT8: _quantised(manifest, Placement.TENSORRT),
    }.get(spec.precision, {})
    if spec.stage not in stages:
        return (), (f"graph: the voice has no {spec.precision.value} graph of {spec.stage.value}",)
    graph = stages[spec.stage]
    places = [(p.flavour, p.version or "", t) for p in machine.usable for t in machine.targets]
    against = {
        place: engine.obstacles(
            graph_sha256=graph.file.sha256,
            recipe=graph.recipe,
            flavour=place[0],
            version=place[1],
            target=place[2],
        )
        for place in places or [(spec.flavour, spec.version, spec.targets[0])]
    }
    if not places:
        (found,) = against.values()
        return (), (*found, *_missing(machine))
    runs_with = [place[0].value for place, found in against.items() if not found]
    return tuple(dict.fromkeys(runs_with)), () if runs_with else min(against.values(), key=len)


def _missing(machine: MachineFacts) -> Iterator[str]:
    if not machine.targets:
        yield "card: there is none" if not machine.cards else "card: its capability is unknown"
    if not machine.usable:
        yield "flavour: no TensorRT can be used here"


def _backends(
    plans: tuple[PlanFacts, ...],
    machine: MachineFacts,
    damage: str,
    manifest: VoiceManifest | None = None,
) -> Iterator[BackendFacts]:
    """Every way to speak with the voice here; damage to the voice stops them all."""
    assigned = {} if manifest is None else manifest.assignments
    fp32, onnx = Precision.FP32.value, machine.onnxruntime
    reason = damage or onnx.problem
    yield BackendFacts("cpu", "", fp32, not reason, reason)
    if Placement.CPU in assigned:
        yield BackendFacts("cpu", "", Precision.INT8.value, not reason, reason)
    if "CUDAExecutionProvider" in onnx.providers:
        reason = damage or onnx.cuda_problem
        yield BackendFacts("cuda", "", fp32, not reason, reason)
    for product in machine.usable:
        flavour = product.flavour.value
        for precision in (p.value for p in Precision):
            made = list(_serving(plans, precision, assigned.get(Placement.TENSORRT, {})))
            if made or precision == Precision.FP16.value:
                reason = damage or _no_tensorrt(machine, flavour, made)
                yield BackendFacts("tensorrt", flavour, precision, not reason, reason)


def _serving(
    plans: tuple[PlanFacts, ...], precision: str, assigned: Mapping[Stage, StageRecord]
) -> Iterator[PlanFacts]:
    """The plans that speak in a precision; int8 is what calibration assigned to each stage."""
    mixed = {stage.value: record.graph.precision.value for stage, record in assigned.items()}
    for plan in plans:
        wanted = mixed.get(plan.stage) if precision == Precision.INT8.value else precision
        if plan.precision == wanted:
            yield plan


def _no_tensorrt(machine: MachineFacts, flavour: str, plans: list[PlanFacts]) -> str:
    """Why a product cannot speak with these plans; empty when it can."""
    if not machine.targets:
        return "there is no card"
    if machine.cuda.problem:
        return machine.cuda.problem
    ready = {plan.stage for plan in plans if flavour in plan.runs_with and not plan.problem}
    missing = [stage.value for stage in Stage if stage.value not in ready]
    return f"no plan that runs here for {', '.join(missing)}" if missing else ""
