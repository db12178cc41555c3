"""sambert-calibrate: a voice directory gains its graphs in half precision.

Exit codes: 0 done or nothing to do; 1 something failed (standard error says what); 2 wrong usage;
130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sambert_trt.engines.errors import SambertError
from sambert_trt.engines.graphs import Precision

if TYPE_CHECKING:
    from .variants import Progress, VariantReport, VariantStage

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the calibration and returns its exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr
    )
    try:
        report = _calibrate(options)
    except SambertError as error:
        return _fail(str(error), 1)
    except ImportError as error:
        lacking = f"{error.name} is not installed" if error.name else str(error)
        return _fail(f"{lacking}; install it with: pip install 'sambert-trt[calibrate]'", 1)
    except KeyboardInterrupt:
        return _fail("interrupted; the voice is as it was", 130)
    if options.json:
        print(json.dumps(report.as_dict(), ensure_ascii=False))
    elif not options.quiet:
        _print_report(report)
    return 0


def _fail(message: str, code: int) -> int:
    print(f"sambert-calibrate: {message}", file=sys.stderr)
    return code


def _calibrate(options: argparse.Namespace) -> VariantReport:
    from .variants import write_variants

    return write_variants(
        Path(options.voice),
        Precision(options.precision),
        force=options.force,
        progress=_progress(options),
    )


def _progress(options: argparse.Namespace) -> Progress:
    shown = sys.stderr.isatty() and not options.quiet

    def advance(what: str, done: int, total: int) -> None:
        if shown:
            line = "" if done == total else f"{done + 1}/{total} {what}"
            print(f"\r{line:<40}\r", end="", file=sys.stderr, flush=True)

    return advance


def _print_report(report: VariantReport) -> None:
    precision = report.precision.value
    if report.unchanged:
        print(f"{report.directory} has its {precision} graphs: nothing has changed since")
        return
    print(
        f"{'stage':<14} {'fp32 MB':>8} {precision + ' MB':>8}  {'largest difference':>18} {'s':>6}"
    )
    for stage in report.stages:
        print(_line(stage))
    before = sum(stage.source_bytes for stage in report.stages)
    after = sum(stage.record.file.bytes for stage in report.stages)
    print(f"{'all':<14} {before / 1e6:8.2f} {after / 1e6:8.2f}  {'':>18} {report.seconds:6.1f}")
    print("the difference is relative to each output's largest value")


def _line(stage: VariantStage) -> str:
    sizes = f"{stage.source_bytes / 1e6:8.2f} {stage.record.file.bytes / 1e6:8.2f}"
    difference = "unchanged" if stage.difference is None else f"{stage.difference:.1e}"
    return f"{stage.stage.value:<14} {sizes}  {difference:>18} {stage.seconds:6.1f}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sambert-calibrate",
        description="Write a voice directory's graphs in another precision, and check them.",
    )
    parser.add_argument("voice", help="a voice directory")
    choices = [p.value for p in Precision if p is not Precision.FP32]
    parser.add_argument("--precision", required=True, choices=choices, help="only fp16 so far")
    parser.add_argument(
        "--force", action="store_true", help="make them even if nothing has changed"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("-q", "--quiet", action="store_true", help="print errors only")
    return parser


if __name__ == "__main__":
    sys.exit(main())
