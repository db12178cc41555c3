"""What a process and its children hold is seen while it lasts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sambert_trt.calibration.footprint import Footprint

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(), reason="the system does not say what processes hold"
)

HOLDS = "import time; held = bytearray(300_000_000); print('held', flush=True); time.sleep(1.5)"


def test_children_and_theirs_count() -> None:
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOLDS!r}])"
    with Footprint() as before:
        subprocess.run([sys.executable, "-c", "import time; time.sleep(1)"], check=True)
    with Footprint() as during:
        subprocess.run([sys.executable, "-c", nested], check=True)
    assert before.most > 5_000_000
    assert 300e6 < during.most - before.most < 400e6
