"""The card a run is about: its driver, its memory, its plans, and how much is asked of it.

The same `Card` stands for a card that is not there (tests hand in a driver that counts every byte)
and for a machine without one (`absent` says why, and sections that need it do not run).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, cast

from sambert_trt.engines.engine import Flavour
from sambert_trt.engines.errors import BackendError
from sambert_trt.engines.graphs import Precision
from sambert_trt.engines.manifest import VoiceManifest
from sambert_trt.engines.voice import manifest_from_directory
from sambert_trt.runtime.backend import Backend
from sambert_trt.runtime.cuda import Context
from sambert_trt.runtime.cuda_calls import Driver
from sambert_trt.runtime.gpu import GpuOptions
from sambert_trt.runtime.trt_backend import TrtBackend

from .results import NotRunError, Result

__all__ = ["FULL", "QUICK", "Card", "Counts", "ForeignPlan", "WatchedDriver", "WatchingContext"]

SETTLING = 3.0
"""Seconds that freed memory may take to show: drivers give some of it back a moment later."""


@dataclass(frozen=True)
class Counts:
    """How much is asked of the card.

    Attributes:
        cycles: open and close each engine so often, for each isolation.
        failed_loads, sentences: in all.
        rounds: paired measurements of speech.
        opens: openings by which load times are told.
        bursts: of decoder steps that are timed.
        contexts: contexts made and destroyed.
        lengths: symbols of the sentences whose stages are compared.
        text: sentences of the text whose memory is measured, and of four times that.
        idle_samples: how often free memory is asked while nothing runs, 10 ms apart.
    """

    cycles: int = 1000
    failed_loads: int = 200
    sentences: int = 10_000
    rounds: int = 15
    opens: int = 20
    bursts: int = 50
    contexts: int = 20
    lengths: tuple[int, ...] = (1, 2, 5, 12, 46, 120, 300)
    text: int = 8
    idle_samples: int = 100


FULL = Counts()
QUICK = Counts(
    cycles=25,
    failed_loads=24,
    sentences=200,
    rounds=5,
    opens=5,
    bursts=15,
    contexts=5,
    lengths=(1, 5, 46),
    text=4,
    idle_samples=50,
)


class CardMemory(Protocol):
    """What can be asked of a card's memory; see `runtime.trt_backend.CardMemory`."""

    def free(self) -> int | None:
        """Free bytes of the card."""

    def process(self) -> int | None:
        """Bytes the driver counts for this process."""


@dataclass(frozen=True)
class ForeignPlan:
    """A plan of the same stage that was built for another card."""

    target: str
    content: bytes


def _no_foreign_plan() -> ForeignPlan:
    raise NotRunError("nothing here builds plans for another card")


def _plans_are_there(card: Card, result: Result) -> None:
    """Whoever made the card said which precisions have plans."""


def _no_onnx_cuda() -> Backend:
    raise NotRunError("ONNX Runtime's CUDA provider was not asked for")


