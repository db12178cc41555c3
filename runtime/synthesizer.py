"""Text becomes speech: each step of a sentence is a method one can stop after.

    sentence ─ condition ─ encode ─ predict ─ regulate ─ windows ─ vocode ─ samples

Numpy and a backend's sessions; no torch, no onnx.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.errors import InputError
from sambert_trt.engines.graphs import Stage
from sambert_trt.engines.manifest import VoiceManifest

from .backend import Array, Session, check_inputs
from .clock import Stopwatch
from .excitation import Excitation
from .length import LengthPlan, length_plan
from .stream import ChunkPolicy, MelStream, VocoderWindow
from .styles import Conditioning, Style, conditioning
from .text.sentence import Sentence, Symbol
from .text.symbols import ids_from_sentence

__all__ = ["Synthesizer", "Utterance"]

_LOG = logging.getLogger(__name__)


@dataclass
class Utterance:
    """A sentence on its way and everything computed for it so far.

    N symbols, N' with filled pauses inserted; `ids` is [N, fields]. Later steps fill in the rest.
    """

    sentence: Sentence
    style: Style
    number: int = 0
    clock: Stopwatch = field(default_factory=Stopwatch)
    ids: NDArray[np.int64] | None = None
    conditioning: Conditioning | None = None
    text_hid: NDArray[np.float32] | None = None
    text: NDArray[np.float32] | None = None
    speaker: NDArray[np.float32] | None = None
    emotion: NDArray[np.float32] | None = None
    pitch: NDArray[np.float32] | None = None
    energy: NDArray[np.float32] | None = None
    log_durations: NDArray[np.float32] | None = None
    plan: LengthPlan | None = None
    stream: MelStream | None = None
    samples: list[NDArray[np.float32]] = field(default_factory=list)

    def arrays(self) -> dict[str, Array]:
        """Everything computed so far under the names of `--trace`."""
        found: dict[str, Array | None] = {
            "ling": self.ids,
            "text_hid": self.text_hid,
            "pitch": self.pitch,
            "energy": self.energy,
            "log_durations": self.log_durations,
        }
        if self.conditioning is not None:
            found["emo"] = self.conditioning.emotion_ids
            found["spk"] = self.conditioning.speaker_ids
        if self.plan is not None:
            found["durations"] = self.plan.durations
            found["memory"] = self.plan.memory
            found["x_band_width"] = np.array(self.plan.band)
        if self.stream is not None:
            frames = len(self.stream.mel)
            decoded = self.stream.decoded.copy()
            decoded[frames:] = 0
            found["dec_outputs"] = decoded
            found["postnet_outputs"] = np.pad(
                self.stream.postnet, ((0, len(decoded) - frames), (0, 0))
            )
            found["mel_final"] = self.stream.mel
            found["excitation"] = self.stream.excitation
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

    def utterance(self, sentence: Sentence, style: Style, number: int = 0) -> Utterance:
        """A sentence with its ids and conditioning vectors.

        Raises:
            InputError: an unknown symbol, speaker or emotion, no symbols, or too many.
        """
        manifest = self._manifest
        if not sentence.symbols:
            raise InputError("a sentence without symbols cannot be spoken")
        most = self._sessions[Stage.TEXT_ENCODER].graph.axes["symbols"].most
        if len(sentence.symbols) > most:
            raise InputError(
                f"a sentence of {len(sentence.symbols)} symbols, this voice takes {most} at once: "
                "split it where one breathes"
            )
        utterance = Utterance(sentence, style, number)
        bare = Sentence(sentence.text, tuple(Symbol(s.units) for s in sentence.symbols))
        rows, _, _ = ids_from_sentence(bare, manifest.units, manifest.emotions, manifest.speakers)
        utterance.ids = np.array(rows, np.int64)
        utterance.conditioning = conditioning(
            sentence, style, manifest, self._styles["speaker"], self._styles["emotion"]
        )
        return utterance

    def encode(self, utterance: Utterance) -> None:
        """Ids -> text_hid [N, P]; filled pauses are inserted into text, speaker and emotion."""
        assert utterance.ids is not None and utterance.conditioning is not None
        with utterance.clock("text_encoder"):
            outputs = self._run(Stage.TEXT_ENCODER, ids=utterance.ids[None])
        utterance.text_hid = text = outputs["text_hid"][0]
        if self._manifest.filled_pauses:
            classes = outputs["pause_classes"][0].argmax(axis=1)
            text = _with_pauses(text, classes, self._styles["filled_pauses"])
        rows = np.arange(len(text))
        rows[len(utterance.ids) :] %= len(utterance.ids)
        utterance.text = text
        utterance.speaker = utterance.conditioning.speaker[rows]
        utterance.emotion = utterance.conditioning.emotion[rows]

    def predict(self, utterance: Utterance) -> None:
        """text_hid -> pitch, energy [N'], text' [N', P] and log durations [N']."""
        text, speaker, emotion = utterance.text, utterance.speaker, utterance.emotion
        assert text is not None and speaker is not None and emotion is not None
        style, count = utterance.style, len(text)
        with utterance.clock("prosody"):
            outputs = self._run(
                Stage.PROSODY,
                text_hid=text[None],
                speaker=speaker[None],
                emotion=emotion[None],
                pitch_control=_control(count, style.pitch),
                energy_control=_control(count, style.energy),
            )
        utterance.pitch, utterance.energy = outputs["pitch"][0], outputs["energy"][0]
        utterance.text = outputs["text"][0]
        condition = np.concatenate([utterance.text, speaker, emotion], axis=1)
        with utterance.clock("duration_step"):
            steps = self._sessions[Stage.DURATION_STEP].steps({})
            values = [
                steps.step({"condition": condition[i : i + 1]})["log_duration"][0]
                for i in range(count)
            ]
        utterance.log_durations = np.concatenate(values)

    def regulate(self, utterance: Utterance) -> LengthPlan:
        """Durations decide the length plan."""
        assert utterance.log_durations is not None
        assert utterance.text is not None
        assert utterance.speaker is not None and utterance.emotion is not None
        with utterance.clock("length"):
            utterance.plan = length_plan(
                utterance.log_durations,
                utterance.text,
                utterance.speaker,
                utterance.emotion,
                self._styles["duration_timescales"],
                frames_per_step=self._manifest.frames_per_step,
                speed=utterance.style.speed,
            )
        return utterance.plan

    def windows(
        self, utterance: Utterance, policy: ChunkPolicy, seed: int | None
    ) -> Iterator[VocoderWindow]:
        """Decoder, postnet and excitation, chunk by chunk: the vocoder's inputs."""
        plan = utterance.plan
        assert plan is not None
        if plan.frames == 0:
            _LOG.warning("all durations are 0, nothing to hear of %r", utterance.sentence.text[:40])
            return
        utterance.stream = MelStream(
            plan,
            self._manifest,
            self._sessions[Stage.MEMORY_KV],
            self._sessions[Stage.DECODER_STEP],
            self._sessions[Stage.POSTNET],
            self._excitation(seed, utterance.number),
            utterance.clock,
        )
        yield from utterance.stream.windows(policy)

    def vocode(self, window: VocoderWindow) -> NDArray[np.float32]:
        """A window -> the chunk's samples [count]."""
        inputs: dict[str, Array] = {"mel": window.mel[None]}
        if window.excitation is not None:
            inputs["excitation"] = window.excitation[None]
        wave = self._run(Stage.VOCODER, **inputs)["wave"][0]
        samples: NDArray[np.float32] = wave[window.skip : window.skip + window.count]
        return samples

    def speak(
        self, sentence: Sentence, style: Style, policy: ChunkPolicy, seed: int | None, number: int
    ) -> Iterator[tuple[Utterance, VocoderWindow | None]]:
        """All steps but the last, as a stream of windows; None ends the sentence."""
        utterance = self.utterance(sentence, style, number)
        self.encode(utterance)
        self.predict(utterance)
        self.regulate(utterance)
        for window in self.windows(utterance, policy, seed):
            yield utterance, window
        yield utterance, None

    def _excitation(self, seed: int | None, number: int) -> Excitation | None:
        rule = self._manifest.f0
        if rule is None:
            return None
        weight, bias = self._styles["source_weight"], self._styles["source_bias"]
        both = None if seed is None else (seed, number)
        return Excitation(rule, weight, bias, self._manifest.hop, both)

    def _run(self, stage: Stage, **inputs: Array) -> dict[str, Array]:
        session = self._sessions[stage]
        check_inputs(session.graph, inputs)
        return session.run(inputs)


def _control(count: int, shift: float) -> NDArray[np.float32]:
    rows = np.empty((1, count, 2), np.float32)
    rows[:, :, 0], rows[:, :, 1] = 1.0, shift
    return rows


def _with_pauses(
    text: NDArray[np.float32], classes: NDArray[np.int64], pauses: NDArray[np.float32]
) -> NDArray[np.float32]:
    pieces = []
    for row, kind in zip(text, classes, strict=True):
        if kind:
            pieces.append(pauses[kind - 1])
        pieces.append(row[None])
    return np.concatenate(pieces)
