"""The process whose start until it speaks the suite `start` measures; fresh.py says how it is run.

What belongs to the measuring is imported while the clocks stand still.
"""

from __future__ import annotations

import sys

from .laps import Laps

__all__ = ["main"]


def main() -> None:
    """Measures and answers."""
    laps = Laps()
    from sambert_trt.runtime import open_voice  # noqa: F401  # to import it is what is measured

    laps.lap("import")
    from .fresh import answer, settings_from_order
    from .opening import opened_voice
    from .text import SHORT

    settings = settings_from_order(sys.argv[1])
    laps.go_on()
    with opened_voice(settings) as voice:
        next(voice.sentences(SHORT))  # stages are open already, the front end opens in a thread
        laps.lap("ready")
        laps.go_on()
        chunks = voice.stream(SHORT)
        next(chunks)
        laps.lap("audio")
        for _ in chunks:
            pass
    answer(sys.argv[2], settings, laps.found)


if __name__ == "__main__":
    main()
