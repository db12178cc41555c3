"""Sections `cycles` and `sentences`: what is opened is closed, and long work takes no more memory.

Free memory is compared to the byte with what it was. The first round is not counted: what driver
and TensorRT take once for the process's life shows there, and is reported.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sambert_trt.engines.errors import DeviceLostError, SambertError
from sambert_trt.engines.graphs import Precision, Stage
from sambert_trt.runtime.budget import Isolation
from sambert_trt.runtime.trt_backend import TrtBackend
from sambert_trt.runtime.trt_session import TrtSession
from sambert_trt.runtime.voice import open_voice

from .card import Card
from .engines import usual_inputs
from .results import Cell, Plot, Result
from .tolerances import CHUNKS
from .traffic import Gap
from .words import Words

__all__ = ["open_and_close", "slope", "speak_long"]

_POINTS = 200
_DISTINCT = 200


def open_and_close(card: Card, result: Result) -> None:
    """Opens, runs and closes every engine so often, for both isolations."""
    precision, noise = card.precisions[0], card.noise()
    _tell_noise(result, noise)
    for isolation in Isolation:
        begun = card.free()
        with card.backend(isolation=isolation, prefetch=False) as backend:
            once = begun - _first_round(card, backend, precision)
            result.notes.append(f"isolation {isolation.value}: {once} bytes were taken once")
            rows, lines = [], {}
            for stage in Stage:
                card.say(f"cycles, {isolation.value}: {stage.value}")
                free = _cycles(card, backend, stage, precision)
                _check_cycles(result, f"{stage.value}, {isolation.value}", free, noise)
                rows.append(_cycle_row(stage, free))
                lines[stage.value] = _points(free, free[0])
        result.table(f"isolation {isolation.value}", _CYCLES, rows)
        result.plots.append(
            Plot(
                f"cycles-{isolation.value}",
                f"Free memory over open/close cycles, isolation {isolation.value}",
                "cycle",
                "MB against the start",
                lines,
            )
        )


_CYCLES = ("stage", "cycles", "bytes lost", "bytes per cycle, second half")


def _first_round(card: Card, backend: TrtBackend, precision: Precision) -> int:
    """Every engine once; what is free afterwards."""
    before = card.free()
    for stage in Stage:
        _cycle(card, backend, stage, precision)
    return card.settled(before)


def _cycles(card: Card, backend: TrtBackend, stage: Stage, precision: Precision) -> list[int]:
    """Free bytes before, and after each cycle."""
    free = [card.free()]
    for _ in range(card.counts.cycles):
        _cycle(card, backend, stage, precision)
        free.append(card.free())
    free[-1] = card.settled(free[0])
    return free


def _cycle(card: Card, backend: TrtBackend, stage: Stage, precision: Precision) -> None:
    session = backend.open(card.voice, card.manifest.record(stage, precision))
    try:
        assert isinstance(session, TrtSession)
        session.warm()
        session.run(usual_inputs(session.graph))
    finally:
        session.close()


def _check_cycles(result: Result, name: str, free: Sequence[int], noise: int) -> None:
    lost = free[0] - free[-1]
    result.check(
        f"{name}: free memory is back",
        lost <= noise,
        f"{lost} bytes fewer after {len(free) - 1} cycles; allowed: {noise}",
    )


def _cycle_row(stage: Stage, free: Sequence[int]) -> list[Cell]:
    lost = free[0] - free[-1]
    return [stage.value, len(free) - 1, lost, -slope(free[len(free) // 2 :])]


def _tell_noise(result: Result, noise: int) -> None:
    result.numbers["noise_bytes"] = noise
    if noise:
        result.notes.append(
            f"free memory changed by {noise} bytes while this process did nothing: others use the "
            "card, so memory is not compared to the byte but within that"
        )


def slope(values: Sequence[float]) -> float:
    """By how much values grow from one to the next, by least squares; 0 for fewer than two."""
    if len(values) < 2:
        return 0.0
    if not np.isfinite(values).all():
        return float("nan")
    rises = np.asarray(values, np.float64) - values[0]
    return float(np.polyfit(np.arange(len(values)), rises, 1)[0])


def _points(values: Sequence[int], start: int) -> list[tuple[float, float]]:
    """At most so many points, in megabytes against the start."""
    step = max(len(values) // _POINTS, 1)
    places = [*range(0, len(values), step), len(values) - 1]
    return [(float(i), (values[i] - start) / 1e6) for i in dict.fromkeys(places)]


@dataclass
class _Spoken:
    """What so many sentences left behind."""

    sentences: int = 0
    silent: int = 0
    seconds: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    drift: Gap = field(default_factory=lambda: Gap(most=float("inf")))
    free: list[int] = field(default_factory=list)
    resident: list[float] = field(default_factory=list)
    at: list[int] = field(default_factory=list)


def speak_long(card: Card, result: Result) -> None:
    """Thousands of short sentences in one process; memory is watched after every one."""
    words, noise = Words(card.manifest), card.noise()
    _tell_noise(result, noise)
    result.notes.append(f"sentences: {words.source}")
    spoken, before = _Spoken(), card.free()
    try:
        with ExitStack() as stack:
            backend = stack.enter_context(card.backend())
            _speak_all(card, backend, words, spoken)
    finally:
        _tell_spoken(card, result, spoken, noise)
    after = card.settled(before, noise)
    # The first engines of a process leave behind what the driver keeps for its life.
    result.numbers["kept_after_close_bytes"] = before - after


def _speak_all(card: Card, backend: TrtBackend, words: Words, spoken: _Spoken) -> None:
    count = card.counts.sentences
    lines = words.short(min(_DISTINCT, max(count // 2, 1)))
    precision = card.precisions[0]
    with open_voice(
        card.voice, backend=backend, precision=precision, threads=card.threads
    ) as voice:
        first = voice.say(symbols=lines[0]).samples
        for line in itertools.islice(itertools.cycle(lines), count):
            try:
                audio = voice.say(symbols=line)
            except DeviceLostError:
                raise
            except SambertError as error:
                spoken.errors[str(error)] += 1
            else:
                spoken.seconds += audio.seconds
                spoken.silent += not len(audio.samples)
                spoken.wrong += not np.isfinite(audio.samples).all()
            _watch(card, spoken)
            if spoken.sentences % max(count // 20, 1) == 0:
                card.say(f"sentences: {spoken.sentences} of {count}")
        spoken.drift = Gap()
        spoken.drift.add(voice.say(symbols=lines[0]).samples, first)


def _watch(card: Card, spoken: _Spoken) -> None:
    spoken.sentences += 1
    spoken.at.append(spoken.sentences)
    spoken.free.append(card.free())
    spoken.resident.append(resident_megabytes())


def _tell_spoken(card: Card, result: Result, spoken: _Spoken, noise: int) -> None:
    if not spoken.free:
        return
    said = "; ".join(f"{count} times: {text}" for text, count in spoken.errors.most_common(3))
    result.check(
        "every sentence is spoken",
        spoken.sentences == card.counts.sentences and not spoken.errors,
        f"{spoken.sentences} of {card.counts.sentences}, {spoken.errors.total()} errors"
        f"{f' ({said})' if said else ''}, {spoken.silent} without sound",
    )
    result.check(
        "every sample is a number", spoken.wrong == 0, f"{spoken.wrong} sentences have others"
    )
    tolerance = CHUNKS[card.precisions[0]]
    result.check(
        "the first sentence is the same at the end",
        tolerance.admits(spoken.drift.relative, spoken.drift.decibels),
        f"it differs by {spoken.drift.most:.2g}; allowed: {tolerance}",
    )
    half = spoken.free[len(spoken.free) // 2 :]
    result.check(
        "free memory does not shrink over the second half",
        half[0] - half[-1] <= noise,
        f"{half[0] - half[-1]} bytes fewer over {len(half)} sentences; allowed: {noise}",
    )
    _tell_trends(result, spoken)


def _tell_trends(result: Result, spoken: _Spoken) -> None:
    half = len(spoken.free) // 2
    result.numbers |= {
        "sentences": spoken.sentences,
        "seconds_of_audio": spoken.seconds,
        "free_bytes_per_sentence": slope(spoken.free[half:]),
        "resident_kb_per_sentence": 1e3 * slope(spoken.resident[half:]),
        "resident_mb": spoken.resident[-1],
    }
    start = spoken.resident[0]
    step = max(len(spoken.at) // _POINTS, 1)
    resident = [(float(n), mb - start) for n, mb in zip(spoken.at, spoken.resident, strict=True)]
    lines = {"card, free": _points(spoken.free, spoken.free[0]), "process": resident[::step]}
    result.plots.append(
        Plot(
            "sentences",
            "Memory over sentences: free on the card, and taken by the process",
            "sentence",
            "MB against the start",
            lines,
        )
    )


def resident_megabytes() -> float:
    """This process's resident memory; not a number where the system has no /proc."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return float("nan")
    return next((int(x.split()[1]) / 1024 for x in lines if x.startswith("VmRSS:")), float("nan"))
