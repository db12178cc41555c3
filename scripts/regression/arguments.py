"""The command line of perf.py: its commands and their options."""

from __future__ import annotations

import argparse
from pathlib import Path

from sambert_trt.engines.graphs import Precision
from sambert_trt.runtime.backends import BACKENDS

from .commands import (
    ROOT,
    Command,
    compare,
    experiment,
    explain,
    judge_card,
    measure_one,
    show_history,
)
from .experiment import FAULTS
from .outputs import add_outputs
from .registry import SUITES
from .terminal import ended_line

__all__ = ["parser"]


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
    command.set_defaults(do=ended_line()(do))
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
    command.add_argument(
        "--first", type=int, default=0, metavar="N", help="number of the first trial, its seed (0)"
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
        type=_named,
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
        "--against",
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="measure this program, too, as docs/regression.md says; may be repeated",
    )


def _add_speaking(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--voice", type=Path, metavar="DIR", help="an exported voice (the demo's)")
    group.add_argument("--source", type=Path, metavar="DIR", help="the checkpoints of that voice")
    group.add_argument("--backend", choices=BACKENDS, default="cpu", help="cpu, without it")
    group.add_argument(
        "--precision", choices=[one.value for one in Precision], help="the backend's choice"
    )
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
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: needs 1 or more, a whole number")
    return int(text)


def _named(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("no suite is named: give its name, or leave this out")
    return text
