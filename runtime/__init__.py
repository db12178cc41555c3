"""Speaking with an exported voice: numpy and one backend, no PyTorch.

from sambert_trt.runtime import Style, open_voice

with open_voice("voice") as voice:
    voice.say("今天天气真好", Style(emotion="happy")).save("out.wav")

A name is imported when it is first asked for: who only reads text does not wait for numpy.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .audio import Audio, AudioChunk
    from .backends import BACKENDS, backend_from_name
    from .budget import Isolation, MemoryBudget, ResidencyMode
    from .fallback import Remedy
    from .gpu import GpuOptions, PlanCopies
    from .ids import Ids
    from .memory import MemoryReport
    from .stream import OFFLINE, STREAMING, ChunkPolicy
    from .styles import Style
    from .text.sentence import Sentence, Symbol
    from .voice import DEFAULT_GAP, Voice, open_voice

__all__ = [
    "BACKENDS",
    "DEFAULT_GAP",
    "OFFLINE",
    "STREAMING",
    "Audio",
    "AudioChunk",
    "ChunkPolicy",
    "GpuOptions",
    "Ids",
    "Isolation",
    "MemoryBudget",
    "MemoryReport",
    "PlanCopies",
    "Remedy",
    "ResidencyMode",
    "Sentence",
    "Style",
    "Symbol",
    "Voice",
    "backend_from_name",
    "open_voice",
]

_MODULES = {
    "audio": ("Audio", "AudioChunk"),
    "backends": ("BACKENDS", "backend_from_name"),
    "fallback": ("Remedy",),
    "gpu": ("GpuOptions", "PlanCopies"),
    "ids": ("Ids",),
    "memory": ("MemoryReport",),
    "residency": ("Isolation", "MemoryBudget", "ResidencyMode"),
    "stream": ("OFFLINE", "STREAMING", "ChunkPolicy"),
    "styles": ("Style",),
    "text.sentence": ("Sentence", "Symbol"),
    "voice": ("DEFAULT_GAP", "Voice", "open_voice"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


if not TYPE_CHECKING:  # who checks types shall see a misspelt name

    def __getattr__(name: str) -> object:
        """The public name `name`, from the module that defines it (PEP 562)."""
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found: object = getattr(import_module(f".{_MODULE_OF[name]}", __name__), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
