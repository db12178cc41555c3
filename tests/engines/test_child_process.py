"""Processes of our own see our modules, not what lies in the folder they were started from."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sambert_trt.engines.child_process import python_command, started

SAYING = "import os, sys\nprint(sys.stdin.read(), os.getcwd(), sys.flags.utf8_mode, sep='\\n')\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder beside the one that the user is in, which holds a module."""
    private, user = tmp_path / "private", tmp_path / "user"
    private.mkdir()
    (user / "modules").mkdir(parents=True)
    (user / "surely_mine.py").write_text("print('poisoned')\n", encoding="utf-8")
    (user / "modules" / "surely_theirs.py").write_text(SAYING, encoding="utf-8")
    monkeypatch.chdir(user)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return private


def answer(module: str, folder: Path, said: str = "") -> list[str]:
    """The lines that a module prints."""
    process = started(python_command(module), folder, subprocess.DEVNULL)
    return process.communicate(said.encode())[0].decode().splitlines()


def test_what_lies_in_the_user_folder_is_not_imported(folder: Path) -> None:
    assert answer("surely_mine", folder) == []


def test_places_of_modules_are_found_from_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "modules")
    heard, place, utf8 = answer("surely_theirs", folder, "你好")
    assert (heard, utf8) == ("你好", "1")
    assert Path(place).samefile(folder)
