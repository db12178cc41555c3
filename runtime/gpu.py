"""How a card is used: what a user may choose. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from sambert_trt.engines.engine import Flavour
from sambert_trt.engines.errors import InputError

from .budget import Isolation, MemoryBudget, ResidencyMode

__all__ = ["GpuOptions", "PlanCopies"]


class PlanCopies(str, Enum):
    """Where plans wait while their engines are closed.

    PAGE_CACHE reads and verifies the file again, MEMORY keeps the verified bytes in this process,
    PINNED keeps them page-locked, for which engines have to share a context.
    """

    PAGE_CACHE = "page_cache"
    MEMORY = "memory"
    PINNED = "pinned"


@dataclass(frozen=True)
class GpuOptions:
    """How a card is used.

    Attributes:
        device: the card's number, as CUDA counts.
        isolation: a CUDA context for each engine, or one for all.
        mode: which engines stay open.
        budget: None takes 8 GiB, 256 MB of it in reserve; never more than the card.
        plans: where plans wait.
        prefetch: open the next engine while the current one runs.
        warn_bytes: warn when more of the card than this is used, by whomever.
        flavour: which TensorRT; None takes what is installed, RTX first.
        kernels: where compiled kernels outlast the process; None is the user's cache folder.
    """

    device: int = 0
    isolation: Isolation = Isolation.ENGINE
    mode: ResidencyMode = ResidencyMode.ON_DEMAND
    budget: MemoryBudget | None = None
    plans: PlanCopies = PlanCopies.PAGE_CACHE
    prefetch: bool = True
    warn_bytes: int = 7_500_000_000
    flavour: Flavour | None = None
    kernels: Path | None = None

    def __post_init__(self) -> None:
        if self.plans is PlanCopies.PINNED and self.isolation is not Isolation.SHARED:
            raise InputError(
                "pinned plans need isolation shared: page-locked memory belongs to a CUDA context, "
                "and with isolation engine none outlives its engine; take plans in memory"
            )
        if self.warn_bytes <= 0 or self.device < 0:
            raise InputError(
                f"device {self.device}, a warning from {self.warn_bytes} bytes: needs a device "
                "from 0 on and a positive size"
            )
