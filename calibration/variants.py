"""A voice directory gains its graphs in another precision: all of them, checked, or none.

    onnx/<stage>.onnx ─ convert ─ compare ─▶ onnx/<stage>.fp16.onnx, named in voice.json

May import onnx, and the runtime that later opens the graphs; no torch, no exporter.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from sambert_trt.engines.errors import GraphError, InputError
from sambert_trt.engines.graphs import AxisRange, GraphSpec, Precision, Stage
from sambert_trt.engines.manifest import StageRecord, VoiceManifest
from sambert_trt.engines.voice import checked_bytes, file_record
from sambert_trt.runtime.backend import Array
from sambert_trt.runtime.onnx_backend import OnnxBackend

from . import half
from .voice_update import VoiceUpdate, intact, voice_update

__all__ = ["TOLERANCE", "VariantReport", "VariantStage", "write_variants"]

TOLERANCE = 5e-2
"""How far a graph may be from its fp32 form, relative to the largest value of the output.

A half holds 11 bits: one rounding errs by 5e-4, and most graphs come out below 3e-3. Recurrent
gates of trained voices turn a few values by up to 2e-2 on noise. A graph that has lost a weight, a
sign or a sum is off by 0.1 and more.
"""

_IDS = 4
"""Ids to try graphs with: every embedding table has that many rows."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many steps are done, and how many there are."""


@dataclass(frozen=True)
class VariantStage:
    """What became of one stage.

    Attributes:
        record: the graph in the new precision, as voice.json names it.
        source_bytes: the size of the fp32 graph.
        difference: the largest from the fp32 graph's outputs, relative to the largest output; None
            where the graph was there already.
    """

    stage: Stage
    record: StageRecord
    source_bytes: int
    difference: float | None
    seconds: float

    @property
    def unchanged(self) -> bool:
        """Whether the graph was there already."""
        return self.difference is None


@dataclass(frozen=True)
class VariantReport:
    """What `write_variants` did."""

    directory: Path
    precision: Precision
    stages: tuple[VariantStage, ...]
    seconds: float

    @property
    def unchanged(self) -> bool:
        """Whether every graph was there already."""
        return all(stage.unchanged for stage in self.stages)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "voice": str(self.directory),
            "precision": self.precision.value,
            "unchanged": self.unchanged,
            "seconds": self.seconds,
            "stages": [
                {
                    "stage": stage.stage.value,
                    "path": stage.record.file.path,
                    "fp32_bytes": stage.source_bytes,
                    "bytes": stage.record.file.bytes,
                    "difference": stage.difference,
                    "unchanged": stage.unchanged,
                    "recipe": stage.record.recipe,
                    "seconds": stage.seconds,
                }
                for stage in self.stages
            ],
        }


def write_variants(
    directory: Path,
    precision: Precision,
    stages: Iterable[Stage] = tuple(Stage),
    *,
    force: bool = False,
    progress: Progress = lambda what, done, total: None,
) -> VariantReport:
    """Writes `onnx/<stage>.<precision>.onnx` of a voice and names them in its manifest.

    Each graph is run in ONNX Runtime against its fp32 form first. Whatever goes wrong, the
    directory stays as it was. Graphs made from the same fp32 graph by the same converter are kept.

    Args:
        directory: a voice directory.
        precision: only fp16: int8 is assigned by calibration.
        stages: which graphs.
        force: make graphs that are there already once more.

    Raises:
        InputError: another precision.
        VoiceError: the directory is no voice, or a file of it is not the one its manifest names.
        GraphError: a graph cannot be converted, or differs too much.
        OutputError: the directory cannot be written, or changed meanwhile.
    """
    if precision is not Precision.FP16:
        raise InputError(
            f"{precision.value} is no precision of single graphs: only fp16 is; int8 is calibrated"
        )
    start, wanted = time.perf_counter(), set(stages)
    chosen = [stage for stage in Stage if stage in wanted]
    made = []
    with voice_update(directory) as update:
        for done, stage in enumerate(chosen):
            progress(stage.value, done, len(chosen))
            made.append(_variant(directory, update.work, update.manifest, stage, force))
        if not all(stage.unchanged for stage in made):
            update.commit(_with_variants(update, {v.stage: v.record for v in made}))
    progress("done", len(chosen), len(chosen))
    return VariantReport(directory, precision, tuple(made), time.perf_counter() - start)


