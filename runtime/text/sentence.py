"""The types a text becomes: symbols in sentences. Numpy-free; reads only `marks`."""

from __future__ import annotations

from dataclasses import dataclass

from .marks import Manner

__all__ = ["Sentence", "Symbol"]


@dataclass(frozen=True)
class Symbol:
    """One row of a voice's input.

    Attributes:
        units: the linguistic fields in order (phone, tone, syllable flag, word position; or one
            byte value).
        emotion, speaker: names a symbol line carries; None where the request's style decides.
        manner: how it is spoken; what it names wins over the request's style, its speed is times
            and its shifts are on top of the style's. None is as the style says.
        seconds: what the symbol is to last, of a break; None leaves it to the voice.
    """

    units: tuple[str, ...]
    emotion: str | None = None
    speaker: str | None = None
    manner: Manner | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Sentence:
    """One breath of input: what was written, and what is spoken.

    Attributes:
        pause: the silence after it in seconds; None where the request's gap applies.
        lead: silence before it in seconds, beside the pause of the sentence before.
    """

    text: str
    symbols: tuple[Symbol, ...]
    pause: float | None = None
    lead: float = 0.0
