"""What to do when the card is full, asked for by name: less at once, or the processor.

Every retry is logged: nothing moves to another device, or into smaller pieces, silently.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from enum import Enum
from pathlib import Path

import numpy as np

from sambert_trt.engines.errors import DeviceMemoryError, InputError
from sambert_trt.engines.graphs import GraphSpec, Placement, Precision, Stage
from sambert_trt.engines.manifest import StageRecord, VoiceManifest
from sambert_trt.engines.voice import manifest_from_directory

from .backend import Array, Backend, Session, StepRun
from .memory import MemoryReport

__all__ = ["FallbackBackend", "Remedy", "remedies_from_text"]

_LOG = logging.getLogger(__name__)

CHUNKED: Mapping[Stage, str] = {Stage.VOCODER: "frames", Stage.MEMORY_KV: "steps"}
"""The axis along which a stage's run may be cut: each output row sees its context and no more."""

_LEAST = 8
"""Rows of its own that each half of a run has at least; below, its context outweighs them."""


class Remedy(str, Enum):
    """What to try when the card has no room."""

    SMALLER_CHUNK = "smaller-chunk"
    CPU = "cpu"


_WORDS = {Remedy.SMALLER_CHUNK: "in smaller chunks", Remedy.CPU: "on the processor"}


def remedies_from_text(text: str) -> tuple[Remedy, ...]:
    """`smaller-chunk,cpu` -> remedies in that order.

    Raises:
        InputError: an unknown name, or one given twice.
    """
    names = [name.strip() for name in text.split(",")]
    known = [remedy.value for remedy in Remedy]
    if not set(names) <= set(known) or len(set(names)) < len(names):
        raise InputError(
            f"on-oom {text!r}: needs one or both of {', '.join(known)}, separated by a comma"
        )
    return tuple(map(Remedy, names))


class FallbackBackend:
    """A backend whose sessions try remedies, in order, when the device has no room.

    Args:
        primary: runs everything that fits.
        remedies: what to try, in order.
        processor: speaks, in fp32, what Remedy.CPU takes off the device; it is closed with this.
    """

    def __init__(
        self, primary: Backend, remedies: Sequence[Remedy], processor: Backend | None = None
    ) -> None:
        self.primary, self.remedies = primary, tuple(remedies)
        self._processor = processor if Remedy.CPU in remedies else None
        self._counters: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def placement(self) -> Placement:
        """See `Backend.placement`."""
        return self.primary.placement

    def preferred(self, directory: Path, manifest: VoiceManifest) -> Precision:
        """See `Backend.preferred`."""
        return self.primary.preferred(directory, manifest)

    def open(self, directory: Path, record: StageRecord) -> Session:
        """See `Backend.open`; a stage for which there never will be room opens elsewhere."""
        try:
            session = self.primary.open(directory, record)
        except DeviceMemoryError as error:
            elsewhere = self.elsewhere(directory, record.graph.stage, error)
            self.note(record.graph.stage, Remedy.CPU, error)
            return elsewhere
        return FallbackSession(self, session, directory)

    def elsewhere(self, directory: Path, stage: Stage, error: DeviceMemoryError) -> Session:
        """A stage on the processor.

        Raises:
            DeviceMemoryError: nobody asked for it.
        """
        if self._processor is None:
            raise error
        manifest = manifest_from_directory(directory)
        return self._processor.open(directory, manifest.record(stage, Precision.FP32))

    def memory_report(self) -> MemoryReport:
        """The primary's, with how often each remedy was taken."""
        report = self.primary.memory_report()
        with self._lock:
            return replace(report, counters={**report.counters, **self._counters})

    def note(self, stage: Stage, remedy: Remedy, error: DeviceMemoryError) -> None:
        """Counts and says that a remedy is being taken."""
        with self._lock:
            self._counters[remedy.value] += 1
        _LOG.warning("%s goes on %s: %s", stage.value, _WORDS[remedy], error)

    def close(self) -> None:
        """See `Backend.close`."""
        with ExitStack() as stack:
            if self._processor is not None:
                stack.callback(self._processor.close)
            stack.callback(self.primary.close)


