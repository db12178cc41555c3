"""Section `plans`, and the card of this machine: its driver, its memory, its TensorRT, its plans.

CUDA, NVML and TensorRT are imported when the machine is looked at.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sambert_trt.engines.builder import BuildOptions, BuildResult, build_engines, build_orders
from sambert_trt.engines.engine import Flavour
from sambert_trt.engines.errors import (
    BackendError,
    EngineMissingError,
    InputError,
    VoiceError,
)
from sambert_trt.engines.flavours import default_flavour, installed_flavours, trt_module
from sambert_trt.engines.graphs import Precision, Stage
from sambert_trt.engines.manifest import VoiceManifest
from sambert_trt.engines.targets import CURRENT, RTX_TARGETS
from sambert_trt.engines.voice import manifest_from_directory
from sambert_trt.runtime import GpuOptions, backend_from_name

from .card import Card, CardMemory, Counts, ForeignPlan, WatchingContext
from .engines import stored_stage
from .results import Cell, NotRunError, Result

__all__ = ["CardOptions", "card_of_machine", "prepare_plans"]

_OTHER = {"sm_120": "sm_86"}
"""A card whose plans surely do not run: the newest, and for the newest an older one."""


@dataclass(frozen=True)
class CardOptions:
    """What a user chooses of the card; `precisions` empty: all that the voice has, fp16 first."""

    voice: Path
    counts: Counts
    device: int = 0
    flavour: Flavour | None = None
    precisions: tuple[Precision, ...] = ()
    build: bool = True
    threads: int = 2


def card_of_machine(options: CardOptions, kernels: Path, say: Callable[[str], None]) -> Card:
    """The card of this machine, or one that says why there is none.

    Args:
        kernels: a folder for compiled kernels, empty, so that first openings compile.

    Raises:
        VoiceError: the voice cannot be read.
        InputError: the voice has no such precision.
    """
    manifest = manifest_from_directory(options.voice)
    wanted = _wanted(manifest, options.precisions)
    card = Card(options.voice, kernels, options.counts, options.device, say=say)
    card.threads = options.threads
    card.prepare = partial(prepare_plans, wanted=wanted, build=options.build)
    card.onnx_cuda = partial(backend_from_name, "cuda", GpuOptions(device=options.device))
    try:
        _open_driver(card)
    except BackendError as error:
        card.absent = str(error)
        return card
    try:
        _find_tensorrt(card, options.flavour)
    except BackendError as error:
        card.no_plans = str(error)
    return card


def prepare_plans(card: Card, result: Result, *, wanted: Sequence[Precision], build: bool) -> None:
    """Builds the plans that are missing; says which precisions all stages have plans in.

    Raises:
        NotRunError: this TensorRT does not run on this card, or plans are missing and none are to
            be built.
        EngineError: a plan that could be built was not.
    """
    target = card.driver.capability(card.device)
    if card.flavour is Flavour.RTX and target not in RTX_TARGETS:
        raise NotRunError(
            f"TensorRT for RTX has no plans for {target}: it knows {', '.join(RTX_TARGETS)}"
        )
    if card.flavour is Flavour.RTX and target == "sm_75" and Precision.FP16 in wanted:
        wanted = tuple(precision for precision in wanted if precision is not Precision.FP32)
        result.notes.append("fp32: TensorRT for RTX multiplies no fp32 matrices on this card")
    if build:
        _build(card, result, target, wanted)
    problems = {p: next(iter(_missing(card, p).values()), "") for p in wanted}
    result.notes += [f"{p.value}: {problem}" for p, problem in problems.items() if problem]
    card.precisions = tuple(p for p, problem in problems.items() if not problem)
    if not card.precisions:
        raise NotRunError(next(iter(problems.values())))
    result.check(
        "all stages have plans",
        len(card.precisions) == len(wanted),
        f"in {', '.join(precision.value for precision in card.precisions)}",
    )


def _missing(card: Card, precision: Precision) -> dict[Stage, str]:
    """The stages without a plan for this card, and the error that says so."""
    problems = {stage: _problem(card, stage, precision) for stage in Stage}
    return {stage: problem for stage, problem in problems.items() if problem}


def _problem(card: Card, stage: Stage, precision: Precision) -> str:
    """Why a stage has no plan; empty where it has one."""
    try:
        stored_stage(card, stage, precision)
    except EngineMissingError as error:
        return str(error)
    return ""


def _open_driver(card: Card) -> None:
    """Opens CUDA, and NVML where it is, for the card's number."""
    from sambert_trt.runtime.cuda_driver import driver_from_cuda_bindings
    from sambert_trt.runtime.devices import card_memory

    driver = driver_from_cuda_bindings()
    count = driver.device_count()
    if card.device >= count:
        raise BackendError(
            f"there is no card {card.device}: the driver shows {count}; see nvidia-smi and "
            "CUDA_VISIBLE_DEVICES"
        )
    memory: CardMemory
    try:
        memory = card_memory(driver.device_bus(card.device))
    except BackendError:
        memory, card.probe = WatchingContext(driver, card.device), "the driver"
    card.opened_driver, card.memory = driver, memory


