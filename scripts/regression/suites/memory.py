"""What memory a process takes that speaks: at most, for long, and more with every sentence.

A round is one fresh process, which this module's `main` is. Two settings of glibc make it tell the
same each time: one arena for all threads, as which of several a thread gets is chance, and what is
free goes back to the system before a reading, as nobody holds it (a leak that fills such holes
would be unseen). So the peak is a few megabytes below that of a process left to itself.
"""

from __future__ import annotations

import ctypes
import gc
import itertools
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sambert_trt.engines.errors import SambertError

from ..fresh import answer, asked, settings_from_order
from ..opening import opened_voice
from ..record import NotMeasured
from ..suite import Settings
from ..text import MEDIUM, SHORT

if TYPE_CHECKING:
    from sambert_trt.runtime import Voice

__all__ = ["main", "measured", "rounds"]

_ENVIRONMENT = {"MALLOC_ARENA_MAX": "1"}
_TEXTS = (SHORT, MEDIUM)
"""What is said for the peak: a longer text's windows are no larger."""

_SETTLING = 9
"""Sentences after the texts until the growth is looked at: by then all pools have grown."""

_FURTHER = 40
_PATIENCE = 2.0
"""Seconds that threads have to end before a reading: their stacks would count."""

_STATUS = Path("/proc/self/status")


def rounds(settings: Settings) -> Iterator[Mapping[str, float]]:
    """`memory.{peak,steady,growth}`, on a card also `memory.device.peak`; in bytes.

    Raises:
        NotMeasured: the system does not tell a process's memory.
        SambertError: the process failed, e.g. because the voice cannot be opened.
    """
    _resident()
    while True:
        yield asked("regression.suites.memory", settings, _ENVIRONMENT)


def main() -> None:
    """The fresh process: measures itself and answers."""
    settings = settings_from_order(sys.argv[1])
    answer(sys.argv[2], settings, measured(settings))


def measured(settings: Settings) -> dict[str, float]:
    """What this process takes while it speaks, from opening the voice on."""
    card = _Card(settings.backend)
    with opened_voice(settings) as voice:
        for text in _TEXTS:
            _say(voice, text, card)
        peak, sentences = _peak(), _sentences()
        for text in itertools.islice(sentences, _SETTLING):
            _say(voice, text, card)
        _settle()
        before = _own()
        for text in itertools.islice(sentences, _FURTHER):
            _say(voice, text, card)
        _settle()
        found = {"memory.steady": _resident(), "memory.growth": _own() - before}
    return {
        "memory.peak": peak,
        **found,
        **card.found(),
    }


class _Card:
    """The most that this process has taken of the card, looked at after every chunk."""

    def __init__(self, backend: str) -> None:
        self._asked, self._most = backend != "cpu", 0

    def look(self) -> None:
        """Asks the driver."""
        if self._asked:
            from sambert_trt.runtime.devices import process_bytes

            self._most = max(self._most, process_bytes(os.getpid()) or 0)

    def found(self) -> dict[str, float]:
        """The metric; nothing where the driver does not tell."""
        return {"memory.device.peak": self._most} if self._most else {}


def _say(voice: Voice, text: str, card: _Card) -> None:
    for _ in voice.stream(text):
        card.look()


def _sentences() -> Iterator[str]:
    """Short, and no two alike: what is kept by text grows."""
    return (f"{number}人。" for number in itertools.count(21))


def _settle() -> None:
    """Waits until nothing runs, and gives back what is free."""
    until = time.monotonic() + _PATIENCE
    while threading.active_count() > 1 and time.monotonic() < until:
        time.sleep(0.001)
    gc.collect()
    with suppress(OSError, AttributeError, TypeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)


def _own() -> int:
    """Bytes in memory that are no file's: which pages of libraries are mapped is chance."""
    return _from_status("RssAnon") if _STATUS.exists() else _resident()


def _resident() -> int:
    """Bytes of this process in memory.

    Raises:
        NotMeasured: the system does not tell them.
    """
    return _from_status("VmRSS") if _STATUS.exists() else int(_facts().rss)


def _peak() -> int:
    """The most bytes of this process that were in memory at once."""
    if _STATUS.exists():
        return _from_status("VmHWM")
    if sys.platform == "win32":
        return int(_facts().peak_wset)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS counts bytes


def _facts() -> Any:  # noqa: ANN401  # psutil comes without types
    """What psutil knows of this process's memory.

    Raises:
        NotMeasured: it is not installed.
    """
    try:
        psutil = import_module("psutil")
    except ImportError:
        raise NotMeasured(
            "there is no /proc here, so psutil has to tell a process's memory: pip install psutil"
        ) from None
    return psutil.Process().memory_info()


def _from_status(name: str) -> int:
    for line in _STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    raise SambertError(f"{_STATUS} has no line {name}")


if __name__ == "__main__":
    main()
