"""Faults put into one side on purpose, so that the gate's own reliability can be measured.

    slow:vocoder:0.10    every call of that stage takes 10 % longer
    leak:5MB             5,000,000 bytes are kept for ever, spread over the first sentences

Several are joined by commas. The types of the runtime are imported for annotations only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sambert_trt.engines.errors import InputError

from .clock import Clock

if TYPE_CHECKING:
    from sambert_trt.engines.graphs import GraphSpec, Placement, Precision
    from sambert_trt.engines.manifest import StageRecord, VoiceManifest
    from sambert_trt.runtime.backend import Array, Backend, Session, StepRun
    from sambert_trt.runtime.memory import MemoryReport

__all__ = ["SPREAD", "Plant", "plant_from_text", "planted"]

SPREAD = 50
"""Sentences over which a leak is spread: about what the memory suite says."""

_UNITS = {"B": 1, "kB": 1_000, "MB": 1_000_000}
_BYTES = re.compile(r"(\d+(?:\.\d+)?)(B|kB|MB)")
_FIRST_STAGE = "text_encoder"
"""It runs once for each sentence."""

_KEPT: list[Any] = []
"""What was leaked: it outlives every voice and backend of this process."""


@dataclass(frozen=True)
class Plant:
    """Faults.

    Attributes:
        slow: by stage, the share of its own time that each call is made longer by.
        leak: bytes kept in all.
    """

    slow: Mapping[str, float] = field(default_factory=dict)
    leak: int = 0


def plant_from_text(text: str) -> Plant:
    """Reads faults joined by commas; "" is none.

    Raises:
        InputError: a fault that is none, an unknown stage, a share or size that is no number.
    """
    slow: dict[str, float] = {}
    leak = 0
    for fault in filter(None, text.split(",")):
        kind, _, rest = fault.partition(":")
        if kind == "slow":
            stage, _, share = rest.partition(":")
            slow[_stage(stage)] = _share(fault, share)
        elif kind == "leak":
            leak += _bytes(fault, rest)
        else:
            raise InputError(f"cannot plant {fault!r}: give slow:STAGE:SHARE or leak:5MB")
    return Plant(slow, leak)


def planted(backend: Backend, plant: Plant, clock: Clock) -> Backend:
    """The backend with the faults in it, which take their time by this clock; or itself."""
    return _PlantedBackend(backend, plant, clock) if plant.slow or plant.leak else backend


def _stage(name: str) -> str:
    from sambert_trt.engines.graphs import Stage

    known = [stage.value for stage in Stage]
    if name not in known:
        raise InputError(f"cannot slow {name!r}: the stages are {', '.join(known)}")
    return name


def _share(fault: str, text: str) -> float:
    if not re.fullmatch(r"\d*\.?\d+", text) or not 0 < float(text) <= 100:
        raise InputError(f"cannot plant {fault!r}: {text!r} is no share such as 0.10")
    return float(text)


def _bytes(fault: str, text: str) -> int:
    found = _BYTES.fullmatch(text)
    if found is None:
        raise InputError(f"cannot plant {fault!r}: {text!r} is no size such as 5MB or 300kB")
    return round(float(found[1]) * _UNITS[found[2]])


class _PlantedBackend:
    def __init__(self, inner: Backend, plant: Plant, clock: Clock) -> None:
        self._inner, self._plant, self._clock = inner, plant, clock

    @property
    def placement(self) -> Placement:
        return self._inner.placement

    def preferred(self, directory: Path, manifest: VoiceManifest) -> Precision:
        return self._inner.preferred(directory, manifest)

    def open(self, directory: Path, record: StageRecord) -> Session:
        session, stage = self._inner.open(directory, record), record.graph.stage.value
        share = self._plant.slow.get(stage, 0.0)
        leak = self._plant.leak if stage == _FIRST_STAGE else 0
        if not share and not leak:
            return session
        return _PlantedSession(session, leak, _Lingering(self._clock, share))

    def memory_report(self) -> MemoryReport:
        return self._inner.memory_report()

    def close(self) -> None:
        self._inner.close()


class _Lingering:
    """Works on until a share of what a call has taken has passed again."""

    def __init__(self, clock: Clock, share: float) -> None:
        self._clock, self._share = clock, share

    @contextmanager
    def __call__(self) -> Iterator[None]:
        started = self._clock()
        yield
        now = self._clock()
        until = now + self._share * (now - started)
        while now < until:
            now = self._clock()


class _PlantedSession:
    def __init__(self, inner: Session, leak: int, lingering: _Lingering) -> None:
        self._inner, self._leak, self._lingering = inner, leak, lingering

    @property
    def graph(self) -> GraphSpec:
        return self._inner.graph

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        if self._leak:
            _keep(self._leak)
        with self._lingering():
            return self._inner.run(inputs)

    def steps(self, sizes: Mapping[str, int]) -> StepRun:
        return _PlantedSteps(self._inner.steps(sizes), self._lingering)

    def close(self) -> None:
        self._inner.close()


class _PlantedSteps:
    def __init__(self, inner: StepRun, lingering: _Lingering) -> None:
        self._inner, self._lingering = inner, lingering

    def extend(self, rows: Array) -> None:
        self._inner.extend(rows)

    def advance(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        with self._lingering():
            return self._inner.advance(inputs)

    def suspended(self) -> tuple[Mapping[str, Array], Array | None]:
        return self._inner.suspended()

    def resume(self, state: Mapping[str, Array], rows: Array | None) -> None:
        self._inner.resume(state, rows)

    def close(self) -> None:
        self._inner.close()


def _keep(leak: int) -> None:
    """Keeps a sentence's part of a leak, written to so that it lies in real memory."""
    import numpy as np

    left = leak - sum(array.nbytes for array in _KEPT)
    part = min(-(-leak // SPREAD), left)
    if part > 0:
        _KEPT.append(np.ones(part, np.uint8))
