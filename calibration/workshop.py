"""Where candidates are made: a stage's plan becomes a graph on disk, once.

    work/<digest>/onnx/<stage>.<precision>[.<placement>].onnx, record.json
    work/ranges/<digest>.npz

What is there already and whole is taken as it is, whichever process made it; so an interrupted run
goes on where it was. May import onnx; no torch, no exporter.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import itertools
import json
import logging
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

import numpy as np

from sambert_trt.engines.errors import GraphError, OutputError, SambertError
from sambert_trt.engines.graphs import GraphSpec, Placement, Precision, Stage, graph_spec_from_dict
from sambert_trt.engines.locks import locked
from sambert_trt.engines.manifest import FileRecord, StageRecord, VoiceManifest
from sambert_trt.engines.voice import checked_bytes, file_record

from . import half, int8, ranges
from . import placement as placements
from .assessment import Candidate
from .ranges import Histogram, Range
from .recipe import Group, Method, StagePlan, Treatment
from .recording import Sample

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["Samples", "Workshop", "candidate_path", "graph_recipe", "offered_groups"]

_LOG = logging.getLogger(__name__)
_RECORD, _RANGES = "record.json", "ranges"
_SHORT = 12
_LOCK_SECONDS = 600.0
"""How long another process may observe the ranges that this one needs."""

_UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)


class Samples(Protocol):
    """What stages were given: a recording, or something like it."""

    def samples(self, stage: Stage) -> Iterator[Sample]:
        """What was recorded of a stage."""


@dataclass(frozen=True)
class _Source:
    """A stage's fp32 graph as read."""

    model: ModelProto
    graph: GraphSpec
    groups: tuple[Group, ...]


