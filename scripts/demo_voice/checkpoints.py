"""The state of a training run as files: written whole, and read without trusting them.

A file is what torch.save makes of a dictionary with the names of `Checkpoint`'s fields and
`schema`. It is no KAN-TTS checkpoint: `average` is what becomes one.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_origin, get_type_hints

import numpy as np
import torch
from torch import Tensor

from sambert_trt.engines.errors import InputError, OutputError, SourceError
from sambert_trt.engines.private import sync_folder
from sambert_trt.runtime.audio import replaced_file

__all__ = [
    "Checkpoint",
    "RandomStates",
    "checkpoint_from_file",
    "checkpoint_of_run",
    "checkpoint_paths",
    "differences",
    "listed",
    "newest_checkpoint",
    "plain_settings",
    "remove_all_but",
    "write_checkpoint",
]

SCHEMA = 2
Tensors = dict[str, Tensor]
_NAME = re.compile(r"checkpoint_(\d+)\.pth")
_BROKEN = (OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError, AttributeError)
_TOLD = 4
"""Differences in an error; another model differs in all it has."""


@dataclass(frozen=True)
class RandomStates:
    """Where the random generators stand: the loop's own, torch's, and that of each GPU."""

    loop: Mapping[str, Any]
    torch: Tensor
    cuda: tuple[Tensor, ...]

    @staticmethod
    def taken(generator: np.random.Generator) -> RandomStates:
        """The states of now."""
        initialised = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        cuda = torch.cuda.get_rng_state_all() if initialised else []
        state = dict(generator.bit_generator.state)
        return RandomStates(state, torch.get_rng_state(), tuple(cuda))

    def plain(self) -> dict[str, Any]:
        """The fields by name."""
        return {"loop": self.loop, "torch": self.torch, "cuda": self.cuda}

    def restore(self, generator: np.random.Generator) -> None:
        """Brings the generators back to where they stood; those of GPUs that are there."""
        generator.bit_generator.state = dict(self.loop)
        torch.set_rng_state(self.torch)
        for device, state in enumerate(self.cuda[: torch.cuda.device_count()]):
            torch.cuda.set_rng_state(state, device)


@dataclass(frozen=True)
class Checkpoint:
    """All that a run needs to go on as if it had never stopped.

    Attributes:
        step: steps made.
        seconds: wall-clock time they took, over all parts of the run.
        skipped: how many of them changed nothing, because something was not finite.
        settings: what the run that goes on must agree with; see `plain_settings`.
        averaged: the module that `average` is the moving average of.
        average: its state_dict.
        modules: state_dict by module.
        optimisers: state_dict by optimiser.
        random: fields of `RandomStates`.
        history: what `Task.circumstances` said, and after how many steps: {"after": 0, "had": {}}.
    """

    step: int
    seconds: float
    skipped: int
    settings: dict[str, Any]
    averaged: str
    average: Tensors
    modules: dict[str, Tensors]
    optimisers: dict[str, dict[str, Any]]
    random: dict[str, Any]
    history: list[dict[str, Any]]


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Writes it to a file named for its step, down to the disk and whole or not at all.

    Raises:
        OutputError: it cannot be written; the message has its size and the room that is left.
    """
    path = folder / f"checkpoint_{checkpoint.step}.pth"
    content = {name: getattr(checkpoint, name) for name in _types()}
    # In memory first: where the disk is full, torch.save itself raises no OSError that says so.
    buffer = io.BytesIO()
    torch.save({"schema": SCHEMA, **content}, buffer)
    try:
        with replaced_file(path) as fresh, fresh.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        sync_folder(folder)
    except OSError as error:
        size = buffer.getbuffer().nbytes
        raise OutputError(f"{error}; it takes {_megabytes(size)}, {_room(folder)}") from error
    return path


def checkpoint_from_file(path: Path) -> Checkpoint:
    """Reads a checkpoint; its tensors are on the processor.

    Raises:
        SourceError: the file is missing, damaged, or holds something else.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (*_BROKEN, pickle.UnpicklingError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise SourceError(
            f"{path} cannot be read as a checkpoint of a training run ({why}); remove it to go on "
            "from the one before it"
        ) from error
    _check(path, content)
    return Checkpoint(**{name: content[name] for name in _types()})


def _check(path: Path, content: object) -> None:
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        found = content.get("schema") if isinstance(content, dict) else None
        raise SourceError(
            f"{path} is no checkpoint of a training run of schema {SCHEMA} (found {found!r}); "
            "train anew with --restart"
        )
    for name, kind in _types().items():
        if not isinstance(content.get(name), kind):
            found = type(content.get(name)).__name__
            raise SourceError(
                f"{path} is damaged: its {name} should be {kind.__name__}, not {found}; remove it "
                "to go on from the one before it"
            )


def _types() -> dict[str, type]:
    hints = get_type_hints(Checkpoint)
    return {one.name: get_origin(hints[one.name]) or hints[one.name] for one in fields(Checkpoint)}


def checkpoint_paths(folder: Path) -> list[Path]:
    """The checkpoints of a run's folder, the newest last."""
    found = {path: _NAME.fullmatch(path.name) for path in folder.glob("checkpoint_*.pth")}
    steps = {path: int(match[1]) for path, match in found.items() if match}
    return sorted(steps, key=lambda path: steps[path])


def newest_checkpoint(folder: Path) -> Path:
    """The checkpoint with most steps.

    Raises:
        SourceError: the folder has none.
    """
    found = checkpoint_paths(folder)
    if not found:
        raise SourceError(f"{folder} holds no checkpoint of a training run; train one into it")
    return found[-1]


def checkpoint_of_run(folder: Path, kind: str, fingerprint: str) -> Checkpoint:
    """The checkpoint with most steps of a training of this kind.

    Args:
        kind: "acoustic" or "vocoder".
        fingerprint: of the dataset it has to have learned from.

    Raises:
        SourceError: the folder has none, a damaged one, or one of the other kind.
        InputError: it learned from another dataset.
    """
    path = newest_checkpoint(folder)
    found = checkpoint_from_file(path)
    if found.settings.get("kind") != kind:
        raise SourceError(
            f"{path} is of a training of kind {found.settings.get('kind')!r}, wanted is {kind!r}: "
            "name a folder of that kind"
        )
    if found.settings.get("dataset") != fingerprint:
        raise InputError(f"{path} learned from another dataset than the one given; name that one")
    return found


def remove_all_but(folder: Path, number: int) -> None:
    """Keeps that many of the newest.

    Raises:
        OutputError: one cannot be removed.
    """
    try:
        for path in checkpoint_paths(folder)[:-number]:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{error.filename} cannot be removed: {error.strerror}") from error


def plain_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as JSON knows them, so that what was written and read compares equal."""
    found: dict[str, Any] = json.loads(json.dumps(settings, default=str))
    return found


def differences(saved: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Where two settings differ, by name: `sizes.units is 64 there, 128 here`."""
    there, here = dict(_flat(saved)), dict(_flat(wanted))
    absent = "absent"
    return [
        f"{name} is {there.get(name, absent)} there, {here.get(name, absent)} here"
        for name in dict.fromkeys([*there, *here])
        if there.get(name, absent) != here.get(name, absent)
    ]


def listed(differing: Sequence[str]) -> str:
    """The first of them, and how many more there are, for an error."""
    more = f" and {len(differing) - _TOLD} more" if len(differing) > _TOLD else ""
    return "; ".join(differing[:_TOLD]) + more


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _room(folder: Path) -> str:
    try:
        return f"{_megabytes(shutil.disk_usage(folder).free)} are free there"
    except OSError:
        return "how much is free there is not known"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
