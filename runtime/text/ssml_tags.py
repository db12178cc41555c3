"""The tags of SSML that are known, and what each does to the words in it.

Standard library, and the readings of say-as.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from sambert_trt.engines.errors import InputError

from .marks import Manner
from .normalize import read_as
from .ranges import SHIFT, SPEED, VOLUME
from .ssml_formats import FORMATS, read_formatted
from .ssml_values import (
    PitchScale,
    inline_readings,
    intensity_from_text,
    pitch_from_text,
    rate_from_text,
    volume_from_text,
)
from .warned import warn

__all__ = ["ATTRIBUTES", "NESTED", "READ_WHOLE", "REQUIRED", "manner_inside", "unknown_format"]

logger = logging.getLogger(__name__)

_PROSODY = frozenset(("rate", "pitch", "volume"))
_PINYIN = ("py", "pinyin", "x-pinyin")

ATTRIBUTES: Mapping[str, frozenset[str]] = {
    "speak": _PROSODY | {"voice"},
    "s": frozenset(),
    "p": frozenset(),
    "break": frozenset(("time", "strength")),
    "emotion": frozenset(("category", "intensity")),
    "prosody": _PROSODY,
    "phoneme": frozenset(("alphabet", "ph")),
    "say-as": frozenset(("interpret-as", "format")),
    "sub": frozenset(("alias",)),
    "voice": frozenset(("name",)),
    "w": frozenset(),
    "token": frozenset(),
}
"""What each known tag may carry."""

REQUIRED: Mapping[str, str] = {
    "emotion": "category",
    "phoneme": "ph",
    "say-as": "interpret-as",
    "sub": "alias",
    "voice": "name",
}
"""What some must carry."""

NESTED = frozenset(("w", "token"))
"""Tags that change nothing and may stand inside those that are read whole."""


def manner_inside(
    tag: str, attributes: Mapping[str, str], outer: Manner, scale: PitchScale
) -> Manner:
    """How words inside a tag are spoken.

    Raises:
        InputError: a value that is none, or one that is out of range together with the outer tags'.
    """
    if tag == "emotion":
        given = attributes.get("intensity")
        intensity = None if given is None else intensity_from_text(given)
        return replace(outer, emotion=_name(attributes, "category"), intensity=intensity)
    if tag == "voice":
        return replace(outer, speaker=_name(attributes, "name"))
    if tag in ("prosody", "speak"):
        speaker = _name(attributes, "voice") if "voice" in attributes else outer.speaker
        return _prosody(attributes, replace(outer, speaker=speaker), scale)
    return outer


def unknown_format(tag: str, attributes: Mapping[str, str]) -> str | None:
    """The format of a say-as that nothing is known about; None where there is none."""
    form = attributes.get("format")
    if tag != "say-as" or form is None:
        return None
    return None if form.strip().lower() in FORMATS.get(_kind(attributes), ()) else form


def _prosody(attributes: Mapping[str, str], outer: Manner, scale: PitchScale) -> Manner:
    speed, pitch, volume = outer.speed, outer.pitch, outer.volume
    if (rate := attributes.get("rate")) is not None:
        speed = _within(f"rate {rate!r}", "speed", speed * rate_from_text(rate), SPEED)
    if (shift := attributes.get("pitch")) is not None:
        pitch = _within(f"pitch {shift!r}", "shift", pitch + pitch_from_text(shift, scale), SHIFT)
    if (gain := attributes.get("volume")) is not None:
        volume = _within(f"volume {gain!r}", "gain", volume * volume_from_text(gain), VOLUME)
    return replace(outer, speed=speed, pitch=pitch, volume=volume)


def _within(asked: str, name: str, value: float, bounds: tuple[float, float]) -> float:
    least, most = bounds
    if not least <= value <= most:
        raise InputError(f"{asked} makes the {name} {value:g}: needs {least:g} to {most:g}")
    return value


def _name(attributes: Mapping[str, str], attribute: str) -> str:
    name = attributes[attribute].strip()
    if not name:
        raise InputError(f"{attribute} is empty: needs a name")
    return name


def _phoneme(text: str, attributes: Mapping[str, str]) -> str:
    alphabet = attributes.get("alphabet", _PINYIN[0]).strip().lower()
    if alphabet not in _PINYIN:
        raise InputError(f"alphabet {alphabet!r}: needs {' or '.join(_PINYIN[:2])}")
    return inline_readings(text, attributes["ph"])


def _say_as(text: str, attributes: Mapping[str, str]) -> str:
    kind, form = _kind(attributes), attributes.get("format", "").strip().lower()
    if form in FORMATS.get(kind, ()):
        said = read_formatted(kind, form, text)
        if said is not None:
            return said
        warn(logger, "%r is no %s of the format %s; it is read as any", text[:40], kind, form)
    return read_as(kind, text)


def _kind(attributes: Mapping[str, str]) -> str:
    return attributes["interpret-as"].strip().lower()


def _alias(_: str, attributes: Mapping[str, str]) -> str:
    return attributes["alias"]


READ_WHOLE: Mapping[str, Callable[[str, Mapping[str, str]], str]] = {
    "phoneme": _phoneme,
    "say-as": _say_as,
    "sub": _alias,
}
"""Tags whose text is replaced once all of it is there."""
