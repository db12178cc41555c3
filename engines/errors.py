"""Every error this project raises on purpose.

SambertError
├── InputError (ValueError)          a text, symbol line, style or option the user gave
├── SourceError (ValueError)         a checkpoint or configuration that cannot be exported
├── VoiceError (RuntimeError)        a voice directory that cannot be used
│   ├── VoiceMissingError (FileNotFoundError)
│   ├── IntegrityError               a file that is not the one the manifest names
│   └── SchemaError                  a format newer or older than this version reads
├── GraphError (RuntimeError)        a graph that breaks its contract
├── EngineError (RuntimeError)       a plan that cannot be built, trusted or used
│   └── EngineMissingError (FileNotFoundError)
├── BackendError (RuntimeError)      a backend that is missing or failed
│   ├── DeviceMemoryError (MemoryError)  the device has no room
│   └── DeviceLostError              the device answers nothing until the process restarts
└── OutputError (OSError)            something that could not be written

A message says what happened, with the values, and what to do. Standard library only.
"""

from __future__ import annotations

__all__ = [
    "BackendError",
    "DeviceLostError",
    "DeviceMemoryError",
    "EngineError",
    "EngineMissingError",
    "GraphError",
    "InputError",
    "IntegrityError",
    "OutputError",
    "SambertError",
    "SchemaError",
    "SourceError",
    "VoiceError",
    "VoiceMissingError",
]


class SambertError(Exception):
    """The base of every error raised on purpose."""


class InputError(SambertError, ValueError):
    """A text, symbol line, style or option that cannot be used."""


class SourceError(SambertError, ValueError):
    """A checkpoint, configuration or model repository that cannot be exported."""


class VoiceError(SambertError, RuntimeError):
    """A voice directory that cannot be used."""


class VoiceMissingError(VoiceError, FileNotFoundError):
    """A voice directory, or a file of it, that is not there."""


class IntegrityError(VoiceError):
    """A file whose size or sha256 is not the one in the manifest."""


class SchemaError(VoiceError):
    """A voice directory whose format this version does not read."""


class GraphError(SambertError, RuntimeError):
    """A graph whose signature or content breaks its contract."""


class EngineError(SambertError, RuntimeError):
    """A plan that cannot be built, trusted or used."""


class EngineMissingError(EngineError, FileNotFoundError):
    """A plan that nobody has built yet for this graph, card and TensorRT."""


class BackendError(SambertError, RuntimeError):
    """A backend that is not installed, or that failed while it ran."""


class DeviceMemoryError(BackendError, MemoryError):
    """The device, or the budget on it, has no room for what was asked."""


class DeviceLostError(BackendError):
    """The device answers every further call of this process with an error: restart the process."""


class OutputError(SambertError, OSError):
    """Something that could not be written."""
