"""What the attributes of SSML tags mean: factors, shifts, seconds, readings. No heavy imports."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sambert_trt.engines.errors import InputError
from sambert_trt.engines.manifest import F0Rule

from .marks import Pause
from .phones import clean_pinyin, phones_from_syllable
from .ranges import INTENSITY, PAUSE
from .readings import is_hanzi, numbered_pinyin

__all__ = [
    "LONGEST_BREAK",
    "PitchScale",
    "inline_readings",
    "intensity_from_text",
    "pause_from_attributes",
    "pitch_from_text",
    "pitch_scale_from_rule",
    "rate_from_text",
    "seconds_from_text",
    "seconds_together",
    "volume_from_text",
]

LONGEST_BREAK = 10.0
"""Seconds."""

_RATES = {"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "default": 1.0, "fast": 1.33, "x-fast": 2.0}
_SEMITONES = {"x-low": -6.0, "low": -3.0, "medium": 0.0, "default": 0.0, "high": 3.0, "x-high": 6.0}
_VOLUMES = {
    "silent": 0.0,
    "x-soft": 0.25,
    "soft": 0.5,
    "medium": 1.0,
    "default": 1.0,
    "loud": 1.5,
    "x-loud": 2.0,
}
_STRENGTHS = {
    "none": Pause("#1", 0.0),
    "x-weak": Pause("#1"),
    "weak": Pause("#2"),
    "medium": Pause("#3"),
    "strong": Pause("#4"),
    "x-strong": Pause("#4", 1.0),
}
_NUMBER = r"([0-9]{1,6}(?:\.[0-9]{1,6})?|\.[0-9]{1,6})"
_VALUE = re.compile(rf"([+-]?){_NUMBER}\s*(%|[A-Za-z]+|秒|毫秒)?", re.ASCII)
_SECONDS = {"s": 1.0, "ms": 0.001, "秒": 1.0, "毫秒": 0.001}
_ERHUA = re.compile(r"(?!er[1-6])([a-zü:]+)r([1-6])")


@dataclass(frozen=True)
class PitchScale:
    """What shifts in semitones and hertz are to a voice.

    Attributes:
        mean: of its pitch, in hertz.
        unit: the hertz of one unit of its pitch contour, a standard deviation where the voice was
            normalised by mean and deviation.

    The defaults are those of a Mandarin woman's voice, and stand in for voices that carry no
    pitch of their own.
    """

    mean: float = 210.0
    unit: float = 55.0

    def shift(self, ratio: float) -> float:
        """The shift that multiplies the mean pitch by a ratio."""
        return self.mean * (ratio - 1) / self.unit


def pitch_scale_from_rule(rule: F0Rule | None) -> PitchScale:
    """The scale of a voice; where pitch was normalised by a range, its mean is the usual one."""
    if rule is None:
        return PitchScale()
    mean = rule.offset if rule.offset > rule.floor else PitchScale.mean
    return PitchScale(mean, rule.scale)


def rate_from_text(text: str) -> float:
    """What speed is multiplied with: `fast`, `1.2`, `80%`, `+10%`.

    Raises:
        InputError: another form.
    """
    units = {"": _itself, "%": _percent, "±%": _more_percent}
    return _measured("rate", text, _RATES, units, "a factor as 1.2, 80%, +10%")


def pitch_from_text(text: str, scale: PitchScale) -> float:
    """The shift of the pitch contour: `high`, `+2st`, `-10%`, `+20Hz`.

    Raises:
        InputError: another form.
    """

    def semitones(number: float) -> float:
        return scale.shift(2 ** (min(max(number, -120.0), 120.0) / 12))

    units = {
        "st": semitones,
        "±st": semitones,
        "±hz": lambda hertz: hertz / scale.unit,
        "%": lambda percent: scale.shift(_percent(percent)),
        "±%": lambda percent: scale.shift(_more_percent(percent)),
    }
    labels = {name: semitones(number) for name, number in _SEMITONES.items()}
    return _measured("pitch", text, labels, units, "+2st, +10%, +20Hz")


def volume_from_text(text: str) -> float:
    """What samples are multiplied with: `soft`, `+6dB`, `50` of 100, `80%`, `-20%`.

    Raises:
        InputError: another form.
    """

    def of_hundred(number: float) -> float:
        if number > 100:
            raise InputError(f"volume {_short(text)}: needs 0 to 100; +6dB is louder")
        return number / 100

    def decibels(number: float) -> float:
        return float(10 ** (min(max(number, -200.0), 200.0) / 20))

    units = {
        "": of_hundred,
        "%": _percent,
        "±%": _more_percent,
        "db": decibels,
        "±db": decibels,
    }
    return _measured("volume", text, _VOLUMES, units, "0 to 100, 80%, +6dB")


def seconds_from_text(name: str, text: str) -> float:
    """A time of `500ms` or `0.5s`.

    Raises:
        InputError: another form, or more than ten seconds.
    """
    match = _VALUE.fullmatch(text.strip())
    factor = _SECONDS.get(match[3] or "") if match else None
    if match is None or factor is None or match[1] == "-":
        raise InputError(f"{name} {_short(text)}: needs seconds or milliseconds, as 0.5s or 500ms")
    seconds = float(match[2]) * factor
    if seconds > LONGEST_BREAK:
        raise InputError(f"{name} {_short(text)}: needs 0s to {LONGEST_BREAK:g}s")
    return seconds


def seconds_together(first: float | None, second: float | None) -> float | None:
    """How long two silences in one place last; None leaves a silence to the voice.

    Raises:
        InputError: more than a minute.
    """
    if first is None or second is None:
        return second if first is None else first
    if first + second > PAUSE[1]:
        raise InputError(
            f"pauses of {first + second:g} seconds in one place: need {PAUSE[1]:g} at most"
        )
    return first + second


def intensity_from_text(text: str) -> float:
    """The intensity of an emotion.

    Raises:
        InputError: no number from 0 to 2.
    """
    least, most = INTENSITY
    match = _VALUE.fullmatch(text.strip())
    if match is None or match[1] == "-" or match[3] or not least <= float(match[2]) <= most:
        raise InputError(f"intensity {_short(text)}: needs a number from {least:g} to {most:g}")
    return float(match[2])


def pause_from_attributes(attributes: Mapping[str, str]) -> Pause:
    """A break's pause; without attributes one as at a comma.

    Raises:
        InputError: a time or strength that is none.
    """
    strength = attributes.get("strength", "medium").strip()
    if strength not in _STRENGTHS:
        raise InputError(f"strength {_short(strength)}: needs {_names(_STRENGTHS)}")
    pause = _STRENGTHS[strength]
    if "time" not in attributes:
        return pause
    return Pause(pause.level, seconds_from_text("time", attributes["time"]))


def inline_readings(text: str, spelled: str) -> str:
    """A text with a reading after each Chinese character: 重庆, `chong2 qing4` gives
    `重[chong2]庆[qing4]`. The 儿 of erhua takes none: 玩儿, `wanr2`.

    Raises:
        InputError: a syllable that is none, or not one for each character.
    """
    characters = [character for character in text if is_hanzi(character)]
    syllables = [_syllable(part) for part in spelled.split()]
    read = _with_erhua(characters, syllables)
    if len(read) != len(characters):
        raise InputError(
            f"ph {_short(spelled)} gives {len(syllables)} syllables, {_short(text)} has "
            f"{len(characters)} Chinese characters: give one syllable for each"
        )
    given = iter(read)
    return "".join(c + (next(given) if is_hanzi(c) else "") for c in text)


def _with_erhua(characters: list[str], syllables: list[str]) -> list[str]:
    """Readings in brackets; for each 儿 that is part of the syllable before it an empty one."""
    read: list[str] = []
    for syllable in syllables:
        match = _ERHUA.fullmatch(syllable)
        if match and characters[len(read) + 1 : len(read) + 2] == ["儿"]:
            read += [f"[{match[1]}{match[2]}]", ""]
        else:
            read.append(f"[{syllable}]")
    return read


def _syllable(written: str) -> str:
    numbered = clean_pinyin(written if written[-1:].isdigit() else numbered_pinyin(written))
    match = _ERHUA.fullmatch(numbered)
    try:
        phones_from_syllable(match[1] + match[2] if match else numbered)
    except InputError:
        raise InputError(
            f"ph: {_short(written)} is no pinyin syllable with its tone, as chong2"
        ) from None
    return numbered


def _measured(
    name: str,
    text: str,
    labels: Mapping[str, float],
    units: Mapping[str, Callable[[float], float]],
    forms: str,
) -> float:
    """The value of a label or of a number with its unit; `±` marks units of signed numbers."""
    stripped = text.strip()
    if stripped in labels:
        return labels[stripped]
    if match := _VALUE.fullmatch(stripped):
        convert = units.get(("±" if match[1] else "") + (match[3] or "").lower())
        if convert is not None:
            return convert(float(match[1] + match[2]))
    raise InputError(f"{name} {_short(text)}: needs {forms}, or {_names(labels)}")


def _itself(number: float) -> float:
    return number


def _percent(number: float) -> float:
    return number / 100


def _more_percent(number: float) -> float:
    return max(100 + number, 0.0) / 100


def _names(labels: Mapping[str, object]) -> str:
    return ", ".join(labels)


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "…")
