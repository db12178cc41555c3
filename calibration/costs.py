"""What graphs cost: seconds against fp32 in pairs, bytes, and what TensorRT makes of them.

Both sides run in turn, in an order that alternates, and every round gives one ratio: what else the
machine does slows both and cancels. May import the runtime and the engine builder; no torch.
"""

from __future__ import annotations

import itertools
import math
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sambert_trt.engines.builder import BuildOptions, BuildOrder, BuildOrders, build_engines
from sambert_trt.engines.engine import EngineRecord, EngineSpec, Flavour
from sambert_trt.engines.errors import EngineError, InputError
from sambert_trt.engines.flavours import installed_flavours
from sambert_trt.engines.graphs import AxisRange, GraphSpec, Precision, Stage
from sambert_trt.engines.manifest import StageRecord
from sambert_trt.engines.profiles import profile_from_graph
from sambert_trt.engines.store import ENGINES, EngineStore
from sambert_trt.runtime.backend import Array, Session
from sambert_trt.runtime.onnx_backend import OnnxBackend
from sambert_trt.runtime.voice import Voice, open_voice

from .assessment import Candidate, Cost
from .candidate_backend import CandidateBackend
from .recording import Sample
from .replay import replayed

__all__ = [
    "PLAN_TARGET",
    "Interval",
    "Paired",
    "StageClock",
    "median_interval",
    "paired",
    "plan_record",
    "stage_cost",
    "voice_cost",
]

PLAN_TARGET = "sm_86"
"""The card whose plans are weighed: RTX 30, the commonest that has 8 GB."""

TIGHT = 0.02
"""How wide an interval may be, relative to its ratio, for more rounds to be worth nothing."""

_FEWEST = 11
"""Rounds before an interval is believed to be tight: the median of three often looks so."""

_LEAST, _SHORTEST = 0.03, 1e-4
"""Seconds of a round, and of a call that a clock can tell from nothing.

Short pairs meet the same machine: of one vocoder against itself, pairs of 0.2 s gave an interval of
0.02 to 0.05, pairs of 0.8 s in the same time one of 0.15.
"""

_SAMPLES = 4
_STEPS = 24
_FRAMES = {Stage.VOCODER: 32}
"""Sizes that show a stage's speed: a stock vocoder in int8 took 0.53 of fp32's time on 128 frames,
0.54 to 0.55 on 64 and 0.56 to 0.57 on 32, four times as often in the same time.
"""


