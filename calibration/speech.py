"""A sentence spoken in fp32, and again with some stages changed: only what they change is run.

Runtime and numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.errors import InputError
from sambert_trt.engines.graphs import Stage
from sambert_trt.runtime.length import LengthPlan
from sambert_trt.runtime.stream import OFFLINE, VocoderWindow
from sambert_trt.runtime.styles import Style
from sambert_trt.runtime.synthesizer import Encoded, Predicted, Synthesizer
from sambert_trt.runtime.text.sentence import Sentence

__all__ = [
    "ACOUSTIC",
    "Acoustics",
    "CandidateVoice",
    "Front",
    "Reference",
    "Wave",
    "reference_of",
    "symbol_ends",
]

Wave = NDArray[np.float32]

_SEED = 0

_FRONT = (Stage.TEXT_ENCODER, Stage.PROSODY, Stage.DURATION_STEP)
_DECODING = (*_FRONT, Stage.MEMORY_KV, Stage.DECODER_STEP)
ACOUSTIC = (*_DECODING, Stage.POSTNET)
"""The stages before the vocoder."""


@dataclass(frozen=True)
class Front:
    """What comes before the decoder, and the lengths that follow from it."""

    encoded: Encoded
    predicted: Predicted
    plan: LengthPlan


@dataclass(frozen=True)
class Acoustics:
    """What comes before the vocoder: frames [L * r, C], mel [F, mel channels], windows."""

    decoded: NDArray[np.float32]
    mel: NDArray[np.float32]
    windows: tuple[VocoderWindow, ...]


@dataclass(frozen=True)
class Reference:
    """A sentence as fp32 speaks it."""

    number: int
    sentence: Sentence
    style: Style
    front: Front
    acoustics: Acoustics
    wave: Wave
    misheard: float = 0.0


@dataclass(frozen=True)
class CandidateVoice:
    """The voice with some of its stages changed."""

    synthesizer: Synthesizer
    changed: frozenset[Stage]

    def front(self, reference: Reference) -> Front:
        """The sentence up to its lengths; fp32's own where nothing there has changed."""
        if self.changed.isdisjoint(_FRONT):
            return reference.front
        encoded, style = reference.front.encoded, reference.style
        if Stage.TEXT_ENCODER in self.changed:
            prepared = self.synthesizer.prepare(reference.sentence, style)
            encoded = self.synthesizer.encode(prepared)
        predicted = self.synthesizer.predict(encoded, style)
        plan = self.synthesizer.regulate(encoded, predicted, style)
        return Front(encoded, predicted, plan)

    def forced(self, front: Front, reference: Reference) -> LengthPlan | None:
        """The lengths with fp32's durations: front's own plan where they agree.

        None where filled pauses stand elsewhere than in fp32.
        """
        wanted, plan = reference.front, front.plan
        if not np.array_equal(symbol_ends(front.encoded), symbol_ends(wanted.encoded)):
            return None
        same = np.array_equal(plan.durations, wanted.plan.durations)
        if same and plan.band == wanted.plan.band:
            return plan
        predicted = replace(front.predicted, log_durations=wanted.predicted.log_durations)
        return self.synthesizer.regulate(front.encoded, predicted, reference.style)

    def acoustics(self, reference: Reference, plan: LengthPlan) -> Acoustics:
        """Everything before the vocoder; fp32's own as far as nothing there has changed."""
        same = plan is reference.front.plan
        if same and self.changed.isdisjoint(ACOUSTIC):
            return reference.acoustics
        decoded = None
        if same and self.changed.isdisjoint(_DECODING):
            decoded = reference.acoustics.decoded
        return _acoustics(self.synthesizer, plan, reference.number, decoded)

    def spoken(self, reference: Reference, plan: LengthPlan) -> tuple[Acoustics, Wave]:
        """The sentence with given lengths."""
        acoustics = self.acoustics(reference, plan)
        if acoustics is reference.acoustics and Stage.VOCODER not in self.changed:
            return acoustics, reference.wave
        return acoustics, _vocoded(self.synthesizer, acoustics.windows)


def reference_of(
    synthesizer: Synthesizer, sentence: Sentence, style: Style, number: int
) -> Reference:
    """A sentence spoken, by its number among those that are judged by.

    Raises:
        InputError: the voice cannot speak it, or nothing would be heard of it.
    """
    encoded = synthesizer.encode(synthesizer.prepare(sentence, style))
    predicted = synthesizer.predict(encoded, style)
    plan = synthesizer.regulate(encoded, predicted, style)
    if not plan.frames:
        raise InputError("all durations are 0, nothing is to be heard; leave it out")
    acoustics = _acoustics(synthesizer, plan, number)
    wave = _vocoded(synthesizer, acoustics.windows)
    front = Front(encoded, predicted, plan)
    return Reference(number, sentence, style, front, acoustics, wave)


def _acoustics(
    synthesizer: Synthesizer,
    plan: LengthPlan,
    number: int,
    decoded: NDArray[np.float32] | None = None,
) -> Acoustics:
    """Decoder and postnet; the decoder's frames may be known already."""
    with closing(synthesizer.begin(plan, (_SEED, number))) as stream:
        if decoded is not None:
            stream.decoded, stream.decoded_steps = decoded, plan.steps
        windows = tuple(stream.windows(OFFLINE))
        mel = stream.postnet[:, : windows[0].mel.shape[1]]
    return Acoustics(stream.decoded, mel, windows)


def _vocoded(synthesizer: Synthesizer, windows: Sequence[VocoderWindow]) -> Wave:
    return np.concatenate([synthesizer.vocode(window) for window in windows])


def symbol_ends(encoded: Encoded) -> NDArray[np.int64]:
    """The row of each symbol among symbols and filled pauses."""
    if len(encoded.text) == len(encoded.text_hid):
        return np.arange(len(encoded.text))
    rows, next_symbol = list[int](), iter(encoded.text_hid)
    wanted = next(next_symbol)
    for row, vector in enumerate(encoded.text):
        if len(rows) < len(encoded.text_hid) and np.array_equal(vector, wanted, equal_nan=True):
            rows.append(row)
            wanted = next(next_symbol, wanted)
    return np.array(rows, np.int64)
