"""The one place where suites open backends and voices: planted faults come in here.

`sambert_trt` is imported when something is opened: it is the measured tree's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from .clock import clock_of_thread
from .plant import plant_from_text, planted
from .record import Identity
from .suite import Settings

if TYPE_CHECKING:
    from sambert_trt.engines.graphs import Placement, Precision
    from sambert_trt.engines.manifest import FileRecord, VoiceManifest
    from sambert_trt.runtime import Voice
    from sambert_trt.runtime.backend import Backend

__all__ = ["identity_from_settings", "learned_emotions", "opened_backend", "opened_voice"]

_PACKAGES = {
    "cpu": ("onnxruntime", "onnxruntime-gpu"),
    "cuda": ("onnxruntime-gpu",),
    "tensorrt": ("tensorrt-rtx-cu13-libs", "tensorrt", "tensorrt-lean-cu13-libs"),
}
"""What runs a backend; the first that is installed is named."""


@contextmanager
def opened_backend(settings: Settings) -> Iterator[Backend]:
    """The backend the settings name, with what they plant; closed at the end.

    Raises:
        InputError: no such backend, or nothing that can be planted.
        BackendError: what it needs is not installed, or there is no card.
    """
    from sambert_trt.runtime import backend_from_name

    plant = plant_from_text(settings.plant)
    backend = backend_from_name(settings.backend)
    try:
        yield planted(backend, plant, clock_of_thread(settings.backend))
    finally:
        backend.close()


@contextmanager
def opened_voice(settings: Settings, backend: Backend | None = None) -> Iterator[Voice]:
    """The voice the settings name; closed at the end.

    Args:
        settings: voice, precision, threads, and the backend where none is given.
        backend: one that `opened_backend` gave, e.g. to wrap it; its owner closes it.

    Raises:
        SambertError: the voice or the backend cannot be used.
    """
    from sambert_trt.runtime import open_voice

    if backend is None:
        with opened_backend(settings) as made, opened_voice(settings, made) as voice:
            yield voice
        return
    with open_voice(
        settings.voice, threads=settings.threads, backend=backend, precision=settings.precision
    ) as voice:
        yield voice


def identity_from_settings(settings: Settings) -> Identity:
    """What these settings would speak with, as this tree reads them; every file of it is checked.

    Raises:
        InputError: the voice lacks the precision; the message says which it has.
        VoiceError: it cannot be read, or a file is not the one that its manifest names.
        BackendError: the backend cannot be used.
    """
    from sambert_trt.engines.graphs import Precision
    from sambert_trt.engines.voice import checked_bytes, manifest_from_directory

    manifest = manifest_from_directory(settings.voice)
    with opened_backend(settings) as backend:
        precision = Precision(settings.precision or backend.preferred(settings.voice, manifest))
        files = _graph_files(manifest, precision, backend.placement)
    for file in (manifest.styles, *files):
        checked_bytes(settings.voice, file)
    return Identity(
        voice=manifest.name,
        weights=_weights_digest(manifest),
        precision=precision.value,
        backend=_backend_name(settings.backend),
        threads=settings.threads,
    )


def learned_emotions(voice: Voice) -> tuple[str, ...]:
    """The emotions that can be asked for; runtimes that do not know them let one ask for all."""
    manifest = voice.manifest
    found: tuple[str, ...] = getattr(manifest, "trained_emotions", manifest.emotions)
    return found


def _graph_files(
    manifest: VoiceManifest, precision: Precision, placement: Placement
) -> list[FileRecord]:
    from sambert_trt.engines.errors import InputError, VoiceError
    from sambert_trt.engines.graphs import Precision, Stage

    def files(one: Precision) -> list[FileRecord]:
        with suppress(VoiceError):
            return [manifest.record(stage, one, placement).file for stage in Stage]
        return []

    found = files(precision)
    if not found:
        known = ", ".join(one.value for one in Precision if files(one))
        raise InputError(
            f"the voice {manifest.name} has no graphs in {precision.value} for {placement.value}: "
            f"give --precision one of {known}, or make them with sambert-calibrate"
        )
    return found


def _weights_digest(manifest: VoiceManifest) -> str:
    files = sorted((name, file.sha256) for name, file in manifest.weights.items())
    return sha256(repr(files).encode()).hexdigest()[:16]


def _backend_name(name: str) -> str:
    for package in _PACKAGES.get(name, ()):
        with suppress(PackageNotFoundError):
            return f"{name} ({package} {version(package)})"
    return name
