"""What Python allocates in the hot loops, and what it still holds when they were repeated.

numpy's arrays are seen, what ONNX Runtime allocates for itself is not.
"""

from __future__ import annotations

import gc
import itertools
import tracemalloc
from collections.abc import Iterator, Mapping

from soak import generated_sentences

from ..loops import TEXTS_OF_LOOPS, Loop, loops_of_voice
from ..suite import Settings

__all__ = ["rounds"]

_EARLY = 5
"""Sentences after which everything that is made once has been made."""

_REPEATED = 55
"""Sentences more: a planted leak is spread over fifty."""


def rounds(settings: Settings) -> Iterator[Mapping[str, float]]:
    """`allocation.*`, once.

    Raises:
        SambertError: the voice or the backend cannot be used.
    """
    with loops_of_voice(settings) as loops:
        found = {}
        for name, texts in (("text", _sentences()), ("say", _numbers())):
            loop = loops[name]
            loop(TEXTS_OF_LOOPS[name])
            found[f"allocation.{name}.peak"] = _peak(loop, TEXTS_OF_LOOPS[name])
            found[f"allocation.{name}.kept"] = _kept(loop, texts)
        yield found


def _sentences() -> list[str]:
    """Different ones: a cache that each of them fills grows."""
    return [*itertools.islice(generated_sentences(), _EARLY + _REPEATED)]


def _numbers() -> list[str]:
    """Different and quickly said."""
    return [f"{number}号。" for number in range(10, 10 + _EARLY + _REPEATED)]


def _peak(loop: Loop, text: str) -> int:
    """The most bytes of one pass above what was held before."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        loop(text)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def _kept(loop: Loop, texts: list[str]) -> int:
    """Bytes that the passes after the early ones leave behind."""
    tracemalloc.start()
    try:
        for text in texts[:_EARLY]:
            loop(text)
        before = _held()
        for text in texts[_EARLY:]:
            loop(text)
        return _held() - before
    finally:
        tracemalloc.stop()


def _held() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
