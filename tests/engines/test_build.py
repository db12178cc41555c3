"""The builder's process from inside: which card, which flags, and what products differ in.

What needs the full TensorRT, or a driver, runs on small stand-ins: packages of those names that
hold TensorRT for RTX, and a driver that knows one card.
"""

from __future__ import annotations

import ast
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sambert_trt.engines.build as build_file
from sambert_trt.engines.graphs import Stage
from sambert_trt.engines.voice import manifest_from_directory

pytestmark = pytest.mark.export

FEATURE_TESTED = {
    "ComputeCapability",
    "num_compute_capabilities",
    "set_compute_capability",
}
"""What build.py uses only where it is there; the flag of user allocation is looked up by name."""

DRIVER = """
class _Status(int):
    name = "CUDA_ERROR_NO_DEVICE"
class CUresult:
    CUDA_SUCCESS = 0
class CUdevice_attribute:
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 0
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 1
CARD = {card!r}
def cuInit(flags):
    return (_Status(0 if CARD else 100),)
def cuDeviceGet(ordinal):
    return 0, ordinal
def cuDeviceGetAttribute(attribute, device):
    return 0, CARD[attribute]
"""

TENSORRT = """
from tensorrt_rtx_bindings.tensorrt_rtx import *
from tensorrt_rtx_bindings import tensorrt_rtx as _module
__version__ = "10.12.0.36"
"""

Place = Callable[..., Path]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Makes a folder of stand-ins: a driver that knows a card, and perhaps the full TensorRT."""

    def place(card: tuple[int, int] | None, *, tensorrt: bool = False) -> Path:
        folder = tmp_path / "packages"
        files = {"cuda/__init__.py": "", "cuda/bindings/__init__.py": ""}
        files["cuda/bindings/driver.py"] = DRIVER.format(card=card)
        if tensorrt:
            files |= {"tensorrt_bindings/__init__.py": TENSORRT, "tensorrt_libs/__init__.py": ""}
            for name in ("tensorrt_bindings", "tensorrt_libs"):
                info = f"{name}-10.12.0.36.dist-info"
                files[f"{info}/METADATA"] = f"Name: {name}\nVersion: 10.12.0.36\n"
                files[f"{info}/top_level.txt"] = f"{name}\n"
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        return folder

    return place


def command(voice: Path, folder: Path, *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    """sambert-build in a Python that finds the stand-ins: its status, JSON lines and errors."""
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    finished = subprocess.run(
        (
            *(sys.executable, "-m", "sambert_trt.engines.cli", str(voice)),
            *("--json", "--stage", "memory_kv", *arguments),
        ),
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    lines = [json.loads(line) for line in finished.stdout.splitlines()]
    return finished.returncode, lines, finished.stderr


def test_the_card_of_this_machine_is_built_for_by_its_own_name(voice: Path, place: Place) -> None:
    for arguments in ((), ("--target", "current")):
        status, (line,), _ = command(voice, place((8, 9)), *arguments)
        assert status == 0
        assert line["targets"] == ["sm_89"]


def test_a_card_the_product_does_not_know(voice: Path, place: Place) -> None:
    status, lines, said = command(voice, place((9, 0)))
    assert (status, lines) == (1, [])
    assert "does not build for sm_90; it builds for sm_75, sm_80, sm_86, sm_89, sm_120" in said


@pytest.mark.parametrize("tensorrt", [False, True])
def test_a_driver_without_a_card(voice: Path, place: Place, tensorrt: bool) -> None:
    flavour = "tensorrt" if tensorrt else "rtx"
    folder = place(None, tensorrt=tensorrt)
    status, lines, said = command(voice, folder, "--flavour", flavour)
    assert (status, lines) == (1, [])
    assert "finds no card here (CUDA_ERROR_NO_DEVICE)" in said
    assert ("--flavour rtx" if tensorrt else "--target rtx3070") in said


def test_tensorrt_builds_for_its_own_card_alone(voice: Path, place: Place) -> None:
    folder = place((8, 6), tensorrt=True)
    status, (line,), _ = command(voice, folder, "--flavour", "tensorrt", "--target", "rtx3070")
    assert status == 0
    assert (line["flavour"], line["version"], line["targets"]) == (
        *("tensorrt", "10.12.0.36"),
        ["sm_86"],
    )
    status, lines, said = command(voice, folder, "--flavour", "tensorrt", "--target", "rtx4090")
    assert (status, lines) == (1, [])
    assert "the card it runs on, which is sm_86, not for sm_89: build there" in said


def test_lean_plans_are_another_plan_of_tensorrt(voice: Path, place: Place) -> None:
    folder = place((8, 6), tensorrt=True)
    command(voice, folder, "--flavour", "tensorrt")
    status, (line,), _ = command(voice, folder, "--lean")
    assert status == 0
    assert line["flavour"] == "tensorrt"
    assert line["reason"].startswith("flags: ")
    record = json.loads(Path(line["plan"]).with_name("record.json").read_text(encoding="utf-8"))
    assert {"version_compatible", "exclude_lean_runtime"} < set(record["spec"]["flags"])
    assert record["spec"]["workspace"] == 256 << 20


def test_rtx_is_preferred_where_both_are_installed(voice: Path, place: Place) -> None:
    status, (line,), _ = command(voice, place((8, 6), tensorrt=True))
    assert (status, line["flavour"]) == (0, "rtx")


@pytest.mark.parametrize("whole", [False, True])
def test_a_builder_without_a_parent_ends(voice: Path, tmp_path: Path, whole: bool) -> None:
    file = manifest_from_directory(voice).stages[Stage.VOCODER].file
    plan = tmp_path / "plan"
    job = {
        "directory": str(voice),
        "file": dataclasses.asdict(file),
        "shapes": [["mel", [1, 1, 10], [1, 8, 10], [1, 9, 10]]],
        "workspace": 0,
        "plan": str(plan),
        "log": str(tmp_path / "log"),
    }
    request = {"flavour": "rtx", "targets": ["sm_86"], "lean": False, "tf32": False}
    text = json.dumps({**request, "jobs": [job] * 50})
    finished = subprocess.run(
        (sys.executable, "-m", "sambert_trt.engines.build"),
        input=f"{text}\n" if whole else text[:90],
        capture_output=True,
        encoding="utf-8",
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 1
    assert '"done"' not in finished.stdout
    assert not whole or "Traceback" not in finished.stderr


def members_used() -> set[str]:
    """Every name that build.py takes from something, or asks for by name."""
    tree = ast.parse(Path(build_file.__file__).read_text(encoding="utf-8"))
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def test_every_supported_version_has_what_is_used(root: Path) -> None:
    listed = json.loads((root / "tests/runtime/data/trt_api.json").read_text(encoding="utf-8"))
    builders = {name: classes for name, classes in listed.items() if "Builder" in classes}
    assert {name.partition(" ")[0] for name in builders} == {"tensorrt", "tensorrt_rtx"}
    known = {
        name: {*classes, *(member for members in classes.values() for member in members)}
        for name, classes in builders.items()
    }
    used = members_used() & set.union(*known.values())
    assert {"create_network", "max_aux_streams", "STRONGLY_TYPED", "IProgressMonitor"} <= used
    for name, members in known.items():
        assert used - members <= FEATURE_TESTED, name
