"""Folders inside a store for what is on its way in or out, cleared also after a process was killed.

    .work-<host>-<process>-<its start>-<random>/{new, old}/<entry>

`old` holds an entry that gives way to a new one: it goes back where none has taken its place.
Everything here is asked and done under the store's lock.

Standard library only.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .private import sync_folder

__all__ = ["clear_abandoned", "path_bytes", "process_start", "put_in_place", "work_folder"]

PREFIX, OLD = ".work-", "old"

_LOG = logging.getLogger(__name__)
_FOREIGN_SECONDS = 86400.0


@contextmanager
def work_folder(store: Path) -> Iterator[Path]:
    """A new folder of this process inside the store; it is gone after the block."""
    work = store / f"{PREFIX}{_owner()}-{secrets.token_hex(4)}"
    work.mkdir(mode=0o700)
    try:
        yield work
    finally:
        _clear(work)


def clear_abandoned(store: Path) -> list[tuple[Path, int]]:
    """Clears what killed processes left; returns their folders and how many bytes each took."""
    abandoned = [path for path in sorted(store.glob(f"{PREFIX}*")) if _abandoned(path)]
    sizes = [path_bytes(path) for path in abandoned]
    for path in abandoned:
        _clear(path)
    return [*zip(abandoned, sizes, strict=True)]


def put_in_place(fresh: Path, target: Path, work: Path) -> None:
    """Puts an entry in its place; one that stands there is set aside until `work` is cleared."""
    if os.path.lexists(target):
        old = work / OLD
        old.mkdir(mode=0o700)
        target.rename(old / target.name)
    fresh.rename(target)
    try:
        sync_folder(target.parent)
    except BaseException:
        target.rename(fresh)
        raise


def _clear(work: Path) -> None:
    """Removes a work folder; an entry that was set aside for none goes back first."""
    try:
        for old in (work / OLD).glob("*"):
            if not os.path.lexists(work.parent / old.name):
                old.rename(work.parent / old.name)
    except OSError as error:
        _LOG.warning("%s cannot go back to its place: %s", work / OLD, error)
    else:
        shutil.rmtree(work, ignore_errors=True)


def _owner() -> str:
    """This process as the name of its work folder tells it: host, process, when it started."""
    return f"{_host()}-{os.getpid()}-{process_start(os.getpid())}"


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def process_start(process: int) -> int:
    """When a process started, in clock ticks since boot; 0 where the system does not say so."""
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        return int(text.rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def _abandoned(work: Path) -> bool:
    """Whether the owner of a work folder is dead; asked under the lock.

    Locks need not reach other hosts that share the folder: what theirs left stays for a day.
    """
    host, _, rest = work.name.removeprefix(PREFIX).partition("-")
    process, started, *_ = (*rest.split("-"), "", "")
    if host == _host() and process.isdecimal():
        return not _alive(int(process), started)
    try:
        return time.time() - work.stat().st_mtime > _FOREIGN_SECONDS
    except OSError:
        return False


def _alive(process: int, started: str) -> bool:
    """Whether another process of that number and start runs; on Windows the lock decides alone."""
    if process == os.getpid() or sys.platform == "win32":
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass
    now = process_start(process)
    return now == 0 or str(now) == started


def path_bytes(path: Path) -> int:
    """The bytes of the files below a path."""
    if path.is_symlink() or not path.is_dir():
        return 0
    return sum(
        (Path(folder) / name).lstat().st_size
        for folder, _, names in os.walk(path)
        for name in names
    )
