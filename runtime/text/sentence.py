"""The types a text becomes: symbols in sentences. Numpy-free; imports nothing of the project."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Sentence", "Symbol"]


@dataclass(frozen=True)
class Symbol:
    """One row of a voice's input.

    `units` are the linguistic fields in order (phone, tone, syllable flag, word position; or one
    byte value). `emotion` and `speaker` are None where the request's style decides.
    """

    units: tuple[str, ...]
    emotion: str | None = None
    speaker: str | None = None


@dataclass(frozen=True)
class Sentence:
    """One breath of input: what was written, what is spoken, and the silence after it in seconds.

    `pause` is None where the synthesizer's own gap applies.
    """

    text: str
    symbols: tuple[Symbol, ...]
    pause: float | None = None
