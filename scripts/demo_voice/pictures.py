"""Pictures of an evaluation: mels beside the recording's, and how high each emotion speaks.

matplotlib is imported where something is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sambert_trt.calibration.canvas import LIGHT, blank, dress, png_of

from .examination import MelPair

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["mel_picture", "pitch_picture"]

_DPI = 110
_LOWEST, _HIGHEST, _BINS = 80.0, 420.0, 60
_SPREAD = 2.5
_COLOURS = (LIGHT.after, LIGHT.bad, "#4c956c", "#8e5aa8", "#b08900", LIGHT.text)


def mel_picture(pairs: Sequence[MelPair]) -> bytes:
    """PNG: each sentence's mel as recorded, and below it as the voice says it in the same time.

    Raises:
        ImportError: matplotlib is not installed.
    """
    figure = blank(LIGHT, 0.6 + 3.4 * max(len(pairs), 1), _DPI)
    rows = figure.subplots(max(2 * len(pairs), 1), 1, squeeze=False)[:, 0]
    for number, pair in enumerate(pairs):
        for axes, title, mel in zip(
            rows[2 * number : 2 * number + 2],
            (f"sentence {number + 1}, recording", f"sentence {number + 1}, voice"),
            (pair.teacher, pair.ours),
            strict=True,
        ):
            _mel(axes, mel, title)
    rows[-1].set_xlabel("frames", fontsize=9)
    return png_of(figure)


def _mel(axes: Axes, mel: NDArray[np.float32], title: str) -> None:
    dress(axes, LIGHT, title)
    axes.imshow(mel.T, origin="lower", aspect="auto", cmap="magma",
                vmin=-_SPREAD, vmax=_SPREAD, interpolation="nearest")  # fmt: skip
    axes.set_ylabel("mel band", fontsize=9)


def pitch_picture(pitches: Mapping[str, Mapping[str, Sequence[NDArray[np.float64]]]]) -> bytes:
    """PNG: the distribution of f0 by emotion, the voice's filled and the recording's as a line.

    Args:
        pitches: hertz of voiced frames, an array a sentence, by emotion and side (`speech`,
            `teacher`).

    Raises:
        ImportError: matplotlib is not installed.
    """
    figure = blank(LIGHT, 4.0, _DPI)
    axes = figure.subplots()
    dress(axes, LIGHT, "Pitch of voiced frames: filled the voice, line the recordings", "x")
    for number, (emotion, sides) in enumerate(pitches.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        _histogram(axes, sides.get("teacher", ()), colour, "", filled=False)
        _histogram(axes, sides.get("speech", ()), colour, emotion, filled=True)
    axes.set_xlabel("hertz", fontsize=9)
    axes.set_yticks([])
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=9)
    return png_of(figure)


def _histogram(
    axes: Axes, parts: Sequence[NDArray[np.float64]], colour: str, label: str, *, filled: bool
) -> None:
    hertz = np.concatenate([np.zeros(0), *parts])
    if not hertz.size:
        return
    edges = np.geomspace(_LOWEST, _HIGHEST, _BINS)
    counts, _ = np.histogram(hertz, edges)
    shares = counts / hertz.size
    if filled:
        axes.stairs(shares, edges, fill=True, color=colour, alpha=0.35, label=label)
    else:
        axes.stairs(shares, edges, color=colour, linewidth=1.5)
