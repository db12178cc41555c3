"""Checkpoints read by copies of a process that has imported torch already.

Every reading of a checkpoint starts a process that imports torch: three seconds of a processor. For
tests that are about something else, a process that is ready forks: the same program under the same
limits, and one process per reading still. tests/export/test_checkpoint.py has the usual start, and
so has every command that a test runs.

Run as a script, this file is the process that is ready: a line of JSON asks for a reading, a line
answers with how it ended.
"""

from __future__ import annotations

import importlib.util
import json
import os
import runpy
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any
from unittest import mock


@contextmanager
def warm_reader() -> Iterator[None]:
    """Within it, checkpoints are read in forks; as usual where nothing can fork."""
    if not hasattr(os, "fork") or importlib.util.find_spec("torch") is None:
        yield
        return
    from sambert_trt.export import checkpoint

    with mock.patch.object(
        checkpoint, "subprocess", SimpleNamespace(**{**vars(subprocess), "run": read_in_a_fork})
    ):
        yield


def read_in_a_fork(
    command: Sequence[str],
    *,
    input: bytes,
    stderr: IO[bytes],
    cwd: Path,
    env: Mapping[str, str],
    **_others: object,
) -> subprocess.CompletedProcess[bytes]:
    """What checkpoint.py asks of subprocess.run, but for the limit of time."""
    request = Path(cwd) / "request.json"
    request.write_bytes(input)
    packages = tuple(json.loads(input)["packages"])
    server = started(tuple(command[:-1]), packages, tuple(env.items()))
    assert server.stdin is not None
    assert server.stdout is not None
    asked = {"program": command[-1], "input": str(request), "errors": stderr.name, "cwd": str(cwd)}
    server.stdin.write(json.dumps(asked).encode() + b"\n")
    server.stdin.flush()
    return subprocess.CompletedProcess(command, int(server.stdout.readline()))


@cache
def started(
    python: tuple[str, ...], packages: tuple[str, ...], env: tuple[tuple[str, str], ...]
) -> subprocess.Popen[bytes]:
    """The pipes of the process that is ready; it ends when this one does, as they then close.

    It is no child of this one, for some tests count their children, or end them.
    """
    server = subprocess.Popen(
        (*python, __file__, *packages),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=dict(env),
        start_new_session=True,  # Ctrl-C is the tests' to answer
    )
    server.wait()  # for the launcher, which has left the server behind
    return server


def serve(packages: Sequence[str]) -> None:
    """Leaves its launcher; forks for every line of input and answers how that ended."""
    if os.fork():
        os._exit(0)
    sys.path.extend(path for path in packages if path not in sys.path)
    import safetensors.numpy
    import torch

    assert safetensors.numpy
    torch.set_num_threads(1)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            read(json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def read(asked: Mapping[str, Any]) -> None:
    """Runs the reading program with the files it would have been started with; never returns."""
    status = 1
    try:
        for descriptor, path in enumerate((asked["input"], os.devnull, asked["errors"])):
            os.dup2(os.open(path, os.O_RDWR), descriptor)
        sys.stdin = os.fdopen(0, encoding="utf-8")
        os.chdir(asked["cwd"])
        runpy.run_path(asked["program"], run_name="__main__")
    except SystemExit as ended:
        status = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    serve(sys.argv[1:])
