"""What a candidate may cost in sound: quality budgets by name, and read from a line of text.

Standard library only.

What the numbers of the budgets rest on. Measured with the demonstration voice, 4 sentences, means:

    what was done                         MCD   LSD  PESQ   STOI  mel MAE
    vocoder in fp16, every op rounded    0.04  0.09  4.62  1.000
    vocoder, weights of 8 bits           0.17  0.33  4.61  1.000
    vocoder, weights of 5 bits           1.04  1.84  4.16  0.994
    vocoder, Conv in int8, min-max       1.63  1.64  3.09  0.996
    noise on the mel before the vocoder  0.06  0.14  4.62  1.000   0.003
                                         0.35  0.83  4.11  0.992   0.02
                                         0.68  1.51  3.62  0.983   0.05
                                         1.88  3.61  2.15  0.893   0.2
    white noise on the wave, 60 dB down  0.04  0.08  4.56  1.000
                             40 dB down  1.00  0.79  3.51  1.000
                             20 dB down  6.28  8.66  1.32  0.973
    the wave in 10 bits                  0.29  0.43  4.05  1.000
    0.1 semitone higher, 0.6 % shorter   2.03  5.27  4.29  0.874

A recogniser heard no more wrong syllables in any of these than in fp32 (70 syllables, of which it
misheard 29 in fp32 and 23 to 29 elsewhere): words are the last to suffer.

MCD is the root mean square in dB between two smoothed spectra. For envelopes of speech, 1 dB on
average with no frame beyond 4 dB is not told from the original (K. K. Paliwal, B. S. Atal, IEEE
Trans. Speech and Audio Processing 1(1), 1993). It does not hear noise between harmonics; PESQ does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from types import MappingProxyType

from sambert_trt.engines.errors import InputError

from .figures import Figures, Limits

__all__ = ["LIMITS", "limits_from_text", "unmeasured"]


_TRANSPARENT = Limits(
    mel_mae=0.003,
    mel_lsd_p99=0.5,
    mcd=0.1,
    lsd=0.3,
    pesq=4.4,
    stoi=0.995,
    f0_correlation=0.995,
    duration_changes=0.01,
    duration_largest=1,
    worst_mcd=0.2,
    worst_pesq=4.2,
)
_CLOSE = Limits(
    mel_mae=0.025,
    mel_lsd_p99=1.0,
    mcd=0.3,
    lsd=1.0,
    pesq=3.8,
    stoi=0.98,
    f0_correlation=0.98,
    duration_changes=0.01,
    duration_largest=2,
    worst_mcd=0.5,
    worst_pesq=3.5,
)
_SMALL = Limits(
    mel_mae=0.05,
    mel_lsd_p99=4.0,
    mcd=1.0,
    lsd=2.5,
    pesq=3.0,
    stoi=0.95,
    f0_correlation=0.95,
    duration_changes=0.03,
    duration_largest=4,
    worst_mcd=1.5,
    worst_pesq=2.6,
)

LIMITS: Mapping[str, Limits] = MappingProxyType(
    {"transparent": _TRANSPARENT, "close": _CLOSE, "small": _SMALL}
)
"""Budgets by name.

`transparent`: what fp16 costs, and no more. A trained voice in fp16 has a mel MAE of 0.002, 0.35 dB
in its 99th frame of 100, 0.6 % of durations changed, each by one frame; its vocoder an MCD of 0.04
and a PESQ of 4.62. Weights of 8 bits already fall out.

`close`: meant not to be told from fp32 without comparing the two side by side; nobody has listened
yet. MCD a third of the 1 dB above. PESQ 3.8 is nearly the 4 that listeners call good, as P.862.2
predicts them, between a wave of 10 bits and white noise 40 dB below speech. A mel MAE of
0.02 gives an MCD of about 0.3 through the vocoder; int8 in a postnet costs that much. One duration
in a hundred, by at most two frames of 12.5 ms: durations that differ by 25 ms are just told apart
(D. H. Klatt, JASA 59, 1976). f0: rounding leaves the correlation above 0.999, a melody that comes
50 ms late has 0.79.

`small`: for size; heard side by side, each word as clear. The 1 dB and 4 dB above in full; PESQ
3 is what listeners call fair; an STOI of 0.95 is that of white noise 16 dB below speech.

One sentence may be worse than the mean allows, but `worst_mcd` and `worst_pesq` bound by how much.
"""

_HIGHEST = {"pesq": 4.64, "worst_pesq": 4.64, "stoi": 1.0, "f0_correlation": 1.0}
_OFF = "off"
_NAMES = tuple(field.name for field in fields(Limits))


def limits_from_text(text: str) -> Limits:
    """A budget from `close`, `mcd=0.3,pesq=3.8` or `close,mcd=0.5,pesq=off`.

    A name comes first and sets all limits; each `key=value` then sets one, `key=off` lifts one.

    Raises:
        InputError: an unknown name or key, a value out of range, something given twice.
    """
    parts = [part.strip() for part in text.split(",")]
    named = "=" not in parts[0]
    limits = _preset(parts[0]) if named else Limits()
    changes: dict[str, float | None] = {}
    for part in parts[named:]:
        key, value = _entry(part)
        if key in changes:
            raise InputError(f"the budget {text!r} sets {key} twice: set it once")
        changes[key] = value
    return replace(limits, **changes)  # type: ignore[arg-type] # _value gives whole numbers where due


def unmeasured(figures: Figures, limits: Limits) -> tuple[str, ...]:
    """Names of figures that are limited but were not measured: nobody knows whether they hold."""
    names = dict.fromkeys(
        name.removeprefix("worst_") for name in _NAMES if getattr(limits, name) is not None
    )
    return tuple(name for name in names if getattr(figures, name) is None)


def _preset(name: str) -> Limits:
    found = LIMITS.get(name)
    if found is None:
        raise InputError(
            f"the budget {name!r} is none of {', '.join(LIMITS)}, and no limit such as mcd=0.3"
        )
    return found


def _entry(part: str) -> tuple[str, float | None]:
    key, mark, written = (piece.strip() for piece in part.partition("="))
    if part in LIMITS:
        raise InputError(f"the budget {part!r} must come first, before single limits")
    if not mark or key not in _NAMES:
        raise InputError(f"{part!r} is no limit: write key=value with a key of {', '.join(_NAMES)}")
    return key, None if written == _OFF else _value(key, written)


def _value(key: str, written: str) -> float:
    highest = _HIGHEST.get(key, math.inf)
    try:
        value = float(written)
    except ValueError:
        value = math.nan
    whole = key == "duration_largest"
    if not 0 <= value <= highest or math.isinf(value) or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        span = "from 0" if math.isinf(highest) else f"from 0 to {highest:g}"
        raise InputError(f"{key}={written}: needs {kind} {span}, or {_OFF}")
    return int(value) if whole else value
