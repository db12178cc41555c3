"""Speech as users meet it: work for a second of speech, first audio, gaps, other emotions, text.

Each round measures one of these. What a change of the work's amount changes is told by processor
seconds, which others on the machine do not add to; how long a listener waits is told by the wall.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING

from soak import generated_sentences

from ..clock import Clock, clock_of_process
from ..opening import opened_voice
from ..suite import Settings
from ..text import LONG, MEDIUM, SHORT
from ..timing import seconds_of, settled, without_collector

if TYPE_CHECKING:
    from sambert_trt.runtime import AudioChunk, Style, Voice

__all__ = ["rounds"]

_CHARACTERS = 3000

Values = dict[str, float]


def rounds(settings: Settings) -> Iterator[Mapping[str, float]]:
    """`speech.*` and `text.rate`, in turn; the first round opens and warms up.

    Raises:
        SambertError: the voice or the backend cannot be used.
    """
    with opened_voice(settings) as voice:
        tasks = _tasks(voice, clock_of_process(settings.backend))
        for task in tasks:
            task()
        settled()
        for task in itertools.cycle(tasks):
            with without_collector():
                values = task()
            yield values


def _tasks(voice: Voice, clock: Clock) -> list[Callable[[], Values]]:
    tasks: list[Callable[[], Values]] = [
        partial(_first, voice, clock),
        partial(_streamed, voice, clock),
        partial(_said, voice, clock),
        partial(_read, voice, clock),
    ]
    emotion = _other_emotion(voice)
    return [*tasks, partial(_switched, voice, emotion)] if emotion else tasks


def _first(voice: Voice, clock: Clock) -> Values:
    """The first audio of a short text, and the whole of it."""
    started, begun = clock(), time.perf_counter()
    chunks = voice.stream(SHORT)
    seconds = _length(next(chunks))
    first, waited = clock() - started, time.perf_counter() - begun
    seconds += sum(map(_length, chunks))
    return {
        "speech.first.seconds": first,
        "speech.first.wall.seconds": waited,
        "speech.short.factor": (clock() - started) / seconds,
    }


def _streamed(voice: Voice, clock: Clock) -> Values:
    """The longest wait between two chunks of a medium text, and the whole of it."""
    seconds, times = 0.0, list[float]()
    started = clock()
    for chunk in voice.stream(MEDIUM):
        seconds += _length(chunk)
        times.append(time.perf_counter())
    return {
        "speech.gap.seconds": max(later - sooner for sooner, later in itertools.pairwise(times)),
        "speech.medium.factor": (clock() - started) / seconds,
    }


def _said(voice: Voice, clock: Clock) -> Values:
    started = clock()
    audio = voice.say(LONG)
    return {"speech.long.factor": (clock() - started) / audio.seconds}


def _read(voice: Voice, clock: Clock) -> Values:
    """How fast text becomes symbols."""
    seconds = seconds_of(lambda: deque(voice.sentences(_text()), 0), clock)
    return {"text.rate": len(_text()) / seconds}


def _switched(voice: Voice, emotion: str) -> Values:
    """How much later another emotion's first audio comes than that of the voice's own."""
    from sambert_trt.runtime import Style

    usual, other = _waited(voice, Style()), _waited(voice, Style(emotion=emotion))
    return {"speech.style.seconds": other - usual}


def _waited(voice: Voice, style: Style) -> float:
    started = time.perf_counter()
    chunks = voice.stream(SHORT, style)
    next(chunks)
    found = time.perf_counter() - started
    for _ in chunks:  # a stream that is left goes on for a moment, into what is measured next
        pass
    return found


def _length(chunk: AudioChunk) -> float:
    return len(chunk.samples) / chunk.sample_rate


def _other_emotion(voice: Voice) -> str | None:
    """The first that is not the voice's own; None where it has no other."""
    from sambert_trt.runtime.styles import RESERVED

    manifest = voice.manifest
    usual = (*RESERVED, manifest.default_emotion, "")
    return next((name for name in manifest.emotions if name not in usual), None)


@cache
def _text() -> str:
    """Many sentences, few of them alike."""
    return "".join(itertools.islice(generated_sentences(), 200))[:_CHARACTERS]
