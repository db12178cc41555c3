"""What `train acoustic` and `train vocoder` are: options, a dataset, a task, and the loop.

torch is imported when a training begins.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from .computing import Computing
from .field_options import add_fields, object_from_options
from .progress import shown, told_time
from .training_options import TrainingOptions

if TYPE_CHECKING:
    import torch

    from .dataset import Dataset
    from .training import Outcome, Task

__all__ = ["TrainCommand"]

_INTERRUPTED = 130

Sizes = TypeVar("Sizes")
Learning = TypeVar("Learning")


@dataclass(frozen=True)
class TrainCommand(Generic[Sizes, Learning]):
    """A command that trains a model.

    Attributes:
        name: of the model, for who looks on.
        task: makes the task of a dataset, sizes, a way to learn, a device, and what torch.autocast
            is to compute in.
        sizes: dataclass with the model's sizes.
        learning: dataclass with how it learns.
    """

    name: str
    task: Callable[[Dataset, Sizes, Learning, torch.device, torch.dtype], Task]
    sizes: type[Sizes]
    learning: type[Learning]

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The command's options."""
        parser.add_argument("dataset", type=Path, metavar="DATASET", help="what prepare wrote")
        parser.add_argument(
            "run",
            type=Path,
            metavar="RUN",
            help="the training's folder; one that has begun goes on",
        )
        for kind in (TrainingOptions, Computing, self.sizes, self.learning):
            add_fields(parser, kind)

    def run(self, options: Namespace) -> int:
        """Trains as the options say; returns the exit status.

        Raises:
            SambertError: as `training.run` and `Dataset.open`.
        """
        import torch

        from .dataset import Dataset
        from .training import run

        how = object_from_options(TrainingOptions, options)
        how.check()
        device, precision = object_from_options(Computing, options).prepare()
        sizes = object_from_options(self.sizes, options)
        learning = object_from_options(self.learning, options)
        torch.manual_seed(how.seed)
        task = self.task(Dataset.open(options.dataset), sizes, learning, device, precision)
        with shown(self.name) as watcher:
            outcome = run(task, options.run, how, watcher)
        print(_told(outcome))
        return 0 if outcome.finished else _INTERRUPTED


def _told(outcome: Outcome) -> str:
    how = "trained" if outcome.finished else "interrupted; the same command goes on"
    skipped = f" ({outcome.skipped} of them skipped)" if outcome.skipped else ""
    return (
        f"{how}: {outcome.step:,} steps{skipped} in {told_time(outcome.seconds)}, "
        f"{outcome.checkpoint or 'nothing is saved yet'}"
    )
