"""Makes a voice folder of two trainings: small, licensed, measured, and readable by the exporter.

    python scripts/train_voice.py package ACOUSTIC VOCODER DATASET OUT --evaluation FILE

A voice that nobody measured, or whose speech is not understood, is packaged with --force only, and
its README says so.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sambert_trt.engines.errors import InputError, OutputError
from sambert_trt.export.source import voice_sources_from_path
from sambert_trt.export.voice_export import load_voice

from .readme import attribution_of_voice, readme_of_voice
from .scores import Evaluation, evaluation_from_file
from .trained import trained_voice_from_runs
from .voice_files import TrainedVoice, contents_of_voice

__all__ = ["FLOOR", "MOST_BYTES", "add_arguments", "package", "run"]

FLOOR = 0.15
"""The largest share of syllables heard wrongly with which a voice is packaged unasked."""
MOST_BYTES = 9_000_000
"""What the repository has room for."""

_LICENCE = Path(__file__).parent / "voice" / "LICENSE"


@dataclass(frozen=True)
class _Doubt:
    """Why a voice should not be packaged, and what to do about it."""

    reason: str
    remedy: str


def add_arguments(parser: ArgumentParser) -> None:
    """The command's options."""
    places = {
        "acoustic": "the folder of the acoustic model's training",
        "vocoder": "the folder of the vocoder's training",
        "dataset": "what prepare wrote",
        "out": "the voice folder to be",
    }
    for name, what in places.items():
        parser.add_argument(name, type=Path, metavar=name.upper(), help=what)
    parser.add_argument("--evaluation", type=Path, help="evaluation.json of these checkpoints")
    parser.add_argument(
        "--licence", type=Path, default=_LICENCE, help="the voice's licence (default CC-BY-SA 4.0)"
    )
    parser.add_argument(
        "--force", action="store_true", help="also a voice that is bad or was not measured"
    )


def run(options: Namespace) -> int:
    """Does what the options say; returns the exit status.

    Raises:
        InputError, SourceError: nothing that can be packaged, or nothing that should be.
        OutputError: the folder cannot be written.
    """
    voice = trained_voice_from_runs(options.acoustic, options.vocoder, options.dataset)
    evaluation = None if options.evaluation is None else evaluation_from_file(options.evaluation)
    size = package(voice, options.out, evaluation, licence=options.licence, force=options.force)
    print(f"{options.out}: {size / 1e6:.2f} MB")
    return 0


def package(
    voice: TrainedVoice,
    target: Path,
    evaluation: Evaluation | None,
    *,
    licence: Path = _LICENCE,
    force: bool = False,
) -> int:
    """Writes the voice folder, whole or not at all.

    Args:
        voice: what was trained.
        target: a folder that is missing, empty, or a voice folder, which is replaced.
        evaluation: of these very checkpoints.
        licence: a text file that becomes LICENSE.
        force: whether a voice without one, or below the floor, is written all the same.

    Returns:
        Its bytes.

    Raises:
        InputError: not measured, measured as something else, below the floor, or too large.
        SourceError: the exporter cannot read what would be written.
        OutputError: the folder cannot be written.
    """
    contents = contents_of_voice(voice)
    doubt = _doubt(contents, evaluation)
    if doubt is not None and not force:
        raise InputError(f"{doubt.reason}: {doubt.remedy}, or give --force")
    measured = evaluation if evaluation and _is_of(evaluation, contents) else None
    reason = "" if doubt is None else doubt.reason
    contents["README.md"] = readme_of_voice(voice, contents, measured, reason).encode()
    contents["ATTRIBUTION.md"] = attribution_of_voice(voice).encode()
    contents["LICENSE"] = _bytes_of(licence)
    size = _checked_size(contents)
    with _replaced_folder(target) as fresh:
        _write(fresh, contents)
        load_voice(voice_sources_from_path(fresh)[0])
    return size


def _doubt(contents: Mapping[str, bytes], evaluation: Evaluation | None) -> _Doubt | None:
    if evaluation is None:
        return _Doubt(
            "this voice was not measured",
            "package it with --force into another folder, evaluate that, and name the evaluation "
            "with --evaluation",
        )
    if not _is_of(evaluation, contents):
        wanted, found = _short(_digests(contents)), _short(evaluation.checkpoints)
        return _Doubt(
            f"the evaluation is of other checkpoints ({found}) than these ({wanted})",
            "evaluate these",
        )
    error = evaluation.value("syllable_error", "speech")
    if error is None:
        return _Doubt(
            "its evaluation had no recogniser", "evaluate the voice where one is installed"
        )
    if error > FLOOR:
        return _Doubt(
            f"{100 * error:.1f} % of its syllables are heard wrongly, more than {100 * FLOOR:.0f} "
            "%",
            "train longer",
        )
    return None


def _is_of(evaluation: Evaluation, contents: Mapping[str, bytes]) -> bool:
    return evaluation.checkpoints == _digests(contents)


def _digests(contents: Mapping[str, bytes]) -> dict[str, str]:
    """sha256 of the checkpoints, by part."""
    return {
        path.partition("/")[0]: hashlib.sha256(content).hexdigest()
        for path, content in contents.items()
        if path.endswith(".pth")
    }


def _short(digests: Mapping[str, str]) -> str:
    return ", ".join(f"{part} {digest[:12]}" for part, digest in sorted(digests.items()))


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"the licence {path} cannot be read: {error.strerror}") from error


def _checked_size(contents: Mapping[str, bytes]) -> int:
    size = sum(map(len, contents.values()))
    if size > MOST_BYTES:
        largest = max(contents, key=lambda path: len(contents[path]))
        raise InputError(
            f"the voice would take {size / 1e6:.2f} MB, more than {MOST_BYTES / 1e6:g} MB "
            f"({largest}: {len(contents[largest]) / 1e6:.2f} MB): train a smaller one"
        )
    return size


def _write(folder: Path, contents: Mapping[str, bytes]) -> None:
    for path, content in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


@contextmanager
def _replaced_folder(target: Path) -> Iterator[Path]:
    """Yields a folder beside `target` that takes its place when the block ends well.

    What stood there is removed only when the new one stands.
    """
    target = target.absolute()
    _check_target(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise OutputError(f"cannot write beside {target}: {error.strerror}") from error
    fresh, old = work / target.name, work / "old"
    try:
        fresh.mkdir()
        yield fresh
        _swap(fresh, target, old)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(
            f"{target} cannot be written: {error.strerror or error}; what stood there is unchanged"
        ) from error
    finally:
        if target.exists() or not old.exists():
            shutil.rmtree(work, ignore_errors=True)


def _check_target(target: Path) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise OutputError(f"{target} is a file: name a folder")
    if any(target.iterdir()) and not (target / "am" / "config.yaml").is_file():
        raise OutputError(f"{target} holds something that is no voice folder: name another")


def _swap(fresh: Path, target: Path, old: Path) -> None:
    if target.exists():
        target.rename(old)
    try:
        fresh.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
