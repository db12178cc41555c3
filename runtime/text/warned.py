"""What is left out of a text, and what the front end's modules warn of. Standard library only."""

from __future__ import annotations

import logging
import re
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from .reading import Normalized

__all__ = ["collected_warnings", "left_out"]

_ORDINARY = re.compile(r"[\s!-~，、；：。！？…—“”‘’（）《》〈〉「」『』【】·\u4e00-\u9fff]*")
"""What a sentence mostly is; of such characters none is left out without a warning elsewhere."""

_KEY_CAP = re.compile("[0-9#*](?=\ufe0f?\u20e3)")
"""A digit that is an emoji together with what follows."""


def left_out(written: str, normalized: Normalized) -> tuple[str, str]:
    """The letters and digits, and the signs, that were written and of which nothing is said."""
    if _ORDINARY.fullmatch(written):
        return "", ""
    said = normalized.said.union(m.start() for m in _KEY_CAP.finditer(written))
    lost = dict.fromkeys(c for i, c in enumerate(written) if i not in said)
    kinds = {c: unicodedata.category(c)[0] for c in lost}
    letters = "".join(c for c in lost if kinds[c] in "LN")
    return letters, "".join(c for c in lost if kinds[c] == "S" and not c.isascii())


@contextmanager
def collected_warnings(logger: logging.Logger) -> Iterator[list[str]]:
    """The warnings that this thread logs meanwhile to a logger or to those below it."""
    collector = _Collector()
    logger.addHandler(collector)
    try:
        yield collector.messages
    finally:
        logger.removeHandler(collector)


class _Collector(logging.Handler):
    """Keeps the messages of its own thread."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.messages.append(record.getMessage())
