"""How much speech a voice gives in a second when several threads ask it at once.

Only the wall tells that. The voice may work with as many threads as a user's own would by default.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ..opening import opened_voice
from ..suite import Settings
from ..text import SHORT
from ..timing import in_turn

if TYPE_CHECKING:
    from sambert_trt.runtime import Voice

__all__ = ["rounds"]

_SPEAKERS = (1, 2, 4)


def rounds(settings: Settings) -> Iterator[Mapping[str, float]]:
    """`throughput.{speakers}.factor`, one number of speakers a round.

    Raises:
        SambertError: the voice or the backend cannot be used.
    """
    threads = max(settings.threads, min(os.cpu_count() or 1, max(_SPEAKERS)))
    with opened_voice(replace(settings, threads=threads)) as voice:
        yield from in_turn([partial(_factor, voice, count) for count in _SPEAKERS], settings)


def _factor(voice: Voice, speakers: int) -> dict[str, float]:
    """Seconds of speech for a second, from when all have begun until the last is done."""
    together = threading.Barrier(speakers + 1)

    def speak() -> float:
        together.wait()
        return voice.say(SHORT).seconds

    with ThreadPoolExecutor(speakers) as pool:
        futures = [pool.submit(speak) for _ in range(speakers)]
        together.wait()
        started = time.perf_counter()
        spoken = sum(future.result() for future in futures)
        return {f"throughput.{speakers}.factor": spoken / (time.perf_counter() - started)}
