"""How far speech is from the torch reference, by the same symbols and without noise."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench import ids_of

from sambert_trt.engines.errors import InputError

from ..opening import opened_voice
from ..record import NotMeasured
from ..suite import Settings
from ..text import CLAUSES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sambert_trt.export.reference import Reference
    from sambert_trt.runtime import Voice

__all__ = ["rounds"]


def rounds(settings: Settings) -> Iterator[Mapping[str, float]]:
    """`quality.speech.mel.error`, `.distance` and `.seconds`, once.

    Raises:
        NotMeasured: torch or the voice's checkpoint is not there.
        InputError: what is said holds values that are no numbers.
        SambertError: the voice cannot be opened or loaded.
    """
    reference = _reference(settings)
    with opened_voice(settings) as voice:
        found = [_compared(voice, reference, text) for text in CLAUSES]
    yield {
        "quality.speech.mel.error": sum(one.mel for one in found) / len(found),
        "quality.speech.distance": sum(one.distance for one in found) / len(found),
        "quality.speech.seconds": sum(one.seconds for one in found),
    }


@dataclass(frozen=True)
class _Compared:
    """A sentence: mean absolute difference of mels, dB between waves, seconds spoken."""

    mel: float
    distance: float
    seconds: float


def _reference(settings: Settings) -> Reference:
    if settings.source is None:
        raise NotMeasured("the voice's checkpoint is not known: name its folder with --source")
    if importlib.util.find_spec("torch") is None:
        raise NotMeasured("torch is not installed; install the [export] extra")
    import torch

    from sambert_trt.export.source import voice_sources_from_path
    from sambert_trt.export.voice_export import load_voice

    torch.set_num_threads(settings.threads)
    return load_voice(voice_sources_from_path(settings.source)[0]).reference()


def _compared(voice: Voice, reference: Reference, text: str) -> _Compared:
    import numpy as np

    from sambert_trt.runtime import Ids

    (sentence,) = voice.sentences(text)
    ids = ids_of(voice, sentence)
    wanted = dict(reference.steps(ids))
    trace: dict[str, NDArray[Any]] = {}
    audio = voice.say(ids=Ids(ids.ling, ids.emotion, ids.speaker), seed=None, trace=trace)
    mels = _padded(wanted["mel_final"], trace["0/mel_final"])
    waves = _padded(wanted["wav"], audio.samples)
    if not np.isfinite([*map(np.sum, (*mels, *waves))]).all():
        raise InputError(f"the speech of {text!r} holds values that are no numbers")
    difference = float(np.abs(np.subtract(*mels)).mean())
    return _Compared(difference, _distortion(waves, audio.sample_rate), audio.seconds)


def _distortion(waves: Sequence[NDArray[Any]], rate: int) -> float:
    """Mel-cepstral distortion in dB (R. F. Kubichek, PACRIM 1993), the mean over all frames.

    What lies 60 dB below the loudest band of the first counts as silence.
    """
    import numpy as np

    from sambert_trt.calibration.spectra import cepstra, mel_bands, power_spectra

    bands = [mel_bands(power_spectra(wave, rate), rate) for wave in waves]
    floor = 1e-6 * max(float(bands[0].max()), 1e-12)
    gap = np.subtract(*(cepstra(band, floor) for band in bands))
    return float(10 / np.log(10) * np.sqrt(2 * np.square(gap).sum(axis=1)).mean())


def _padded(*arrays: NDArray[Any]) -> list[NDArray[Any]]:
    """Arrays of one length: what is too short is silent at its end, and so counts as wrong."""
    import numpy as np

    longest = max(map(len, arrays))
    return [
        np.pad(array, [(0, longest - len(array)), *[(0, 0)] * (array.ndim - 1)]) for array in arrays
    ]
