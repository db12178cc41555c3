"""sambert-build: a voice's graphs become TensorRT plans, which --list, --verify and --prune keep.

Exit codes: 0 every plan is there and whole; 1 something failed (standard error says what); 2 wrong
usage; 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .build_orders import BuildOptions, BuildOrders, build_orders
from .builder import BuildProgress, BuildResult, build_engines
from .engine import EngineRecord, Flavour
from .errors import InputError, SambertError
from .flavours import installed_flavours
from .graphs import AxisRange, Precision, Stage
from .store import ENGINES, EngineStore, StoredEngine
from .voice import manifest_from_directory

__all__ = ["main"]

_BUILDERS = (Flavour.RTX, Flavour.TENSORRT)
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}
_AGES = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        with _terminated_like_interrupted():
            code: int = options.run(options)
    except SambertError as error:
        print(f"sambert-build: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("sambert-build: interrupted; nothing was left half-written", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except OSError as error:
        print(f"sambert-build: {error}", file=sys.stderr)
        return 1
    return code


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Lets SIGTERM clear up as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _build(options: argparse.Namespace) -> int:
    started = time.perf_counter()
    orders = build_orders(Path(options.voice), _options(options))
    results = []
    with _Display(orders, json_lines=options.json, quiet=options.quiet) as display:
        for result in build_engines(orders, display.show):
            results.append(result)
            display.finished(result)
    if not options.json and not options.quiet:
        _print_results(results, orders, time.perf_counter() - started)
    return 1 if any(result.engine is None for result in results) else 0


def _options(options: argparse.Namespace) -> BuildOptions:
    return BuildOptions(
        flavour=None if options.flavour is None else Flavour(options.flavour),
        targets=tuple(options.target),
        precisions=tuple(map(Precision, options.precision)),
        stages=tuple(map(Stage, options.stage)),
        axes=dict(map(_axis, options.axis)),
        workspace=None if options.workspace is None else options.workspace << 20,
        lean=options.lean,
        tf32=options.tf32,
        force=options.force,
        seconds=options.timeout,
    )


def _axis(text: str) -> tuple[str, AxisRange]:
    """`symbols=1:64:512` or `vocoder.frames=1:128:240`."""
    match = re.fullmatch(r"([\w.]+)=(\d+):(\d+):(\d+)", text, re.ASCII)
    if match is None:
        raise InputError(
            f"--axis {text}: needs NAME=LEAST:USUAL:MOST, as in symbols=1:64:512 or "
            "vocoder.frames=1:128:240"
        )
    least, usual, most = map(int, match.groups()[1:])
    if not 0 < least <= usual <= most:
        raise InputError(f"--axis {text}: needs 0 < LEAST <= USUAL <= MOST")
    return match[1], AxisRange(least, usual, most)


class _Display:
    """What is said while plans are built: a live line on a terminal, a line per plan elsewhere."""

    def __init__(self, orders: BuildOrders, *, json_lines: bool, quiet: bool) -> None:
        self._notes = () if quiet else orders.notes
        self._json = json_lines
        self._quiet = quiet
        self._stack = ExitStack()
        self._live: Callable[[str], None] | None = None

    def __enter__(self) -> _Display:
        for note in self._notes:
            print(note, file=sys.stderr)
        if sys.stderr.isatty() and not self._quiet:
            from rich.console import Console

            status = self._stack.enter_context(Console(stderr=True).status("starting"))
            self._live = status.update
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def show(self, progress: BuildProgress) -> None:
        """The plan at hand, on a terminal."""
        if self._live is not None:
            phase = f", {progress.phase}" if progress.phase else ""
            self._live(
                f"{progress.number} of {progress.count}: {progress.order.name}{phase}; "
                f"{progress.elapsed:.0f} s, about {progress.remaining:.0f} s to go"
            )

    def finished(self, result: BuildResult) -> None:
        """A plan that is done; what failed is said even where everything else is not."""
        if self._json:
            print(json.dumps(result.as_dict(), ensure_ascii=False), flush=True)
        if result.engine is None:
            print(f"sambert-build: {result.reason}", file=sys.stderr)
        elif not (self._json or self._quiet):
            print(f"{result.order.name}: {result.status}, {result.reason}", file=sys.stderr)
            for warning in result.warnings:
                print(f"  TensorRT warns: {warning}", file=sys.stderr)


def _print_results(results: Sequence[BuildResult], orders: BuildOrders, seconds: float) -> None:
    """A table of the plans, their sums, and where they are."""
    head = ("stage", "precision", "", "plan", "weights", "scratch", "kernels", "types", "s")
    made = [(result, result.engine.record) for result in results if result.engine is not None]
    records = [record for _, record in made]
    rows = [
        (record.spec.stage.value, record.spec.precision.value, result.status, *_measures(record))
        for result, record in made
    ]
    scratch = max((record.scratch_bytes for record in records), default=0)
    total = (
        _megabytes(sum(record.plan_bytes for record in records)),
        _megabytes(sum(max(record.weights_bytes, 0) for record in records)),
        f"<= {_megabytes(scratch)}",
    )
    _print_table([head, *rows, ("all", "", "", *total, "", "", "")], left=3)
    built = sum(result.status == "built" for result in results)
    said = [f"{built} built", f"{len(made) - built} up to date"]
    if len(results) > len(made):
        said.append(f"{len(results) - len(made)} failed")
    peak = max((result.peak_bytes for result in results), default=-1)
    memory = f"; the builder took {_megabytes(peak)} of memory" if peak > 0 else ""
    print(f"{', '.join(said)} in {seconds:.1f} s{memory}")
    print(f"plans are in {orders.store.directory}")


def _measures(record: EngineRecord) -> tuple[str, ...]:
    most = sorted(record.dtypes.items(), key=lambda item: -item[1])[:2]
    return (
        _megabytes(record.plan_bytes),
        _megabytes(record.weights_bytes),
        _megabytes(record.scratch_bytes),
        str(record.kernels),
        " ".join(f"{name}:{count}" for name, count in most),
        f"{record.build_seconds:.1f}",
    )


def _list(options: argparse.Namespace) -> int:
    """Prints what is stored, and why an entry is of no use any more."""
    voice = Path(options.voice)
    graphs = _graphs(voice)
    entries = EngineStore(voice / ENGINES).entries()
    if options.json:
        for entry in entries:
            print(json.dumps(_entry_as_dict(entry, graphs), ensure_ascii=False))
        return 0
    head = ("stage", "precision", "key", "TensorRT", "targets", "age", "plan", "weights", "scratch")
    rows = [(*_identity(entry.record), *_measures(entry.record)[:3]) for entry in entries]
    _print_table([head, *rows], left=5)
    for entry in entries:
        if reason := _useless(entry.record, graphs):
            print(f"{entry.directory.name} is of no use: {reason}")
    total = sum(entry.record.plan_bytes for entry in entries)
    print(f"{len(entries)} plans, {_megabytes(total)}")
    return 0


def _entry_as_dict(entry: StoredEngine, graphs: Collection[str]) -> dict[str, Any]:
    record = entry.record
    measured = ("plan_bytes", "weights_bytes", "scratch_bytes", "activation_bytes", "kernels")
    return {
        **record.spec.as_dict(),
        "key": record.spec.key,
        "plan": str(entry.plan_path),
        **{name: getattr(record, name) for name in measured},
        "dtypes": record.dtypes,
        "build_seconds": round(record.build_seconds, 3),
        "created": record.created,
        "useless": _useless(record, graphs),
    }


def _identity(record: EngineRecord) -> tuple[str, ...]:
    spec = record.spec
    return (
        spec.stage.value,
        spec.precision.value,
        spec.key[:12],
        f"{spec.flavour.value} {spec.version}",
        " ".join(spec.targets),
        _age(record.created),
    )


def _verify(options: argparse.Namespace) -> int:
    """Reads every entry in full; 1 where one is bad."""
    voice = Path(options.voice)
    manifest_from_directory(voice)
    checks = EngineStore(voice / ENGINES).verify()
    for check in checks:
        if options.json:
            print(json.dumps({"entry": str(check.directory), "problem": check.problem}))
        else:
            print(f"{check.directory.name}: {check.problem or 'good'}")
    bad = sum(bool(check.problem) for check in checks)
    if not options.json:
        print(f"{len(checks)} plans, {bad} bad")
    return 1 if bad else 0


def _prune(options: argparse.Namespace) -> int:
    """Removes what is of no use, and says what and why."""
    voice = Path(options.voice)
    graphs = _graphs(voice)
    removed = EngineStore(voice / ENGINES).prune(
        graphs=graphs,
        most_bytes=options.keep_bytes,
        obsolete=lambda record: _useless(record, graphs),
    )
    for item in removed:
        if options.json:
            found = {"path": str(item.path), "bytes": item.bytes, "reason": item.reason}
            print(json.dumps(found, ensure_ascii=False))
        else:
            print(f"removed {item.path} ({_megabytes(item.bytes)}): {item.reason}")
    if not options.json:
        print(f"{len(removed)} removed, {_megabytes(sum(item.bytes for item in removed))}")
    return 0


def _graphs(voice: Path) -> frozenset[str]:
    """The sha256 of every graph a voice has."""
    manifest = manifest_from_directory(voice)
    records = [*manifest.stages.values()]
    for stages in (*manifest.variants.values(), *manifest.assignments.values()):
        records += stages.values()
    return frozenset(record.file.sha256 for record in records)


def _useless(record: EngineRecord, graphs: Collection[str]) -> str:
    """Why a plan serves nobody any more; nothing where it may."""
    spec = record.spec
    if spec.graph_sha256 not in graphs:
        return f"the voice has no graph {spec.graph_sha256[:12]} any more"
    for item in installed_flavours():
        if item.flavour is not spec.flavour or item.version is None:
            continue
        newer = _numbers(spec.version) < _numbers(item.version)
        if newer and spec.obstacles(item.flavour, item.version, spec.targets[0]):
            return f"{spec.flavour.value} {spec.version} built it, {item.version} is installed"
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


def _age(created: str) -> str:
    """How long ago, in its largest unit."""
    try:
        then = datetime.fromisoformat(created)
        seconds = (datetime.now(timezone.utc) - then).total_seconds()
    except (ValueError, TypeError):
        return "?"
    for unit, name in _AGES:
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(seconds, 0):.0f} s"


def _megabytes(size: int) -> str:
    return "?" if size < 0 else f"{size / 1e6:.1f} MB"


def _print_table(table: Sequence[Sequence[str]], left: int) -> None:
    """Columns as wide as their widest entry; the first `left` are flush left, the others right."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        cells = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sambert-build",
        description="Build the TensorRT plans of a voice directory; no graphics card is needed "
        "with TensorRT for RTX.",
    )
    parser.add_argument("voice", metavar="VOICE", help="a voice directory")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("-q", "--quiet", action="store_true", help="say only what fails")
    _add_what(parser.add_argument_group("what to build"))
    _add_how(parser.add_argument_group("how to build"))
    _add_stored(parser.add_argument_group("what is stored"))
    parser.set_defaults(run=_build)
    return parser


