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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sambert_trt.engines.errors import InputError, OutputError
from sambert_trt.engines.graphs import AxisRange, GraphSpec, Placement, Precision, Stage
from sambert_trt.engines.locks import locked
from sambert_trt.engines.manifest import StageRecord, VoiceManifest
from sambert_trt.engines.voice import manifest_from_directory
from sambert_trt.runtime.backend import (
    FEEDBACK,
    RETURNED,
    SLIDING,
    Array,
    Backend,
    Session,
    StepRun,
    zero_state,
)
from sambert_trt.runtime.memory import MemoryReport
from sambert_trt.runtime.stream import OFFLINE, STREAMING, ChunkPolicy
from sambert_trt.runtime.styles import Style
from sambert_trt.runtime.voice import open_voice

from .recipes import voice_digest
from .recording import CAPACITIES, Recording, RecordingSettings, Sample, resumed_recording
from .reservoir import Capacity

__all__ = ["MUTED", "RecordingBackend", "digest_of", "record", "replayed"]

_LOG = logging.getLogger(__name__)

MUTED = frozenset({Stage.VOCODER})
"""No other stage hears it, and it costs three quarters of the time."""

_LOCK, _LOCK_SECONDS = ".recording.lock", 5.0
_MOST_THREADS = 16

Sink = Callable[[Sample], None]


def digest_of(outputs: Mapping[str, Array]) -> str:
    """The sha256 of arrays, in the order of their names."""
    digest = _Digest()
    digest.update(outputs)
    return digest.text


def replayed(session: Session, sample: Sample) -> dict[str, Array]:
    """Asks a stage again what it was asked when the sample was recorded.

    Returns:
        A run's outputs; of a sequence RETURNED outputs, stacked along a leading axis of steps.
    """
    if not sample.lengths:
        return session.run(sample.inputs)
    with closing(session.steps(sample.sizes)) as steps:
        if sample.state:
            steps.resume(sample.state, None)
        if sample.rows is not None:
            steps.extend(sample.rows)
        calls = [steps.advance(inputs) for inputs in _calls(sample)]
    return {name: np.concatenate([call[name] for call in calls]) for name in calls[0]}


class RecordingBackend:
    """A backend that shows a sink what its stages are given; it changes no output.

    Sequences of steps are shown when they are closed. The sink is called by the threads that run
    the stages, several at once where a voice has several; what it raises ends the speech.

    Args:
        inner: does the work.
        sink: called with each sample; may be changed between texts.
        muted: stages that `inner` is not asked for: they give zeros, and samples without a digest.

    Attributes:
        sentence: the number of the text that is being spoken.
    """

    def __init__(self, inner: Backend, sink: Sink, muted: frozenset[Stage] = MUTED) -> None:
        self._inner, self.sink, self._muted = inner, sink, muted
        self.sentence = 0

    @property
    def placement(self) -> Placement:
        """See `Backend.placement`."""
        return self._inner.placement

    def preferred(self, directory: Path, manifest: VoiceManifest) -> Precision:
        """See `Backend.preferred`."""
        return self._inner.preferred(directory, manifest)

    def open(self, directory: Path, record: StageRecord) -> Session:
        """See `Backend.open`."""
        if record.graph.stage in self._muted:
            return _RecordingSession(self, _MutedSession(record.graph), muted=True)
        return _RecordingSession(self, self._inner.open(directory, record))

    def memory_report(self) -> MemoryReport:
        """See `Backend.memory_report`."""
        return self._inner.memory_report()

    def close(self) -> None:
        """See `Backend.close`."""
        self._inner.close()


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


class _RecordingSession:
    """A session that shows its backend's sink what it is given."""

    def __init__(self, backend: RecordingBackend, inner: Session, *, muted: bool = False) -> None:
        self._backend, self._inner, self.muted = backend, inner, muted

    @property
    def graph(self) -> GraphSpec:
        """See `Session.graph`."""
        return self._inner.graph

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `Session.run`."""
        given = _copied(inputs)
        outputs = self._inner.run(inputs)
        self.show(inputs=given, digest="" if self.muted else digest_of(outputs))
        return outputs

    def steps(self, sizes: Mapping[str, int]) -> StepRun:
        """See `Session.steps`."""
        return _RecordingSteps(self, self._inner.steps(sizes), sizes)

    def close(self) -> None:
        """See `Session.close`."""
        self._inner.close()

    def show(self, **facts: Any) -> None:  # noqa: ANN401
        """Shows a sample."""
        backend = self._backend
        backend.sink(Sample(stage=self.graph.stage, sentence=backend.sentence, **facts))


class _RecordingSteps:
    """A sequence that is shown when it is closed, or call by call where shapes differ."""

    def __init__(
        self, session: _RecordingSession, inner: StepRun, sizes: Mapping[str, int]
    ) -> None:
        self._session, self._inner, self._sizes = session, inner, dict(sizes)
        self._ragged = _is_ragged(session.graph, sizes)
        self._begun = False
        self._state: dict[str, Array] = {}
        self._calls: list[dict[str, Array]] = []
        self._rows: list[Array] = []
        self._digest = _Digest()

    def extend(self, rows: Array) -> None:
        """See `StepRun.extend`."""
        self._rows.append(np.array(rows))
        self._inner.extend(rows)

    def advance(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `StepRun.advance`."""
        if self._ragged and self._begun:
            self._state = _copied(self._inner.suspended()[0])
        given = _copied(inputs)
        outputs = self._inner.advance(inputs)
        self._digest.update(outputs)
        self._calls.append(given)
        self._begun = True
        if self._ragged:
            self._show()
        return outputs

    def suspended(self) -> tuple[Mapping[str, Array], Array | None]:
        """See `StepRun.suspended`."""
        return self._inner.suspended()

    def resume(self, state: Mapping[str, Array], rows: Array | None) -> None:
        """See `StepRun.resume`."""
        self._state = _copied(state)
        if rows is not None:
            self._rows.append(np.array(rows))
        self._inner.resume(state, rows)

    def close(self) -> None:
        """See `StepRun.close`."""
        try:
            if self._calls:
                self._show()
        finally:
            self._inner.close()

    def _show(self) -> None:
        calls, digest = self._calls, self._digest
        self._calls, self._digest = [], _Digest()
        self._session.show(
            inputs={name: np.concatenate([call[name] for call in calls]) for name in calls[0]},
            sizes=self._sizes,
            rows=np.concatenate(self._rows) if self._rows else None,
            lengths=tuple(_count(call) for call in calls),
            digest="" if self._session.muted else digest.text,
            state=self._state,
        )


