"""What stages were given while the runtime spoke: samples on disk, bounded, resumable.

    recording.json, samples/<stage>-<draw>.npz

A sample's name never gets another content, and recording.json is replaced as the last step of every
change, so that whatever it names is there: a recording cut off anywhere is whole. Numpy only.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sambert_trt.engines.errors import InputError, IntegrityError, OutputError
from sambert_trt.engines.graphs import Stage
from sambert_trt.runtime.backend import Array

from .reservoir import DRAWS, Capacity, Reservoir

__all__ = [
    "CAPACITIES",
    "RECORDING",
    "RECORDING_SCHEMA",
    "Recording",
    "RecordingSettings",
    "Sample",
    "Take",
    "recording_from_folder",
    "resumed_recording",
]

RECORDING = "recording.json"
RECORDING_SCHEMA = 1
_SAMPLES = "samples"
_OURS = re.compile(rf"\.?({'|'.join(stage.value for stage in Stage)})-[0-9a-f]{{16}}\.npz(\.tmp)?")
_INPUT, _STATE, _ROWS, _FACTS = "input.", "state.", "rows", "facts"
_AFRESH = "record afresh, or into another folder"
_NAMES = {"voice": "voice, or other graphs of it", "capacities": "size of its reservoirs"}
_MEBI = 1 << 20

CAPACITIES: Mapping[Stage, Capacity] = {
    Stage.TEXT_ENCODER: Capacity(48, 2 * _MEBI),
    Stage.PROSODY: Capacity(48, 8 * _MEBI),
    Stage.DURATION_STEP: Capacity(24, 4 * _MEBI),
    Stage.MEMORY_KV: Capacity(48, 12 * _MEBI),
    Stage.DECODER_STEP: Capacity(24, 96 * _MEBI),
    Stage.POSTNET: Capacity(48, 16 * _MEBI),
    Stage.VOCODER: Capacity(32, 48 * _MEBI),
}
"""What is kept of each stage, 186 MiB at most: a decoder sequence takes 2 MiB, most others 0.1."""


@dataclass(frozen=True)
class Sample:
    """One run of a stage, or one sequence of steps.

    Attributes:
        sentence: which calibration text it belongs to.
        inputs: one run's arrays by input name; of a step stage those that `StepRun.advance` takes,
            stacked along a leading axis of steps.
        sizes: the state's dynamic axes, as `Session.steps` was given them; empty for a run.
        rows: the sliding input's rows of the whole sequence, or None.
        lengths: a step stage's numbers of steps per call of `advance`, in order.
        digest: sha256 of the outputs as the recorded backend gave them, in the order of their
            names; empty where the stage was muted.
        state: what the first step began from, FEEDBACK inputs by name; empty for zeros. Steps whose
            shapes differ from call to call (the postnet's) cannot be stacked: each of their calls
            is a sample of its own, and this is what its forerunner left.
    """

    stage: Stage
    sentence: int
    inputs: Mapping[str, Array]
    sizes: Mapping[str, int] = field(default_factory=dict)
    rows: Array | None = None
    lengths: tuple[int, ...] = ()
    digest: str = ""
    state: Mapping[str, Array] = field(default_factory=dict)

    def arrays(self) -> dict[str, Array]:
        """All of them, by the names they have on disk."""
        found = {f"{_INPUT}{name}": array for name, array in self.inputs.items()}
        found |= {f"{_STATE}{name}": array for name, array in self.state.items()}
        return found if self.rows is None else {**found, _ROWS: self.rows}


@dataclass(frozen=True)
class RecordingSettings:
    """What decides, beside the texts, which samples a recording holds.

    Attributes:
        voice: the digest of the graphs and styles that spoke.
        seed: of the draws, and of the noise in NSF voices.
        muted: the stages whose outputs are zeros.
        capacities: how much is kept, by stage.
    """

    voice: str
    seed: int = 0
    muted: frozenset[Stage] = frozenset({Stage.VOCODER})
    capacities: Mapping[Stage, Capacity] = field(default_factory=lambda: CAPACITIES)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "voice": self.voice,
            "seed": self.seed,
            "muted": sorted(stage.value for stage in self.muted),
            "capacities": {s.value: [c.items, c.bytes] for s, c in self.capacities.items()},
        }


class Take:
    """The samples of one text until it has been spoken to its end; several threads may add some.

    At most as much is held as the recording has room for.
    """

    def __init__(
        self, settings: RecordingSettings, number: int, bounds: Mapping[Stage, int]
    ) -> None:
        self.number, self._seed = number, settings.seed
        self.seen = dict.fromkeys(settings.capacities, 0)
        self.reservoirs: dict[Stage, Reservoir[bytes]] = {
            stage: Reservoir(capacity, bounds[stage])
            for stage, capacity in settings.capacities.items()
        }
        self._lock = threading.Lock()

    def add(self, sample: Sample) -> None:
        """Takes a sample in; it has to be drawn to be kept."""
        draw, reservoir = self._draw(sample), self.reservoirs[sample.stage]
        content = _npz_from_sample(sample) if reservoir.admits(draw) else b""
        with self._lock:
            self.seen[sample.stage] += 1
            if content:
                reservoir.add(draw, len(content), content)

    def _draw(self, sample: Sample) -> int:
        """A random number that belongs to the content, whichever thread comes first."""
        hashed = hashlib.sha256(f"{self._seed}/{sample.stage.value}/{self.number}/".encode())
        for name, array in sorted(sample.arrays().items()):
            hashed.update(f"{name}:{array.dtype}{array.shape}".encode())
            hashed.update(np.ascontiguousarray(array).data)
        return int.from_bytes(hashed.digest()[:8], "big") % DRAWS


class Recording:
    """A folder of samples.

    Attributes:
        folder: where.
        settings: what it was made with.
        texts: digests of the texts that were spoken or skipped, by number.
        skipped: why texts could not be spoken, by number.
        seen: how many runs and sequences there were, by stage.
        reservoirs: the sha256 of the files kept, by stage.
    """

    def __init__(self, folder: Path, settings: RecordingSettings) -> None:
        self.folder, self.settings = folder, settings
        self.texts: dict[int, str] = {}
        self.skipped: dict[int, str] = {}
        self.seen = dict.fromkeys(settings.capacities, 0)
        self.reservoirs: dict[Stage, Reservoir[str]] = {
            stage: Reservoir(capacity) for stage, capacity in settings.capacities.items()
        }
        self._lock = threading.Lock()

    @property
    def counts(self) -> dict[Stage, int]:
        """How many samples are there, by stage."""
        return {stage: len(kept) for stage, kept in self.reservoirs.items()}

    @property
    def bytes(self) -> int:
        """The size of all samples on disk."""
        return sum(kept.bytes for kept in self.reservoirs.values())

    def samples(self, stage: Stage) -> Iterator[Sample]:
        """The samples of a stage, read one at a time, in an order that is random and stays.

        Raises:
            IntegrityError: a file is missing or damaged.
        """
        for draw, size, digest in list(self.reservoirs[stage]):
            yield _sample_from_file(self._path(stage, draw), size, digest)

    def take(self, number: int) -> Take:
        """An empty take of a text."""
        bounds = {stage: kept.bound for stage, kept in self.reservoirs.items()}
        return Take(self.settings, number, bounds)

    def keep(self, take: Take, text: str) -> None:
        """Adds what was recorded of a text, by its digest, once it was spoken to the end.

        Raises:
            OutputError: the folder cannot be written; what was there before is still whole.
        """
        with self._lock, _writing(self.folder):
            reservoirs = {stage: kept.copied() for stage, kept in self.reservoirs.items()}
            for stage, kept in reservoirs.items():
                kept.merge(_named(take.reservoirs[stage]))
            self._write_samples(take, reservoirs)
            seen = {stage: count + take.seen[stage] for stage, count in self.seen.items()}
            texts = {**self.texts, take.number: text}
            self._write(texts, self.skipped, seen, reservoirs)
            before, self.reservoirs = self.reservoirs, reservoirs
            self.texts, self.seen = texts, seen
            self._remove_dropped(before)

    def skip(self, number: int, text: str, reason: str) -> None:
        """Notes that a text cannot be spoken.

        Raises:
            OutputError: the folder cannot be written.
        """
        with self._lock, _writing(self.folder):
            texts, skipped = {**self.texts, number: text}, {**self.skipped, number: reason}
            self._write(texts, skipped, self.seen, self.reservoirs)
            self.texts, self.skipped = texts, skipped

    def start(self) -> None:
        """Writes a recording without samples in place of whatever recording was there.

        Raises:
            OutputError: the folder cannot be written.
        """
        with _writing(self.folder):
            (self.folder / _SAMPLES).mkdir(parents=True, exist_ok=True)
            self._write(self.texts, self.skipped, self.seen, self.reservoirs)
            self.tidy()

    def check(self) -> None:
        """Looks whether all samples are there, in full size.

        Raises:
            IntegrityError: one is missing or was cut.
        """
        for stage, kept in self.reservoirs.items():
            for draw, size, _ in kept:
                path = self._path(stage, draw)
                if not path.is_file() or path.stat().st_size != size:
                    raise IntegrityError(f"{path} is missing or was cut; {_AFRESH}")

    def tidy(self) -> None:
        """Removes what an interrupted run left: no other process may be recording here.

        Raises:
            OutputError: the folder cannot be written.
        """
        with _writing(self.folder):
            (self.folder / f".{RECORDING}.tmp").unlink(missing_ok=True)
            named = {self._path(s, draw).name for s, k in self.reservoirs.items() for draw, *_ in k}
            for path in (self.folder / _SAMPLES).iterdir():
                if path.name not in named and _OURS.fullmatch(path.name):
                    path.unlink()

    def _path(self, stage: Stage, draw: int) -> Path:
        return self.folder / _SAMPLES / f"{stage.value}-{draw:016x}.npz"

    def _write_samples(self, take: Take, reservoirs: Mapping[Stage, Reservoir[str]]) -> None:
        for stage, recorded in take.reservoirs.items():
            kept = {draw for draw, *_ in reservoirs[stage]}
            for draw, _, content in recorded:
                if draw in kept:
                    _write_file(self._path(stage, draw), content)

    def _write(
        self,
        texts: Mapping[int, str],
        skipped: Mapping[int, str],
        seen: Mapping[Stage, int],
        reservoirs: Mapping[Stage, Reservoir[str]],
    ) -> None:
        data = {
            "schema": RECORDING_SCHEMA,
            **self.settings.as_dict(),
            "texts": {str(number): texts[number] for number in sorted(texts)},
            "skipped": {str(number): skipped[number] for number in sorted(skipped)},
            "stages": {
                stage.value: {
                    "seen": seen[stage],
                    "bound": f"{kept.bound:x}",
                    "samples": [[f"{draw:016x}", size, digest] for draw, size, digest in kept],
                }
                for stage, kept in reservoirs.items()
            },
        }
        text = json.dumps(data, ensure_ascii=False, indent=1) + "\n"
        _write_file(self.folder / RECORDING, text.encode())

    def _remove_dropped(self, before: Mapping[Stage, Reservoir[str]]) -> None:
        for stage, kept in before.items():
            left = {draw for draw, *_ in self.reservoirs[stage]}
            for draw, *_ in kept:
                if draw not in left:
                    self._path(stage, draw).unlink(missing_ok=True)


def recording_from_folder(folder: Path) -> Recording:
    """Reads which samples a folder holds.

    Raises:
        InputError: it holds no recording, or one of another schema.
        IntegrityError: a sample is missing or was cut.
    """
    path = folder / RECORDING
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{folder} holds no {RECORDING}: record the calibration texts") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({error}); {_AFRESH}") from error
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema != RECORDING_SCHEMA:
        raise InputError(
            f"{path} has schema {schema!r}, this version reads {RECORDING_SCHEMA}; {_AFRESH}"
        )
    try:
        recording = _recording_from_dict(folder, data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path} is no recording ({error!r}); {_AFRESH}") from error
    recording.check()
    return recording


def resumed_recording(folder: Path, settings: RecordingSettings, *, fresh: bool) -> Recording:
    """A recording to go on with: what an interrupted one left in the folder, or an empty one.

    Args:
        folder: made where it is missing; no other process may be recording there.
        settings: what it has to have been made with.
        fresh: drop what is there.

    Raises:
        InputError: what is there was made with other settings, or is no recording.
        IntegrityError: a sample is missing or was cut.
        OutputError: the folder cannot be written.
    """
    if fresh or not (folder / RECORDING).exists():
        recording = Recording(folder, settings)
        recording.start()
        return recording
    recording = recording_from_folder(folder)
    found, wanted = recording.settings.as_dict(), settings.as_dict()
    for name, value in wanted.items():
        if found[name] != value:
            raise InputError(
                f"{folder} was recorded with another {_NAMES.get(name, name)} "
                f"({found[name]}, now {value}); {_AFRESH}"
            )
    recording.tidy()
    return recording


def _recording_from_dict(folder: Path, data: Mapping[str, Any]) -> Recording:
    capacities = {
        Stage(name): Capacity(int(items), int(size))
        for name, (items, size) in data["capacities"].items()
    }
    muted = frozenset(map(Stage, data["muted"]))
    settings = RecordingSettings(str(data["voice"]), int(data["seed"]), muted, capacities)
    recording = Recording(folder, settings)
    recording.texts = {int(number): str(text) for number, text in data["texts"].items()}
    recording.skipped = {int(number): str(reason) for number, reason in data["skipped"].items()}
    recording.seen = {stage: int(data["stages"][stage.value]["seen"]) for stage in capacities}
    recording.reservoirs = {
        stage: _reservoir(data["stages"][stage.value], capacity)
        for stage, capacity in capacities.items()
    }
    return recording


def _reservoir(data: Mapping[str, Any], capacity: Capacity) -> Reservoir[str]:
    reservoir: Reservoir[str] = Reservoir(capacity, int(data["bound"], 16))
    for draw, size, digest in data["samples"]:
        reservoir.add(int(draw, 16), int(size), str(digest))
    return reservoir


def _named(contents: Reservoir[bytes]) -> Reservoir[str]:
    """The same samples by the sha256 of their files."""
    found: Reservoir[str] = Reservoir(contents.capacity, contents.bound)
    for draw, size, content in contents:
        found.add(draw, size, hashlib.sha256(content).hexdigest())
    return found


def _npz_from_sample(sample: Sample) -> bytes:
    """The content of a sample's file: the same bytes for the same sample."""
    facts = {
        "stage": sample.stage.value,
        "sentence": sample.sentence,
        "sizes": dict(sample.sizes),
        "lengths": list(sample.lengths),
        "digest": sample.digest,
    }
    text = np.frombuffer(json.dumps(facts, sort_keys=True).encode(), np.uint8)
    arrays: dict[str, Any] = {_FACTS: text, **sample.arrays()}
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _sample_from_file(path: Path, size: int, digest: str) -> Sample:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise IntegrityError(f"{path} cannot be read: {error.strerror}; {_AFRESH}") from error
    if len(content) != size or hashlib.sha256(content).hexdigest() != digest:
        raise IntegrityError(f"{path} is damaged: its sha256 is not the recorded one; {_AFRESH}")
    try:
        return _sample_from_npz(content)
    except (KeyError, TypeError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise IntegrityError(f"{path} is no sample ({error!r}); {_AFRESH}") from error


def _sample_from_npz(content: bytes) -> Sample:
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    facts = json.loads(arrays[_FACTS].tobytes())
    return Sample(
        stage=Stage(facts["stage"]),
        sentence=int(facts["sentence"]),
        inputs=_without(_INPUT, arrays),
        sizes={str(name): int(size) for name, size in facts["sizes"].items()},
        rows=arrays.get(_ROWS),
        lengths=tuple(map(int, facts["lengths"])),
        digest=str(facts["digest"]),
        state=_without(_STATE, arrays),
    )


def _without(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    found = [name for name in arrays if name.startswith(prefix)]
    return {name.removeprefix(prefix): arrays[name] for name in found}


def _write_file(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"writing into {folder} failed: {error.strerror or error}; what was recorded is "
            "kept: make room and go on"
        ) from error