@dataclass(frozen=True)
class Interval:
    """The median of samples and where it lies with 95 % by bootstrap."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Paired:
    """A candidate against its reference.

    Attributes:
        seconds: the candidate's, median over rounds.
        ratio: candidate / reference, median over rounds; `low` to `high` holds it with 95 %.
    """

    seconds: float
    ratio: float
    low: float
    high: float
    rounds: int


def median_interval(samples: Sequence[float], draws: int = 2000, seed: int = 0) -> Interval:
    """The median and its 95 % interval: percentiles of the medians of resampled rounds."""
    values = np.asarray(samples, np.float64)
    picks = np.random.default_rng(seed).integers(0, len(values), (draws, len(values)))
    low, high = np.percentile(np.median(values[picks], axis=1), [2.5, 97.5])
    return Interval(float(np.median(values)), float(low), float(high))


def paired(
    reference: Callable[[], object],
    candidate: Callable[[], object],
    *,
    rounds: int = 25,
    seconds: float = 10.0,
    least: float = 0.0,
    clock: Callable[[], float] = time.perf_counter,
) -> Paired:
    """Times two functions in turn, each twice for warm-up and then once in every round.

    Ends early when the interval of the ratio is tighter than `TIGHT`, or the time is up.

    Args:
        rounds: the most there are.
        seconds: how much both may take by the clock; the first round is done in any case.
        least: how long the reference is to take in a round, in seconds; where one call is shorter,
            both are called several times in a row, equally often.
        clock: what is measured, in seconds.

    Raises:
        InputError: not even one round is allowed.
    """
    if rounds < 1:
        raise InputError(f"{rounds} rounds asked for: needs 1 or more")
    sides, found = (reference, candidate), (list[float](), list[float]())
    for _ in range(2):
        first = [_timed(side, 1, clock) for side in sides]
    calls = max(1, math.ceil(least / max(first[0], _SHORTEST)))
    spent, ratios = 0.0, list[float]()
    for number in range(rounds):
        for index in (0, 1) if number % 2 == 0 else (1, 0):
            found[index].append(_timed(sides[index], calls, clock))
        ratios.append(found[1][-1] / found[0][-1])
        spent += found[0][-1] + found[1][-1]
        if spent >= seconds or _settled(ratios):
            break
    ratio = median_interval(ratios)
    median = float(np.median(found[1])) / calls
    return Paired(median, ratio.median, ratio.low, ratio.high, len(ratios))


def stage_cost(
    candidate: Candidate,
    reference: tuple[Path, StageRecord],
    samples: Iterable[Sample],
    *,
    rounds: int = 100,
    seconds: float = 3.0,
    plans: bool = False,
) -> Cost:
    """What a stage's candidate costs against another graph of the stage, on one thread.

    Every round runs one sample. Seconds are those of the processor in the calling thread, in which
    ONNX Runtime computes: while others kept the machine busy they stayed within 10 %, and seconds
    of the wall doubled.

    Args:
        reference: the graph to compare with: its directory and record.
        samples: inputs as recorded; a few are taken. Without any, nothing is timed.
        rounds, seconds: see `paired`.
        plans: build the plan of `plan_record`, too.

    Raises:
        BackendError: ONNX Runtime is not installed or cannot load or run a graph.
        EngineError: TensorRT is here and cannot build the graph.
    """
    with closing(StageClock(reference, samples)) as clock:
        cost = clock.cost(candidate, rounds=rounds, seconds=seconds)
    record = plan_record(candidate) if plans else None
    return cost if record is None else _with_plan(cost, record)


class StageClock:
    """Times candidates of one stage; the graph they are compared with is opened once.

    Args:
        reference, samples: see `stage_cost`.
    """

    def __init__(self, reference: tuple[Path, StageRecord], samples: Iterable[Sample]) -> None:
        graph = reference[1].graph
        self._samples = [_shortened(s, graph) for s in itertools.islice(samples, _SAMPLES)]
        self._backend = OnnxBackend()
        self._before = self._backend.open(*reference) if self._samples else None

    def cost(self, candidate: Candidate, *, rounds: int = 100, seconds: float = 3.0) -> Cost:
        """A candidate's cost without its plan; see `stage_cost`."""
        cost = Cost(graph_bytes=candidate.record.file.bytes)
        if self._before is None:
            return cost
        runs = sum(sum(sample.lengths) or 1 for sample in self._samples) / len(self._samples)
        with closing(self._backend.open(candidate.directory, candidate.record)) as after:
            found = paired(
                _replaying(self._before, self._samples),
                _replaying(after, self._samples),
                rounds=rounds,
                seconds=seconds,
                least=_LEAST,
                clock=time.thread_time,
            )
        return replace(
            cost,
            seconds=found.seconds / runs,
            ratio=found.ratio,
            low=found.low,
            high=found.high,
        )

    def close(self) -> None:
        """Closes the graph."""
        if self._before is not None:
            self._before.close()
        self._backend.close()


def voice_cost(
    directory: Path,
    candidates: Mapping[Stage, Candidate],
    sentences: Sequence[str],
    *,
    symbols: bool = False,
    rounds: int = 25,
    seconds: float = 60.0,
    threads: int = 1,
) -> Paired:
    """How long a voice speaks with candidates against fp32: a sentence per round, wall clock.

    Args:
        directory: the voice; its fp32 graphs serve where there is no candidate, too.
        sentences: texts that it speaks, one after another, from the front again at the end;
            symbol lines where `symbols` says so.
        rounds, seconds: see `paired`.
        threads: of either voice.

    Raises:
        InputError: no sentences.
        SambertError: the voice cannot be opened or cannot speak one of the sentences.
    """
    if not sentences:
        raise InputError("no sentences to time a voice with: give one or more")
    exact = OnnxBackend()
    with ExitStack() as stack:
        voices = [
            stack.enter_context(
                open_voice(directory, threads=threads, backend=backend, precision=Precision.FP32)
            )
            for backend in (exact, CandidateBackend(exact, candidates))
        ]
        sides = [_speaking(voice, sentences, symbols) for voice in voices]
        return paired(*sides, rounds=rounds, seconds=seconds)


