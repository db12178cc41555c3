"""A candidate that judges itself more mildly than its base does is told of, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from regression.catalogue import CATALOGUE, Better, Catalogue, Gate, Scale, catalogue_from_file
from regression.loosened import loosened

NAME = "install.source.{package}.bytes"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A tree with the catalogue as it is."""
    path = tmp_path / "scripts" / "regression" / "metrics.toml"
    path.parent.mkdir(parents=True)
    path.write_bytes(CATALOGUE.read_bytes())
    return tmp_path


def changed(**fields: Any) -> Catalogue:  # noqa: ANN401
    """The catalogue with another metric of that name."""
    ours = catalogue_from_file()
    metrics = (replace(m, **fields) if m.name == NAME else m for m in ours.metrics)
    return replace(ours, metrics=tuple(metrics))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"tolerance": 5.0}, f"tolerance of {NAME}: 0.1 in the base, 5 now"),
        ({"gate": Gate.NONE}, f"{NAME} is judged no more; the base judges it (limit)"),
        ({"gate": Gate.PAIRED}, f"gate of {NAME}: limit in the base, paired now"),
        ({"scale": Scale.DIFFERENCE}, f"scale of {NAME}: ratio in the base, difference now"),
        ({"better": Better.HIGHER}, f"better of {NAME}: lower in the base, higher now"),
        ({"optional": "at noon"}, f"{NAME} may lack now (at noon); in the base it may not"),
        ({"name": "other"}, f"{NAME} is no metric any more; the base judges it (limit)"),
    ],
)
def test_what_was_loosened_is_told(base: Path, fields: dict[str, Any], told: str) -> None:
    assert loosened(base, changed(**fields)) == (told,)


def test_a_wider_band_is_told(tmp_path: Path, base: Path) -> None:
    path = base / "scripts" / "regression" / "metrics.toml"
    text = path.read_text(encoding="utf-8").partition("\n[[band]]")[0]
    band = {"metric": "voice.bytes", "weights": "01234567", "least": 1, "most": 3, "why": "so"}
    lines = "".join(f"{name} = {value!r}\n" for name, value in band.items())
    path.write_text(f"{text}\n[[band]]\n{lines}", encoding="utf-8")
    theirs = catalogue_from_file(path)
    assert loosened(base, theirs) == ()
    for changes, told in (({"most": 2}, ()), ({"least": 0}, ("0 to 3 now",))):
        ours = replace(theirs, bands=(replace(theirs.bands[0], **changes),))
        found = loosened(base, ours)
        assert found == tuple(f"band of voice.bytes: 1 to 3 in the base, {t}" for t in told)
    (gone,) = loosened(base, replace(theirs, bands=()))
    assert gone.endswith("in the base, none now for the weights 01234567")


@pytest.mark.parametrize("fields", [{}, {"tolerance": 0.01}, {"title": "x", "how": "y"}])
def test_what_is_the_same_or_stricter_is_not(base: Path, fields: dict[str, Any]) -> None:
    assert loosened(base, changed(**fields)) == ()


def test_a_metric_that_was_only_shown_is_not_missed(base: Path) -> None:
    ours = catalogue_from_file()
    judged = tuple(m for m in ours.metrics if m.gate is not Gate.NONE)
    shown = replace(ours, metrics=judged)
    assert len(shown.metrics) < len(ours.metrics)
    assert loosened(base, shown) == ()


def test_a_base_without_a_catalogue_asked_for_nothing(tmp_path: Path) -> None:
    assert loosened(tmp_path, changed()) == ()


def test_a_catalogue_that_cannot_be_read_is_told(base: Path) -> None:
    (base / "scripts" / "regression" / "metrics.toml").write_text("[[metric]]\nname = 'x'\n")
    (told,) = loosened(base, changed())
    assert told.startswith("whether tolerances grew cannot be told: ")
