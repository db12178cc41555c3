"""Which suites there are, in the order they run: what is exact and quick first."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sambert_trt.engines.errors import InputError

from .suite import Suite

__all__ = ["SUITES", "suites_from_names"]

SUITES = (
    Suite("install", "what is installed and imported", 1, 1, 4, together=True),
    Suite("graphs", "nodes, kernels, operations, bytes", 1, 1, 4, together=True),
    Suite("calls", "calls of the hot loops", 1, 1, 4, together=True),
    Suite("allocation", "what Python allocates and keeps", 1, 1, 8, together=True),
    Suite("plans", "TensorRT plans: layers, bytes, scratch", 1, 1, 8, together=True),
    Suite("reading", "what is read right", 1, 1, 1, together=True),
    Suite("quality", "speech beside the torch reference's", 1, 1, 12, together=True),
    Suite("manner", "pitch, and what emotions change", 1, 1, 6, together=True),
    Suite("memory", "memory of a process that speaks", 3, 1, 24, together=True),
    Suite("start", "a fresh process until it can speak", 7, 2, 36),
    Suite("load", "opening and closing each stage", 2, 56, 14),
    Suite("stages", "one call of each stage", 5, 105, 45),
    Suite("speech", "sentences, streams and their first audio", 2, 21, 40),
    Suite("throughput", "several speakers at once", 2, 15, 20),
    Suite("export", "exporting the voice", 4, 1, 60, by_choice=True),
    Suite("reference", "beside the torch reference and others", 1, 6, 16, compared=False),
    Suite("syllables", "what a recogniser hears", 1, 1, 120, by_choice=True, together=True),
    Suite("instructions", "under callgrind", 1, 1, 100, by_choice=True, together=True),
    Suite("calibration", "calibrating the voice", 1, 1, 900, by_choice=True),
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
