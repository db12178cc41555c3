"""How long calibrating the voice takes: `sambert-calibrate` for the processor, minutes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec

from ..fresh import finished
from ..record import NotMeasured
from ..suite import Settings

__all__ = ["rounds"]

_NEEDED = ("onnx", "onnxruntime", "scipy", "pystoi", "matplotlib")


def rounds(settings: Settings) -> Iterator[Mapping[str, float]]:
    """`calibration.seconds`, of the wall.

    Raises:
        NotMeasured: what calibrates is not installed.
        SambertError: the calibration failed.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise NotMeasured(
            f"{', '.join(missing)} not installed: pip install 'sambert-trt[calibrate]'"
        )
    voice = settings.work / "voice"
    while True:
        shutil.copytree(settings.voice, voice)
        arguments = (str(voice), "--target", "cpu", "--threads", str(settings.threads), "--quiet")
        started = time.perf_counter()
        finished("sambert_trt.calibration.cli", arguments, settings)
        yield {"calibration.seconds": time.perf_counter() - started}
        shutil.rmtree(voice)
