"""sambert-calibrate: a voice directory gains fp16 and int8 graphs, and a report of what they cost.

Exit codes: 0 done or nothing to do; 1 something failed (standard error says what); 2 wrong usage;
130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sambert_trt.engines.errors import InputError, SambertError
from sambert_trt.engines.graphs import Placement, Precision

from .assessment import Goal
from .recipe import Treatment

if TYPE_CHECKING:
    from .report_facts import Report
    from .session import CalibrationOptions
    from .variants import VariantReport, VariantStage

__all__ = ["main"]

_EXAMPLES = """\
examples:
  sambert-calibrate voice                          fp16 and int8 graphs, gated by sound and speed
  sambert-calibrate voice --precision fp16         fp16 graphs alone: seconds, and no texts
  sambert-calibrate voice --target cpu --budget close,pesq=4
  sambert-calibrate voice --keep vocoder=w8a8      though it is slower or sounds worse
  sambert-calibrate voice --recipe voice/recipe.cpu.toml
  sambert-calibrate voice --explain                why each part is what it is
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the calibration and returns its exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr
    )
    try:
        _work(options)(options)
    except SambertError as error:
        return _fail(str(error), 1)
    except ImportError as error:
        lacking = f"{error.name} is not installed" if error.name else str(error)
        return _fail(f"{lacking}; install it with: pip install 'sambert-trt[calibrate]'", 1)
    except KeyboardInterrupt:
        return _fail("interrupted; the voice is whole, and the same command goes on", 130)
    except BrokenPipeError:  # whoever read has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _fail(message: str, code: int) -> int:
    print(f"sambert-calibrate: {message}", file=sys.stderr)
    return code


def _work(options: argparse.Namespace) -> Callable[[argparse.Namespace], None]:
    if options.explain:
        return _explain
    return _halve if options.precision == Precision.FP16.value else _calibrate


def _halve(options: argparse.Namespace) -> None:
    from .variants import write_variants

    with _Bar(options) as bar:
        report = write_variants(
            Path(options.voice),
            Precision.FP16,
            force=options.force,
            progress=lambda what, done, total: bar(what, done / total),
        )
    if options.json:
        print(json.dumps(report.as_dict(), ensure_ascii=False))
    elif not options.quiet:
        _print_variants(report)


def _calibrate(options: argparse.Namespace) -> None:
    from .session import calibrate

    with _Bar(options) as bar:
        report = calibrate(Path(options.voice), _options(options), bar)
    _print_report(options, report)


def _explain(options: argparse.Namespace) -> None:
    from .session import report_of

    _print_report(options, report_of(Path(options.voice)))


def _options(options: argparse.Namespace) -> CalibrationOptions:
    from .limits import limits_from_text
    from .session import CalibrationOptions

    _check_combined(options)
    placements = dict.fromkeys(map(Placement, options.target or [p.value for p in Placement]))
    return CalibrationOptions(
        placements=tuple(placements),
        texts=Path(options.texts) if options.texts else None,
        symbols=options.symbols,
        goal=Goal(options.goal) if options.goal else None,
        limits=limits_from_text(options.budget),
        keep=_keep(options.keep),
        recipe=Path(options.recipe) if options.recipe else None,
        adopt=options.adopt,
        sentences=options.sentences,
        judged=options.judge,
        threads=options.threads,
        seconds=options.seconds,
        examples=options.examples,
        fresh=options.force,
    )


def _check_combined(options: argparse.Namespace) -> None:
    """Refuses what would be ignored."""
    if options.symbols and not options.texts:
        raise InputError("--symbols says what --texts FILE holds: name the file, too")
    if options.adopt and not options.recipe:
        raise InputError("--adopt takes the recipe of another voice: name it with --recipe FILE")
    if options.keep and options.recipe:
        raise InputError("a recipe is followed to the letter: write what to keep into the recipe")
    if options.seconds is not None and not 0 <= options.seconds < math.inf:
        raise InputError(f"--seconds {options.seconds}: needs a number from 0 on")


