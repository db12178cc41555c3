"""Python processes of our own, which import what their parent would, wherever it was started.

Standard library only.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

__all__ = ["python_command", "started"]


def python_command(module: str) -> tuple[str, ...]:
    """What runs a module by this interpreter, with UTF-8 as its encoding."""
    return (sys.executable, "-X", "utf8", "-m", module)


def started(command: Sequence[str], folder: Path, said: IO[bytes] | int) -> subprocess.Popen[bytes]:
    """Starts a process to talk with: its input and output are pipes.

    `python -m` imports from the folder it works in before any other. Working in a private one, it
    imports nothing that lies in the user's; so paths given to it have to be absolute. Ctrl-C does
    not reach it: its parent ends it.

    Args:
        command: see `python_command`.
        folder: where it works: private and empty.
        said: takes its standard error: a file, or subprocess.DEVNULL.

    Raises:
        OSError: it cannot be started.
    """
    return subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        env=_environment(),
        start_new_session=True,
    )


def _environment() -> dict[str, str]:
    """This process's, with the places of modules as seen from any folder."""
    found = dict(os.environ)
    if places := found.get("PYTHONPATH"):
        found["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, places.split(os.pathsep)))
    return found
