"""A backend that shows what the stages of a voice are given while it speaks.

Runtime and numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sambert_trt.engines.graphs import GraphSpec, Placement, Precision, Stage
from sambert_trt.engines.manifest import StageRecord, VoiceManifest
from sambert_trt.runtime.backend import FEEDBACK, SLIDING, Array, Backend, Session, StepRun
from sambert_trt.runtime.memory import MemoryReport

from .muted import MutedSession, axis_of, steps_of
from .recording import Sample
from .replay import OutputDigest, digest_of

__all__ = ["MUTED", "RecordingBackend"]

MUTED = frozenset({Stage.VOCODER})
"""No other stage hears it, and it costs three quarters of the time."""

Sink = Callable[[Sample], None]


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
            return _RecordingSession(self, MutedSession(record.graph), muted=True)
        return _RecordingSession(self, self._inner.open(directory, record))

    def memory_report(self) -> MemoryReport:
        """See `Backend.memory_report`."""
        return self._inner.memory_report()

    def close(self) -> None:
        """See `Backend.close`."""
        self._inner.close()


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
        self._digest = OutputDigest()

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
        self._calls, self._digest = [], OutputDigest()
        self._session.show(
            inputs={name: np.concatenate([call[name] for call in calls]) for name in calls[0]},
            sizes=self._sizes,
            rows=np.concatenate(self._rows) if self._rows else None,
            lengths=tuple(steps_of(call) for call in calls),
            digest="" if self._session.muted else digest.text,
            state=self._state,
        )


def _copied(arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {name: np.array(array, order="C") for name, array in arrays.items()}


def _is_ragged(graph: GraphSpec, sizes: Mapping[str, int]) -> bool:
    """Whether the calls of a sequence may differ in shape: an axis that the state does not have."""
    within = (*FEEDBACK[graph.stage], SLIDING.get(graph.stage))
    shapes = [tensor.shape for tensor in graph.inputs if tensor.name not in within]
    names = [axis_of(entry, 0)[0] for shape in shapes for entry in shape if isinstance(entry, str)]
    return not set(names) <= set(sizes)
