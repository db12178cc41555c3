"""The script by itself: it starts, and its exit codes are those that its help names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def perf(
    root: Path, folder: Path, *words: str, python: tuple[str, ...] = (), path: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs the script in a folder.

    Args:
        python: options of the interpreter.
        path: a folder whose packages come before those that are installed.
    """
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        (sys.executable, *python, str(root / "scripts" / "perf.py"), *words),
        cwd=folder,
        env=outside if path is None else {**outside, "PYTHONPATH": str(path)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


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
    finished = perf(root, tmp_path, *words)
    assert finished.returncode == status
    assert told in finished.stdout + finished.stderr


def test_a_python_without_the_project_is_no_regression(root: Path, tmp_path: Path) -> None:
    finished = perf(root, tmp_path, "explain", python=("-S",))
    assert finished.returncode == 3
    assert finished.stdout == ""
    (told,) = finished.stderr.splitlines()
    assert told.startswith("perf: No module named 'sambert_trt'")
    assert "make env" in told
    assert "pip install -e" in told


@pytest.mark.parametrize("package", ["numpy", "sambert_trt"])
def test_a_package_that_is_broken_is_told_in_one_line(
    root: Path, tmp_path: Path, package: str
) -> None:
    words = f"raise ImportError('{package} is for another Python\\nmore of it')"
    (tmp_path / f"{package}.py").write_text(words, encoding="utf-8")
    finished = perf(root, tmp_path, "explain", path=tmp_path)
    assert finished.returncode == 3
    (told,) = finished.stderr.splitlines()
    assert told.startswith(f"perf: {package} is for another Python more of it: ")


def test_a_module_that_fails_otherwise_is_no_regression(root: Path, tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("raise ValueError('three legs')", encoding="utf-8")
    finished = perf(root, tmp_path, "explain", path=tmp_path)
    assert finished.returncode == 3
    assert "ValueError: three legs" in finished.stderr


@pytest.mark.parametrize("words", [("--help",), ("compare", "-h")])
def test_help_needs_nothing_installed(root: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    finished = perf(root, tmp_path, *words, python=("-S",))
    assert finished.returncode == 0
    assert "python scripts/perf.py compare --base main" in finished.stdout
    assert "make env" in finished.stderr
