"""Speaking with an exported voice: numpy and one backend, no PyTorch.

from sambert_trt.runtime import Style, open_voice

with open_voice("voice") as voice:
    voice.say("今天天气真好", Style(emotion="happy")).save("out.wav")
"""

from .audio import Audio, AudioChunk
from .backends import BACKENDS, backend_from_name
from .fallback import Remedy
from .gpu import GpuOptions, PlanCopies
from .ids import Ids
from .memory import MemoryReport
from .residency import Isolation, MemoryBudget, ResidencyMode
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
