"""Kernels TensorRT for RTX compiled for a card, kept so that the next opening compiles nothing.

They are code: kept in a private folder, read only when nobody else could have written them. A file
that cannot be used is a miss, never an error. Standard library only.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import tempfile
from pathlib import Path

from sambert_trt.engines.errors import SambertError
from sambert_trt.engines.private import opened_folder, read_file, write_file

__all__ = ["KernelCache", "default_cache_folder"]

_LOG = logging.getLogger(__name__)
MOST_BYTES = 512_000_000
_SUFFIX = ".kernels"


def default_cache_folder() -> Path | None:
    """Where a user's caches are, on this system; None for a user who has no home folder."""
    windows = sys.platform == "win32"
    base = Path(os.environ.get("LOCALAPPDATA" if windows else "XDG_CACHE_HOME", ""))
    if base.is_absolute():
        return base / "sambert-trt"
    try:
        home = Path.home()
    except RuntimeError:  # a container's made-up user
        return None
    return (home if windows else home / ".cache") / "sambert-trt"


class KernelCache:
    """Compiled kernels by what they were compiled for: in memory, and in a folder if there is one.

    Args:
        folder: where they outlast the process; None keeps them in memory.
        machine: what they depend on besides the plan: card, driver, TensorRT.
        most: bytes that the folder may hold; the oldest files go first.
    """

    def __init__(self, folder: Path | None, machine: str, most: int = MOST_BYTES) -> None:
        self._folder, self._machine, self._most = folder, machine, most
        self._kept: dict[str, bytes] = {}
        self._saved: set[str] = set()

    def load(self, plan_sha256: str) -> bytes | None:
        """What `save` got for the plan, on this machine."""
        if plan_sha256 not in self._kept and self._folder is not None:
            found = self._read(self._path(self._folder, plan_sha256))
            if found:
                self._kept[plan_sha256] = found
        return self._kept.get(plan_sha256)

    def save(self, plan_sha256: str, kernels: bytes | None) -> None:
        """Keeps a plan's kernels; writes them once, and again whenever there are more of them."""
        kept = self._kept.get(plan_sha256, b"")
        known = plan_sha256 in self._saved and len(kernels or b"") <= len(kept)
        if not kernels or kernels == kept or known:
            return
        self._kept[plan_sha256] = kernels
        self._saved.add(plan_sha256)
        if self._folder is not None and len(kernels) <= self._most:
            self._write(self._path(self._folder, plan_sha256), kernels)

    def _path(self, folder: Path, plan_sha256: str) -> Path:
        name = hashlib.sha256(f"{plan_sha256} {self._machine}".encode()).hexdigest()
        return folder / f"{name[:32]}{_SUFFIX}"

    def _read(self, path: Path) -> bytes | None:
        try:
            with opened_folder(path.parent, None) as folder:
                found = read_file(path, folder, self._most)
        except FileNotFoundError:
            return None
        except (SambertError, OSError) as error:
            _LOG.warning("compiled kernels are not used: %s", error)
            return None
        return found if len(found) <= self._most else None

    def _write(self, path: Path, kernels: bytes) -> None:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with opened_folder(path.parent, None):
                pass
            self._make_room(path, len(kernels))
            with tempfile.TemporaryDirectory(prefix=".writing-", dir=path.parent) as work:
                fresh = Path(work) / path.name
                write_file(fresh, [kernels])
                fresh.replace(path)
        except (SambertError, OSError) as error:
            _LOG.warning("compiled kernels are not kept in %s: %s", path.parent, error)

    def _make_room(self, path: Path, size: int) -> None:
        """Removes the oldest files until one of `size` bytes fits beside the others."""
        with os.scandir(path.parent) as entries:
            names = [e for e in entries if e.name.endswith(_SUFFIX) and e.name != path.name]
            facts = {Path(entry.path): entry.stat(follow_symlinks=False) for entry in names}
        held = size + sum(fact.st_size for fact in facts.values())
        for other in sorted(facts, key=lambda p: facts[p].st_mtime):
            if held <= self._most:
                return
            other.unlink(missing_ok=True)
            held -= facts[other].st_size
