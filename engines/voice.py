"""The voice directory on disk: paths, integrity, and writing it whole or not at all.

    voice.json, styles.npz, onnx/<stage>.onnx

Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath

from .errors import IntegrityError, OutputError, VoiceError, VoiceMissingError
from .manifest import FileRecord, VoiceManifest, manifest_from_json

__all__ = [
    "MANIFEST",
    "checked_bytes",
    "checked_path",
    "file_record",
    "manifest_from_directory",
    "replaced_directory",
    "voice_directories",
]

MANIFEST = "voice.json"
_LOG = logging.getLogger(__name__)


def manifest_from_directory(directory: Path) -> VoiceManifest:
    """Reads the manifest of a voice directory and checks that its files are there, in full size.

    Graphs of other precisions are checked when they are used: without them the voice still speaks.

    Raises:
        VoiceMissingError: no such directory, no manifest in it, or a file is gone.
        SchemaError: the manifest cannot be read.
        IntegrityError: a file has another size.
    """
    path = directory / MANIFEST
    if directory.name == MANIFEST and directory.is_file():
        raise VoiceMissingError(f"{directory} is a file of a voice: name its folder")
    if not path.is_file():
        raise VoiceMissingError(_missing_manifest(directory))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise VoiceError(f"{path} cannot be read ({error}); export the voice again") from error
    manifest = manifest_from_json(text, str(path))
    for record in manifest.essential_files:
        _checked_size(directory, record)
    return manifest


def voice_directories(root: Path) -> list[Path]:
    """The voice directories at `root` itself or directly below it, sorted by name."""
    if (root / MANIFEST).is_file():
        return [root]
    if not root.is_dir():
        return []
    return sorted(path.parent for path in root.glob(f"*/{MANIFEST}"))


def checked_path(directory: Path, record: FileRecord) -> Path:
    """The path of a file whose size and sha256 are those of the manifest."""
    checked_bytes(directory, record)
    return directory / record.path


def checked_bytes(directory: Path, record: FileRecord) -> bytes:
    """The content of a file, compared with the sha256 of the manifest before anything parses it."""
    path = _checked_size(directory, record)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise VoiceError(f"{path} cannot be read: {error.strerror}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != record.sha256:
        raise IntegrityError(
            f"{path} has sha256 {found[:12]}…, the manifest names {record.sha256[:12]}…: "
            "it was changed or swapped; copy or export the voice again"
        )
    return content


def file_record(directory: Path, relative: str) -> FileRecord:
    """Measures a file for the manifest."""
    content = (directory / relative).read_bytes()
    return FileRecord(relative, len(content), hashlib.sha256(content).hexdigest())


@contextmanager
def replaced_directory(target: Path) -> Iterator[Path]:
    """Yields an empty directory beside `target` that takes its place only when the block succeeds.

    What stood at `target` stays untouched until then, and is gone only after the new directory
    stands; what the exporter does not write itself (plans, notes) moves into the new one. On any
    error, Ctrl-C included, the half-written directory is removed.

    Raises:
        OutputError: the directory cannot be written, or `target` holds something
            that is not a voice directory.
    """
    target = target.absolute()
    if target.exists() and not _replaceable(target):
        raise OutputError(
            f"{target} exists and is not a voice directory: choose another output or empty it"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise OutputError(
            f"cannot write beside {target}: {error.strerror}; choose a writable place"
        ) from error
    fresh, old = work / "new", work / "old"
    try:
        fresh.mkdir()
        yield fresh
        _swap(fresh, target, old)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(
            f"writing {target} failed: {error.strerror or error}; what stood there is unchanged"
        ) from error
    finally:
        if target.exists() and _foreign(old, target):
            _LOG.warning("what was not moved to %s is kept in %s", target, old)
        elif target.exists() or not old.exists():
            shutil.rmtree(work, ignore_errors=True)


def _swap(fresh: Path, target: Path, old: Path) -> None:
    try:
        if target.exists():
            target.replace(old)
        fresh.replace(target)
    except BaseException:
        if old.exists() and not target.exists():
            old.replace(target)
        raise
    for entry in _foreign(old, target):
        entry.replace(target / entry.name)


def _foreign(old: Path, target: Path) -> list[Path]:
    if not old.is_dir():
        return []
    own = (MANIFEST, "styles.npz", "onnx", "source")
    return [
        entry
        for entry in old.iterdir()
        if entry.name not in own and not (target / entry.name).exists()
    ]


def _replaceable(target: Path) -> bool:
    if not target.is_dir():
        return False
    if not any(target.iterdir()):
        return True
    try:
        manifest = json.loads((target / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(manifest, dict) and isinstance(manifest.get("schema"), int)


def _checked_size(directory: Path, record: FileRecord) -> Path:
    path = directory / record.path
    parts = PureWindowsPath(record.path)
    if parts.is_absolute() or parts.drive or parts.root or ".." in parts.parts:
        raise IntegrityError(f"the manifest of {directory} names {record.path}, outside the voice")
    try:
        found = path.is_file()
    except OSError as error:
        raise VoiceError(f"{path} cannot be read: {error.strerror}") from error
    if not found:
        raise VoiceMissingError(f"{path} is missing; copy or export the voice again")
    size = path.stat().st_size
    if size != record.bytes:
        raise IntegrityError(
            f"{path} has {size} bytes, the manifest says {record.bytes}: "
            "it was cut or changed; copy or export the voice again"
        )
    return path


def _missing_manifest(directory: Path) -> str:
    if not directory.exists():
        return (
            f"{directory} does not exist; export a voice there with: "
            f"sambert-export SOURCE -o {directory}"
        )
    found = voice_directories(directory)
    if found:
        names = ", ".join(str(path) for path in found)
        return f"{directory} holds {len(found)} voices; choose one: {names}"
    if (directory / "am").is_dir() or (directory / "voices").is_dir():
        return (
            f"{directory} is a PyTorch voice; "
            f"export it first with: sambert-export {directory} -o voice"
        )
    return f"{directory} holds no {MANIFEST}: it is no voice directory (see sambert-export)"
