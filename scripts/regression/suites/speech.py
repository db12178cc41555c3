"""Speech as users meet it: work for a second of speech, first audio, gaps, other emotions, text.

Each round measures one of these. What a change of the work's amount changes is told by processor
seconds, which others on the machine do not add to; how long a listener waits is told by the wall.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterator, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING

from soak import generated_sentences

from ..clock import Clock, clock_of_process
from ..opening import learned_emotions, opened_voice
from ..suite import Settings
from ..text import LONG, MEDIUM, SHORT
from ..timing import Task, in_turn, seconds_of

if TYPE_CHECKING:
    from sambert_trt.runtime import AudioChunk, Voice

__all__ = ["rounds"]

_CHARACTERS = 3000

Values = dict[str, float]


def rounds(settings: Settings) -> Iterator[Mapping[str, float]]:
    """`speech.*` and `text.rate`, in turn, that of a long text with `full`; the first round opens.

    Raises:
        SambertError: the voice or the backend cannot be used.
    """
    with opened_voice(settings) as voice:
        tasks = _tasks(voice, clock_of_process(settings.backend), full=settings.full)
        yield from in_turn(tasks, settings)


def _tasks(voice: Voice, clock: Clock, *, full: bool) -> list[Task]:
    tasks: list[Task] = [
        partial(_short, voice, clock, _other_emotion(voice)),
        partial(_medium, voice, clock),
        partial(_read, voice, clock),
    ]
    return [*tasks, partial(_long, voice, clock)] if full else tasks


def _short(voice: Voice, clock: Clock, emotion: str | None) -> Values:
    """The first audio of a short text, and the whole of it; how much later another emotion's is."""
    started, begun = clock(), time.perf_counter()
    chunks = voice.stream(SHORT)
    seconds = _length(next(chunks))
    first, waited = clock() - started, time.perf_counter() - begun
    seconds += sum(map(_length, chunks))
    found = {
        "speech.first.seconds": first,
        "speech.first.wall.seconds": waited,
        "speech.short.factor": (clock() - started) / seconds,
    }
    if emotion is not None:
        found["speech.style.seconds"] = _waited(voice, emotion) - waited
    return found


def _waited(voice: Voice, emotion: str) -> float:
    from sambert_trt.runtime import Style

    begun = time.perf_counter()
    chunks = voice.stream(SHORT, Style(emotion=emotion))
    next(chunks)
    found = time.perf_counter() - begun
    for _ in chunks:  # a stream that is left goes on for a moment, into what is measured next
        pass
    return found


def _medium(voice: Voice, clock: Clock) -> Values:
    """The longest wait between two chunks of a medium text, and the whole of it by both clocks."""
    seconds, times = 0.0, list[float]()
    started, begun = clock(), time.perf_counter()
    for chunk in voice.stream(MEDIUM):
        seconds += _length(chunk)
        times.append(time.perf_counter())
    return {
        "speech.gap.seconds": max(later - sooner for sooner, later in itertools.pairwise(times)),
        "speech.medium.factor": (clock() - started) / seconds,
        "speech.medium.wall.factor": (time.perf_counter() - begun) / seconds,
    }


def _long(voice: Voice, clock: Clock) -> Values:
    started = clock()
    audio = voice.say(LONG)
    return {"speech.long.factor": (clock() - started) / audio.seconds}


def _read(voice: Voice, clock: Clock) -> Values:
    """How fast text becomes symbols."""
    seconds = seconds_of(lambda: deque(voice.sentences(_text()), 0), clock)
    return {"text.rate": len(_text()) / seconds}


def _length(chunk: AudioChunk) -> float:
    return len(chunk.samples) / chunk.sample_rate


def _other_emotion(voice: Voice) -> str | None:
    """The first that is not the voice's own; None where it has no other."""
    from sambert_trt.runtime.styles import RESERVED

    usual = (*RESERVED, voice.manifest.default_emotion, "")
    return next((name for name in learned_emotions(voice) if name not in usual), None)


@cache
def _text() -> str:
    """Many sentences, few of them alike."""
    return "".join(itertools.islice(generated_sentences(), 200))[:_CHARACTERS]
