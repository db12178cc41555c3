"""What a machine and a voice have, what they lack, and what to run next; it never fails.

Imports neither torch nor TensorRT.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sambert_trt.engines.engine import Flavour
from sambert_trt.engines.flavours import InstalledFlavour
from sambert_trt.engines.graphs import Precision
from sambert_trt.engines.store import build_command
from sambert_trt.engines.targets import CURRENT, RTX_TARGETS

from .doctor_machine import MachineFacts, machine_facts, tried
from .doctor_voice import VoiceFacts, voice_facts

__all__ = ["Report", "Step", "next_steps", "report"]

SCHEMA = 1
_TRUST = "if you trust it: "
_CUDA_13 = 13


@dataclass(frozen=True)
class Step:
    """A command to run next, and why."""

    command: str
    reason: str


@dataclass(frozen=True)
class Report:
    """Everything there is to say; `ok` is False for a voice that nothing here can speak."""

    machine: MachineFacts
    voice: VoiceFacts | None
    next: tuple[Step, ...]
    ok: bool
    schema: int = SCHEMA

    def as_json(self) -> str:
        """One JSON object; its keys are the names of the classes' fields."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, indent=1)


def report(directory: Path | None = None) -> Report:
    """Looks at the machine and, where one is named, at a voice."""
    machine, voice = machine_facts(), None
    if directory is not None:
        voice, problem = tried(lambda: voice_facts(directory, machine))
        voice = voice or VoiceFacts(str(directory), problem)
    steps, _ = tried(lambda: tuple(next_steps(machine, voice)))
    return Report(machine, voice, steps or (), ok=voice is None or voice.speaks)


def next_steps(machine: MachineFacts, voice: VoiceFacts | None) -> Iterator[Step]:
    """What to run next, in this order."""
    if machine.onnxruntime.problem and not (machine.targets and machine.suited):
        yield Step("pip install 'sambert-trt[cpu]'", machine.onnxruntime.problem)
    yield from _card_steps(machine)
    if voice is None:
        yield Step("sambert-export SOURCE -o VOICE", "makes a voice directory, if you have none")
        yield Step("sambert-tts doctor VOICE", "checks a voice, its plans, and what speaks with it")
        return
    name = shlex.quote(voice.directory)
    if voice.damage:
        yield Step(f"sambert-export SOURCE -o {name}", voice.damage)
        return
    yield from _plan_steps(machine, voice)
    ready = [backend for backend in voice.backends if backend.usable]
    if ready:
        card = [backend for backend in ready if backend.flavour][:1]
        options = f" --backend tensorrt --flavour {card[0].flavour}" if card else ""
        yield Step(f"sambert-tts say --voice {name}{options} -o out.wav 今天天气真好", "speaks")
    if not (machine.targets or voice.plans) and _builders(machine.usable):
        yield _build_step(machine, voice, "rtx3070")


def _card_steps(machine: MachineFacts) -> Iterator[Step]:
    """What a card needs before plans can be run on it."""
    if machine.nvml is None and (machine.usable or machine.cuda.targets):
        yield Step("pip install nvidia-ml-py", machine.driver_problem)
    if not machine.targets:
        return
    cuda = machine.driver.cuda if machine.driver else ""
    if cuda and int(cuda.partition(".")[0]) < _CUDA_13:
        yield Step(
            "nvidia-smi",
            f"the driver runs CUDA {cuda}; packages for CUDA 13 need driver 580 or later: update "
            "it, or install those for CUDA 12 (tensorrt-rtx-cu12, cuda-bindings 12)",
        )
    if not machine.suited:
        rtx = any(target in RTX_TARGETS for target in machine.targets)
        yield Step(
            f"pip install 'sambert-trt[{'rtx' if rtx else 'tensorrt'}]'",
            f"nothing here speaks on a card of {', '.join(machine.targets)}",
        )
    elif machine.cuda.bindings is None:
        yield Step("pip install cuda-bindings", machine.cuda.problem)
    elif machine.cuda.problem:
        yield Step("nvidia-smi", machine.cuda.problem)


def _plan_steps(machine: MachineFacts, voice: VoiceFacts) -> Iterator[Step]:
    """What is needed before TensorRT can speak with a voice."""
    refused = dict.fromkeys(plan.problem for plan in voice.plans if _TRUST in plan.problem)
    for reason, _, remedy in (problem.rpartition(_TRUST) for problem in refused):
        yield Step(remedy, reason.rstrip(" ;"))
    if refused or not (machine.targets and machine.suited):
        return
    name, half = shlex.quote(voice.directory), Precision.FP16.value
    if half not in voice.precisions:
        yield Step(
            f"sambert-calibrate {name} --precision {half}",
            "the voice has no graphs in half precision, which are faster and smaller on a card",
        )
    if not any(backend.usable and backend.flavour for backend in voice.backends):
        yield _build_step(machine, voice, CURRENT)
    if any(o.startswith(("graph:", "recipe:")) for p in voice.plans for o in p.obstacles):
        yield Step(f"sambert-build {name} --prune", "some plans are of graphs the voice had before")


def _build_step(machine: MachineFacts, voice: VoiceFacts, target: str) -> Step:
    """The command that builds plans, for this machine's card or, without one, for another's."""
    directory, able = Path(voice.directory), _builders(machine.suited or machine.usable)
    if target != CURRENT:
        half = Precision.FP16 if Precision.FP16.value in voice.precisions else Precision.FP32
        command = build_command(directory, half, able[0], (target,))
        return Step(command, "builds plans here for another machine's card: name that card")
    reason = "there are no plans for this card and this TensorRT"
    if able:
        return Step(build_command(directory, Precision.FP16, able[0], (CURRENT,)), reason)
    command = build_command(directory, Precision.FP16, Flavour.LEAN, machine.targets[:1])
    return Step(command, f"{reason}, and the lean runtime builds none: run it where TensorRT is")


def _builders(products: Sequence[InstalledFlavour]) -> tuple[Flavour, ...]:
    """The products that build plans; the lean one only runs them."""
    return tuple(item.flavour for item in products if item.flavour is not Flavour.LEAN)
