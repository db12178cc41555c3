"""Losses as a picture: every loss has its panel, at a size that can be read."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from demo_voice.loss_log import RESERVED
from demo_voice.loss_plots import draw_losses, suits_log, trend

from sambert_trt.engines.errors import OutputError

LINES = [
    {"step": 20.0 * n, "seconds": 9.0 * n, "lr": 1e-3, "mel": 2.0 / n, "pitch": 0.5, "late": 1.0}
    for n in range(1, 200)
]


def size(path: Path) -> tuple[int, int]:
    """Width and height of a PNG."""
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def test_few_losses_are_a_row_on_1200_pixels(tmp_path: Path) -> None:
    path = tmp_path / "losses.png"
    draw_losses([{name: line[name] for name in (*RESERVED, "mel")} for line in LINES], path, "a")
    width, height = size(path)
    assert width == 1200
    assert height < 400
    assert list(tmp_path.iterdir()) == [path]


def test_a_fourth_panel_begins_a_row_whose_other_places_are_blank(tmp_path: Path) -> None:
    from matplotlib.image import imread

    path = tmp_path / "losses.png"
    draw_losses(LINES, path, "acoustic")
    pixels = imread(path)[..., :3]
    height, width = pixels.shape[:2]
    assert (width, height > 550) == (1200, True)
    assert pixels[3 * height // 5 :, 2 * width // 3 + 20 :].min() == 1.0
    assert pixels[3 * height // 5 :, : width // 3].min() < 0.5


def test_one_line_is_enough(tmp_path: Path) -> None:
    draw_losses(LINES[:1], tmp_path / "losses.png", "acoustic")
    assert size(tmp_path / "losses.png")[0] == 1200


def test_without_losses_there_is_no_picture(tmp_path: Path) -> None:
    draw_losses([], tmp_path / "losses.png", "acoustic")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "losses.png").mkdir()
    with pytest.raises(OutputError, match=r"losses.png is a folder"):
        draw_losses(LINES, tmp_path / "losses.png", "acoustic")


def test_a_trend_is_straight_where_the_values_are() -> None:
    straight = np.linspace(5.0, -3.0, 400)
    assert trend(straight) == pytest.approx(straight)
    noisy = straight + np.where(np.arange(400) % 2, 1.0, -1.0)
    assert np.abs(trend(noisy) - straight)[10:-10].max() < 0.1
    assert trend(np.array([4.0])) == pytest.approx([4.0])


@pytest.mark.parametrize(
    ("values", "fits"), [((3.0, 1.0), True), ((2.9, 1.0), False), ((3.0, 0.0), False)]
)
def test_a_loss_that_falls_far_is_drawn_logarithmically(
    values: tuple[float, float], fits: bool
) -> None:
    assert suits_log(np.array(values)) is fits
