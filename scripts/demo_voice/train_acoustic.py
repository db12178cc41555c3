"""`train acoustic`: the acoustic model, from symbols to mels."""

from __future__ import annotations

from .acoustic_task import AcousticSizes, AcousticTask, Learning
from .train_command import TrainCommand

__all__ = ["add_arguments", "run"]

_COMMAND = TrainCommand("acoustic", AcousticTask, AcousticSizes, Learning)
add_arguments, run = _COMMAND.add_arguments, _COMMAND.run
