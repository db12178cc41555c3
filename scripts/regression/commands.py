"""The commands of perf.py: what they do with their options (arguments.py)."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from sambert_trt.engines.errors import InputError, SambertError, SourceError

from .baseline import (
    Baseline,
    Comparison,
    baseline_from_file,
    baseline_from_report,
    baseline_path,
    compared_baseline,
    failures_from_report,
    write_baseline,
)
from .catalogue import catalogue_from_file
from .compare import BASE, CANDIDATE, Plan, run, unmeasured
from .experiment import (
    FAULTS,
    Fault,
    circumstances,
    fault_from_text,
    reached,
    results,
    run_trials,
)
from .explain import explained, listed_metrics, meant
from .folders import keep_last_used, remove_abandoned
from .gate import ExitStatus, exit_status
from .history import history_html, history_lines
from .inference import check_installed
from .outputs import Outputs, check_writable, end_run, outputs_from_options, write_text
from .pairing import identities
from .record import Record
from .registry import suites_from_names
from .report import Report
from .sides import Speaking, settings_of_tree
from .store import History, history_from_file, record_from_file
from .suite import SIDES, Settings, Suite
from .systems import systems_from_texts
from .terminal import card_lines, show
from .trees import Tree, committed_tree, tree_of_revision, working_tree
from .turn import measuring_alone

__all__ = [
    "ROOT",
    "Command",
    "compare",
    "experiment",
    "explain",
    "judge_card",
    "measure_one",
    "show_history",
]

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build" / "perf"
Command = Callable[[argparse.Namespace], ExitStatus]

REFERENCE = "reference"
"""The suite that measures other systems."""


def measure_one(options: argparse.Namespace) -> ExitStatus:
    """`perf.py run`: measures this tree, and judges what is the same at every run by a record."""
    outputs = outputs_from_options(options)
    baseline = None if options.baseline is None else record_from_file(options.baseline)
    return _measured(options, outputs, None, baseline)


def compare(options: argparse.Namespace) -> ExitStatus:
    """`perf.py compare`: measures this tree and another in turn."""
    return _measured(options, outputs_from_options(options), options.base, None)


def _measured(
    options: argparse.Namespace, outputs: Outputs, base: str | None, baseline: Record | None
) -> ExitStatus:
    if base is not None or baseline is not None:
        check_installed()
    suites = _suites(options)
    how, catalogue = _speaking(options), catalogue_from_file()
    how.check()
    history = outputs.check()
    with measuring_alone(BUILD, options.command), _workspace() as work:
        trees, sides, fault = _prepared(base, how, work)
        choices = (options.seed, options.across, baseline)
        plan = Plan(options.command, suites, sides, trees, *choices)
        report = (
            unmeasured(options.command, trees, catalogue, fault)
            if fault
            else run(plan, catalogue, show)
        )
    return _finished(report, outputs, history)


def _suites(options: argparse.Namespace) -> Sequence[Suite]:
    """What was asked for; other systems bring the suite that measures them."""
    systems_from_texts(options.against)
    chosen = list(suites_from_names(options.suite, full=options.full))
    with_others = [suite for suite in suites_from_names([REFERENCE]) if suite not in chosen]
    return [*chosen, *with_others] if options.against else chosen


def _prepared(
    base: str | None, how: Speaking, work: Path
) -> tuple[dict[str, Tree], dict[str, Settings], str]:
    """The trees, what their workers are told, and why a tree has no voice; says how long it took.

    Raises:
        InputError: there is no such revision, no git, or a tree has no demo voice.
        OutputError: there is no room.
    """
    started, fault = time.monotonic(), ""
    show(f"{'sides':13}")
    trees, sides = _trees(base), dict[str, Settings]()
    try:
        for name, tree in trees.items():
            sides[name] = settings_of_tree(tree, how, BUILD / "voices", work / name)
    except SourceError as error:
        fault = f"{name}: {error}"
    keep_last_used(BUILD / "trees", [tree.path for tree in trees.values()])
    keep_last_used(BUILD / "voices", [side.voice for side in sides.values()])
    labels = " and ".join(tree.label for tree in trees.values())
    show(f"{time.monotonic() - started:6.1f} s  {labels}\n")
    return trees, sides, fault


def _trees(base: str | None) -> dict[str, Tree]:
    """Both trees by side, the base first.

    Raises:
        InputError: there is no such revision, or no git, or the base is what the checkout is.
    """
    if base is None:
        return {CANDIDATE: working_tree(ROOT)}
    trees = {BASE: tree_of_revision(ROOT, base, BUILD / "trees"), CANDIDATE: working_tree(ROOT)}
    if trees[BASE].sha == trees[CANDIDATE].sha and not trees[CANDIDATE].changed:
        raise InputError(
            f"{base} is the commit {trees[BASE].sha[:12]}, and so is the checkout, without "
            "changes: there is nothing to compare; name another base"
        )
    return trees


def _finished(report: Report, outputs: Outputs, history: History) -> ExitStatus:
    report = replace(report, history=history.records, remarks=[*report.remarks, *history.notes])
    return end_run(report, outputs)


@contextmanager
def _workspace() -> Iterator[Path]:
    """A folder for what workers write, removed at the end; whose turn it is to measure has one."""
    BUILD.mkdir(parents=True, exist_ok=True)
    remove_abandoned(BUILD, "run-", 0)
    with tempfile.TemporaryDirectory(
        prefix="run-", dir=BUILD, ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


def _speaking(options: argparse.Namespace) -> Speaking:
    return Speaking(
        voice=options.voice,
        source=options.source,
        backend=options.backend,
        precision=options.precision,
        threads=options.threads,
        full=options.full,
        extra={"against": list(options.against), "folder": str(Path.cwd())}
        if options.against
        else {},
    )


def show_history(options: argparse.Namespace) -> ExitStatus:
    """`perf.py history`: how metrics went on."""
    if options.html is not None:
        check_writable(options.html)
    history, catalogue = history_from_file(options.file), catalogue_from_file()
    for line in history_lines(history, catalogue, options.metric):
        print(line)
    if options.html is not None:
        write_text(options.html, history_html(history, catalogue, options.metric))
    return ExitStatus.GREEN


def explain(options: argparse.Namespace) -> ExitStatus:
    """`perf.py explain`: what a metric is."""
    catalogue = catalogue_from_file()
    history = None if options.history is None else history_from_file(options.history)
    if options.metric is None:
        lines = listed_metrics(catalogue)
    else:
        metrics = meant(catalogue, options.metric)
        lines = explained(catalogue, metrics, options.metric, history)
    for line in lines:
        print(line)
    return ExitStatus.GREEN


def judge_card(options: argparse.Namespace) -> ExitStatus:
    """`perf.py card`: a card's acceptance report, and its numbers against the card's baseline."""
    found, failures = baseline_from_report(options.report), failures_from_report(options.report)
    path, status = baseline_path(options.baselines, found.card), ExitStatus.GREEN
    base = baseline_from_file(path) if path.exists() else None
    if base is not None or failures:
        status = _judged_card(found, failures, base)
    elif not options.update:
        raise InputError(f"no baseline of {found.card} at {path}; keep this report with --update")
    if options.update:
        check_writable(path)
        write_baseline(path, found)
        print(f"{path} is now this report")
        return ExitStatus.GREEN
    return status


def experiment(options: argparse.Namespace) -> ExitStatus:
    """`perf.py experiment`: this tree against itself, with and without planted faults."""
    check_installed()
    check_writable(options.file)
    faults = [fault_from_text(name) for name in options.fault] or list(FAULTS)
    how, numbers = _speaking(options), range(options.first, options.first + options.trials)
    how.check()
    with measuring_alone(BUILD, options.command):
        tree = committed_tree(ROOT)
        trial = partial(_trial, options, how, tree)
        found = run_trials(options.file, faults, numbers, _circumstances(how, tree), trial, show)
    for line in results(found, faults):
        print(line)
    return ExitStatus.GREEN if reached(found, faults) else ExitStatus.REGRESSION


def _circumstances(how: Speaking, tree: Tree) -> Mapping[str, Any]:
    """Of all trials of this tree; asked before the first, as one takes minutes."""
    with _workspace() as work:
        side = settings_of_tree(tree, how, BUILD / "voices", work / CANDIDATE)
        return circumstances(tree.sha, identities({CANDIDATE: side})[CANDIDATE])


def _trial(
    options: argparse.Namespace, how: Speaking, tree: Tree, fault: Fault, number: int
) -> Report:
    """The tree against itself, the fault in one side.

    Raises:
        KeyboardInterrupt: the run was broken off, which says nothing about the gate.
        SambertError: the tree was edited meanwhile, which does not either.
    """
    with _workspace() as work:
        sides = {
            name: settings_of_tree(tree, how, BUILD / "voices", work / name)
            for name in (BASE, CANDIDATE)
        }
        sides[CANDIDATE] = replace(sides[CANDIDATE], plant=fault.plant)
        suites, trees = suites_from_names(fault.suites), dict.fromkeys(sides, tree)
        plan = Plan(options.command, suites, sides, trees, number)
        report = run(plan, catalogue_from_file(), show)
    for outcome in report.crashed:
        if outcome.name == SIDES:
            raise SambertError(f"{outcome.reason}; the trials that ended are in {options.file}")
    if not report.complete:
        raise KeyboardInterrupt(f"interrupted; the trials that ended are in {options.file}")
    return report


def _judged_card(found: Baseline, failures: Sequence[str], base: Baseline | None) -> ExitStatus:
    comparison = Comparison((), ())
    if base is not None:
        comparison = compared_baseline(base, found, catalogue_from_file())
    numbers = exit_status(comparison.verdicts, ())
    status = ExitStatus.REGRESSION if failures else numbers
    for line in card_lines(found, failures, base, comparison, status):
        print(line)
    return status
