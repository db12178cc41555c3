"""The command line of train_voice.py: which commands there are.

A command is a module with `add_arguments(parser)` and `run(options) -> int`. It is imported when
the words name it: preparing needs no torch, and general help does not wait for it.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from importlib import import_module

__all__ = ["COMMANDS", "MODELS", "parser"]

COMMANDS = {
    "prepare": "makes of a corpus what both models learn from",
    "evaluate": "measures how well a voice speaks sentences it never saw",
    "package": "makes a voice folder of two trainings",
}
"""Beside `train`: each is the module of that name."""

MODELS = {
    "acoustic": "trains the acoustic model, from symbols to mels (Sambert)",
    "vocoder": "trains the vocoder, from mels to audio (HiFi-GAN)",
}
"""Of `train`: each is the module train_<name>."""


def parser(description: str, words: Sequence[str]) -> ArgumentParser:
    """The command line; `options.do` is the command.

    Args:
        description: of the program.
        words: what it is given; options are known of the command that they name.
    """
    found = ArgumentParser(
        description=description,
        epilog="Exit codes: 0 done; 1 failed; 2 wrong usage; 130 interrupted: a training has saved "
        "what it reached, and the same command goes on from there.",
    )
    commands = found.add_subparsers(required=True, metavar="COMMAND")
    for name, what in COMMANDS.items():
        command = commands.add_parser(name, help=what, description=_sentence(what))
        if name in words[:1]:
            _fill(command, name)
    train = commands.add_parser("train", help="trains a model", description="Trains a model.")
    models = train.add_subparsers(required=True, metavar="MODEL")
    for name, what in MODELS.items():
        command = models.add_parser(name, help=what, description=_sentence(what))
        if ["train", name] == list(words[:2]):
            _fill(command, f"train_{name}")
    return found


def _fill(command: ArgumentParser, name: str) -> None:
    module = import_module(f".{name}", __package__)
    module.add_arguments(command)
    command.set_defaults(do=module.run)


def _sentence(what: str) -> str:
    return f"{what[0].upper()}{what[1:]}."
