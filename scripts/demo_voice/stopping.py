"""Ctrl-C, SIGTERM and a closed terminal as a wish that a loop grants between two steps.

Standard library only.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Stop", "stop_on_signals"]

_HANGUP = getattr(signal, "SIGHUP", None)
_SIGNALS = [one for one in (signal.SIGINT, signal.SIGTERM, _HANGUP) if one is not None]


class Stop:
    """Whether the end was asked for; who asks twice does not wait."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self, number: int, frame: FrameType | None) -> None:
        """Handles a signal.

        Raises:
            KeyboardInterrupt: for the second one; but a closed terminal hurries nobody.
        """
        if self.asked and number != _HANGUP:
            raise KeyboardInterrupt
        self.asked = True


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Takes the signals over for the block.

    One that is ignored stays so, as a job in the background or under nohup wants it; and outside
    the main thread they all stay as they are.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    before = {number: one for number, one in before.items() if one not in (signal.SIG_IGN, None)}
    try:
        for number in before:
            signal.signal(number, stop.ask)
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
