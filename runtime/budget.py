"""What engines cost on the card, how costs add up, and how much may be taken.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from sambert_trt.engines.errors import InputError

__all__ = ["MB", "EngineCost", "Isolation", "MemoryBudget", "ResidencyMode", "footprint"]

MB = 1_000_000
GIB = 1 << 30


class Isolation(str, Enum):
    """Whether each engine has a CUDA context of its own, or all share one and one scratch."""

    ENGINE = "engine"
    SHARED = "shared"


class ResidencyMode(str, Enum):
    """Which engines stay: all, as many as the budget holds, or one."""

    RESIDENT = "resident"
    ON_DEMAND = "on_demand"
    MINIMAL = "minimal"


@dataclass(frozen=True)
class EngineCost:
    """Device memory of an open engine, in bytes."""

    context: int
    weights: int
    scratch: int
    buffers: int

    @property
    def total(self) -> int:
        """All of it, where the engine shares nothing."""
        return self.context + self.weights + self.scratch + self.buffers


@dataclass(frozen=True)
class MemoryBudget:
    """How much of the card the engines may take, in bytes.

    Attributes:
        total: the most this process may hold, its reserve included.
        reserve: what is left alone: never taken of `total`, and kept free on the card.
    """

    total: int = 8 * GIB
    reserve: int = 256 * MB

    def __post_init__(self) -> None:
        if not 0 <= self.reserve < self.total:
            raise InputError(
                f"a memory budget of {self.total / MB:.0f} MB with {self.reserve / MB:.0f} MB in "
                "reserve: the reserve has to be smaller than the budget"
            )

    @property
    def limit(self) -> int:
        """What engines may hold together."""
        return self.total - self.reserve


def footprint(costs: Collection[EngineCost], isolation: Isolation) -> int:
    """Bytes that engines hold together: shared ones have one context and the largest scratch."""
    if isolation is Isolation.ENGINE or not costs:
        return sum(cost.total for cost in costs)
    shared = max(cost.context for cost in costs) + max(cost.scratch for cost in costs)
    return shared + sum(cost.weights + cost.buffers for cost in costs)
