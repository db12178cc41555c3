"""The gate tried on itself: a tree against itself, with and without a fault planted in one side.

Each trial is a whole comparison as `perf.py compare` makes it, in new processes and with a seed of
its own. Trials are kept in a file as they end, and one that is there is not made again: a long
experiment can be broken off and continued. All of a file are of one revision and one way of
speaking; only the machines may differ, and are told.
"""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sambert_trt.engines.errors import InputError

from .gate import ExitStatus, Status
from .machine import machine_name
from .record import Identity
from .registry import suites_from_names
from .report import Report

__all__ = [
    "FAULTS",
    "Fault",
    "Trial",
    "circumstances",
    "fault_from_text",
    "interval",
    "reached",
    "results",
    "run_trials",
    "trials_from_file",
]

NOTHING = "none"


@dataclass(frozen=True)
class Fault:
    """What is planted, where it is looked for, and how often the gate has to be right.

    Attributes:
        plant: as plant.py reads it; "" nothing.
        suites: those that are measured.
        shows: how the names of metrics begin of which one has to turn red; () where none may.
        wanted: share of the trials that have to end as they should.
    """

    plant: str
    suites: tuple[str, ...]
    shows: tuple[str, ...]
    wanted: float

    @property
    def name(self) -> str:
        """For people and files."""
        return self.plant or NOTHING


FAULTS = (
    Fault("", tuple(suite.name for suite in suites_from_names(())), (), 0.99),
    Fault("slow:vocoder:0.10", ("stages",), ("stage.vocoder.",), 0.95),
    Fault("slow:decoder_step:0.10", ("stages",), ("stage.decoder_step.",), 0.95),
    Fault("leak:5MB", ("allocation", "memory"), ("memory.",), 0.95),
)


@dataclass(frozen=True)
class Trial:
    """How one comparison ended.

    Attributes:
        fault: its name.
        number: from 0 on; the seed.
        status: as `perf.py compare` would have ended.
        failed: names of the metrics that turned red.
        undecided: how many were left open.
        again: suites that were measured a second time.
        seconds: of the whole comparison.
        load: of the machine over its last minute, at the end; not a number where it is unknown.
        machine: where it was made.
        circumstances: as the function of this name gives them.
    """

    fault: str
    number: int
    status: int
    failed: tuple[str, ...]
    undecided: int
    again: tuple[str, ...]
    seconds: float
    load: float
    machine: str
    circumstances: Mapping[str, Any]

    def right(self, fault: Fault) -> bool:
        """Whether the gate did what it should: red for the fault, or green without one."""
        if not fault.shows:
            return self.status == ExitStatus.GREEN
        return any(name.startswith(fault.shows) for name in self.failed)


Compare = Callable[[Fault, int], Report]


def circumstances(revision: str, identity: Identity | None) -> dict[str, Any]:
    """What has to be the same of all trials of an experiment, by name."""
    return {"revision": revision, **(asdict(identity) if identity else {})}


def fault_from_text(text: str) -> Fault:
    """A fault by name.

    Raises:
        InputError: there is none of this name.
    """
    for fault in FAULTS:
        if text == fault.name:
            return fault
    raise InputError(f"no fault {text!r}; there are {', '.join(one.name for one in FAULTS)}")


def run_trials(
    path: Path,
    faults: Sequence[Fault],
    numbers: Sequence[int],
    wanted: Mapping[str, Any],
    compare: Compare,
    say: Callable[[str], None],
) -> dict[str, list[Trial]]:
    """Makes the trials that the file lacks, all faults in turn; returns all of them by fault.

    Args:
        path: one trial a line; each is written when it has ended.
        numbers: of the trials of each fault.
        wanted: the circumstances of the trials that are made now.

    Raises:
        InputError: the file holds something else, or trials of other circumstances.
        OSError: it cannot be written.
    """
    known = {(one.fault, one.number): one for one in trials_from_file(path)}
    for trial in known.values():
        _check_alike(path, trial, wanted)
    for number in numbers:
        for fault in faults:
            if (fault.name, number) not in known:
                say(f"{fault.name}, trial {number}, to {numbers[-1]}\n")
                trial = _trial(fault, number, compare(fault, number))
                _append(path, trial)
                known[fault.name, number] = trial
    return {fault.name: [known[fault.name, number] for number in numbers] for fault in faults}


