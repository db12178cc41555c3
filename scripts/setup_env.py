"""Creates the environment .venv and installs the project into it, pinned by constraints.txt.

Running it again costs nothing while pyproject.toml, constraints.txt and this Python are unchanged.
Standard library only; starts on Python 3.7, so that an unsuitable one is told in words.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import Any, Sequence  # noqa: UP035  (collections.abc takes no [] before Python 3.9)

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
OLDEST, NEWEST = (3, 10), (3, 13)
STAMP = "sambert-trt.json"
ANY_TORCH = "SAMBERT_ANY_TORCH"
LAZILY = () if sys.dont_write_bytecode else ("--no-compile",)
"""Compiling all of torch takes a minute; what is imported is compiled then, and kept."""


class SetupError(Exception):
    """An environment that cannot be made; the message says what to do."""


def main() -> int:
    """Reads the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", help="default: .venv")
    parser.add_argument("--dev", action="store_true", help="with the tools that check.py runs")
    options = parser.parse_args()
    try:
        make_environment(options.venv.absolute(), dev=options.dev)
    except SetupError as error:
        print(f"setup_env: {error}", file=sys.stderr)
        return 1
    return 0


def make_environment(target: Path, dev: bool = False) -> Path:
    """Makes `target` hold the project with its extras; returns the path of its Python.

    Raises:
        SetupError: this Python is unsuitable, or a step of the installation failed.
    """
    check_python()
    started = time.monotonic()
    extras = ["cpu", "export", "dev"] if dev else ["cpu", "export"]
    stamp = read_stamp(target)
    current = stamp.get("inputs") == inputs_hash() and python_of(target).exists()
    if current and set(extras) <= set(stamp["extras"]):
        return python_of(target)
    print(f"setup_env: installing into {target}", flush=True)
    if not current:
        create_environment(target)
        check_torch(target)
    project = ("-c", str(CONSTRAINTS), "-e", f"{ROOT}[{','.join(extras)}]")
    pip(target, "install", *LAZILY, *project)
    write_stamp(target, inputs=inputs_hash(), extras=extras)
    print(f"setup_env: {target} is ready ({time.monotonic() - started:.0f} s)", flush=True)
    return python_of(target)


def check_python() -> None:
    """Raises SetupError unless this Python is one the project supports."""
    found = sys.version_info[:2]
    if not OLDEST <= found <= NEWEST:
        raise SetupError(
            "this is Python {}.{}, the project needs {}.{} to {}.{}: name another one, "
            "for example: make demo PYTHON=python3.12".format(*found, *OLDEST, *NEWEST)
        )


def python_of(target: Path) -> Path:
    """The Python of an environment."""
    return target / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def inputs_hash() -> str:
    """What decides an environment's content: the two files, this Python, and the root's place."""
    digest = hashlib.sha256()
    for path in (ROOT / "pyproject.toml", CONSTRAINTS):
        digest.update(path.read_bytes())
    digest.update(f"{sys.version} {ROOT}".encode())
    return digest.hexdigest()


def read_stamp(target: Path) -> dict[str, Any]:
    """What was installed into an environment: `inputs` and `extras`; empty where it is unknown."""
    try:
        stamp = json.loads((target / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def write_stamp(target: Path, inputs: str, extras: Sequence[str]) -> None:
    """Marks an environment as made here, and with what."""
    text = json.dumps({"inputs": inputs, "extras": list(extras)})
    (target / STAMP).write_text(text, encoding="utf-8")


def create_environment(target: Path) -> None:
    """Creates an empty environment in place of one that was made here from other inputs.

    Raises:
        SetupError: `target` was not made here, is the running one, or cannot be written.
    """
    if target.exists() and not (target / STAMP).is_file():
        raise SetupError(f"{target} was not made by this script: move it away or name --venv")
    if Path(sys.prefix).resolve() == target.resolve():
        raise SetupError(f"{target} is out of date and active: run `deactivate`, then try again")
    try:
        venv.EnvBuilder(with_pip=True, clear=True).create(str(target))
    except (OSError, subprocess.CalledProcessError) as error:
        raise SetupError(
            f"cannot create {target} ({error}); on Debian and Ubuntu install python3-venv"
        ) from error
    write_stamp(target, inputs="", extras=())


def check_torch(target: Path) -> None:
    """Raises SetupError where pip would fetch a torch with CUDA: gigabytes that nothing here uses.

    Only the Linux wheels of the default index carry CUDA; elsewhere they are CPU builds.
    """
    if os.environ.get(ANY_TORCH) or (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return
    version = pinned_version("torch")
    offered = subprocess.run(
        [str(python_of(target)), "-m", "pip", "index", "versions", "torch"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # a note that `pip index` may change; its failure is no verdict
        text=True,
        check=False,
    )
    if offered.returncode == 0 and f"{version}+cpu" not in offered.stdout:
        raise SetupError(
            f"pip finds no CPU build of torch {version} for Python {sys.version_info[0]}."
            f"{sys.version_info[1]}: set PIP_EXTRA_INDEX_URL to the CPU index that PyTorch's "
            f"install page names and run this again, or set {ANY_TORCH}=1 to accept the much "
            "larger CUDA build (docs/troubleshooting.md)"
        )


def pinned_version(package: str) -> str:
    """The version of the first line of constraints.txt that pins a package."""
    for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines():
        name, found, rest = line.partition("==")
        if found and name.strip() == package:
            return rest.partition(";")[0].strip()
    raise SetupError(f"{CONSTRAINTS} does not pin {package}: restore the file")


def pip(target: Path, *arguments: str) -> None:
    """Runs pip inside an environment.

    Raises:
        SetupError: it failed.
    """
    command = [str(python_of(target)), "-m", "pip", *arguments]
    command += ["--quiet", "--disable-pip-version-check"]
    if subprocess.run(command, check=False).returncode != 0:
        raise SetupError(f"pip failed; its message is above, the command was: {' '.join(command)}")


if __name__ == "__main__":
    sys.exit(main())
