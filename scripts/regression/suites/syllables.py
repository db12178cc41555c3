"""How many syllables an offline recogniser hears wrongly, where one is installed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from soak import generated_sentences

from ..opening import opened_voice
from ..record import NotMeasured
from ..suite import Settings

__all__ = ["rounds"]

_SENTENCES = 20
_LONGEST = 20
"""Characters: what is longer takes the recogniser longer and says no more."""


def rounds(settings: Settings) -> Iterator[Mapping[str, float]]:
    """`quality.speech.syllables`, once.

    Raises:
        NotMeasured: there is no recogniser.
        SambertError: the voice cannot be opened.
    """
    from sambert_trt.calibration.recogniser import find_recogniser

    recogniser = find_recogniser(settings.threads)
    if recogniser is None:
        raise NotMeasured("no recogniser is installed (faster-whisper and its weights)")
    texts = (text for text in generated_sentences() if len(text) <= _LONGEST)
    wrong = spoken = 0
    with opened_voice(settings) as voice:
        for text in itertools.islice(texts, _SENTENCES):
            audio = voice.say(text)
            heard = recogniser.heard(audio.samples, audio.sample_rate, text)
            wrong, spoken = wrong + heard.errors, spoken + heard.syllables
    yield {"quality.speech.syllables": wrong / spoken}
