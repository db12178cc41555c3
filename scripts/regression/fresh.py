"""A process of its own that measures itself and says what it found. Standard library only.

It runs a module as `python -m MODULE ORDER ANSWER`: two JSON files, so that whatever it prints is
in nobody's way. Its `sambert_trt` is this process's.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from sambert_trt.engines.child_process import python_command
from sambert_trt.engines.errors import SambertError

from .suite import Settings
from .worker import check_modules, data_from_settings, settings_from_data

__all__ = ["answer", "asked", "finished", "settings_from_order"]

_LAST_LINES = 8


def asked(
    module: str, settings: Settings, environment: Mapping[str, str] | None = None
) -> dict[str, float]:
    """What a fresh process of this module answers.

    Args:
        module: its `main` reads `settings_from_order(sys.argv[1])` and ends with `answer`.
        environment: variables that it has besides this process's.

    Raises:
        SambertError: it failed; the message holds its last lines.
    """
    with tempfile.TemporaryDirectory(dir=settings.work, ignore_cleanup_errors=True) as folder:
        order, found = Path(folder) / "order.json", Path(folder) / "answer.json"
        order.write_text(json.dumps(data_from_settings(settings)), encoding="utf-8")
        finished(module, (str(order), str(found)), settings, environment)
        values: dict[str, float] = json.loads(found.read_text(encoding="utf-8"))
    return values


def finished(
    module: str,
    arguments: Sequence[str],
    settings: Settings,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Runs a module to its end, in an empty folder: `python -m` imports from there first.

    Raises:
        SambertError: it ended with another status than 0.
    """
    with tempfile.TemporaryDirectory(dir=settings.work, ignore_cleanup_errors=True) as folder:
        ended = subprocess.run(
            (*python_command(module), *arguments),
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    if ended.returncode:
        lines = [line for line in ended.stdout.splitlines() if line.strip()][-_LAST_LINES:]
        said = "".join(f"\n    {line}" for line in lines)
        raise SambertError(f"a process of {module} ended with status {ended.returncode}{said}")


def settings_from_order(path: str) -> Settings:
    """In the fresh process: what it was asked to measure."""
    return settings_from_data(json.loads(Path(path).read_text(encoding="utf-8")))


def answer(path: str, settings: Settings, values: Mapping[str, float]) -> None:
    """In the fresh process, as its last deed: hands over what it found.

    Raises:
        InputError: it measured another tree than the settings'.
    """
    check_modules(settings.tree)
    Path(path).write_text(json.dumps(dict(values)), encoding="utf-8")
