"""The ranges of activations: histograms of what the fp32 graph computes, and what to keep of them.

ONNX Runtime and onnx are imported only where a graph is run; no torch, no exporter.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.errors import BackendError, GraphError, InputError
from sambert_trt.engines.graphs import GraphSpec, Precision, Stage, TensorSpec
from sambert_trt.runtime.backend import Array
from sambert_trt.runtime.onnx_backend import OnnxSession

from .recipe import Method
from .recording import Sample
from .replay import replayed

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["Histogram", "Range", "chosen_range", "observe"]

_BINS = 2048
_FINEST = -100
_INDEX_BITS = 22
"""Bin numbers stay below 2 ** 22, however far from zero a constant tensor lies."""

_COUNTED = 1 << 16
"""Of a larger array so many values are counted, evenly spread; least and most are those of all.

Counting all of a vocoder's values takes half as long again as running it."""

_KEPT = 1 << 25
"""Bytes of outputs that wait to be counted: a decoder step's tensors are too small one by one."""

_WINDOW = 64
"""Mel frames of a vocoder's window that are observed: all tensors of a stock voice's take 0.4 GB.

With a trained voice that moved percentile ranges by up to 4 % and mse ranges by up to 7 %; so did
leaving out every other window."""

_SPREAD = 0.6180339887498949
"""Steps of the golden ratio meet starts, middles and ends of windows alike."""

_LEVELS = 128
"""Of magnitude, in 8 bits."""

_TRIED = 240
"""Clipping points that are compared by entropy."""

_RARE = 1e-9
"""The probability of what the levels hold nothing of, though values were clipped to it."""

_OCTAVES, _PER_OCTAVE = 8, 16
"""Clipping points that are compared by error: down to 1/256 of the range, 4 % apart."""


@dataclass(frozen=True)
class Range:
    """The values an activation is to hold: 0 is among them, both ends are float32 numbers."""

    least: float
    most: float


class Histogram:
    """How often values fell where, in bins whose number is bounded.

    A bin is a power of two wide and starts at a multiple of that. The width is the smallest that
    fits 2048 bins over the values seen, and two bins become one exactly: so the same values give
    the same histogram in whatever order and portions they come.

    Attributes:
        least, most: of all finite values; inf and -inf before the first one.
        count: how many finite values; zeros: how many of them are 0 and so survive any rounding.
            Of large arrays both are estimates, from values evenly spread.
        non_finite: how many values were NaN or infinite.
        counts: int64 [bins], edges: float64 [bins + 1].
    """

    def __init__(self) -> None:
        self.least, self.most = math.inf, -math.inf
        self.count = self.zeros = self.non_finite = 0
        self.counts = np.zeros(0, np.int64)
        self._first, self._exponent = 0, _FINEST

    @property
    def edges(self) -> NDArray[np.float64]:
        """Where the bins begin and end."""
        numbers = np.arange(self._first, self._first + len(self.counts) + 1, dtype=np.float64)
        return np.ldexp(numbers, self._exponent)

    def add(self, values: NDArray[np.float32]) -> None:
        """Counts an array of any shape."""
        flat = values.reshape(-1)
        if not flat.size:
            return
        least, most = float(flat.min()), float(flat.max())
        if not (math.isfinite(least) and math.isfinite(most)):
            finite = flat[np.isfinite(flat)]
            self.non_finite += flat.size - finite.size
            self.add(finite)
            return
        self._fit(min(self.least, least), max(self.most, most))
        stride = _stride(flat.size)
        counted = flat[::stride].astype(np.float64)
        numbers = np.floor(np.ldexp(counted, -self._exponent)).astype(np.int64) - self._first
        self.counts += stride * np.bincount(numbers, minlength=len(self.counts))
        self.count += stride * counted.size
        self.zeros += stride * (counted.size - int(np.count_nonzero(counted)))

    def magnitudes(self) -> tuple[NDArray[np.int64], float]:
        """Counts of |x| over at most 2048 bins from 0 on, and the width of a bin."""
        starts = self._first + np.arange(len(self.counts))
        numbers = np.where(starts < 0, -1 - starts, starts)
        exponent = self._exponent
        while int(numbers.max(initial=0)) >= _BINS:
            numbers, exponent = numbers >> 1, exponent + 1
        counts = np.zeros(int(numbers.max(initial=0)) + 1, np.int64)
        np.add.at(counts, numbers, self.counts)
        return counts, math.ldexp(1.0, exponent)

    def _fit(self, least: float, most: float) -> None:
        if (least, most) == (self.least, self.most):
            return
        exponent = _bin_exponent(least, most)
        first, last = (math.floor(math.ldexp(x, -exponent)) for x in (least, most))
        counts = np.zeros(last - first + 1, np.int64)
        old = (self._first + np.arange(len(self.counts))) >> (exponent - self._exponent)
        np.add.at(counts, old - first, self.counts)
        self.counts, self._first, self._exponent = counts, first, exponent
        self.least, self.most = least, most


