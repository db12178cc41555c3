"""Writes a dataset of the parts it was made in: statistics first, then the normalised arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.errors import InputError
from sambert_trt.runtime.audio import replaced_file

from .copies import symbol_means
from .dataset import FACTS, UTTERANCES, DatasetSettings
from .growing import growing
from .parts import LoadedPart, Part, loaded_part

if TYPE_CHECKING:
    from hashlib import _Hash

    from .corpus import Sentence

__all__ = ["Origin", "write_dataset"]

_LEAST_DEVIATION = 1e-3
"""Of scaled mels: a band that never moves is not made loud."""


@dataclass(frozen=True)
class Origin:
    """What a dataset is made of and with.

    Attributes:
        held_out: whether a sentence is never to be learned from.
        skipped: a line on each sentence left out.
        request: the options and the corpus.
    """

    speaker: str
    attribution: str
    held_out: Callable[[Sentence], bool]
    skipped: tuple[str, ...]
    request: dict[str, Any]


@dataclass(frozen=True)
class _Gathered:
    """All copies but their mels and samples; sums are of frames that may be learned from."""

    sentences: list[Sentence]
    emotion: NDArray[np.int64]
    frames: NDArray[np.int64]
    held_out: NDArray[np.bool_]
    duration: NDArray[np.int64]
    f0: NDArray[np.float32]
    voiced: NDArray[np.bool_]
    mel_mean: NDArray[np.float64]
    mel_std: NDArray[np.float64]

    @property
    def learned(self) -> NDArray[np.bool_]:
        """Frames [F] that may be learned from."""
        return np.repeat(~self.held_out, self.frames)


def write_dataset(folder: Path, parts: Sequence[Part], origin: Origin) -> DatasetSettings:
    """Writes the dataset's files, its facts last: without them it is not there.

    Raises:
        InputError: nothing is left to learn from.
        OutputError: a file cannot be written.
    """
    gathered = _gathered(parts, origin)
    digest = hashlib.sha256()
    energy = _write_frames(folder, parts, gathered, digest)
    facts = _facts(parts[0], gathered, energy, origin)
    arrays = _utterance_arrays(gathered, energy, facts)
    for array in arrays.values():
        digest.update(np.ascontiguousarray(array).tobytes())
    with replaced_file(folder / UTTERANCES) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)
    settings = replace(facts, fingerprint=digest.hexdigest()[:32])
    with replaced_file(folder / FACTS) as temporary:
        temporary.write_text(settings.to_json(), encoding="utf-8")
    return settings


def _facts(
    part: Part, gathered: _Gathered, energy: NDArray[np.float32], origin: Origin
) -> DatasetSettings:
    f0_mean, f0_std = _moments(gathered.f0[gathered.learned & gathered.voiced])
    energy_mean, energy_std = _moments(energy[gathered.learned])
    return DatasetSettings(
        sampling_rate=part.recipe.rate,
        hop=part.recipe.hop,
        mels=part.recipe.bands,
        emotions=part.emotions,
        speaker=origin.speaker,
        mel_mean=tuple(gathered.mel_mean.tolist()),
        mel_std=tuple(gathered.mel_std.tolist()),
        f0_mean=f0_mean,
        f0_std=f0_std,
        energy_mean=energy_mean,
        energy_std=energy_std,
        attribution=origin.attribution,
        utterances=len(gathered.sentences),
        frames=len(gathered.f0),
        skipped=origin.skipped,
        request=origin.request,
        fingerprint="",
    )


def _moments(values: NDArray[np.float32]) -> tuple[float, float]:
    """Mean and standard deviation; 1 where nothing moves."""
    wide = values.astype(np.float64)
    return float(wide.mean()), float(wide.std()) or 1.0


def _loaded(parts: Sequence[Part]) -> Iterator[LoadedPart]:
    for part in parts:
        found = loaded_part(part)
        if found is None:
            raise InputError(f"{part.path} is gone or damaged; prepare the dataset again")
        yield found


def _gathered(parts: Sequence[Part], origin: Origin) -> _Gathered:
    kept: list[LoadedPart] = []
    held: list[NDArray[np.bool_]] = []
    total = square = np.zeros(parts[0].recipe.bands)
    for part in _loaded(parts):
        held.append(np.array([origin.held_out(one) for one in part.sentences], bool))
        mel = part.arrays["mel"][np.repeat(~held[-1], part.frames)].astype(np.float64)
        total, square = total + mel.sum(axis=0), square + (mel**2).sum(axis=0)
        small = {name: part.arrays[name] for name in ("duration", "f0", "voiced")}
        kept.append(LoadedPart(part.sentences, part.emotion, part.frames, small, part.problems))
    frames, held_out = np.concatenate([one.frames for one in kept]), np.concatenate(held)
    count = int(frames[~held_out].sum())
    if not count:
        raise InputError("no sentence is left to learn from: use more, or hold fewer out")
    mean = total / count
    return _Gathered(
        [sentence for one in kept for sentence in one.sentences],
        np.concatenate([one.emotion for one in kept]),
        frames,
        held_out,
        np.concatenate([one.arrays["duration"] for one in kept]).astype(np.int64),
        np.concatenate([one.arrays["f0"] for one in kept]),
        np.concatenate([one.arrays["voiced"] for one in kept]).astype(bool),
        mean,
        np.maximum(np.sqrt(np.maximum(square / count - mean**2, 0)), _LEAST_DEVIATION),
    )


def _write_frames(
    folder: Path, parts: Sequence[Part], gathered: _Gathered, digest: _Hash
) -> NDArray[np.float32]:
    """Writes mel, audio, f0 and voiced; returns the energy of each frame [F]."""
    count, recipe = len(gathered.f0), parts[0].recipe
    energy = []
    mels = growing(folder / "mel.npy", (count, recipe.bands), np.dtype(np.float16), digest)
    audio = growing(folder / "audio.npy", (count * recipe.hop,), np.dtype(np.int16), digest)
    with mels as add_mels, audio as add_audio:
        for part in _loaded(parts):
            normal = (part.arrays["mel"] - gathered.mel_mean) / gathered.mel_std
            energy.append(normal.mean(axis=1).astype(np.float32))
            add_mels(normal)
            add_audio(part.arrays["audio"])
    for name, values in (("f0", gathered.f0), ("voiced", gathered.voiced)):
        with growing(folder / f"{name}.npy", values.shape, values.dtype, digest) as add:
            add(values)
    return np.concatenate(energy)


def _utterance_arrays(
    gathered: _Gathered, energy: NDArray[np.float32], facts: DatasetSettings
) -> dict[str, Any]:
    """The content of utterances.npz."""
    duration, symbols = gathered.duration, [len(one.ling) for one in gathered.sentences]
    spoken = duration > 0
    pitch = (symbol_means(gathered.f0, duration) - facts.f0_mean) / facts.f0_std
    level = (symbol_means(energy, duration) - facts.energy_mean) / facts.energy_std
    return {
        "id": np.array([one.id for one in gathered.sentences]),
        "text": np.array([one.text for one in gathered.sentences]),
        "emotion": gathered.emotion,
        "held_out": gathered.held_out,
        "symbol_offset": np.cumsum([0, *symbols]),
        "frame_offset": np.concatenate([[0], np.cumsum(gathered.frames)]),
        "ling": np.concatenate([one.ling for one in gathered.sentences]),
        "duration": duration.astype(np.int16),
        "pitch": np.where(spoken, pitch, 0).astype(np.float32),
        "energy": np.where(spoken, level, 0).astype(np.float32),
    }
