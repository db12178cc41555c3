"""What a planner needs: somebody who writes graphs, judges them and says what they cost.

Types only; no imports beyond the contracts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import NamedTuple, Protocol

from sambert_trt.engines.graphs import Precision, Stage

from .assessment import Candidate, Cost, Judgement
from .recipe import Group, StagePlan

__all__ = ["Bench", "Depth", "Progress", "WholeCost", "depth_of", "is_plain"]

Progress = Callable[[str, float], None]
"""Called with what is being done and which fraction of it is done."""


class Depth(str, Enum):
    """How much of a voice is run to judge candidates.

    MEL leaves the vocoder away, WAVE everything but the vocoder: it gets the mel of fp32.
    """

    MEL = "mel"
    WAVE = "wave"
    WHOLE = "whole"


class WholeCost(NamedTuple):
    """A voice's seconds / fp32's, end to end; `low` to `high` holds the ratio with 95 %."""

    ratio: float
    low: float
    high: float


class Bench(Protocol):
    """Candidates of one voice for one placement. Asked the same again, it answers from memory."""

    @property
    def voice(self) -> str:
        """The digest of the voice's fp32 graphs."""

    def stages(self) -> tuple[Stage, ...]:
        """The stages of the voice, in order."""

    def groups(self, stage: Stage) -> tuple[Group, ...]:
        """What can be treated in a stage."""

    def prepare(self, tasks: Iterable[tuple[Stage, StagePlan]]) -> None:
        """Says which candidates will be asked for, most probably: they may be made meanwhile."""

    def candidate(self, stage: Stage, plan: StagePlan) -> Candidate:
        """The graph that a plan gives.

        Raises:
            GraphError: it cannot be written.
        """

    def judge(
        self, candidates: Mapping[Stage, Candidate], depth: Depth, *, quick: bool = False
    ) -> Judgement:
        """Candidates together against fp32; stages without one are in fp32.

        Args:
            quick: fewer sentences will do.
        """

    def cost(self, candidate: Candidate, *, quick: bool = False) -> Cost:
        """What a candidate costs against the stage in fp32.

        Args:
            quick: fewer rounds will do.
        """

    def sentence_seconds(self, stage: Stage) -> float:
        """How long the stage takes in fp32, of an average sentence: its weight among stages."""

    def whole_cost(self, candidates: Mapping[Stage, Candidate]) -> WholeCost | None:
        """The whole voice against fp32; None where its speed cannot be measured here."""


def is_plain(plan: StagePlan) -> bool:
    """Whether a plan leaves a stage as it was exported."""
    return plan.precision is Precision.FP32


def depth_of(stages: set[Stage]) -> Depth:
    """How much has to be run to hear what these stages do together.

    Small errors of a mel may be large ones of a wave: MEL is for stages one by one.
    """
    return Depth.WAVE if stages == {Stage.VOCODER} else Depth.WHOLE
