"""A voice of their own for tests that build plans into it, and what a build needs."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def builder_installed() -> None:
    """Skips where no TensorRT for RTX is installed."""
    if importlib.util.find_spec("tensorrt_rtx_bindings") is None:
        pytest.skip("TensorRT for RTX is not installed: pip install 'sambert-trt[rtx]'")


@pytest.fixture
def voice(builder_installed: None, tiny_voice: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy of the tiny voice, without plans."""
    assert builder_installed is None
    target = tmp_path / "voice"
    shutil.copytree(tiny_voice("plain"), target, ignore=shutil.ignore_patterns("engines", "*.lock"))
    return target
