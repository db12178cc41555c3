"""The process whose start until a text is read the suite `start` measures; see bare_voice.py."""

from __future__ import annotations

import sys

from .laps import Laps

__all__ = ["main"]


def main() -> None:
    """Measures and answers."""
    laps = Laps()
    from sambert_trt.runtime.text import MandarinFrontend

    laps.lap("import")
    from .fresh import answer, settings_from_order
    from .text import SHORT

    settings = settings_from_order(sys.argv[1])
    laps.go_on()
    next(MandarinFrontend().readings(SHORT))
    laps.lap("text")
    answer(sys.argv[2], settings, laps.found)


if __name__ == "__main__":
    main()
