"""Other systems that speak the same texts: programs that are asked over stdin, line by line.

    --against NAME=COMMAND

starts COMMAND once (its words as a shell would split them, but no shell), and asks it in every
round, between our own turns. A request is a line of JSON on its stdin, an answer one on its stdout:

    {"text": "...", "symbols": ["..."], "threads": 1}
    {"seconds": 0.21, "samples": 58200, "sample_rate": 16000}   or   {"error": "why not"}

`symbols` holds the text's sentences as symbol lines of our voice, for a system that speaks the same
one; another reads `text`. The program speaks with so many threads, and says how long that took by
the wall's clock, without what it does only once, and how much sound came of it. What it has to say
besides goes to stderr; it ends when its input does. Standard library only.
"""

from __future__ import annotations

import json
import math
import os
import queue
import re
import shlex
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sambert_trt.engines.errors import InputError, SambertError

__all__ = [
    "OURS",
    "OtherSystem",
    "OtherSystemError",
    "System",
    "opened_systems",
    "systems_from_texts",
]

OURS = ("torch", "torch-cuda")
"""Names that the torch reference has."""

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_LIMIT = 120.0
"""Seconds that one answer may take, the first with all that is loaded for it included."""

_TO_END = 10.0
_ALLOWED = 1.02
"""How much longer than from our request to its answer a program may say it has worked: clocks."""

_OUR_OWN = ("PYTHONPATH", "PYTHONHASHSEED")
"""Variables of a worker that mean nothing to other programs."""


class OtherSystemError(SambertError, RuntimeError):
    """Another system's program failed, died, hung or answered what is no answer."""


@dataclass(frozen=True)
class System:
    """A program to compare with: its name in metrics, and the words of its command."""

    name: str
    command: tuple[str, ...]


def systems_from_texts(texts: Sequence[str]) -> tuple[System, ...]:
    """Reads `--against` as often as it was given.

    Raises:
        InputError: one is not NAME=COMMAND, a name is taken or unfit for a metric.
    """
    found: dict[str, System] = {}
    for text in texts:
        name, _, command = text.partition("=")
        words = _words(text, command)
        if not _NAME.fullmatch(name) or not words:
            raise InputError(
                f"--against {text!r}: give NAME=COMMAND, a name of letters, digits, - and _"
            )
        if name in found or name in OURS:
            raise InputError(f"--against {text!r}: the name {name} is taken; choose another")
        found[name] = System(name, words)
    return tuple(found.values())


def _words(text: str, command: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(command))
    except ValueError as error:
        raise InputError(f"--against {text!r}: {error}") from error


@contextmanager
def opened_systems(
    systems: Sequence[System], folder: Path | None = None
) -> Iterator[tuple[OtherSystem, ...]]:
    """Starts the programs, and ends them after the block.

    Args:
        folder: where they work: what their commands name by relative paths lies there.

    Raises:
        OtherSystemError: a program cannot be started.
    """
    with ExitStack() as stack:
        opened = []
        for system in systems:
            opened.append(OtherSystem(system, folder))
            stack.callback(opened[-1].close)
        yield tuple(opened)


class OtherSystem:
    """A running program of another system.

    Args:
        limit: seconds that an answer may take.

    Raises:
        OtherSystemError: it cannot be started.
    """

    def __init__(self, system: System, folder: Path | None = None, limit: float = _LIMIT) -> None:
        self.name, self._limit = system.name, limit
        self._answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        try:
            self._process = subprocess.Popen(
                system.command,
                cwd=folder,
                env={name: value for name, value in os.environ.items() if name not in _OUR_OWN},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        except OSError as error:
            raise OtherSystemError(f"--against {self.name}: cannot be started: {error}") from error
        assert self._process.stdout is not None
        reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        reader.start()

    def factor(self, text: str, symbols: Sequence[str], threads: int) -> float:
        """Seconds that it works for a second of speech.

        Raises:
            OtherSystemError: it gave no such answer.
        """
        request = {"text": text, "symbols": list(symbols), "threads": threads}
        started = time.perf_counter()
        answer = self._asked(json.dumps(request, ensure_ascii=False))
        seconds, samples, rate = (self._number(answer, name) for name in _FIELDS)
        waited = time.perf_counter() - started
        if seconds > _ALLOWED * waited:
            raise self._failure(f"says it worked for {seconds:g} s, but answered in {waited:g} s")
        return seconds * rate / samples

    def close(self) -> None:
        """Ends its input, waits, and ends it where it does not end by itself."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _asked(self, request: str) -> Mapping[str, Any]:
        assert self._process.stdin is not None
        with suppress(OSError):  # it has died: its answer is its end
            self._process.stdin.write(request.encode() + b"\n")
            self._process.stdin.flush()
        try:
            line = self._answers.get(timeout=self._limit)
        except queue.Empty:
            raise self._failure(f"no answer within {self._limit:g} s") from None
        if not line:
            status = self._process.wait(_TO_END)
            raise self._failure(f"ended with status {status} instead of an answer")
        return self._parsed(line)

    def _parsed(self, line: bytes) -> Mapping[str, Any]:
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise self._failure(f"answered {line[:80]!r}: needs an object of JSON on a line")
        if "error" in answer:
            raise self._failure(f"says: {answer['error']}")
        return answer

    def _number(self, answer: Mapping[str, Any], name: str) -> float:
        value = answer.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            value = math.nan
        if not 0 < value < math.inf:
            raise self._failure(f"answered {name} {answer.get(name)!r}: needs a number above 0")
        return float(value)

    def _failure(self, what: str) -> OtherSystemError:
        return OtherSystemError(f"--against {self.name}: {what}")

    def _read(self, pipe: IO[bytes]) -> None:
        for line in pipe:
            self._answers.put(line)
        self._answers.put(b"")


_FIELDS = ("seconds", "samples", "sample_rate")
