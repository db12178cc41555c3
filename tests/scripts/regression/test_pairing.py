"""Sides take turns, and whatever a side does is said of it, with no process left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from regression import process
from regression.pairing import identities, measure, samples_from_sessions
from regression.process import WorkerError
from regression.record import SuiteStatus
from regression.suite import Settings, Suite
from regression.warmup import warm_up_rounds

from sambert_trt.engines.errors import InputError

Obedient = Callable[..., Settings]


def suite(sessions: int = 1, rounds: int = 3) -> Suite:
    return Suite("obedient", "", sessions, rounds, 1)


def log(folder: Path) -> list[list[str]]:
    return [line.split() for line in (folder / "log").read_text().splitlines()]


def is_left(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_sides_take_turns_in_new_processes_each_first_equally_often(
    obedient: Obedient, tmp_path: Path
) -> None:
    sides = {"base": obedient("base"), "candidate": obedient("candidate")}
    said: list[str] = []
    found = measure(suite(2, 4), sides, say=said.append)
    assert found.outcome.status is SuiteStatus.MEASURED
    assert found.outcome.reason == ""
    assert len(said) == 2
    for side in sides:
        assert found.values[side]["number"].sessions == ((0.0, 1.0, 2.0, 3.0),) * 2
    lines = log(tmp_path)
    rounds = [tuple(line[1:]) for line in lines if line[0] == "round"]
    pairs = list(zip(rounds[::2], rounds[1::2], strict=True))
    assert all({first[0], second[0]} == set(sides) for first, second in pairs)
    assert all(first[1] == second[1] for first, second in pairs)
    assert Counter(first[0] for first, _ in pairs) == {"base": 4, "candidate": 4}
    begun = [line[2] for line in lines if line[0] == "begin"]
    assert len(set(begun)) == 4
    assert sum(line[0] == "end" for line in lines) == 4


def test_sides_that_measure_together_wait_for_each_other(
    obedient: Obedient, tmp_path: Path
) -> None:
    do = "while open(tell['log']).read().count(f' {number}\\n') < 2: time.sleep(0.01)"
    sides = {name: obedient(name, do=do) for name in ("base", "candidate")}
    found = measure(replace(suite(2, 3), together=True), sides, limit=20)
    assert found.outcome.reason == ""
    assert all(found.values[side]["number"].sessions == ((0.0, 1.0, 2.0),) * 2 for side in sides)
    assert sum(line[0] == "round" for line in log(tmp_path)) == 12


def test_what_a_side_does_is_said_of_it_when_both_measure_at_once(obedient: Obedient) -> None:
    together = replace(suite(), together=True)
    sides = {"base": obedient("base"), "candidate": obedient("candidate", do="os._exit(3)")}
    found = measure(together, sides)
    assert found.outcome.reason.startswith("candidate: ended by itself with status 3\n")
    sides["candidate"] = obedient("candidate", do="raise NotMeasured('no card')")
    found = measure(together, sides)
    assert found.outcome.status is SuiteStatus.MEASURED
    assert found.outcome.reason == "candidate: no card"
    assert found.values["base"]["number"].all == (0.0, 1.0, 2.0)


def test_the_order_follows_the_seed(obedient: Obedient, tmp_path: Path) -> None:
    sides = {"base": obedient("base"), "candidate": obedient("candidate")}
    orders = []
    for seed in (1, 1, 2):
        (tmp_path / "log").unlink(missing_ok=True)
        measure(suite(1, 10), sides, seed=seed)
        orders.append([line[1] for line in log(tmp_path) if line[0] == "round"])
    assert orders[0] == orders[1] != orders[2]


def test_one_side_alone(obedient: Obedient) -> None:
    found = measure(suite(), {"candidate": obedient("candidate", rounds=2)})
    assert found.outcome.status is SuiteStatus.MEASURED
    assert found.values["candidate"]["one"].all == (1.0, 1.0)


CRASHES = {
    "raise TypeError('three legs')": "candidate: TypeError: three legs",
    "sys.exit(4)": "candidate: SystemExit: 4",
    "sys.stderr.write('last words\\n'); sys.stderr.flush(); os._exit(3)": "last words",
    "os._exit(3)": "candidate: ended by itself with status 3",
    "tell['values'] = {'one': float('nan')}": "one = nan",
    "tell['values'] = {'one': 'word'}": "could not convert",
}


@pytest.mark.parametrize("do", CRASHES)
def test_a_crash_names_the_side_and_its_last_words(
    obedient: Obedient, tmp_path: Path, do: str
) -> None:
    sides = {"base": obedient("base"), "candidate": obedient("candidate", do=do)}
    found = measure(suite(), sides)
    assert found.outcome.status is SuiteStatus.CRASHED
    assert found.outcome.reason.startswith("candidate: ")
    assert CRASHES[do] in found.outcome.reason
    assert found.values == {"base": {}, "candidate": {}}
    assert not list((tmp_path / "work").iterdir())


def test_what_fails_at_the_close_is_a_crash(obedient: Obedient) -> None:
    found = measure(suite(), {"base": obedient("base", at_end="raise ValueError('stuck')")})
    assert found.outcome.status is SuiteStatus.CRASHED
    assert "base: at its close" in found.outcome.reason
    assert "ValueError: stuck" in found.outcome.reason


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="looks into /proc")
def test_a_hung_side_is_ended_with_what_it_started(obedient: Obedient, tmp_path: Path) -> None:
    child = "subprocess.Popen(['sleep', '60'])"
    do = f"print('begin child', {child}.pid, file=log, flush=True); time.sleep(60)"
    found = measure(suite(), {"candidate": obedient("candidate", do=do)}, limit=3)
    assert found.outcome.status is SuiteStatus.CRASHED
    assert "candidate: no answer within 3 s" in found.outcome.reason
    begun = [int(line[2]) for line in log(tmp_path) if line[0] == "begin"]
    assert len(begun) == 2
    assert not any(map(is_left, begun))


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_side_ended_by_a_signal_says_which(obedient: Obedient) -> None:
    do = "os.kill(os.getpid(), 11)"
    found = measure(suite(), {"base": obedient("base", do=do)})
    assert found.outcome.reason.startswith("base: ended by SIGSEGV")


def test_a_side_that_skips_leaves_the_other(obedient: Obedient) -> None:
    skips = obedient("base", do="raise NotMeasured('no torch')")
    found = measure(suite(), {"base": skips, "candidate": obedient("candidate")})
    assert found.outcome.status is SuiteStatus.MEASURED
    assert found.outcome.reason == "base: no torch"
    assert found.values["base"] == {}
    assert len(found.values["candidate"]["one"].all) == 3
    both = measure(suite(2), {"base": skips, "candidate": skips})
    assert both.outcome.status is SuiteStatus.SKIPPED
    assert both.outcome.reason == "no torch"


def test_a_suite_without_values_is_a_crash(obedient: Obedient) -> None:
    sides = {"base": obedient("base", rounds=0), "candidate": obedient("candidate")}
    found = measure(suite(), sides)
    assert found.outcome.status is SuiteStatus.CRASHED
    assert found.outcome.reason == "base: the suite gave no values"


def test_a_side_that_ends_before_the_other_is_a_crash(obedient: Obedient) -> None:
    """What it had yet to measure would be missing on both sides, and nobody would know."""
    sides = {"base": obedient("base", rounds=1), "candidate": obedient("candidate")}
    found = measure(suite(), sides)
    assert found.outcome.status is SuiteStatus.CRASHED
    assert found.outcome.reason == "base: the suite ended after 1 rounds"


def test_sides_may_end_early_together(obedient: Obedient) -> None:
    sides = {side: obedient(side, rounds=2) for side in ("base", "candidate")}
    found = measure(suite(), sides)
    assert [len(values["one"].all) for values in found.values.values()] == [2, 2]


def test_half_an_answer_is_a_crash(obedient: Obedient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_TO_DIE", 0.01)
    monkeypatch.setattr(process.WorkerProcess, "_answer", lambda self: b'{"rea')
    found = measure(suite(), {"candidate": obedient("candidate")})
    assert found.outcome.status is SuiteStatus.CRASHED
    assert found.outcome.reason.startswith("candidate: closed its answers")


def test_a_side_that_cannot_be_started_is_a_crash(obedient: Obedient, tmp_path: Path) -> None:
    settings = replace(obedient("candidate"), work=tmp_path / "nowhere")
    found = measure(suite(), {"candidate": settings})
    assert found.outcome.status is SuiteStatus.CRASHED
    assert found.outcome.reason.startswith("candidate: cannot be started: ")


def test_a_module_from_elsewhere_is_a_crash(obedient: Obedient, tmp_path: Path, root: Path) -> None:
    settings = obedient("base")
    runtime = settings.tree / "build" / "ns" / "sambert_trt" / "runtime" / "__init__.py"
    strange = tmp_path / "strange.py"
    strange.write_text("")
    runtime.unlink()
    runtime.symlink_to(strange)
    found = measure(suite(), {"base": settings})
    assert found.outcome.status is SuiteStatus.CRASHED
    assert f"sambert_trt.runtime comes from {strange}, not from the tree" in found.outcome.reason


def test_an_unknown_module_is_a_crash(obedient: Obedient) -> None:
    found = measure(replace(suite(), name="absent"), {"base": obedient("base")})
    assert "No module named 'regression.suites.absent'" in found.outcome.reason


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="looks into /proc")
def test_ctrl_c_leaves_nothing(obedient: Obedient, tmp_path: Path, root: Path) -> None:
    settings = obedient("base", do="time.sleep(60)")
    program = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.append({str(root / "scripts")!r})
from pathlib import Path
from regression import process
from regression.pairing import measure
from regression.suite import Settings, Suite
process._SCRIPTS = Path({str(tmp_path / "scripts")!r})
Path({str(tmp_path / "parent")!r}).touch()
where = [Path(p) for p in {[str(p) for p in (settings.tree, settings.voice, settings.work)]!r}]
measure(Suite("obedient", "", 1, 1, 1), {{"base": Settings(*where, extra={settings.extra!r})}})
"""
    with subprocess.Popen((sys.executable, "-c", program), stderr=subprocess.PIPE) as parent:
        until = time.monotonic() + 30
        while not (tmp_path / "log").is_file() and time.monotonic() < until:
            time.sleep(0.05)
        parent.send_signal(signal.SIGINT)
        _, said = parent.communicate(timeout=30)
    assert b"KeyboardInterrupt" in said
    (begun,) = [int(line[2]) for line in log(tmp_path) if line[0] == "begin"]
    assert not is_left(begun)
    assert not list((tmp_path / "work").iterdir())


