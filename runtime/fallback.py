"""What to do when the card is full, asked for by name: less at once, or the processor.

Every retry is logged: nothing moves to another device, or into smaller pieces, silently.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path

import numpy as np

from sambert_trt.engines.errors import DeviceMemoryError, InputError
from sambert_trt.engines.graphs import GraphSpec, Precision, Stage
from sambert_trt.engines.manifest import StageRecord, VoiceManifest
from sambert_trt.engines.voice import manifest_from_directory

from .backend import Array, Backend, Session, StepRun
from .memory import MemoryReport

__all__ = ["FallbackBackend", "Remedy", "remedies_from_text"]

_LOG = logging.getLogger(__name__)

CHUNKED: Mapping[Stage, str] = {Stage.VOCODER: "frames", Stage.MEMORY_KV: "steps"}
"""The axis along which a stage's run may be cut: each output row sees its context and no more."""

_LEAST = 8
"""Shorter chunks than twice this many rows are not cut: their context outweighs them."""


class Remedy(str, Enum):
    """What to try when the card has no room."""

    SMALLER_CHUNK = "smaller-chunk"
    CPU = "cpu"


def remedies_from_text(text: str) -> tuple[Remedy, ...]:
    """`smaller-chunk,cpu` -> remedies in that order.

    Raises:
        InputError: an unknown name, or one given twice.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    known = [remedy.value for remedy in Remedy]
    wrong = [name for name in names if name not in known]
    if wrong or len(set(names)) < len(names):
        raise InputError(
            f"on-oom {text!r}: needs one or both of {', '.join(known)}, separated by a comma"
        )
    return tuple(map(Remedy, names))


class FallbackBackend:
    """A backend whose sessions try remedies, in order, when the device has no room.

    Args:
        primary: runs everything that fits.
        remedies: what to try, in order.
        processor: makes the backend for Remedy.CPU, which speaks in fp32; asked when first needed.
    """

    def __init__(
        self, primary: Backend, remedies: Sequence[Remedy], processor: Callable[[], Backend]
    ) -> None:
        self.primary, self.remedies = primary, tuple(remedies)
        self.counters: Counter[str] = Counter()
        self._processor = processor

    def preferred(self, directory: Path, manifest: VoiceManifest) -> Precision:
        """See `Backend.preferred`."""
        return self.primary.preferred(directory, manifest)

    def open(self, directory: Path, record: StageRecord) -> Session:
        """See `Backend.open`; a stage that cannot be opened for want of room opens elsewhere."""

        def elsewhere() -> Session:
            manifest = manifest_from_directory(directory)
            return self._processor().open(
                directory, manifest.record(record.graph.stage, Precision.FP32)
            )

        try:
            session = self.primary.open(directory, record)
        except DeviceMemoryError as error:
            if Remedy.CPU not in self.remedies:
                raise
            self.note(record.graph.stage, Remedy.CPU, error)
            return elsewhere()
        return FallbackSession(self, session, elsewhere)

    def memory_report(self) -> MemoryReport:
        """The primary's, with how often each remedy helped."""
        report = self.primary.memory_report()
        return replace(report, counters={**report.counters, **self.counters})

    def note(self, stage: Stage, remedy: Remedy, error: DeviceMemoryError) -> None:
        """Counts and says that a remedy is being tried."""
        self.counters[remedy.value] += 1
        what = "in smaller chunks" if remedy is Remedy.SMALLER_CHUNK else "on the processor"
        _LOG.warning("%s goes on %s: %s", stage.value, what, error)

    def close(self) -> None:
        """See `Backend.close`."""
        self.primary.close()


class FallbackSession:
    """A session that tries the backend's remedies."""

    def __init__(
        self, backend: FallbackBackend, session: Session, elsewhere: Callable[[], Session]
    ) -> None:
        self._backend, self._session, self._elsewhere = backend, session, elsewhere
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
            return self._remedied(inputs, error)

    def steps(self, sizes: Mapping[str, int]) -> StepRun:
        """See `Session.steps`."""
        return FallbackSteps(self, self._session.steps(sizes), sizes)

    def other(self, error: DeviceMemoryError) -> Session:
        """The session on the processor.

        Raises:
            DeviceMemoryError: nobody asked for it.
        """
        if Remedy.CPU not in self._backend.remedies:
            raise error
        self._backend.note(self.graph.stage, Remedy.CPU, error)
        with self._lock:
            if self._other is None:
                self._other = self._elsewhere()
            return self._other

    def close(self) -> None:
        """See `Session.close`."""
        self._session.close()
        if self._other is not None:
            self._other.close()

    def _remedied(self, inputs: Mapping[str, Array], error: DeviceMemoryError) -> dict[str, Array]:
        for remedy in self._backend.remedies:
            if remedy is Remedy.CPU:
                return self.other(error).run(inputs)
            if (cut := self._cut(inputs)) is None:
                continue
            self._backend.note(self.graph.stage, remedy, error)
            try:
                return self._joined(inputs, cut)
            except DeviceMemoryError as again:
                error = again
        raise error

    def _cut(self, inputs: Mapping[str, Array]) -> int | None:
        """Where to cut: halfway, None where the stage or its length does not allow it."""
        axis = CHUNKED.get(self.graph.stage)
        if axis is None:
            return None
        rows = self._rows(inputs, axis)
        return rows // 2 if rows >= 2 * _LEAST + sum(self.graph.context) else None

    def _joined(self, inputs: Mapping[str, Array], cut: int) -> dict[str, Array]:
        """Both halves, each with its context, put together: exactly what one run would give."""
        axis = CHUNKED[self.graph.stage]
        rows = self._rows(inputs, axis)
        before, after = self.graph.context
        first = self._part(inputs, 0, min(cut + after, rows), 0, cut)
        start = max(cut - before, 0)
        second = self._part(inputs, start, rows, cut - start, rows - start)
        return {name: np.concatenate([first[name], second[name]], axis=1) for name in first}

    def _part(
        self, inputs: Mapping[str, Array], start: int, end: int, keep: int, stop: int
    ) -> dict[str, Array]:
        """Runs rows [start, end) of the inputs; keeps rows [keep, stop) of what comes out."""
        axis = CHUNKED[self.graph.stage]
        rows = self._rows(inputs, axis)
        scale = {name: array.shape[1] // rows for name, array in inputs.items()}
        part = {
            name: np.ascontiguousarray(array[:, start * scale[name] : end * scale[name]])
            for name, array in inputs.items()
        }
        outputs = self.run(part)
        count = end - start
        return {
            name: array[:, keep * (array.shape[1] // count) : stop * (array.shape[1] // count)]
            for name, array in outputs.items()
        }

    def _rows(self, inputs: Mapping[str, Array], axis: str) -> int:
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
            if self._moved:
                raise
            other = self._session.other(error).steps(self._sizes)
            other.resume(*self._steps.suspended())
            self._steps.close()
            self._steps, self._moved = other, True
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
