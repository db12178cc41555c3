"""A worker as its parent sees it: started, asked, given up on when it hangs, never left behind.

Standard library only.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from sambert_trt.engines.child_process import python_command
from sambert_trt.engines.errors import InputError, SambertError

from .record import NotMeasured
from .suite import Settings
from .worker import data_from_settings

__all__ = ["WorkerError", "WorkerProcess"]

_SCRIPTS = Path(__file__).resolve().parent.parent
_LAST_LINES = 12
_TO_CLOSE = 60.0
"""Seconds that a worker has to close what it opened."""

_TO_DIE = 5.0
"""Seconds between the end of a worker's answers and its own."""

_GLANCE = 1.0
"""Seconds after which a wait looks up, so that Ctrl-C is heard on every system."""


class WorkerError(SambertError, RuntimeError):
    """A worker that failed, died or hung; the message names its side and its last words."""


class WorkerProcess:
    """One side's process. Enter it to start it; when it is left, nothing of it remains.

    Args:
        side: what messages call it.
        settings: what it measures; `work` has to exist, and gets a folder for this process alone.
        module: of `regression.suites`; "" where only `identity` will be asked.
        limit: seconds that one answer may take.
        hash_seed: of the process, the same for both sides.

    Raises:
        WorkerError: on entering, asking and leaving.
    """

    def __init__(
        self, side: str, settings: Settings, module: str, limit: float, hash_seed: int = 0
    ) -> None:
        self._side, self._settings, self._module = side, settings, module
        self._limit, self._hash_seed = limit, hash_seed
        self._answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._begun = False

    def __enter__(self) -> WorkerProcess:
        """Starts the process and waits until it has imported the suite."""
        with self._starting():
            self._folder = tempfile.TemporaryDirectory(
                prefix="worker-", dir=self._settings.work, ignore_cleanup_errors=True
            )
        try:
            with self._starting():
                self._started(Path(self._folder.name))
            settings = replace(self._settings, work=Path(self._folder.name) / "work")
            order = {"module": self._module, "settings": data_from_settings(settings)}
            self._ask(json.dumps(order))
        except BaseException:
            self._ended()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Lets it close what it opened; after an error ends it at once."""
        try:
            if error is None:
                self._closed()
        finally:
            self._ended()

    def next(self) -> Mapping[str, float] | None:
        """The values of another round; None: there is none.

        Raises:
            NotMeasured: the suite cannot measure here.
        """
        self.begin()
        self._begun = False
        values: Mapping[str, float] | None = self._told().get("values")
        return values

    def begin(self) -> None:
        """Lets it measure the round that `next` will give, unless it does so already."""
        if not self._begun:
            self._begun = True
            self._send("next")

    def identity(self) -> Mapping[str, Any]:
        """The fields of an `Identity`.

        Raises:
            InputError: nobody can speak so: there is no such voice, or not in this precision.
        """
        found: Mapping[str, Any] = self._ask("identity")["identity"]
        return found

    @contextmanager
    def _starting(self) -> Iterator[None]:
        """Says that a full disk, or a system without room for a process, is this side's."""
        try:
            yield
        except OSError as error:
            raise WorkerError(f"{self._side}: cannot be started: {error}") from error

    def _started(self, folder: Path) -> None:
        for name in ("here", "work"):
            (folder / name).mkdir()
        with (folder / "said.txt").open("wb") as said:
            self._process = subprocess.Popen(
                python_command("regression.worker"),
                cwd=folder / "here",  # `python -m` imports from where it works: from nowhere else
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                env=self._environment(),
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _environment(self) -> dict[str, str]:
        """This process's; modules come from the tree that is measured and from these scripts."""
        places = (self._settings.tree.absolute() / "build" / "ns", _SCRIPTS)
        return {
            "OMP_WAIT_POLICY": "PASSIVE",
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, places)),
            "PYTHONHASHSEED": str(self._hash_seed),
        }

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put(b"")

    def _ask(self, request: str) -> dict[str, Any]:
        self._send(request)
        return self._told()

    def _send(self, request: str) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # it has died: its answer is its end
            self._process.stdin.write(request.encode() + b"\n")
            self._process.stdin.flush()

    def _told(self) -> dict[str, Any]:
        line = self._answer()
        if not line.endswith(b"\n"):  # nothing, or the half of an answer
            raise WorkerError(f"{self._side}: {self._death()}{self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        if "skipped" in answer:
            raise NotMeasured(answer["skipped"])
        if "refused" in answer:
            raise InputError(f"{self._side}: {answer['refused']}")
        if "failed" in answer:
            raise WorkerError(f"{self._side}: {answer['failed']}{_tail(answer['trace'])}")
        return answer

    def _answer(self) -> bytes:
        until = time.monotonic() + self._limit
        while (left := until - time.monotonic()) > 0:
            with suppress(queue.Empty):
                return self._answers.get(timeout=min(left, _GLANCE))
        raise WorkerError(
            f"{self._side}: no answer within {self._limit:.0f} s, so it was ended"
            f"{self._last_words()}"
        )

    def _death(self) -> str:
        try:
            status = self._process.wait(_TO_DIE)
        except subprocess.TimeoutExpired:
            return "closed its answers without an end, so it was ended"
        if status >= 0:
            return f"ended by itself with status {status}"
        try:
            return f"ended by {signal.Signals(-status).name}"
        except ValueError:
            return f"ended by signal {-status}"

    def _closed(self) -> None:
        """Ends its input and waits.

        Raises:
            WorkerError: it failed at that, or did not end.
        """
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        try:
            status = self._process.wait(_TO_CLOSE)
        except subprocess.TimeoutExpired:
            said = f"did not close within {_TO_CLOSE:.0f} s, so it was ended"
            raise WorkerError(f"{self._side}: {said}{self._last_words()}") from None
        if status:
            raise WorkerError(f"{self._side}: at its close {self._death()}{self._last_words()}")

    def _ended(self) -> None:
        """Ends it and what it has started; waits for it; removes its folder."""
        if hasattr(self, "_process"):
            self._killed()
            self._process.wait()
            self._reader.join(_TO_DIE)
            for pipe in (self._process.stdin, self._process.stdout):
                with suppress(OSError):
                    if pipe is not None:
                        pipe.close()
        self._folder.cleanup()

    def _killed(self) -> None:
        if os.name == "nt":
            self._process.kill()
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _last_words(self) -> str:
        said = Path(self._folder.name) / "said.txt"
        return _tail(said.read_text(encoding="utf-8", errors="replace"))


def _tail(text: str) -> str:
    """The last lines, each on a line of its own below what stands before."""
    lines = [line for line in text.splitlines() if line.strip()][-_LAST_LINES:]
    return "".join(f"\n    {line}" for line in lines)
