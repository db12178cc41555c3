"""The builder's process as its parent sees it: a request goes in, events come out.

Importing this imports no TensorRT. Standard library only.
"""

from __future__ import annotations

import json
import queue
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from . import errors
from .child_process import python_command, started
from .errors import EngineError, SambertError

__all__ = ["BuildCrashError", "BuildProcess"]

_COMMAND = python_command("sambert_trt.engines.build")
_START_SECONDS = 120.0
_TAIL_LINES = 4
_TAIL_BYTES = 4000


class BuildCrashError(EngineError):
    """The builder's process ended, or was ended, before it had tried every job.

    `job` is the index of the one it was at, None where it was at none.
    """

    def __init__(self, message: str, job: int | None) -> None:
        super().__init__(message)
        self.job = job


class BuildProcess:
    """A builder at work: entered, it has started; left, it has ended, whatever happened between.

    Args:
        request: what to build, as engines/build.py reads it.
        folder: an empty private folder; the process works in it and writes nowhere else.
        seconds: how long one job may take.
    """

    def __init__(self, request: Mapping[str, Any], folder: Path, seconds: float) -> None:
        self._request = request
        self._folder = folder
        self._seconds = seconds
        self._job: int | None = None
        self._lines: queue.Queue[bytes | None] = queue.Queue()

    def __enter__(self) -> BuildProcess:
        """Starts the process."""
        with self._said.open("wb") as said:
            self._process = started(_COMMAND, self._folder, said)
        threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Kills the process, which has nothing left to do but to end, and waits for it."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self._process.wait()

    def events(self) -> Iterator[dict[str, Any]]:
        """The events up to `done`, as they come.

        Raises:
            SambertError: the process refused the request; of the kind it named.
            BuildCrashError: it ended before `done`, or took too long.
        """
        self._send()
        deadline = time.monotonic() + _START_SECONDS
        while (event := self._next(deadline))["event"] != "done":
            if event["event"] == "refused":
                raise getattr(errors, event["error"], SambertError)(event["message"])
            if event["event"] != "progress":
                self._job = event["job"] if event["event"] == "started" else None
                deadline = time.monotonic() + self._seconds
            yield event

    @property
    def _said(self) -> Path:
        return self._folder / "stderr.txt"

    def _send(self) -> None:
        """Writes the request; the pipe stays open, its end would end the process."""
        assert self._process.stdin is not None
        with suppress(OSError):  # where it has died already, there are no events either
            self._process.stdin.write(json.dumps(self._request).encode() + b"\n")
            self._process.stdin.flush()

    def _listen(self, output: IO[bytes]) -> None:
        with suppress(OSError, ValueError):
            for line in output:
                self._lines.put(line)
        self._lines.put(None)

    def _next(self, deadline: float) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=max(deadline - time.monotonic(), 0.0))
        except queue.Empty:
            raise self._late() from None
        if line is None:
            raise self._crashed()
        event: dict[str, Any] = json.loads(line)
        return event

    def _late(self) -> BuildCrashError:
        self._process.kill()
        if self._job is None:
            return BuildCrashError(f"the builder does not answer{self._last_words()}", None)
        return BuildCrashError(
            f"the builder was ended after {self._seconds:g} s over {self._name}: allow it more "
            f"with --timeout{self._last_words()}",
            self._job,
        )

    def _crashed(self) -> BuildCrashError:
        status = self._process.wait()
        how = f"ended with status {status}"
        if status < 0:
            how = f"was ended by {_signal_name(-status)}"
        if -status == getattr(signal, "SIGKILL", None):
            how += " (the system does that where memory runs out)"
        at = "as it started" if self._job is None else f"while it built {self._name}"
        return BuildCrashError(f"the builder {how} {at}{self._last_words()}", self._job)

    @property
    def _name(self) -> str:
        return "" if self._job is None else str(self._request["jobs"][self._job]["name"])

    def _last_words(self) -> str:
        """What the builder logged and printed last, for the end of a message."""
        files = [self._said]
        if self._job is not None:
            files.insert(0, Path(self._request["jobs"][self._job]["log"]))
        lines = [line for file in files for line in _tail(file)]
        return "".join(f"\n  {line}" for line in lines)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _tail(file: Path) -> list[str]:
    try:
        text = file.read_bytes()[-_TAIL_BYTES:].decode("utf-8", "replace")
    except OSError:
        return []
    return [line[:300] for line in text.splitlines()[-_TAIL_LINES:]]
