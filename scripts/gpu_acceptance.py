"""Checks and measures the GPU runtime on a machine with an NVIDIA card, and writes a report.

    python scripts/gpu_acceptance.py VOICE --quick
    python scripts/gpu_acceptance.py VOICE --full --json report.json --markdown report.md

Plans that are missing for the card are built first, into the voice. Each section stands on its own:
one that fails, or cannot run here, does not keep the others from it, and the report is written anew
after each. On a card TensorRT for RTX does not know, what needs no plans still runs.

Exit codes: 0 everything that ran passed, measured targets included; 1 something did not, or nothing
ran; 2 wrong usage; 130 Ctrl-C, after a partial report.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from acceptance.card import FULL, QUICK, Card, Counts
from acceptance.machine import clock_facts, machine_facts, voice_facts
from acceptance.plans import CardOptions, card_of_machine
from acceptance.report import Report, write_report
from acceptance.results import Outcome, Status, Target
from acceptance.sections import SECTIONS, passed, run_sections, targets

from sambert_trt.engines.engine import Flavour
from sambert_trt.engines.errors import SambertError
from sambert_trt.engines.graphs import Precision

__all__ = ["accept", "main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the command line, runs the sections, writes the report; returns the exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s: %(message)s")
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    say = _Saying(quiet=options.quiet)
    try:
        with tempfile.TemporaryDirectory(prefix="gpu-acceptance-") as kernels:
            card = card_of_machine(_card_options(options), Path(kernels), say)
            return accept(card, options.only, (options.json, options.markdown), _scale(options))
    except SambertError as error:
        print(f"gpu_acceptance: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("gpu_acceptance: interrupted before anything ran", file=sys.stderr)
        return 130


def accept(
    card: Card, only: Sequence[str], files: tuple[Path, Path], scale: dict[str, object]
) -> int:
    """Runs the sections on a card and keeps the report up to date; returns the exit status.

    Args:
        only: names of sections; none of them: all.
        files: of the JSON and the Markdown.
        scale: how much is asked, for the report.

    Raises:
        OutputError: the report cannot be written.
    """
    report = Report(
        command=("python", "scripts/gpu_acceptance.py", *sys.argv[1:]),
        started=_now(),
        machine=machine_facts(card),
        voice=voice_facts(card.manifest),
        scale=scale,
    )

    def keep(outcomes: Sequence[Outcome]) -> None:
        report.outcomes = outcomes
        write_report(report, *files)

    interrupted = False
    try:
        for outcome in run_sections(card, only, keep):
            print(_line(outcome), flush=True)
        report.complete = True
    except KeyboardInterrupt:
        interrupted = True
    report.clocks_after, report.finished = clock_facts(card), _now()
    write_report(report, *files)
    _tell(report, files)
    if interrupted:
        return 130
    return 0 if passed(report.outcomes) else 1


class _Saying:
    """Says on standard error what is being done, and how long the run has taken."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet, self._started = quiet, time.monotonic()

    def __call__(self, line: str) -> None:
        if not self._quiet:
            print(f"{time.monotonic() - self._started:7.1f} s  {line}", file=sys.stderr, flush=True)


def _line(outcome: Outcome) -> str:
    reason = f"  {' '.join(outcome.reason.split())}" if outcome.reason else ""
    return f"{outcome.name:10} {outcome.status.value:12} {outcome.seconds:7.1f} s{reason}"


def _tell(report: Report, files: tuple[Path, Path]) -> None:
    for target in targets(report.outcomes):
        print(_target_line(target))
    unrun = [o.name for o in report.outcomes if o.status is Status.NOT_RUN]
    if unrun:
        print(f"not run: {', '.join(unrun)}")
    print(f"{report.verdict}; the report is in {files[0]} and {files[1]}")


def _target_line(target: Target) -> str:
    value = "" if target.value is None else f"{target.value:.1f} {target.unit}, "
    return f"target: {target.name} <= {target.limit:g} {target.unit}: {value}{target.verdict}"


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _counts(options: argparse.Namespace) -> Counts:
    chosen = QUICK if options.quick else FULL
    given = {name: getattr(options, name) for name in ("cycles", "failed_loads", "sentences")}
    return dataclasses.replace(chosen, **{n: v for n, v in given.items() if v is not None})


def _scale(options: argparse.Namespace) -> dict[str, object]:
    name = "quick" if options.quick else "full"
    return {"scale": name, **dataclasses.asdict(_counts(options))}


def _card_options(options: argparse.Namespace) -> CardOptions:
    return CardOptions(
        voice=options.voice,
        counts=_counts(options),
        device=options.device,
        flavour=None if options.flavour is None else Flavour(options.flavour),
        precisions=tuple(map(Precision, options.precision)),
        build=not options.no_build,
        threads=options.threads,
    )


def _names(text: str) -> list[str]:
    known = [section.name for section in SECTIONS]
    names = [name.strip() for name in text.split(",") if name.strip()]
    wrong = [name for name in names if name not in known]
    if wrong or not names:
        raise argparse.ArgumentTypeError(f"{text!r}: needs some of {', '.join(known)}")
    return names


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: needs 1 or more")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0],
        epilog="Sections: " + ", ".join(section.name for section in SECTIONS),
    )
    parser.add_argument("voice", type=Path, metavar="VOICE", help="an exported voice")
    scale = parser.add_mutually_exclusive_group()
    scale.add_argument("--full", action="store_true", help="all of it (the default)")
    scale.add_argument("--quick", action="store_true", help="less of everything: minutes")
    parser.add_argument(
        "--only", type=_names, default=[], metavar="NAME,...", help="these sections (all)"
    )
    parser.add_argument("--json", type=Path, default=Path("gpu-acceptance.json"), metavar="FILE")
    parser.add_argument("--markdown", type=Path, default=Path("gpu-acceptance.md"), metavar="FILE")
    _add_card(parser.add_argument_group("card and plans"))
    _add_counts(parser.add_argument_group("counts, instead of those of --full or --quick"))
    parser.add_argument("-q", "--quiet", action="store_true", help="say only outcomes")
    return parser


def _add_card(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--device", type=int, default=0, metavar="N", help="the card's number (0)")
    group.add_argument(
        "--flavour",
        choices=[flavour.value for flavour in Flavour],
        help="which TensorRT (what is installed)",
    )
    group.add_argument(
        "--precision",
        action="append",
        default=[],
        choices=[precision.value for precision in Precision],
        help="may be repeated; the first is measured most (all the voice has, fp16 first)",
    )
    group.add_argument("--no-build", action="store_true", help="build no plans that are missing")
    group.add_argument("--threads", type=_positive, default=2, help="of the runtime (2)")


def _add_counts(group: argparse._ArgumentGroup) -> None:
    for name in ("cycles", "failed-loads", "sentences"):
        group.add_argument(f"--{name}", type=_positive, metavar="N")


if __name__ == "__main__":
    sys.exit(main())
