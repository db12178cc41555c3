"""Section `peak`: what speaking takes of the card, for both isolations, each mode and 700 MB."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sambert_trt.engines.errors import DeviceMemoryError
from sambert_trt.runtime.budget import MB, Isolation, MemoryBudget, ResidencyMode
from sambert_trt.runtime.voice import Voice, open_voice

from .card import Card
from .results import Cell, Result
from .words import Words

__all__ = ["Watch", "measure_peaks", "watched"]

SMALL = MemoryBudget(total=700 * MB, reserve=0)
"""The issue's target: contexts and everything, on a card of 8 GB."""

_REST = 0.001
_FLAT = 0.01
"""Share of its peak by which speaking four times as much may exceed it: what sampling may miss."""

_COLUMNS = (
    *("isolation", "mode", "budget MB", "peak MB", "4 times the text", "process MB", "books MB"),
    *("openings", "evictions", "s", "audio s", "outcome"),
)


@dataclass(frozen=True)
class _Configuration:
    isolation: Isolation
    mode: ResidencyMode
    budget: MemoryBudget | None = None

    def __str__(self) -> str:
        budget = "" if self.budget is None else f", {self.budget.total / MB:.0f} MB"
        return f"{self.isolation.value}, {self.mode.value}{budget}"


@dataclass
class Watch:
    """The least free memory and the most of this process while it watched, in bytes."""

    begun: int
    least: int
    process: int | None = None
    samples: int = 0

    @property
    def peak(self) -> int:
        """What was taken of the card at most."""
        return self.begun - self.least


@dataclass
class _Spoken:
    peaks: list[int] = field(default_factory=list)
    process: int | None = None
    held: int = 0
    limit: int = 0
    counters: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    audio: float = 0.0
    refused: str = ""


@contextmanager
def watched(card: Card) -> Iterator[Watch]:
    """Asks about the card's memory every millisecond during the block."""
    free = card.free()
    watch, done = Watch(free, free), threading.Event()

    def ask() -> None:
        while not done.is_set():
            _ask(card, watch)
            done.wait(_REST)

    thread = threading.Thread(target=ask, name="gpu-acceptance-watch", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        done.set()
        thread.join()
        _ask(card, watch)


def _ask(card: Card, watch: Watch) -> None:
    free = None if card.memory is None else card.memory.free()
    if free is not None:
        watch.least = min(watch.least, free)
    if watch.samples % 16 == 0:  # NVML lists every process for this: slower by far
        process = card.process()
        if process is not None:
            watch.process = max(watch.process or 0, process)
    watch.samples += 1


def measure_peaks(card: Card, result: Result) -> None:
    """Speaks a text, and the same four times as long, in each configuration."""
    noise, words, rows = card.noise(), Words(card.manifest), []
    for chosen in _configurations():
        card.say(f"peak: {chosen}")
        before = card.free()
        spoken = _spoken(card, chosen, words)
        lost = before - card.settled(before, noise)
        result.check(f"{chosen}: free memory is back", lost <= noise, f"{lost} bytes fewer")
        rows.append(_row(chosen, spoken))
        if spoken.refused:
            result.notes.append(f"{chosen}: {spoken.refused}")
            continue
        _check(result, chosen, spoken, noise)
        _number(result, chosen, spoken)
    result.table("what speaking takes of the card", _COLUMNS, rows)
    result.notes.append("no emotion encoder was open: this version has none")


def _configurations() -> Iterator[_Configuration]:
    for isolation in Isolation:
        for mode in ResidencyMode:
            yield _Configuration(isolation, mode)
    for isolation in Isolation:
        for mode in (ResidencyMode.ON_DEMAND, ResidencyMode.MINIMAL):
            yield _Configuration(isolation, mode, SMALL)


def _spoken(card: Card, chosen: _Configuration, words: Words) -> _Spoken:
    spoken, begun = _Spoken(), card.free()
    try:
        with card.backend(
            isolation=chosen.isolation, mode=chosen.mode, budget=chosen.budget
        ) as backend:
            spoken.limit = backend.memory_report().limit
            with open_voice(
                card.voice, backend=backend, precision=card.precisions[0], threads=card.threads
            ) as voice:
                for times in (1, 4):
                    _speak(card, voice, words.text(times * card.counts.text), spoken, begun)
                report = backend.memory_report()
                spoken.held, spoken.counters = report.held, dict(report.counters)
    except DeviceMemoryError as error:
        spoken.refused = str(error)
    return spoken


def _speak(card: Card, voice: Voice, lines: Sequence[str], spoken: _Spoken, begun: int) -> None:
    start = time.perf_counter()
    with watched(card) as watch:
        spoken.audio = voice.say(symbols=lines).seconds
    spoken.seconds = time.perf_counter() - start
    spoken.peaks.append(begun - watch.least)
    sizes = [size for size in (spoken.process, watch.process) if size is not None]
    spoken.process = max(sizes, default=None)


def _row(chosen: _Configuration, spoken: _Spoken) -> list[Cell]:
    budget = None if chosen.budget is None else chosen.budget.total / MB
    row: list[Cell] = [chosen.isolation.value, chosen.mode.value, budget]
    if spoken.refused:
        return [*row, *[None] * 8, "refused in words, see the notes"]
    openings = sum(spoken.counters.get(name, 0) for name in ("opened", "prefetched"))
    return [
        *row,
        *(peak / MB for peak in spoken.peaks),
        None if spoken.process is None else spoken.process / MB,
        spoken.held / MB,
        openings,
        spoken.counters.get("evicted", 0),
        spoken.seconds,
        spoken.audio,
        "spoken",
    ]


def _check(result: Result, chosen: _Configuration, spoken: _Spoken, noise: int) -> None:
    once, more = spoken.peaks
    result.check(
        f"{chosen}: within the budget",
        max(spoken.peaks) <= spoken.limit + noise,
        f"{max(spoken.peaks) / MB:.1f} of {spoken.limit / MB:.1f} MB",
    )
    result.check(
        f"{chosen}: flat in text length",
        more - once <= noise + _FLAT * once,
        f"{once / MB:.1f} MB for the text, {more / MB:.1f} MB for four times as much",
    )


def _number(result: Result, chosen: _Configuration, spoken: _Spoken) -> None:
    peak = max(spoken.peaks) / MB
    key = "peak_700_mb" if chosen.budget is not None else "peak_mb"
    result.numbers[key] = min(peak, result.numbers.get(key, peak))
    result.numbers[f"peak_mb {chosen}"] = peak
