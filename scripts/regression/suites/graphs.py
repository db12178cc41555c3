"""A voice as files: bytes and weights, nodes as exported, kernels as run, operations of a call."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acceptance.traffic import Traffic

from sambert_trt.engines.errors import InputError

from ..arithmetic import nodes_of_graph, operations_of_graph, weights_of_graph
from ..opening import opened_backend
from ..record import NotMeasured
from ..suite import Settings
from .stages import recorded_traffic, records_of_stages

if TYPE_CHECKING:
    from sambert_trt.engines.graphs import GraphSpec
    from sambert_trt.engines.manifest import StageRecord
    from sambert_trt.runtime.backend import Array

__all__ = ["rounds"]


def rounds(settings: Settings) -> Iterator[Mapping[str, float]]:
    """`voice.bytes` and `graph.*`, once.

    Raises:
        NotMeasured: onnx or ONNX Runtime is not installed.
        SambertError: the voice or the backend cannot be used.
    """
    for package in ("onnx", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            raise NotMeasured(f"{package} is not installed; install the [export] extra")
    with opened_backend(settings) as backend:
        records = records_of_stages(settings, backend)
        traffic = recorded_traffic(settings, backend, records)
    found = {"voice.bytes": _voice_bytes(settings.voice)}
    for stage, record in records.items():
        graph = replace(record.graph, axes=_first_sizes(record.graph, traffic[stage]))
        for name, value in _facts(settings, replace(record, graph=graph), record).items():
            found[f"graph.{stage.value}.{name}"] = value
    yield found


def _facts(settings: Settings, sized: StageRecord, record: StageRecord) -> dict[str, int]:
    """A stage's; `sized` has axes of one size."""
    import onnx

    model = onnx.load(settings.voice / record.file.path)
    return {
        "bytes": record.file.bytes,
        "weights": weights_of_graph(model),
        "nodes": nodes_of_graph(model),
        "kernels": nodes_of_graph(onnx.load(_optimised_file(settings, record))),
        "flops": operations_of_graph(model, _zeros(sized.graph)),
    }


def _voice_bytes(voice: Path) -> int:
    from sambert_trt.engines.voice import manifest_from_directory

    manifest = manifest_from_directory(voice)
    return sum(file.bytes for file in (*manifest.files, *manifest.weights.values()))


def _first_sizes(graph: GraphSpec, traffic: Traffic) -> dict[str, Any]:
    """The axes at the sizes the stages suite runs: those of the first call in a sentence."""
    from sambert_trt.engines.graphs import AxisRange

    first = Traffic(traffic.runs[:1], traffic.sequences[:1])
    return {name: AxisRange(least, least, least) for name, (least, _) in first.sizes(graph).items()}


def _zeros(graph: GraphSpec) -> dict[str, Array]:
    import numpy as np

    return {
        tensor.name: np.zeros([graph.extent(size).usual for size in tensor.shape], tensor.dtype)
        for tensor in graph.inputs
    }


def _optimised_file(settings: Settings, record: StageRecord) -> Path:
    """What ONNX Runtime runs on the processor, written while the runtime's backend opens it."""
    from sambert_trt.runtime import backend_from_name

    path = settings.work / f"{record.graph.stage.value}.onnx"
    with closing(backend_from_name("cpu")) as backend, _written(path):
        backend.open(settings.voice, record).close()
    if not path.is_file():
        raise InputError(
            "this side's runtime opens graphs without onnxruntime.SessionOptions: its optimised "
            "graphs cannot be had"
        )
    return path


@contextmanager
def _written(path: Path) -> Iterator[None]:
    """Lets sessions with the options their maker chose write their graph, too."""
    import onnxruntime

    usual = onnxruntime.SessionOptions

    class Writing(usual):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            super().__init__()
            self.optimized_model_filepath = str(path)

    onnxruntime.SessionOptions = Writing
    try:
        yield
    finally:
        onnxruntime.SessionOptions = usual
