"""How long exporting the voice takes: `sambert-export` in a fresh process, checks included."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec

from ..clock import Clock
from ..fresh import finished
from ..record import NotMeasured
from ..suite import Settings

__all__ = ["rounds"]

_NEEDED = ("torch", "onnx", "onnxscript", "safetensors", "yaml")


def rounds(settings: Settings) -> Iterator[Mapping[str, float]]:
    """`export.seconds`.

    Raises:
        NotMeasured: there are no checkpoints, or what exports is not installed.
        SambertError: the export failed.
    """
    if settings.source is None:
        raise NotMeasured("exporting needs the voice's checkpoints: name them with --source")
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise NotMeasured(f"{', '.join(missing)} not installed: pip install 'sambert-trt[export]'")
    target = settings.work / "voice"
    clock = _clock_of_children()
    while True:
        started = clock()
        arguments = (str(settings.source), "-o", str(target))
        finished("sambert_trt.export.cli", arguments, settings, {"OMP_NUM_THREADS": "1"})
        yield {"export.seconds": clock() - started}
        shutil.rmtree(target)


def _clock_of_children() -> Clock:
    """Processor seconds of the processes that this one has started and that have ended."""
    if os.name != "posix":
        return time.perf_counter

    def now() -> float:
        times = os.times()
        return times.children_user + times.children_system

    return now