def _keep(texts: Sequence[str]) -> dict[str, Treatment | None]:
    found = dict[str, Treatment | None]()
    for text in texts:
        name, treatment = _kept(text)
        if found.setdefault(name, treatment) is not treatment:
            raise InputError(f"--keep {text}: {name} is kept otherwise already; name it once")
    return found


def _kept(text: str) -> tuple[str, Treatment | None]:
    name, _, treatment = text.partition("=")
    if not treatment:
        return name, None
    try:
        return name, Treatment(treatment)
    except ValueError:
        known = ", ".join(t.value for t in Treatment)
        raise InputError(f"--keep {text}: {treatment!r} is none of {known}") from None


class _Bar:
    """A progress bar on a terminal; nothing elsewhere."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._shown = sys.stderr.isatty() and not options.quiet
        self._bar: Any = None

    def __enter__(self) -> _Bar:
        if self._shown:
            from tqdm import tqdm

            form = "{percentage:3.0f}% |{bar:24}| {elapsed} {desc}"
            self._bar = tqdm(total=1.0, file=sys.stderr, bar_format=form, leave=False)
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, what: str, fraction: float) -> None:
        if self._bar is not None:
            self._bar.set_description_str(what, refresh=False)
            self._bar.update(max(fraction - self._bar.n, 0.0))
            self._bar.refresh()


def _print_report(options: argparse.Namespace, report: Report) -> None:
    from .report import explain_text, report_json
    from .session import summary_text

    if options.json:
        print(report_json(report), end="")
    elif options.explain:
        print(explain_text(report), end="")
    elif not options.quiet:
        print(summary_text(Path(options.voice), report), end="")


def _print_variants(report: VariantReport) -> None:
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
        description="Write a voice directory's graphs in fp16 and int8, kept only where they gain "
        "something and sound right, and report what was gained and lost.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("voice", help="a voice directory")
    _add_what(parser)
    _add_texts(parser)
    _add_choice(parser)
    _add_recipe(parser)
    _add_effort(parser)
    _add_output(parser)
    return parser


def _add_what(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--precision",
        choices=[Precision.FP16.value, Precision.INT8.value],
        default=Precision.INT8.value,
        help="fp16: only those graphs, without calibration; int8 (default): everything",
    )
    parser.add_argument(
        "--target",
        action="append",
        choices=[placement.value for placement in Placement],
        help="what int8 graphs are for; may be repeated; default: all",
    )


def _add_texts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--texts", metavar="FILE", help="calibration texts, one sentence a line")
    parser.add_argument(
        "--symbols", action="store_true", help="the texts are symbol lines, not Mandarin"
    )


def _add_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--budget",
        default="close",
        metavar="LIMITS",
        help="transparent, close (default), small, or figures: mcd=0.3,pesq=3.8",
    )
    parser.add_argument(
        "--goal",
        choices=[goal.value for goal in Goal],
        help="what is sought inside the budget; default: speed for cpu, size for tensorrt",
    )
    parser.add_argument(
        "--keep",
        action="append",
        default=[],
        metavar="PART[=TREATMENT]",
        help="keep a stage or stage/group in int8 even if slower or worse; may be repeated",
    )


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--recipe", metavar="FILE", help="follow a recipe instead of a search")
    parser.add_argument("--adopt", action="store_true", help="take a recipe of another voice")
    parser.add_argument("--explain", action="store_true", help="print the last report's reasons")


def _add_effort(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sentences", type=_count, default=200, help="recorded (default: 200)")
    parser.add_argument("--judge", type=_count, default=8, help="judged by (default: 8)")
    parser.add_argument("--threads", type=_count, default=2, help="default: 2")
    parser.add_argument(
        "--seconds", type=float, default=None, help="try nothing more after so many"
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--examples",
        type=_number,
        default=3,
        help="sentences to listen to and to look at in the report (default: 3)",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="make fp16 graphs anew; forget what an interrupted calibration left",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("-q", "--quiet", action="store_true", help="print errors only")


def _number(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 100_000:
        raise argparse.ArgumentTypeError(f"{text}: needs 0 to 100000")
    return number


def _count(text: str) -> int:
    if not _number(text):
        raise argparse.ArgumentTypeError(f"{text}: needs 1 or more")
    return _number(text)


if __name__ == "__main__":
    sys.exit(main())
