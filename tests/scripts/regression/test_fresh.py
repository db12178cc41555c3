"""A fresh process is told what to measure, may print what it likes, and fails in its words."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from regression.fresh import asked
from regression.suite import Settings

from sambert_trt.engines.errors import SambertError

Program = Callable[[str], str]


@pytest.fixture
def program(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Writes a module that fresh processes find."""

    def written(code: str) -> str:
        head = "import os, sys\nfrom regression.fresh import answer, settings_from_order\n"
        (tmp_path / "asked_module.py").write_text(head + code, encoding="utf-8")
        return "asked_module"

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), str(root / "scripts"))))
    return written


def test_what_was_asked_arrives_and_the_answer_comes_back(
    program: Program, root: Path, tmp_path: Path
) -> None:
    module = program(
        "settings = settings_from_order(sys.argv[1])\n"
        "print('{', flush=True)\n"
        "seen = len(settings.plant), len(os.environ['ARENAS']), len(os.listdir())\n"
        "answer(sys.argv[2], settings, dict(zip(('plant', 'arenas', 'files'), seen)))\n"
    )
    settings = Settings(root, tmp_path, tmp_path, plant="leak:5MB")
    before = set(tmp_path.iterdir())
    found = asked(module, settings, {"ARENAS": "four"})
    assert found == {"plant": 8, "arenas": 4, "files": 0}
    assert {path for path in tmp_path.iterdir() if path.name != "__pycache__"} == before


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("sys.exit('the voice is hoarse')", ["status 1", "the voice is hoarse"]),
        ("print('last words', flush=True); os._exit(7)", ["status 7", "last words"]),
    ],
)
def test_a_process_that_fails_is_quoted(
    program: Program, root: Path, tmp_path: Path, code: str, said: list[str]
) -> None:
    with pytest.raises(SambertError) as caught:
        asked(program(code), Settings(root, tmp_path, tmp_path))
    assert all(text in str(caught.value) for text in ["asked_module", *said])


def test_a_process_of_another_tree_has_no_answer(
    program: Program, root: Path, tmp_path: Path
) -> None:
    module = program(
        "settings = settings_from_order(sys.argv[1])\nanswer(sys.argv[2], settings, {})\n"
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    wrong: Any = Settings(elsewhere, tmp_path, tmp_path)
    with pytest.raises(SambertError, match=r"not from the tree .*elsewhere"):
        asked(module, wrong)
