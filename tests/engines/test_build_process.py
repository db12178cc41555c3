"""The builder's process from outside: every way it can end, with small programs in its place."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from sambert_trt.engines import build_process
from sambert_trt.engines.build_process import BuildCrashError, BuildProcess
from sambert_trt.engines.errors import InputError

posix = pytest.mark.skipif(os.name != "posix", reason="signals end processes on POSIX")

OPENING = """
import json, os, signal, sys, time
request = json.loads(sys.stdin.readline())
def say(**event): print(json.dumps(event), flush=True)
say(event="ready")
"""

Start = Callable[..., BuildProcess]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Makes a process that runs a program instead of the builder."""

    def start(program: str, seconds: float = 20.0) -> BuildProcess:
        monkeypatch.setattr(build_process, "_COMMAND", (sys.executable, "-c", OPENING + program))
        jobs = [{"name": f"stage {n}", "log": str(tmp_path / f"{n}.log")} for n in range(2)]
        return BuildProcess({"jobs": jobs}, tmp_path, seconds)

    return start


def test_events_come_in_order_and_the_last_is_not_among_them(start: Start) -> None:
    program = "say(event='started', job=0); say(event='built', job=0, n=len(request['jobs']))\n"
    with start(program + "say(event='done')") as process:
        events = list(process.events())
    assert [event["event"] for event in events] == ["ready", "started", "built"]
    assert events[-1]["n"] == 2


def test_a_refusal_is_the_error_it_names(start: Start) -> None:
    program = "say(event='refused', error='InputError', message='no such card')"
    with start(program) as process, pytest.raises(InputError, match=r"^no such card$"):
        list(process.events())


@posix
@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGKILL"])
def test_a_signal_is_named_with_the_stage_and_the_last_words(
    start: Start, tmp_path: Path, name: str
) -> None:
    (tmp_path / "1.log").write_text("[V] one\n[V] two\n[V] 3\n[V] 4\n[V] last\n", encoding="utf-8")
    program = f"""
import resource
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
say(event='started', job=1)
print('from a library', file=sys.stderr, flush=True)
os.kill(os.getpid(), signal.{name})
time.sleep(60)
"""
    with start(program) as process, pytest.raises(BuildCrashError) as raised:
        list(process.events())
    message = str(raised.value)
    assert raised.value.job == 1
    assert f"was ended by {name}" in message
    assert "while it built stage 1" in message
    assert "[V] last" in message
    assert "[V] one" not in message
    assert "from a library" in message
    assert ("memory runs out" in message) == (name == "SIGKILL")


def test_an_ending_without_done_is_a_crash(start: Start) -> None:
    with start("sys.exit(7)") as process, pytest.raises(BuildCrashError) as raised:
        list(process.events())
    assert "ended with status 7 as it started" in str(raised.value)
    assert raised.value.job is None


def test_a_job_that_takes_too_long_is_ended(start: Start, tmp_path: Path) -> None:
    (tmp_path / "0.log").write_text("[V] timing tactics\n", encoding="utf-8")
    program = """
say(event='started', job=0)
while True:
    say(event='progress', job=0)
    time.sleep(0.05)
"""
    with start(program, seconds=0.5) as process, pytest.raises(BuildCrashError) as raised:
        list(process.events())
    assert raised.value.job == 0
    assert "ended after 0.5 s over stage 0" in str(raised.value)
    assert "--timeout" in str(raised.value)
    assert "timing tactics" in str(raised.value)


def test_a_process_that_never_answers_is_ended(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start("")
    silent = (sys.executable, "-c", "import time; time.sleep(60)")
    monkeypatch.setattr(build_process, "_COMMAND", silent)
    monkeypatch.setattr(build_process, "_START_SECONDS", 0.2)
    with process, pytest.raises(BuildCrashError, match="the builder does not answer") as raised:
        list(process.events())
    assert raised.value.job is None


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_leaving_ends_the_process(start: Start, error: type[BaseException]) -> None:
    children: list[psutil.Process] = []

    def leave() -> None:
        with start("say(event='started', job=0); time.sleep(60)") as process:
            for event in process.events():
                if event["event"] == "started":
                    children.extend(psutil.Process().children())
                    raise error

    with pytest.raises(error):
        leave()
    assert [child.is_running() for child in children] == [False]


def test_it_works_in_the_folder_it_was_given(start: Start, tmp_path: Path) -> None:
    with start("say(event='built', job=0, folder=os.getcwd()); say(event='done')") as process:
        events = list(process.events())
    assert Path(events[-1]["folder"]).samefile(tmp_path)


def test_the_request_arrives_whole(start: Start) -> None:
    with start("say(event='built', job=0, request=request); say(event='done')") as process:
        events = list(process.events())
    assert [job["name"] for job in events[-1]["request"]["jobs"]] == ["stage 0", "stage 1"]
