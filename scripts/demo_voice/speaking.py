"""A voice under test: the project's own runtime, stopped where something is measured.

Numpy and a runtime voice; the exporter is imported where a voice is not exported yet.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.graphs import Stage
from sambert_trt.engines.manifest import VoiceManifest
from sambert_trt.runtime.checks import checked_tables
from sambert_trt.runtime.excitation import Excitation
from sambert_trt.runtime.ids import Ids, sentence_from_ids
from sambert_trt.runtime.stream import OFFLINE, VocoderWindow, chunk_ends
from sambert_trt.runtime.styles import Style
from sambert_trt.runtime.voice import Voice, open_voice

__all__ = ["Speaker", "Spoken", "opened_speaker"]

_SEED = (0, 0)


@dataclass(frozen=True)
class Spoken:
    """One sentence of a voice.

    Attributes:
        wave: float32 [hop * F].
        durations: frames of each symbol, int64 [N]; their sum is F.
        mel: float32 [F, channels], normalised; of NSF voices f0 and voicing are left out.
    """

    wave: NDArray[np.float32]
    durations: NDArray[np.int64]
    mel: NDArray[np.float32]


class Speaker:
    """Speaks sentences given as ids, freely, with durations given, or from features.

    Args:
        voice: open.
        tables: the arrays of its styles.npz.
    """

    def __init__(self, voice: Voice, tables: Mapping[str, NDArray[np.float32]]) -> None:
        self._voice, self._synthesizer, self._tables = voice, voice.synthesizer, tables

    @property
    def manifest(self) -> VoiceManifest:
        """What the voice is."""
        return self._voice.manifest

    def spoken(
        self,
        ling: NDArray[np.int64],
        emotion: str,
        durations: NDArray[np.int64] | None = None,
    ) -> Spoken:
        """A sentence with the voice's own melody and loudness.

        Args:
            ling: ids [N, 4] in the voice's tables.
            emotion: its name, with or without `emotion_`.
            durations: frames [N] that take the place of the voice's own.

        Raises:
            InputError: an id or emotion that the voice does not have.
        """
        steps, style = self._synthesizer, Style(emotion=emotion)
        sentence = sentence_from_ids(Ids(ling), self.manifest)
        encoded = steps.encode(steps.prepare(sentence, style))
        predicted = steps.predict(encoded, style)
        if durations is not None:
            logs = np.log1p(durations.astype(np.float32))
            predicted = replace(predicted, log_durations=logs)
        plan = steps.regulate(encoded, predicted, style)
        if plan.frames == 0:
            channels = self.manifest.mel_channels
            return Spoken(
                np.zeros(0, np.float32), plan.durations, np.zeros((0, channels), np.float32)
            )
        with closing(steps.begin(plan, _SEED)) as stream:
            wave = self._joined(stream.windows(OFFLINE))
        return Spoken(wave, plan.durations, stream.mel[:, : self.manifest.mel_channels])

    def copied(
        self,
        mel: NDArray[np.float32],
        f0: NDArray[np.float32],
        voiced: NDArray[np.bool_],
    ) -> NDArray[np.float32]:
        """What the vocoder makes of true features: the wave [hop * F].

        Args:
            mel: [F, 80], normalised.
            f0: hertz [F].
            voiced: [F].
        """
        return self._joined(self._windows(mel, self._excitation(f0, voiced)))

    def read(self, text: str, emotion: str) -> NDArray[np.float32]:
        """A plain text through the project's front end: the wave [n]."""
        return self._voice.say(text, Style(emotion=emotion)).samples

    def _joined(self, windows: Iterator[VocoderWindow]) -> NDArray[np.float32]:
        pieces = [np.zeros(0, np.float32), *map(self._synthesizer.vocode, windows)]
        return np.concatenate(pieces)

    def _excitation(
        self, f0: NDArray[np.float32], voiced: NDArray[np.bool_]
    ) -> NDArray[np.float32] | None:
        rule = self.manifest.f0
        if rule is None:
            return None
        weight, bias = self._tables["source_weight"], self._tables["source_bias"]
        source = Excitation(rule, weight, bias, self.manifest.hop, _SEED)
        return source.chunk(np.maximum(f0, np.float32(rule.floor)), voiced.astype(np.float32))

    def _windows(
        self, mel: NDArray[np.float32], excitation: NDArray[np.float32] | None
    ) -> Iterator[VocoderWindow]:
        """The vocoder's windows over a mel that is there already."""
        hop, start = self.manifest.hop, 0
        before, after = self.manifest.stages[Stage.VOCODER].graph.context
        for end in chunk_ends(len(mel), OFFLINE):
            first, last = max(start - before, 0), min(end + after, len(mel))
            source = None if excitation is None else excitation[first * hop : last * hop]
            yield VocoderWindow(mel[first:last], source, (start - first) * hop, (end - start) * hop)
            start = end


@contextmanager
def opened_speaker(path: Path, threads: int) -> Iterator[Speaker]:
    """A voice directory, or a KAN-TTS voice folder that is exported into a temporary one.

    Raises:
        SourceError, VoiceError: there is no voice at `path`, or it cannot be used.
    """
    with _exported(path) as directory, open_voice(directory, threads=threads) as voice:
        yield Speaker(voice, checked_tables(directory, voice.manifest))


@contextmanager
def _exported(path: Path) -> Iterator[Path]:
    if (path / "voice.json").is_file():
        yield path
        return
    from sambert_trt.export.source import voice_sources_from_path
    from sambert_trt.export.voice_export import export_voice

    source = voice_sources_from_path(path)[0]
    with tempfile.TemporaryDirectory(prefix="demo-voice-") as folder:
        yield export_voice(source, Path(folder) / source.name).directory
