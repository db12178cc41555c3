"""What is trained, and the run that trains it; the steps themselves are made in training_loop.py.

A run's folder holds the last two checkpoints, losses.jsonl and losses.png.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from .loss_plots import check_plotting
from .progress import SILENT, Watcher
from .run_folder import move_aside, training_alone
from .stopping import stop_on_signals
from .training_options import TrainingOptions

__all__ = ["Outcome", "Task", "TrainingOptions", "run"]


class Task(Protocol):
    """What is trained.

    Attributes:
        modules: what is saved, by name: {"generator": ..., "discriminators": ...}.
        optimisers: by name; their learning rates when the run begins are the peaks.
        averaged: the name of the module whose moving average is kept.
    """

    @property
    def modules(self) -> Mapping[str, nn.Module]: ...
    @property
    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]: ...
    @property
    def averaged(self) -> str: ...

    def step(self, number: int, random: np.random.Generator) -> Mapping[str, float]:
        """Draws a batch, goes forward and backward, clips gradients and steps the optimisers.

        An optimiser whose gradients are not finite does not step: its `step` raises what the loop
        expects, and this method lets it pass.

        Args:
            number: steps made before this one, skipped ones among them.
            random: the only source of chance beside torch's own generators.

        Returns:
            Losses by name.
        """
        ...

    def settings(self) -> Mapping[str, Any]:
        """What a checkpoint must agree with to be resumed: sizes, the dataset's fingerprint."""
        ...

    def circumstances(self) -> Mapping[str, Any]:
        """What a run may go on with differently and a checkpoint remembers; mostly nothing."""
        ...


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        finished: the steps or hours were reached; otherwise it was told to stop.
        step: steps made, over all parts of the run.
        seconds: wall-clock time they took.
        skipped: steps that changed nothing, because something was not finite.
        checkpoint: the newest one; None where there is none yet.
    """

    finished: bool
    step: int
    seconds: float
    skipped: int
    checkpoint: Path | None


def run(
    task: Task,
    folder: Path,
    options: TrainingOptions,
    watcher: Watcher = SILENT,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Trains until the steps or hours are reached, or the first Ctrl-C or SIGTERM.

    It goes on from the folder's newest checkpoint where there is one. With steps alone, a run in
    parts makes exactly what it makes in one.

    Args:
        folder: of this run; it is made.
        watcher: is shown how it goes on.
        clock: in seconds.

    Raises:
        InputError: the options are no good, the folder's checkpoint is of other settings, or
            another run trains in the folder.
        SourceError: the checkpoint is damaged, or too many steps in a row were not finite.
        OutputError: the folder or, at the end, what belongs there cannot be written.
        KeyboardInterrupt: a second signal; what came after the last checkpoint is lost.
    """
    from .training_loop import TrainingLoop

    options.check()
    check_plotting()
    with training_alone(folder), stop_on_signals() as stop:
        if options.restart:
            move_aside(folder)
        loop = TrainingLoop(task, folder, options, watcher, clock)
        loop.go_on(lambda: stop.asked)
        return loop.outcome()
