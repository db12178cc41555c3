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
_MOST_BYTES = 256_000_000


def default_cache_folder() -> Path:
    """Where a user's caches are, on this system."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
        return Path(base or Path.home()) / "sambert-trt"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "sambert-trt"


class KernelCache:
    """Compiled kernels by what they were compiled for: in memory, and in a folder if there is one.

    Args:
        folder: where they outlast the process; None keeps them in memory.
        machine: what they depend on besides the plan: card, driver, TensorRT.
    """

    def __init__(self, folder: Path | None, machine: str) -> None:
        self._folder, self._machine = folder, machine
        self._kept: dict[str, bytes] = {}

    def load(self, plan_sha256: str) -> bytes | None:
        """What `save` got for the plan, on this machine."""
        if plan_sha256 not in self._kept and self._folder is not None:
            found = self._read(self._path(self._folder, plan_sha256))
            if found is not None:
                self._kept[plan_sha256] = found
        return self._kept.get(plan_sha256)

    def save(self, plan_sha256: str, kernels: bytes | None) -> None:
        """Keeps a plan's kernels; writes them where they are new."""
        if not kernels or self._kept.get(plan_sha256) == kernels:
            return
        self._kept[plan_sha256] = kernels
        if self._folder is not None:
            self._write(self._path(self._folder, plan_sha256), kernels)

    def _path(self, folder: Path, plan_sha256: str) -> Path:
        name = hashlib.sha256(f"{plan_sha256} {self._machine}".encode()).hexdigest()
        return folder / f"{name[:32]}.kernels"

    def _read(self, path: Path) -> bytes | None:
        try:
            with opened_folder(path.parent, None) as folder:
                return read_file(path, folder, _MOST_BYTES)
        except FileNotFoundError:
            return None
        except (SambertError, OSError) as error:
            _LOG.warning("compiled kernels are not used: %s", error)
            return None

    def _write(self, path: Path, kernels: bytes) -> None:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with opened_folder(path.parent, None):
                pass
            with tempfile.TemporaryDirectory(prefix=".writing-", dir=path.parent) as work:
                fresh = Path(work) / path.name
                write_file(fresh, [kernels])
                fresh.replace(path)
        except (SambertError, OSError) as error:
            _LOG.warning("compiled kernels are not kept in %s: %s", path.parent, error)