def test_identities_of_a_voice(
    tiny_voice: Callable[[str], Path], tmp_path: Path, root: Path
) -> None:
    from regression.namespace import linked

    linked(root)
    settings = Settings(root, tiny_voice("plain"), tmp_path, threads=3)
    found = identities({"a": settings})
    assert (found["a"].threads, found["a"].precision) == (3, "fp32")
    assert found["a"].backend.startswith("cpu (onnxruntime")
    with pytest.raises(InputError, match=r"b: .*nowhere"):
        identities({"b": replace(settings, voice=tmp_path / "nowhere")})
    with pytest.raises(InputError, match=r"b: the voice .* has no graphs in fp16 for"):
        identities({"b": replace(settings, precision="fp16")})


def test_a_tree_that_cannot_be_imported_is_no_wrong_usage(obedient: Obedient) -> None:
    settings = obedient("b")
    package = settings.tree / "build" / "ns" / "sambert_trt" / "runtime"
    (package / "__init__.py").write_text("def (", encoding="utf-8")
    with pytest.raises(WorkerError, match="b: SyntaxError: "):
        identities({"b": settings})


def test_a_metric_of_one_side_is_kept_and_of_both_only_where_both_have_it() -> None:
    sessions = [
        [
            {"base": {"x": 1.0}, "candidate": {"x": 2.0, "new": 5.0}},
            {"base": {}, "candidate": {"x": 3.0, "new": 6.0}},
            {"base": {"x": 7.0}, "candidate": {"x": 8.0, "new": 9.0}},
        ]
    ]
    values, warm_up = samples_from_sessions(sessions, ["base", "candidate"])
    assert values["base"]["x"].sessions == ((1.0, 7.0),)
    assert values["candidate"]["x"].sessions == ((2.0, 8.0),)
    assert values["candidate"]["new"].all == (5.0, 6.0, 9.0)
    assert "new" not in values["base"]
    assert warm_up == {}


