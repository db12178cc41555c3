"""What a request wants, and the vectors a graph gets for it."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.errors import InputError
from sambert_trt.engines.manifest import EMOTION_FIELD, VoiceManifest

from .text.ranges import INTENSITY, SHIFT, SPEED
from .text.sentence import Sentence, Symbol

__all__ = [
    "Conditioning",
    "Style",
    "check_number",
    "conditioning",
    "emotion_name",
    "is_number",
]

NEUTRAL = "emotion_neutral"
RESERVED = ("_", "~", "[MASK]")
_WEIGHT = 1000.0


@dataclass(frozen=True)
class Style:
    """How a text is to be spoken. None means: as the symbols say, else the voice's default.

    What a text's marks name wins over it; their speeds are times this, their shifts on top of it.

    Attributes:
        speaker: a name of the voice's speaker list.
        emotion: a name ("happy" or "emotion_happy"), or weights by name, blended in proportion.
        intensity: 0 is neutral, 1 the emotion itself, up to 2 beyond it.
        speed: 2 is twice as fast.
        pitch, energy: shifts of the predicted contour, in standard deviations of the voice.
    """

    speaker: str | None = None
    emotion: str | Mapping[str, float] | None = None
    intensity: float = 1.0
    speed: float = 1.0
    pitch: float = 0.0
    energy: float = 0.0

    def __post_init__(self) -> None:
        if self.speaker is not None and not (isinstance(self.speaker, str) and self.speaker):
            raise InputError(f"speaker {self.speaker!r}: needs a name")
        if self.emotion is not None and not (
            isinstance(self.emotion, str | Mapping) and self.emotion
        ):
            raise InputError(f"emotion {self.emotion!r}: needs a name, or weights by name")
        check_number("speed", self.speed, *SPEED)
        check_number("pitch", self.pitch, *SHIFT)
        check_number("energy", self.energy, *SHIFT)
        check_number("intensity", self.intensity, *INTENSITY)


@dataclass(frozen=True)
class Conditioning:
    """Per symbol: speaker [N, S] and emotion [N, M] vectors, and ids where names decided (else
    None, for a blend or a speaker vector)."""

    speaker: NDArray[np.float32]
    emotion: NDArray[np.float32]
    speaker_ids: NDArray[np.int64] | None
    emotion_ids: NDArray[np.int64] | None


def conditioning(
    sentence: Sentence,
    style: Style,
    manifest: VoiceManifest,
    speakers: NDArray[np.float32],
    emotions: NDArray[np.float32],
) -> Conditioning:
    """The vectors of each symbol of a sentence.

    Args:
        sentence: N symbols.
        style: what the request wants.
        manifest: names and defaults.
        speakers, emotions: the voice's tables, [rows, S] and [rows, M].

    Raises:
        InputError: an unknown speaker or emotion.
    """
    speaker_ids = _speaker_ids(sentence, style, manifest)
    speaker = np.broadcast_to(speakers[0], (len(sentence.symbols), speakers.shape[1]))
    if speaker_ids is not None:
        speaker = speakers[speaker_ids]
    emotion, emotion_ids = _emotion(sentence, style, manifest, emotions)
    return Conditioning(speaker, emotion, speaker_ids, emotion_ids)


def emotion_name(name: str, manifest: VoiceManifest) -> str:
    """The full name of an emotion given in full or without `emotion_`.

    Raises:
        InputError: the voice has no such emotion, or never learned it.
    """
    emotions = [entry for entry in manifest.trained_emotions if entry not in RESERVED]
    for candidate in (name, f"emotion_{name}"):
        if candidate in emotions:
            return candidate
    known, bare = list(map(_bare, emotions)), _bare(name)
    if any(_bare(entry) == bare for entry in manifest.untrained.get(EMOTION_FIELD, ())):
        raise InputError(f"the voice never learned emotion {bare!r}; it has {', '.join(known)}")
    raise InputError(_unknown("emotion", bare, known))


def _speaker_ids(
    sentence: Sentence, style: Style, manifest: VoiceManifest
) -> NDArray[np.int64] | None:
    if manifest.speakers == ("",):
        if asked := style.speaker or next(
            filter(None, map(_marked_speaker, sentence.symbols)), None
        ):
            raise InputError(
                f"speaker {asked!r} asked for: this voice has one speaker vector and no "
                "names; leave the speaker out"
            )
        return None
    fallback = manifest.default_speaker
    names = [
        _marked_speaker(symbol) or style.speaker or symbol.speaker or fallback
        for symbol in sentence.symbols
    ]
    known = [name for name in manifest.speakers if name not in RESERVED]
    rows = {name: manifest.speakers.index(name) for name in set(names) if name in known}
    for name in names:
        if name not in rows:
            raise InputError(_unknown("speaker", name, known))
    return np.array([rows[name] for name in names], np.int64)


def _emotion(
    sentence: Sentence, style: Style, manifest: VoiceManifest, table: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.int64] | None]:
    names, ids = manifest.emotions, None
    wanted = _emotions(sentence, style, manifest.default_emotion)
    rows = {name: names.index(emotion_name(name, manifest)) for name in set(wanted) if name}
    if isinstance(style.emotion, Mapping):
        blend = _blend(style.emotion, manifest, table)
        vectors = np.stack([table[rows[name]] if name else blend for name in wanted])
    else:
        ids = np.array([rows[name] for name in wanted if name], np.int64)
        vectors = table[ids]
    intensities = np.array([_intensity(s, style) for s in sentence.symbols], np.float32)
    changed = intensities != 1
    if not changed.any():
        return vectors, ids
    neutral = table[names.index(NEUTRAL)]
    vectors[changed] = neutral + intensities[changed, None] * (vectors[changed] - neutral)
    return vectors, None


def _emotions(sentence: Sentence, style: Style, default: str) -> list[str | None]:
    """Each symbol's emotion by name; None where the style's blend decides."""
    marked = [symbol.manner.emotion if symbol.manner else None for symbol in sentence.symbols]
    if isinstance(style.emotion, Mapping):
        return marked
    return [
        own or style.emotion or symbol.emotion or default
        for own, symbol in zip(marked, sentence.symbols, strict=True)
    ]


def _intensity(symbol: Symbol, style: Style) -> float:
    own = symbol.manner.intensity if symbol.manner else None
    return style.intensity if own is None else own


def _marked_speaker(symbol: Symbol) -> str | None:
    return symbol.manner.speaker if symbol.manner else None


def _blend(
    weights: Mapping[str, float], manifest: VoiceManifest, table: NDArray[np.float32]
) -> NDArray[np.float32]:
    for name, weight in weights.items():
        if not is_number(weight) or not 0 <= weight <= _WEIGHT:
            raise InputError(f"weight {weight!r} of emotion {name!r}: needs 0 to {_WEIGHT:g}")
    total = sum(weights.values())
    if not total > 0:
        raise InputError(f"the emotion blend {dict(weights)} has no weight above 0")
    rows = [table[manifest.emotions.index(emotion_name(name, manifest))] for name in weights]
    parts = [np.float32(w / total) * row for w, row in zip(weights.values(), rows, strict=True)]
    blend: NDArray[np.float32] = np.sum(parts, axis=0, dtype=np.float32)
    return blend


def is_number(value: object) -> bool:
    """Whether a value is a finite number and no truth value."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    return math.isfinite(value)


def check_number(name: str, value: float, least: float, most: float) -> None:
    """Refuses what is no number from `least` to `most`."""
    if not is_number(value) or not least <= value <= most:
        raise InputError(f"{name} {value!r}: needs a number from {least:g} to {most:g}")


def _bare(emotion: str) -> str:
    return emotion.removeprefix("emotion_")


def _unknown(kind: str, name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(known)}"
    return f"the voice has no {kind} {name!r}; {hint}"
