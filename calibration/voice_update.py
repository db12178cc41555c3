"""Changing a voice directory: new files and the manifest that names them, all of it or nothing.

Standard library and the contracts only.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sambert_trt.engines.errors import OutputError, SambertError
from sambert_trt.engines.locks import locked
from sambert_trt.engines.manifest import StageRecord, VoiceManifest, manifest_from_json
from sambert_trt.engines.voice import MANIFEST, checked_bytes, manifest_from_directory

__all__ = ["VoiceUpdate", "intact", "voice_update"]

_LOCK, _WORK = ".calibrate.lock", ".calibrate"
_LOCK_SECONDS = 600.0


@dataclass(frozen=True)
class VoiceUpdate:
    """A voice directory that no other calibration changes meanwhile.

    Attributes:
        work: an empty folder; files lie in it under the paths they shall have in the voice.
    """

    directory: Path
    work: Path
    manifest: VoiceManifest
    text: str

    def commit(self, manifest: VoiceManifest, others: Iterable[str] = ()) -> None:
        """Moves what `manifest` names and lies in `work` into place, and then the manifest.

        The manifest on disk forgets graphs before they are replaced, so that the voice is whole at
        every moment, even if the process ends between two moves. If a move fails, all is taken
        back. Files that only the old manifest named are removed at the end.

        Args:
            manifest: what the voice shall be.
            others: paths of further files in `work` that no manifest names.

        Raises:
            OutputError: the voice was exported again meanwhile.
        """
        if _manifest_text(self.directory) != self.text:
            raise OutputError(f"{self.directory} was exported again meanwhile: calibrate it again")
        fresh = [file.path for file in manifest.files if (self.work / file.path).is_file()]
        for name, content in (("before", _forgetting(self.manifest, fresh)), ("after", manifest)):
            (self.work / name).write_text(content.as_json(), encoding="utf-8")
        moves = [(self.work / path, self.directory / path) for path in (*fresh, *others)]
        moves.insert(0, (self.work / "before", self.directory / MANIFEST))
        moves.append((self.work / "after", self.directory / MANIFEST))
        _move_all(moves, self.work)
        named = {file.path for file in manifest.files}
        for file in self.manifest.files:
            if file.path not in named:
                (self.directory / file.path).unlink(missing_ok=True)


@contextmanager
def voice_update(directory: Path) -> Iterator[VoiceUpdate]:
    """Holds a voice directory for the block, which commits or leaves it as it was.

    Raises:
        VoiceError: the directory is no voice.
        OutputError: it cannot be written, or another process has held it for too long.
    """
    _manifest_text(directory)
    with (
        _writing(directory),
        locked(directory / _LOCK, _LOCK_SECONDS, "calibrate"),
        _emptied(directory / _WORK) as work,
    ):
        text = _manifest_text(directory)
        manifest = manifest_from_json(text, str(directory / MANIFEST))
        yield VoiceUpdate(directory, work, manifest, text)


def intact(directory: Path, record: StageRecord) -> bool:
    """Whether a graph's file is there and the one its record names."""
    try:
        checked_bytes(directory, record.file)
    except SambertError:
        return False
    return True


def _forgetting(manifest: VoiceManifest, paths: Collection[str]) -> VoiceManifest:
    """The manifest without the graphs at these paths; an assignment without one of its is none."""
    variants = {
        precision: {s: r for s, r in stages.items() if r.file.path not in paths}
        for precision, stages in manifest.variants.items()
    }
    assignments = {
        placement: stages
        for placement, stages in manifest.assignments.items()
        if not any(record.file.path in paths for record in stages.values())
    }
    return replace(manifest, variants=variants, assignments=assignments)


def _move_all(moves: Iterable[tuple[Path, Path]], work: Path) -> None:
    with ExitStack() as undo:
        for number, (source, target) in enumerate(moves):
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                shutil.copyfile(target, work / str(number))
                undo.callback(os.replace, work / str(number), target)
            else:
                undo.callback(target.unlink, missing_ok=True)
            source.replace(target)
        undo.pop_all()


def _manifest_text(directory: Path) -> str:
    try:
        return (directory / MANIFEST).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        manifest_from_directory(directory)  # raises, and says what there is instead
        raise


@contextmanager
def _emptied(work: Path) -> Iterator[Path]:
    """An empty folder that is gone afterwards; what a killed process left goes, too."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def _writing(directory: Path) -> Iterator[None]:
    try:
        yield
    except SambertError:
        raise
    except OSError as error:
        raise OutputError(
            f"writing into {directory} failed: {error.strerror or error}; it is unchanged"
        ) from error
