"""Modules of voices, read once: reading a checkpoint takes a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from warm_reader import warm_reader

if TYPE_CHECKING:
    from sambert_trt.export.voice_export import LoadedVoice


@pytest.fixture(autouse=True)
def _reader_at_hand(request: pytest.FixtureRequest) -> Iterator[None]:
    """Checkpoints are read in forks, but by the tests of that reading."""
    if request.path.name == "test_checkpoint.py":
        yield
        return
    with warm_reader():
        yield


@pytest.fixture(scope="session")
def loaded() -> Callable[[Path], LoadedVoice]:
    """The modules of the only voice of a folder; copy what a test changes."""
    pytest.importorskip("torch", reason="the modules are torch's")
    from sambert_trt.export.source import voice_sources_from_path
    from sambert_trt.export.voice_export import load_voice

    found: dict[Path, LoadedVoice] = {}

    def load(folder: Path) -> LoadedVoice:
        if folder not in found:
            (source,) = voice_sources_from_path(folder)
            found[folder] = load_voice(source)
        return found[folder]

    return load
