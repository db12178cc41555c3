"""The runtime speaks the calibration texts, and what its stages are given is recorded.

    texts ─ Voice.stream ─ RecordingBackend ─▶ Recording

The runtime's own code does the speaking, so a recording cannot drift from it. Numpy and the
runtime; ONNX Runtime is imported when speaking starts.
"""

from __future__ import annotations

import hashlib
import json
import logging
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sambert_trt.engines.errors import InputError, OutputError
from sambert_trt.engines.graphs import Precision, Stage
from sambert_trt.engines.locks import locked
from sambert_trt.engines.manifest import VoiceManifest
from sambert_trt.engines.voice import manifest_from_directory
from sambert_trt.runtime.stream import OFFLINE, STREAMING, ChunkPolicy
from sambert_trt.runtime.styles import Style
from sambert_trt.runtime.voice import open_voice

from .recipes import voice_digest
from .recording import CAPACITIES, Recording, RecordingSettings, Sample, resumed_recording
from .recording_backend import MUTED, RecordingBackend
from .reservoir import Capacity

__all__ = ["record"]

_LOG = logging.getLogger(__name__)

_LOCK, _LOCK_SECONDS = ".recording.lock", 5.0
_MOST_THREADS = 16


def record(
    directory: Path,
    texts: Sequence[str],
    folder: Path,
    *,
    symbols: bool = False,
    styles: Sequence[Style] = (Style(),),
    threads: int = 2,
    seed: int = 0,
    muted: frozenset[Stage] = MUTED,
    capacities: Mapping[Stage, Capacity] = CAPACITIES,
    progress: Callable[[int, int], None] = lambda done, total: None,
    fresh: bool = False,
) -> Recording:
    """Speaks texts with a voice's fp32 graphs on the processor and records what stages are given.

    Texts are spoken offline and streamed, each kind with all styles in turn. Each counts when it
    was spoken to its end: after Ctrl-C or a crash the same call goes on, and more texts may follow
    at the list's end. Which samples are kept depends on the arguments only, not on the threads.

    Args:
        directory: the voice.
        texts: Mandarin texts, or symbol lines where `symbols` says so.
        folder: of the recording; made where it is missing.
        styles: taken in turn.
        threads: how many texts are spoken side by side; each takes 0.1 GB with a stock voice.
        seed: of the samples drawn, and of the noise in NSF voices.
        muted: stages that are not computed, though their inputs are recorded.
        capacities: how much is kept of each stage.
        progress: called with how many texts are done and how many there are.
        fresh: drop what the folder holds.

    Raises:
        InputError: no texts, less than half of them can be spoken, or the folder's recording was
            made otherwise.
        IntegrityError: a sample in the folder is missing or was cut.
        VoiceError: the directory is no voice.
        OutputError: the folder cannot be written, or another process is recording there.
    """
    if isinstance(texts, str) or not texts:
        raise InputError("there are no texts to record: give a list of them")
    if not styles or not 1 <= threads <= _MOST_THREADS or seed < 0:
        raise InputError(
            f"{len(styles)} styles, {threads} threads and seed {seed}: recording needs a style, "
            f"1 to {_MOST_THREADS} threads, and a seed from 0 on"
        )
    script = _Script(tuple(texts), tuple(styles), symbols, seed)
    manifest = manifest_from_directory(directory)
    settings = RecordingSettings(_voice_digest(manifest), seed, muted, capacities)
    with _recording_alone(folder):
        recording = resumed_recording(folder, settings, fresh=fresh)
        script.check(recording)
        _speak_all(directory, script, recording, threads, progress)
    _check_spoken(recording, len(texts))
    return recording


