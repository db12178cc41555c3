"""How many calls Python makes in the hot loops: the same at every run, unlike their time.

Threads that wait for each other do so a few times more or less, as chance has it. So what the
standard library calls while it hands work over is left out; what remains has been the same in
every process.
"""

from __future__ import annotations

import concurrent.futures
import gc
import itertools
import queue
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

from ..loops import TEXTS_OF_LOOPS, loops_of_voice
from ..suite import Settings

__all__ = ["calls_of", "rounds"]

_HANDING_OVER = (
    threading.__file__,
    queue.__file__,
    str(Path(concurrent.futures.__file__).parent),
)


def rounds(settings: Settings) -> Iterator[Mapping[str, float]]:
    """`calls.{loop}`, once.

    Raises:
        SambertError: the voice or the backend cannot be used.
    """
    with loops_of_voice(settings) as loops:
        for name, loop in loops.items():
            loop(TEXTS_OF_LOOPS[name])
        yield {
            f"calls.{name}": calls_of(partial(loop, TEXTS_OF_LOOPS[name]))
            for name, loop in loops.items()
        }


def calls_of(work: Callable[[], object]) -> int:
    """Calls of Python and C functions, those of the threads that the work starts included."""
    counter = itertools.count()  # whose steps no other thread can come between

    def seen(frame: FrameType, event: str, argument: object) -> None:
        if event in ("call", "c_call") and not frame.f_code.co_filename.startswith(_HANDING_OVER):
            next(counter)

    with _profiled(seen):
        work()
    return next(counter)


@contextmanager
def _profiled(seen: Callable[[FrameType, str, object], None]) -> Iterator[None]:
    gc.collect()
    gc.disable()
    threading.setprofile(seen)
    sys.setprofile(seen)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        gc.enable()
