"""How often the gate is wrong where the truth is known: made-up times, judged as measured ones.

    cd scripts && python -m regression.simulation --comparisons 1000

The noise of a comparison is drawn anew: what a shared machine of few cores does, from mild to bad.
It says how the rule works out for numbers of sessions and rounds; what a real machine does to it is
for the gate's own experiment, with planted faults.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .catalogue import Better, Gate, Metric, Scale
from .gate import SECOND_LOOK, Verdict, confirmed, judge, suspects
from .record import Samples
from .warmup import warm_up_rounds

__all__ = ["Noise", "Rates", "made_up", "rates"]

Array = NDArray[np.float64]
METRIC = Metric(
    name="made.up.seconds",
    suite="made up",
    title="made-up times",
    unit="s",
    better=Better.LOWER,
    gate=Gate.PAIRED,
    scale=Scale.RATIO,
    tolerance=0.04,
    how="simulation.py",
    look="",
)


@dataclass(frozen=True)
class Noise:
    """What makes a time differ from round to round; logarithms of factors unless said otherwise.

    Attributes:
        jitter: scatter of single values, one number of this range per comparison.
        offset: scatter of what a process has for its life, likewise.
        load: scatter of the machine's load, `memory` of which stays from value to value.
        drift: most that the machine becomes slower or faster over a session.
        spikes: share of values that take two to five times as long.
        warm_up: how much longer the first round takes, and after how many it is a third of that.
    """

    jitter: tuple[float, float] = (0.03, 0.10)
    offset: tuple[float, float] = (0.01, 0.02)
    load: float = 0.03
    memory: float = 0.9
    drift: float = 0.05
    spikes: float = 0.02
    warm_up: tuple[float, float] = (0.3, 1.5)


@dataclass(frozen=True)
class Rates:
    """What became of comparisons, as shares; `covered` is how many first intervals hold the truth.

    Attributes:
        first: red by one look alone, were there no second.
        again: how many were measured a second time.
        red: worse in the end.
    """

    comparisons: int
    covered: float
    first: float
    again: float
    red: float


def made_up(
    noise: Noise, sessions: int, rounds: int, effect: float, chance: np.random.Generator
) -> tuple[Samples, Samples]:
    """Base and candidate, measured in turn; the candidate takes `effect` longer."""
    jitter, offset = chance.uniform(*noise.jitter), chance.uniform(*noise.offset)
    pairs = [_session(noise, rounds, jitter, offset, chance) for _ in range(sessions)]
    factors = np.array([1.0, 1 + effect])
    table = [[2e-3 * factors[side] * np.exp(pair[:, side]) for pair in pairs] for side in (0, 1)]
    cuts = [warm_up_rounds([one, two]) for one, two in zip(*table, strict=True)]
    base, candidate = (
        Samples(tuple(tuple(v[cut:].tolist()) for v, cut in zip(side, cuts, strict=True)))
        for side in table
    )
    return base, candidate


def rates(
    sessions: int,
    rounds: int,
    effect: float,
    comparisons: int,
    *,
    noise: Noise | None = None,
    metric: Metric = METRIC,
    seed: int = 0,
) -> Rates:
    """What the gate says of so many comparisons."""
    chance = np.random.default_rng([seed, sessions, rounds])
    ends = list[tuple[bool, bool, bool, bool]]()
    for _ in range(comparisons):
        first, last, again = _judged(noise or Noise(), sessions, rounds, effect, metric, chance)
        change = first.change
        covered = change is not None and change.low <= 1 + effect <= change.high
        ends.append((covered, first.failed, again, last.failed))
    return Rates(comparisons, *np.mean(ends, axis=0).tolist())


def _judged(
    noise: Noise,
    sessions: int,
    rounds: int,
    effect: float,
    metric: Metric,
    chance: np.random.Generator,
) -> tuple[Verdict, Verdict, bool]:
    """The first look's verdict, the last one, and whether there was a second look."""
    looks = [made_up(noise, sessions, rounds, effect, chance)]
    first = judge(metric, *looks[0])
    if not suspects([first]):
        return first, first, False
    looks.append(made_up(noise, SECOND_LOOK * sessions, rounds, effect, chance))
    both = [Samples(one.sessions + two.sessions) for one, two in zip(*looks, strict=True)]
    return first, confirmed(first, judge(metric, *looks[1]), judge(metric, *both)), True


def _session(
    noise: Noise, rounds: int, jitter: float, offset: float, chance: np.random.Generator
) -> Array:
    """Logarithms [rounds, 2] of what a pair of processes measures, in the order of time."""
    times = _load(noise, 2 * rounds, chance) + _drift(noise, 2 * rounds, chance)
    pairs = times.reshape(rounds, 2)
    swapped = chance.random(rounds) < 0.5
    pairs[swapped] = pairs[swapped, ::-1]
    size, length = noise.warm_up
    pairs += np.log1p(size * np.exp(-np.arange(rounds) / length))[:, None]
    pairs += offset * chance.standard_normal(2)
    pairs += jitter * chance.standard_normal(pairs.shape)
    spikes = np.log(chance.uniform(2, 5, pairs.shape))
    found: Array = pairs + np.where(chance.random(pairs.shape) < noise.spikes, spikes, 0.0)
    return found


def _load(noise: Noise, count: int, chance: np.random.Generator) -> Array:
    fresh = noise.load * math.sqrt(1 - noise.memory**2) * chance.standard_normal(count)
    found = np.empty(count)
    level = noise.load * float(chance.standard_normal())
    for place in range(count):
        level = noise.memory * level + fresh[place]
        found[place] = level
    return found


def _drift(noise: Noise, count: int, chance: np.random.Generator) -> Array:
    time = np.linspace(0, 1, count)
    slope, wave = chance.uniform(-noise.drift, noise.drift, 2)
    found: Array = slope * time + wave * np.sin(2 * np.pi * (time * 1.5 + chance.random()))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a table; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--comparisons", type=int, default=1000, metavar="N")
    parser.add_argument("--effect", type=float, default=0.10, help="of the slower candidate (0.10)")
    parser.add_argument("--tolerance", type=float, default=METRIC.tolerance)
    parser.add_argument("--design", action="append", metavar="SxR", help="sessions and rounds")
    parser.add_argument("--jitter", type=float, nargs=2, default=Noise.jitter)
    options = parser.parse_args(arguments)
    metric = replace(METRIC, tolerance=options.tolerance)
    noise = Noise(jitter=tuple(options.jitter))
    print("| sessions x rounds | truth | interval holds it | one look red | second look | red |")
    print("|---|---|---|---|---|---|")
    for sessions, rounds in _designs(options.design or ["5x15", "3x25", "2x10", "6x1"]):
        for effect in (0.0, options.effect):
            found = rates(sessions, rounds, effect, options.comparisons, noise=noise, metric=metric)
            shares = (found.covered, found.first, found.again, found.red)
            cells = " | ".join(f"{100 * share:.1f} %" for share in shares)
            print(f"| {sessions} x {rounds} | {100 * effect:+.0f} % | {cells} |", flush=True)
    return 0


def _designs(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    for design in texts:
        sessions, _, rounds = design.partition("x")
        yield int(sessions), int(rounds)


if __name__ == "__main__":
    sys.exit(main())
