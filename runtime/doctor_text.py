"""The doctor's report for people. Standard library only."""

from __future__ import annotations

from collections.abc import Iterator

from .devices import DeviceFacts
from .doctor import Report
from .doctor_machine import MachineFacts
from .doctor_voice import PlanFacts, VoiceFacts

__all__ = ["text_from_report"]

_WIDTH = 13


def text_from_report(report: Report) -> str:
    """The report as lines of text, without a newline at the end."""
    lines = [*_machine(report.machine)]
    if report.voice is not None:
        lines += ["", *_voice(report.voice)]
    if report.next:
        lines += ["", "next:"]
    for number, step in enumerate(report.next, 1):
        lines += [f"  {number}. {step.command}", f"     {step.reason}"]
    return "\n".join(lines)


def _line(title: str, text: str) -> str:
    return f"{title:{_WIDTH}}{text}".rstrip()


def _machine(machine: MachineFacts) -> Iterator[str]:
    yield _line("sambert-trt", f"{machine.sambert_trt}, {machine.python}, {machine.platform}")
    onnx = machine.onnxruntime
    yield _line("onnxruntime", onnx.problem or f"{onnx.version}: {', '.join(onnx.providers)}")
    if onnx.cuda_problem:
        yield _line("", onnx.cuda_problem)
    driver = machine.driver
    found = f"{driver.version}, CUDA up to {driver.cuda}" if driver else machine.driver_problem
    yield _line("driver", found)
    for card in machine.cards:
        yield from _card(card)
    if not machine.cards:
        same = machine.cards_problem == machine.driver_problem
        yield _line("cards", "none" if same else f"none: {machine.cards_problem}")
    yield _line("cuda", _cuda(machine))
    for number, item in enumerate(machine.tensorrt):
        state = f"{item.version}, usable" if item.usable else f"not usable: {item.reason}"
        yield _line("tensorrt" if number == 0 else "", f"{item.flavour.value}: {state}")


def _card(card: DeviceFacts) -> Iterator[str]:
    memory = f"{_megabytes(card.free)} of {_megabytes(card.total)} free"
    memory += f", {_megabytes(card.used)} used"
    if card.reserved:
        memory += f", {_megabytes(card.reserved)} kept by the driver"
    yield _line(f"card {card.index}", f"{card.name} ({card.target or 'unknown'}): {memory}")
    for process in card.processes:
        name = f" {process.name}" if process.name else ""
        yield _line("", f"{_megabytes(process.bytes)} by process {process.pid}{name}")
    for problem in card.problems:
        yield _line("", f"not told: {problem}")


def _cuda(machine: MachineFacts) -> str:
    packages = {"cuda-bindings": machine.cuda.bindings, "pycuda": machine.cuda.pycuda}
    parts = [f"{name} {version}" for name, version in packages.items() if version]
    if machine.cuda.problem:
        parts.append(machine.cuda.problem)
    else:
        parts.append(f"shows {', '.join(machine.cuda.targets) or 'no card'}")
    return "; ".join(parts)


def _voice(voice: VoiceFacts) -> Iterator[str]:
    about = f": {voice.name}, {voice.language}, {voice.sample_rate} Hz" if voice.name else ""
    yield _line("voice", f"{voice.directory}{about}")
    if voice.problem:
        yield _line("", voice.problem)
    if voice.files:
        damaged = [file for file in voice.files if file.problem]
        yield _line("files", f"{len(voice.files) - len(damaged)} of {len(voice.files)} intact")
        for file in damaged:
            yield _line("", file.problem)
    for number, (precision, stages) in enumerate(voice.precisions.items()):
        yield _line("graphs" if number == 0 else "", f"{precision}: {len(stages)} stages")
    if voice.plans_problem:
        yield _line("plans", voice.plans_problem)
    for number, plan in enumerate(voice.plans):
        yield _line("plans" if number == 0 else "", _plan(plan))
    for number, backend in enumerate(voice.backends):
        state = "can speak" if backend.usable else f"cannot: {backend.reason}"
        flavour = f" ({backend.flavour})" if backend.flavour else ""
        text = f"{backend.backend}{flavour} in {backend.precision}: {state}"
        yield _line("backends" if number == 0 else "", text)


def _plan(plan: PlanFacts) -> str:
    if plan.problem:
        return f"{plan.name}: {plan.problem}"
    made = f"{plan.flavour} {plan.version}, {', '.join(plan.targets)}"
    sizes = f"{_megabytes(plan.plan_bytes)}, {_megabytes(plan.device_bytes)} on the card"
    state = "runs here" if plan.runs_with else f"does not run here: {'; '.join(plan.obstacles)}"
    return f"{plan.name} ({made}; {sizes}): {state}"


def _megabytes(size: int | None) -> str:
    return "unknown" if size is None else f"{size / 1e6:.0f} MB"
