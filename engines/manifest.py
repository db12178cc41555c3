"""What a voice is: the content of voice.json, and nothing a graph would have to be opened for.

Standard library only.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .errors import SchemaError, VoiceError
from .graphs import GraphSpec, Placement, Precision, Stage, graph_spec_from_dict

__all__ = [
    "EMOTION_FIELD",
    "SCHEMA",
    "F0Rule",
    "FileRecord",
    "StageRecord",
    "VoiceManifest",
    "manifest_from_json",
]

SCHEMA = 1

EMOTION_FIELD = "emo_category"
"""What KAN-TTS calls the field of emotions, which is not one of a symbol's `units`."""

Record = TypeVar("Record")


@dataclass(frozen=True)
class FileRecord:
    """One file of the voice directory: its path relative to the directory, size and sha256."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class StageRecord:
    """A stage's graph file and its signature; `recipe` says in words how its precision was made."""

    file: FileRecord
    graph: GraphSpec
    parameters: int
    recipe: str = ""


@dataclass(frozen=True)
class F0Rule:
    """How an NSF voice's f0 channel becomes hertz: f0 * scale + offset, then at least `floor`.

    `dtype` is the arithmetic of the product (mvn.npy may be float32 or float64).
    """

    scale: float
    offset: float
    dtype: str
    floor: float
    voiced_from: float
    harmonics: int
    sampling_rate: int


@dataclass(frozen=True)
class VoiceManifest:
    """A voice. Widths are channels, `hop` and rates are samples.

    `stages` are the graphs as exported, in fp32; `variants` the same stages in other precisions.
    `assignments` are what calibration chose where int8 is asked for: for each placement all stages,
    each in int8 or in the precision that it had better stay in.
    `weights` are the source's weights as safetensors, which speaking does not need.
    `untrained` are names whose rows nothing was learned for, by field of `units` or `emo_category`:
    they keep their place in the tables, and are not to be spoken.
    """

    name: str
    language: str
    sample_rate: int
    hop: int
    frame_channels: int
    mel_channels: int
    frames_per_step: int
    projection_width: int
    speaker_width: int
    emotion_width: int
    decoder_layers: int
    decoder_heads: int
    decoder_head_width: int
    units: dict[str, tuple[str, ...]]
    speakers: tuple[str, ...]
    emotions: tuple[str, ...]
    default_speaker: str
    default_emotion: str
    filled_pauses: bool
    f0: F0Rule | None
    styles: FileRecord
    stages: dict[Stage, StageRecord]
    weights: dict[str, FileRecord]
    provenance: dict[str, Any]
    variants: dict[Precision, dict[Stage, StageRecord]] = field(default_factory=dict)
    assignments: dict[Placement, dict[Stage, StageRecord]] = field(default_factory=dict)
    untrained: dict[str, tuple[str, ...]] = field(default_factory=dict)
    schema: int = SCHEMA

    @property
    def trained_units(self) -> dict[str, tuple[str, ...]]:
        """The names by field that a front end may write; their positions are not ids."""
        return {field: self._trained(names, field) for field, names in self.units.items()}

    @property
    def trained_emotions(self) -> tuple[str, ...]:
        """The emotions that can be asked for; their positions are not ids."""
        return self._trained(self.emotions, EMOTION_FIELD)

    @property
    def files(self) -> tuple[FileRecord, ...]:
        """Every file the voice speaks with, besides the manifest."""
        others = (*self.variants.values(), *self.assignments.values())
        files = (record.file for stages in others for record in stages.values())
        return tuple(dict.fromkeys((*self.essential_files, *files)))

    @property
    def essential_files(self) -> tuple[FileRecord, ...]:
        """The files without which there is no voice: all but those of other precisions."""
        return (self.styles, *(record.file for record in self.stages.values()))

    def record(
        self, stage: Stage, precision: Precision, placement: Placement = Placement.TENSORRT
    ) -> StageRecord:
        """A stage's graph in a precision; int8 gives what calibration chose for the placement.

        Raises:
            VoiceError: nobody has made it.
        """
        if precision is Precision.FP32:
            return self.stages[stage]
        if precision is Precision.INT8:
            stages = self.assignments.get(placement, {})
            where, command = f" for {placement.value}", f"--target {placement.value}"
            hint = ", and if that kept none: sambert-calibrate VOICE --explain"
        else:
            stages = self.variants.get(precision, {})
            where, command, hint = "", f"--precision {precision.value}", ""
        if stage not in stages:
            raise VoiceError(
                f"the voice {self.name} has no {precision.value} graph of {stage.value}{where}; "
                f"make it with: sambert-calibrate VOICE {command}{hint}"
            )
        return stages[stage]

    def as_json(self) -> str:
        """The text of voice.json."""
        data = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in ("stages", "variants", "assignments", "f0", "styles", "weights")
        }
        data["f0"] = None if self.f0 is None else dataclasses.asdict(self.f0)
        data["styles"] = dataclasses.asdict(self.styles)
        data["weights"] = {name: dataclasses.asdict(file) for name, file in self.weights.items()}
        data["stages"] = _stages_as_dict(self.stages)
        data["variants"] = {
            precision.value: _stages_as_dict(stages) for precision, stages in self.variants.items()
        }
        data["assignments"] = {
            placement.value: _stages_as_dict(found) for placement, found in self.assignments.items()
        }
        return json.dumps(data, ensure_ascii=False, indent=1) + "\n"

    def _trained(self, names: tuple[str, ...], field: str) -> tuple[str, ...]:
        without = frozenset(self.untrained.get(field, ()))
        return tuple(name for name in names if name not in without)