def _find_tensorrt(card: Card, flavour: Flavour | None) -> None:
    card.flavour = flavour or _flavour_for(card.driver.capability(card.device))
    card.trt = trt_module(card.flavour)
    versions = {item.flavour: item.version for item in installed_flavours()}
    card.version = versions[card.flavour]
    card.foreign_plan = partial(_foreign_plan, card)


def _flavour_for(target: str) -> Flavour:
    """The first usable product that may know the card; where none does, the first usable."""
    usable = [item.flavour for item in installed_flavours() if item.usable]
    knowing = [f for f in usable if f is not Flavour.RTX or target in RTX_TARGETS]
    return knowing[0] if knowing else default_flavour()


def _wanted(manifest: VoiceManifest, asked: Sequence[Precision]) -> tuple[Precision, ...]:
    """The precisions in question, which all stages have graphs in."""
    known = [p for p in Precision if _lacking(manifest, p) is None]
    for precision in asked:
        if problem := _lacking(manifest, precision):
            raise InputError(problem)
    usual = (Precision.FP16, Precision.FP32, Precision.INT8)
    return tuple(asked) or tuple(precision for precision in usual if precision in known)


def _lacking(manifest: VoiceManifest, precision: Precision) -> str | None:
    """Why a voice cannot speak in a precision; None where it can."""
    try:
        for stage in Stage:
            manifest.record(stage, precision)
    except VoiceError as error:
        return str(error)
    return None


def _build(card: Card, result: Result, target: str, wanted: Sequence[Precision]) -> None:
    """Builds what is missing for this card, and nothing that is there under another key."""
    built: list[BuildResult] = []
    for precision in wanted:
        stages = tuple(_missing(card, precision))
        if stages:
            orders = build_orders(card.voice, _options(card, target, precision, stages))
            built += build_engines(orders, lambda p: card.say(f"plans: {p.order.name}, {p.phase}"))
    if not built:
        result.notes.append("every plan was there")
        return
    columns = ("stage", "precision", "", "MB", "scratch MB", "kernels", "s")
    result.table("plans that were missing", columns, [_row(item) for item in built])
    failed = [item for item in built if item.engine is None]
    result.check(
        "every missing plan was built",
        not failed,
        f"{len(built) - len(failed)} of {len(built)}{''.join(f'; {x.reason}' for x in failed)}",
    )


def _row(item: BuildResult) -> list[Cell]:
    spec = item.order.spec
    row: list[Cell] = [spec.stage.value, spec.precision.value, item.status]
    if item.engine is None:
        return [*row, None, None, None, None]
    record = item.engine.record
    sizes = record.plan_bytes / 1e6, record.scratch_bytes / 1e6
    return [*row, *sizes, record.kernels, record.build_seconds]


def _options(
    card: Card, target: str, precision: Precision, stages: tuple[Stage, ...]
) -> BuildOptions:
    """TensorRT proper builds for the card at hand alone, whatever its name is."""
    if card.flavour is Flavour.RTX:
        return BuildOptions(Flavour.RTX, (target,), (precision,), stages)
    lean = card.flavour is Flavour.LEAN
    return BuildOptions(Flavour.TENSORRT, (CURRENT,), (precision,), stages, lean=lean)


def _foreign_plan(card: Card) -> ForeignPlan:
    """A plan of the smallest stage, built for a card that is not this one.

    Raises:
        SambertError: this TensorRT builds only for the card it runs on.
    """
    if card.flavour is not Flavour.RTX:
        raise NotRunError("this TensorRT builds only for the card at hand")
    own = card.driver.capability(card.device)
    target = _OTHER.get(own, "sm_120")
    with tempfile.TemporaryDirectory() as folder:
        voice = Path(folder) / "voice"
        for name in ("voice.json", *(file.path for file in card.manifest.files)):
            (voice / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(card.voice / name, voice / name)
        options = _options(card, target, card.precisions[0], (Stage.MEMORY_KV,))
        for result in build_engines(build_orders(voice, options)):
            if result.engine is None:
                raise BackendError(result.reason)
            return ForeignPlan(target, result.engine.plan_path.read_bytes())
    raise NotRunError("the builder gave no plan")
