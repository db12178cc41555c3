"""Folders that are kept from run to run: each whole or not there, and the last used few of them.

Standard library only.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sambert_trt.engines.errors import OutputError, SambertError

__all__ = ["KEPT", "fresh_folder", "keep_last_used", "kept_folder", "remove_abandoned", "writing"]

KEPT = 6
"""Of the folders in one place."""

_ABANDONED = 86_400
"""Seconds after which a folder that was never completed is somebody's leftover."""

_UNFINISHED = "unfinished-"


def kept_folder(target: Path, fill: Callable[[Path], Path]) -> Path:
    """A folder that is made where it is not there; its time is that of its last use.

    Args:
        target: what it is called; the folder above it is made.
        fill: makes it within the empty folder that it gets, and returns where.

    Raises:
        OutputError: it cannot be written.
    """
    if not target.is_dir():
        return fresh_folder(target, fill)
    with writing(target):
        os.utime(target)
    return target


def fresh_folder(target: Path, fill: Callable[[Path], Path]) -> Path:
    """The same, made anew in the place of one that is there: somebody may have changed that.

    Raises:
        OutputError: it cannot be written.
    """
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(target.parent)
        _make(target, fill)
    return target


def keep_last_used(cache: Path, used: Collection[Path]) -> None:
    """Removes all but `KEPT` folders, and none that is in use; one that resists stays."""
    busy = {path.resolve() for path in used}
    folders = [path for path in cache.glob("*") if _is_whole(path)]
    folders.sort(key=lambda path: (path.resolve() in busy, _last_use(path)), reverse=True)
    for folder in folders[max(KEPT, len(busy)) :]:
        _remove(folder)


def remove_abandoned(cache: Path, prefix: str = _UNFINISHED, seconds: float = _ABANDONED) -> None:
    """Removes the folders that runs have left that were ended from outside.

    Args:
        seconds: since the folder was written to; 0 where no other run can be at work.
    """
    for folder in cache.glob(f"{prefix}*"):
        with suppress(OSError):
            if not seconds or time.time() - folder.stat().st_mtime > seconds:
                shutil.rmtree(folder, ignore_errors=True)


def _make(target: Path, fill: Callable[[Path], Path]) -> None:
    """A complete folder gets its name, and what had it before goes."""
    folder = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=target.parent))
    try:
        whole = fill(folder)
        if target.exists():
            target.rename(folder / "before")
        whole.rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_whole(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(_UNFINISHED)


def _last_use(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_mtime_ns
    return 0


def _remove(folder: Path) -> None:
    """Takes its name away first: what is half removed is taken for a whole one by nobody."""
    with suppress(OSError):
        aside = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=folder.parent))
        try:
            folder.rename(aside / folder.name)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Says what could not be written, and why.

    Raises:
        OutputError: the block's OSError, with the room that is left.
    """
    try:
        yield
    except SambertError:
        raise
    except OSError as error:
        free = ""
        with suppress(OSError):
            parent = next(place for place in path.parents if place.is_dir())
            free = f" ({shutil.disk_usage(parent).free / 1e6:.0f} MB are free there)"
        raise OutputError(f"{path} cannot be written: {error}{free}") from error
