"""Whose turn it is to measure: one run at a time in a checkout, as two disturb each other's times.

Standard library only; filelock is imported when a turn begins.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from sambert_trt.engines.errors import InputError, OutputError
from sambert_trt.engines.locks import locked

from .folders import writing
from .words import one_line

__all__ = ["measuring_alone"]

_LOCK, _HOLDER = "measuring.lock", "measuring.txt"
"""Two files: what is locked cannot be read by others on Windows."""


@contextmanager
def measuring_alone(folder: Path, command: Sequence[str]) -> Iterator[None]:
    """Keeps other runs of the checkout from measuring during the block.

    Args:
        folder: the checkout's build/perf; it is made.
        command: what the others are told of this run.

    Raises:
        InputError: another run measures; the message says which.
        OutputError: `folder` cannot be written, or its file system has no locks.
        EngineError: the package filelock is not installed.
    """
    holder = folder / _HOLDER
    with ExitStack() as stack:
        with writing(folder / _LOCK):
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(_taken(folder))
            stack.callback(_forget, holder)
            since = time.strftime("%Y-%m-%d %H:%M")
            told = f"process {os.getpid()} since {since}: {shlex.join(command)}"
            holder.write_text(told, encoding="utf-8")
        yield


@contextmanager
def _taken(folder: Path) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder / _LOCK, 0, "dev"))
        except OutputError as error:
            if not isinstance(error.__cause__, TimeoutError):  # there are no locks here
                raise
            raise InputError(
                f"another perf.py measures in this checkout ({_told(folder / _HOLDER)}), and two "
                f"disturb each other: wait for it or end it (it holds {folder / _LOCK})"
            ) from error
        yield


def _told(holder: Path) -> str:
    with suppress(OSError):
        return one_line(holder.read_text(encoding="utf-8", errors="replace"))
    return "it does not say which"


def _forget(holder: Path) -> None:
    with suppress(OSError):
        holder.unlink(missing_ok=True)
