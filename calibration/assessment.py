"""What was found out about a candidate: its sound, its cost, and what was decided.

Types only; no imports beyond the contracts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from sambert_trt.engines.graphs import Placement, Stage
from sambert_trt.engines.manifest import StageRecord

from .figures import Figures, Limits
from .recipe import Recipe, StagePlan

__all__ = ["Candidate", "Cost", "Goal", "Judgement", "Outcome", "Trial", "Worst"]


class Goal(str, Enum):
    """What an assignment is to be, inside the quality budget."""

    SPEED = "speed"
    SIZE = "size"


@dataclass(frozen=True)
class Candidate:
    """A stage's graph, written by a plan, ready to be opened: not part of the voice yet.

    Attributes:
        directory: where `record.file.path` lies; the voice's own where nothing had to be written.
    """

    stage: Stage
    plan: StagePlan
    directory: Path
    record: StageRecord


@dataclass(frozen=True)
class Worst:
    """The sentence that suffers most: its number among those judged, its text, its figure."""

    sentence: int
    text: str
    value: float


@dataclass(frozen=True)
class Judgement:
    """How a rendering differs from fp32.

    Attributes:
        figures: over all sentences: means; of `*_max`, `*_largest` the largest.
        worst: by the name of a figure.
        sentences: each sentence's own figures.
    """

    figures: Figures
    worst: Mapping[str, Worst]
    sentences: tuple[Figures, ...]


@dataclass(frozen=True)
class Cost:
    """What a graph costs to run and to keep. None: not measured here.

    Attributes:
        seconds: of one run of the stage on the processor (of one step for step stages), median.
        ratio: candidate's seconds / fp32's, median over paired rounds; `low` to `high` holds it
            with 95 % (bootstrap).
        graph_bytes: of the ONNX file, which are its weights but for little.
        plan_bytes, weights_bytes, scratch_bytes, kernels: of a TensorRT plan.
    """

    graph_bytes: int
    seconds: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    plan_bytes: int | None = None
    weights_bytes: int | None = None
    scratch_bytes: int | None = None
    kernels: int | None = None


@dataclass(frozen=True)
class Trial:
    """One thing that was tried, and what became of it.

    Attributes:
        name: `vocoder`, `vocoder/resblocks.0`.
        kept: whether it is part of the assignment.
        reason: why, in words and numbers.
    """

    stage: Stage
    name: str
    plan: StagePlan
    judgement: Judgement | None
    cost: Cost
    kept: bool
    reason: str


@dataclass(frozen=True)
class Outcome:
    """What planning for one placement gave.

    Attributes:
        candidates: the graph of every stage, in the order of stages.
        trials: everything tried, in order; those of the last search included.
        whole: the whole voice with the assignment against the whole voice in fp32.
        ratio: the assignment's seconds / fp32's, end to end, paired; with `low` and `high`.
        violations: which limits the assignment passes nevertheless, because `keep` asked for it.
    """

    placement: Placement
    goal: Goal
    limits: Limits
    recipe: Recipe
    candidates: Mapping[Stage, Candidate]
    trials: tuple[Trial, ...]
    whole: Judgement
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    violations: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
