"""Candidates made side by side in processes of their own, before they are asked for.

    prepare ─▶ threads ─▶ a process each: Workshop ─▶ the work folder, where they are found

Helpers only save time: what they fail to make is made, or refused, by whoever asks for it. ONNX
Runtime's quantizer computes in Python, a channel at a time, which threads cannot do side by side.
"""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from sambert_trt.engines.child_process import python_command, started
from sambert_trt.engines.errors import SambertError
from sambert_trt.engines.graphs import Placement, Stage
from sambert_trt.engines.voice import manifest_from_directory

from .recipe import StagePlan
from .recording import recording_from_folder

__all__ = ["Helpers", "Place", "Task", "main"]

_COMMAND = python_command("sambert_trt.calibration.helpers")
_LOG = logging.getLogger(__name__)

Task = tuple[Stage, StagePlan]


@dataclass(frozen=True)
class Place:
    """Where candidates are made, and what for.

    Attributes:
        directory: the voice.
        work: the folder of candidates.
        recording: the folder of the recording.
        placement: whose kernels they are for.
    """

    directory: Path
    work: Path
    recording: Path
    placement: Placement

    def absolute(self) -> Place:
        """The same, wherever one works."""
        return Place(
            self.directory.absolute(),
            self.work.absolute(),
            self.recording.absolute(),
            self.placement,
        )


class Helpers:
    """Processes that begin with the first plan and end with `close`.

    Args:
        place: where candidates are made.
        processes: how many make them at once; each takes 0.3 to 0.5 GB with a stock voice.
    """

    def __init__(self, place: Place, processes: int) -> None:
        self._place = place.absolute()
        self._pool = ThreadPoolExecutor(processes, thread_name_prefix="sambert-helper")
        self._own, self._stack = threading.local(), ExitStack()
        self._lock, self._closed = threading.Lock(), False
        self._processes: list[subprocess.Popen[bytes]] = []
        self._made = list[tuple[Task, Future[None]]]()
        self._pending = list[tuple[Task, Future[None]]]()
        self._busy = list[Stage]()
        self._said: set[str] = set()

    def prepare(self, tasks: Iterable[Task]) -> None:
        """Has candidates made that will probably be asked for; returns at once."""
        known = [task for task, _ in self._made]
        fresh = [(task, Future[None]()) for task in tasks if task not in known]
        self._made += fresh
        with self._lock:
            self._pending += fresh
        for _ in fresh:
            self._pool.submit(self._make_next)

    def wait(self, *stages: Stage) -> None:
        """Waits until every plan of these stages was tried; of all where none is named."""
        wait([made for (stage, _), made in self._made if stage in (stages or tuple(Stage))])

    def close(self) -> None:
        """Ends the processes; what they are making is lost."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            self._closed = True
            for process in self._processes:
                process.kill()
        self._pool.shutdown()
        for process in self._processes:
            process.communicate()
        self._stack.close()

    def _make_next(self) -> None:
        """Makes a plan of a stage that no other helper is at: the first observes its ranges."""
        with self._lock:
            others = (place for place in self._pending if place[0][0] not in self._busy)
            task, made = found = next(others, self._pending[0])
            self._pending.remove(found)
            self._busy.append(task[0])
        try:
            self._warn(_answer(self._process(), task))
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            _LOG.debug("a helper has ended: %s", error)
        finally:
            with self._lock:
                self._busy.remove(task[0])
            made.set_result(None)

    def _process(self) -> subprocess.Popen[bytes]:
        """The process of this thread; one that has ended stays as it is."""
        found: subprocess.Popen[bytes] | None = getattr(self._own, "process", None)
        if found is not None:
            return found
        with self._lock:
            if self._closed:
                raise EOFError("the helpers are closed")
            folder = tempfile.TemporaryDirectory(prefix="sambert-helper-")
            self._stack.enter_context(folder)
            self._own.process = found = started(_COMMAND, Path(folder.name), subprocess.DEVNULL)
            self._processes.append(found)
        assert found.stdin is not None
        pickle.dump(self._place, found.stdin)
        return found

    def _warn(self, warnings: Iterable[str]) -> None:
        with self._lock:
            fresh = [text for text in dict.fromkeys(warnings) if text not in self._said]
            self._said.update(fresh)
        for text in fresh:
            _LOG.warning("%s", text)


def _answer(process: subprocess.Popen[bytes], task: Task) -> list[str]:
    """What a helper warns of, once it has made something or failed to."""
    assert process.stdin is not None
    assert process.stdout is not None
    pickle.dump(task, process.stdin)
    process.stdin.flush()
    found: list[str] = pickle.load(process.stdout)  # noqa: S301  # written by our own process
    return found


class _Warnings(logging.Handler):
    """Keeps warnings for the parent to say."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def main() -> None:
    """A helper: reads a `Place` and then tasks from standard input until it ends."""
    from .workshop import Workshop

    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    warnings = _Warnings()
    logging.getLogger().addHandler(warnings)
    place: Place = pickle.load(sys.stdin.buffer)  # noqa: S301  # written by our own parent
    workshop = Workshop(
        place.directory,
        manifest_from_directory(place.directory),
        place.work,
        recording_from_folder(place.recording),
        place.placement,
    )
    while True:
        try:
            stage, plan = pickle.load(sys.stdin.buffer)  # noqa: S301
        except EOFError:
            return
        try:
            workshop.candidate(stage, plan)
        except SambertError:
            warnings.texts.clear()  # whoever asks for it will hear of it
        pickle.dump(warnings.texts, answers)
        answers.flush()
        warnings.texts.clear()


if __name__ == "__main__":
    main()
