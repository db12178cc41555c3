"""How long a fresh process takes until it can speak, and until it has read a text.

Every round starts a process that has imported nothing else and times itself. The file cache is
warm. Processor seconds are those of all threads; the wall's show whether they work side by side.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from ..clock import clock_of_process
from ..fresh import asked
from ..suite import Settings

__all__ = ["rounds"]


def rounds(settings: Settings) -> Iterator[Mapping[str, float]]:
    """`start.text.seconds` in one round, what the voice's start takes in the next.

    Raises:
        SambertError: a process failed, e.g. because the voice cannot be opened.
    """
    while True:
        text = asked("regression.bare_text", settings)
        yield {"start.text.seconds": text[f"text.{_clock('cpu')}"]}
        voice = asked("regression.bare_voice", settings)
        yield {
            "start.import.seconds": voice[f"import.{_clock('cpu')}"],
            "start.ready.seconds": voice[f"ready.{_clock(settings.backend)}"],
            "start.audio.seconds": voice[f"audio.{_clock(settings.backend)}"],
            "start.ready.wall.seconds": voice["ready.wall"],
            "start.audio.wall.seconds": voice["audio.wall"],
        }


def _clock(backend: str) -> str:
    return "wall" if clock_of_process(backend) is time.perf_counter else "processor"