def manifest_from_json(text: str, where: str = "voice.json") -> VoiceManifest:
    """Reads voice.json.

    Raises:
        SchemaError: another schema number, or a key that is missing or of another type.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"{where} is not JSON ({error}); export the voice again") from error
    if not isinstance(data, dict) or not isinstance(data.get("schema"), int):
        raise SchemaError(f"{where} carries no schema number; it is no voice manifest")
    if data["schema"] != SCHEMA:
        verb = "upgrade sambert-trt" if data["schema"] > SCHEMA else "export the voice again"
        raise SchemaError(
            f"{where} has schema {data['schema']}, this version reads {SCHEMA}: {verb}"
        )
    try:
        return _manifest_from_dict(data)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise SchemaError(
            f"{where} is not a voice manifest of schema {SCHEMA}: {error!r}; export the voice again"
        ) from error


def _manifest_from_dict(data: Mapping[str, Any]) -> VoiceManifest:
    converters: dict[str, Callable[[Any], Any]] = {
        "str": _text,
        "int": _integer,
        "bool": _boolean,
        "tuple[str, ...]": _texts,
        "dict[str, tuple[str, ...]]": lambda value: {str(k): _texts(v) for k, v in value.items()},
        "F0Rule | None": lambda value: None if value is None else _record(F0Rule, value),
        "FileRecord": lambda value: _record(FileRecord, value),
        "dict[str, FileRecord]": _files,
        "dict[Stage, StageRecord]": _stages,
        "dict[Precision, dict[Stage, StageRecord]]": _variants,
        "dict[Placement, dict[Stage, StageRecord]]": _assignments,
        "dict[str, Any]": dict,
    }
    values = {
        field.name: converters[str(field.type)](data[field.name])
        for field in dataclasses.fields(VoiceManifest)
        if field.name in data or field.default_factory is dataclasses.MISSING
    }
    return VoiceManifest(**values)


def _files(value: Mapping[str, Any]) -> dict[str, FileRecord]:
    return {str(name): _record(FileRecord, item) for name, item in value.items()}


def _stages(value: Mapping[str, Any]) -> dict[Stage, StageRecord]:
    return {
        Stage(name): StageRecord(
            file=_record(FileRecord, item["file"]),
            graph=graph_spec_from_dict(item["graph"]),
            parameters=_integer(item["parameters"]),
            recipe=_text(item.get("recipe", "")),
        )
        for name, item in value.items()
    }


def _stages_as_dict(stages: Mapping[Stage, StageRecord]) -> dict[str, Any]:
    return {
        stage.value: {
            "file": dataclasses.asdict(record.file),
            "parameters": record.parameters,
            "recipe": record.recipe,
            "graph": record.graph.as_dict(),
        }
        for stage, record in stages.items()
    }


def _variants(value: Mapping[str, Any]) -> dict[Precision, dict[Stage, StageRecord]]:
    return {Precision(name): _stages(item) for name, item in value.items()}


def _assignments(value: Mapping[str, Any]) -> dict[Placement, dict[Stage, StageRecord]]:
    found = {Placement(name): _stages(item) for name, item in value.items()}
    for placement, stages in found.items():
        if len(stages) < len(Stage):
            raise ValueError(f"the assignment for {placement.value} lacks stages")
    return found


def _record(kind: type[Record], value: Mapping[str, Any]) -> Record:
    converters: dict[str, Callable[[Any], Any]] = {"str": _text, "int": _integer, "float": _number}
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    return kind(**{f.name: converters[str(f.type)](value[f.name]) for f in fields})


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    if not value.isprintable():
        raise ValueError(f"{value!r} holds control characters")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is not a list of texts")
    return tuple(map(_text, value))


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is not a whole number")
    return value


def _number(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{value!r} is not a number")
    if not math.isfinite(value):
        raise ValueError(f"{value!r} is not finite")
    return float(value)


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value