def _with_variants(update: VoiceUpdate, records: Mapping[Stage, StageRecord]) -> VoiceManifest:
    """The manifest that names these half graphs; assignments that use one take its new form."""
    manifest, directory = update.manifest, update.directory
    others = manifest.variants.get(Precision.FP16, {})
    kept = {s: r for s, r in others.items() if s not in records and intact(directory, r)}
    halves = {**kept, **records}
    assignments = {
        placement: {
            s: halves.get(s, r) if r.graph.precision is Precision.FP16 else r
            for s, r in stages.items()
        }
        for placement, stages in manifest.assignments.items()
    }
    variants = {**manifest.variants, Precision.FP16: halves}
    return replace(manifest, variants=variants, assignments=assignments)


def _variant(
    directory: Path, work: Path, manifest: VoiceManifest, stage: Stage, force: bool
) -> VariantStage:
    start, source = time.perf_counter(), manifest.stages[stage]
    recipe = _recipe(source)
    record, difference = manifest.variants.get(Precision.FP16, {}).get(stage), None
    if force or record is None or record.recipe != recipe or not intact(directory, record):
        model = onnx.load_model_from_string(checked_bytes(directory, source.file))
        converted, graph = half.half_graph(model, source.graph)
        path = f"onnx/{stage.value}.{Precision.FP16.value}.onnx"
        (work / path).parent.mkdir(exist_ok=True)
        (work / path).write_bytes(converted.SerializeToString(deterministic=True))
        record = StageRecord(file_record(work, path), graph, source.parameters, recipe)
        difference = _difference((directory, source), (work, record))
    seconds = time.perf_counter() - start
    return VariantStage(stage, record, source.file.bytes, difference, seconds)


def _recipe(source: StageRecord) -> str:
    """How the graph is made, and of what: another recipe means that it has to be made again."""
    digest = hashlib.sha256(Path(half.__file__).read_bytes()).hexdigest()
    version = importlib.metadata.version("sambert-trt")
    return (
        f"fp16: {half.half_recipe()}; sambert-trt {version}, converter {digest[:12]}, "
        f"fp32 graph {source.file.sha256[:12]}"
    )


def _difference(source: tuple[Path, StageRecord], variant: tuple[Path, StageRecord]) -> float:
    """The largest difference of any output, relative to the largest value of that output.

    Raises:
        GraphError: more than TOLERANCE, or values that are not finite.
    """
    backend, name = OnnxBackend(), source[1].graph.stage.value
    reference, session = backend.open(*source), backend.open(*variant)
    expected, found = defaultdict[str, list[Array]](list), defaultdict[str, list[Array]](list)
    for size in ("least", "usual"):
        inputs = _noise(reference.graph, size)
        typed = {t.name: inputs[t.name].astype(t.dtype) for t in session.graph.inputs}
        for values, outputs in ((expected, reference.run(inputs)), (found, session.run(typed))):
            for output, array in outputs.items():
                values[output].append(array.ravel().astype(np.float64))
    worst = max(_gap(np.concatenate(found[n]), np.concatenate(expected[n])) for n in expected)
    if not worst <= TOLERANCE:
        raise GraphError(
            f"the {name} graph in half precision is off by {worst:.1e} of its largest output, "
            f"more than {TOLERANCE:.0e}: keep this voice in fp32"
        )
    return worst


def _gap(found: Array, expected: Array) -> float:
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-3))


def _noise(graph: GraphSpec, size: str, seed: int = 0) -> dict[str, Array]:
    """Seeded inputs, all axes at their `least` or `usual` size; masks let everything through."""
    rng = np.random.default_rng(seed)
    axes = {n: AxisRange(*[getattr(axis, size)] * 3) for n, axis in graph.axes.items()}
    fixed, inputs = replace(graph, axes=axes), dict[str, Array]()
    for tensor in graph.inputs:
        shape = [fixed.extent(entry).usual for entry in tensor.shape]
        if tensor.dtype == "int64":
            inputs[tensor.name] = rng.integers(0, _IDS, shape)
        else:
            inputs[tensor.name] = rng.standard_normal(shape, np.float32)
    if "mask" in inputs:
        inputs["mask"] = np.ones_like(inputs["mask"])
    return inputs
