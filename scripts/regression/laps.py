"""The clocks of a process that measures its own start. It imports what Python has loaded anyway."""

from __future__ import annotations

import time

__all__ = ["Laps"]


class Laps:
    """Seconds since it was made, less those in which it stood still, by the processor and the wall.

    Attributes:
        found: by `name.processor` and `name.wall`.
    """

    def __init__(self) -> None:
        self.found: dict[str, float] = {}
        self._passed = (0.0, 0.0)
        self._started = _now()

    def lap(self, name: str) -> None:
        """Notes the time under this name, and stands still."""
        now = _now()
        processor, wall = (
            passed + end - start
            for passed, start, end in zip(self._passed, self._started, now, strict=True)
        )
        self._passed = (processor, wall)
        self.found |= {f"{name}.processor": processor, f"{name}.wall": wall}

    def go_on(self) -> None:
        """The time counts again."""
        self._started = _now()


def _now() -> tuple[float, float]:
    return time.process_time(), time.perf_counter()