class FallbackSession:
    """A session that tries the backend's remedies."""

    def __init__(self, backend: FallbackBackend, session: Session, directory: Path) -> None:
        self._backend, self._session, self._directory = backend, session, directory
        self._other: Session | None = None
        self._lock = threading.Lock()

    @property
    def graph(self) -> GraphSpec:
        """See `Session.graph`."""
        return self._session.graph

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `Session.run`."""
        try:
            return self._session.run(inputs)
        except DeviceMemoryError as error:
            return self._remedied(inputs, error, self._backend.remedies)

    def steps(self, sizes: Mapping[str, int]) -> StepRun:
        """See `Session.steps`."""
        return FallbackSteps(self, self._session.steps(sizes), sizes)

    def other(self, error: DeviceMemoryError) -> Session:
        """The session on the processor.

        Raises:
            DeviceMemoryError: nobody asked for it.
        """
        with self._lock:
            if self._other is None:
                self._other = self._backend.elsewhere(self._directory, self.graph.stage, error)
            return self._other

    def note(self, remedy: Remedy, error: DeviceMemoryError) -> None:
        """See `FallbackBackend.note`."""
        self._backend.note(self.graph.stage, remedy, error)

    def close(self) -> None:
        """See `Session.close`."""
        with ExitStack() as stack:
            if self._other is not None:
                stack.callback(self._other.close)
            stack.callback(self._session.close)

    def _remedied(
        self, inputs: Mapping[str, Array], error: DeviceMemoryError, remedies: Sequence[Remedy]
    ) -> dict[str, Array]:
        if not remedies:
            raise error
        try:
            return self._tried(remedies[0], inputs, error)
        except DeviceMemoryError as again:
            return self._remedied(inputs, again, remedies[1:])

    def _tried(
        self, remedy: Remedy, inputs: Mapping[str, Array], error: DeviceMemoryError
    ) -> dict[str, Array]:
        if remedy is Remedy.CPU:
            other = self.other(error)
            self.note(remedy, error)
            return other.run(inputs)
        if (cut := self._cut(inputs)) is None:
            raise error
        self.note(remedy, error)
        return self._joined(inputs, cut)

    def _cut(self, inputs: Mapping[str, Array]) -> int | None:
        """Where to cut, None where the stage or its length does not allow it.

        Both parts take the same number of rows, each with its context, and fewer than the whole.
        """
        axis = CHUNKED.get(self.graph.stage)
        if axis is None:
            return None
        rows, (before, after) = self._rows(inputs), self.graph.context
        least = max(_LEAST, self.graph.axes[axis].least)
        return (rows + before - after) // 2 if rows >= before + after + 2 * least else None

    def _joined(self, inputs: Mapping[str, Array], cut: int) -> dict[str, Array]:
        """Both parts put together: what one run would give."""
        rows, (before, after) = self._rows(inputs), self.graph.context
        first = self._part(inputs, 0, cut + after, 0, cut)
        second = self._part(inputs, cut - before, rows, before, rows - cut + before)
        return {name: np.concatenate([first[name], second[name]], axis=1) for name in first}

    def _part(
        self, inputs: Mapping[str, Array], start: int, end: int, keep: int, stop: int
    ) -> dict[str, Array]:
        """Runs rows [start, end) of the inputs; keeps rows [keep, stop) of what comes out."""
        rows, count = self._rows(inputs), end - start
        outputs = self._fitted(
            {name: _sliced(array, start, end, rows) for name, array in inputs.items()}
        )
        return {name: _sliced(array, keep, stop, count) for name, array in outputs.items()}

    def _fitted(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """One run, or those of as many parts as the device has room for one by one."""
        try:
            return self._session.run(inputs)
        except DeviceMemoryError:
            if (cut := self._cut(inputs)) is None:
                raise
            return self._joined(inputs, cut)

    def _rows(self, inputs: Mapping[str, Array]) -> int:
        axis = CHUNKED[self.graph.stage]
        tensor = next(t for t in self.graph.inputs if axis in t.shape)
        return int(inputs[tensor.name].shape[tensor.shape.index(axis)])


class FallbackSteps:
    """A sequence that goes on elsewhere, from where it stands, once the card has no room."""

    def __init__(self, session: FallbackSession, steps: StepRun, sizes: Mapping[str, int]) -> None:
        self._session, self._steps, self._sizes = session, steps, sizes
        self._moved = False

    def extend(self, rows: Array) -> None:
        """See `StepRun.extend`."""
        self._steps.extend(rows)

    def advance(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `StepRun.advance`."""
        try:
            return self._steps.advance(inputs)
        except DeviceMemoryError as error:
            self._move(error)
        return self._steps.advance(inputs)

    def suspended(self) -> tuple[Mapping[str, Array], Array | None]:
        """See `StepRun.suspended`."""
        return self._steps.suspended()

    def resume(self, state: Mapping[str, Array], rows: Array | None) -> None:
        """See `StepRun.resume`."""
        self._steps.resume(state, rows)

    def close(self) -> None:
        """See `StepRun.close`."""
        self._steps.close()

    def _move(self, error: DeviceMemoryError) -> None:
        """Goes on elsewhere from where the sequence stands.

        Raises:
            DeviceMemoryError: nobody asked for it, or it happened before.
            BackendError: the state is lost, since steps had begun that cannot be taken back.
        """
        if self._moved:
            raise error
        other = self._session.other(error)
        state, rows = self._steps.suspended()
        self._session.note(Remedy.CPU, error)
        steps = other.steps(self._sizes)
        steps.resume(state, rows)
        self._steps.close()
        self._steps, self._moved = steps, True


def _sliced(array: Array, start: int, end: int, rows: int) -> Array:
    """Rows [start, end) of an array whose second axis holds a whole number of values a row."""
    scale = array.shape[1] // rows
    return np.ascontiguousarray(array[:, start * scale : end * scale])
