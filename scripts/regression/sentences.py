"""What became of a metric, in words with the values in them."""

from __future__ import annotations

import math

from .catalogue import Gate, Metric, Scale
from .inference import Change
from .words import quantity, tolerance

__all__ = ["change_in_words", "instead", "label", "listed_values", "tolerance_in_words"]

_UNITS = {
    **dict.fromkeys(("s", "ms"), ("slower", "faster")),
    **dict.fromkeys(("B", "MB"), ("larger", "smaller")),
    "1/s": ("faster", "slower"),
}


def label(metric: Metric, name: str) -> str:
    """The title, and what stands in the name's fields: `one call of a stage (vocoder)`."""
    fields = metric.fields(name)
    return f"{metric.title} ({', '.join(fields)})" if fields else metric.title


def change_in_words(metric: Metric, change: Change) -> str:
    """`4.1 % slower (3.2 to 5.0 %)`, `0.3 % faster (1.1 % faster to 0.4 % slower)`."""
    told = _told(metric, change.estimate)
    if change.low == change.high:
        return told
    ends = (change.low, change.high)
    if not all(map(math.isfinite, ends)) or (metric.scale is Scale.RATIO and change.low <= 0):
        return f"{told} (by how much is open)"
    low, high = sorted(ends, key=lambda end: abs(_moved(metric, end)))
    if _moved(metric, low) * _moved(metric, high) > 0:
        return f"{told} ({_between(_size(metric, low), _size(metric, high))})"
    return f"{told} ({_told(metric, ends[0])} to {_told(metric, ends[1])})"


def tolerance_in_words(metric: Metric) -> str:
    """`tolerance 4 %`, `nothing tolerated`."""
    return f"tolerance {tolerance(metric)}" if metric.tolerance else "nothing tolerated"


def instead(metric: Metric, base: float, candidate: float) -> str:
    """`2.31 ms instead of 2.22 ms`."""
    return f"{quantity(candidate, metric.unit)} instead of {quantity(base, metric.unit)}"


def listed_values(metric: Metric, values: tuple[float, ...]) -> str:
    """Every value once: `3, 4`; the ends of many."""
    ordered = [quantity(value, metric.unit) for value in sorted(set(values))]
    return ", ".join(ordered if len(ordered) <= 4 else [*ordered[:2], "...", ordered[-1]])


def _moved(metric: Metric, value: float) -> float:
    return value - 1 if metric.scale is Scale.RATIO else value


def _told(metric: Metric, value: float) -> str:
    moved = _moved(metric, value)
    if not moved:
        return "no change"
    if not math.isfinite(moved):
        return "more than before"
    more, less = _UNITS.get(metric.unit, ("higher", "lower"))
    if metric.unit == "s" and metric.gate is Gate.NONE:
        more, less = "longer", "shorter"
    return f"{_size(metric, value)} {more if moved > 0 else less}"


def _size(metric: Metric, value: float) -> str:
    moved = abs(_moved(metric, value))
    if metric.scale is Scale.DIFFERENCE:
        return quantity(moved, metric.unit)
    share = 100 * moved
    return f"{share:,.0f} %" if share >= 100 else f"{share:.{1 if share >= 0.1 else 3}f} %"


def _between(low: str, high: str) -> str:
    """`3.2 to 5.0 %`; `900 kB to 1.2 MB`."""
    number, _, unit = low.rpartition(" ")
    return f"{number if number and high.endswith(' ' + unit) else low} to {high}"
