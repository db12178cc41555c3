"""What a voice is: the content of voice.json, and nothing a graph would have to be opened for.

Standard library only.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from .errors import SchemaError
from .graphs import GraphSpec, Stage, graph_spec_from_dict

__all__ = ["SCHEMA", "F0Rule", "FileRecord", "StageRecord", "VoiceManifest", "manifest_from_json"]

SCHEMA = 1

Record = TypeVar("Record")


@dataclass(frozen=True)
class FileRecord:
    """One file of the voice directory: its path relative to the directory, size and sha256."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class StageRecord:
    """A stage's graph file and its signature."""

    file: FileRecord
    graph: GraphSpec
    parameters: int


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

    `weights` are the source's weights as safetensors, which speaking does not need.
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
    schema: int = SCHEMA

    @property
    def files(self) -> tuple[FileRecord, ...]:
        """Every file the voice speaks with, besides the manifest."""
        return (self.styles, *(record.file for record in self.stages.values()))

    def as_json(self) -> str:
        """The text of voice.json."""
        data = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in ("stages", "f0", "styles", "weights")
        }
        data["f0"] = None if self.f0 is None else dataclasses.asdict(self.f0)
        data["styles"] = dataclasses.asdict(self.styles)
        data["weights"] = {name: dataclasses.asdict(file) for name, file in self.weights.items()}
        data["stages"] = {
            stage.value: {
                "file": dataclasses.asdict(record.file),
                "parameters": record.parameters,
                "graph": record.graph.as_dict(),
            }
            for stage, record in self.stages.items()
        }
        return json.dumps(data, ensure_ascii=False, indent=1) + "\n"


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
        "dict[str, Any]": dict,
    }
    values = {
        field.name: converters[str(field.type)](data[field.name])
        for field in dataclasses.fields(VoiceManifest)
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
        )
        for name, item in value.items()
    }


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
