"""The contracts of exporter, calibration, engine builder and runtime. Standard library only."""

from .errors import (
    BackendError,
    GraphError,
    InputError,
    IntegrityError,
    OutputError,
    SambertError,
    SchemaError,
    SourceError,
    VoiceError,
    VoiceMissingError,
)
from .graphs import METADATA_KEY, AxisRange, GraphSpec, Precision, Stage, TensorSpec
from .manifest import F0Rule, FileRecord, StageRecord, VoiceManifest

__all__ = [
    "METADATA_KEY",
    "AxisRange",
    "BackendError",
    "F0Rule",
    "FileRecord",
    "GraphError",
    "GraphSpec",
    "InputError",
    "IntegrityError",
    "OutputError",
    "Precision",
    "SambertError",
    "SchemaError",
    "SourceError",
    "Stage",
    "StageRecord",
    "TensorSpec",
    "VoiceError",
    "VoiceManifest",
    "VoiceMissingError",
]
