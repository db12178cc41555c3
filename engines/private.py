"""Files that only their owner or root may have written: opened, checked, read and written.

What is checked is the descriptor that is read, so nothing can be swapped in between. Windows is
exempt from the checks: its access lists do not show in the mode bits Python reads, and a user's
profile folder is private by default. Standard library only.
"""

from __future__ import annotations

import errno
import os
import shlex
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .errors import EngineError

__all__ = ["opened_folder", "read_file", "sync_folder", "write_file"]

_POSIX = os.name == "posix"
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | _NOFOLLOW
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | _NOFOLLOW


@contextmanager
def opened_folder(path: Path, parent: int | None) -> Iterator[int | None]:
    """A descriptor of a folder that is private; None where the system has no such thing."""
    if not _POSIX:
        yield None
        return
    name = path if parent is None else path.name
    flags = os.O_RDONLY | os.O_DIRECTORY | _NOFOLLOW
    try:
        descriptor = os.open(name, flags, dir_fd=parent)
    except OSError as error:
        raise _refused(path, error) from error
    try:
        _check_private(path, os.fstat(descriptor))
        yield descriptor
    finally:
        os.close(descriptor)


def read_file(path: Path, folder: int | None, most: int) -> bytes:
    """A file's content, at most one byte more than `most`.

    With the descriptor of its folder, it is also checked to be private: the file that is checked
    is the file that is read.
    """
    checked = folder is not None
    try:
        descriptor = os.open(path.name if checked else path, _READ, dir_fd=folder)
    except OSError as error:
        raise _refused(path, error) from error
    with ExitStack() as stack:
        stack.callback(os.close, descriptor)
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise EngineError(f"{path} is not a file; remove it and build the plan again")
        if checked:
            _check_private(path, facts)
        try:
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read(min(most, facts.st_size) + 1)
        except OSError as error:
            raise _refused(path, error) from error


def write_file(path: Path, blocks: Iterable[bytes]) -> None:
    """Writes a new file that only its owner may read, down to the disk."""
    descriptor = os.open(path, _WRITE, 0o600)
    try:
        for block in blocks:
            view = memoryview(block)
            while view:
                view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Brings a folder's names down to the disk; Windows does so by itself."""
    if not _POSIX:
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems
            raise
    finally:
        os.close(descriptor)


def _refused(path: Path, error: OSError) -> Exception:
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(error.errno, error.strerror, str(path))
    if error.errno in (errno.ELOOP, errno.EMLINK, errno.ENOTDIR):
        return EngineError(
            f"{path} is a link or no folder: plans stand in the store itself; remove it and build "
            "the plan again"
        )
    return EngineError(f"{path} cannot be read: {error.strerror or error}")


def _check_private(path: Path, facts: os.stat_result) -> None:
    """Refuses what another user could have written: a plan is code."""
    if not _POSIX:
        return
    own = os.geteuid()
    if facts.st_uid not in (0, own):
        raise EngineError(
            f"{path} belongs to user {facts.st_uid}, this process runs as {own}: a plan is code "
            f"and is not run for others; if you trust it: chown -R {own} {shlex.quote(str(path))}"
        )
    if facts.st_mode & 0o022:
        raise EngineError(
            f"{path} may be written by others (mode {stat.S_IMODE(facts.st_mode):04o}): a plan is "
            f"code; if you trust it: chmod -R go-w {shlex.quote(str(path))}"
        )
