"""Says whether speech became slower, bigger or worse: two trees are measured in turn and judged.

    python scripts/perf.py compare --base main
    python scripts/perf.py explain stage.vocoder.seconds

docs/regression.md says how verdicts come about. Exit codes: 0 green; 1 something became worse;
2 wrong usage, or sides that cannot be compared; 3 something could not be measured; 130 Ctrl-C.
"""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace

__all__ = ["main"]

_NOT_MEASURED = 3
"""As in regression.gate, which cannot always be imported."""
_MOST = 300


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the command line and does what it says; returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        from regression.arguments import parser
    except ImportError as error:
        return _not_installed(error, words)
    except Exception:
        return _fault()
    options = parser((__doc__ or "").splitlines()[0]).parse_args(words)
    options.command = ("python", "scripts/perf.py", *words)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    return _done(options)


def _done(options: Namespace) -> int:
    from regression.gate import ExitStatus

    from sambert_trt.engines.errors import InputError, SambertError, VoiceError

    try:
        status: ExitStatus = options.do(options)
    except (InputError, VoiceError) as error:
        return _failed(error, ExitStatus.USAGE)
    except SambertError as error:
        return _failed(error, ExitStatus.NOT_MEASURED)
    except KeyboardInterrupt as reason:
        told = str(reason) or "interrupted before anything was measured"
        return _failed(told, ExitStatus.INTERRUPTED)
    except Exception:
        return _fault()
    return int(status)


def _not_installed(error: ImportError, words: Sequence[str]) -> int:
    """Says what is missing and how to get it; help is given all the same."""
    asked = not {"-h", "--help"}.isdisjoint(words)
    if asked:
        print(__doc__)
    told = " ".join(str(error).split())[:_MOST]
    status = _failed(
        f"{told}: {sys.executable} lacks what perf.py needs; run `make env` and use the Python in "
        ".venv, or install the project with `pip install -e '.[export,dev]'`",
        _NOT_MEASURED,
    )
    return 0 if asked else status


def _fault() -> int:
    """Python's own status of 1 would be taken for a regression."""
    traceback.print_exc()
    return _failed("a fault of perf.py itself, see above", _NOT_MEASURED)


def _failed(reason: object, status: int) -> int:
    print(f"perf: {reason}", file=sys.stderr)
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
