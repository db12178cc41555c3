"""One writer at a time: a lock that is a file, which the system lets go of when its owner dies.

Standard library only; filelock is imported when a lock is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import EngineError, OutputError

__all__ = ["locked"]


@contextmanager
def locked(path: Path, seconds: float, extra: str) -> Iterator[None]:
    """Holds the lock for the block.

    Args:
        path: the lock's file, beside what it guards.
        seconds: how long to wait for another holder.
        extra: the project's extra that brings filelock to this writer.

    Raises:
        OutputError: another process held it all the time, or the file system has no locks.
        EngineError: the package filelock is not installed.
    """
    try:
        from filelock import FileLock, Timeout
    except ImportError as error:
        raise EngineError(
            f"filelock is not installed; install it with: pip install 'sambert-trt[{extra}]'"
        ) from error
    lock = FileLock(path, timeout=seconds, mode=0o600)
    try:
        lock.acquire()
    except Timeout as error:
        raise OutputError(
            f"another process has held {path} for {seconds:.0f} s; wait for it or stop it"
        ) from error
    except NotImplementedError as error:  # how filelock says that the file system has no locks
        raise OutputError(f"{path.parent} is on a file system without locks; move it") from error
    try:
        yield
    finally:
        lock.release()