def observe(
    model: ModelProto,
    graph: GraphSpec,
    samples: Iterable[Sample],
    tensors: Sequence[str],
) -> dict[str, Histogram]:
    """Runs an fp32 graph over what was recorded and counts the values of some of its tensors.

    Steps go one by one, as in the runtime. Of a vocoder's windows 64 frames each are run, at
    starts, middles and ends alike.

    Args:
        model: the fp32 graph; it is not changed.
        graph: its signature.
        samples: of this stage.
        tensors: float32 values of the graph, by name; inputs and outputs may be among them.

    Raises:
        GraphError: no such tensor; a sample of another stage or none at all; a NaN or an infinity.
        BackendError: ONNX Runtime is missing, or fails.
    """
    histograms = {name: Histogram() for name in tensors}
    if not histograms:
        return histograms
    session, number = _Watched(model, graph, histograms), -1
    for number, sample in enumerate(samples):
        session.replay(sample, number)
    if number < 0:
        raise GraphError(
            f"nothing was recorded of {graph.stage.value}: record calibration texts first"
        )
    return histograms


def chosen_range(histogram: Histogram, method: Method, percentile: float, symmetric: bool) -> Range:
    """What a tensor's int8 form is to hold; 0 always, and never more than min-max and 0.

    A tensor that is always 0 gives (0, 0); one that is always c gives (0, c) or (c, 0), or
    (-|c|, |c|) where the range is symmetric.

    Args:
        histogram: what the tensor was seen to hold.
        method: PERCENTILE keeps `percentile` % of the values, cutting the rest off both ends
            alike (of magnitudes, where symmetric). ENTROPY keeps what loses least information:
            the least KL divergence between the distribution clipped and the same in 128 levels
            (S. Migacz, 8-bit Inference with TensorRT, GTC 2017). MSE has the least
            expected squared error.
        percentile: above 0, up to 100.
        symmetric: whether the range is -a to a.

    Raises:
        GraphError: nothing was counted.
        InputError: a percentile that is none.
    """
    if not histogram.count:
        raise GraphError("the range of a tensor that was never seen: record calibration texts")
    if not 0 < percentile <= 100:
        raise InputError(f"the percentile {percentile!r}: needs a number above 0, up to 100")
    whole = _with_zero(Range(histogram.least, histogram.most), symmetric)
    if method is Method.MIN_MAX or whole.least == whole.most:
        return whole
    if method is Method.PERCENTILE:
        found = _percentile_range(histogram, percentile / 100, symmetric)
    elif method is Method.ENTROPY:
        most = _entropy_magnitude(histogram)
        found = Range(-most, most)
    else:
        found = _least_error_range(histogram, whole, symmetric)
    return _with_zero(_within(found, whole), symmetric)


