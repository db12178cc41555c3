"""Machine instructions of reading a text, counted by callgrind: no other work on the machine tells.

A process under valgrind marks where its counted passes begin and end by asking for its session's
number, which nothing else does; callgrind writes what it has counted at each mark. Speech is left
out: valgrind runs one thread at a time, and a sentence took it minutes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from sambert_trt.engines.errors import InputError

from ..record import NotMeasured
from ..suite import Settings
from ..worker import data_from_settings

__all__ = ["rounds"]

_WARM, _COUNTED = 3, 4
"""Passes: Python's interpreter adapts to what it meets in the first ones."""

_PROGRAM = """
import json, os, sys
from regression.loops import READ, reading_loop
from regression.worker import settings_from_data
settings, *passes = json.loads(sys.argv[1])
loop = reading_loop(settings_from_data(settings))
for count in passes:
    os.getsid(0)
    for _ in range(count):
        loop(READ)
os.getsid(0)
"""

_TOTALS = re.compile(r"^totals: (\d+)$", re.MULTILINE)


def rounds(settings: Settings) -> Iterator[Mapping[str, float]]:
    """`instructions.text`, once.

    Raises:
        NotMeasured: valgrind is not installed.
        InputError: the process under it failed.
    """
    if shutil.which("valgrind") is None:
        raise NotMeasured("valgrind is not installed")
    parts = settings.work / "parts"
    said = _run(settings, parts)
    counted = Path(f"{parts}.3")  # 1: before the first mark; 2: the passes that warm up
    found = _TOTALS.search(counted.read_text("utf-8")) if counted.is_file() else None
    if found is None:
        raise InputError(
            f"callgrind counted nothing: {(said.splitlines() or ['it says nothing'])[-1]}"
        )
    yield {"instructions.text": int(found[1]) / _COUNTED}


def _run(settings: Settings, parts: Path) -> str:
    """Runs the passes under callgrind; gives what it said."""
    arguments = json.dumps([data_from_settings(settings), _WARM, _COUNTED])
    finished = subprocess.run(
        (
            *("valgrind", "--tool=callgrind", "--dump-before=getsid"),
            f"--callgrind-out-file={parts}",
            *(sys.executable, "-X", "utf8", "-c", _PROGRAM, arguments),
        ),
        env={**os.environ, "PYTHONHASHSEED": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    return finished.stderr.strip()
