"""Which suites there are, in the order they run: what is exact and quick first."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sambert_trt.engines.errors import InputError

from .suite import Suite

__all__ = ["SUITES", "suites_from_names"]

SUITES = (
    Suite("install", "what is installed and imported", "install", 1, 1, seconds=8),
    Suite("graphs", "nodes, kernels, operations and bytes of the voice", "graphs", 1, 1, seconds=6),
    Suite("calls", "calls of the hot loops", "calls", 1, 1, seconds=5),
    Suite("allocation", "what Python allocates and keeps", "allocation", 1, 1, seconds=10),
    Suite("plans", "TensorRT plans: layers, bytes, scratch", "plans", 1, 1, seconds=12),
    Suite("reading", "what is read right", "reading", 1, 1, seconds=2),
    Suite("quality", "how speech compares with the torch reference", "quality", 1, 1, seconds=25),
    Suite("memory", "memory of a process that speaks", "memory", 3, 1, seconds=30),
    Suite("start", "a fresh process until it can speak", "start", 2, 10, seconds=26),
    Suite("load", "opening and closing each stage", "load", 2, 56, seconds=15),
    Suite("stages", "one call of each stage", "stages", 5, 105, seconds=50),
    Suite("speech", "sentences, streams and their first audio", "speech", 2, 30, seconds=30),
    Suite("throughput", "several speakers at once", "throughput", 2, 15, seconds=20),
    Suite("export", "exporting the voice", "export", 4, 1, 60, True),
    Suite("reference", "the torch reference and other systems", "reference", 1, 8, 30, True),
    Suite("syllables", "what a recogniser hears", "syllables", 1, 1, 120, True),
    Suite("instructions", "instructions under callgrind", "instructions", 1, 1, 100, True),
    Suite("calibration", "calibrating the voice", "calibration", 1, 1, 900, True),
)
"""Seconds are for both sides, on two cores, with the demo voice."""


def suites_from_names(names: Collection[str], *, full: bool = False) -> Sequence[Suite]:
    """The suites of these names; without names all that need not be asked for, or with `full` all.

    Raises:
        InputError: a name is unknown.
    """
    unknown = sorted(set(names) - {suite.name for suite in SUITES})
    if unknown:
        known = ", ".join(suite.name for suite in SUITES)
        raise InputError(f"no suite {', '.join(unknown)}; there are {known}")
    if names:
        return [suite for suite in SUITES if suite.name in names]
    return [suite for suite in SUITES if full or not suite.by_choice]
