"""The suites: who measures what, in how many processes, and how often. Standard library only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

__all__ = ["SIDES", "Rounds", "Settings", "Suite"]

SIDES = "sides"
"""The name of an outcome that is no suite's: the trees could not be measured as they were."""


@dataclass(frozen=True)
class Settings:
    """What a worker is told of the side it measures; plain values, so that they travel as JSON.

    Attributes:
        tree: the source tree; its `build/ns` holds the `sambert_trt` that is measured.
        voice: an exported voice directory.
        source: the voice's checkpoint folder, where there is one (the export suite needs it).
        backend: as `backend_from_name` takes it: cpu, cuda, tensorrt.
        precision: as `open_voice` takes it; None: the backend's choice.
        threads: of the backend.
        work: a folder of this worker's own, to write into.
        full: the large suite was asked for.
        plant: what the gate's own experiment puts into this side, as plant.py reads it; "" nothing.
        only: measured names that are wanted; a suite may leave others out. () is all.
        extra: options of single suites.
    """

    tree: Path
    voice: Path
    work: Path
    source: Path | None = None
    backend: str = "cpu"
    precision: str | None = None
    threads: int = 1
    full: bool = False
    plant: str = ""
    only: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    def wants(self, *names: str) -> bool:
        """Whether any of these is to be measured."""
        return not self.only or any(name in self.only for name in names)


class Rounds(Protocol):
    """What a suite's module calls `rounds`."""

    def __call__(self, settings: Settings) -> Iterator[Mapping[str, float]]:
        """Gives measured values by name, one item a round; what it opened closes with it.

        It measures when it is asked for the next item and does nothing between items: the other
        side measures then. A round ends within a few seconds, and is empty where nothing of it is
        wanted.

        Raises:
            NotMeasured: something it needs is not there; the message is the reason.
        """


@dataclass(frozen=True)
class Suite:
    """A group of metrics that are measured together.

    Attributes:
        name: as `--suite` takes it, and that of its module in `regression.suites`, whose `rounds`
            is a `Rounds`.
        title: what it measures, in a few words.
        sessions: how many pairs of processes; each pair starts afresh.
        rounds: how many rounds each process measures.
        by_choice: measured only with `--full` or by name.
        seconds: about how long it takes for both sides, with the demo voice on two cores.
        together: both sides measure at once: nothing of it depends on how fast the machine is.
        compared: False: only the candidate is measured, beside something else than the base.
    """

    name: str
    title: str
    sessions: int
    rounds: int
    seconds: float
    by_choice: bool = False
    together: bool = False
    compared: bool = True
