"""Speaks sentences in several ways and measures each beside its recording."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sambert_trt.calibration.perception import pesq_score, stoi_score
from sambert_trt.calibration.pitch import f0_correlation, f0_track
from sambert_trt.engines.errors import InputError
from sambert_trt.engines.manifest import VoiceManifest

from .hearing import Ears
from .material import Material
from .measures import Tally, mean_pitch
from .scores import EmotionScores, Evaluation
from .speaking import Speaker, Spoken

if TYPE_CHECKING:
    from .dataset import Utterance

__all__ = ["MelPair", "Sights", "examine"]

_SYLLABLE_STARTS = ("s_begin", "s_both")
_SILENCE = "s_none"
_PICTURED = 3

Wave = NDArray[np.float32]
Progress = Callable[[int, int], None]
"""Called with how many sentences are done, and of how many."""


@dataclass(frozen=True)
class MelPair:
    """A sentence's mel float32 [F, 80] as recorded, and as the voice says it in the same time."""

    text: str
    teacher: NDArray[np.float32]
    ours: NDArray[np.float32]


@dataclass
class Sights:
    """What pictures show: some mels, and hertz of voiced frames by emotion and side."""

    mels: list[MelPair] = field(default_factory=list)
    pitches: dict[str, dict[str, list[NDArray[np.float64]]]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Take:
    """A rendering of a sentence: its durations [N] and its hertz every 10 ms, 0 where voiceless."""

    durations: NDArray[np.int64]
    hertz: NDArray[np.float64]


def examine(
    speaker: Speaker,
    material: Material,
    ears: Ears,
    progress: Progress = lambda done, total: None,
) -> tuple[Evaluation, Sights]:
    """Measures a voice.

    Args:
        speaker: the voice.
        material: sentences that it was not trained on.
        ears: the listeners; the figures of one that is missing are left out.
        progress: told after each sentence.

    Raises:
        InputError: the voice is of another rate, or lacks a symbol or an emotion.
    """
    _check(speaker.manifest, material)
    begun, examination = time.monotonic(), _Examination(speaker, material, ears)
    for number, utterance in enumerate(material.neutral):
        examination.measure(number, utterance)
        progress(number + 1, len(material.neutral))
    return examination.evaluation(time.monotonic() - begun), examination.sights


def _check(manifest: VoiceManifest, material: Material) -> None:
    found, wanted = (manifest.sample_rate, manifest.hop), (material.rate, material.hop)
    if found != wanted:
        raise InputError(
            f"the voice {manifest.name} has {found[0]} Hz and frames of {found[1]} samples, the "
            f"dataset {wanted[0]} Hz and {wanted[1]}: prepare a dataset for this voice"
        )


class _Examination:
    """One evaluation, its figures as they come in."""

    def __init__(self, speaker: Speaker, material: Material, ears: Ears) -> None:
        self._speaker, self._material, self._ears = speaker, material, ears
        self._tally = Tally()
        self._emotions = {name: Tally() for name in material.pitch}
        self._heard: list[dict[str, str]] = []
        self.sights = Sights()
        flags = speaker.manifest.units["syllable_flag"]
        self._starts = [flags.index(name) for name in _SYLLABLE_STARTS]
        self._silence = flags.index(_SILENCE)

    def measure(self, number: int, utterance: Utterance) -> None:
        """One sentence in every way."""
        plain = self._material.plain
        spoken = self._speaker.spoken(utterance.ling, plain)
        timed = self._speaker.spoken(utterance.ling, plain, utterance.duration)
        copy = self._speaker.copied(utterance.mel, utterance.f0, utterance.voiced)
        read = self._speaker.read(utterance.text, plain)
        self._compare(utterance, spoken, timed, copy)
        waves = {"speech": spoken.wave, "text": read, "copy": copy, "teacher": utterance.audio}
        self._listen(utterance, waves)
        self._feel(number, utterance, spoken)
        if len(self.sights.mels) < _PICTURED:
            self.sights.mels.append(MelPair(utterance.text, utterance.mel, timed.mel))

    def evaluation(self, seconds: float) -> Evaluation:
        """All figures of the sentences so far."""
        manifest, material = self._speaker.manifest, self._material
        emotions = {
            name: EmotionScores(material.pitch[name], tally.intervals())
            for name, tally in self._emotions.items()
        }
        files = manifest.provenance.get("files", {})
        return Evaluation(
            voice=manifest.name,
            checkpoints={part: files[f"{part}_checkpoint"]["sha256"] for part in ("am", "voc")},
            corpus=material.corpus,
            sentences=len(self._heard),
            figures=self._tally.intervals(),
            emotions=emotions,
            missing=dict(self._ears.missing),
            heard=self._heard,
            seconds=round(seconds, 1),
        )

    def _compare(self, utterance: Utterance, spoken: Spoken, timed: Spoken, copy: Wave) -> None:
        """What needs the recording, but nobody who listens."""
        add, rate, audio = self._tally.add, self._material.rate, utterance.audio
        wrong = np.abs(spoken.durations - utterance.duration)
        add("duration_error", "speech", float(wrong.sum()), len(wrong))
        whole = float(utterance.duration.sum())
        add("length_ratio", "speech", float(spoken.durations.sum()) / whole)
        add("mel_error", "timed", float(np.abs(timed.mel - utterance.mel).mean()))
        add("f0_correlation", "timed", f0_correlation(audio, timed.wave, rate))
        add("f0_correlation", "copy", f0_correlation(audio, copy, rate))
        add("pesq", "copy", pesq_score(audio, copy, rate))
        add("stoi", "copy", stoi_score(audio, copy, rate))

    def _listen(self, utterance: Utterance, waves: dict[str, Wave]) -> None:
        row = {"id": utterance.id, "text": utterance.text}
        for side, wave in waves.items():
            row |= self._hear(self._tally, side, wave, utterance.text)
            score = self._ears.naturalness(wave, self._material.rate)
            self._tally.add("naturalness", side, score)
        self._heard.append(row)

    def _hear(self, tally: Tally, side: str, wave: Wave, text: str) -> dict[str, str]:
        hearing = self._ears.hear(wave, self._material.rate, text)
        if hearing is None:
            return {}
        tally.add("syllable_error", side, hearing.errors, hearing.syllables)
        tally.add("toned_error", side, hearing.toned_errors, hearing.syllables)
        return {side: hearing.text}

    def _feel(self, number: int, utterance: Utterance, spoken: Spoken) -> None:
        """The sentence in the other emotions, against its neutral self."""
        plain, ling = self._material.plain, utterance.ling
        ours = self._take(plain, "speech", spoken.wave, spoken.durations)
        teacher = self._take(plain, "teacher", utterance.audio, utterance.duration)
        for side, take in (("speech", ours), ("teacher", teacher)):
            self._tally.add("speaking_rate", side, *self._pace(take, ling))
        for emotion, tally in self._emotions.items():
            felt = self._speaker.spoken(ling, emotion)
            take = self._take(emotion, "speech", felt.wave, felt.durations)
            self._differ(tally, "speech", take, ours, ling)
            self._hear(tally, "speech", felt.wave, utterance.text)
            recorded = self._material.shifted[emotion][number]
            if recorded is not None:
                take = self._take(emotion, "teacher", recorded.audio, recorded.duration)
                self._differ(tally, "teacher", take, teacher, ling)

    def _take(self, emotion: str, side: str, wave: Wave, durations: NDArray[np.int64]) -> _Take:
        hertz = f0_track(wave, self._material.rate)
        pitches = self.sights.pitches.setdefault(emotion, {})
        pitches.setdefault(side, []).append(hertz[hertz > 0])
        return _Take(durations, hertz)

    def _differ(
        self, tally: Tally, side: str, own: _Take, plain: _Take, ling: NDArray[np.int64]
    ) -> None:
        high, low = mean_pitch(own.hertz), mean_pitch(plain.hertz)
        if high is not None and low is not None:
            tally.add("pitch_shift", side, high - low)
        (syllables, seconds), (_, usual) = self._pace(own, ling), self._pace(plain, ling)
        tally.add("speaking_rate", side, syllables, seconds)
        if seconds > 0:
            tally.add("rate_change", side, usual / seconds - 1)

    def _pace(self, take: _Take, ling: NDArray[np.int64]) -> tuple[float, float]:
        """Syllables, and the seconds that they take; pauses are left out."""
        syllables = np.isin(ling[:, 2], self._starts).sum()
        frames = take.durations[ling[:, 2] != self._silence].sum()
        return float(syllables), float(frames) * self._material.hop / self._material.rate
