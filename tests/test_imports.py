"""What importing the runtime brings along, asked of a fresh Python."""

from __future__ import annotations

import subprocess
import sys

import pytest

FORBIDDEN = (
    "torch",
    "onnx",
    "yaml",
    "safetensors",
    "sambert_trt.export",
    "sambert_trt.calibration",
)
BARE = ("calibration", "engines", "export", "runtime")


def imported_by(statement: str) -> set[str]:
    """The names in sys.modules after a statement ran in a Python of its own."""
    program = f"import sys\n{statement}\nprint(*sys.modules, sep='\\n')"
    finished = subprocess.run(
        (sys.executable, "-c", program), capture_output=True, text=True, check=False
    )
    if finished.returncode:
        pytest.fail(finished.stderr, pytrace=False)
    return set(finished.stdout.split())


@pytest.mark.parametrize("module", ["sambert_trt.runtime", "sambert_trt.runtime.cli"])
def test_the_runtime_brings_no_build_time_package(module: str) -> None:
    found = imported_by(f"import {module}")
    assert module in found
    assert not found.intersection(FORBIDDEN)


def test_the_contracts_bring_only_the_standard_library() -> None:
    found = imported_by("import sambert_trt.engines.manifest, sambert_trt.engines.voice")
    assert not found.intersection((*FORBIDDEN, "numpy", "onnxruntime", "sambert_trt.runtime"))


def test_the_export_command_starts_without_torch() -> None:
    """--help and a wrong option are answered before the seconds that torch takes to load."""
    assert not imported_by("import sambert_trt.export.cli").intersection(("torch", "onnx"))


@pytest.mark.parametrize("package", ["export.cli", "runtime.cli", "calibration", "engines.voice"])
def test_no_package_is_imported_under_a_bare_name(package: str) -> None:
    """A bare `engines` beside `sambert_trt.engines` would be a second copy of every class."""
    assert not imported_by(f"import sambert_trt.{package}").intersection(BARE)
