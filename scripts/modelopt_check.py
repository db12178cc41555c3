"""Compares our int8 vocoder with the one that NVIDIA's Model Optimizer makes of the same layers.

    python scripts/modelopt_check.py VOICE RECORDING [--windows 12]

Both are asked for the residual blocks' convolutions, for TensorRT, from half of the recorded
windows; the other half says how far each wave is from fp32's. modelopt leaves some layers out: see
how many are in int8 before comparing. RECORDING is the folder of a recording of the
voice, as a calibration leaves it. Needs the [calibrate] extra and, in the same environment,
nvidia-modelopt with what its ONNX part asks for (onnx~=1.21, onnxruntime~=1.24).
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import itertools
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.errors import InputError, SambertError
from sambert_trt.engines.graphs import Placement, Precision, Stage
from sambert_trt.engines.voice import checked_path, manifest_from_directory

if TYPE_CHECKING:
    from sambert_trt.calibration.recording import Recording, Sample
    from sambert_trt.calibration.workshop import Workshop

__all__ = ["Row", "main", "signal_to_noise", "table", "windows"]

Window = dict[str, NDArray[np.float32]]
MODELOPT = ("entropy", "max")
FRAMES = 64


@dataclass(frozen=True)
class Seen:
    """A recording of a few windows of the vocoder and nothing else."""

    windows: Sequence[Window]

    def samples(self, stage: Stage) -> Iterator[Sample]:
        """The windows, as a recording gives them."""
        from sambert_trt.calibration.recording import Sample

        if stage is Stage.VOCODER:
            for number, window in enumerate(self.windows):
                yield Sample(stage, number, window)


@dataclass(frozen=True)
class Row:
    """One quantised vocoder: who made it and how, its file, and how its waves compare.

    Attributes:
        bytes: of the file; modelopt leaves weights in fp32 before Q/DQ, which TensorRT folds.
        quantised: how many convolutions take activations from int8.
        snr: of the waves against fp32's, dB.
        seconds: how long it took to make; our first method's time includes observing.
    """

    maker: str
    method: str
    bytes: int
    quantised: int
    snr: float
    seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the command line, quantises, compares, prints a table; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="modelopt-check-") as folder:
            rows = compared(options.voice, options.recording, options.windows, Path(folder))
    except SambertError as error:
        print(f"modelopt_check: {error}", file=sys.stderr)
        return 1
    print("\n".join(table(rows)))
    return 0


def compared(voice: Path, recording: Path, count: int, work: Path) -> list[Row]:
    """Our vocoders and those of modelopt, each against fp32 on windows that it was not made from.

    Raises:
        InputError: modelopt is not installed, or the recording holds too few windows.
    """
    if importlib.util.find_spec("modelopt") is None:
        raise InputError(
            "nvidia-modelopt is not installed here; install it with: pip install --no-deps "
            "nvidia-modelopt, and then what `import modelopt.onnx` asks for"
        )
    from sambert_trt.calibration.recording import recording_from_folder
    from sambert_trt.calibration.workshop import Workshop

    manifest = manifest_from_directory(voice)
    recorded = recording_from_folder(recording)
    found = list(itertools.islice(windows(recorded), count))
    if len(found) < 2:
        raise InputError(
            f"{recording} holds {len(found)} windows of {FRAMES} frames, two are needed: record "
            "more texts"
        )
    seen, unseen = found[::2], found[1::2]
    source = checked_path(voice, manifest.stages[Stage.VOCODER].file)
    workshop = Workshop(voice, manifest, work, Seen(seen), Placement.TENSORRT)
    nodes = [n for group in workshop.groups(Stage.VOCODER) for n in group.nodes]
    exact = _waves(source, unseen)
    rows = list(_ours(workshop, exact, unseen))
    for method in MODELOPT:
        started = time.perf_counter()
        path = _modelopt_graph(source, nodes, seen, method, work)
        seconds = time.perf_counter() - started
        rows.append(_row("modelopt", method, path, exact, unseen, seconds))
    return rows


def windows(recording: Recording) -> Iterator[Window]:
    """The first frames of each recorded window that has enough of them."""
    for sample in recording.samples(Stage.VOCODER):
        frames = sample.inputs["mel"].shape[1]
        if frames >= FRAMES:
            yield {n: a[:, : FRAMES * a.shape[1] // frames] for n, a in sample.inputs.items()}


def signal_to_noise(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """How far the expected signal is above what is not it, dB; infinite where both are the same."""
    noise = float(np.square(found - expected, dtype=np.float64).sum())
    signal = float(np.square(expected, dtype=np.float64).sum())
    return float("inf") if noise == 0 else 10 * float(np.log10(signal / noise))


def table(rows: Sequence[Row]) -> Iterator[str]:
    """The rows as lines of Markdown."""
    yield "| maker | ranges | int8 layers | file | SNR | made in |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        yield (
            f"| {row.maker} | {row.method} | {row.quantised} | {row.bytes / 1e6:.2f} MB "
            f"| {row.snr:.1f} dB | {row.seconds:.1f} s |"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("voice", type=Path, help="a voice directory")
    parser.add_argument("recording", type=Path, help="the folder of its recording")
    parser.add_argument("--windows", type=int, default=12, help="how many to use in all")
    return parser


def _ours(workshop: Workshop, exact: Sequence[Any], unseen: Sequence[Window]) -> Iterator[Row]:
    """Each of our ways to choose ranges; the first one's time includes observing."""
    from sambert_trt.calibration.recipe import Method, StagePlan, Treatment

    groups = {group.name: Treatment.W8A8 for group in workshop.groups(Stage.VOCODER)}
    for method in Method:
        started = time.perf_counter()
        plan = StagePlan(Precision.FP32, groups, method)
        candidate = workshop.candidate(Stage.VOCODER, plan)
        seconds = time.perf_counter() - started
        path = candidate.directory / candidate.record.file.path
        yield _row("ours", method.value, path, exact, unseen, seconds)


