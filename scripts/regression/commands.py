"""The commands of perf.py: what they take, and what they do with it."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from sambert_trt.engines.errors import InputError
from sambert_trt.runtime.backends import BACKENDS

from .baseline import (
    Baseline,
    baseline_from_file,
    baseline_from_report,
    baseline_path,
    compared_baseline,
    write_baseline,
)
from .catalogue import Catalogue, catalogue_from_file
from .compare import BASE, CANDIDATE, Plan, judged_against, run
from .experiment import FAULTS, Fault, fault_from_text, reached, results, run_trials
from .explain import explained, listed_metrics, meant
from .gate import ExitStatus, exit_status
from .history import history_html, history_lines
from .outputs import Outputs, add_outputs, check_writable, outputs_from_options, write_text
from .record import Record
from .registry import SUITES, suites_from_names
from .report import Report
from .sides import Speaking, settings_of_tree
from .store import History, history_from_file, record_from_file
from .suite import Settings
from .terminal import card_lines, result_lines, show
from .trees import Tree, tree_of_revision, working_tree

__all__ = ["parser"]

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build" / "perf"
Command = Callable[[argparse.Namespace], ExitStatus]


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
    suites = suites_from_names(options.suite, full=options.full)
    how, catalogue = _speaking(options), catalogue_from_file()
    how.check()
    history = outputs.check()
    with _workspace() as work:
        trees, sides = _prepared(base, how, work)
        plan = Plan(options.command, suites, sides, trees, options.seed, options.across)
        report = run(plan, catalogue, show)
    if baseline is not None:
        report = judged_against(report, baseline, across=options.across)
    return _finished(report, outputs, history)


def _prepared(
    base: str | None, how: Speaking, work: Path
) -> tuple[dict[str, Tree], dict[str, Settings]]:
    """The trees and what their workers are told; says how long that took."""
    started = time.monotonic()
    show(f"{'sides':13}")
    trees = _trees(base)
    sides = {
        name: settings_of_tree(tree, how, BUILD / "voices", work / name)
        for name, tree in trees.items()
    }
    labels = " and ".join(tree.label for tree in trees.values())
    show(f"{time.monotonic() - started:6.1f} s  {labels}\n")
    return trees, sides


def _trees(base: str | None) -> dict[str, Tree]:
    """Both trees by side, the base first.

    Raises:
        InputError: there is no such revision, or no git.
    """
    trees = {}
    if base is not None:
        trees[BASE] = tree_of_revision(ROOT, base, BUILD / "trees")
    return {**trees, CANDIDATE: working_tree(ROOT)}


def _finished(report: Report, outputs: Outputs, history: History) -> ExitStatus:
    report = replace(report, history=history.records, remarks=[*report.remarks, *history.notes])
    outputs.write(report)
    for line in result_lines(report, outputs.paths):
        print(line)
    return report.status


@contextmanager
def _workspace() -> Iterator[Path]:
    """A folder for what workers write; removed at the end."""
    BUILD.mkdir(parents=True, exist_ok=True)
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
        extra={"against": list(options.against)} if options.against else {},
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
    """`perf.py card`: a card's acceptance report against its baseline."""
    found = baseline_from_report(options.report)
    path = baseline_path(options.baselines, found.card)
    catalogue, status = catalogue_from_file(), ExitStatus.GREEN
    if path.exists():
        status = _judged_card(baseline_from_file(path), found, catalogue)
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
    check_writable(options.file)
    faults = [fault_from_text(name) for name in options.fault] or list(FAULTS)
    how, catalogue, tree = _speaking(options), catalogue_from_file(), working_tree(ROOT)
    how.check()

    def compared(fault: Fault, number: int) -> Report:
        with _workspace() as work:
            sides = {
                name: settings_of_tree(tree, how, BUILD / "voices", work / name)
                for name in (BASE, CANDIDATE)
            }
            sides[CANDIDATE] = replace(sides[CANDIDATE], plant=fault.plant)
            suites = suites_from_names(fault.suites)
            trees = dict.fromkeys(sides, tree)
            report = run(Plan(options.command, suites, sides, trees, number), catalogue, show)
        if not report.complete:
            raise KeyboardInterrupt
        return report

    found = run_trials(options.file, faults, options.trials, compared, show)
    for line in results(found, faults):
        print(line)
    return ExitStatus.GREEN if reached(found, faults) else ExitStatus.REGRESSION