@dataclass
class Card:
    """See the module.

    Attributes:
        voice: the exported voice that is spoken with.
        memory: NVML, or what stands for it.
        trt, flavour, version: TensorRT's module, product and full version.
        precisions: those that all stages have plans in, the preferred one first.
        absent: why there is no card to use; empty where there is.
        no_plans: why plans do not run here; empty where they do.
        kernels: where compiled kernels are kept during the run.
        prepare: sees to it that plans are there, and fills `precisions`.
        foreign_plan: makes a memory_kv plan for another card; NotRunError where nothing can.
        onnx_cuda: makes ONNX Runtime's CUDA backend.
        probe: what `memory` is, in words.
        say: gets a line about what is being done.
    """

    voice: Path
    kernels: Path
    counts: Counts = FULL
    device: int = 0
    opened_driver: Driver | None = None
    memory: CardMemory | None = None
    trt: Any = None
    flavour: Flavour | None = None
    version: str | None = None
    precisions: tuple[Precision, ...] = ()
    absent: str = ""
    no_plans: str = ""
    prepare: Callable[[Card, Result], None] = _plans_are_there
    foreign_plan: Callable[[], ForeignPlan] = _no_foreign_plan
    onnx_cuda: Callable[[], Backend] = _no_onnx_cuda
    probe: str = "NVML"
    threads: int = 2
    say: Callable[[str], None] = field(default=lambda line: None)

    @property
    def driver(self) -> Driver:
        """CUDA.

        Raises:
            NotRunError: there is no card.
        """
        if self.opened_driver is None:
            raise NotRunError(self.absent or "no NVIDIA card was opened")
        return self.opened_driver

    @property
    def manifest(self) -> VoiceManifest:
        """What the voice is."""
        return manifest_from_directory(self.voice)

    @contextmanager
    def backend(self, driver: Driver | None = None, **options: Any) -> Iterator[TrtBackend]:  # noqa: ANN401
        """A TensorRT backend with these `GpuOptions`, closed afterwards.

        Args:
            driver: instead of the card's, to watch it or to leave something out.
            options: fields of `GpuOptions`; the usual ones are those of the runtime.
        """
        chosen = replace(
            GpuOptions(device=self.device, flavour=self.flavour, kernels=self.kernels), **options
        )
        with ExitStack() as stack:
            backend = TrtBackend(
                chosen,
                driver=driver or self.driver,
                module=self.trt,
                version=self.version,
                memory=self.memory,
            )
            stack.callback(backend.close)
            yield backend

    def free(self) -> int:
        """Free bytes of the card right now.

        Raises:
            NotRunError: nobody can tell.
        """
        free = None if self.memory is None else self.memory.free()
        if free is None:
            raise NotRunError("neither NVML nor the driver tells how much of the card is free")
        return free

    def process(self) -> int | None:
        """Bytes the driver counts for this process; None where it does not say."""
        return None if self.memory is None else self.memory.process()

    def settled(self, wanted: int, slack: int = 0) -> int:
        """Free bytes, as soon as `wanted` less `slack` are free, else after some seconds."""
        until = time.monotonic() + SETTLING
        while (free := self.free()) < wanted - slack and time.monotonic() < until:
            time.sleep(0.02)
        return free

    def noise(self) -> int:
        """By how many bytes free memory changes while this process does nothing.

        It is 0 on a card nobody else uses; a desktop's windows come and go.
        """
        found = [self.free()]
        for _ in range(self.counts.idle_samples):
            time.sleep(0.01)
            found.append(self.free())
        return max(found) - min(found)


class WatchedDriver:
    """A driver that counts calls, and is without graphs where asked.

    Args:
        driver: does the work.
        captures: False hides that it can record graphs.
    """

    def __init__(self, driver: Driver, *, captures: bool = True) -> None:
        self._driver, self._captures = driver, captures
        self.graph_launches = 0

    @property
    def can_capture(self) -> bool:
        """See `Driver.can_capture`."""
        return self._captures and self._driver.can_capture

    @property
    def as_driver(self) -> Driver:
        """Itself: every other call is the driver's own."""
        return cast(Driver, self)

    def graph_launch(self, executable: int, stream: int) -> None:
        """See `Driver.graph_launch`."""
        self.graph_launches += 1
        self._driver.graph_launch(executable, stream)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # a method of the driver
        return getattr(self._driver, name)


class WatchingContext:
    """What a card's free memory is, by the driver, where NVML is absent. It costs a context."""

    def __init__(self, driver: Driver, device: int) -> None:
        self._context = Context(driver, device)

    def free(self) -> int | None:
        """Free bytes of the card; None where the driver does not say."""
        try:
            return self._context.memory_info()[0]
        except BackendError:
            return None

    def process(self) -> int | None:
        """Nobody can tell."""
        return None
