"""Runs every check of the project, all of them even when one fails. Standard library only.

The checks run in the environment of the Python that runs this file (see setup_env.py).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAMESPACE = ROOT / "build" / "ns" / "sambert_trt"
PACKAGES = ("calibration", "engines", "export", "runtime")
SETTINGS = {"PYTHONUTF8": "1", "OMP_NUM_THREADS": "1"}
"""pytest starts a worker per core: threads of their own would take turns on it, and spin."""
CLOSING_LINE = re.compile(r"\d+ (passed|failed|error|skipped).* in [\d.]+s")


@dataclass(frozen=True)
class Check:
    """A name for --only, and the command whose exit status decides."""

    name: str
    command: tuple[str, ...]
    on_request: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a check ended: its exit status, its duration, and pytest's closing line if it had one."""

    name: str
    status: int
    seconds: float
    closing_line: str


def main() -> int:
    """Reads the command line; returns the exit status: 0 where every chosen check passed."""
    checks = all_checks()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--list", action="store_true", help="print the checks and their commands")
    parser.add_argument(
        "--only", action="append", choices=[check.name for check in checks], help="may be repeated"
    )
    options = parser.parse_args()
    if options.list:
        for check in checks:
            print(f"{check.name:10}  {' '.join(check.command)}")
        return 0
    link_namespace()
    wanted = options.only or [check.name for check in checks if not check.on_request]
    outcomes = [run(check) for check in checks if check.name in wanted]
    report(outcomes)
    return next((outcome.status for outcome in outcomes if outcome.status), 0)


def all_checks() -> tuple[Check, ...]:
    """The checks in the order they run: the quick ones first, the wheel after what it needs."""
    module = (sys.executable, "-m")
    tests = (tool("pytest"), "-n", "auto", "--dist", "worksteal")
    packages = tuple(part for name in PACKAGES for part in ("-p", f"sambert_trt.{name}"))
    programs = sorted(path.stem for path in (ROOT / "scripts").glob("*.py"))
    scripts = tuple(part for name in programs for part in ("-m", name))
    scripts += ("-p", "acceptance", "-p", "regression", "-p", "demo_voice")
    return (
        Check("format", (*module, "ruff", "format", "--check", ".")),
        Check("lint", (*module, "ruff", "check", ".")),
        Check("types", (*module, "mypy", *packages)),
        Check("scripts", (*module, "mypy", *scripts)),
        Check("imports", (tool("lint-imports"),)),
        Check("tests", (*tests, "-m", "not slow", "--durations", "25")),
        Check("slow", (*tests, "-m", "slow"), on_request=True),
        Check("wheel", (sys.executable, "scripts/wheel_lane.py")),
    )


def tool(name: str) -> str:
    """The path of a command installed beside this Python."""
    suffix = ".exe" if os.name == "nt" else ""
    return str(Path(sysconfig.get_path("scripts")) / (name + suffix))


def link_namespace() -> None:
    """Makes build/ns/sambert_trt/<package> lead to <package>: what mypy sees as the namespace."""
    NAMESPACE.mkdir(parents=True, exist_ok=True)
    for name in PACKAGES:
        link = NAMESPACE / name
        if link.exists() and link.samefile(ROOT / name):
            continue
        if link.is_symlink():
            link.unlink()
        elif link.exists():
            shutil.rmtree(link)
        link_directory(link, ROOT / name)


def link_directory(link: Path, target: Path) -> None:
    """A symbolic link; on Windows, where those need a privilege, a junction; else a copy."""
    try:
        link.symlink_to(os.path.relpath(target, link.parent), target_is_directory=True)
    except OSError:
        junction = ("cmd", "/c", "mklink", "/J", str(link), str(target))
        if os.name != "nt" or subprocess.run(junction, check=False).returncode != 0:
            shutil.copytree(target, link)


def run(check: Check) -> Outcome:
    """Runs one check, passing its output on as it comes."""
    print(f"\n== {check.name}: {' '.join(check.command)}", flush=True)
    started = time.monotonic()
    closing_line = ""
    with subprocess.Popen(
        check.command,
        cwd=ROOT,
        env={**os.environ, **SETTINGS},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if CLOSING_LINE.search(line):
                closing_line = line.strip().strip("=").strip()
    return Outcome(check.name, process.returncode, time.monotonic() - started, closing_line)


def report(outcomes: Sequence[Outcome]) -> None:
    """Prints a line per check, and last what pytest counted in the checkout."""
    print()
    for outcome in outcomes:
        verdict = "ok" if outcome.status == 0 else f"failed ({outcome.status})"
        print(f"{outcome.name:10} {verdict:12} {outcome.seconds:6.1f} s  {outcome.closing_line}")
    print(f"{'total':10} {'':12} {sum(outcome.seconds for outcome in outcomes):6.1f} s")
    for outcome in outcomes:
        if outcome.name == "tests" and outcome.closing_line:
            print(f"===== {outcome.closing_line} =====", flush=True)


if __name__ == "__main__":
    sys.exit(main())
