"""How a voice sounds as it speaks by itself: its pitch, and what its emotions change.

Nothing here is better or worse in itself; bands hold the figures of a voice that is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..opening import learned_emotions, opened_voice
from ..record import NotMeasured
from ..suite import Settings
from ..text import CLAUSES

if TYPE_CHECKING:
    from sambert_trt.runtime import Voice

__all__ = ["rounds"]

_EMOTIONS = ("happy", "sad")
_LEAST_FRAMES = 20


@dataclass(frozen=True)
class _Spoken:
    """The sentences: the middle of their pitch in hertz, and seconds."""

    pitch: float
    seconds: float


def rounds(settings: Settings) -> Iterator[Mapping[str, float]]:
    """`quality.speech.pitch`, and `quality.emotion.{emotion}.{pitch,rate}`, once.

    Raises:
        NotMeasured: the voice has no pitch.
        SambertError: the voice cannot be opened.
    """
    with opened_voice(settings) as voice:
        usual = _spoken(voice, None)
        found = {"quality.speech.pitch": usual.pitch}
        for emotion in _EMOTIONS:
            if f"emotion_{emotion}" in learned_emotions(voice):
                other = _spoken(voice, emotion)
                name = f"quality.emotion.{emotion}"
                found[f"{name}.pitch"] = 12 * math.log2(other.pitch / usual.pitch)
                found[f"{name}.rate"] = usual.seconds / other.seconds
    yield found


def _spoken(voice: Voice, emotion: str | None) -> _Spoken:
    import numpy as np

    from sambert_trt.calibration.pitch import f0_track
    from sambert_trt.runtime import Style

    said = [voice.say(text, style=Style(emotion=emotion), seed=0) for text in CLAUSES]
    hertz = np.concatenate([f0_track(one.samples, one.sample_rate) for one in said])
    voiced = hertz[hertz > 0]
    if len(voiced) < _LEAST_FRAMES:
        raise NotMeasured(f"{len(voiced)} of {len(hertz)} frames have a pitch; the voice has none")
    return _Spoken(float(np.median(voiced)), sum(one.seconds for one in said))
