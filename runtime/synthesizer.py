"""Text becomes speech: each step of a sentence is a method one can stop after.

    sentence ─ prepare ─ encode ─ predict ─ regulate ─ begin ─ windows ─ vocode ─ samples

Numpy and a backend's sessions; no torch, no onnx.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.errors import InputError
from sambert_trt.engines.graphs import Stage
from sambert_trt.engines.manifest import VoiceManifest

from .backend import Array, Session, check_inputs
from .clock import Stopwatch
from .delivery import Delivery, delivery_from_sentence
from .envelope import envelope_from_delivery
from .excitation import Excitation
from .length import LengthPlan, length_plan
from .stream import ChunkPolicy, MelStream, VocoderWindow
from .styles import Conditioning, Style, conditioning
from .text.sentence import Sentence, Symbol
from .text.symbols import ids_from_sentence

__all__ = ["Encoded", "Predicted", "Prepared", "Synthesizer", "Utterance"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """A sentence in the voice's terms: ids int64 [N, fields], conditioning vectors, and what the
    text's marks say of each symbol (None where it has none)."""

    sentence: Sentence
    style: Style
    ids: NDArray[np.int64]
    conditioning: Conditioning
    delivery: Delivery | None = None


@dataclass(frozen=True)
class Encoded:
    """The text encoder's output.

    Attributes:
        text_hid: float32 [N, P].
        text, speaker, emotion: [N', P], [N', S], [N', M], filled pauses inserted (else N' = N).
        delivery: what the text's marks say of each row; None where it has none.
    """

    text_hid: NDArray[np.float32]
    text: NDArray[np.float32]
    speaker: NDArray[np.float32]
    emotion: NDArray[np.float32]
    delivery: Delivery | None = None


@dataclass(frozen=True)
class Predicted:
    """The predictors' output: pitch, energy and log durations [N'], text' [N', P]."""

    pitch: NDArray[np.float32]
    energy: NDArray[np.float32]
    log_durations: NDArray[np.float32]
    text: NDArray[np.float32]


@dataclass
class Utterance:
    """A sentence being spoken, and everything computed for it so far."""

    number: int
    prepared: Prepared
    encoded: Encoded
    predicted: Predicted
    plan: LengthPlan
    stream: MelStream | None
    clock: Stopwatch
    samples: list[NDArray[np.float32]] = field(default_factory=list)

    @property
    def sentence(self) -> Sentence:
        """The sentence."""
        return self.prepared.sentence

    def arrays(self) -> dict[str, Array]:
        """Everything computed so far under the names of `--trace`.

        emo and spk are missing where no ids decided (a blend, an intensity, a speaker vector),
        mel_final and what follows where the sentence has no frames.
        """
        found: dict[str, Array | None] = {
            "ling": self.prepared.ids,
            "emo": self.prepared.conditioning.emotion_ids,
            "spk": self.prepared.conditioning.speaker_ids,
            "text_hid": self.encoded.text_hid,
            "pitch": self.predicted.pitch,
            "energy": self.predicted.energy,
            "log_durations": self.predicted.log_durations,
            "durations": self.plan.durations,
            "memory": self.plan.memory,
            "x_band_width": np.array(self.plan.band),
        }
        if self.stream is not None:
            found |= self.stream.arrays()
        if self.samples:
            found["wav"] = np.concatenate(self.samples)
        return {name: array for name, array in found.items() if array is not None}


