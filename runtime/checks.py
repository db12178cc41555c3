"""Whether a manifest, its graphs' signatures and its tables fit together, checked once at opening.

Numpy only.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.errors import VoiceError
from sambert_trt.engines.graphs import GraphSpec, Stage
from sambert_trt.engines.manifest import VoiceManifest
from sambert_trt.engines.voice import checked_bytes

__all__ = ["check_voice", "checked_tables"]

_SIZES = (
    "sample_rate",
    "hop",
    "frame_channels",
    "mel_channels",
    "frames_per_step",
    "projection_width",
    "speaker_width",
    "emotion_width",
    "decoder_layers",
    "decoder_heads",
    "decoder_head_width",
)


def checked_tables(directory: Path, manifest: VoiceManifest) -> dict[str, NDArray[np.float32]]:
    """The arrays of styles.npz, which fit the manifest and its graphs.

    Raises:
        VoiceError: the file is missing or cannot be read, or something contradicts something.
        IntegrityError: it is not the one the manifest names.
    """
    content = checked_bytes(directory, manifest.styles)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            tables = {name: np.ascontiguousarray(file[name], np.float32) for name in file.files}
    except (ValueError, OSError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise VoiceError(f"{directory}/styles.npz cannot be read: {error}") from error
    check_voice(directory, manifest, tables)
    return tables


def check_voice(
    directory: Path, manifest: VoiceManifest, styles: Mapping[str, NDArray[np.float32]]
) -> None:
    """Compares everything the runtime will rely on.

    Raises:
        VoiceError: lists every contradiction.
    """
    problems = [
        f"{name} is {getattr(manifest, name)}" for name in _SIZES if getattr(manifest, name) < 1
    ]
    problems += [f"there is no {stage.value}" for stage in Stage if stage not in manifest.stages]
    if not problems:
        problems = [*_names(manifest), *_graphs(manifest), *_tables(manifest, styles)]
    if problems:
        listed = "".join(f"\n  {problem}" for problem in problems)
        raise VoiceError(
            f"{directory} does not fit together; copy or export the voice again:{listed}"
        )


def _names(manifest: VoiceManifest) -> Iterator[str]:
    if manifest.default_emotion not in manifest.trained_emotions:
        yield f"the default emotion {manifest.default_emotion!r} is not one of its emotions"
    unnamed = manifest.speakers == ("",)
    if not unnamed and manifest.default_speaker not in manifest.speakers:
        yield f"the default speaker {manifest.default_speaker!r} is not one of its speakers"
    rule = manifest.f0
    if rule is not None and rule.dtype not in ("float32", "float64"):
        yield f"f0.dtype is {rule.dtype!r}, not float32 or float64"
    if rule is not None and (rule.harmonics < 0 or rule.sampling_rate < 1):
        yield f"f0 has {rule.harmonics} harmonics at {rule.sampling_rate} Hz"


def _graphs(manifest: VoiceManifest) -> Iterator[str]:
    m, kv = manifest, 2 * manifest.decoder_heads * manifest.decoder_head_width
    memory = m.frames_per_step * m.projection_width + m.speaker_width + m.emotion_width
    context = sum(m.stages[Stage.POSTNET].graph.context)
    fields = len(m.units)
    state = (m.decoder_layers, 2, m.decoder_heads, m.decoder_head_width, "window")
    post = m.stages[Stage.POSTNET].graph
    shapes: dict[Stage, dict[str, tuple[int | str, ...]]] = {
        Stage.TEXT_ENCODER: {
            "ids": (1, "symbols", fields),
            "text_hid": (1, "symbols", m.projection_width),
        },
        Stage.PROSODY: {
            "text_hid": (1, "symbols", m.projection_width),
            "speaker": (1, "symbols", m.speaker_width),
            "emotion": (1, "symbols", m.emotion_width),
        },
        Stage.DURATION_STEP: {
            "condition": (1, m.projection_width + m.speaker_width + m.emotion_width)
        },
        Stage.MEMORY_KV: {
            "memory": (1, "steps", memory),
            "memory_kv": (1, "steps", m.decoder_layers * kv),
        },
        Stage.DECODER_STEP: {
            "memory": (1, memory),
            "memory_kv": ("window", m.decoder_layers * kv),
            "frames": (1, m.frames_per_step * m.frame_channels),
            "state": state,
        },
        Stage.POSTNET: {
            "frames": (1, f"frames+{context}", m.frame_channels),
            "mel": (1, "frames", m.frame_channels),
        },
        Stage.VOCODER: {
            "mel": (1, "frames", m.mel_channels),
            "wave": (1, f"frames*{m.hop}"),
        },
    }
    if m.f0 is not None:
        shapes[Stage.VOCODER]["excitation"] = (1, f"frames*{m.hop}")
    if m.filled_pauses:
        shapes[Stage.TEXT_ENCODER]["pause_classes"] = (1, "symbols", 4)
    if min(post.context) < 0 or min(m.stages[Stage.VOCODER].graph.context) < 0:
        yield "a context is negative"
    for stage, expected in shapes.items():
        yield from _shapes(m.stages[stage].graph, stage, expected)


def _shapes(
    graph: GraphSpec, stage: Stage, expected: Mapping[str, tuple[int | str, ...]]
) -> Iterator[str]:
    if graph.stage is not stage:
        yield f"the {stage.value} graph says it is {graph.stage.value}"
    found = {tensor.name: tensor.shape for tensor in (*graph.inputs, *graph.outputs)}
    for name, shape in expected.items():
        if found.get(name) != shape:
            yield f"{stage.value}.{name} has shape {found.get(name)}, the manifest needs {shape}"
    for name in ("excitation", "pause_classes"):
        if name in found and name not in expected:
            yield f"{stage.value} has {name}, which the manifest knows nothing of"
    missing = {s.partition("+")[0].partition("*")[0] for t in found.values() for s in _axes(t)}
    for axis in sorted(missing - set(graph.axes)):
        yield f"the {stage.value} graph gives no range for its axis {axis}"


def _axes(shape: tuple[int | str, ...]) -> list[str]:
    return [size for size in shape if isinstance(size, str)]


def _tables(manifest: VoiceManifest, styles: Mapping[str, NDArray[np.float32]]) -> Iterator[str]:
    m = manifest
    expected: dict[str, tuple[int, ...]] = {
        "speaker": (len(m.speakers), m.speaker_width),
        "emotion": (len(m.emotions), m.emotion_width),
        "duration_timescales": (m.projection_width,),
    }
    if m.filled_pauses:
        expected["filled_pauses"] = (3, 3, m.projection_width)
    if m.f0 is not None:
        expected |= {"source_weight": (m.f0.harmonics + 1,), "source_bias": (1,)}
    for name, shape in expected.items():
        found = styles[name].shape if name in styles else None
        if found != shape:
            yield f"styles.npz has {name} of shape {found}, the manifest needs {shape}"
        elif not np.isfinite(styles[name]).all():
            yield f"styles.npz has values in {name} that are not finite"
