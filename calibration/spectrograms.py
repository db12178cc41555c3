"""A report's pictures of its examples: fp32, the candidate, and their difference.

Needs matplotlib, which is imported where something is drawn. Numpy.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sambert_trt.runtime.backend import Array

from .canvas import Look, blank, dress, png_of
from .report_content import spectrogram_name
from .report_facts import Example, Renderings, Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["drawn_spectrograms", "power_spectrogram"]

_SPECTROGRAM_DPI = 110
_WINDOW, _HOP = 1024, 256
_FLOOR = -80.0
_MOST_DRAWN = 20.0
"""Seconds of a spectrogram: more than that are not told apart at this width."""
_CJK = ("Noto Sans CJK", "Source Han Sans", "Noto Sans SC", "WenQuanYi", "Microsoft YaHei",
        "SimHei", "PingFang", "Heiti", "Hiragino Sans GB", "Droid Sans Fallback")  # fmt: skip


def drawn_spectrograms(report: Report, look: Look) -> dict[str, bytes]:
    """A PNG of every example that has renderings, by its file's name.

    Raises:
        ImportError: matplotlib is not installed.
    """
    found = dict[str, bytes]()
    for example in report.examples:
        if example.renderings is not None and example.renderings.reference.size:
            figure = _spectrograms(example, example.renderings, look)
            found[spectrogram_name(example)] = png_of(figure)
    return found


def power_spectrogram(wave: Array) -> NDArray[np.float64]:
    """Power in dB, [_WINDOW // 2 + 1, frames]: a full-scale sine is 0, the floor -80."""
    samples = np.nan_to_num(np.asarray(wave, np.float64), nan=0.0, posinf=1.0, neginf=-1.0)
    padded = np.pad(samples, (_WINDOW // 2, _WINDOW // 2 + (-samples.size) % _HOP))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    taper = np.hanning(_WINDOW)
    spectrum = np.abs(np.fft.rfft(frames * taper)).T * (2 / taper.sum())
    decibels: NDArray[np.float64] = 20 * np.log10(np.maximum(spectrum, 1e-12))
    return np.maximum(decibels, _FLOOR)


def _spectrograms(example: Example, sides: Renderings, look: Look) -> Figure:
    """fp32, the candidate, and their difference, one below the other."""
    most = int(_MOST_DRAWN * sides.rate)
    first = power_spectrogram(sides.reference[:most])
    second = power_spectrogram(sides.candidate[:most])
    frames = min(first.shape[1], second.shape[1])
    # Margins that are known need not be found out, which takes half of the time.
    figure = blank(look, 8.2, _SPECTROGRAM_DPI, None)
    figure.subplots_adjust(left=0.074, right=0.955, bottom=0.06, top=0.94, hspace=0.17)
    axes = figure.subplots(3, 1, sharex=True, sharey=True)
    place = example.placement.value
    titles = ("fp32", f"as calibrated for {place}", f"difference, {place} - fp32{_shift(sides)}")
    images = (first, second, second[:, :frames] - first[:, :frames])
    for number, (axis, title, image) in enumerate(zip(axes, titles, images, strict=True)):
        dress(axis, look, title)
        shown = _image(axis, image, sides.rate, difference=number == 2)
        _colour_bar(figure, axis, shown, look)
        axis.set_ylabel("Hz", fontsize=9)
    axes[-1].set_xlabel("seconds", fontsize=9)
    words, font = _title(example)
    figure.text(0.01, 0.992, words, ha="left", va="top", color=look.text, parse_math=False,
                fontproperties=font)  # fmt: skip
    return figure


def _shift(sides: Renderings) -> str:
    """What makes a difference meaningless from some place on."""
    later = (sides.candidate.size - sides.reference.size) / sides.rate
    return f" (it lasts {abs(later):.3f} s {'longer' if later > 0 else 'less'})" if later else ""


def _image(axes: Axes, image: NDArray[np.float64], rate: int, *, difference: bool) -> Any:  # noqa: ANN401 - untyped
    extent = (0.0, image.shape[1] * _HOP / rate, 0.0, rate / 2)
    low, high, colours = (-15.0, 15.0, "RdBu_r") if difference else (_FLOOR, -10.0, "magma")
    return axes.imshow(image, origin="lower", aspect="auto", extent=extent, cmap=colours,
                       vmin=low, vmax=high, interpolation="nearest")  # fmt: skip


def _colour_bar(figure: Figure, axes: Axes, image: Any, look: Look) -> None:  # noqa: ANN401 - untyped
    bar = figure.colorbar(image, ax=axes, pad=0.01, fraction=0.04)
    bar.set_label("dB", color=look.text, fontsize=9)
    bar.ax.tick_params(colors=look.soft, labelcolor=look.text, labelsize=8)
    bar.outline.set_edgecolor(look.grid)


def _title(example: Example) -> tuple[str, Any]:
    """The sentence where a font has all of its characters, or else its number only."""
    text = f"Sentence {example.sentence}"
    words = "".join(c for c in example.text if c.isprintable())
    short = words if len(words) <= 40 else f"{words[:39]}…"
    font = _font_for(short) if short else None
    return (f"{text}: {short}", font) if font is not None else (text, None)


@cache
def _font_for(text: str) -> Any:  # noqa: ANN401 - untyped
    """Font properties of a font that has every character, or None."""
    from matplotlib.font_manager import FontProperties, findfont, fontManager
    from matplotlib.ft2font import FT2Font

    wanted = {ord(character) for character in f"{text}Sentence 0123456789:…"}
    known = [e.fname for name in _CJK for e in fontManager.ttflist if e.name.startswith(name)]
    for path in (findfont("DejaVu Sans"), *known):
        with suppress(OSError, RuntimeError):
            if wanted <= FT2Font(path).get_charmap().keys():
                return FontProperties(fname=path, size=12)
    return None