@dataclass(frozen=True)
class _Script:
    """What is spoken, and how."""

    texts: tuple[str, ...]
    styles: tuple[Style, ...]
    symbols: bool
    seed: int

    def arguments(self, number: int) -> dict[str, Any]:
        """The arguments of `Voice.stream` for a text."""
        turn, place = divmod(number, len(self.styles))
        return {
            "symbols" if self.symbols else "text": self.texts[number],
            "style": self.styles[place],
            "policy": _policy(turn),
            "seed": self.seed + number,
        }

    def digest(self, number: int) -> str:
        """Of everything that decides how a text is spoken."""
        text = json.dumps(self.arguments(number), sort_keys=True, default=repr)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def check(self, recording: Recording) -> None:
        """Compares the texts that were spoken with those that are to be.

        Raises:
            InputError: they are others.
        """
        for number, digest in recording.texts.items():
            if number >= len(self.texts) or digest != self.digest(number):
                raise InputError(
                    f"{recording.folder} was recorded with other texts or styles (text "
                    f"{number + 1} differs); record afresh, or into another folder"
                )


def _policy(turn: int) -> ChunkPolicy:
    return STREAMING if turn % 2 else OFFLINE


class _Speaker:
    """A voice of its own, which one thread at a time lets speak."""

    def __init__(self, directory: Path, muted: frozenset[Stage]) -> None:
        from sambert_trt.runtime.onnx_backend import OnnxBackend

        self._backend = RecordingBackend(OnnxBackend(), _ignored, muted)
        self._voice = open_voice(
            directory, threads=1, backend=self._backend, precision=Precision.FP32
        )

    def close(self) -> None:
        """Gives the graphs back."""
        self._voice.close()
        self._backend.close()

    def speak(
        self, recording: Recording, script: _Script, number: int, stopped: threading.Event
    ) -> None:
        """Speaks a text and keeps its samples, unless it is stopped."""
        take = recording.take(number)
        self._backend.sentence, self._backend.sink = number, take.add
        try:
            for _ in self._voice.stream(**script.arguments(number)):
                if stopped.is_set():
                    return
        except InputError as error:
            _LOG.warning("text %d is left out: %s", number + 1, error)
            recording.skip(number, script.digest(number), str(error))
        else:
            recording.keep(take, script.digest(number))
        finally:
            self._backend.sink = _ignored


def _speak_all(
    directory: Path,
    script: _Script,
    recording: Recording,
    threads: int,
    progress: Callable[[int, int], None],
) -> None:
    """Speaks the texts that were not yet, a voice per thread; on any error all stop soon."""
    numbers = [number for number in range(len(script.texts)) if number not in recording.texts]
    total, free, stopped = len(script.texts), queue.SimpleQueue[_Speaker](), threading.Event()

    def speak(number: int) -> None:
        speaker = free.get()
        try:
            if not stopped.is_set():
                speaker.speak(recording, script, number, stopped)
        finally:
            free.put(speaker)

    with ExitStack() as stack:
        for _ in range(min(threads, len(numbers))):
            free.put(stack.enter_context(closing(_Speaker(directory, recording.settings.muted))))
        pool = stack.enter_context(ThreadPoolExecutor(threads, "sambert-record"))
        stack.callback(stopped.set)
        futures = [pool.submit(speak, number) for number in numbers]
        progress(total - len(numbers), total)
        for done, future in enumerate(as_completed(futures), total - len(numbers) + 1):
            future.result()
            progress(done, total)


@contextmanager
def _recording_alone(folder: Path) -> Iterator[None]:
    """Holds the folder against other processes."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {error.strerror or error}") from error
    with locked(folder / _LOCK, _LOCK_SECONDS, "calibrate"):
        yield


def _check_spoken(recording: Recording, total: int) -> None:
    """Whether enough texts could be spoken to stand for what the voice will be asked."""
    skipped = recording.skipped
    if 2 * (total - len(skipped)) >= total:
        return
    first = min(skipped)
    raise InputError(
        f"only {total - len(skipped)} of {total} texts can be spoken (text {first + 1}: "
        f"{skipped[first]}); give texts in this voice's language, or symbol lines"
    )


def _voice_digest(manifest: VoiceManifest) -> str:
    """Of all that decides how a voice speaks: its fp32 graphs and its styles."""
    text = f"{voice_digest(manifest)}\nstyles {manifest.styles.sha256}\n"
    return hashlib.sha256(text.encode()).hexdigest()


def _ignored(sample: Sample) -> None:
    """The sink between texts."""
