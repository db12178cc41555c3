"""A plan at work on the card: arrays in and out, and step sequences whose state stays there.

Every buffer is taken when the engine opens, at the largest sizes of its profile, as one block; only
scratch follows the shapes that are asked for. Knows CUDA through runtime/cuda.py and TensorRT
through runtime/trt_api.py.
"""

from __future__ import annotations

import logging
import math
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import numpy as np

from sambert_trt.engines.errors import (
    BackendError,
    DeviceLostError,
    EngineError,
    GraphError,
    SambertError,
)
from sambert_trt.engines.graphs import GraphSpec, Stage

from .backend import FEEDBACK, RETURNED, SLIDING, Array, SlidingRows
from .budget import EngineCost
from .cuda import DeviceBuffer, Graph, PinnedBuffer, Stream
from .trt_api import LoadedPlan
from .trt_layout import BURST, Layout, most_bytes
from .trt_space import Space

__all__ = ["StepState", "TrtEngine", "records_graphs"]

_LOG = logging.getLogger(__name__)
_NOISE = 64_000_000
"""Bytes a measurement may be off because others use the card at the same moment."""


_UNREACHABLE: list[LoadedPlan] = []
"""Plans whose context could not be made current: destroying them without it ends the process."""


def records_graphs(stage: Stage) -> bool:
    """Whether runs of a stage become CUDA graphs: those that repeat step by step, unchanged.

    TensorRT for RTX replaces kernels of other stages by faster ones for the shapes it meets, in the
    background; a recorded graph would keep the slow ones.
    """
    return stage in (Stage.DURATION_STEP, Stage.DECODER_STEP)


class StepState(Protocol):
    """A sequence of steps, as the engine sees it: where its state rests while off the card.

    Attributes:
        state: FEEDBACK inputs by name; None while the engine holds them.
        rows: of the sliding input, for stages that have one.
    """

    state: dict[str, Array] | None
    rows: SlidingRows

    @property
    def closed(self) -> bool:
        """Whether nobody needs the state any more."""

    def fail(self, error: SambertError) -> None:
        """Tells it that its state was lost."""


