"""The losses of a run as a picture: a panel for each, readable at 1200 pixels.

matplotlib is imported where a picture is drawn.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.errors import InputError
from sambert_trt.runtime.audio import replaced_file

from .loss_log import RESERVED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["check_plotting", "draw_losses", "suits_log", "trend"]

_COLUMNS, _WIDTH, _PANEL, _DPI = 3, 12.0, 2.8, 100
_RAW, _TREND = "#9db8cf", "#1b4f72"
_SPREAD = 3.0
"""A loss that falls by this factor or more has a logarithmic axis."""


def check_plotting() -> None:
    """Finds out before hours of training whether pictures can be drawn.

    Raises:
        InputError: matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise InputError("matplotlib draws the losses and is missing: pip install matplotlib")


def draw_losses(lines: Sequence[Mapping[str, float]], path: Path, title: str) -> None:
    """Draws every loss, and the learning rate, over the steps; without lines, nothing.

    Args:
        lines: as in losses.jsonl.
        path: of the PNG, which is replaced whole.

    Raises:
        OutputError: it cannot be written.
    """
    if not lines:
        return
    figure = _figure(lines, title)
    with replaced_file(path) as fresh:
        figure.savefig(fresh, format="png", dpi=_DPI)


def _figure(lines: Sequence[Mapping[str, float]], title: str) -> Figure:
    from matplotlib.figure import Figure

    names = dict.fromkeys(name for line in lines for name in line)
    drawn = [*(name for name in names if name not in RESERVED), "lr"]
    rows = math.ceil(len(drawn) / _COLUMNS)
    figure = Figure(figsize=(_WIDTH, _PANEL * rows + 0.6), layout="constrained")
    last = lines[-1]
    figure.suptitle(f"{title}: {last['step']:,} steps, {last['seconds'] / 3600:.2f} h")
    axes = list(figure.subplots(rows, _COLUMNS, squeeze=False).flat)
    for panel, name in zip(axes, drawn, strict=False):
        _draw(panel, name, [(line["step"], line[name]) for line in lines if name in line])
    for panel in axes[len(drawn) :]:
        panel.set_axis_off()
    return figure


def _draw(panel: Axes, name: str, points: Sequence[tuple[float, float]]) -> None:
    steps, values = np.array(points, np.float64).T
    smooth = trend(values)
    panel.plot(steps, values, color=_RAW, linewidth=0.8, marker="." if len(steps) < 3 else "")
    panel.plot(steps, smooth, color=_TREND, linewidth=1.6)
    if suits_log(smooth):
        panel.set_yscale("log")
    panel.set_title(f"{name}  {smooth[-1]:.4g}", fontsize=11)
    panel.set_xlabel("step", fontsize=9)
    panel.locator_params(axis="x", nbins=5)
    panel.grid(visible=True, which="both", alpha=0.25)


def trend(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centred means [n] over about a thirtieth of the values [n], over fewer at both ends."""
    reach = len(values) // 60
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    near = np.minimum(np.minimum(places, places[::-1]), reach)
    means: NDArray[np.float64] = (sums[places + near + 1] - sums[places - near]) / (2 * near + 1)
    return means


def suits_log(values: NDArray[np.float64]) -> bool:
    """Whether a logarithmic axis shows more: all are positive, and far apart."""
    return bool(values.min() > 0 and values.max() >= _SPREAD * values.min())
