"""What is left out of a text, and what the front end's modules warn of. Standard library only."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .reading import Normalized

__all__ = ["collected_warnings", "left_out", "warn"]

_KEPT: ContextVar[list[str] | None] = ContextVar("kept", default=None)

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


def warn(logger: logging.Logger, message: str, *values: object) -> None:
    """Logs a warning and keeps it for the reading that is under way, whatever is logged."""
    logger.warning(message, *values)
    kept = _KEPT.get()
    if kept is not None:
        kept.append(message % values)


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """The warnings of this thread meanwhile, in order."""
    messages: list[str] = []
    token = _KEPT.set(messages)
    try:
        yield messages
    finally:
        _KEPT.reset(token)
