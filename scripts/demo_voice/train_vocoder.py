"""`train vocoder`: the vocoder, from mels to audio."""

from __future__ import annotations

from .train_command import TrainCommand
from .vocoder import VocoderLearning, VocoderSizes, VocoderTask

__all__ = ["add_arguments", "run"]

_COMMAND = TrainCommand("vocoder", VocoderTask, VocoderSizes, VocoderLearning)
add_arguments, run = _COMMAND.add_arguments, _COMMAND.run