class _Watched(OnnxSession):
    """The fp32 graph in ONNX Runtime, which counts the tensors asked for as it runs."""

    def __init__(
        self, model: ModelProto, graph: GraphSpec, histograms: Mapping[str, Histogram]
    ) -> None:
        added = _inner_tensors(model, graph, histograms)
        extra = tuple(TensorSpec(name, "float32", ()) for name in added)
        widened = replace(graph, outputs=(*graph.outputs, *extra))
        super().__init__(_onnx_session(model, graph, added), widened, _failed)
        self._histograms = histograms
        self._waiting: dict[str, list[Array]] = {name: [] for name in histograms}
        self._bytes = 0

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `Session.run`; what was asked for waits to be counted."""
        outputs = super().run(inputs)
        for name, arrays in self._waiting.items():
            array = outputs[name] if name in outputs else inputs[name]
            arrays.append(array)
            self._bytes += array.nbytes
        if self._bytes > _KEPT:
            self._count()
        return outputs

    def replay(self, sample: Sample, number: int) -> None:
        """Runs a recorded sample and counts what it gives."""
        stage = self.graph.stage
        if sample.stage is not stage:
            raise GraphError(f"a sample of {sample.stage.value} cannot run {stage.value}")
        if stage is Stage.VOCODER:
            sample = replace(sample, inputs=_cropped(sample.inputs, number))
        replayed(self, sample)
        self._count()
        self._check(sample.sentence)

    def _count(self) -> None:
        for name, arrays in self._waiting.items():
            if arrays:
                self._histograms[name].add(_joined(arrays))
            arrays.clear()
        self._bytes = 0

    def _check(self, sentence: int) -> None:
        for name, histogram in self._histograms.items():
            if histogram.non_finite:
                raise GraphError(
                    f"{self.graph.stage.value} computes NaN or infinity in {name} for calibration "
                    f"text {sentence}: is there a NaN in the checkpoint? Export the voice again "
                    "from a sound one"
                )


def _inner_tensors(model: ModelProto, graph: GraphSpec, tensors: Iterable[str]) -> list[str]:
    """The tensors that are neither inputs nor outputs of the graph."""
    if graph.precision is not Precision.FP32:
        raise GraphError(
            f"the {graph.stage.value} graph is in {graph.precision.value}: observe the fp32 one"
        )
    edges = {tensor.name for tensor in (*graph.inputs, *graph.outputs)}
    made = {name for node in model.graph.node for name in node.output}
    added = [name for name in tensors if name not in edges]
    missing = [name for name in added if name not in made]
    if missing:
        raise GraphError(f"the {graph.stage.value} graph computes no {', '.join(missing)}")
    return added


def _onnx_session(model: ModelProto, graph: GraphSpec, added: Iterable[str]) -> Any:  # noqa: ANN401
    import onnx

    try:
        import onnxruntime
    except ImportError as error:
        raise BackendError(
            "onnxruntime is not installed; install it with: pip install 'sambert-trt[calibrate]'"
        ) from error
    widened = onnx.ModelProto()
    widened.CopyFrom(model)
    for name in added:
        kind = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        widened.graph.output.append(kind)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_mem_pattern = options.enable_cpu_mem_arena = False
    try:
        return onnxruntime.InferenceSession(
            widened.SerializeToString(), options, ["CPUExecutionProvider"]
        )
    except Exception as error:
        raise _failed("cannot load", graph, error) from error


def _failed(what: str, graph: GraphSpec, error: Exception) -> BackendError:
    return BackendError(f"ONNX Runtime {what} the {graph.stage.value} graph to observe: {error}")


def _joined(arrays: Sequence[Array]) -> Array:
    """The values of all arrays; of one, itself, which may be large."""
    return (
        arrays[0] if len(arrays) == 1 else np.concatenate([array.reshape(-1) for array in arrays])
    )


def _cropped(inputs: Mapping[str, Array], number: int) -> dict[str, Array]:
    """A window's inputs over 64 of its frames; from sample to sample they lie elsewhere."""
    frames = inputs["mel"].shape[1]
    count = min(frames, _WINDOW)
    start = round((number * _SPREAD) % 1 * (frames - count))
    found = {}
    for name, array in inputs.items():
        factor = array.shape[1] // frames
        found[name] = array[:, start * factor : (start + count) * factor]
    return found


def _bin_exponent(least: float, most: float) -> int:
    """The smallest k for which bins of 2 ** k over these values are few enough."""
    magnitude, span = max(abs(least), abs(most)), most - least
    exponent = max(_FINEST, math.frexp(magnitude)[1] - _INDEX_BITS)
    if span:
        exponent = max(exponent, math.frexp(span)[1] - _BINS.bit_length())
    while _bin_count(least, most, exponent) > _BINS:
        exponent += 1
    return exponent


def _bin_count(least: float, most: float, exponent: int) -> int:
    first, last = (math.floor(math.ldexp(x, -exponent)) for x in (least, most))
    return last - first + 1


