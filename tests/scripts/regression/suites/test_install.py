"""The tree's own declarations decide what counts; fresh processes tell what was imported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from regression.record import NotMeasured
from regression.suite import Settings
from regression.suites import install

from sambert_trt.engines.errors import InputError

PROJECT = """
[project]
dependencies = [{dependencies}]
[project.optional-dependencies]
cpu = []
[tool.setuptools.package-dir]
"sambert_trt.runtime" = "runtime"
"sambert_trt.runtime.text" = "runtime/text"
[tool.setuptools.package-data]
"sambert_trt.runtime.text" = ["py.typed", "data/*.txt"]
"""


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    """A tree whose files in the wheel have 11 and 25 bytes."""
    text = tmp_path / "runtime" / "text"
    (text / "data").mkdir(parents=True)
    (tmp_path / "runtime" / "a.py").write_bytes(bytes(11))
    (tmp_path / "runtime" / "notes.md").write_bytes(bytes(1000))
    (text / "b.py").write_bytes(bytes(5))
    (text / "data" / "words.txt").write_bytes(bytes(20))
    (text / "data" / "words.bak").write_bytes(bytes(1000))

    def made(*dependencies: str) -> Path:
        content = PROJECT.format(dependencies=", ".join(map(repr, dependencies)))
        (tmp_path / "pyproject.toml").write_text(content, encoding="utf-8")
        return tmp_path

    return made


def test_what_is_loaded_and_how_large_it_is(
    tree: Callable[..., Path], tiny_voice: Callable[[str], Path], tmp_path: Path
) -> None:
    settings = Settings(tree(), tiny_voice("plain"), tmp_path)
    (found,) = install.rounds(settings)
    assert found["install.source.runtime.bytes"] == 11
    assert found["install.source.runtime_text.bytes"] == 25
    assert found["install.bytes"] == 36
    assert found["imports.forbidden"] == 0
    assert 100 < found["imports.text.modules"] < found["imports.modules"]


def test_forbidden_modules_are_counted(
    tree: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = "import json, sys\nsys.modules['torch'] = sys.modules['sambert_trt.export'] = json\n"
    monkeypatch.setattr(install, "_SPEAKS", loads)
    monkeypatch.setattr(install, "_READS", "import json, sys\n")
    (found,) = install.rounds(Settings(tree("numpy>=1.26"), tmp_path, tmp_path))
    assert found["imports.forbidden"] == 2
    assert found["install.bytes"] > 1_000_000


def test_a_requirement_that_is_not_installed_is_named(
    tree: Callable[..., Path], tmp_path: Path
) -> None:
    settings = Settings(tree("numpy", "sambert-nowhere>=2"), tmp_path, tmp_path)
    with pytest.raises(NotMeasured, match="sambert-nowhere: required by"):
        next(iter(install.rounds(settings)))


def test_a_runtime_that_cannot_speak_fails_with_its_last_words(
    tree: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="VoiceMissingError"):
        next(iter(install.rounds(Settings(tree(), tmp_path / "none", tmp_path))))
