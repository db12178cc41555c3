"""Speaking with an exported voice: numpy and one backend, no PyTorch.

from sambert_trt.runtime import Style, open_voice

with open_voice("voice") as voice:
    voice.say("今天天气真好", Style(emotion="happy")).save("out.wav")
"""

from .audio import Audio, AudioChunk
from .ids import Ids
from .stream import OFFLINE, STREAMING, ChunkPolicy
from .styles import Style
from .text.sentence import Sentence, Symbol
from .voice import DEFAULT_GAP, Voice, open_voice

__all__ = [
    "DEFAULT_GAP",
    "OFFLINE",
    "STREAMING",
    "Audio",
    "AudioChunk",
    "ChunkPolicy",
    "Ids",
    "Sentence",
    "Style",
    "Symbol",
    "Voice",
    "open_voice",
]
