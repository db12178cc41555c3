"""The package's public names: all there, and none of them loaded for who does not ask."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import sambert_trt.runtime as package


def declared() -> dict[str, str]:
    """The names that type checkers see, and the modules they see them in."""
    assert package.__file__ is not None
    tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def test_what_type_checkers_see_is_what_there_is() -> None:
    assert sorted(declared()) == sorted(package.__all__)
    for name, module in declared().items():
        found = getattr(package, name)
        assert found is getattr(import_module(f"sambert_trt.runtime.{module}"), name)
    assert set(package.__all__) <= set(dir(package))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"sambert_trt\.runtime.*nothing_like_this"):
        _ = package.nothing_like_this


def test_reading_text_does_not_load_numpy() -> None:
    script = (
        "import sys\n"
        "from sambert_trt.runtime.text import MandarinFrontend\n"
        "next(MandarinFrontend().readings('今天天气真好'))\n"
        "print(sorted({'numpy', 'soundfile', 'soxr', 'onnxruntime'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