def _check_alike(path: Path, trial: Trial, wanted: Mapping[str, Any]) -> None:
    """Refuses to count trials of other trees or voices together."""
    known = trial.circumstances
    differing = [
        f"{name} {known.get(name, 'unknown')} there and {wanted.get(name, 'unknown')} now"
        for name in dict.fromkeys((*known, *wanted))
        if known.get(name) != wanted.get(name)
    ]
    if differing:
        raise InputError(
            f"{path}: trial {trial.number} of {trial.fault} cannot be counted with those of this "
            f"tree: {'; '.join(differing)}. Make them alike, or name another file"
        )


def results(found: Mapping[str, Sequence[Trial]], faults: Sequence[Fault]) -> Iterator[str]:
    """The table for people, as Markdown."""
    yield "| planted | trials | as it should be | 95 % interval | wanted | seconds each |"
    yield "|---|---|---|---|---|---|"
    for fault in faults:
        trials = found[fault.name]
        right = sum(trial.right(fault) for trial in trials)
        low, high = interval(right, len(trials))
        yield (
            f"| {fault.name} | {len(trials)} | {right} {'red' if fault.shows else 'green'} "
            f"| {low:.1%} to {high:.1%} | {fault.wanted:.0%} "
            f"| {statistics.median(trial.seconds for trial in trials):.0f} |"
        )
    yield ""
    for fault in faults:
        yield from _details(fault, found[fault.name])
    machines = Counter(trial.machine for fault in faults for trial in found[fault.name])
    yield f"* trials by machine: {_counted(machines)}"


def reached(found: Mapping[str, Sequence[Trial]], faults: Sequence[Fault]) -> bool:
    """Whether the gate was right often enough, for every fault."""
    return all(
        sum(trial.right(fault) for trial in found[fault.name])
        >= math.ceil(fault.wanted * len(found[fault.name]))
        for fault in faults
    )


def interval(right: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927).

    (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)
    """
    z, share = statistics.NormalDist().inv_cdf(0.975), right / count
    centre = share + z * z / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    whole = 1 + z * z / count
    return max((centre - half) / whole, 0.0), min((centre + half) / whole, 1.0)


def trials_from_file(path: Path) -> list[Trial]:
    """The trials of a file; none where there is no file.

    Raises:
        InputError: a line is no trial.
    """
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [_trial_from_line(path, place, line) for place, line in enumerate(lines, start=1)]


def _trial_from_line(path: Path, place: int, line: str) -> Trial:
    try:
        found: dict[str, Any] = json.loads(line)
        found.update({name: tuple(found[name]) for name in ("failed", "again")})
        return Trial(**found)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"{path}, line {place} is no trial ({error}): take the line out, or name another file"
        ) from error


def _trial(fault: Fault, number: int, report: Report) -> Trial:
    record = report.record
    again = record.second_look[0] if record.second_look else {}
    return Trial(
        fault=fault.name,
        number=number,
        status=int(report.status),
        failed=tuple(verdict.name for verdict in report.verdicts if verdict.failed),
        undecided=len(report.of(Status.UNDECIDED)),
        again=tuple(sorted({report.catalogue.metric(name).suite for name in again})),
        seconds=round(report.seconds, 1),
        load=(record.machine_after.get("load") or [math.nan])[0],
        machine=machine_name(record.machine),
        circumstances=circumstances(record.candidate.revision, record.candidate.identity),
    )


def _append(path: Path, trial: Trial) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(trial)) + "\n")


def _details(fault: Fault, trials: Sequence[Trial]) -> Iterator[str]:
    """What turned red, what was measured twice, and what was left open."""
    red = Counter(name for trial in trials for name in trial.failed)
    again = Counter(name for trial in trials for name in trial.again)
    unmeasured = sum(trial.status == ExitStatus.NOT_MEASURED for trial in trials)
    undecided = statistics.mean(trial.undecided for trial in trials)
    yield (
        f"* {fault.name} ({', '.join(fault.suites)}): red {_counted(red)}; "
        f"measured twice {_counted(again)}; {undecided:.1f} metrics undecided on average"
        + (f"; {unmeasured} trials could not be measured" if unmeasured else "")
    )


def _counted(names: Counter[str]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in names.most_common()) or "nothing"
