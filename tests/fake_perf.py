"""A performance report, made up: every verdict, a crash, a skip, bad text, and a history of it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from regression.catalogue import Catalogue
    from regression.record import Identity, Record, Samples, Side
    from regression.report import Report

BAD = (
    "<script>alert('x')</script> & | **bold** [link](javascript:alert(1)) `code` \x1b[31m\x00 @you"
)
MACHINE: Mapping[str, Any] = {
    "id": "0badcafe",
    "processor": "Processor of tests",
    "cores": 2,
    "load": [0.1, 0.1, 0.1],
    "pace": 0.001,
    "governor": "performance",
    "versions": {"numpy": "2.0"},
}
SECONDS = {
    "stage.vocoder.seconds": (0.00421, 1.12),
    "stage.decoder_step.seconds": (0.0006, 1.0),
    "stage.postnet.seconds": (0.0021, 0.8),
    "speech.first.seconds": (0.031, 1.07),
    "speech.short.factor": (0.12, 1.01),
    "text.rate": (15_000.0, 1.0),
}
EXACT = {
    "graph.vocoder.nodes": (719, 720),
    "graph.vocoder.bytes": (1_834_112, 1_834_112),
    "install.bytes": (171_000_000, 160_000_000),
    "voice.bytes": (4_100_000, 4_110_000),
}


def undemanding() -> Catalogue:
    """The catalogue, but no suite has to give anything: a test says what is measured."""
    from regression.catalogue import Catalogue, catalogue_from_file

    metrics = catalogue_from_file().metrics
    return Catalogue(tuple(replace(metric, optional="in tests") for metric in metrics))


def samples_of(sessions: list[list[float]]) -> Samples:
    """Samples by session."""
    from regression.record import Samples

    return Samples(tuple(map(tuple, sessions)))


def timed(seed: int, sessions: int = 3, rounds: int = 25) -> tuple[dict[str, Samples], ...]:
    """Samples of base and candidate, a few per cent of noise."""
    chance = random.Random(seed)
    sides: tuple[dict[str, Samples], ...] = ({}, {})
    for name, (value, factor) in SECONDS.items():
        spread = 0.15 if name == "speech.first.seconds" else 0.02
        for side, times in zip(sides, (1.0, factor), strict=True):
            side[name] = samples_of(
                [
                    [value * times * (1 + abs(chance.gauss(0, spread))) for _ in range(rounds)]
                    for _ in range(sessions)
                ]
            )
    return sides


def identity() -> Identity:
    """Of a voice that is not there."""
    from regression.record import Identity

    return Identity("demo", "0123456789abcdef", "fp32", "cpu (onnxruntime 1.23)", 1)


def sides(seed: int = 0) -> tuple[Side, Side]:
    """Base and candidate."""
    from regression.record import Side

    base, candidate = timed(seed)
    for name, (one, two) in EXACT.items():
        base[name], candidate[name] = samples_of([[float(one)]]), samples_of([[float(two)]])
    base["graph.postnet.nodes"] = samples_of([[99.0]])
    candidate["calls.text"] = samples_of([[1200.0]])
    return (
        Side("main", "a" * 40, False, identity(), base),
        Side("working tree", "b" * 40, True, identity(), candidate, (f"declares {BAD}",)),
    )


def record(seed: int = 0, **changes: object) -> Record:
    """A whole run."""
    from regression.record import Record, SuiteOutcome, SuiteStatus

    base, candidate = sides(seed)
    outcomes = (
        SuiteOutcome("graphs", SuiteStatus.MEASURED, 7.9),
        SuiteOutcome("plans", SuiteStatus.SKIPPED, 0.4, "TensorRT for RTX is not installed"),
        SuiteOutcome("load", SuiteStatus.CRASHED, 1.2, f"base: ended by SIGSEGV\n{BAD}\nthe end"),
        SuiteOutcome("stages", SuiteStatus.MEASURED, 81.0),
        SuiteOutcome("speech", SuiteStatus.MEASURED, 44.2),
    )
    found = Record(
        "2026-01-02T03:04:05+00:00",
        ("python", "scripts/perf.py", "compare", "--base", "main"),
        MACHINE,
        {**MACHINE, "load": [1.0, 0.4, 0.2]},
        candidate,
        base,
        outcomes,
        timed(seed + 1, sessions=6),
    )
    return replace(found, **changes)


def report(found: Record | None = None, **changes: object) -> Report:
    """A judged run."""
    return replace(_usual() if found is None else _judged(found), **changes)


@cache
def _usual() -> Report:
    return _judged(record())


def _judged(found: Record) -> Report:
    from regression.catalogue import catalogue_from_file
    from regression.gate import exit_status, verdicts_from_record
    from regression.report import Report

    catalogue = catalogue_from_file()
    verdicts = verdicts_from_record(found, catalogue)
    status = exit_status(verdicts, found.outcomes)
    return Report(found, catalogue, verdicts, status, (f"a remark: {BAD}",))


def quiet_record(seed: int = 0, **changes: object) -> Record:
    """A run in which nothing changed."""
    from regression.record import SuiteOutcome, SuiteStatus

    base, _ = sides(seed)
    found = record(seed, outcomes=(SuiteOutcome("stages", SuiteStatus.MEASURED, 40.0),))
    candidate = replace(found.candidate, values=base.values, notes=())
    return replace(found, candidate=candidate, second_look=None, **changes)


def history(runs: int = 8) -> tuple[Record, ...]:
    """Runs of two machines in turn."""
    return tuple(
        record(
            number,
            started=f"2026-01-{number + 1:02}T03:04:05+00:00",
            machine={**MACHINE, "id": "00000001" if number % 3 else "00000002"},
        )
        for number in range(runs)
    )
