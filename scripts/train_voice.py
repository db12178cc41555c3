"""Makes a voice: prepares a corpus, trains both models, measures and packages what came of it.

    python scripts/train_voice.py prepare CORPUS build/data
    python scripts/train_voice.py train acoustic build/data build/acoustic --hours 2

docs/demo-voice.md says how the demo voice was made. Exit codes: 0 done; 1 failed; 2 wrong usage;
130 interrupted.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence

__all__ = ["main"]

_FAILED, _USAGE, _INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the command line and does what it says; returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        from demo_voice.commands import parser

        options = parser((__doc__ or "").splitlines()[0], words).parse_args(words)
    except ImportError as error:
        return _lacking(error)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)

    from sambert_trt.engines.errors import InputError, SambertError

    try:
        status: int = options.do(options)
    except InputError as error:
        return _told(error, _USAGE)
    except SambertError as error:
        return _told(error, _FAILED)
    except ImportError as error:
        return _lacking(error)
    except KeyboardInterrupt:
        return _told("interrupted", _INTERRUPTED)
    return status


def _lacking(error: ImportError) -> int:
    told = f"{error}: {sys.executable} lacks what this needs; run `make env` and use the Python in"
    return _told(f"{told} .venv, or install the project with `pip install -e '.[dev,export]'`", 1)


def _told(reason: object, status: int) -> int:
    print(f"train_voice: {' '.join(str(reason).split())}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
