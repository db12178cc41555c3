"""A corpus of aligned sentences: read, and everything that is wrong with it named.

A folder with `metadata.csv` (columns id and text say which sentences there are), `audio/<id>.ogg`
(mono, 16 kHz) and `durations.npz`: of each sentence id, index, text, symbols (the line a voice
speaks), length (symbols), start_sample and frames (the stretch that was aligned), and of all
symbols, one after another, duration (frames), pitch and energy. Imports no torch.
"""

from __future__ import annotations

import csv
import hashlib
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.errors import InputError
from sambert_trt.export.config import Vocabulary
from sambert_trt.export.phone_sets import vocabulary
from sambert_trt.runtime.text.symbols import (
    LINGUISTIC_FIELDS,
    ids_from_sentence,
    sentence_from_symbols,
)

from .mel import MelRecipe

__all__ = ["Corpus", "Sentence", "corpus_from_folder", "read_wave", "symbol_ids"]

_METADATA, _DURATIONS = "metadata.csv", "durations.npz"
_PER_SENTENCE = ("id", "index", "text", "symbols", "length", "start_sample", "frames")
_PER_SYMBOL = ("duration",)


@dataclass(frozen=True)
class Sentence:
    """A recorded sentence.

    Attributes:
        id: its name.
        text: Chinese.
        index: its place in the full list.
        ling: ids int16 [N, 4] of sy, tone, syllable_flag and word_segment.
        duration: frames int64 [N].
        start: the sample of the recording at which the first symbol begins.
        audio: the recording.
    """

    id: str
    text: str
    index: int
    ling: NDArray[np.int16]
    duration: NDArray[np.int64]
    start: int
    audio: Path

    @property
    def frames(self) -> int:
        """The length of all symbols."""
        return int(self.duration.sum())


@dataclass(frozen=True)
class Corpus:
    """Sentences that can be used, a line on each of those that cannot, and what tells it apart."""

    folder: Path
    sentences: tuple[Sentence, ...]
    problems: tuple[str, ...]
    fingerprint: str


def corpus_from_folder(folder: Path, speaker: str) -> Corpus:
    """Reads a corpus but for its audio, of which it only looks whether it is there.

    Args:
        speaker: whom the symbols name.

    Raises:
        InputError: metadata.csv or durations.npz is missing or broken as a whole.
    """
    texts, arrays = _texts(folder / _METADATA), _arrays(folder / _DURATIONS)
    reader = _Reader(folder, arrays, vocabulary("PinYin", [speaker]))
    read = [reader.sentence_or_problem(name, text) for name, text in texts]
    found = tuple(one for one in read if isinstance(one, Sentence))
    problems = (*reader.twice(), *(one for one in read if isinstance(one, str)))
    whole = hashlib.sha256()
    for file in (_METADATA, _DURATIONS):
        whole.update((folder / file).read_bytes())
    return Corpus(folder, found, problems, whole.hexdigest())


def symbol_ids(line: str, terms: Vocabulary) -> NDArray[np.int16]:
    """The ids [N, 4] of a line of symbols, its emotions and speakers checked and left out.

    Raises:
        InputError: a symbol lacks a field, or names what the tables lack.
    """
    sentence = sentence_from_symbols(line, LINGUISTIC_FIELDS)
    rows, _, _ = ids_from_sentence(sentence, terms.units, terms.emotions, terms.speakers)
    return np.array(rows, np.int16)


def read_wave(sentence: Sentence, recipe: MelRecipe) -> NDArray[np.float32]:
    """The recording, float32 [n].

    Raises:
        InputError: it cannot be read, has another rate or more channels, is silent, or ends before
            the sentence does.
    """
    wave, where = _read(sentence, recipe.rate), f"{sentence.audio} ({sentence.id})"
    needed = sentence.start + (sentence.frames - 1) * recipe.hop
    if len(wave) <= needed:
        raise InputError(
            f"{where} has {len(wave)} samples, its symbols reach beyond sample {needed}"
        )
    if not np.isfinite(wave).all() or not wave.any():
        raise InputError(f"{where} holds silence, or numbers that are none")
    return wave


