"""A voice's stage on the card: an engine leased for every call, and sequences of its steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sambert_trt.engines.errors import (
    BackendError,
    DeviceLostError,
    DeviceMemoryError,
    SambertError,
)
from sambert_trt.engines.graphs import GraphSpec

from .backend import Array, SlidingRows, StepRun, state_like, zero_state
from .budget import ResidencyMode
from .residency import EngineHandle, ResidencyManager
from .trt_engine import TrtEngine

__all__ = ["TrtSession", "TrtSteps"]


class TrtSession:
    """A stage whose engine is leased for every call."""

    def __init__(
        self,
        manager: ResidencyManager[TrtEngine],
        handle: EngineHandle[TrtEngine],
        graph: GraphSpec,
        forget: Callable[[], None],
    ) -> None:
        self._manager, self._handle, self._graph = manager, handle, graph
        self._forget = forget

    @property
    def graph(self) -> GraphSpec:
        """See `Session.graph`."""
        return self._graph

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `Session.run`."""
        return self._with_room(lambda engine: engine.run(inputs))

    def steps(self, sizes: Mapping[str, int]) -> StepRun:
        """See `Session.steps`."""
        return TrtSteps(self, sizes)

    def warm(self) -> None:
        """Opens the engine."""
        with self._manager.lease(self._handle):
            pass

    def advance(self, steps: TrtSteps, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Runs steps of a sequence."""

        def advanced(engine: TrtEngine) -> dict[str, Array]:
            steps.check()
            return engine.advance(steps, inputs)

        return self._with_room(advanced)

    def recall(self, steps: TrtSteps) -> None:
        """Brings a sequence's state home, where it is on the card."""
        if steps.state is not None:
            return
        try:
            with self._manager.lease(self._handle) as engine:
                engine.recall(steps)
        except DeviceMemoryError:  # the engine closed in the meantime, and brought it home
            if steps.state is None:
                raise

    def close(self) -> None:
        """See `Session.close`."""
        try:
            self._manager.unregister(self._handle)
        finally:
            self._forget()

    def _with_room(self, work: Callable[[TrtEngine], dict[str, Array]]) -> dict[str, Array]:
        """Runs under a lease; where the card has no room for it, once more without idle engines."""
        try:
            with self._manager.lease(self._handle) as engine:
                return work(engine)
        except DeviceMemoryError:
            if self._manager.mode is ResidencyMode.RESIDENT or not self._manager.evict_idle():
                raise
        with self._manager.lease(self._handle) as engine:
            return work(engine)


class TrtSteps:
    """A sequence whose state is on the card, or here while its engine is closed or another's.

    Attributes:
        state: FEEDBACK inputs by name; None while the engine holds them.
        rows: of the sliding input.
    """

    def __init__(self, session: TrtSession, sizes: Mapping[str, int]) -> None:
        self._session = session
        self._error: SambertError | None = None
        self._closed = False
        self.state: dict[str, Array] | None = zero_state(session.graph, sizes)
        self.rows = SlidingRows(sizes.get("window", 0))

    @property
    def closed(self) -> bool:
        """Whether nobody needs the state any more."""
        return self._closed

    def extend(self, rows: Array) -> None:
        """See `StepRun.extend`."""
        self.rows.extend(rows)

    def advance(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `StepRun.advance`."""
        return self._session.advance(self, inputs)

    def suspended(self) -> tuple[Mapping[str, Array], Array | None]:
        """See `StepRun.suspended`."""
        self._session.recall(self)
        self.check()
        return self.state or {}, self.rows.kept()

    def resume(self, state: Mapping[str, Array], rows: Array | None) -> None:
        """See `StepRun.resume`."""
        self._session.recall(self)
        self.state = state_like(self.state or {}, state)
        if rows is not None:
            self.rows.extend(rows)

    def fail(self, error: SambertError) -> None:
        """Notes that the state was lost with the card's memory."""
        self._error = error

    def check(self) -> None:
        """Raises what lost the state."""
        if isinstance(self._error, DeviceLostError):
            raise self._error
        if self._error is not None:
            raise BackendError(f"the sentence cannot go on: {self._error}") from self._error
        if self._closed:
            raise BackendError("a sequence of steps was used after it was closed")

    def close(self) -> None:
        """See `StepRun.close`."""
        self._closed, self.state = True, None