def _judged_card(base: Baseline, found: Baseline, catalogue: Catalogue) -> ExitStatus:
    comparison = compared_baseline(base, found, catalogue)
    status = exit_status(comparison.verdicts, ())
    for line in card_lines(base, found, comparison, status):
        print(line)
    return status


def parser(description: str) -> argparse.ArgumentParser:
    """The command line; `options.do` is the command."""
    found = argparse.ArgumentParser(
        description=description,
        epilog="Exit codes: 0 green; 1 something became worse; 2 wrong usage, or sides that cannot "
        "be compared; 3 something could not be measured; 130 Ctrl-C.",
    )
    commands = found.add_subparsers(dest="name", required=True, metavar="COMMAND")
    _add_compare(_command(commands, "compare", compare, "this tree against another revision"))
    _add_run(_command(commands, "run", measure_one, "this tree alone"))
    _add_history(_command(commands, "history", show_history, "how metrics went on"))
    _add_explain(_command(commands, "explain", explain, "what a metric is"))
    _add_card(_command(commands, "card", judge_card, "an acceptance report against its baseline"))
    _add_experiment(_command(commands, "experiment", experiment, "how often the gate is right"))
    return found


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, do: Command, what: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=what, description=what.capitalize() + ".")
    command.set_defaults(do=do)
    return command


def _add_compare(command: argparse.ArgumentParser) -> None:
    command.add_argument("--base", required=True, metavar="REV", help="branch, tag or commit")
    _add_measuring(command)
    add_outputs(command)


def _add_run(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--baseline", type=Path, metavar="RECORD", help="judge what is the same at every run by it"
    )
    _add_measuring(command)
    add_outputs(command)


def _add_experiment(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", type=Path, metavar="FILE", help="keeps the trials, is continued")
    command.add_argument(
        "--trials", type=_positive, default=100, metavar="N", help="of each fault (100)"
    )
    faults = ", ".join(fault.name for fault in FAULTS)
    command.add_argument(
        "--fault", action="append", default=[], metavar="FAULT", help=f"only this of {faults}"
    )
    _add_speaking(command.add_argument_group("what is measured"))
    command.set_defaults(full=False, against=[])


def _add_measuring(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("what is measured")
    _add_speaking(group)
    names = ", ".join(suite.name for suite in SUITES)
    group.add_argument(
        "--suite",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help=f"only these of {names}",
    )
    group.add_argument("--full", action="store_true", help="the large suite: all of them")
    group.add_argument("--seed", type=int, default=0, metavar="N", help="of the order of turns (0)")
    group.add_argument(
        "--across", action="store_true", help="compare other voices, precisions or threads, too"
    )
    group.add_argument(
        "--against", action="append", default=[], metavar="PROGRAM", help="measure this system, too"
    )


def _add_speaking(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--voice", type=Path, metavar="DIR", help="an exported voice (the demo's)")
    group.add_argument("--source", type=Path, metavar="DIR", help="the checkpoints of that voice")
    group.add_argument("--backend", choices=BACKENDS, default="cpu", help="cpu, without it")
    group.add_argument("--precision", metavar="P", help="fp32, fp16, int8 (the backend's choice)")
    group.add_argument(
        "--threads", type=_positive, default=1, metavar="N", help="of the backend (1)"
    )


def _add_history(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", type=Path, metavar="FILE", help="as --history wrote it")
    command.add_argument("--metric", metavar="PATTERN", help="only these: stage.*")
    command.add_argument("--html", type=Path, metavar="FILE", help="a page with a picture for each")


def _add_explain(command: argparse.ArgumentParser) -> None:
    command.add_argument("metric", nargs="?", metavar="METRIC", help="one, or a pattern (list all)")
    command.add_argument("--history", type=Path, metavar="FILE", help="show its last values")


def _add_card(command: argparse.ArgumentParser) -> None:
    command.add_argument("report", type=Path, metavar="REPORT", help="JSON of gpu_acceptance.py")
    command.add_argument(
        "--baselines", type=Path, default=ROOT / "baselines", metavar="DIR", help="one file a card"
    )
    command.add_argument("--update", action="store_true", help="make this report the baseline")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: needs 1 or more")
    return number
