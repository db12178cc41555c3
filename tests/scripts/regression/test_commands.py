"""The commands: what they do with trees, voices, files and faults. Nothing is measured here."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import fake_perf
import perf
import pytest
from regression import commands, compare, sides
from regression.catalogue import Catalogue, catalogue_from_file
from regression.pairing import Measured
from regression.process import WorkerError
from regression.record import Identity, Samples, SuiteOutcome, SuiteStatus
from regression.store import record_from_file
from regression.suite import Settings, Suite

from sambert_trt.engines.errors import InputError, SourceError

Sides = Mapping[str, Settings]
NODES = {"graph.vocoder.nodes": Samples(((719.0,),))}
MORE_NODES = {"graph.vocoder.nodes": Samples(((720.0,),))}


def measured(suite: Suite, values: Mapping[str, Mapping[str, Samples]]) -> Measured:
    """A suite that went well."""
    return Measured(values, SuiteOutcome(suite.name, SuiteStatus.MEASURED, 0.1))


class Bench:
    """Stands in for all that measures: `values` of each suite by side, what both sides speak with.

    `calls` are the suites that were measured, with their sessions.
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {"graphs": {"base": NODES, "candidate": NODES}}
        self.speaking = {"base": fake_perf.identity(), "candidate": fake_perf.identity()}
        self.machines: list[Mapping[str, Any]] = [fake_perf.MACHINE]
        self.calls: list[tuple[str, int]] = []
        self.settings: dict[str, Settings] = {}
        self.catalogue = fake_perf.undemanding()

    def measure(self, suite: Suite, sides: Sides, *, seed: int = 0) -> Measured:
        self.calls.append((suite.name, suite.sessions))
        self.settings = dict(sides)
        found = self.values.get(suite.name, {})
        if callable(found):
            result: Measured = found(suite)
            values = {name: result.values[name] for name in sides if name in result.values}
            return replace(result, values=values)
        return measured(suite, {name: found.get(name, {}) for name in sides})

    def identities(self, sides: Sides) -> dict[str, Identity]:
        return {name: self.speaking[name] for name in sides}

    def fingerprint(self) -> Mapping[str, Any]:
        return self.machines.pop(0) if len(self.machines) > 1 else self.machines[0]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A source tree with two commits: main, and the one that is checked out."""
    root = tmp_path / "tree"
    (root / "runtime").mkdir(parents=True)
    (root / "runtime" / "__init__.py").touch()
    (root / "pyproject.toml").write_text(
        '[tool.setuptools.package-dir]\n"sambert_trt.runtime" = "runtime"\n', encoding="utf-8"
    )
    (root / ".gitignore").write_text("build/\n__pycache__/\n", encoding="utf-8")
    if shutil.which("git") is None:
        pytest.skip("needs git")
    subprocess.run(("git", "init", "-q", "-b", "main", str(root)), check=True)
    commit(root, "one")
    subprocess.run(("git", "-C", str(root), "checkout", "-q", "-b", "topic"), check=True)
    (root / "topic.txt").touch()
    commit(root, "two")
    return root


def commit(root: Path, message: str) -> None:
    """Commits all there is."""
    who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    for words in (("add", "."), (*who, "commit", "-qm", message)):
        subprocess.run(("git", "-C", str(root), *words), check=True)


@pytest.fixture
def bench(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The bench, in place of workers and of a voice."""
    found = Bench()
    monkeypatch.setattr(commands, "ROOT", repository)
    monkeypatch.setattr(commands, "BUILD", tmp_path / "build")
    monkeypatch.setattr(commands, "Plan", partial(compare.Plan, measure=found.measure))
    monkeypatch.setattr(commands, "catalogue_from_file", lambda: found.catalogue)
    monkeypatch.setattr(compare, "identities", found.identities)
    monkeypatch.setattr(commands, "identities", found.identities)
    monkeypatch.setattr(compare, "fingerprint", found.fingerprint)
    monkeypatch.setattr(sides, "demo_source", lambda tree: tree)
    monkeypatch.setattr(sides, "exported_voice", lambda tree, cache: tmp_path / "voice")
    return found


def run(*words: object) -> int:
    """The exit status."""
    try:
        return perf.main(list(map(str, words)))
    except SystemExit as end:
        return int(end.code or 0)


def compared(*words: object) -> int:
    return run("compare", "--base", "main", "--suite", "graphs", *words)


