"""How values, changes and machines are written: units, sensible digits. Standard library only."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from .catalogue import Better, Gate, Metric, Scale

__all__ = [
    "DASH",
    "amount",
    "change",
    "direction",
    "duration",
    "flattened",
    "interval",
    "one_line",
    "quantity",
    "step",
    "tolerance",
]

DASH = "–"
_STEPS = {
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")),
    "B": ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")),
    "FLOP": ((1e9, "GFLOP"), (1e6, "MFLOP"), (1e3, "kFLOP"), (1.0, "FLOP")),
}
_COLOURED = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def amount(value: float) -> str:
    """Three or four digits, thousands apart, no exponent: `0.0421`, `12.3`, `12,345`."""
    if not math.isfinite(value):
        return "not finite"
    size = abs(value)
    if math.isclose(value, round(value), rel_tol=1e-9) or size >= 1000:
        return f"{value:,.0f}"
    digits = (
        1 if size >= 100 else 2 if size >= 1 else 3 if size >= 0.1 else 4 if size >= 1e-2 else 6
    )
    return f"{value:.{digits}f}"


def quantity(value: float | None, unit: str) -> str:
    """A value with its unit in the step that suits it: `4.21 ms`, `17.3 MB`."""
    if value is None:
        return DASH
    if not math.isfinite(value):
        return "not finite"
    size, name = step(value, unit)
    return f"{amount(value / size)} {name}".rstrip()


def step(value: float, unit: str) -> tuple[float, str]:
    """The step of a unit that suits a value: its size, and its name: 1e-3 and ms for 0.004 s."""
    steps = _STEPS.get(unit, ((1.0, unit),)) if value else ((1.0, unit),)
    return next((found for found in steps if abs(value) >= found[0]), steps[-1])


def change(metric: Metric, value: float | None) -> str:
    """How far the candidate is from the base: `+10.2 %`, `−3 MB`.

    Args:
        value: a ratio or a difference, as the metric's scale has it.
    """
    if value is None:
        return DASH
    if not math.isfinite(value):
        return "not finite"
    if metric.scale is Scale.RATIO:
        return _share(value - 1)
    return _signed(value, quantity(abs(value), metric.unit))


def interval(metric: Metric, low: float | None, high: float | None) -> str:
    """`+8.1 to +12.4 %`; a dash where there is none."""
    if low is None or high is None:
        return DASH
    return f"{change(metric, low).removesuffix(' %')} to {change(metric, high)}"


def tolerance(metric: Metric) -> str:
    """What the metric may be worse by: `4 %`, `2 MB`, `nothing`; a dash where nobody judges."""
    if metric.gate is Gate.NONE:
        return DASH
    if not metric.tolerance:
        return "nothing"
    if metric.scale is Scale.RATIO:
        return f"{100 * metric.tolerance:.3g} %"
    size, name = step(metric.tolerance, metric.unit)
    return f"{metric.tolerance / size:g} {name}".rstrip()


def direction(metric: Metric) -> str:
    """Which way is better, in words."""
    return "less is better" if metric.better is Better.LOWER else "more is better"


def duration(seconds: float) -> str:
    """`4.2 s`, `3 min 12 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def one_line(text: str) -> str:
    """The text on one line: colours are dropped, what cannot be printed becomes a blank."""
    plain = _COLOURED.sub("", text)
    return " ".join("".join(c if c.isprintable() else " " for c in plain).split())


def flattened(facts: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Facts by dotted name, as words."""
    found: list[tuple[str, str]] = []
    for name, value in facts.items():
        if isinstance(value, Mapping):
            found += flattened(value, f"{prefix}{name}.")
        elif isinstance(value, Sequence) and not isinstance(value, str):
            found.append((prefix + name, " ".join(map(str, value)) or DASH))
        else:
            found.append((prefix + name, DASH if value in (None, "") else one_line(str(value))))
    return found


def _share(value: float) -> str:
    size = abs(100 * value)
    digits = 0 if size >= 100 else 1 if size >= 0.1 or not size else 3
    return _signed(value, f"{size:,.{digits}f} %")


def _signed(value: float, text: str) -> str:
    sign = "+" if value > 0 else "−" if value < 0 else "±"
    return f"{sign}{text}"
