"""How a text's own marks have its symbols delivered, beside the request's style.

Numpy only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.errors import InputError

from .styles import Style, check_number
from .text.marks import Manner
from .text.ranges import INTENSITY, PAUSE, SHIFT, SPEED, VOLUME
from .text.sentence import Sentence, Symbol

__all__ = ["Delivery", "delivery_from_sentence"]

_PLAIN = Manner()


@dataclass(frozen=True)
class Delivery:
    """What marks add to the style, float32 [N], a row for each symbol.

    Attributes:
        speed: times the style's.
        pitch, energy: added to the style's, in standard deviations of the voice.
        volume: what samples are multiplied with.
        seconds: how long a pause lasts, NaN where the voice decides.
    """

    speed: NDArray[np.float32]
    pitch: NDArray[np.float32]
    energy: NDArray[np.float32]
    volume: NDArray[np.float32]
    seconds: NDArray[np.float32]

    def rows(self, origins: NDArray[np.int64]) -> Delivery:
        """For rows that come from these symbols, ascending; a symbol's last row is itself."""
        seconds = self.seconds[origins]
        seconds[np.diff(origins, append=-1) == 0] = np.nan
        return Delivery(
            self.speed[origins],
            self.pitch[origins],
            self.energy[origins],
            self.volume[origins],
            seconds,
        )

    def limits(self, frame_seconds: float) -> NDArray[np.float32]:
        """The most frames a symbol may have: a pause no more than it lasts, others any number."""
        whole = np.floor(self.seconds.astype(np.float64) / frame_seconds + 1e-6)
        return np.where(np.isnan(whole), np.inf, whole).astype(np.float32)


def delivery_from_sentence(sentence: Sentence, style: Style) -> Delivery | None:
    """What a sentence's marks add to a style; None where it has no marks.

    Raises:
        InputError: a value, or what it makes together with the style's, is out of range.
    """
    symbols = sentence.symbols
    if not any(_is_marked(symbol) for symbol in symbols):
        return None
    manners = [symbol.manner or _PLAIN for symbol in symbols]
    for manner in set(manners):
        _check_manner(manner, style)
    for symbol in symbols:
        if symbol.seconds is not None:
            check_number("seconds of a pause", symbol.seconds, *PAUSE)
    seconds = [math.nan if symbol.seconds is None else symbol.seconds for symbol in symbols]
    return Delivery(
        np.array([manner.speed for manner in manners], np.float32),
        np.array([manner.pitch for manner in manners], np.float32),
        np.array([manner.energy for manner in manners], np.float32),
        np.array([manner.volume for manner in manners], np.float32),
        np.array(seconds, np.float32),
    )


def _is_marked(symbol: Symbol) -> bool:
    return symbol.seconds is not None or (symbol.manner is not None and not symbol.manner.plain)


def _check_manner(manner: Manner, style: Style) -> None:
    check_number("volume", manner.volume, *VOLUME)
    if manner.intensity is not None:
        check_number("intensity", manner.intensity, *INTENSITY)
    check_number("speed", manner.speed, SPEED[0] / SPEED[1], SPEED[1] / SPEED[0])
    _check_sum("speed", manner.speed * style.speed, style.speed, manner.speed, *SPEED)
    for name, own, asked in (
        ("pitch", manner.pitch, style.pitch),
        ("energy", manner.energy, style.energy),
    ):
        check_number(name, own, 2 * SHIFT[0], 2 * SHIFT[1])
        _check_sum(name, own + asked, asked, own, *SHIFT)


def _check_sum(name: str, whole: float, asked: float, own: float, *bounds: float) -> None:
    least, most = bounds
    if not least <= whole <= most:
        raise InputError(
            f"{name} {whole:g}, of {asked:g} asked for and {own:g} in the text: "
            f"needs a number from {least:g} to {most:g} together"
        )
