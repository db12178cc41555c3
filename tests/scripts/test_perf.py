"""The script by itself: it starts, and its exit codes are those that its help names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("explain", "stage.vocoder.seconds"), 0, "one call of a stage"),
        (("explain", "no.such.metric"), 2, "perf: no metric 'no.such.metric'"),
    ],
)
def test_it_runs_from_anywhere(
    root: Path, tmp_path: Path, words: tuple[str, ...], status: int, told: str
) -> None:
    finished = subprocess.run(
        (sys.executable, str(root / "scripts" / "perf.py"), *words),
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert finished.returncode == status
    assert told in finished.stdout + finished.stderr
