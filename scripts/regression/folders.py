"""Folders that runs leave in a cache: what was never completed goes again.

Standard library only.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sambert_trt.engines.errors import OutputError, SambertError

__all__ = ["UNFINISHED", "remove_abandoned", "writing"]

_ABANDONED = 86_400
"""Seconds after which a folder that was never completed is somebody's leftover."""

UNFINISHED = "unfinished-"


def remove_abandoned(cache: Path, prefix: str = UNFINISHED) -> None:
    """Removes the folders that runs have left that were ended from outside, a day ago or more."""
    for folder in cache.glob(f"{prefix}*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > _ABANDONED:
                shutil.rmtree(folder, ignore_errors=True)


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
