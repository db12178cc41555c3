"""Baselines of graphics cards: what an acceptance report of a card is compared with.

A baseline is one JSON file per card, `baselines/<card>.json`, made of a report that
`gpu_acceptance.py` wrote. It is replaced only when somebody asks for that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .catalogue import Catalogue
from .gate import Verdict

__all__ = [
    "Baseline",
    "Comparison",
    "baseline_from_file",
    "baseline_from_report",
    "baseline_path",
    "compared_baseline",
    "write_baseline",
]


@dataclass(frozen=True)
class Baseline:
    """What a card did.

    Attributes:
        card: its name.
        target: its compute capability, `sm_86`.
        driver: its version.
        clocks: megahertz by name, while nothing ran.
        flavour: of TensorRT, with its version.
        voice: facts of the voice, as the acceptance has them.
        scale: full or quick, and the counts.
        numbers: by measured name, `card.step.<...>`.
        revision: of the checkout.
        started: when the acceptance began.
    """

    card: str
    target: str
    driver: str
    clocks: Mapping[str, float]
    flavour: str
    voice: Mapping[str, Any]
    scale: Mapping[str, Any]
    numbers: Mapping[str, float]
    revision: str
    started: str


@dataclass(frozen=True)
class Comparison:
    """A report beside a baseline; `differences` name drivers, clocks and voices that differ."""

    verdicts: tuple[Verdict, ...]
    differences: tuple[str, ...]


def baseline_path(folder: Path, card: str) -> Path:
    """Where the baseline of a card lies: `nvidia-rtx-4000.json`."""
    raise NotImplementedError


def baseline_from_report(path: Path) -> Baseline:
    """The numbers of an acceptance report.

    Raises:
        InputError: it is no report, or of another schema, unfinished, or of no card.
    """
    raise NotImplementedError


def baseline_from_file(path: Path) -> Baseline:
    """Reads a baseline.

    Raises:
        InputError: there is none, or it is of another schema.
    """
    raise NotImplementedError


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Writes a baseline in the place of the one that is there.

    Raises:
        OutputError: it cannot be written.
    """
    raise NotImplementedError


def compared_baseline(base: Baseline, candidate: Baseline, catalogue: Catalogue) -> Comparison:
    """Judges a report against a baseline.

    Raises:
        InputError: they are of different cards.
    """
    raise NotImplementedError
