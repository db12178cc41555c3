"""What travels between parent and worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from regression.suite import Settings
from regression.worker import data_from_settings, settings_from_data


def test_settings_travel_as_json(tmp_path: Path) -> None:
    settings = Settings(
        tmp_path,
        tmp_path / "voice",
        tmp_path / "work",
        source=tmp_path / "source",
        backend="cuda",
        precision="fp16",
        threads=2,
        full=True,
        plant="leak:5MB",
        extra={"against": ["a", "b"]},
    )
    assert settings_from_data(json.loads(json.dumps(data_from_settings(settings)))) == settings


def test_paths_become_absolute_and_an_absent_one_stays_absent() -> None:
    found = settings_from_data(data_from_settings(Settings(Path("a"), Path("b"), Path("c"))))
    assert (found.tree, found.voice, found.work) == tuple(Path(x).absolute() for x in "abc")
    assert found.source is None


def test_a_worker_ends_with_its_input_and_says_what_it_does_not_know(
    obedient: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = obedient("base", rounds=1)
    order = {"module": "obedient", "settings": data_from_settings(settings)}
    places = (settings.tree / "build" / "ns", tmp_path / "scripts")
    finished = subprocess.run(
        (sys.executable, "-m", "regression.worker"),
        input="\n".join((json.dumps(order), "next", "dance", "next", "next")),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places))},
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    answers = [json.loads(line) for line in finished.stdout.splitlines()]
    assert answers[0] == {"ready": True}
    assert answers[1] == {"values": {"number": 0.0, "one": 1.0}}
    assert answers[2]["failed"] == "a worker was asked 'dance': it knows next and identity"
    assert answers[3:] == [{"end": True}] * 2
    assert "{stray: words}" in finished.stderr
    assert "more of them" in finished.stderr
