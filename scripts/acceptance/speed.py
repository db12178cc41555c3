"""Sections `load`, `step` and `speech`: how long engines and speech take, beside ONNX Runtime's.

What is compared is measured in one process, in an order that alternates from round to round.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field

import numpy as np
from bench import median_interval

from sambert_trt.engines.graphs import GraphSpec, Precision, Stage
from sambert_trt.runtime import STREAMING, Voice, backend_from_name
from sambert_trt.runtime.backend import FEEDBACK, SLIDING, Array, Session, StepRun
from sambert_trt.runtime.budget import Isolation
from sambert_trt.runtime.cuda import PinnedBuffer
from sambert_trt.runtime.trt_layout import BURST
from sambert_trt.runtime.trt_space import SharedSpace, Space
from sambert_trt.runtime.voice import open_voice

from .card import Card, WatchedDriver
from .engines import Content, StoredStage, own_space, stored_stage, usual_inputs
from .results import Cell, Plot, Result, middle, quantile
from .tolerances import STEPS
from .traffic import Gap
from .words import Phrase, Words

__all__ = ["first_audio", "ten_seconds", "time_loads", "time_speech", "time_steps"]

REST = 0.05
TEN_SECONDS = 10.0
_LOADS = ("stage", "isolation", "plan comes from", "median ms", "p95 ms", "first run ms", "plan MB")
_FIRST = "the disk, nothing compiled yet"


def time_loads(card: Card, result: Result) -> None:
    """Opens each engine from each place a plan may wait, and runs it once."""
    precision, rows = card.precisions[0], list[list[Cell]]()
    slowest, slowest_p95 = 0.0, 0.0
    for stage in Stage:
        card.say(f"load: {stage.value}")
        stored = stored_stage(card, stage, precision)
        kept: list[bytes] = []
        for isolation, place, samples, runs in _places(card, stored, kept):
            row = [stage.value, isolation.value, place, middle(samples), quantile(samples, 0.95)]
            rows.append([*row, middle(runs), stored.entry.record.plan_bytes / 1e6])
            if isolation is Isolation.ENGINE and place == "page cache":
                ready = [a + b for a, b in zip(samples, runs, strict=True)]
                slowest = max(slowest, middle(ready))
                slowest_p95 = max(slowest_p95, quantile(ready, 0.95))
    result.numbers |= {"reopen_ms": slowest, "reopen_p95_ms": slowest_p95}
    result.notes.append(
        "reopen: the slowest engine, context and plan of its own, read and verified from the page "
        "cache, until its first run has given its result"
    )
    result.table(f"opening engines, {precision.value}", _LOADS, rows)


Samples = tuple[Isolation, str, list[float], list[float]]


def _places(card: Card, stored: StoredStage, kept: list[bytes]) -> Iterator[Samples]:
    """Openings by isolation and by where the plan is."""
    own, content = (lambda: own_space(card)), stored.plan()
    yield (Isolation.ENGINE, _FIRST, *_opened(stored, stored.plan, own, 1, kept, first=True))
    if _forget_file(stored):
        yield (Isolation.ENGINE, "the disk", *_opened_cold(card, stored, own, kept))
    times = card.counts.opens
    yield (Isolation.ENGINE, "page cache", *_opened(stored, stored.plan, own, times, kept))
    yield (Isolation.ENGINE, "memory", *_opened(stored, lambda: content, own, times, kept))
    shared = SharedSpace(card.driver, card.device)
    try:
        with PinnedBuffer(shared.context, len(content)) as pinned:
            pinned.view[: len(content)] = content
            places: Mapping[str, Callable[[], Content]] = {
                "page cache": stored.plan,
                "memory": lambda: content,
                "pinned": lambda: pinned.content,
            }
            for place, read in places.items():
                found = _opened(stored, read, lambda: shared, times, kept)
                yield (Isolation.SHARED, place, *found)
    finally:
        shared.shut()


def _opened(
    stored: StoredStage,
    read: Callable[[], Content],
    open_space: Callable[[], Space],
    times: int,
    kept: list[bytes],
    *,
    first: bool = False,
) -> tuple[list[float], list[float]]:
    """Milliseconds of opening, and of the first run."""

    def keep(kernels: bytes | None) -> None:
        if kernels:
            kept[:] = [kernels]

    opening, running = [], []
    inputs = usual_inputs(stored.graph)
    for _ in range(times):
        start = time.perf_counter()
        kernels = kept[0] if kept and not first else None
        engine = stored.opened(read, open_space, kernels, keep)
        try:
            opening.append(1e3 * (time.perf_counter() - start))
            start = time.perf_counter()
            engine.run(inputs)
            running.append(1e3 * (time.perf_counter() - start))
        finally:
            engine.close()
    return opening, running


def _opened_cold(
    card: Card, stored: StoredStage, own: Callable[[], Space], kept: list[bytes]
) -> tuple[list[float], list[float]]:
    opening, running = list[float](), list[float]()
    for _ in range(min(card.counts.opens, 5)):
        _forget_file(stored)
        opened, run = _opened(stored, stored.plan, own, 1, kept)
        opening += opened
        running += run
    return opening, running


def _forget_file(stored: StoredStage) -> bool:
    """Asks the system to drop a plan from its page cache; False where it cannot be asked."""
    if not hasattr(os, "posix_fadvise"):
        return False
    handle = os.open(stored.entry.plan_path, os.O_RDONLY)
    try:
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)
    return True


# steps


def time_steps(card: Card, result: Result) -> None:
    """Steps of decoder and durations: as a CUDA graph, queued one by one, and on the CPU."""
    rows: list[list[Cell]] = []
    for precision in card.precisions:
        for stage in (Stage.DECODER_STEP, Stage.DURATION_STEP):
            card.say(f"step: {stage.value}, {precision.value}")
            rows += _timed_stage(card, result, stage, precision)
    result.table(
        "steps in bursts, state on the card",
        ("stage", "precision", "how", "median ms", "p95 ms", "graph launches"),
        rows,
    )


def _timed_stage(
    card: Card, result: Result, stage: Stage, precision: Precision
) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    outputs: dict[str, Array] = {}
    sides: tuple[tuple[str, bool | None], ...] = (
        ("as a CUDA graph", True),
        ("one by one", False),
        ("ONNX Runtime, CPU", None),
    )
    for how, captures in sides:
        watched = None if captures is None else WatchedDriver(card.driver, captures=captures)
        with _session(card, stage, precision, watched) as session:
            outputs[how], samples = _timed_steps(card, session)
        launches = None if watched is None else watched.graph_launches
        low, high = middle(samples), quantile(samples, 0.95)
        rows.append([stage.value, precision.value, how, low, high, launches])
        result.numbers[f"{stage.value} {precision.value} {how} ms"] = low
        if captures and not launches and card.driver.can_capture:
            result.notes.append(f"{stage.value} {precision.value} could not be recorded as a graph")
    gap = Gap()
    gap.add(outputs["as a CUDA graph"], outputs["one by one"])
    tolerance = STEPS[precision]
    result.check(
        f"{stage.value} {precision.value}: a recorded graph computes the same",
        tolerance.admits(gap.relative, gap.decibels),
        f"over {len(outputs['one by one'])} steps it differs by {gap.most:.2g}; "
        f"allowed: {tolerance}",
    )
    return rows


@contextmanager
def _session(
    card: Card, stage: Stage, precision: Precision, watched: WatchedDriver | None
) -> Iterator[Session]:
    manifest = card.manifest
    with ExitStack() as stack:
        if watched is None:
            processor = stack.enter_context(closing(backend_from_name("cpu")))
            session = processor.open(card.voice, manifest.record(stage, Precision.FP32))
        else:
            backend = stack.enter_context(card.backend(watched.as_driver, prefetch=False))
            session = backend.open(card.voice, manifest.record(stage, precision))
        stack.callback(session.close)
        yield session


def _timed_steps(card: Card, session: Session) -> tuple[Array, list[float]]:
    """What the steps gave, and milliseconds per step, burst by burst; the first burst warms up."""
    graph, burst = session.graph, BURST[session.graph.stage]
    window = {name: axis.usual for name, axis in graph.axes.items()}
    steps, samples, outputs = session.steps(window), [], []
    try:
        _extend(steps, graph, window, burst * (card.counts.bursts + 1))
        inputs = _step_inputs(graph, burst)
        for number in range(card.counts.bursts + 1):
            start = time.perf_counter()
            given = steps.advance(inputs)
            if number:
                samples.append(1e3 * (time.perf_counter() - start) / burst)
            outputs.append(next(iter(given.values())))
    finally:
        steps.close()
    return np.concatenate(outputs), samples


def _step_inputs(graph: GraphSpec, burst: int) -> dict[str, Array]:
    """Seeded inputs of a burst; what is fed back or slides is not among them, masks show all."""
    rng, found = np.random.default_rng(0), {}
    for tensor in graph.inputs:
        if tensor.name in FEEDBACK[graph.stage] or tensor.name == SLIDING.get(graph.stage):
            continue
        shape = (burst, *(graph.extent(entry).usual for entry in tensor.shape))
        values = np.zeros(shape) if tensor.name == "mask" else 0.3 * rng.standard_normal(shape)
        found[tensor.name] = values.astype(tensor.dtype)
    return found


def _extend(steps: StepRun, graph: GraphSpec, window: Mapping[str, int], count: int) -> None:
    name = SLIDING.get(graph.stage)
    if name is None:
        return
    tensor, rng = graph.input(name), np.random.default_rng(1)
    rows = rng.standard_normal((count + window["window"], int(tensor.shape[-1])))
    steps.extend((0.3 * rows).astype(tensor.dtype))


# speech


@dataclass
class _Side:
    """One way to speak, and what it took: milliseconds to first audio, and for ten seconds."""

    name: str
    voice: Voice
    first: list[float] = field(default_factory=list)
    ten: list[float] = field(default_factory=list)


def time_speech(card: Card, result: Result) -> None:
    """First audio and ten seconds of speech, paired with ONNX Runtime on the processor."""
    words, rows = Words(card.manifest), list[list[Cell]]()
    result.notes.append(f"speech: {words.source}; ten seconds are scaled from a text near that")
    for number, (precision, isolation) in enumerate(_ways(card)):
        name = f"{precision.value}, {isolation.value}"
        card.say(f"speech: {name}")
        with ExitStack() as stack:
            sides = _sides(card, precision, isolation, stack)
            passage = _ten_seconds(sides[0].voice, words)
            for turn in range(card.counts.rounds + 1):
                for side in sides if turn % 2 else sides[::-1]:
                    _measure(side, words.phrase(), passage, keep=turn > 0)
        rows += _speech_rows(result, name, sides)
        if number == 0:
            _tell_usual(result, sides)
            result.numbers["first_audio_all_cold_ms"] = middle(_cold(card, precision, words))
    result.table(
        f"speech, {card.counts.rounds} paired rounds, {card.threads} threads",
        (
            *("plans", "by", "first audio, median ms", "p95 ms", "10 s of speech, median ms"),
            *("p95 ms", "real-time factor", "CPU's time over it (95 %)"),
        ),
        rows,
    )


def _ways(card: Card) -> list[tuple[Precision, Isolation]]:
    """As a user gets it first; then each alternative on its own."""
    usual = (card.precisions[0], Isolation.ENGINE)
    others = [(precision, Isolation.ENGINE) for precision in card.precisions[1:]]
    return [usual, (card.precisions[0], Isolation.SHARED), *others]


def _sides(card: Card, precision: Precision, isolation: Isolation, stack: ExitStack) -> list[_Side]:
    backend = stack.enter_context(card.backend(isolation=isolation))
    processor = stack.enter_context(closing(backend_from_name("cpu")))
    voices = {
        "TensorRT": open_voice(
            card.voice, backend=backend, precision=precision, threads=card.threads
        ),
        "ONNX Runtime, CPU": open_voice(card.voice, backend=processor, threads=card.threads),
    }
    return [_Side(name, stack.enter_context(voice)) for name, voice in voices.items()]


def _ten_seconds(voice: Voice, words: Words) -> Phrase:
    """As many of eight sentences as come near ten seconds."""
    whole = words.passage(8)
    seconds = voice.say(whole.text, symbols=whole.symbols).seconds
    return words.passage(min(8, math.ceil(8 * TEN_SECONDS / max(seconds, 1e-3))))


def _measure(side: _Side, sentence: Phrase, passage: Phrase, *, keep: bool) -> None:
    time.sleep(REST)
    first = first_audio(side.voice, sentence)
    time.sleep(REST)
    ten = ten_seconds(side.voice, passage)
    if keep:
        side.first.append(first)
        side.ten.append(ten)


def first_audio(voice: Voice, phrase: Phrase) -> float:
    """Milliseconds until the first chunk; the stream is spoken to its end."""
    start = time.perf_counter()
    stream = voice.stream(phrase.text, symbols=phrase.symbols, policy=STREAMING)
    next(iter(stream))
    spent = 1e3 * (time.perf_counter() - start)
    for _ in stream:
        pass
    return spent


def ten_seconds(voice: Voice, phrase: Phrase) -> float:
    """Milliseconds that ten seconds of a phrase take."""
    start = time.perf_counter()
    audio = voice.say(phrase.text, symbols=phrase.symbols)
    spent = 1e3 * (time.perf_counter() - start)
    return spent * TEN_SECONDS / max(audio.seconds, 1e-3)


def _cold(card: Card, precision: Precision, words: Words) -> list[float]:
    """First audio while every engine is still closed."""
    samples = []
    for _ in range(min(card.counts.rounds, 5)):
        with (
            card.backend() as backend,
            open_voice(
                card.voice, backend=backend, precision=precision, threads=card.threads
            ) as voice,
        ):
            samples.append(first_audio(voice, words.phrase()))
    return samples


def _speech_rows(result: Result, name: str, sides: Sequence[_Side]) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    processor = sides[-1]
    for side in sides:
        ratio = None
        if side is not processor:
            pairs = zip(processor.ten, side.ten, strict=True)
            ratio = str(median_interval([a / b for a, b in pairs]))
        first, ten = middle(side.first), middle(side.ten)
        tails = quantile(side.first, 0.95), quantile(side.ten, 0.95)
        factor = ten / 1e3 / TEN_SECONDS
        rows.append([name, side.name, first, tails[0], ten, tails[1], factor, ratio])
    rounds = {
        side.name: [(float(i), ms) for i, ms in enumerate(side.ten, start=1)] for side in sides
    }
    title = f"10 s of speech by round: {name}"
    key = name.replace(", ", "-")
    result.plots.append(Plot(f"speech-{key}", title, "round", "ms", rounds))
    return rows


def _tell_usual(result: Result, sides: Sequence[_Side]) -> None:
    ours = sides[0]
    result.numbers |= {
        "first_audio_ms": middle(ours.first),
        "first_audio_p95_ms": quantile(ours.first, 0.95),
        "ten_seconds_ms": middle(ours.ten),
        "ten_seconds_p95_ms": quantile(ours.ten, 0.95),
        "real_time_factor": middle(ours.ten) / 1e3 / TEN_SECONDS,
    }
