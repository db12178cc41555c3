"""What stages were given while the runtime spoke: samples on disk, bounded, resumable.

    recording.json, samples/<stage>-<slot>.npz

Numpy only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sambert_trt.engines.graphs import Stage
from sambert_trt.runtime.backend import Array

__all__ = ["Sample"]


@dataclass(frozen=True)
class Sample:
    """One run of a stage, or one sequence of steps.

    Attributes:
        sentence: which calibration text it belongs to.
        inputs: one run's arrays by input name; of a step stage those that `StepRun.advance` takes,
            stacked along a leading axis of steps.
        sizes: the state's dynamic axes, as `Session.steps` was given them; empty for a run.
        rows: the sliding input's rows of the whole sequence, or None.
        lengths: a step stage's numbers of steps per call of `advance`, in order.
        digest: sha256 of the outputs as the recorded backend gave them, in the order of their
            names; empty where the stage was muted.
    """

    stage: Stage
    sentence: int
    inputs: Mapping[str, Array]
    sizes: Mapping[str, int] = field(default_factory=dict)
    rows: Array | None = None
    lengths: tuple[int, ...] = ()
    digest: str = ""
