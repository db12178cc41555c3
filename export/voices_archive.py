"""voices.zip of a model repository: unpacked where it can do no harm."""

from __future__ import annotations

import atexit
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from sambert_trt.engines.errors import SourceError

__all__ = ["unpacked_voices"]

_MOST_BYTES = 8 << 30
_MOST_FILES = 10_000


def unpacked_voices(archive: Path) -> Path:
    """Unpacks voices.zip into a temporary folder that is removed when the process ends."""
    target = Path(tempfile.mkdtemp(prefix="sambert-voices-"))
    try:
        _unpack(archive, target)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    atexit.register(shutil.rmtree, target, ignore_errors=True)
    return target / "voices" if (target / "voices").is_dir() else target


def _unpack(archive: Path, target: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as file:
            items = file.infolist()
            _check_archive(archive, items)
            for item in items:
                file.extract(item, target)
    except SourceError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        raise SourceError(f"{archive} cannot be unpacked: {error}; download it again") from error
    except OSError as error:
        raise SourceError(f"{archive} cannot be unpacked: {error.strerror or error}") from error


def _check_archive(archive: Path, items: Sequence[zipfile.ZipInfo]) -> None:
    total = sum(item.file_size for item in items)
    if total > _MOST_BYTES or len(items) > _MOST_FILES:
        raise SourceError(
            f"{archive} would unpack to {len(items)} files of {total} bytes; at most "
            f"{_MOST_FILES} files of {_MOST_BYTES} bytes are unpacked: unpack it yourself"
        )
    for item in items:
        parts = PurePosixPath(item.filename.replace("\\", "/"))
        outside = parts.is_absolute() or ".." in parts.parts or ":" in item.filename
        if outside or stat.S_ISLNK(item.external_attr >> 16):
            raise SourceError(f"{archive} holds {item.filename!r}, which leads out of the archive")
