"""What a run measures: the trees of both sides, and the voice that each of them speaks with.

Without a voice of the user's it is the demo voice, exported by the tree that speaks it. Trees whose
exporters are the same share the export.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sambert_trt.engines.child_process import python_command
from sambert_trt.engines.errors import InputError, SourceError
from sambert_trt.engines.voice import manifest_from_directory

from .folders import kept_folder
from .suite import Settings
from .trees import Tree

__all__ = ["Speaking", "demo_source", "exported_voice", "settings_of_tree"]

_EXPORTERS = ("torch", "onnx", "onnxscript")


@dataclass(frozen=True)
class Speaking:
    """How both sides speak.

    Attributes:
        voice: an exported voice; None: the demo voice, exported by each tree.
        source: the voice's checkpoint folder.
        extra: options of single suites.
    """

    voice: Path | None = None
    source: Path | None = None
    backend: str = "cpu"
    precision: str | None = None
    threads: int = 1
    full: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Looks at the voice before anything is done.

        Raises:
            InputError: there are checkpoints of no voice: those of the demo voice are its own.
            VoiceError: the folder holds no voice.
        """
        if self.voice is not None:
            manifest_from_directory(self.voice)
        elif self.source is not None:
            raise InputError(
                f"--source {self.source} is of no voice: name the voice that was exported of it "
                "with --voice"
            )


def settings_of_tree(tree: Tree, how: Speaking, cache: Path, work: Path) -> Settings:
    """What a worker of this tree is told.

    Args:
        cache: where exported voices are kept.
        work: a folder for this side; it is made.

    Raises:
        InputError: the tree has no demo voice.
        SourceError: it cannot export it.
        OutputError: there is no room for it.
    """
    work.mkdir(parents=True)
    source = how.source if how.voice is not None else demo_source(tree.path)
    voice = how.voice if how.voice is not None else exported_voice(tree.path, cache)
    return Settings(
        tree=tree.path,
        voice=voice.absolute(),
        work=work,
        source=source,
        backend=how.backend,
        precision=how.precision,
        threads=how.threads,
        full=how.full,
        extra=how.extra,
    )


def demo_source(tree: Path) -> Path:
    """The checkpoint folder of the tree's demo voice.

    Raises:
        InputError: there is none.
    """
    source = tree / "scripts" / "demo_voice" / "voice"
    if not source.is_dir():
        raise InputError(f"{tree} has no demo voice (scripts/demo_voice): name one with --voice")
    return source


def exported_voice(tree: Path, cache: Path) -> Path:
    """The demo voice as this tree exports it; one of the same exporter and sources is reused.

    Raises:
        InputError: the tree has no demo voice.
        SourceError: the export failed; the message holds its last line.
        OutputError: it cannot be written.
    """
    source = demo_source(tree)

    def export(folder: Path) -> Path:
        _export(tree, source, folder)
        return folder / "voice"

    return kept_folder(cache.absolute() / _key(tree, source), export)


def _export(tree: Path, source: Path, folder: Path) -> None:
    here = folder / "here"
    here.mkdir()
    finished = subprocess.run(
        (
            *python_command("sambert_trt.export.cli"),
            *(str(source.absolute()), "-o", str(folder / "voice")),
        ),
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(tree.absolute() / "build" / "ns")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if finished.returncode:
        said = (finished.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise SourceError(
            f"{tree} cannot export its demo voice (status {finished.returncode}): {said}; "
            "name an exported voice with --voice"
        )


def _key(tree: Path, source: Path) -> str:
    """Of all that decides what an export gives: the code, the sources, what it runs on."""
    digest = hashlib.sha256(repr(list(_versions())).encode())
    code = [path for name in ("export", "engines") for path in (tree / name).rglob("*.py")]
    for path in _sorted((*code, *source.rglob("*")), tree):
        digest.update(path.relative_to(tree).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _sorted(paths: Iterable[Path], tree: Path) -> list[Path]:
    files = (path for path in paths if path.is_file())
    return sorted(files, key=lambda path: path.relative_to(tree).as_posix())


def _versions() -> Iterator[str]:
    yield platform.python_version()
    yield from map(_version, _EXPORTERS)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
