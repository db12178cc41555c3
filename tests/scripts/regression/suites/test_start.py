"""The start suite: processes that load nothing before their clocks run, and what they tell."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from regression import laps
from regression.catalogue import catalogue_from_file
from regression.suite import Settings
from regression.suites import start

NAMES = ("import", "ready", "audio", "text")


def test_a_start_is_told_in_order(
    tiny_voice: Callable[[str], Path], root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(root / "scripts"))
    settings = Settings(root, tiny_voice("plain"), tmp_path)
    with closing(start.rounds(settings)) as rounds:  # type: ignore[type-var]
        text, found = next(rounds), next(rounds)
    walls = [f"start.{name}.wall.seconds" for name in ("ready", "audio")]
    assert set(found) == {*(f"start.{name}.seconds" for name in NAMES[:3]), *walls}
    assert list(text) == ["start.text.seconds"]
    catalogue = catalogue_from_file()
    assert {catalogue.metric(name).suite for name in (*text, *found)} == {"start"}
    told = [found[f"start.{name}.seconds"] for name in NAMES[:3]]
    assert 0 < told[0] < told[1] < told[2]
    assert 0 < found[walls[0]] < found[walls[1]]
    assert text["start.text.seconds"] > 0


@pytest.mark.parametrize("module", ["bare_voice", "bare_text"])
def test_nothing_that_is_measured_is_loaded_before(module: str, root: Path) -> None:
    code = f"import sys\nimport regression.{module}\nprint(*sys.modules, sep='\\n')"
    finished = subprocess.run(
        (
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path.append({str(root / 'scripts')!r})\n{code}",
        ),
        check=True,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env=dict(os.environ),
    )
    loaded = {name for name in finished.stdout.split() if not name.startswith(("_", "encodings"))}
    heavy = {"dataclasses", "importlib", "inspect", "json", "pathlib", "re", "subprocess", "typing"}
    assert not loaded & {*heavy, "numpy", "sambert_trt"}


def test_laps_count_no_time_between(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0, 100.0]
    monkeypatch.setattr(laps, "_now", lambda: tuple(now))

    def pass_by(seconds: float) -> None:
        now[:] = [now[0] + seconds, now[1] + 2 * seconds]

    watch = laps.Laps()
    pass_by(1.0)
    watch.lap("first")
    pass_by(50.0)
    watch.go_on()
    pass_by(3.0)
    watch.lap("second")
    assert watch.found == {
        "first.processor": 1.0,
        "first.wall": 2.0,
        "second.processor": 4.0,
        "second.wall": 8.0,
    }


@pytest.mark.skipif(os.name != "posix", reason="the wall's clock is the only one")
def test_a_card_is_waited_for_by_the_wall(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {f"{name}.{clock}": clock == "wall" for name in NAMES for clock in ("processor", "wall")}
    monkeypatch.setattr(start, "asked", lambda module, settings: told)
    by_wall = {
        backend: {
            name
            for values in itertools.islice(
                start.rounds(Settings(root, tmp_path, tmp_path, backend=backend)), 2
            )
            for name, value in values.items()
            if value
        }
        for backend in ("cpu", "tensorrt")
    }
    always = {"start.ready.wall.seconds", "start.audio.wall.seconds"}
    assert by_wall == {
        "cpu": always,
        "tensorrt": {*always, "start.ready.seconds", "start.audio.seconds"},
    }