def test_nothing_changed_is_green(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert compared() == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[-1].startswith("green: none of 1 metric became worse")
    assert "graphs" in said.err
    assert list(bench.settings) == ["base", "candidate"]
    assert bench.settings["base"].tree != bench.settings["candidate"].tree


@pytest.mark.parametrize("base", ["topic", "HEAD"])
def test_a_commit_is_not_compared_with_itself(
    bench: Bench, repository: Path, base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("compare", "--base", base, "--suite", "graphs")
    assert run(*words) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert f"{base} is the commit " in told
    assert "nothing to compare; name another base" in told
    assert bench.calls == []
    (repository / "runtime" / "more.py").touch()
    assert run(*words) == 0
    assert "with changes" in capsys.readouterr().out


def test_a_tolerance_that_the_candidate_loosens_is_told(
    bench: Bench, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strict = '[[metric]]\nname="graph.{stage}.nodes"\nsuite="graphs"\ntitle="t"\nunit=""\n'
    path = repository / "scripts" / "regression" / "metrics.toml"
    path.parent.mkdir(parents=True)
    path.write_text(f'{strict}gate="limit"\ntolerance=0\nhow="h"\n', encoding="utf-8")
    commit(repository, "three")
    metrics = bench.catalogue.metrics
    loose = (replace(m, tolerance=2.0) if m.name == "graph.{stage}.nodes" else m for m in metrics)
    bench.catalogue = Catalogue(tuple(loose))
    path.unlink()
    bench.values["graphs"] = {"base": NODES, "candidate": MORE_NODES}
    assert run("compare", "--base", "HEAD", "--suite", "graphs") == 0
    assert "note: tolerance of graph.{stage}.nodes: 0 in the base, 2 now" in capsys.readouterr().out


def test_a_regression_is_red_and_every_file_tells_it(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.values["graphs"] = {"base": NODES, "candidate": MORE_NODES}
    names = ("json", "markdown", "junit", "html", "history")
    files = {name: tmp_path / "deep" / "er" / name for name in names}
    assert compared(*(word for name in names for word in (f"--{name}", files[name]))) == 1
    said = capsys.readouterr().out
    assert "719 -> 720" in said
    assert "look: export/" in said
    assert said.splitlines()[-1].startswith("red: 1 of 1 metric became worse")
    assert "## perf: red" in files["markdown"].read_text(encoding="utf-8")
    assert "<failure" in files["junit"].read_text(encoding="utf-8")
    assert "perf: red" in files["html"].read_text(encoding="utf-8")
    record = record_from_file(files["json"])
    assert record.base is not None
    assert record.base.values == NODES
    assert record.command[:4] == ("python", "scripts/perf.py", "compare", "--base")
    assert len(files["history"].read_text(encoding="utf-8").splitlines()) == 1


def test_other_systems_are_measured_beside_the_candidate_alone(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    ratios = {
        "against.torch.total.ratio": Samples(((2.0, 8.0),)),
        "against.torch.vocoder.ratio": Samples(((1.5, 1.5),)),
    }
    bench.values["reference"] = {"base": ratios, "candidate": ratios}
    assert compared("--suite", "reference") == 0
    assert list(bench.settings) == ["candidate"]
    said = capsys.readouterr().out
    assert "torch takes so many times as long: total 4.00, vocoder 1.50" in said
    assert "green: none of 3 metrics became worse (" in said


def test_a_run_of_one_side_shows_what_it_measured(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("run", "--suite", "graphs") == 0
    assert "graph.vocoder.nodes         719\n" in capsys.readouterr().out


def test_a_history_is_added_to(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    for _ in range(2):
        assert compared("--history", path, "--html", tmp_path / "page.html") == 0
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2
    assert "<h2>Trends</h2>" in (tmp_path / "page.html").read_text(encoding="utf-8")


def paired(seed: int, factor: float, sessions: int) -> dict[str, dict[str, Samples]]:
    """Both sides' times of a stage."""
    base, _ = fake_perf.timed(seed, sessions=sessions)
    times = base["stage.vocoder.seconds"].sessions
    slower = Samples(tuple(tuple(value * factor for value in session) for session in times))
    return {
        "base": {"stage.vocoder.seconds": Samples(times)},
        "candidate": {"stage.vocoder.seconds": slower},
    }


def slow(suite: Suite) -> Measured:
    return measured(suite, paired(suite.sessions, 1.3, suite.sessions))


def test_what_failed_is_measured_again_in_more_processes(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.values["stages"] = slow
    assert compared("--suite", "stages", "--json", tmp_path / "j") == 1
    (graphs, once), (first, sessions), (second, more) = bench.calls
    assert (graphs, first, second) == ("graphs", "stages", "stages")
    assert more > sessions > once
    assert {side.only for side in bench.settings.values()} == {("stage.vocoder.seconds",)}
    record = record_from_file(tmp_path / "j")
    assert record.second_look is not None
    assert [outcome.name for outcome in record.outcomes] == ["graphs", "stages", "stages (again)"]
    assert "in new processes" in capsys.readouterr().out


def test_a_failure_that_does_not_come_again_is_green(bench: Bench) -> None:
    looks = iter((1.3, 1.0))

    def flaky(suite: Suite) -> Measured:
        return measured(suite, paired(suite.sessions, next(looks), suite.sessions))

    bench.values["stages"] = flaky
    assert compared("--suite", "stages") == 0
    assert len(bench.calls) == 3


def test_slower_times_under_changed_clocks_are_not_measured(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.values["stages"] = slow
    bench.machines.append({**fake_perf.MACHINE, "governor": "powersave"})
    assert compared("--suite", "stages") == 3
    said = capsys.readouterr().out
    assert "unusable   stage.vocoder.seconds" in said
    assert "the clocks changed during the run (governor: performance, then powersave)" in said
    assert "measure again on a steady machine" in said
    assert "1 unusable: stage.vocoder.seconds" in said.splitlines()[-1]


def test_other_times_under_changed_clocks_stay_open(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.values["stages"] = lambda suite: measured(suite, paired(5, 0.7, suite.sessions))
    bench.machines.append({**fake_perf.MACHINE, "governor": "powersave"})
    assert compared("--suite", "stages") == 0
    assert "undecided  stage.vocoder.seconds" in capsys.readouterr().out
    bench.values["graphs"] = {"base": NODES, "candidate": MORE_NODES}
    assert compared("--suite", "stages") == 1, "a count is judged all the same"


def test_the_pace_of_a_machine_is_told_and_leaves_nothing_open(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.values["stages"] = slow
    bench.machines.append({**fake_perf.MACHINE, "pace": 0.0014, "load": [9.0, 9.0, 9.0]})
    assert compared("--suite", "stages") == 1
    said = capsys.readouterr().out
    assert "pace: 0.001, then 0.0014 (+40%)" in said
    assert "at the end, others keep the machine busy: load 8.0" in said
    assert "undecided" not in said


def test_the_runs_own_load_is_not_others(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.machines.append({**fake_perf.MACHINE, "load": [1.2, 1.0, 0.5]})
    assert compared() == 0
    assert "busy" not in capsys.readouterr().out


@pytest.mark.parametrize("values", [NODES, MORE_NODES])
def test_a_tree_that_is_edited_meanwhile_is_not_measured_whatever_was_found(
    bench: Bench,
    repository: Path,
    values: Mapping[str, Samples],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def edited(suite: Suite) -> Measured:
        (repository / "runtime" / "__init__.py").write_text("AGE = 3\n", encoding="utf-8")
        (repository / "runtime" / "new.py").touch()
        (repository / "notes.txt").touch()
        return measured(suite, {"base": NODES, "candidate": values})

    bench.values["graphs"] = edited
    assert compared("--history", tmp_path / "h", "--junit", tmp_path / "x") == 3
    said = capsys.readouterr().out
    told = "candidate: edited while it was measured: runtime/__init__.py, runtime/new.py: old and"
    assert told in said
    assert told in (tmp_path / "x").read_text(encoding="utf-8")
    assert said.splitlines()[-1].startswith("not measured: ")
    assert run("history", tmp_path / "h") == 0
    assert "719" not in capsys.readouterr().out


def test_what_changes_a_tree_between_runs_is_no_edit(bench: Bench, repository: Path) -> None:
    (repository / "runtime" / "__init__.py").write_text("AGE = 3\n", encoding="utf-8")
    (repository / "runtime" / "__pycache__").mkdir(exist_ok=True)
    assert compared() == 0


@pytest.mark.parametrize(
    "words",
    [
        ("compare", "--base", "main"),
        ("run", "--baseline", "{record}"),
        ("experiment", "{folder}/trials.jsonl", *("--fault", "leak:5MB", "--trials", "1")),
    ],
)
def test_what_judging_needs_is_looked_for_before_measuring(
    bench: Bench,
    words: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    baseline_of(bench, tmp_path / "record")
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    places = {"record": tmp_path / "record", "folder": tmp_path}
    assert run(*(word.format(**places) for word in words)) == 3
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("perf: what is measured could not be judged: import of scipy.stats")
    assert told.endswith("`pip install -e '.[export,dev]'`")
    assert bench.calls == []


def test_what_was_measured_is_kept_where_judging_fails(
    bench: Bench,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fault(*_: object) -> None:
        raise ValueError("three legs")

    monkeypatch.setattr(compare, "verdicts_from_record", fault)
    names = ("json", "history", "markdown", "junit", "html")
    assert compared(*(word for name in names for word in (f"--{name}", tmp_path / name))) == 3
    said = capsys.readouterr().out
    assert "suite judging crashed: ValueError: three legs" in said
    assert said.splitlines()[-1].startswith("not measured: ")
    assert record_from_file(tmp_path / "json").candidate.values == NODES
    assert all((tmp_path / name).stat().st_size for name in names)


NAMES = ("json", "history", "markdown", "junit", "html")


def cannot_begin(tmp_path: Path, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A comparison that ends before its first suite, and is told in all outputs."""
    files = {name: tmp_path / name for name in NAMES}
    assert compared(*(word for name in NAMES for word in (f"--{name}", files[name]))) == 3
    said = capsys.readouterr().out
    assert f"suite sides crashed: {reason}" in said
    assert said.splitlines()[-1].startswith("not measured: ")
    record = record_from_file(files["json"])
    assert record.candidate.identity is None
    assert [outcome.reason.splitlines()[0] for outcome in record.outcomes] == [reason]
    assert all(path.stat().st_size for path in files.values())
    assert "<error" in files["junit"].read_text(encoding="utf-8")


def test_a_tree_that_cannot_be_imported_leaves_every_report(
    bench: Bench,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(sides: Sides) -> dict[str, Identity]:
        raise WorkerError("candidate: SyntaxError: invalid syntax\n    voice.py, line 3")

    monkeypatch.setattr(compare, "identities", broken)
    cannot_begin(tmp_path, "candidate: SyntaxError: invalid syntax", capsys)
    assert bench.calls == []


def test_a_tree_that_cannot_export_its_voice_leaves_every_report(
    bench: Bench,
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def export(tree: Path, cache: Path) -> Path:
        if tree == repository:
            raise SourceError("it cannot export")
        return tmp_path / "voice"

    monkeypatch.setattr(sides, "exported_voice", export)
    cannot_begin(tmp_path, "candidate: it cannot export", capsys)
    assert bench.calls == []


def crash(suite: Suite) -> Measured:
    reason = "base: ended by SIGSEGV\nlast words"
    return Measured({}, SuiteOutcome(suite.name, SuiteStatus.CRASHED, 0.1, reason))


def test_a_crashed_suite_is_named_and_the_others_are_measured(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.values["install"] = crash
    assert compared("--suite", "install", "--json", tmp_path / "j") == 3
    said = capsys.readouterr().out
    assert "suite install crashed: base: ended by SIGSEGV" in said
    assert "  last words" in said
    assert said.splitlines()[-1].startswith("not measured: none of 1 metric became worse, suite")
    assert record_from_file(tmp_path / "j").candidate.values == NODES


def test_a_crash_in_the_second_look_is_told(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    looks = iter((slow, crash))

    def look(suite: Suite) -> Measured:
        return next(looks)(suite)

    bench.values["stages"] = look
    assert compared("--suite", "stages") == 3
    assert "suite stages (again) crashed" in capsys.readouterr().out


def test_ctrl_c_keeps_what_was_measured(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(suite: Suite) -> Measured:
        raise KeyboardInterrupt

    bench.values["stages"] = interrupted
    files = ("--json", tmp_path / "j", "--history", tmp_path / "h")
    assert compared("--suite", "stages", "speech", *files) == 130
    record = record_from_file(tmp_path / "j")
    assert record.candidate.values == NODES
    assert [outcome.name for outcome in record.outcomes] == ["graphs"]
    assert not (tmp_path / "h").exists()
    said = capsys.readouterr()
    assert said.out.splitlines()[-1].startswith("interrupted:")
    assert f"written: {tmp_path / 'j'}\n" in said.err


def test_ctrl_c_before_anything_was_measured(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(sides: Sides) -> dict[str, Identity]:
        raise KeyboardInterrupt

    monkeypatch.setattr(compare, "identities", interrupted)
    assert compared() == 130
    assert "before anything was measured" in capsys.readouterr().err


def test_a_name_of_no_metric_crashes_its_suite_alone(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    strange = {"graph.vocoder.colour": Samples(((1.0,),))}
    bench.values["stages"] = {"base": strange, "candidate": strange}
    assert compared("--suite", "stages") == 3
    said = capsys.readouterr().out
    assert "suite stages crashed: graph.vocoder.colour: of no metric" in said
    assert "none of 1 metric became worse, suite stages crashed" in said


MEMORY = {f"memory.{name}": Samples(((1e8,),)) for name in ("peak", "steady", "growth")}
LESS = {name: samples for name, samples in MEMORY.items() if name != "memory.growth"}


@pytest.mark.parametrize("words", [("compare", "--base", "main"), ("run",)])
def test_a_metric_that_nobody_measures_any_more_crashes_its_suite_alone(
    bench: Bench, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    accuracy = {"quality.text.accuracy": Samples(((1.0,),))}
    bench.catalogue = catalogue_from_file()
    bench.values = {
        "reading": {"base": accuracy, "candidate": accuracy},
        "memory": {"base": LESS, "candidate": LESS},
    }
    assert run(*words, "--suite", "reading", "memory") == 3
    said = capsys.readouterr().out
    assert "suite memory crashed: memory.growth: measured on no side; mend the suite, or" in said
    assert "suite reading" not in said


def test_what_is_optional_may_lack(bench: Bench) -> None:
    bench.catalogue = catalogue_from_file()
    bench.values = {"memory": {"base": MEMORY, "candidate": MEMORY}}
    assert run("compare", "--base", "main", "--suite", "memory") == 0


def skipped_by(side: str) -> Any:  # noqa: ANN401
    def half(suite: Suite) -> Measured:
        outcome = SuiteOutcome(suite.name, SuiteStatus.MEASURED, 0.1, f"{side}: no card")
        return Measured({"base": MEMORY, "candidate": MEMORY, side: {}}, outcome)

    return half


@pytest.mark.parametrize(("side", "status"), [("base", 3), ("candidate", 1)])
def test_what_one_side_alone_measured_was_not_compared(
    bench: Bench, side: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.catalogue = catalogue_from_file()
    bench.values = {"memory": skipped_by(side)}
    assert run("compare", "--base", "main", "--suite", "memory") == status
    said = capsys.readouterr().out
    assert f"note: suite memory: {side}: no card" in said
    assert "crashed" not in said


def test_what_both_sides_skipped_is_not_wanted(bench: Bench) -> None:
    def none(suite: Suite) -> Measured:
        outcome = SuiteOutcome(suite.name, SuiteStatus.SKIPPED, 0.1, "no card")
        return Measured({"base": {}, "candidate": {}}, outcome)

    bench.catalogue = catalogue_from_file()
    bench.values = {"memory": {"base": MEMORY, "candidate": MEMORY}, "plans": none}
    assert run("compare", "--base", "main", "--suite", "memory", "plans") == 0


def test_what_one_side_lost_is_missing_there(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.catalogue = catalogue_from_file()
    bench.values = {"memory": {"base": MEMORY, "candidate": LESS}}
    assert run("compare", "--base", "main", "--suite", "memory") == 1
    assert "memory.growth is missing" in capsys.readouterr().out


def test_a_fault_of_its_own_is_not_taken_for_a_regression(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fault(sides: Sides) -> dict[str, Identity]:
        raise ValueError("three legs")

    monkeypatch.setattr(compare, "identities", fault)
    assert compared() == 3
    said = capsys.readouterr().err
    assert "ValueError: three legs" in said
    assert said.splitlines()[-1] == "perf: a fault of perf.py itself, see above"


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("voice", ("demo", "other")),
        ("weights", ("0123456789ab", "ba9876543210")),
        ("precision", ("fp32", "int8")),
        ("threads", ("1", "4")),
    ],
)
def test_different_sides_are_refused_with_both_values(
    bench: Bench, field: str, values: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    changed: Any = {field: int(values[1]) if field == "threads" else values[1]}
    bench.speaking["candidate"] = replace(fake_perf.identity(), **changed)
    assert compared() == 2
    said = capsys.readouterr().err
    assert values[0] in said
    assert values[1] in said
    assert "--across" in said
    assert bench.calls == []
    assert compared("--across") == 0
    assert f"note: {field} {values[0]} (main) and {values[1]}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("compare", "--base", "nowhere"), "no revision 'nowhere'"),
        (("compare", "--base", "-h"), "expected one argument"),
        (("compare", "--base", "main", "--suite", "nope"), "no suite nope; there are install"),
        (("compare", "--base", "main", "--voice", "."), "voice.json"),
        (("run", "--baseline", "nothing.json"), "nothing.json"),
        (("run", "--threads", "0"), "needs 1 or more"),
        (("run", "--precision", "fp17"), "invalid choice: 'fp17'"),
        (("run", "--source", "checkpoints"), "--source checkpoints is of no voice"),
        (("explain", "no.such.metric"), "no metric 'no.such.metric'"),
        (("history", "nothing.jsonl"), "nothing.jsonl"),
        (("card", "nothing.json"), "nothing.json"),
    ],
)
def test_wrong_usage_is_told(
    bench: Bench,
    words: tuple[str, ...],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*words) == 2
    assert told in capsys.readouterr().err
    assert bench.calls == []


def test_a_voice_that_cannot_speak_so_is_wrong_usage(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(sides: Sides) -> dict[str, Identity]:
        raise InputError("candidate: no graphs in int8")

    monkeypatch.setattr(compare, "identities", refused)
    assert compared("--precision", "int8") == 2
    assert capsys.readouterr().err.splitlines()[-1] == "perf: candidate: no graphs in int8"
    assert bench.calls == []


def test_without_git_there_is_no_base_but_a_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    assert compared() == 2
    assert "git cannot be run" in capsys.readouterr().err
    assert run("run", "--suite", "graphs") == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("measured: 1 metric")


def test_places_that_cannot_be_written_are_found_before_measuring(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert compared("--json", tmp_path / "file" / "record.json") == 2
    assert "cannot be made" in capsys.readouterr().err
    assert compared("--html", tmp_path) == 2
    assert "is a folder" in capsys.readouterr().err
    assert compared("--json", tmp_path / "a", "--html", tmp_path / "a") == 2
    assert "two outputs" in capsys.readouterr().err
    assert bench.calls == []
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(("nodes", "wanted"), [(NODES, 3), (MORE_NODES, 1)])
def test_a_place_that_is_lost_while_it_is_measured_costs_no_verdict(
    bench: Bench,
    nodes: dict[str, Samples],
    wanted: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def lost(suite: Suite) -> Measured:
        (tmp_path / "page").mkdir()
        return measured(suite, {"base": NODES, "candidate": nodes})

    bench.values["graphs"] = lost
    files = ("--html", tmp_path / "page", "--json", tmp_path / "record")
    assert compared(*files) == wanted
    said = capsys.readouterr()
    assert said.out.splitlines()[-1].startswith(("green: ", "red: "))
    assert f"written: {tmp_path / 'record'}\nperf: {tmp_path / 'page'} is a folder" in said.err
    assert record_from_file(tmp_path / "record").base is not None


def test_a_history_of_an_older_schema_is_named(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(json.dumps({"schema": 0}) + "\n", encoding="utf-8")
    assert compared("--history", path) == 0
    said = capsys.readouterr().out
    assert "schema 0" in said
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2


def baseline_of(bench: Bench, path: Path) -> None:
    """Writes a record of a run of one side."""
    bench.values["stages"] = slow
    assert run("run", "--suite", "graphs", "stages", "--json", path) == 0
    bench.calls.clear()


def test_a_stored_record_judges_counts_and_no_times(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def slower(suite: Suite) -> Measured:
        found = paired(5, 9.0, suite.sessions)
        return measured(suite, {"candidate": found["candidate"]})

    baseline_of(bench, tmp_path / "record")
    bench.values["stages"] = slower
    words = ("run", "--suite", "graphs", "stages", "--baseline", tmp_path / "record")
    assert run(*words) == 0
    assert "of another run" in capsys.readouterr().out
    bench.values["graphs"] = {"candidate": MORE_NODES}
    assert run(*words) == 1
    assert "719 -> 720" in capsys.readouterr().out
    assert all(name in ("graphs", "stages") for name, _ in bench.calls)
    assert len(bench.calls) == 4, "nothing is measured again for a record"


def by_method(bench: Bench, name: str, method: int) -> None:
    """From now on, this metric is measured by that method."""
    metrics = bench.catalogue.metrics
    changed = (replace(m, method=method) if m.name == name else m for m in metrics)
    bench.catalogue = Catalogue(tuple(changed))


def test_a_stored_record_of_another_method_judges_nothing_of_its_metric(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {**NODES, "voice.bytes": Samples(((9.0,),))}
    bench.values["graphs"] = {"candidate": before}
    baseline_of(bench, tmp_path / "record")
    by_method(bench, "graph.{stage}.nodes", 2)
    bench.values["graphs"] = {"candidate": {**before, **MORE_NODES}}
    words = ("run", "--suite", "graphs", "--baseline", tmp_path / "record")
    assert run(*words) == 0
    said = capsys.readouterr().out
    assert "graph.{stage}.nodes is shown and not judged: the record of" in said
    assert "measured it by method 1, this run by method 2" in said
    assert "voice.bytes is shown" not in said
    bench.values["graphs"] = {"candidate": {**before, "voice.bytes": Samples(((10.0,),))}}
    assert run(*words) == 1


def test_a_stored_record_with_a_metric_that_was_taken_out_judges_the_others(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.values["graphs"] = {"candidate": {**NODES, "voice.bytes": Samples(((9.0,),))}}
    baseline_of(bench, tmp_path / "record")
    metrics = bench.catalogue.metrics
    bench.catalogue = Catalogue(tuple(m for m in metrics if m.name != "voice.bytes"))
    bench.values["graphs"] = {"candidate": MORE_NODES}
    assert run("run", "--suite", "graphs", "--baseline", tmp_path / "record") == 1
    said = capsys.readouterr().out
    assert "voice.bytes stands in the record and is no metric any more" in said
    assert "719 -> 720" in said


def test_a_record_keeps_the_methods_of_its_values(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by_method(bench, "graph.{stage}.nodes", 2)
    baseline_of(bench, tmp_path / "record")
    assert record_from_file(tmp_path / "record").candidate.methods == {"graph.{stage}.nodes": 2}
    bench.values["graphs"] = {"candidate": MORE_NODES}
    words = ("run", "--suite", "graphs", "--baseline", tmp_path / "record")
    assert run(*words) == 1
    by_method(bench, "graph.{stage}.nodes", 1)
    capsys.readouterr()
    assert run(*words) == 0
    assert "by method 2, this run by method 1" in capsys.readouterr().out


def test_suites_not_measured_are_not_missing(bench: Bench, tmp_path: Path) -> None:
    baseline_of(bench, tmp_path / "record")
    assert run("run", "--suite", "graphs", "--baseline", tmp_path / "record") == 0


def test_a_record_of_another_voice_is_refused_before_measuring(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    baseline_of(bench, tmp_path / "record")
    bench.speaking["candidate"] = replace(fake_perf.identity(), voice="other")
    words = ("run", "--suite", "graphs", "--baseline", tmp_path / "record")
    assert run(*words) == 2
    told = capsys.readouterr().err
    assert "voice demo (record of 20" in told
    assert "and other (working tree)" in told
    assert "(--across)" in told
    assert bench.calls == []
    assert run(*words, "--across") == 0
    assert "note: voice demo (record of" in capsys.readouterr().out


def test_a_record_of_another_machine_is_told_and_notes_of_this_one_once(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    baseline_of(bench, tmp_path / "record")
    busy = {**fake_perf.MACHINE, "id": "another", "load": [9.0, 9.0, 9.0]}
    bench.machines = [busy, fake_perf.MACHINE | {"id": "another"}]
    capsys.readouterr()
    assert run("run", "--suite", "graphs", "--baseline", tmp_path / "record") == 0
    said = capsys.readouterr().out
    assert "of another machine or software: id: 0badcafe, then another" in said
    assert said.count("at the start, others keep the machine busy") == 1


def test_a_voice_of_the_users_speaks_on_both_sides(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Path] = []
    monkeypatch.setattr(sides, "manifest_from_directory", looked.append)
    voice = tmp_path / "mine"
    assert compared("--voice", voice, "--threads", "2", "--precision", "fp32") == 0
    assert looked == [voice]
    assert {side.voice for side in bench.settings.values()} == {voice.absolute()}
    assert {(side.threads, side.precision) for side in bench.settings.values()} == {(2, "fp32")}


def test_the_workspace_is_removed(bench: Bench, tmp_path: Path) -> None:
    left = tmp_path / "build" / "run-left"
    left.mkdir(parents=True)
    (left / "worker").touch()
    assert compared() == 0
    assert list((tmp_path / "build").glob("run-*")) == []


def acceptance(path: Path, milliseconds: float, verdict: str = "passed") -> Path:
    """An acceptance report of a card that is not there."""
    report = {
        "schema": 1,
        "verdict": verdict,
        "complete": True,
        "started": "2026-01-02T03:04:05+00:00",
        "scale": {"scale": "full"},
        "machine": {
            "card": {"name": "NVIDIA Test 1", "target": "sm_86"},
            "driver": {"version": "600.1"},
            "clocks": {"sm_most_mhz": 2100},
            "used": "rtx 1.7",
            "revision": "abc",
        },
        "clocks_after": {"sm_most_mhz": 2100},
        "voice": {"name": "demo"},
        "sections": [
            {"name": "step", "status": "passed", "numbers": {"decoder_step_ms": milliseconds}}
        ],
    }
    path.write_text(json.dumps(report), encoding="utf-8")
    return path


def test_a_card_is_judged_by_its_baseline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = acceptance(tmp_path / "report.json", 1.0)
    words = ("card", report, "--baselines", tmp_path / "baselines")
    assert run(*words) == 2
    assert "keep this report with --update" in capsys.readouterr().err
    assert run(*words, "--update") == 0
    assert (tmp_path / "baselines" / "nvidia-test-1.json").is_file()
    assert run(*words) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("green: 0 of 1")
    acceptance(report, 2.0)
    assert run(*words) == 1
    said = capsys.readouterr().out
    assert "worse      card.step.decoder_step_ms" in said
    assert said.splitlines()[-1].startswith("red: 1 of 1")
    assert run(*words, "--update") == 0
    assert run(*words) == 0


def test_an_acceptance_that_failed_is_red_beside_its_comparison(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("card", acceptance(tmp_path / "report.json", 1.0), "--baselines", tmp_path)
    assert run(*words, "--update") == 0
    acceptance(tmp_path / "report.json", 1.0, verdict="failed")
    capsys.readouterr()
    assert run(*words) == 1
    said = capsys.readouterr().out.splitlines()
    assert any(line.startswith("failed     ") for line in said)
    assert said[-1] == "red: the acceptance did not pass (1 failed), 0 of 1 numbers became worse"
    assert run(*words, "--update") == 2


def test_an_acceptance_that_failed_is_red_without_a_baseline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("card", acceptance(tmp_path / "report.json", 1.0, verdict="failed"))
    assert run(*words, "--baselines", tmp_path / "none") == 1
    assert capsys.readouterr().out.splitlines()[-1] == (
        "red: the acceptance did not pass (1 failed), no baseline of this card to compare with"
    )


def test_other_systems_bring_the_suite_that_measures_them(bench: Bench) -> None:
    assert compared("--against", "other=program --fast", "--suite", "calls") == 0
    assert [name for name, _ in bench.calls] == ["graphs", "calls", "reference"]
    extra = bench.settings["candidate"].extra
    assert extra == {"against": ["other=program --fast"], "folder": str(Path.cwd())}


def test_a_system_without_a_name_is_told_before_measuring(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compared("--against", "program") == 2
    assert "NAME=COMMAND" in capsys.readouterr().err
    assert bench.calls == []


def test_an_experiment_plants_its_faults_in_one_side_and_is_continued(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("experiment", tmp_path / "trials.jsonl", "--fault", "leak:5MB", "--trials", "1")
    assert run(*words) == 1
    said = capsys.readouterr().out
    assert "| leak:5MB | 1 | 0 red |" in said
    assert bench.settings["base"].plant == ""
    assert bench.settings["candidate"].plant == "leak:5MB"
    assert [name for name, _ in bench.calls] == ["allocation", "memory"]
    assert run(*words) == 1
    assert len(bench.calls) == 2
    assert run("experiment", tmp_path / "other.jsonl", "--fault", "fire") == 2


EXPERIMENT = ("--fault", "leak:5MB", "--trials", "1")


def test_an_experiment_is_not_continued_by_another_revision_or_voice(
    bench: Bench, repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("experiment", tmp_path / "trials.jsonl", *EXPERIMENT)
    assert run(*words) == 1
    bench.calls.clear()
    bench.speaking["candidate"] = replace(fake_perf.identity(), weights="fedcba98")
    assert run(*words) == 2
    assert "weights 0123456789abcdef there and fedcba98 now" in capsys.readouterr().err
    bench.speaking["candidate"] = fake_perf.identity()
    (repository / "runtime" / "new.py").touch()
    commit(repository, "three")
    assert run(*words) == 2
    told = capsys.readouterr().err
    assert (
        "trials.jsonl: trial 0 of leak:5MB cannot be counted with those of this tree: rev" in told
    )
    assert bench.calls == []


def test_an_experiment_with_uncommitted_changes_is_refused(
    bench: Bench, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "notes.txt").touch()
    assert run("experiment", repository / "trials.jsonl", *EXPERIMENT) == 1
    bench.calls.clear()
    (repository / "runtime" / "new.py").touch()
    assert run("experiment", repository / "trials.jsonl", *EXPERIMENT) == 2
    assert "has changes that are in no commit (runtime/new.py)" in capsys.readouterr().err
    assert bench.calls == []


def test_an_experiment_ends_when_its_tree_is_edited(
    bench: Bench, repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def edited(suite: Suite) -> Measured:
        (repository / "runtime" / "__init__.py").write_text("AGE = 3\n", encoding="utf-8")
        return measured(suite, {"base": MEMORY, "candidate": MEMORY})

    bench.values["memory"] = edited
    assert run("experiment", tmp_path / "trials.jsonl", *EXPERIMENT) == 3
    assert "edited while it was measured: runtime/__init__.py" in capsys.readouterr().err
    assert not (tmp_path / "trials.jsonl").exists()
