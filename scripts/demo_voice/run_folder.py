"""The folder of a training run: one run at a time, and an earlier one moved aside.

Standard library only; filelock is imported when a run begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

from sambert_trt.engines.errors import InputError, OutputError
from sambert_trt.engines.locks import locked

__all__ = ["LOSSES", "PICTURE", "move_aside", "training_alone"]

LOSSES, PICTURE = "losses.jsonl", "losses.png"
_LOCK = ".training.lock"
_OF_A_RUN = (LOSSES, PICTURE, "checkpoint_*.pth")


@contextmanager
def training_alone(folder: Path) -> Iterator[None]:
    """Makes the folder, and keeps other runs out of it for the block.

    Raises:
        InputError: another run trains there.
        OutputError: it cannot be made or written, or its file system has no locks.
        EngineError: the package filelock is not installed.
    """
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(folder / _LOCK, 0, "export"))
        except OutputError as error:
            if not isinstance(error.__cause__, TimeoutError):  # there are no locks here
                raise
            raise InputError(
                f"another run trains in {folder}: wait for it, end it, or name another folder"
            ) from error
        except OSError as error:
            raise OutputError(
                f"{folder} cannot hold a training run: {error.strerror or error}; name another"
            ) from error
        yield


def move_aside(folder: Path) -> None:
    """Moves what an earlier run left into a folder of its own: before-1, before-2 ...

    Raises:
        OutputError: it cannot be moved.
    """
    found = [path for pattern in _OF_A_RUN for path in sorted(folder.glob(pattern))]
    if not found:
        return
    names = (folder / f"before-{number}" for number in count(1))
    target = next(path for path in names if not path.exists())
    try:
        target.mkdir()
        for path in found:
            path.rename(target / path.name)
    except OSError as error:
        raise OutputError(
            f"the earlier run in {folder} cannot be moved to {target}: {error.strerror}; name "
            "another folder"
        ) from error