class TrtEngine:
    """A plan open in a space.

    Args:
        graph: the stage's signature; its axes are the plan's profile.
        open_space: gives the space, which the engine closes.
        load: deserialises the plan; called with the context current.
        cost: what the record of the build says it takes.
        measure: the card's free bytes, None where nobody can tell.
        keep: gets what TensorRT compiled for this card, before the engine closes.

    Raises:
        DeviceMemoryError: the card is full; nothing is left behind.
        EngineError, BackendError: the plan is not this graph's, or does not load.
    """

    def __init__(
        self,
        graph: GraphSpec,
        open_space: Callable[[], Space],
        load: Callable[[], LoadedPlan],
        cost: EngineCost,
        measure: Callable[[], int | None] = lambda: None,
        keep: Callable[[bytes | None], None] = lambda kernels: None,
    ) -> None:
        self._keep = keep
        self._graph, self._stage = graph, graph.stage
        self._feedback = FEEDBACK.get(graph.stage, {})
        self._sliding = SLIDING.get(graph.stage)
        self._layout = Layout(graph)
        self._occupant: weakref.ref[StepState] | None = None
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._recorded: dict[int, Graph | None] = {}
        self._state_shapes: dict[str, tuple[int, ...]] = {}
        self._scratch = self._needed = 0
        self._turn = self._runs = 0
        self._loaded: LoadedPlan | None = None
        with ExitStack() as stack:
            free = measure()
            self._space = open_space()
            stack.callback(self._space.close)
            self._context, self._driver = self._space.context, self._space.context.driver
            context_bytes = _reasonable(_taken(free, measure(), cost.context), cost.context)
            weight_bytes = self._load(load, stack, cost.weights)
            self._stream = stack.enter_context(Stream(self._context))
            self._device = stack.enter_context(DeviceBuffer(self._context, self._layout.size))
            self._host = stack.enter_context(PinnedBuffer(self._context, self._layout.size))
            self._records = records_graphs(graph.stage) and self._driver.can_capture
            self._open = stack.pop_all()
        self._cost = EngineCost(context_bytes, weight_bytes, cost.scratch, self._layout.size)

    @property
    def _plan(self) -> LoadedPlan:
        if self._loaded is None:
            raise BackendError(f"{self._stage.value} was used after it was closed")
        return self._loaded

    @property
    def cost(self) -> EngineCost:
        """What it takes on the card: measured where the card could be asked, else as recorded."""
        return self._cost

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """One run of the graph; state is among its inputs and outputs where it has any."""
        with self._at_work():
            self._leave()
            self._turn = 0
            self._set_shapes({name: array.shape for name, array in inputs.items()})
            for name, array in inputs.items():
                self._upload(self._region(name), array)
            self._execute()
            regions = {tensor.name: self._region(tensor.name) for tensor in self._graph.outputs}
            shapes = {name: self._plan.output_shape(name) for name in regions}
            return self._downloaded(regions, shapes)

    def advance(self, steps: StepState, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Runs a step of a sequence for each row of the inputs; see `StepRun.advance`."""
        count, most = len(next(iter(inputs.values()))), BURST[self._stage]
        with self._space.lock:
            before = self._runs
            try:
                with self._at_work():
                    self._enter(steps, {name: array.shape[1:] for name, array in inputs.items()})
                    bursts = [
                        self._burst(steps, {n: array[i : i + most] for n, array in inputs.items()})
                        for i in range(0, count, most)
                    ]
            except BaseException as error:
                if self._runs != before:  # steps have run whose outputs nobody has
                    self._lose(error)
                raise
        return {name: np.concatenate([burst[name] for burst in bursts]) for name in bursts[0]}

    def recall(self, steps: StepState) -> None:
        """Hands a sequence its state, if it is here."""
        with self._at_work():
            if self._occupant is not None and self._occupant() is steps:
                self._leave()

    def close(self) -> None:
        """Hands the state it holds back to its sequence, then gives back every byte.

        Raises:
            CudaError: the first call that failed; all others were made nevertheless.
        """
        with self._space.lock, self._open:
            for graph in self._recorded.values():
                if graph is not None:
                    self._open.callback(graph.close)
            self._recorded = {}
            try:
                with self._context.current():
                    self._drain()
                    self._leave()
                    self._keep(self._plan.kernels())
            except SambertError as error:
                self._lose(error)
                raise

    # sequences

    def _enter(self, steps: StepState, shapes: dict[str, tuple[int, ...]]) -> None:
        """Puts a sequence's state on the card, another's handed back first."""
        if self._occupant is not None and self._occupant() is steps:
            self._set_shapes(self._all_shapes(shapes | self._state_shapes))
            return
        self._leave()
        state = steps.state or {}
        state_shapes = {name: array.shape for name, array in state.items()}
        self._set_shapes(self._all_shapes(shapes | state_shapes))
        self._turn, self._state_shapes = 0, state_shapes
        for name, array in state.items():
            self._upload(f"{name}/0", array)
        self._stream.synchronize()
        steps.state, self._occupant = None, weakref.ref(steps)

    def _leave(self) -> None:
        """Brings the state on the card home to the sequence it belongs to."""
        steps = self._occupant() if self._occupant is not None else None
        self._occupant = None
        if steps is None or steps.closed:
            return
        regions = {name: f"{name}/{self._turn}" for name in self._feedback}
        try:
            steps.state = self._downloaded(regions, self._state_shapes)
        except SambertError as error:
            steps.fail(error)
            raise

    def _lose(self, error: BaseException) -> None:
        """Tells the sequence whose state is on the card that it is gone."""
        steps = self._occupant() if self._occupant is not None else None
        self._occupant = None
        if steps is not None:
            ours = error if isinstance(error, SambertError) else BackendError(repr(error))
            steps.fail(ours)

    def _all_shapes(self, shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        """With the sliding input's, whose window is that of the state."""
        if self._sliding is None:
            return shapes
        axis, *rest = self._graph.input(self._sliding).shape
        for name in self._feedback:
            entries = self._graph.input(name).shape
            if axis in entries:
                window = shapes[name][entries.index(axis)]
                return {**shapes, self._sliding: (window, *map(int, rest))}
        raise GraphError(f"{self._stage.value}: no state says how wide {self._sliding} is")

    def _burst(self, steps: StepState, inputs: Mapping[str, Array]) -> dict[str, Array]:
        count = len(next(iter(inputs.values())))
        brought = {name: (array[0].nbytes, array[0].nbytes) for name, array in inputs.items()}
        for name, array in inputs.items():
            self._upload(f"{name}/burst", array)
        if self._sliding is not None:
            window = self._shapes[self._sliding][0]
            rows = steps.rows.peek(count - 1 + window)
            self._upload(f"{self._sliding}/burst", rows)
            brought[self._sliding] = (rows[0].nbytes, window * rows[0].nbytes)
        shapes = {name: self._plan.output_shape(name) for name in RETURNED[self._stage]}
        for step in range(count):
            for name, (stride, size) in brought.items():
                self._copy(name, f"{name}/burst", size, source_at=step * stride)
            self._execute()
            for name, shape in shapes.items():
                size = self._bytes(name, shape)
                self._copy(f"{name}/burst", self._region(name), size, target_at=step * size)
            self._turn ^= 1
        if self._sliding is not None:
            steps.rows.skip(count)
        regions = {name: f"{name}/burst" for name in shapes}
        return self._downloaded(regions, {n: (count, *shape) for n, shape in shapes.items()})

    # one run

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Alone with the scratch memory, the context current; leaves nothing queued behind."""
        with self._space.lock, self._context.current():
            try:
                yield
            except BaseException:
                self._drain()
                raise

    def _drain(self) -> None:
        """Waits for what is queued, whatever it ends in: its memory is about to change hands."""
        try:
            self._stream.synchronize()
        except BackendError as error:
            _LOG.debug("%s: waiting after an error: %s", self._stage.value, error)

    def _set_shapes(self, shapes: dict[str, tuple[int, ...]]) -> None:
        """Fixes the inputs' shapes and gives TensorRT the scratch they take."""
        if shapes != self._shapes:
            self._shapes = {}
            self._forget_recorded()
            self._needed = self._plan.set_shapes(shapes)
            self._check_outputs()
            self._shapes = shapes
            self._scratch = 0
        buffer = self._space.scratch(self._needed)
        if buffer.pointer != self._scratch:
            self._forget_recorded()
            self._plan.set_scratch(buffer.pointer, buffer.size)
            self._scratch = buffer.pointer

    def _execute(self) -> None:
        """Queues a run; from the second of the same shapes on as a recorded CUDA graph."""
        recorded, again = self._recorded.get(self._turn), self._turn in self._recorded
        if recorded is None:
            self._bind()
            if again and self._records:
                recorded = self._recorded[self._turn] = self._record()
        if recorded is not None:
            recorded.launch(self._stream)
            self._runs += 1
            return
        self._recorded[self._turn] = None
        self._plan.enqueue(self._stream.handle)
        self._runs += 1

    def _record(self) -> Graph | None:
        if not self._plan.capturable(self._stream.handle):
            self._records = False
            return None
        try:
            return Graph(self._stream, lambda: self._plan.enqueue(self._stream.handle))
        except DeviceLostError:
            raise
        except BackendError as error:
            _LOG.info("%s runs without a CUDA graph: %s", self._stage.value, error)
            self._records = False
            return None

    def _forget_recorded(self) -> None:
        graphs, self._recorded = self._recorded, {}
        for graph in graphs.values():
            if graph is not None:
                graph.close()

    def _bind(self) -> None:
        for tensor in (*self._graph.inputs, *self._graph.outputs):
            self._plan.set_address(tensor.name, self._device.pointer + self._at(tensor.name))

    def _region(self, name: str) -> str:
        """A tensor's place in this turn: state is read on one side and written on the other."""
        if name in self._feedback:
            return f"{name}/{self._turn}"
        for state, source in self._feedback.items():
            if source == name:
                return f"{state}/{self._turn ^ 1}"
        return name

    def _at(self, name: str) -> int:
        return self._layout.offset(self._region(name))

    # moving

    def _check_outputs(self) -> None:
        for tensor in self._graph.outputs:
            size = self._bytes(tensor.name, self._plan.output_shape(tensor.name))
            if size > most_bytes(self._graph, tensor):
                raise BackendError(
                    f"{self._stage.value} would put {size} bytes into {tensor.name}, more than its "
                    "signature allows; build the plan again with sambert-build --force"
                )

    def _upload(self, region: str, array: Array) -> None:
        name = region.partition("/")[0]
        if array.dtype != self._dtype(name):
            raise GraphError(
                f"{self._stage.value}.{name} takes {self._dtype(name)}, got {array.dtype}"
            )
        self._device.upload(array, self._host, self._stream, offset=self._layout.offset(region))

    def _downloaded(
        self, regions: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]]
    ) -> dict[str, Array]:
        """Arrays by tensor name, copied from the card; waits for everything queued."""
        for name, region in regions.items():
            size = self._bytes(name, shapes[name])
            self._device.download(
                self._host, self._stream, size, offset=self._layout.offset(region)
            )
        self._stream.synchronize()
        return {
            name: self._host.array(
                shapes[name], self._dtype(name), self._layout.offset(region)
            ).copy()
            for name, region in regions.items()
        }

    def _copy(
        self, target: str, source: str, size: int, *, target_at: int = 0, source_at: int = 0
    ) -> None:
        base = self._device.pointer
        self._driver.copy_on_device(
            base + self._layout.offset(target) + target_at,
            base + self._layout.offset(source) + source_at,
            size,
            self._stream.handle,
        )

    def _dtype(self, name: str) -> np.dtype[Any]:
        tensors = (*self._graph.inputs, *self._graph.outputs)
        return np.dtype(next(tensor.dtype for tensor in tensors if tensor.name == name))

    def _bytes(self, name: str, shape: tuple[int, ...]) -> int:
        return math.prod(shape) * self._dtype(name).itemsize

    # opening

    def _load(self, load: Callable[[], LoadedPlan], stack: ExitStack, expected: int) -> int:
        """Deserialises the plan; returns what it took, within reason of what was expected."""
        free = self._context.memory_info()[0]
        stack.callback(self._drop_plan)
        with self._context.current():
            self._loaded = load()
        taken = _taken(free, self._context.memory_info()[0], expected)
        expectation = {t.name: (t.dtype, True) for t in self._graph.inputs}
        expectation |= {t.name: (t.dtype, False) for t in self._graph.outputs}
        with self._context.current():
            found = self._plan.tensors()
        if found != expectation:
            raise EngineError(
                f"the plan of {self._stage.value} has tensors {found}, its graph {expectation}; "
                "build it again with sambert-build --force"
            )
        return max(expected, _reasonable(taken, expected))

    def _drop_plan(self) -> None:
        plan, self._loaded = self._loaded, None
        if plan is None:
            return
        try:
            with self._context.current():
                plan.close()
        except BackendError:
            _UNREACHABLE.append(plan)
            raise


def _taken(before: int | None, after: int | None, expected: int) -> int:
    """How much free memory went; what was expected where nobody could tell."""
    if before is None or after is None or after >= before:
        return expected
    return before - after


def _reasonable(taken: int, expected: int) -> int:
    """A measurement, unless it is so large that others must have had a part in it."""
    return min(taken, 2 * expected + _NOISE)
