"""The metrics: what each is, which way is better, and how much worse it may become.

They are read from metrics.toml beside this file. The name of a metric there may hold fields in
braces, `stage.{stage}.seconds`: each stands for one part of a measured name. Standard library, and
tomli before Python 3.11.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

from sambert_trt.engines.errors import InputError

from .bands import Band, band_from_entry

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["CATALOGUE", "Better", "Catalogue", "Gate", "Metric", "Scale", "catalogue_from_file"]

CATALOGUE = Path(__file__).parent / "metrics.toml"
_USUAL = {"look": "", "optional": "", "method": 1, "scale": "ratio", "better": "lower"}


class Gate(str, Enum):
    """How a metric is judged."""

    LIMIT = "limit"
    """The same at every run: one value a side, and worse by more than the tolerance fails."""

    PAIRED = "paired"
    """It varies: both sides take turns; fails where the whole interval of what changed is worse
    than the tolerance, and is so again in new processes."""

    NONE = "none"
    """Shown, never judged."""


class Scale(str, Enum):
    """What is compared, and what the tolerance is a number of."""

    RATIO = "ratio"
    """candidate / base; the tolerance is a share: 0.05 lets a metric be 5 % worse."""

    DIFFERENCE = "difference"
    """candidate - base; the tolerance is in the metric's unit."""


class Better(str, Enum):
    """Which way a metric should go."""

    LOWER = "lower"
    HIGHER = "higher"


@dataclass(frozen=True)
class Metric:
    """One line of the catalogue.

    Attributes:
        name: dotted; may hold fields in braces.
        suite: who measures it.
        title: what it is, in a few words.
        unit: of its values; "" for a count.
        tolerance: how much worse it may be, on `scale`; 0: not at all.
        how: how a value comes about.
        look: where to look when it has become worse.
        optional: where alone its suite gives it; "": a suite that was measured always does.
        method: of measuring, from 1 on: values of different ones are never compared.
    """

    name: str
    suite: str
    title: str
    unit: str
    better: Better
    gate: Gate
    scale: Scale
    tolerance: float
    how: str
    look: str
    optional: str = ""
    method: int = 1

    def matches(self, measured: str) -> bool:
        """Whether a measured name is of this metric."""
        return _pattern(self.name).fullmatch(measured) is not None

    def fields(self, measured: str) -> tuple[str, ...]:
        """What stands in the name's braces; empty where the name is of another metric."""
        found = _pattern(self.name).fullmatch(measured)
        return found.groups() if found else ()


@dataclass(frozen=True)
class Catalogue:
    """All metrics, in the order they are reported, and the bands of single voices."""

    metrics: tuple[Metric, ...]
    bands: tuple[Band, ...] = ()

    @property
    def methods(self) -> dict[str, int]:
        """By name of a metric; only what is no longer measured by the first."""
        return {metric.name: metric.method for metric in self.metrics if metric.method != 1}

    def without_gates(self, names: Collection[str]) -> Catalogue:
        """The catalogue that judges these metrics no longer."""
        metrics = (replace(m, gate=Gate.NONE) if m.name in names else m for m in self.metrics)
        return replace(self, metrics=tuple(metrics))

    def band(self, measured: str, weights: str) -> Band | None:
        """Where a measured name has to lie, for a voice of these weights; None: anywhere."""
        found = (b for b in self.bands if b.metric == measured and weights.startswith(b.weights))
        return next(found, None)

    def unknown(self, measured: Iterable[str]) -> list[str]:
        """The measured names that are of no metric, by name."""
        return sorted(n for n in measured if not any(m.matches(n) for m in self.metrics))

    def metric(self, measured: str) -> Metric:
        """The metric of a measured name, the first that matches.

        Raises:
            InputError: there is none.
        """
        for metric in self.metrics:
            if metric.matches(measured):
                return metric
        raise InputError(
            f"no metric {measured!r}; there are {', '.join(m.name for m in self.metrics)}"
        )

    def lacking(self, suite: str, measured: Iterable[str]) -> list[str]:
        """The metrics of a suite that none of its measured names is of; optional ones may lack.

        Raises:
            InputError: a name is of no metric.
        """
        given = {self.metric(name).name for name in measured}
        wanted = (m.name for m in self.metrics if m.suite == suite and not m.optional)
        return [name for name in wanted if name not in given]

    def ordered(self, measured: Iterable[str]) -> list[str]:
        """Measured names in the catalogue's order, then by name."""
        places = {metric.name: place for place, metric in enumerate(self.metrics)}
        return sorted(measured, key=lambda name: (places[self.metric(name).name], name))


def catalogue_from_file(path: Path = CATALOGUE) -> Catalogue:
    """Reads the metrics.

    Raises:
        InputError: the file is missing or no TOML, or a metric or a band lacks or misspells a
            field.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} holds no metrics: {error}") from error
    metrics = tuple(_metric(path, entry) for entry in found.get("metric", ()))
    names = [metric.name for metric in metrics]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path}: {', '.join(twice)} stands there twice; keep one")
    catalogue = Catalogue(
        metrics, tuple(band_from_entry(path, entry) for entry in found.get("band", ()))
    )
    for band in catalogue.bands:
        if catalogue.metric(band.metric).gate is Gate.PAIRED:
            raise InputError(f"{path}: {band.metric} varies from run to run; take its band out")
    return catalogue


def _metric(path: Path, entry: Mapping[str, Any]) -> Metric:
    name = entry.get("name", "a metric without a name")
    values = {**_USUAL, **entry}
    wanted = set(Metric.__dataclass_fields__)
    if set(values) != wanted:
        wrong = sorted(set(values) ^ wanted)
        raise InputError(f"{path}: {name}: {', '.join(wrong)} missing or unknown")
    try:
        return Metric(
            **{
                **values,
                "better": Better(values["better"]),
                "gate": Gate(values["gate"]),
                "scale": Scale(values["scale"]),
                "tolerance": _tolerance(values["tolerance"]),
                "optional": _reason(values["optional"]),
                "method": _method(values["method"]),
            }
        )
    except ValueError as error:
        raise InputError(f"{path}: {name}: {error}") from error


def _tolerance(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e15:
        raise ValueError(f"tolerance {value!r} is no number from 0 on")
    return float(value)


def _reason(value: object) -> str:
    if not isinstance(value, str) or value.isspace():
        raise ValueError(f"optional {value!r} is no reason; say where alone its suite gives it")
    return value


def _method(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"method {value!r} is no whole number from 1 on")
    return value


@cache
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", r"([^.]+)", re.escape(name)))