def plan_record(candidate: Candidate) -> EngineRecord | None:
    """What TensorRT for RTX makes of a graph, which needs no card; the plan itself is not kept.

    Returns:
        The plan's record; None where the builder is not installed.

    Raises:
        EngineError: the graph cannot be built.
    """
    product = next(p for p in installed_flavours() if p.flavour is Flavour.RTX)
    if not product.usable:
        return None
    record, options = candidate.record, BuildOptions(Flavour.RTX, (PLAN_TARGET,))
    spec = EngineSpec(
        stage=candidate.stage,
        precision=record.graph.precision,
        graph_sha256=record.file.sha256,
        recipe=record.recipe,
        profile=profile_from_graph(record.graph),
        flags=(),
        workspace=0,
        flavour=Flavour.RTX,
        version=product.version or "",
        targets=(PLAN_TARGET,),
    )
    order = BuildOrder(spec, record, "its cost is asked for", None)
    with tempfile.TemporaryDirectory(prefix="sambert-plan-") as folder:
        store = EngineStore(Path(folder) / ENGINES)
        orders = BuildOrders(candidate.directory.absolute(), store, options, (order,), ())
        (result,) = build_engines(orders)
    if result.engine is None:
        raise EngineError(f"TensorRT for RTX cannot build a candidate: {result.reason}")
    return result.engine.record


def _speaking(voice: Voice, sentences: Sequence[str], symbols: bool) -> Callable[[], object]:
    """Says the next sentence with every call."""
    texts = itertools.cycle(sentences)
    if symbols:
        return lambda: voice.say(symbols=next(texts))
    return lambda: voice.say(next(texts))


def _timed(run: Callable[[], object], calls: int, clock: Callable[[], float]) -> float:
    started = clock()
    for _ in range(calls):
        run()
    return clock() - started


def _settled(ratios: Sequence[float]) -> bool:
    if len(ratios) < _FEWEST:
        return False
    found = median_interval(ratios)
    return found.high - found.low <= TIGHT * found.median


def _replaying(session: Session, samples: Sequence[Sample]) -> Callable[[], object]:
    """Runs the next sample with every call."""
    following = itertools.cycle(samples)
    return lambda: replayed(session, next(following))


def _shortened(sample: Sample, graph: GraphSpec) -> Sample:
    """The beginning of a sample, long enough to show how fast a stage is."""
    if not sample.lengths:
        return replace(sample, inputs=_cropped(sample.inputs, graph))
    steps = min(sum(sample.lengths), _STEPS)
    ends = [min(end, steps) for end in itertools.accumulate(sample.lengths, initial=0)]
    lengths = tuple(b - a for a, b in itertools.pairwise(ends) if b > a)
    rows = sample.rows
    if rows is not None:
        rows = rows[: steps - 1 + sample.sizes["window"]]
    inputs = {name: array[:steps] for name, array in sample.inputs.items()}
    return replace(sample, inputs=inputs, rows=rows, lengths=lengths)


def _cropped(inputs: Mapping[str, Array], graph: GraphSpec) -> dict[str, Array]:
    """The first `_FRAMES` of a run, with whatever follows the frames."""
    most = _FRAMES.get(graph.stage)
    if most is None:
        return dict(inputs)
    sizes = {
        entry: size
        for tensor in graph.inputs
        for entry, size in zip(tensor.shape, inputs[tensor.name].shape, strict=True)
        if entry in graph.axes
    }
    axes = {str(name): AxisRange(*[min(size, most)] * 3) for name, size in sizes.items()}
    fixed = replace(graph, axes=axes)
    return {
        tensor.name: inputs[tensor.name][
            tuple(slice(fixed.extent(entry).usual) for entry in tensor.shape)
        ]
        for tensor in graph.inputs
    }


def _with_plan(cost: Cost, record: EngineRecord) -> Cost:
    weights, scratch = (
        size if size >= 0 else None for size in (record.weights_bytes, record.scratch_bytes)
    )
    return replace(
        cost,
        plan_bytes=record.plan_bytes,
        weights_bytes=weights,
        scratch_bytes=scratch,
        kernels=record.kernels,
    )
