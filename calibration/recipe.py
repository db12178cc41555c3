"""What is done to each part of a voice: the recipe that a planner writes and a user may edit.

    recipe.<placement>.toml ─ read ─ Recipe ─ candidate.py ─▶ graphs

Numpy-free; tomli reads on Python 3.10.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from sambert_trt.engines.graphs import Placement, Precision, Stage

__all__ = ["RECIPE_SCHEMA", "Group", "Method", "Recipe", "StagePlan", "Treatment"]

RECIPE_SCHEMA = 1


class Treatment(str, Enum):
    """What is done to a group of layers.

    FLOAT leaves it in the stage's base precision. W8 stores its weights in int8 and computes in the
    base precision. W8A8 computes convolutions and matrix products in int8. W8A8_SUMS keeps what
    lies between them (activations, residual sums) in int8, too.
    """

    FLOAT = "float"
    W8 = "w8"
    W8A8 = "w8a8"
    W8A8_SUMS = "w8a8+sums"


class Method(str, Enum):
    """How a tensor's range follows from its histogram."""

    MIN_MAX = "min-max"
    PERCENTILE = "percentile"
    ENTROPY = "entropy"
    MSE = "mse"


@dataclass(frozen=True)
class Group:
    """Layers that are treated alike.

    Attributes:
        name: `resblocks.0`, `attention`, `ffn.1`: unique within the stage.
        nodes: names of the ONNX nodes with weights (Conv, Gemm, MatMul).
        parameters: how many weights they hold.
        treatments: those that can be applied, FLOAT first.
    """

    stage: Stage
    name: str
    nodes: tuple[str, ...]
    parameters: int
    treatments: tuple[Treatment, ...]


@dataclass(frozen=True)
class StagePlan:
    """How one stage's graph is written.

    Attributes:
        base: fp32 or fp16: of everything that is not treated.
        groups: treatment by group name; a group that is not named stays FLOAT.
        method: of the activations' ranges.
        percentile: how much of a histogram Method.PERCENTILE keeps, in percent.
    """

    base: Precision
    groups: Mapping[str, Treatment] = field(default_factory=dict)
    method: Method = Method.PERCENTILE
    percentile: float = 99.99

    @property
    def treated(self) -> dict[str, Treatment]:
        """The groups that do not stay FLOAT."""
        return {name: t for name, t in self.groups.items() if t is not Treatment.FLOAT}

    @property
    def precision(self) -> Precision:
        """What the graph is called: int8 as soon as one group is treated."""
        return Precision.INT8 if self.treated else self.base


@dataclass(frozen=True)
class Recipe:
    """How all graphs of a voice are written for a placement.

    Attributes:
        voice: the digest of the fp32 graphs it was made for (see `voice_digest`).
        notes: what a reader should know, by stage or group (`vocoder`, `vocoder/resblocks.0`).
    """

    voice: str
    placement: Placement
    stages: Mapping[Stage, StagePlan]
    notes: Mapping[str, str] = field(default_factory=dict)
    schema: int = RECIPE_SCHEMA
