"""Which treatments together gain most: a frontier by prediction, a place on it by judgement.

Each treatment was measured alone; what several cost together is predicted by their sum, and how far
the truth is from the sum is found out on the way. Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sambert_trt.engines.graphs import Stage

from .recipe import Treatment

__all__ = ["Mix", "Pick", "frontier", "largest_admitted"]

_POINTS = 2000
"""How many mixes a frontier keeps: with two dozen groups there would be billions."""

ATTEMPTS = 10
"""How many mixes are judged together at most."""


@dataclass(frozen=True, order=True)
class Pick:
    """A treatment of a group."""

    stage: Stage
    group: str
    treatment: Treatment


@dataclass(frozen=True)
class Mix:
    """Treatments together.

    Attributes:
        used: the share of the budget that they are predicted to use.
        gain: what they are predicted to save.
    """

    used: float = 0.0
    gain: float = 0.0
    picks: tuple[Pick, ...] = ()


def frontier(
    alternatives: Iterable[Sequence[Mix]], start: Sequence[Mix] = (Mix(),)
) -> tuple[Mix, ...]:
    """The mixes that gain most for what they use, in rising order of both.

    Args:
        alternatives: of each inner sequence at most one mix is taken.
        start: what there is without any of them.
    """
    mixes = efficient(start)
    for sequence in alternatives:
        joined = [
            Mix(mix.used + more.used, mix.gain + more.gain, (*mix.picks, *more.picks))
            for more in sequence
            for mix in mixes
        ]
        mixes = _thinned(efficient((*mixes, *joined)))
    return mixes


def efficient(mixes: Iterable[Mix]) -> tuple[Mix, ...]:
    """Those that no other beats: nothing gains as much for less."""
    kept = list[Mix]()
    for mix in sorted(mixes, key=lambda mix: (mix.used, -mix.gain, len(mix.picks), mix.picks)):
        if not kept or mix.gain > kept[-1].gain:
            kept.append(mix)
    return tuple(kept)


def _thinned(mixes: tuple[Mix, ...]) -> tuple[Mix, ...]:
    """At most `_POINTS` and one: in each step of what is used the mix that gains most."""
    if len(mixes) <= _POINTS:
        return mixes
    least, most = mixes[0].used, mixes[-1].used
    steps = {int(_POINTS * (mix.used - least) / (most - least)): mix for mix in mixes}
    return (mixes[0], *(mix for mix in steps.values() if mix is not mixes[0]))


def largest_admitted(
    mixes: Sequence[Mix], used: Callable[[Mix], float], hurried: Callable[[], bool]
) -> int:
    """The place on a frontier up to which mixes are admitted.

    All at once are tried first. Then comes the last one that should do, if the truth differs from
    every prediction by the same factor as from the last; and in between the middle.

    Args:
        mixes: a frontier; its first mix is admitted.
        used: what a mix really uses of the budget.
        hurried: whether time is up: then the prediction alone decides.
    """
    low, high, factor = 0, len(mixes), 1.0
    guess = high - 1
    for attempt in range(ATTEMPTS):
        if high - low <= 1:
            return low
        if hurried():
            break
        found = used(mixes[guess])
        if 0 < found < float("inf") and mixes[guess].used > 0:
            factor = found / mixes[guess].used
        low, high = (guess, high) if found <= 1 else (low, guess)
        expected = _expected(mixes, factor) if attempt % 3 < 2 else (low + high) // 2
        guess = min(max(expected, low + 1), high - 1)
    return low or min(_expected(mixes, factor), high - 1)


def _expected(mixes: Sequence[Mix], factor: float) -> int:
    return max((n for n, mix in enumerate(mixes) if mix.used * factor <= 1), default=0)
