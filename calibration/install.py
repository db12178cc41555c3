"""A planned assignment becomes part of its voice: graphs, the manifest that names them, the recipe.

Standard library and the contracts only.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sambert_trt.engines.errors import OutputError
from sambert_trt.engines.graphs import Placement, Precision, Stage
from sambert_trt.engines.manifest import StageRecord

from .assessment import Candidate
from .voice_update import VoiceUpdate, voice_update

__all__ = ["install", "recipe_path"]


def recipe_path(placement: Placement) -> str:
    """Where a voice directory keeps the recipe for a placement."""
    return f"recipe.{placement.value}.toml"


def install(
    directory: Path, placement: Placement, candidates: Mapping[Stage, Candidate], recipe: str
) -> bool:
    """Makes candidates what int8 means on a placement, and writes the recipe beside voice.json.

    Where all stages stay in one precision there is nothing to assign: int8 graphs that stood there
    go, and the recipe says how it came. A recipe with other words is kept as `.previous.toml`.

    Args:
        directory: the voice directory.
        candidates: one for each stage.
        recipe: the text of the recipe file.

    Returns:
        Whether the voice has an assignment for the placement now.

    Raises:
        VoiceError: the directory is no voice, or has no fp16 graphs where they are assigned.
        OutputError: it cannot be written, or changed meanwhile; it is as it was.
    """
    with voice_update(directory) as update:
        _check_sources(update, candidates)
        records = {
            stage: _record(update, candidate, stage) for stage, candidate in candidates.items()
        }
        mixed = len({record.graph.precision for record in records.values()}) > 1
        assignments = dict(update.manifest.assignments)
        assignments.pop(placement, None)
        if mixed or _quantised(records):
            assignments[placement] = records
        manifest = replace(update.manifest, assignments=assignments)
        update.commit(manifest, _recipe(update, recipe_path(placement), recipe))
    return placement in assignments


def _check_sources(update: VoiceUpdate, candidates: Mapping[Stage, Candidate]) -> None:
    """Whether candidates were made of the graphs that the voice has now: recipes name them."""
    for stage, candidate in candidates.items():
        source, record = update.manifest.stages[stage], candidate.record
        plain = record.graph.precision is Precision.FP32
        same = record.file == source.file if plain else source.file.sha256[:12] in record.recipe
        if not same:
            raise OutputError(
                f"{update.directory} was exported again meanwhile: its {stage.value} graph is not "
                "the one that was calibrated; calibrate it again"
            )


def _record(update: VoiceUpdate, candidate: Candidate, stage: Stage) -> StageRecord:
    precision = candidate.record.graph.precision
    if precision is not Precision.INT8:
        return update.manifest.record(stage, precision)
    path = candidate.record.file.path
    (update.work / path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(candidate.directory / path, update.work / path)
    return candidate.record


def _quantised(records: Mapping[Stage, StageRecord]) -> bool:
    return any(record.graph.precision is Precision.INT8 for record in records.values())


def _recipe(update: VoiceUpdate, name: str, text: str) -> tuple[str, ...]:
    """Writes the recipe into the work folder, and the old one beside it; their names."""
    (update.work / name).write_text(text, encoding="utf-8")
    old = update.directory / name
    if not old.is_file() or old.read_bytes() == text.encode():
        return (name,)
    previous = name.replace(".toml", ".previous.toml")
    shutil.copyfile(old, update.work / previous)
    return (name, previous)
