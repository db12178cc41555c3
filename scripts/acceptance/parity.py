"""Sections `parity` and `streaming`: what the card computes is what ONNX Runtime computes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, closing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.graphs import GraphSpec, Precision, Stage
from sambert_trt.runtime import OFFLINE, STREAMING, ChunkPolicy, Voice, backend_from_name
from sambert_trt.runtime.backend import Session
from sambert_trt.runtime.trt_backend import TrtBackend
from sambert_trt.runtime.voice import open_voice

from .card import Card
from .results import Cell, Result
from .tolerances import CHUNKS, MELS, RUNS, STEPS, WAVES, Tolerance
from .traffic import Gap, Gaps, RecordingBackend, Traffic, replayed
from .words import Words

__all__ = ["compare_speech", "compare_stages", "speech_gap"]

Trace = dict[str, NDArray[Any]]
_GAPS = ("stage", "tensor", "largest difference", "of the largest", "dB", "allowed")
_SMALL = ChunkPolicy(first=6, growth=1.5, most=20)
_TIPPED_MOST = 0.05
"""Share of symbols whose duration rounding may tip over by one frame below fp32."""


def compare_stages(card: Card, result: Result) -> None:
    """Every stage on the inputs it meets in seeded sentences of several lengths."""
    words = Words(card.manifest)
    result.notes.append(f"sentences: {words.source}, seeded, {_listed(card.counts.lengths)} long")
    _tell_reasons(result, card, {"one run": RUNS, "steps": STEPS})
    for precision in card.precisions:
        with ExitStack() as stack:
            backend = stack.enter_context(card.backend())
            sessions = _sessions(card, backend, precision, stack)
            graphs = {stage: session.graph for stage, session in sessions.items()}
            card.say(f"parity, {precision.value}: speaking with ONNX Runtime")
            traffic = _recorded(card, words, graphs)
            rows: list[list[Cell]] = []
            for stage, session in sessions.items():
                card.say(f"parity, {precision.value}: {stage.value}")
                rows += _compared(result, precision, session, traffic[stage])
            result.table(f"{precision.value} against ONNX Runtime in fp32", _GAPS, rows)
            _tell_sizes(result, precision, traffic, graphs)


def compare_speech(card: Card, result: Result) -> None:
    """Chunked speech equals whole speech, and both are ONNX Runtime's speech."""
    words = Words(card.manifest)
    _tell_reasons(result, card, {"chunks": CHUNKS, "the mel": MELS, "the wave": WAVES})
    lines = [words.sentence(), words.line(_longest(card.counts.lengths), seed=1)]
    with closing(backend_from_name("cpu")) as processor, ExitStack() as stack:
        reference = stack.enter_context(open_voice(card.voice, backend=processor))
        expected = [_traced(reference, line) for line in lines]
        for precision in card.precisions:
            with card.backend() as backend, _voice(card, backend, precision) as voice:
                for number, line in enumerate(lines):
                    card.say(f"streaming, {precision.value}: sentence {number + 1}")
                    name = f"{precision.value}, sentence {number + 1}"
                    found = _traced(voice, line)
                    _check_chunks(result, name, voice, line, found, CHUNKS[precision], number)
                    _check_same(result, name, found, expected[number], precision, card)


def speech_gap(found: NDArray[Any], expected: NDArray[Any]) -> Gap:
    """The gap of two arrays."""
    gap = Gap()
    gap.add(found, expected)
    return gap


def _sessions(
    card: Card, backend: TrtBackend, precision: Precision, stack: ExitStack
) -> dict[Stage, Session]:
    manifest, sessions = card.manifest, {}
    for stage in Stage:
        session = backend.open(card.voice, manifest.record(stage, precision))
        stack.callback(session.close)
        sessions[stage] = session
    return sessions


def _recorded(
    card: Card, words: Words, graphs: Mapping[Stage, GraphSpec]
) -> Mapping[Stage, Traffic]:
    """What ONNX Runtime is asked and answers for the seeded sentences, within the plans' sizes."""
    most = graphs[Stage.TEXT_ENCODER].axes["symbols"].most
    recorder = RecordingBackend(backend_from_name("cpu"), graphs)
    with closing(recorder), open_voice(card.voice, backend=recorder) as voice:
        for seed, length in enumerate(card.counts.lengths):
            line = words.line(min(length, most), seed)
            for policy in (OFFLINE, STREAMING) if seed % 2 else (OFFLINE,):
                voice.say(symbols=line, policy=policy)
    return recorder.traffic


def _compared(
    result: Result, precision: Precision, session: Session, traffic: Traffic
) -> list[list[Cell]]:
    """Asks a stage on the card again; one check, and a row for each tensor."""
    stage = session.graph.stage.value
    runs, steps = replayed(session, traffic)
    pairs = ((runs, RUNS[precision], ""), (steps, STEPS[precision], ", steps"))
    rows: list[list[Cell]] = []
    for gaps, tolerance, what in pairs:
        if gaps:
            count = sum(sequence.steps for sequence in traffic.sequences)
            named = f"{precision.value} {stage}{what}{f' ({count})' if what else ''}"
            _check_gaps(result, named, gaps, tolerance)
            rows += _rows(f"{stage}{what}", gaps, tolerance)
    return rows


