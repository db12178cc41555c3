"""What all pictures of a report are drawn on, for light and for dark pages.

Needs matplotlib, which is imported where something is drawn; it draws into memory (Agg) and leaves
its global state alone.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["DARK", "LIGHT", "Look", "blank", "compacted", "dress", "png_of"]

_DPI = 140
_WEBP_QUALITY = 80
_WIDTH = 10.0


@dataclass(frozen=True)
class Look:
    """The colours of a picture; the two of a pair differ in lightness, too."""

    page: str
    text: str
    soft: str
    grid: str
    before: str
    after: str
    bad: str


LIGHT = Look("#ffffff", "#1b2430", "#56616f", "#dde2e8", "#aab6c3", "#1f5fa8", "#c2410c")
DARK = Look("#1b2128", "#e6eaef", "#a3afbc", "#3a4550", "#5d6b79", "#8ab8f0", "#ffb27a")


def blank(
    look: Look,
    height: float,
    dpi: int = _DPI,
    layout: Literal["constrained"] | None = "constrained",
) -> Figure:
    """An empty figure, `height` inches high."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), dpi=dpi, facecolor=look.page, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def dress(axes: Axes, look: Look, title: str = "", grid: str = "") -> None:
    """The colours of axes, their title, and along which of them there are lines."""
    axes.set_facecolor(look.page)
    axes.tick_params(colors=look.soft, labelcolor=look.text, labelsize=9, length=3)
    for name, spine in axes.spines.items():
        spine.set_color(look.grid)
        spine.set_visible(name in ("left", "bottom"))
    axes.xaxis.label.set_color(look.text)
    axes.yaxis.label.set_color(look.text)
    if grid:
        axes.grid(axis=grid, color=look.grid, linewidth=0.8)  # type: ignore[arg-type]
        axes.set_axisbelow(True)
    if title:
        axes.set_title(title, loc="left", color=look.text, fontsize=11, fontweight="bold")


def png_of(figure: Figure) -> bytes:
    """A figure as a file."""
    content = io.BytesIO()
    figure.savefig(content, format="png", facecolor=figure.get_facecolor())
    return content.getvalue()


def compacted(png: bytes) -> bytes:
    """A picture as WebP: a spectrogram takes a third of its PNG."""
    from PIL import Image

    content = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").save(content, "WEBP", quality=_WEBP_QUALITY)
    return content.getvalue()