def _stride(size: int) -> int:
    """A step through so many values that leaves few enough and meets every phase of every axis."""
    stride = -(-size // _COUNTED)
    while math.gcd(stride, size) > 1:
        stride += 1
    return stride


def _with_zero(range_: Range, symmetric: bool) -> Range:
    least, most = min(range_.least, 0.0), max(range_.most, 0.0)
    if symmetric:
        most = max(-least, most)
        least = -most
    return Range(float(np.float32(least)), float(np.float32(most)))


def _within(range_: Range, whole: Range) -> Range:
    return Range(max(range_.least, whole.least), min(range_.most, whole.most))


def _percentile_range(histogram: Histogram, kept: float, symmetric: bool) -> Range:
    if kept == 1:
        return Range(histogram.least, histogram.most)
    if symmetric:
        counts, width = histogram.magnitudes()
        most = _quantile(counts, width * np.arange(len(counts) + 1, dtype=np.float64), kept)
        return Range(-most, most)
    cut, counts, edges = (1 - kept) / 2, histogram.counts, histogram.edges
    least = -_quantile(counts[::-1], -edges[::-1], 1 - cut)
    return Range(least, _quantile(counts, edges, 1 - cut))


def _quantile(counts: NDArray[np.int64], edges: NDArray[np.float64], part: float) -> float:
    total = np.cumsum(counts)
    wanted = part * total[-1]
    number = min(int(np.searchsorted(total, wanted)), len(counts) - 1)
    inside = 1 - (total[number] - wanted) / max(counts[number], 1)
    return float(edges[number] + inside * (edges[number + 1] - edges[number]))


def _entropy_magnitude(histogram: Histogram) -> float:
    """The a for which values clipped to -a..a, in 128 levels of magnitude, tell most."""
    counts, width = histogram.magnitudes()
    counts[0] -= min(histogram.zeros, counts[0])
    if len(counts) <= _LEVELS or not counts.any():
        return len(counts) * width
    tried = np.unique(np.linspace(_LEVELS, len(counts), _TRIED).astype(np.int64))
    losses = [_divergence(counts.astype(np.float64), int(kept)) for kept in tried]
    return float(tried[int(np.argmin(losses))] * width)


def _divergence(counts: NDArray[np.float64], kept: int) -> float:
    """KL divergence of the clipped counts from the same in levels; empty bins stay empty."""
    clipped, starts = counts[:kept].copy(), np.arange(_LEVELS) * kept // _LEVELS
    sizes = np.diff(np.append(starts, kept))
    clipped[-1] += counts[kept:].sum()
    full = clipped > 0
    filled = np.maximum(np.add.reduceat(full.astype(np.float64), starts), 1)
    level = np.add.reduceat(counts[:kept], starts) / filled
    coarse = np.where(full, np.repeat(level, sizes), 0)
    if not coarse.any():
        return math.inf
    p = clipped[full] / clipped.sum()
    q = np.maximum(coarse[full] / coarse.sum(), _RARE)
    return float(np.sum(p * np.log(p / q)))


def _least_error_range(histogram: Histogram, whole: Range, symmetric: bool) -> Range:
    parts = np.append(2.0 ** (-np.arange(_OCTAVES * _PER_OCTAVE + 1) / _PER_OCTAVE), 0.0)
    least, most = whole.least * parts, whole.most * parts
    errors = _expected_errors(histogram, least, most, symmetric)
    if symmetric:
        number = int(np.diagonal(errors).argmin())
        return Range(least[number], most[number])
    row, column = divmod(int(errors.argmin()), len(most))
    return Range(least[row], most[column])


def _expected_errors(
    histogram: Histogram,
    least: NDArray[np.float64],
    most: NDArray[np.float64],
    symmetric: bool,
) -> NDArray[np.float64]:
    """The mean squared errors of storing the values seen in 8 bits, [A, B].

    Of the ranges from any of `least` [A] to any of `most` [B]. Values beyond a range are clipped.
    The others are rounded to 255 levels of a symmetric range or 256 of another, with a step's
    uniform noise, step ** 2 / 12; a 0 stays 0.
    """
    edges, counts = histogram.edges, histogram.counts.astype(np.float64)
    zero = int(np.searchsorted(edges, 0.0, side="right")) - 1
    if histogram.zeros:
        counts[zero] -= histogram.zeros
    beyond = _clipping_errors(-edges[::-1], counts[::-1], -least)[:, None]
    beyond = beyond + _clipping_errors(edges, counts, most)
    below = np.append(0.0, np.cumsum(counts))
    inside = np.interp(most, edges, below) - np.interp(least, edges, below)[:, None]
    width = most - least[:, None]
    step = width / (_LEVELS * 2 - (2 if symmetric else 1))
    errors: NDArray[np.float64] = (beyond + inside * step**2 / 12) / histogram.count
    return errors


def _clipping_errors(
    edges: NDArray[np.float64], counts: NDArray[np.float64], most: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sums of (x - most) ** 2 over the values above, which lie evenly within their bins."""
    density = counts / np.diff(edges)
    over = np.maximum(edges - most[:, None], 0)
    sums: NDArray[np.float64] = np.diff(over * over * over, axis=1) @ density / 3
    return sums
