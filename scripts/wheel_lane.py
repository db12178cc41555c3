"""Proves the wheel: complete, small, and speaking in an environment without torch.

Needs the voices that the test suite exported to build/test-voices, so it runs after it.
Standard library only.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

from setup_env import CONSTRAINTS, LAZILY, ROOT, SetupError, pip, python_of

ENVIRONMENT = ROOT / "build" / "wheel-env"
WHEELS = ROOT / "build" / "wheel"
VOICES = ROOT / "build" / "test-voices"
VOICES_VARIABLE = "SAMBERT_TRT_TEST_VOICES"
PACKAGES = ("calibration", "engines", "export", "runtime", "runtime/text")
LIMIT_MB = 230
ABSENT = ("torch", "onnx", "yaml", "safetensors")
TESTS = ("tests/engines", "tests/runtime")
SAID_BEFORE = tuple(
    f"tests/{folder}/test_{name}.py"
    for folder, names in {
        "engines": ("engine", "graphs", "manifest", "store"),
        "runtime": ("fallback", "residency", "trt_backend"),
        "runtime/text": ("normalize", "normalize_any", "ssml", "inline", "cuts", "split", "phones"),
    }.items()
    for name in names
)
"""What needs the standard library alone, text, or a pretended card, and ran a minute ago.

That the modules under these tests import nothing that is absent here is the `imports` check's.
"""
TOOLS = ("pytest", "pytest-xdist", "hypothesis", "filelock", "psutil")
PROOF = """
import importlib.util, sys
from pathlib import Path
import sambert_trt.runtime
place = Path(sambert_trt.runtime.__file__).resolve()
if Path(sys.prefix).resolve() not in place.parents:
    sys.exit(f"sambert_trt.runtime comes from {place}, not from the wheel")
found = [name for name in sys.argv[1:] if importlib.util.find_spec(name)]
if found:
    sys.exit(f"installed although the runtime has to do without: {', '.join(found)}")
"""


def main() -> int:
    """Runs the lane; returns the exit status."""
    try:
        wheel = build_wheel()
        check_content(wheel)
        make_bare_environment(wheel)
        check_size()
        return run_tests()
    except SetupError as error:
        print(f"wheel_lane: {error}", file=sys.stderr)
        return 1


def build_wheel() -> Path:
    """Builds the wheel from the checkout; returns its path.

    setuptools keeps build/lib between builds, and would pack what was deleted since.
    """
    for stale in (WHEELS, ROOT / "build" / "lib"):
        shutil.rmtree(stale, ignore_errors=True)
    here = Path(sys.prefix)
    pip(here, "wheel", "--no-deps", "-w", str(WHEELS), str(ROOT))
    shutil.rmtree(ROOT / "build" / "lib", ignore_errors=True)
    return next(WHEELS.glob("*.whl"))


def check_content(wheel: Path) -> None:
    """Raises SetupError unless the wheel holds exactly the tracked files of the packages."""
    expected = {f"sambert_trt/{path}" for path in tracked_files()}
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    missing, foreign = sorted(expected - packed), sorted(packed - expected)
    if missing or foreign:
        raise SetupError(
            f"{wheel.name} differs from the tracked files; missing: {', '.join(missing) or '-'}; "
            f"not tracked: {', '.join(foreign) or '-'}. Name every package in pyproject.toml "
            "and commit every file"
        )
    print(f"wheel_lane: {wheel.name} holds the {len(packed)} tracked files")


def tracked_files() -> list[str]:
    """The files of the packages that git tracks: Python sources and type markers."""
    listing = subprocess.run(
        ("git", "ls-files", "--", *PACKAGES), cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode != 0:
        raise SetupError(f"git ls-files failed in {ROOT}: {listing.stderr.strip()}")
    return [
        path for path in listing.stdout.splitlines() if path.endswith((".py", ".typed", ".txt"))
    ]


def make_bare_environment(wheel: Path) -> None:
    """Installs the wheel with [cpu] into a fresh environment and proves what is absent there."""
    venv.EnvBuilder(with_pip=True, clear=True).create(str(ENVIRONMENT))
    pip(ENVIRONMENT, "install", "-c", str(CONSTRAINTS), f"{wheel}[cpu]")
    proof = subprocess.run(
        (str(python_of(ENVIRONMENT)), "-c", PROOF, *ABSENT), cwd=ROOT / "build", check=False
    )
    if proof.returncode != 0:
        raise SetupError("the bare environment is not what it should be; see the line above")


def check_size() -> None:
    """Prints the size of the bare environment; raises SetupError where it passes the limit."""
    sizes = {
        path.name: sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())
        for folder in sorted(ENVIRONMENT.rglob("site-packages"))
        for path in folder.iterdir()
    }
    total = sum(sizes.values()) / 1e6
    print(f"wheel_lane: the installed [cpu] environment takes {total:.0f} MB, pip included")
    if total > LIMIT_MB:
        largest = sorted(sizes, key=lambda name: -sizes[name])[:5]
        listed = ", ".join(f"{name} {sizes[name] / 1e6:.0f} MB" for name in largest)
        raise SetupError(f"that is over the limit of {LIMIT_MB} MB; the largest: {listed}")


def run_tests() -> int:
    """Runs the tests of runtime and engines against the wheel; returns pytest's exit status."""
    if not any(VOICES.glob("*/voice.json")):
        raise SetupError(f"no exported voices in {VOICES}: run the tests check first")
    pip(ENVIRONMENT, "install", *LAZILY, "-c", str(CONSTRAINTS), *TOOLS)
    folders = [name for name in TESTS if (ROOT / name).is_dir()]
    pytest = str(python_of(ENVIRONMENT).with_name("pytest"))
    command = (pytest, "-p", "no:cacheprovider", "-n", "auto", "--dist", "worksteal", *folders)
    command += tuple(f"--ignore={path}" for path in SAID_BEFORE)
    environment = {**os.environ, VOICES_VARIABLE: str(VOICES)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        passed = 0
        for line in process.stdout:
            print(line, end="", flush=True)
            counted = re.search(r"(\d+) passed", line)
            passed = int(counted.group(1)) if counted else passed
    if process.returncode == 0 and passed == 0:
        raise SetupError("every test was skipped: the lane proved nothing")
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
