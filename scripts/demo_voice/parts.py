"""A few sentences in all emotions, made in one go and kept in a file until the dataset is whole.

A part's file is named for what it is made of: an interrupted preparation finds what it had made,
and what was made of other recordings is not taken.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.errors import InputError
from sambert_trt.runtime.audio import replaced_file

from .copies import Copy, copy_from_wave
from .corpus import Sentence, read_wave
from .dataset import Emotion
from .mel import MelRecipe

__all__ = ["LoadedPart", "Part", "loaded_part", "made_part", "parts_of"]

_VERSION = 1
"""Of what is computed: another number makes old files stale."""

_SENTENCES = 24
_ARRAYS = ("duration", "mel", "f0", "voiced", "audio")


@dataclass(frozen=True)
class Part:
    """What is to be made, and the file for it."""

    sentences: tuple[Sentence, ...]
    emotions: tuple[Emotion, ...]
    recipe: MelRecipe
    path: Path


@dataclass(frozen=True)
class LoadedPart:
    """What was made: copies one after another.

    Attributes:
        sentences: of each copy.
        emotion: of each copy, positions.
        frames: of each copy, int64.
        arrays: duration [S], mel [F, bands], f0 [F], voiced [F], audio [F * hop].
        problems: a line on each sentence that could not be used.
    """

    sentences: tuple[Sentence, ...]
    emotion: NDArray[np.int64]
    frames: NDArray[np.int64]
    arrays: dict[str, NDArray[Any]]
    problems: tuple[str, ...]


def parts_of(
    sentences: Sequence[Sentence],
    emotions: tuple[Emotion, ...],
    recipe: MelRecipe,
    folder: Path,
) -> list[Part]:
    """The parts that sentences are made in, their files in `folder`."""
    groups = [
        tuple(sentences[first : first + _SENTENCES])
        for first in range(0, len(sentences), _SENTENCES)
    ]
    return [
        Part(group, emotions, recipe, folder / f"{_key(group, emotions, recipe)}.npz")
        for group in groups
    ]


def made_part(part: Part) -> tuple[str, ...]:
    """Makes a part and its file, unless it is there; returns its problems.

    Raises:
        OutputError: the file cannot be written.
    """
    if (found := loaded_part(part)) is not None:
        return found.problems
    rows: list[tuple[int, int]] = []
    copies: list[Copy] = []
    problems: list[str] = []
    for place, sentence in enumerate(part.sentences):
        try:
            wave = read_wave(sentence, part.recipe)
            made = [copy_from_wave(sentence, wave, e.pitch, part.recipe) for e in part.emotions]
        except InputError as error:
            problems.append(str(error))
            continue
        copies += made
        rows += [(place, emotion) for emotion in range(len(made))]
    _write(part, rows, copies, problems)
    return tuple(problems)


def loaded_part(part: Part) -> LoadedPart | None:
    """What a part's file holds; None where there is none, or a damaged one."""
    try:
        with np.load(part.path, allow_pickle=False) as file:
            found = dict(file)
        rows = found["rows"].reshape(-1, 2)
        return LoadedPart(
            tuple(part.sentences[place] for place in rows[:, 0].tolist()),
            rows[:, 1],
            found["frames"],
            {name: found[name] for name in _ARRAYS},
            tuple(found["problems"].tolist()),
        )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _write(
    part: Part, rows: list[tuple[int, int]], copies: list[Copy], problems: list[str]
) -> None:
    arrays: dict[str, Any] = {
        "rows": np.array(rows, np.int64).reshape(-1, 2),
        "frames": np.array([len(copy.f0) for copy in copies], np.int64),
        "problems": np.array(problems, np.str_),
        **{name: _joined(copies, name, part.recipe) for name in _ARRAYS},
    }
    with replaced_file(part.path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def _joined(copies: list[Copy], name: str, recipe: MelRecipe) -> NDArray[Any]:
    if copies:
        return np.concatenate([getattr(copy, name) for copy in copies])
    return np.zeros((0, recipe.bands) if name == "mel" else (0,), np.float32)


def _key(sentences: Sequence[Sentence], emotions: Sequence[Emotion], recipe: MelRecipe) -> str:
    whole = hashlib.sha256(repr((_VERSION, tuple(emotions), recipe)).encode())
    for piece in _pieces(sentences):
        whole.update(piece)
    return whole.hexdigest()[:24]


def _pieces(sentences: Sequence[Sentence]) -> Iterator[bytes]:
    for one in sentences:
        facts = one.audio.stat() if one.audio.exists() else None
        told = (one.id, one.start, facts and facts.st_size, facts and facts.st_mtime_ns)
        yield repr(told).encode()
        yield one.duration.tobytes()
