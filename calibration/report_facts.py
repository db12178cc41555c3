"""What a calibration run found out, as its report holds it.

Types and what this machine is; numpy arrays only pass through. psutil where installed.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sambert_trt.engines.graphs import Placement, Stage
from sambert_trt.runtime.backend import Array

from .assessment import Cost, Judgement, Outcome
from .figures import Figures, Limits

__all__ = [
    "REPORT_SCHEMA",
    "Example",
    "HalfVoice",
    "Machine",
    "Renderings",
    "Report",
    "Skipped",
    "Texts",
    "listening_sentences",
    "this_machine",
]

REPORT_SCHEMA = 1

_PACKAGES = (
    "sambert-trt", "numpy", "scipy", "onnx", "onnxruntime", "pesq", "pystoi", "matplotlib",
)  # fmt: skip
_TENSORRT = {
    "tensorrt-rtx-cu13-libs": "TensorRT for RTX",
    "tensorrt-cu13-libs": "TensorRT",
    "tensorrt": "TensorRT",
}
_WORST_BY = ("mcd", "pesq", "lsd_p99", "mel_lsd_p99", "mel_mae")
_TYPICAL_BY = ("mcd", "lsd", "mel_mae")


@dataclass(frozen=True)
class Machine:
    """What the run ran on.

    Attributes:
        packages: versions by distribution name; of those that are installed.
        tensorrt: name and version of what built plans; empty: absent.
        card: name of the graphics card; empty: none.
    """

    cpu: str
    cores: int
    system: str
    python: str
    packages: Mapping[str, str] = field(default_factory=dict)
    tensorrt: str = ""
    card: str = ""
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Skipped:
    """A calibration text that was not used, and why."""

    text: str
    reason: str


@dataclass(frozen=True)
class Texts:
    """The calibration texts: how many were recorded, how many judged by, which were skipped."""

    source: str
    recorded: int
    judged: int
    skipped: tuple[Skipped, ...] = ()


class Renderings(Protocol):
    """A sentence as fp32 and as a candidate says it.

    Attributes:
        reference, candidate: waves, float32 [samples], full scale 1.
        rate: samples per second.
    """

    @property
    def text(self) -> str: ...
    @property
    def rate(self) -> int: ...
    @property
    def reference(self) -> Array: ...
    @property
    def candidate(self) -> Array: ...


@dataclass(frozen=True)
class Example:
    """A sentence to listen to and to look at.

    Attributes:
        sentence: its number among those judged.
        why: why this one: `worst mcd`, `typical`.
        renderings: None where a report was read back: its wav files lie beside it.
    """

    placement: Placement
    sentence: int
    text: str
    why: str
    renderings: Renderings | None = field(default=None, compare=False, metadata={"written": False})


@dataclass(frozen=True)
class HalfVoice:
    """The whole voice in fp16 against fp32.

    Attributes:
        arithmetic: who computed, in words: `every operator rounded to half`.
        graph_bytes, fp32_bytes: of all ONNX graphs.
    """

    judgement: Judgement
    limits: Limits
    arithmetic: str
    graph_bytes: int
    fp32_bytes: int


@dataclass(frozen=True)
class Report:
    """All of a calibration run.

    Attributes:
        voice: the voice's name.
        made: when, ISO 8601.
        baseline: by placement, what the fp32 graphs cost.
        phases: seconds of the run by what was done.
        peak_bytes: what the process and those it began held together, at most.
        unmeasured: what could not be measured, and why.
        method: further sentences on how it was measured (threads, rounds), by subject.
    """

    voice: str
    made: str
    machine: Machine
    texts: Texts
    outcomes: tuple[Outcome, ...]
    baseline: Mapping[Placement, Mapping[Stage, Cost]] = field(default_factory=dict)
    phases: Mapping[str, float] = field(default_factory=dict)
    peak_bytes: int | None = None
    unmeasured: Mapping[str, str] = field(default_factory=dict)
    half: HalfVoice | None = None
    examples: tuple[Example, ...] = ()
    method: Mapping[str, str] = field(default_factory=dict)
    schema: int = REPORT_SCHEMA


def listening_sentences(judgement: Judgement, worst: int = 4, typical: int = 2) -> dict[int, str]:
    """Which sentences to render for listening, and why: the worst ones and those in the middle."""
    chosen = dict[int, str]()
    for name in (*_WORST_BY, *judgement.worst):
        if name in judgement.worst and len(chosen) < worst:
            chosen.setdefault(judgement.worst[name].sentence, f"worst {name}")
    for sentence in _middle(judgement.sentences):
        if sum(why == "typical" for why in chosen.values()) < typical:
            chosen.setdefault(sentence, "typical")
    return chosen


def _middle(sentences: tuple[Figures, ...]) -> list[int]:
    """The numbers of sentences, those nearest to the median first."""
    for name in _TYPICAL_BY:
        values = [(getattr(figures, name), number) for number, figures in enumerate(sentences)]
        ordered = [number for value, number in sorted((v, n) for v, n in values if v is not None)]
        if ordered:
            half = len(ordered) // 2
            return sorted(ordered, key=lambda number: abs(ordered.index(number) - half))
    return list(range(len(sentences)))


def this_machine(card: str = "") -> Machine:
    """What this process runs on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = {name: version for name in _PACKAGES if (version := _version(name))}
    plans = [
        f"{words} {version}" for name, words in _TENSORRT.items() if (version := _version(name))
    ]
    return Machine(
        cpu=_processor(),
        cores=cores or 1,
        system=platform.platform(),
        python=platform.python_version(),
        packages=found,
        tensorrt=plans[0] if plans else "",
        card=card,
        memory_bytes=_memory(),
    )


def _version(name: str) -> str:
    with suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(name)
    return ""


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory() -> int | None:
    with suppress(AttributeError, ValueError, OSError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None