def _add_what(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="CARD",
        help="rtx3070, sm_86 or current, the card of this machine (default); may be repeated",
    )
    group.add_argument(
        "--precision",
        action="append",
        default=[],
        choices=[precision.value for precision in Precision],
        help="default: fp16 where the voice has such graphs, else fp32; may be repeated",
    )
    group.add_argument(
        "--stage",
        action="append",
        default=[],
        choices=[stage.value for stage in Stage],
        help="default: all; may be repeated",
    )
    group.add_argument("--force", action="store_true", help="build what is there already")


def _add_how(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--flavour",
        choices=[flavour.value for flavour in _BUILDERS],
        help="TensorRT for RTX, or TensorRT; default: what is installed",
    )
    group.add_argument(
        "--axis",
        action="append",
        default=[],
        metavar="[STAGE.]NAME=LEAST:USUAL:MOST",
        help="the sizes of an axis, as in symbols=1:64:512; may be repeated",
    )
    group.add_argument(
        "--workspace",
        type=_mebibytes,
        metavar="MIB",
        help="the most scratch memory a layer may take, in MiB; 0: any",
    )
    group.add_argument(
        "--lean", action="store_true", help="plans of TensorRT that its lean runtime runs, too"
    )
    group.add_argument(
        "--tf32", action="store_true", help="let fp32 graphs multiply with 10 bits of mantissa"
    )
    group.add_argument(
        "--timeout",
        type=_seconds,
        default=BuildOptions.seconds,
        metavar="S",
        help="seconds a stage may take (default: %(default).0f)",
    )


def _add_stored(group: argparse._ArgumentGroup) -> None:
    one = group.add_mutually_exclusive_group()
    for name, run, text in (
        ("--list", _list, "list the plans, without building any"),
        ("--verify", _verify, "read every plan and compare it with its record"),
        ("--prune", _prune, "remove plans of other graphs and older versions, and broken ones"),
    ):
        one.add_argument(name, dest="run", action="store_const", const=run, help=text)
    group.add_argument(
        "--keep-bytes",
        type=_bytes,
        metavar="N",
        help="with --prune: the oldest plans go until the rest takes N bytes (500M, 2G)",
    )


def _mebibytes(text: str) -> int:
    if re.fullmatch(r"\d{1,9}", text, re.ASCII) is None:
        raise argparse.ArgumentTypeError(f"{text} is no whole number of MiB")
    return int(text)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds")
    return seconds


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d+)([KMG]?)", text.upper(), re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text} is no number of bytes")
    return int(match[1]) * _UNITS[match[2]]


if __name__ == "__main__":
    sys.exit(main())