def test_a_metric_never_measured_together_is_an_error() -> None:
    sessions = [[{"base": {"x": 1.0}, "candidate": {}}, {"base": {}, "candidate": {"x": 1.0}}]]
    with pytest.raises(WorkerError, match="base and candidate never have x in the same round"):
        samples_from_sessions(sessions, ["base", "candidate"])


def test_warm_up_is_left_out_for_both_sides_alike() -> None:
    cold = {"base": {"x": 9.0}, "candidate": {"x": 9.0}}
    warm = [{"base": {"x": 1.0}, "candidate": {"x": 1.1 + place % 2}} for place in range(10)]
    values, warm_up = samples_from_sessions([[cold, cold, *warm], warm], ["base", "candidate"])
    assert [len(session) for session in values["base"]["x"].sessions] == [10, 10]
    assert [len(session) for session in values["candidate"]["x"].sessions] == [10, 10]
    assert warm_up == {"x": 2}


@pytest.mark.parametrize(
    ("columns", "cut"),
    [
        ([[1.0]], 0),
        ([[1.0] * 9], 0),
        ([[9.0, 1.0, 1.0, 1.0, 1.0]], 0),
        ([[9.0, 1.0, 1.0, 1.0, 1.0, 1.0]], 1),
        ([[9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0, 0.0, 0.0]], 6),
        ([[1.0] * 8, [5.0, 5.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]], 2),
    ],
)
def test_warm_up_rounds(columns: list[list[float]], cut: int) -> None:
    assert warm_up_rounds(columns) == cut
