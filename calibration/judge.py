"""Judges candidates by what they sound like, spoken by the runtime's own synthesizer.

    sentences ─ fp32 ─▶ reference ┐
              ─ candidates ─▶ rendering ┴▶ figures of every sentence ─▶ Judgement

May import onnx and the runtime; no torch, no exporter.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from sambert_trt.engines.errors import InputError, VoiceError
from sambert_trt.engines.graphs import Stage
from sambert_trt.engines.voice import manifest_from_directory
from sambert_trt.runtime.backend import Session
from sambert_trt.runtime.checks import checked_tables
from sambert_trt.runtime.length import LengthPlan
from sambert_trt.runtime.onnx_backend import OnnxBackend
from sambert_trt.runtime.styles import Style
from sambert_trt.runtime.synthesizer import Synthesizer
from sambert_trt.runtime.text.sentence import Sentence

from .assessment import Judgement
from .candidate_backend import CandidateBackend, Candidates
from .damage import mel_damage, wave_damage
from .duration_figures import duration_figures
from .figures import Figures
from .mel_figures import mel_figures
from .pooling import merged, pooled, worst
from .speech import (
    ACOUSTIC,
    Acoustics,
    CandidateVoice,
    Front,
    Reference,
    Wave,
    reference_of,
    symbol_ends,
)
from .wave_figures import wave_figures

if TYPE_CHECKING:
    from .recogniser import Recogniser

__all__ = ["Judge", "Rendering"]

_LOG = logging.getLogger(__name__)

_SILENT = 1e-4
"""Of full scale: 80 dB below it."""
_LONGER = 2.0
"""A rendering that lasts so many times longer, or shorter, has lost its durations."""


@dataclass(frozen=True)
class Rendering:
    """A sentence spoken by fp32 and by candidates, each with its own durations.

    Attributes:
        reference, candidate: samples [n], which may differ in length.
        rate: hertz.
    """

    text: str
    rate: int
    reference: Wave
    candidate: Wave


class Judge:
    """Compares candidates with a voice in fp32. Use it as a context manager.

    Entering opens the voice's fp32 graphs and speaks every sentence once. Judging opens the
    candidates only; everything that comes before the first of them is taken from the reference.

    Args:
        directory: the voice.
        sentences: what is spoken.
        styles: how, in turn: sentence i takes style i modulo their number.
        threads: how many sentences are spoken side by side.
        db_per_unit: dB per unit of the voice's normalised mel.
        recogniser: counts syllables heard wrongly in `whole`.
        rounded: judge candidates with halves as a card computes them, not as ONNX Runtime does.

    Raises:
        InputError: nothing to judge by, or a sentence that fp32 itself cannot speak.
        VoiceError: the directory is no voice, or speaks no numbers in fp32.
    """

    def __init__(
        self,
        directory: Path,
        sentences: Sequence[Sentence],
        styles: Sequence[Style] = (Style(),),
        *,
        threads: int,
        db_per_unit: float,
        recogniser: Recogniser | None = None,
        rounded: bool = True,
    ) -> None:
        if not sentences or not styles:
            raise InputError("a judge needs at least one sentence and one style")
        self._directory, self._sentences, self._styles = directory, tuple(sentences), tuple(styles)
        self._threads, self._scale = threads, db_per_unit
        self._recogniser, self._rounded = recogniser, rounded
        self._stack = ExitStack()

    def __enter__(self) -> Judge:
        with ExitStack() as stack:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="sambert-judge")
            stack.callback(self._pool.shutdown, cancel_futures=True)
            self._manifest = manifest_from_directory(self._directory)
            self._tables = checked_tables(self._directory, self._manifest)
            self._backend = OnnxBackend()
            stack.callback(self._backend.close)
            self._sessions = dict[Stage, Session]()
            for stage, record in self._manifest.stages.items():
                session = self._backend.open(self._directory, record)
                self._sessions[stage] = stack.enter_context(closing(session))
            self._references = self._spoken()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def sentences(self) -> int:
        """How many sentences are judged by."""
        return len(self._references)

    def mel(self, candidates: Candidates, *, first: int | None = None) -> Judgement:
        """Judges the stages before the vocoder, which is not run; a vocoder is left out.

        Durations run freely in the figures of durations, and are those of fp32 in all others. A
        sentence that a candidate cannot speak at all is `broken`.

        Args:
            candidates: by stage; other stages are in fp32.
            first: by so many sentences only, the first ones.

        Raises:
            BackendError, VoiceError: a candidate cannot be opened or run.
            GraphError, OutputError: it cannot be rounded, or there is no room for its rounded form.
        """
        return self._judged(candidates, ACOUSTIC, self._mel_figures, first)

    def wave(self, candidates: Candidates, *, first: int | None = None) -> Judgement:
        """Judges a vocoder on the mel of fp32, as `mel`; other candidates are left out."""
        return self._judged(candidates, (Stage.VOCODER,), self._wave_figures, first)

    def whole(self, candidates: Candidates, *, first: int | None = None) -> Judgement:
        """Judges everything together, as `mel`.

        Durations are those of fp32 in the figures of mel and wave; what is broken, and what a
        recogniser hears, is of the sentence as it would be spoken.
        """
        return self._judged(candidates, tuple(Stage), self._whole_figures, first)

    def rendering(self, candidates: Candidates, sentence: int) -> Rendering:
        """A sentence by its number, for listening and looking.

        Raises:
            InputError: the candidates cannot speak it.
        """
        reference = self._references[sentence]
        with self._candidate(candidates, tuple(Stage)) as candidate:
            plan = candidate.front(reference).plan
            if not plan.frames:
                raise InputError(f"nothing is to be heard of {reference.sentence.text!r}")
            _, wave = candidate.spoken(reference, plan)
        text, rate = reference.sentence.text, self._manifest.sample_rate
        return Rendering(text, rate, reference.wave, wave)

    def _spoken(self) -> tuple[Reference, ...]:
        synthesizer = Synthesizer(self._manifest, self._sessions, self._tables)

        def speak(number: int) -> Reference:
            sentence, style = self._sentences[number], self._styles[number % len(self._styles)]
            try:
                reference = reference_of(synthesizer, sentence, style, number)
            except InputError as error:
                raise InputError(f"{sentence.text!r} cannot be judged by: {error}") from error
            if not np.isfinite(reference.wave).all():
                raise VoiceError(
                    f"{self._directory} speaks {sentence.text!r} as NaN in fp32: there is nothing "
                    "to compare with; export the voice again from an intact checkpoint"
                )
            if np.abs(reference.wave).max(initial=0.0) < _SILENT:
                _LOG.warning(
                    "%r is silent in fp32: nothing can be heard of what a candidate does to it",
                    sentence.text[:40],
                )
            return replace(reference, misheard=self._misheard(sentence, reference.wave))

        return tuple(self._pool.map(speak, range(len(self._sentences))))

    @contextmanager
    def _candidate(
        self, candidates: Candidates, stages: Sequence[Stage]
    ) -> Iterator[CandidateVoice]:
        """The voice with the candidates of some stages; those that are fp32's own are shared."""
        records = self._manifest.stages
        changed = {
            stage: candidate
            for stage, candidate in candidates.items()
            if stage in stages and candidate.record.file.sha256 != records[stage].file.sha256
        }
        backend = CandidateBackend(self._backend, changed, self._rounded)
        with ExitStack() as stack:
            sessions = dict(self._sessions)
            for stage in changed:
                session = backend.open(self._directory, records[stage])
                sessions[stage] = stack.enter_context(closing(session))
            synthesizer = Synthesizer(self._manifest, sessions, self._tables)
            yield CandidateVoice(synthesizer, frozenset(changed))

    def _judged(
        self,
        candidates: Candidates,
        stages: Sequence[Stage],
        compare: Callable[[CandidateVoice, Reference], Figures],
        first: int | None,
    ) -> Judgement:
        references = self._references[:first]
        with self._candidate(candidates, stages) as candidate:

            def judged(reference: Reference) -> Figures:
                try:
                    return compare(candidate, reference)
                except InputError as error:
                    return Figures(broken=str(error))

            found = self._each(judged, references)
        counts = [len(reference.sentence.symbols) for reference in references]
        texts = [reference.sentence.text for reference in references]
        return Judgement(pooled(found, counts), worst(found, texts), found)

    def _each(
        self, judged: Callable[[Reference], Figures], references: Sequence[Reference]
    ) -> tuple[Figures, ...]:
        """Figures in the order of sentences; the longest are begun with, so that all end soon."""
        longest = sorted(references, key=lambda reference: -len(reference.wave))
        found = {reference.number: self._pool.submit(judged, reference) for reference in longest}
        wait(found.values())
        return tuple(found[reference.number].result() for reference in references)

    def _mel_figures(self, candidate: CandidateVoice, reference: Reference) -> Figures:
        front = candidate.front(reference)
        durations = _duration_figures(reference.front, front)
        plan = candidate.forced(front, reference)
        if plan is None:
            return durations
        acoustics = candidate.acoustics(reference, plan)
        mel = mel_figures(reference.acoustics.mel, acoustics.mel, self._scale)
        return merged(mel, durations)

    def _wave_figures(self, candidate: CandidateVoice, reference: Reference) -> Figures:
        _, wave = candidate.spoken(reference, reference.front.plan)
        return wave_figures(reference.wave, wave, self._manifest.sample_rate)

    def _whole_figures(self, candidate: CandidateVoice, reference: Reference) -> Figures:
        front = candidate.front(reference)
        found = [_duration_figures(reference.front, front)]
        plan, spoken = candidate.forced(front, reference), None
        if plan is not None:
            acoustics, wave = spoken = candidate.spoken(reference, plan)
            rate = self._manifest.sample_rate
            found.append(mel_figures(reference.acoustics.mel, acoustics.mel, self._scale))
            found.append(wave_figures(reference.wave, wave, rate))
        if plan is not front.plan and not found[0].broken:
            spoken = candidate.spoken(reference, front.plan)
            found.append(self._damage(reference, *spoken))
        if spoken is not None:
            found.append(self._heard(reference, spoken[1]))
        return merged(*found)

    def _heard(self, reference: Reference, wave: Wave) -> Figures:
        """What is heard wrongly beyond what is of fp32 already."""
        if self._recogniser is None:
            return Figures()
        if wave is reference.wave:
            return Figures(syllable_errors=0.0)
        misheard = self._misheard(reference.sentence, wave)
        return Figures(syllable_errors=misheard - reference.misheard)

    def _misheard(self, sentence: Sentence, wave: Wave) -> float:
        if self._recogniser is None:
            return 0.0
        return self._recogniser.errors(wave, self._manifest.sample_rate, sentence.text)

    def _damage(self, reference: Reference, acoustics: Acoustics, wave: Wave) -> Figures:
        """What is broken in a rendering of other durations, as far as both last."""
        frames = min(len(acoustics.mel), len(reference.acoustics.mel))
        count = min(len(wave), len(reference.wave))
        rate = self._manifest.sample_rate
        mel = mel_damage(reference.acoustics.mel[:frames], acoustics.mel[:frames])
        return Figures(broken=mel or wave_damage(reference.wave[:count], wave[:count], rate))


def _duration_figures(reference: Front, candidate: Front) -> Figures:
    """Per symbol of the sentence, a filled pause counted to the symbol that follows it."""
    wanted, found = (
        np.diff(np.cumsum(front.plan.durations)[symbol_ends(front.encoded)], prepend=0)
        for front in (reference, candidate)
    )
    return replace(
        duration_figures(wanted, found), broken=_length_damage(reference.plan, candidate.plan)
    )


def _length_damage(reference: LengthPlan, candidate: LengthPlan) -> str:
    ratio = candidate.frames / reference.frames
    if 1 / _LONGER < ratio < _LONGER:
        return ""
    return f"collapsed: {candidate.frames} frames, {reference.frames} in fp32"