class _MutedSession:
    """Zeros in the shape of a graph's outputs."""

    def __init__(self, graph: GraphSpec) -> None:
        self.graph = graph

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `Session.run`."""
        shapes = {name: array.shape for name, array in inputs.items()}
        names = [tensor.name for tensor in self.graph.outputs]
        return _zeros(self.graph, names, _sizes(self.graph, shapes))

    def steps(self, sizes: Mapping[str, int]) -> StepRun:
        """See `Session.steps`."""
        return _MutedSteps(self.graph, sizes)

    def close(self) -> None:
        """See `Session.close`."""


class _MutedSteps:
    """As many zeros as steps."""

    def __init__(self, graph: GraphSpec, sizes: Mapping[str, int]) -> None:
        self._graph, self._given = graph, dict(sizes)

    def extend(self, rows: Array) -> None:
        """See `StepRun.extend`."""

    def advance(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `StepRun.advance`."""
        shapes = {name: array.shape[1:] for name, array in inputs.items()}
        sizes = {**self._given, **_sizes(self._graph, shapes)}
        step = _zeros(self._graph, RETURNED[self._graph.stage], sizes)
        return {name: np.stack([array] * _count(inputs)) for name, array in step.items()}

    def suspended(self) -> tuple[Mapping[str, Array], Array | None]:
        """See `StepRun.suspended`."""
        return zero_state(self._graph, self._given), None

    def resume(self, state: Mapping[str, Array], rows: Array | None) -> None:
        """See `StepRun.resume`."""

    def close(self) -> None:
        """See `StepRun.close`."""


class _Digest:
    """The sha256 of arrays by name, each of which may come in pieces."""

    def __init__(self) -> None:
        self._hashes: dict[str, hashlib._Hash] = {}

    def update(self, arrays: Mapping[str, Array]) -> None:
        """Adds a piece of each."""
        for name, array in arrays.items():
            hashed = self._hashes.setdefault(name, hashlib.sha256())
            hashed.update(np.ascontiguousarray(array).data)

    @property
    def text(self) -> str:
        """The digest in hexadecimal."""
        parts = [f"{name}:{hashed.hexdigest()}" for name, hashed in sorted(self._hashes.items())]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _calls(sample: Sample) -> Iterator[dict[str, Array]]:
    start = 0
    for length in sample.lengths:
        end = start + length
        yield {name: array[start:end] for name, array in sample.inputs.items()}
        start = end


def _count(inputs: Mapping[str, Array]) -> int:
    return len(next(iter(inputs.values())))


def _copied(arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {name: np.array(array, order="C") for name, array in arrays.items()}


def _is_ragged(graph: GraphSpec, sizes: Mapping[str, int]) -> bool:
    """Whether the calls of a sequence may differ in shape: an axis that the state does not have."""
    within = (*FEEDBACK[graph.stage], SLIDING.get(graph.stage))
    shapes = [tensor.shape for tensor in graph.inputs if tensor.name not in within]
    names = [_axis(entry, 0)[0] for shape in shapes for entry in shape if isinstance(entry, str)]
    return not set(names) <= set(sizes)


def _sizes(graph: GraphSpec, shapes: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """The dynamic axes that the inputs' shapes tell."""
    return dict(
        _axis(entry, size)
        for name, shape in shapes.items()
        for entry, size in zip(graph.input(name).shape, shape, strict=True)
        if isinstance(entry, str)
    )


def _axis(entry: str, size: int) -> tuple[str, int]:
    """The axis of a shape's entry, and its size: `frames+160` of 256 tells 96 `frames`."""
    for mark in "*+":
        name, found, number = entry.partition(mark)
        if found:
            return name, size // int(number) if mark == "*" else size - int(number)
    return entry, size


def _zeros(graph: GraphSpec, names: Sequence[str], sizes: Mapping[str, int]) -> dict[str, Array]:
    axes = {name: AxisRange(size, size, size) for name, size in sizes.items()}
    sized = replace(graph, axes={**graph.axes, **axes})
    return {
        tensor.name: np.zeros([sized.extent(entry).least for entry in tensor.shape], tensor.dtype)
        for tensor in graph.outputs
        if tensor.name in names
    }
