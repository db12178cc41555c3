"""Candidates made ahead by other processes are those that would be made here."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from sambert_trt.engines.graphs import Placement, Precision, Stage
from sambert_trt.engines.voice import manifest_from_directory

pytest.importorskip("onnx", reason="graphs are written with onnx")
pytest.importorskip("onnxruntime", reason="graphs are quantised with ONNX Runtime")

from sambert_trt.calibration import helpers as module
from sambert_trt.calibration import int8, ranges
from sambert_trt.calibration.helpers import Helpers, Place
from sambert_trt.calibration.recipe import StagePlan, Treatment
from sambert_trt.calibration.recorder import record
from sambert_trt.calibration.recording import recording_from_folder
from sambert_trt.calibration.workshop import Workshop

pytestmark = pytest.mark.export

FP32 = Precision.FP32
FIRST = StagePlan(FP32, {"resblocks.0": Treatment.W8A8})
SECOND = StagePlan(FP32, {"resblocks.1": Treatment.W8A8})
BOTH = StagePlan(FP32, {**FIRST.groups, **SECOND.groups})
POSTNET = StagePlan(FP32, {"ffn": Treatment.W8A8})


@pytest.fixture(scope="module")
def recording(tiny_voice: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recording")
    record(tiny_voice("plain"), ["你好。", "今天天气好。"], folder)
    return folder


@pytest.fixture
def place(tiny_voice: Callable[[str], Path], recording: Path, tmp_path: Path) -> Place:
    return Place(tiny_voice("plain"), tmp_path / "work", recording, Placement.CPU)


@pytest.fixture
def helpers(place: Place) -> Iterator[Helpers]:
    """One helper: starting another takes a second."""
    with closing(Helpers(place, 1)) as found:
        yield found


def workshop(place: Place, work: Path | None = None) -> Workshop:
    manifest = manifest_from_directory(place.directory)
    recording = recording_from_folder(place.recording)
    return Workshop(place.directory, manifest, work or place.work, recording, place.placement)


def never(*_: object, **__: object) -> None:
    raise AssertionError("this was made already")


def test_what_was_prepared_is_found_and_the_same(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = workshop(place, tmp_path / "here")
    plans = [(Stage.VOCODER, plan) for plan in (FIRST, SECOND, BOTH)]
    plans.append((Stage.POSTNET, POSTNET))
    wanted = [here.candidate(*task).record for task in plans]
    with closing(Helpers(place, 2)) as helpers:
        helpers.prepare(plans)
        helpers.prepare(plans)
        helpers.wait()
    monkeypatch.setattr(int8, "planned_graph", never)
    monkeypatch.setattr(ranges, "observe", never)
    assert [workshop(place).candidate(*task).record for task in plans] == wanted


def test_waiting_for_a_stage_leaves_the_others_alone(helpers: Helpers) -> None:
    helpers.wait(Stage.POSTNET)
    helpers.wait()
    helpers.prepare([(Stage.VOCODER, FIRST)])
    helpers.wait(Stage.POSTNET)
    helpers.wait(Stage.VOCODER)


def test_what_a_helper_cannot_make_is_refused_where_it_is_asked_for(
    place: Place, helpers: Helpers, tmp_path: Path
) -> None:
    helpers.prepare([(Stage.VOCODER, StagePlan(FP32, {"nothing": Treatment.W8A8}))])
    helpers.prepare([(Stage.VOCODER, FIRST)])
    helpers.wait()
    assert len(list(place.work.glob("*/record.json"))) == 1


def test_warnings_are_said_once(
    place: Place, helpers: Helpers, caplog: pytest.LogCaptureFixture
) -> None:
    helpers.prepare([(Stage.VOCODER, FIRST)])
    helpers.wait()
    for folder in place.work.glob("*/onnx"):
        for graph in folder.iterdir():
            graph.write_bytes(b"cut")
    with closing(Helpers(place, 1)) as others, caplog.at_level(logging.WARNING):
        others.prepare([(Stage.VOCODER, FIRST)])
        others.wait()
    (line,) = [record.getMessage() for record in caplog.records]
    assert "damaged and made anew" in line


def test_what_lies_in_the_user_folder_does_not_reach_a_helper(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for module_name in ("numpy", "onnx", "pickle"):
        Path(f"{module_name}.py").write_text("raise SystemExit('poisoned')", encoding="utf-8")
    voice, recording = (Path(os.path.relpath(p)) for p in (place.directory, place.recording))
    here = replace(place, directory=voice, work=Path("work"), recording=recording)
    with closing(Helpers(here, 1)) as helpers:
        helpers.prepare([(Stage.VOCODER, FIRST)])
        helpers.wait()
    assert len(list(place.work.glob("*/record.json"))) == 1


def test_a_helper_that_dies_costs_time_only(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_COMMAND", (sys.executable, "-c", "raise SystemExit(9)"))
    with closing(Helpers(place, 2)) as dead:
        dead.prepare([(Stage.VOCODER, FIRST), (Stage.VOCODER, SECOND)])
        dead.wait()
    assert workshop(place).candidate(Stage.VOCODER, FIRST).record.file.bytes > 0


def test_closing_ends_what_is_going_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    sleeping = (sys.executable, "-c", "import time; time.sleep(600)")
    monkeypatch.setattr(module, "_COMMAND", sleeping)
    started = time.monotonic()
    with closing(Helpers(place, 2)) as slow:
        slow.prepare([(Stage.VOCODER, FIRST), (Stage.VOCODER, SECOND), (Stage.POSTNET, POSTNET)])
    assert time.monotonic() - started < 60


def test_a_helper_ends_with_its_parent() -> None:
    code = "import sys, time, subprocess\n" + (
        f"helper = subprocess.Popen({list(module._COMMAND)!r}, stdin=subprocess.PIPE)\n"
        "print(helper.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    for _ in range(600):
        if not alive(pid):
            return
        time.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("the helper outlived its parent by a minute")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