def _modelopt_graph(
    source: Path, nodes: Sequence[str], seen: Sequence[Window], method: str, work: Path
) -> Path:
    """What modelopt makes of a copy: version 0.47 writes into the file that it is given."""
    quantize = importlib.import_module("modelopt.onnx.quantization").quantize
    shapes = {name: "x".join(map(str, array.shape)) for name, array in seen[0].items()}
    copy, path = work / f"source-{method}.onnx", work / f"modelopt-{method}.onnx"
    shutil.copyfile(source, copy)
    quantize(
        str(copy),
        quantize_mode="int8",
        calibration_data={name: np.concatenate([w[name] for w in seen]) for name in seen[0]},
        calibration_method=method,
        calibration_shapes=",".join(f"{name}:{shape}" for name, shape in shapes.items()),
        calibration_eps=["cpu"],
        op_types_to_quantize=["Conv"],
        nodes_to_quantize=[re.escape(node) for node in nodes],
        high_precision_dtype="fp32",
        output_path=str(path),
        log_level="ERROR",
    )
    return path


def _row(
    maker: str,
    method: str,
    path: Path,
    exact: Sequence[NDArray[np.float32]],
    unseen: Sequence[Window],
    seconds: float,
) -> Row:
    waves = _waves(path, unseen)
    snr = signal_to_noise(np.concatenate(waves), np.concatenate(exact))
    return Row(maker, method, path.stat().st_size, _int8_layers(path), snr, seconds)


def _waves(path: Path, given: Sequence[Window]) -> list[NDArray[np.float32]]:
    """A vocoder's outputs, flat; without optimisations, so that Q/DQ round as they stand there."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    return [np.asarray(session.run(None, window)[0]).reshape(-1) for window in given]


def _int8_layers(path: Path) -> int:
    """How many convolutions take their activations from int8."""
    import onnx

    graph = onnx.load(str(path)).graph
    restored = {n.output[0] for n in graph.node if n.op_type == "DequantizeLinear"}
    return sum(n.op_type == "Conv" and n.input[0] in restored for n in graph.node)


if __name__ == "__main__":
    sys.exit(main())
