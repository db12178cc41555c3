"""What both models learn from: a folder that `prepare` wrote, read without copying it to memory.

`dataset.json` holds the facts; `utterances.npz` what each utterance is and its symbols; `mel.npy`,
`f0.npy`, `voiced.npy` and `audio.npy` its frames and samples, one utterance after another. Numpy
only.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.errors import InputError

__all__ = ["FACTS", "SCHEMA", "UTTERANCES", "Dataset", "DatasetSettings", "Emotion", "Utterance"]

SCHEMA = 1
FACTS, UTTERANCES = "dataset.json", "utterances.npz"
_FRAMES = ("mel", "f0", "voiced", "audio")
_ROWS = ("id", "text", "emotion", "held_out")
_SYMBOLS = ("ling", "duration", "pitch", "energy")


@dataclass(frozen=True)
class Emotion:
    """How a copy of the corpus sounds.

    Attributes:
        name: as in the emotion table, without `emotion_`.
        pitch: how many times as high and as fast it is as the recording.
    """

    name: str
    pitch: float


@dataclass(frozen=True)
class DatasetSettings:
    """The facts of a dataset. Statistics are of what may be learned from, in all emotions.

    Attributes:
        sampling_rate: hertz.
        hop: samples of a frame.
        mels: bands.
        emotions: an utterance names its own by position.
        speaker: the only one.
        mel_mean, mel_std: [mels], of scaled mels (see mel.py).
        f0_mean, f0_std: hertz, of voiced frames; pitch is normalised by them.
        energy_mean, energy_std: of the mean of a frame's normalised mels.
        attribution: whom the corpus is owed to.
        utterances, frames: how many.
        skipped: a line on each sentence of the corpus that could not be used.
        request: the options and the corpus it was made of and with.
        fingerprint: tells its content from others.
    """

    sampling_rate: int
    hop: int
    mels: int
    emotions: tuple[Emotion, ...]
    speaker: str
    mel_mean: tuple[float, ...]
    mel_std: tuple[float, ...]
    f0_mean: float
    f0_std: float
    energy_mean: float
    energy_std: float
    attribution: str
    utterances: int
    frames: int
    skipped: tuple[str, ...]
    request: dict[str, Any]
    fingerprint: str

    def to_json(self) -> str:
        """The content of dataset.json."""
        facts = {"schema": SCHEMA, **asdict(self)}
        return json.dumps(facts, ensure_ascii=False, indent=1) + "\n"


@dataclass(frozen=True)
class Utterance:
    """One sentence in one emotion: N symbols, F frames.

    Attributes:
        id, text: of the corpus.
        emotion: its position in the dataset's emotions.
        held_out: never to be learned from.
        ling: ids int64 [N, 4] of sy, tone, syllable_flag and word_segment.
        duration: frames int64 [N], F in all.
        pitch, energy: float32 [N], normalised; 0 where the duration is 0.
        mel: float32 [F, mels], normalised.
        f0: hertz float32 [F], interpolated where nothing is voiced.
        voiced: bool [F].
        audio: float32 [F * hop].
    """

    id: str
    text: str
    emotion: int
    held_out: bool
    ling: NDArray[np.int64]
    duration: NDArray[np.int64]
    pitch: NDArray[np.float32]
    energy: NDArray[np.float32]
    mel: NDArray[np.float32]
    f0: NDArray[np.float32]
    voiced: NDArray[np.bool_]
    audio: NDArray[np.float32]


class Dataset:
    """A dataset; `open` makes it.

    Attributes:
        settings: its facts.
        emotions: int64 [n], by utterance.
        held_out: bool [n].
        frame_counts: int64 [n].
    """

    def __init__(self, settings: DatasetSettings, arrays: dict[str, NDArray[Any]]) -> None:
        self.settings = settings
        self._arrays = arrays
        self._symbol_offset = arrays["symbol_offset"].tolist()
        self._frame_offset = arrays["frame_offset"].tolist()
        self.emotions: NDArray[np.int64] = arrays["emotion"].astype(np.int64)
        self.held_out: NDArray[np.bool_] = arrays["held_out"]
        self.frame_counts: NDArray[np.int64] = np.diff(arrays["frame_offset"])

    @classmethod
    def open(cls, folder: Path) -> Dataset:
        """Opens what `prepare` wrote; frames and samples stay on the disk until they are asked for.

        Raises:
            InputError: there is no finished dataset, it has another schema, or files are damaged.
        """
        settings = _settings(folder / FACTS)
        try:
            with np.load(folder / UTTERANCES, allow_pickle=False) as file:
                arrays: dict[str, NDArray[Any]] = dict(file)
            for name in _FRAMES:
                arrays[name] = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            _check(settings, arrays)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(
                f"the dataset {folder} is damaged ({error}); delete it and prepare it again"
            ) from error
        return cls(settings, arrays)

    def with_mels(self, mels: NDArray[np.float16]) -> Dataset:
        """The same utterances with other mels [frames, mels]."""
        return Dataset(self.settings, {**self._arrays, "mel": mels})

    @property
    def fingerprint(self) -> str:
        """Tells its content from others."""
        return self.settings.fingerprint

    def __len__(self) -> int:
        return len(self._frame_offset) - 1

    def __getitem__(self, index: int) -> Utterance:
        """An utterance; its arrays are its own.

        Raises:
            IndexError: there is no such utterance.
        """
        here = range(len(self))[index]
        symbols = slice(*self._symbol_offset[here : here + 2])
        first, end = self._frame_offset[here : here + 2]
        get, hop = self._arrays, self.settings.hop
        return Utterance(
            id=str(get["id"][here]),
            text=str(get["text"][here]),
            emotion=int(get["emotion"][here]),
            held_out=bool(get["held_out"][here]),
            ling=get["ling"][symbols].astype(np.int64),
            duration=get["duration"][symbols].astype(np.int64),
            pitch=get["pitch"][symbols].astype(np.float32),
            energy=get["energy"][symbols].astype(np.float32),
            mel=get["mel"][first:end].astype(np.float32),
            f0=get["f0"][first:end].astype(np.float32),
            voiced=get["voiced"][first:end].astype(bool),
            audio=get["audio"][first * hop : end * hop].astype(np.float32) / np.float32(32768),
        )


def _settings(path: Path) -> DatasetSettings:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(
            f"{path.parent} holds no finished dataset ({path.name} is not there): prepare one there"
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}; prepare the dataset again") from error
    found = facts.get("schema") if isinstance(facts, dict) else None
    if found != SCHEMA:
        raise InputError(
            f"{path} has schema {found}, this version reads {SCHEMA}: prepare the dataset again"
        )
    try:
        values = {one.name: facts[one.name] for one in fields(DatasetSettings)}
        values["emotions"] = tuple(Emotion(**one) for one in values["emotions"])
        for name in ("mel_mean", "mel_std", "skipped"):
            values[name] = tuple(values[name])
        return DatasetSettings(**values)
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} lacks a fact ({error}); prepare the dataset again") from error


def _check(settings: DatasetSettings, arrays: dict[str, NDArray[Any]]) -> None:
    count, frames = settings.utterances, settings.frames
    symbols = int(arrays["symbol_offset"][-1])
    wanted: dict[str, tuple[int, ...]] = {
        **dict.fromkeys(_ROWS, (count,)),
        **dict.fromkeys(("symbol_offset", "frame_offset"), (count + 1,)),
        **dict.fromkeys(_SYMBOLS, (symbols,)),
        **dict.fromkeys(("f0", "voiced"), (frames,)),
        "ling": (symbols, 4),
        "mel": (frames, settings.mels),
        "audio": (frames * settings.hop,),
    }
    for name, shape in wanted.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{name} has shape {arrays[name].shape}, not {shape}")
    if int(arrays["frame_offset"][-1]) != frames:
        raise ValueError(f"utterances have {arrays['frame_offset'][-1]} frames, not {frames}")
