"""What a reader should know of a run: what changed or disturbed it, and what one side lacks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .machine import cautions, differences
from .record import Record

__all__ = ["clocks_changed", "half_measured", "machine_remarks"]


def machine_remarks(record: Record) -> Iterator[str]:
    """What changed during the run, and what disturbed it before or after."""
    changed = differences(record.machine, record.machine_after)
    yield from (f"the machine changed during the run: {text}" for text in changed)
    if clocks_changed(record):
        yield "so times that look worse are unusable, and what became of the others stays undecided"
    yield from (f"at the start, {text}" for text in cautions(record.machine))
    yield from (f"at the end, {text}" for text in cautions(_without_own(record)))


def clocks_changed(record: Record) -> tuple[str, ...]:
    """What somebody or the heat changed of how fast the machine is.

    The pace of a loop is told and not among it: on a virtual machine it is the neighbours', comes
    and goes within seconds, and meets alike what takes turns.
    """
    ends = (record.machine, record.machine_after)
    told = ("versions", "pace")
    return differences(*({n: v for n, v in end.items() if n not in told} for end in ends))


def _without_own(record: Record) -> dict[str, Any]:
    """The machine at the end, its load less what this run itself was."""
    load = record.machine_after.get("load") or [0.0]
    own = record.candidate.identity.threads if record.candidate.identity else 1
    return {**record.machine_after, "load": [round(max(value - own, 0.0), 2) for value in load]}


def half_measured(record: Record) -> list[str]:
    """Suites that only one side could be measured by."""
    return [
        f"suite {outcome.name}: {outcome.reason}" for outcome in record.outcomes if outcome.halved
    ]