def _read(sentence: Sentence, rate: int) -> NDArray[np.float32]:
    import soundfile

    where = f"{sentence.audio} ({sentence.id})"
    try:
        wave, found = soundfile.read(str(sentence.audio), dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise InputError(f"{where} cannot be read: {error}") from error
    if found != rate or wave.shape[1] != 1:
        raise InputError(
            f"{where} has {found} Hz and {wave.shape[1]} channels: needs {rate} Hz, mono"
        )
    mono: NDArray[np.float32] = wave[:, 0]
    return mono


def _texts(path: Path) -> list[tuple[str, str]]:
    """Ids and texts in the file's order."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if not {"id", "text"} <= set(reader.fieldnames or ()):
                raise InputError(f"{path} has no columns id and text")
            return [(row["id"] or "", row["text"] or "") for row in reader]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no CSV file in UTF-8: {error}") from error


def _arrays(path: Path) -> Mapping[str, NDArray[Any]]:
    """What is needed of durations.npz, lengths checked."""
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in (*_PER_SENTENCE, *_PER_SYMBOL)}
    except KeyError as error:
        raise InputError(f"{path} lacks an array: {error}") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    symbols = int(found["length"].sum(dtype=np.int64))
    for names, wanted in ((_PER_SENTENCE, len(found["id"])), (_PER_SYMBOL, symbols)):
        for name in names:
            if found[name].shape != (wanted,):
                raise InputError(f"{path}: {name} has shape {found[name].shape}, not ({wanted},)")
    return found


class _Reader:
    """Sentences by id."""

    def __init__(self, folder: Path, arrays: Mapping[str, NDArray[Any]], terms: Vocabulary) -> None:
        self._folder, self._arrays, self._terms = folder, arrays, terms
        self._path = folder / _DURATIONS
        ends = np.concatenate([[0], np.cumsum(arrays["length"], dtype=np.int64)])
        self._spans = list(pairwise(ends.tolist()))
        self._rows = {name: row for row, name in enumerate(arrays["id"].tolist())}

    def twice(self) -> Iterator[str]:
        """A line on each id that stands in the file more than once."""
        names, counts = np.unique(self._arrays["id"], return_counts=True)
        for name in names[counts > 1].tolist():
            yield f"{self._path}: {name} stands there more than once; the last one is taken"

    def sentence_or_problem(self, name: str, text: str) -> Sentence | str:
        """The sentence, or what is wrong with it."""
        try:
            return self._sentence(name, text)
        except InputError as error:
            return str(error)

    def _sentence(self, name: str, text: str) -> Sentence:
        row = self._rows.get(name)
        if row is None:
            raise InputError(f"{self._path} has no row for {name}, which {_METADATA} names")
        where = f"{self._path} ({name})"
        if str(self._arrays["text"][row]) != text:
            raise InputError(
                f"{where} has the text {str(self._arrays['text'][row])!r}, {_METADATA} {text!r}"
            )
        audio = self._folder / "audio" / f"{name}.ogg"
        if not audio.is_file():
            raise InputError(f"{audio} ({name}) is not there")
        index, start = (int(self._arrays[key][row]) for key in ("index", "start_sample"))
        if start < 0:
            raise InputError(f"{where} begins at sample {start}")
        ling, duration = self._symbols(row, where)
        return Sentence(name, text, index, ling, duration, start, audio)

    def _symbols(self, row: int, where: str) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
        try:
            ling = symbol_ids(str(self._arrays["symbols"][row]), self._terms)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        first, end = self._spans[row]
        duration = self._arrays["duration"][first:end].astype(np.int64)
        if len(ling) != len(duration):
            raise InputError(f"{where} has {len(ling)} symbols and {len(duration)} durations")
        frames = int(self._arrays["frames"][row])
        if duration.min() < 0 or duration.sum() != frames or frames < 1:
            raise InputError(
                f"{where} has durations from {duration.min()} on that sum to {duration.sum()}, "
                f"its frames are {frames}"
            )
        return ling, duration