class Workshop:
    """Makes the candidates of one voice for one placement.

    Args:
        directory: the voice; nothing is written there.
        manifest: what it is.
        work: a folder for candidates and ranges; it is made.
        recording: what activations' ranges are observed on.
        placement: whose kernels int8 graphs are written for.
    """

    def __init__(
        self,
        directory: Path,
        manifest: VoiceManifest,
        work: Path,
        recording: Samples,
        placement: Placement,
    ) -> None:
        self._directory, self._manifest, self._work = directory, manifest, work
        self._recording, self._placement = recording, placement
        self._histograms: dict[Stage, Mapping[str, Histogram]] = {}
        self._groups: dict[Stage, tuple[Group, ...]] = {}
        self._candidates: dict[tuple[Stage, str], Candidate] = {}
        self._ranges: dict[tuple[Stage, str, Method, float], Range] = {}
        self._last: tuple[Stage, _Source] | None = None

    @property
    def placement(self) -> Placement:
        """Whose kernels int8 graphs are written for."""
        return self._placement

    def groups(self, stage: Stage) -> tuple[Group, ...]:
        """The layers of a stage that can be treated alike; none where nothing can be quantised.

        Raises:
            VoiceError: the fp32 graph is missing or not the one the manifest names.
            GraphError: the graph cannot be read, or holds a weight that is no number.
        """
        if stage not in self._groups:
            self._groups[stage] = self._source(stage).groups
        return self._groups[stage]

    def candidate(self, stage: Stage, plan: StagePlan) -> Candidate:
        """The graph of a stage as a plan says; the voice's own where nothing is changed.

        Raises:
            InputError: the plan names a group that there is not, or treats one as it cannot be,
                or has a base other than fp32 and fp16.
            VoiceError: the fp32 graph is missing or not the one the manifest names.
            GraphError: the graph cannot be written so: a weight is no number, nothing was recorded
                of the stage, an operator has no rule.
            OutputError: the work folder cannot be written.
        """
        record = self._manifest.stages[stage]
        if plan.precision is Precision.FP32:
            return Candidate(stage, plan, self._directory, record)
        chosen = self._chosen(stage, plan)
        recipe = graph_recipe(record, plan, self._placement)
        digest = _candidate_digest(recipe, chosen)
        known = self._candidates.get((stage, digest))
        if known is None:
            known = self._made(stage, plan, chosen, recipe, self._work / digest)
            self._candidates[stage, digest] = known
        return dataclasses.replace(known, plan=plan)

    def _source(self, stage: Stage) -> _Source:
        """The stage's fp32 graph; the last one asked for is kept."""
        if self._last is None or self._last[0] is not stage:
            self._last = None
            self._last = (stage, self._read(stage))
        return self._last[1]

    def _read(self, stage: Stage) -> _Source:
        record = self._manifest.stages[stage]
        model = _model(self._directory, record, stage)
        groups = placements.groups(model, record.graph, self._placement)
        return _Source(model, record.graph, groups)

    def _chosen(self, stage: Stage, plan: StagePlan) -> dict[str, Range]:
        """The range of every tensor that a plan quantises."""
        if not plan.treated:
            return {}
        source = self._source(stage)
        names = int8.observed_tensors(source.model, source.graph, plan, self._placement)
        if not names:
            return {}
        found = self._observed(stage)
        return {name: self._range(stage, name, found[name], plan) for name in names}

    def _range(self, stage: Stage, name: str, histogram: Histogram, plan: StagePlan) -> Range:
        key = stage, name, plan.method, plan.percentile
        if key not in self._ranges:
            symmetric = self._placement is Placement.TENSORRT
            self._ranges[key] = ranges.chosen_range(
                histogram, plan.method, plan.percentile, symmetric
            )
        return self._ranges[key]

    def _observed(self, stage: Stage) -> Mapping[str, Histogram]:
        """Histograms of every tensor that any plan of the stage could need."""
        if stage not in self._histograms:
            names = self._observable(stage)
            record = self._manifest.stages[stage]
            parts = (*names, record.file.sha256, self._recorded(stage), _sources(ranges))
            path = self._work / _RANGES / f"{stage.value}-{_digest(parts)}.npz"
            path.parent.mkdir(parents=True, exist_ok=True)
            with locked(path.with_suffix(".lock"), _LOCK_SECONDS, "calibrate"):
                self._histograms[stage] = self._stored(path, stage, names)
        return self._histograms[stage]

    def _stored(self, path: Path, stage: Stage, names: Sequence[str]) -> Mapping[str, Histogram]:
        found = _histograms_from_file(path, names)
        if found is not None:
            return found
        histograms = self._observe(stage, names)
        with _replaced(path) as fresh:
            _write_histograms(fresh, [histograms[name] for name in names])
        return histograms

    def _observable(self, stage: Stage) -> tuple[str, ...]:
        """What any placement could need: the runs are what takes time, not the tensors."""
        source, names = self._source(stage), dict[str, None]()
        for placement, treatment in itertools.product(Placement, Treatment):
            groups = placements.groups(source.model, source.graph, placement)
            treated = {g.name: treatment for g in groups if treatment in g.treatments}
            plan = StagePlan(Precision.FP32, treated)
            found = int8.observed_tensors(source.model, source.graph, plan, placement)
            names |= dict.fromkeys(found)
        return tuple(names)

    def _observe(self, stage: Stage, names: Sequence[str]) -> Mapping[str, Histogram]:
        source = self._source(stage)
        samples = self._recording.samples(stage)
        return ranges.observe(source.model, source.graph, samples, names)

    def _recorded(self, stage: Stage) -> str:
        """The sha256 of what was recorded of a stage.

        Raises:
            GraphError: nothing was.
        """
        digest, count = hashlib.sha256(), 0
        for sample in self._recording.samples(stage):
            count += 1
            for name, array in sorted(sample.arrays().items()):
                digest.update(f"{name} {array.dtype} {array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
            digest.update(f"{dict(sample.sizes)} {sample.lengths}".encode())
        if not count:
            raise GraphError(
                f"nothing was recorded of {stage.value}, so the ranges of its activations are not "
                "known: record with more texts, or leave its groups float or w8"
            )
        return digest.hexdigest()

    def _made(
        self, stage: Stage, plan: StagePlan, chosen: Mapping[str, Range], recipe: str, folder: Path
    ) -> Candidate:
        record = _record_from_folder(folder, recipe)
        if record is None:
            source = self._source(stage)
            model, graph = int8.planned_graph(
                source.model, source.graph, plan, chosen, self._placement
            )
            parameters = self._manifest.stages[stage].parameters
            with _replaced(folder) as fresh:
                path = candidate_path(stage, plan, self._placement)
                (fresh / path).parent.mkdir(parents=True)
                (fresh / path).write_bytes(model.SerializeToString(deterministic=True))
                record = StageRecord(file_record(fresh, path), graph, parameters, recipe)
                (fresh / _RECORD).write_text(_record_as_json(record), encoding="utf-8")
        return Candidate(stage, plan, folder, record)


def offered_groups(
    directory: Path, manifest: VoiceManifest, offered: Iterable[Placement]
) -> dict[Placement, dict[Stage, tuple[Group, ...]]]:
    """What can be treated in a voice on each placement.

    Raises:
        VoiceError: a graph is missing or not the one the manifest names.
        GraphError: a graph cannot be read, or holds a weight that is no number.
    """
    found = {placement: dict[Stage, tuple[Group, ...]]() for placement in offered}
    for stage, record in manifest.stages.items():
        model = _model(directory, record, stage)
        for placement, groups in found.items():
            groups[stage] = placements.groups(model, record.graph, placement)
    return found


def candidate_path(stage: Stage, plan: StagePlan, placement: Placement) -> str:
    """Where a graph lies in a voice directory, relative to it."""
    if plan.precision is Precision.FP32:
        return f"onnx/{stage.value}.onnx"
    where = f".{placement.value}" if plan.precision is Precision.INT8 else ""
    return f"onnx/{stage.value}.{plan.precision.value}{where}.onnx"


def graph_recipe(source: StageRecord, plan: StagePlan, placement: Placement) -> str:
    """How a graph is made, and of what: another recipe means that it has to be made again.

    It is part of a plan's key, and the same for the same plan whatever the order of its groups.
    """
    precision = plan.precision
    version: str = importlib.metadata.version("sambert-trt")
    made, modules = [half.half_recipe()], [half]
    if precision is Precision.INT8:
        treated = ", ".join(f"{name} {t.value}" for name, t in sorted(plan.treated.items()))
        made, modules = [treated, f"the rest {plan.base.value}"], [half, placements, int8]
        if set(plan.treated.values()) - {Treatment.W8}:
            made.append(f"ranges {_method(plan)}; ONNX Runtime {_quantizer_version()}")
    where = f" for {placement.value}" if precision is Precision.INT8 else ""
    return (
        f"{precision.value}{where}: {'; '.join(made)}; sambert-trt {version}, "
        f"converter {_sources(*modules)[:_SHORT]}, fp32 graph {source.file.sha256[:_SHORT]}"
    )


def _method(plan: StagePlan) -> str:
    method: str = plan.method.value
    return f"{method} {plan.percentile:g}" if plan.method is Method.PERCENTILE else method


def _quantizer_version() -> str:
    """The version of ONNX Runtime, whose quantizer writes Q/DQ; several packages bring it."""
    import onnxruntime

    return str(onnxruntime.__version__)


def _sources(*modules: ModuleType) -> str:
    """The sha256 of modules' source files."""
    files = [Path(str(module.__file__)).read_bytes() for module in modules]
    return hashlib.sha256(b"".join(files)).hexdigest()


def _digest(parts: Iterable[object]) -> str:
    return hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()[:24]


def _candidate_digest(recipe: str, chosen: Mapping[str, Range]) -> str:
    """What a candidate's folder is called: equal where its graph would be."""
    ends = [f"{n} {r.least.hex()} {r.most.hex()}" for n, r in sorted(chosen.items())]
    return _digest((recipe, *ends))


def _model(directory: Path, record: StageRecord, stage: Stage) -> ModelProto:
    """A stage's graph, whose weights are numbers."""
    import onnx

    model = onnx.load_model_from_string(checked_bytes(directory, record.file))
    _check_weights(model, stage)
    return model


def _check_weights(model: ModelProto, stage: Stage) -> None:
    from onnx import TensorProto, numpy_helper

    kinds = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
    for tensor in model.graph.initializer:
        if tensor.data_type not in kinds:
            continue
        values = numpy_helper.to_array(tensor)
        wrong = values.size - np.count_nonzero(np.isfinite(values))
        if wrong:
            raise GraphError(
                f"the weight {tensor.name} of {stage.value} is NaN or infinite in {wrong} of its "
                f"{values.size} values: the checkpoint is damaged, export the voice from a sound "
                "one"
            )


def _record_as_json(record: StageRecord) -> str:
    data = {
        "file": dataclasses.asdict(record.file),
        "graph": record.graph.as_dict(),
        "parameters": record.parameters,
        "recipe": record.recipe,
    }
    return json.dumps(data, ensure_ascii=False, indent=1) + "\n"


def _record_from_folder(folder: Path, recipe: str) -> StageRecord | None:
    """The record of a candidate that is there and whole; None where it has to be made."""
    try:
        data = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        record = StageRecord(
            FileRecord(**data["file"]),
            graph_spec_from_dict(data["graph"]),
            int(data["parameters"]),
            str(data["recipe"]),
        )
        checked_bytes(folder, record.file)
    except FileNotFoundError:
        return None
    except (SambertError, *_UNREADABLE) as error:
        _LOG.warning("the candidate in %s is damaged and made anew: %s", folder, error)
        return None
    return record if record.recipe == recipe else None


def _write_histograms(path: Path, histograms: Iterable[Histogram]) -> None:
    """Stores what histograms hold, whatever that is: a key names the file that defines them."""
    arrays = {
        f"{number} {name}": np.asarray(value)
        for number, histogram in enumerate(histograms)
        for name, value in vars(histogram).items()
    }
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy's stub: one is a flag


def _histograms_from_file(path: Path, names: Sequence[str]) -> dict[str, Histogram] | None:
    """What `_write_histograms` stored; None where it is not there or damaged."""
    found = {name: Histogram() for name in names}
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for number, histogram in enumerate(found.values()):
                for name in tuple(vars(histogram)):
                    array = arrays[f"{number} {name}"]
                    setattr(histogram, name, array if array.ndim else array.item())
    except FileNotFoundError:
        return None
    except _UNREADABLE as error:
        _LOG.warning("the ranges in %s are damaged and observed anew: %s", path, error)
        return None
    return found


@contextmanager
def _replaced(target: Path) -> Iterator[Path]:
    """Yields a path that becomes the target, a file or a folder, when the block succeeds.

    Raises:
        OutputError: it cannot be written; what stood there is unchanged.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=target.parent) as folder:
            fresh = Path(folder) / target.name
            yield fresh
            if target.is_dir():
                target.replace(Path(folder) / "old")
            fresh.replace(target)
    except SambertError:
        raise
    except OSError as error:
        raise OutputError(
            f"writing {target} failed: {error.strerror or error}; make room or choose another "
            "folder to work in, what is done so far is kept"
        ) from error