def _check_gaps(result: Result, name: str, gaps: Gaps, tolerance: Tolerance) -> None:
    worst = max(gaps, key=lambda tensor: gaps[tensor].relative)
    gap = gaps[worst]
    passed = all(tolerance.admits(g.relative, g.decibels) for g in gaps.values())
    result.check(
        name,
        passed,
        f"{worst} differs by {gap.most:.2g}, {gap.relative:.2g} of the largest, "
        f"{gap.decibels:.0f} dB; allowed: {tolerance}",
    )


def _rows(stage: str, gaps: Gaps, tolerance: Tolerance) -> list[list[Cell]]:
    return [
        [stage, tensor, gap.most, gap.relative, _decibels(gap), str(tolerance)]
        for tensor, gap in gaps.items()
    ]


def _tell_sizes(
    result: Result,
    precision: Precision,
    traffic: Mapping[Stage, Traffic],
    graphs: Mapping[Stage, GraphSpec],
) -> None:
    rows: list[list[Cell]] = []
    for stage, graph in graphs.items():
        for axis, (least, most) in traffic[stage].sizes(graph).items():
            extent = graph.axes[axis]
            rows.append(
                [stage.value, axis, f"{least} to {most}", f"{extent.least} to {extent.most}"]
            )
    result.table(
        f"sizes that were asked for, {precision.value}", ("stage", "axis", "asked", "plan"), rows
    )


def _voice(card: Card, backend: TrtBackend, precision: Precision) -> Voice:
    return open_voice(card.voice, backend=backend, precision=precision, threads=card.threads)


def _traced(voice: Voice, line: str) -> Trace:
    trace: Trace = {}
    trace["wav"] = voice.say(symbols=line, trace=trace).samples
    return trace


def _policies(number: int) -> tuple[ChunkPolicy, ...]:
    """Two fixed policies and two seeded ones."""
    rng = np.random.default_rng(number)
    seeded = [
        ChunkPolicy(int(rng.integers(1, 60)), float(rng.uniform(1, 3)), int(rng.integers(60, 200)))
        for _ in range(2)
    ]
    return (STREAMING, _SMALL, *seeded)


def _check_chunks(
    result: Result,
    name: str,
    voice: Voice,
    line: str,
    whole: Trace,
    tolerance: Tolerance,
    number: int,
) -> None:
    worst, counts = Gap(), []
    for policy in _policies(number):
        chunks = [chunk.samples for chunk in voice.stream(symbols=line, policy=policy)]
        counts.append(len(chunks))
        gap = speech_gap(np.concatenate(chunks), whole["wav"])
        worst = max(worst, gap, key=lambda g: g.relative)
    result.check(
        f"{name}: chunked equals whole",
        tolerance.admits(worst.relative, worst.decibels) and max(counts) > 1,
        f"{_listed(counts)} chunks; differs by {worst.most:.2g}, {worst.relative:.2g} of the "
        f"largest, {worst.decibels:.0f} dB; allowed: {tolerance}",
    )


def _check_same(
    result: Result, name: str, found: Trace, expected: Trace, precision: Precision, card: Card
) -> None:
    """Durations, then mel, then the wave, against ONNX Runtime."""
    same = _check_durations(result, name, found, expected, precision)
    if not same:
        result.notes.append(
            f"{name}: durations differ, so mel and wave cannot be compared frame by frame"
        )
        return
    _check_gaps(
        result,
        f"{name}: mel is ONNX Runtime's",
        {"mel": speech_gap(found["0/mel_final"], expected["0/mel_final"])},
        MELS[precision],
    )
    if card.manifest.f0 is not None and precision is not Precision.FP32:
        result.notes.append(
            f"{name}: the wave is not compared: its phase is f0 summed up, and rounding adds up too"
        )
        return
    wave = speech_gap(found["wav"], expected["wav"])
    _check_gaps(result, f"{name}: the wave is ONNX Runtime's", {"wave": wave}, WAVES[precision])


def _check_durations(
    result: Result, name: str, found: Trace, expected: Trace, precision: Precision
) -> bool:
    """Whether durations are the same; in fp32 they have to be, below nearly."""
    ours, theirs = found["0/durations"], expected["0/durations"]
    if ours.shape != theirs.shape:
        result.check(f"{name}: durations", False, f"{ours.shape} symbols, not {theirs.shape}")
        return False
    gaps = np.abs(ours.astype(np.int64) - theirs)
    different = int((gaps > 0).sum())
    exact = precision is Precision.FP32
    allowed = 0 if exact else max(1, int(_TIPPED_MOST * len(gaps)))
    result.check(
        f"{name}: durations {'are' if exact else 'are nearly'} ONNX Runtime's",
        different <= allowed and int(gaps.max(initial=0)) <= (0 if exact else 1),
        f"{different} of {len(gaps)} differ, by {int(gaps.max(initial=0))} frames at most; "
        f"allowed: {allowed}",
    )
    return different == 0


def _decibels(gap: Gap) -> Cell:
    return "the same" if gap.most == 0 else gap.decibels


def _tell_reasons(
    result: Result, card: Card, kinds: Mapping[str, Mapping[Precision, Tolerance]]
) -> None:
    """What is allowed, and why."""
    rows = [
        (what, precision.value, str(kind[precision]), kind[precision].reason)
        for precision in card.precisions
        for what, kind in kinds.items()
    ]
    result.table("what is allowed, and why", ("of", "precision", "allowed", "because"), rows)


def _longest(lengths: tuple[int, ...]) -> int:
    return min(max(lengths), 120)


def _listed(numbers: list[int] | tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))