class Synthesizer:
    """A voice's graphs and tables, and the steps of a sentence through them.

    Args:
        manifest: what the voice is.
        sessions: a loaded graph per stage.
        styles: the arrays of styles.npz.
    """

    def __init__(
        self,
        manifest: VoiceManifest,
        sessions: Mapping[Stage, Session],
        styles: Mapping[str, NDArray[np.float32]],
    ) -> None:
        self._manifest, self._sessions, self._styles = manifest, sessions, styles

    def prepare(self, sentence: Sentence, style: Style) -> Prepared:
        """A sentence's ids and conditioning vectors.

        Raises:
            InputError: an unknown symbol, speaker or emotion, no symbols, or too many; marks out
                of range.
        """
        manifest, count = self._manifest, len(sentence.symbols)
        if not count:
            raise InputError("a sentence without symbols cannot be spoken")
        most = self._sessions[Stage.TEXT_ENCODER].graph.axes["symbols"].most
        if count > most:
            raise InputError(
                f"a sentence of {count} symbols, this voice takes {most} at once: "
                "split it where one breathes"
            )
        bare = Sentence(sentence.text, tuple(Symbol(s.units) for s in sentence.symbols))
        rows, _, _ = ids_from_sentence(bare, manifest.units, manifest.emotions, manifest.speakers)
        vectors = conditioning(
            sentence, style, manifest, self._styles["speaker"], self._styles["emotion"]
        )
        delivery = delivery_from_sentence(sentence, style)
        return Prepared(sentence, style, np.array(rows, np.int64), vectors, delivery)

    def encode(self, prepared: Prepared) -> Encoded:
        """Ids -> text_hid; filled pauses are inserted into text, speaker and emotion."""
        outputs = self._run(Stage.TEXT_ENCODER, ids=prepared.ids[None])
        text_hid = text = outputs["text_hid"][0]
        origins = np.arange(len(text))
        if self._manifest.filled_pauses:
            classes = outputs["pause_classes"][0].argmax(axis=1)
            text, origins = _with_pauses(text_hid, classes, self._styles["filled_pauses"])
        vectors, delivery = prepared.conditioning, prepared.delivery
        if delivery is None:
            # the original's way: vectors keep their places while pauses move the text
            origins = np.arange(len(text)) % len(prepared.ids)
        else:
            delivery = delivery.rows(origins)
        speaker, emotion = vectors.speaker[origins], vectors.emotion[origins]
        return Encoded(text_hid, text, speaker, emotion, delivery)

    def predict(self, encoded: Encoded, style: Style, clock: Stopwatch | None = None) -> Predicted:
        """Pitch, energy and durations, the style's and the marks' shifts applied."""
        clock, count, marks = clock or Stopwatch(), len(encoded.text), encoded.delivery
        if encoded.text.shape != encoded.text_hid.shape:
            self._check_count(count)
        with clock("prosody"):
            outputs = self._run(
                Stage.PROSODY,
                text_hid=encoded.text[None],
                speaker=encoded.speaker[None],
                emotion=encoded.emotion[None],
                pitch_control=_control(count, style.pitch, None if marks is None else marks.pitch),
                energy_control=_control(
                    count, style.energy, None if marks is None else marks.energy
                ),
            )
        text = outputs["text"][0]
        condition = np.concatenate([text, encoded.speaker, encoded.emotion], axis=1)
        durations = self._sessions[Stage.DURATION_STEP]
        with clock("duration_step"), closing(durations.steps({})) as steps:
            values = steps.advance({"condition": condition[:, None]})["log_duration"]
        return Predicted(outputs["pitch"][0], outputs["energy"][0], values.reshape(-1), text)

    def regulate(self, encoded: Encoded, predicted: Predicted, style: Style) -> LengthPlan:
        """Durations decide how long each symbol is, and the decoder's memory."""
        hop, rate, marks = self._manifest.hop, self._manifest.sample_rate, encoded.delivery
        plan = length_plan(
            predicted.log_durations,
            predicted.text,
            encoded.speaker,
            encoded.emotion,
            self._styles["duration_timescales"],
            frames_per_step=self._manifest.frames_per_step,
            speed=style.speed if marks is None else style.speed * marks.speed,
            limits=None if marks is None else marks.limits(hop / rate),
        )
        if marks is None:
            return plan
        return replace(plan, envelope=envelope_from_delivery(plan.durations, marks, hop, rate))

    def begin(
        self, plan: LengthPlan, seed: int | tuple[int, ...] | None, clock: Stopwatch | None = None
    ) -> MelStream:
        """Decoder, postnet and excitation, ready to be run as far as needed."""
        return MelStream(
            plan,
            self._manifest,
            self._sessions[Stage.MEMORY_KV],
            self._sessions[Stage.DECODER_STEP],
            self._sessions[Stage.POSTNET],
            self._excitation(seed),
            clock or Stopwatch(),
        )

    def vocode(self, window: VocoderWindow) -> NDArray[np.float32]:
        """A window -> the chunk's samples [count], and the silences between them."""
        inputs: dict[str, Array] = {"mel": window.mel[None]}
        if window.excitation is not None:
            inputs["excitation"] = window.excitation[None]
        wave = self._run(Stage.VOCODER, **inputs)["wave"][0]
        samples: NDArray[np.float32] = wave[window.skip : window.skip + window.count]
        return samples if window.shape is None else window.shape.applied(samples)

    def speak(
        self, sentence: Sentence, style: Style, policy: ChunkPolicy, seed: int | None, number: int
    ) -> Iterator[tuple[Utterance, VocoderWindow | None]]:
        """All steps but the last, as a stream of windows; one None where there are no frames."""
        clock = Stopwatch()
        prepared = self.prepare(sentence, style)
        with clock("text_encoder"):
            encoded = self.encode(prepared)
        predicted = self.predict(encoded, style, clock)
        with clock("length"):
            plan = self.regulate(encoded, predicted, style)
        stream = None
        if plan.frames:
            stream = self.begin(plan, None if seed is None else (seed, number), clock)
        else:
            _LOG.warning("all durations are 0: nothing to hear of %r", sentence.text[:40])
        utterance = Utterance(number, prepared, encoded, predicted, plan, stream, clock)
        if stream is None:
            yield utterance, None
            return
        with closing(stream):
            for window in stream.windows(policy):
                yield utterance, window

    def _check_count(self, count: int) -> None:
        most = self._sessions[Stage.PROSODY].graph.axes["symbols"].most
        if count > most:
            raise InputError(
                f"with filled pauses the sentence has {count} symbols, this voice takes {most}: "
                "split it where one breathes"
            )

    def _excitation(self, seed: int | tuple[int, ...] | None) -> Excitation | None:
        rule = self._manifest.f0
        if rule is None:
            return None
        weight, bias = self._styles["source_weight"], self._styles["source_bias"]
        return Excitation(rule, weight, bias, self._manifest.hop, seed)

    def _run(self, stage: Stage, **inputs: Array) -> dict[str, Array]:
        session = self._sessions[stage]
        check_inputs(session.graph, inputs)
        return session.run(inputs)


def _control(count: int, shift: float, own: NDArray[np.float32] | None) -> NDArray[np.float32]:
    rows = np.empty((1, count, 2), np.float32)
    rows[:, :, 0], rows[:, :, 1] = 1.0, shift if own is None else shift + own
    return rows


def _with_pauses(
    text: NDArray[np.float32], classes: NDArray[np.int64], pauses: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The rows with the pauses before them, and which row each belongs to."""
    pieces, origins = [], []
    for number, (row, kind) in enumerate(zip(text, classes, strict=True)):
        if kind:
            pieces.append(pauses[kind - 1])
        pieces.append(row[None])
        origins += [number] * (1 + (len(pauses[kind - 1]) if kind else 0))
    return np.concatenate(pieces), np.array(origins, np.int64)
