"""The files a run leaves behind: looked at before anything is measured, each written whole."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sambert_trt.engines.errors import InputError, OutputError, SambertError
from sambert_trt.runtime.audio import replaced_file

from .gate import ExitStatus
from .html import html
from .junit import junit
from .markdown import markdown
from .report import Report
from .store import History, append_record, history_from_file, write_record
from .terminal import result_lines, show

__all__ = [
    "Outputs",
    "Written",
    "add_outputs",
    "check_writable",
    "end_run",
    "outputs_from_options",
    "write_text",
]


@dataclass(frozen=True)
class Written:
    """Which files were written, and why the others were not, a line each."""

    files: Sequence[Path]
    failures: Sequence[str]


@dataclass(frozen=True)
class Outputs:
    """Where the results go; None: not asked for."""

    json: Path | None = None
    markdown: Path | None = None
    junit: Path | None = None
    html: Path | None = None
    history: Path | None = None

    @property
    def paths(self) -> list[Path]:
        """Those that were asked for."""
        found = (self.json, self.markdown, self.junit, self.html, self.history)
        return [path for path in found if path is not None]

    def check(self) -> History:
        """Looks whether all can be written, and reads the history there is.

        Raises:
            InputError: two are the same file, one cannot be written, or the history is none.
        """
        seen: set[Path] = set()
        for path in self.paths:
            if path.resolve() in seen:
                raise InputError(f"{path} is named for two outputs: name two files")
            seen.add(path.resolve())
            check_writable(path)
        if self.history is None or not self.history.exists():
            return History(())
        return history_from_file(self.history)

    def try_all(self, report: Report) -> Written:
        """Writes what was asked for, each whether or not another can be written.

        The record comes first, so that nothing measured is lost. What was broken off is added to
        no history.
        """
        ends = [(path, _failure(write)) for path, write in self._writers(report)]
        files = [path for path, failure in ends if not failure]
        return Written(files, [failure for _, failure in ends if failure])

    def _writers(self, report: Report) -> Iterator[tuple[Path, Callable[[], None]]]:
        if self.json is not None:
            yield self.json, partial(write_record, self.json, report.record)
        if self.history is not None and report.complete:
            yield self.history, partial(append_record, self.history, report.record)
        texts = ((self.markdown, markdown), (self.junit, junit), (self.html, html))
        for path, make in texts:
            if path is not None:
                yield path, partial(_write_made, path, make, report)


def end_run(report: Report, outputs: Outputs) -> ExitStatus:
    """Tells what came of a run, then writes its files and tells which are written and which not.

    Returns:
        the run's status; of one that is green, `NOT_MEASURED` where a file could not be written.
    """
    for line in result_lines(report):
        print(line, flush=True)
    written, status = outputs.try_all(report), report.status
    if written.files:
        show(f"written: {', '.join(map(str, written.files))}\n")
    if written.failures:
        status = ExitStatus.NOT_MEASURED if status is ExitStatus.GREEN else status
        show("".join(f"perf: {failure}\n" for failure in written.failures))
        tried = len(written.files) + len(written.failures)
        lacking = f"{len(written.failures)} of {tried} files could not be written"
        show(f"perf: {lacking}; the run itself is {report.colour}, exit status {status:d}\n")
    return status


def _failure(write: Callable[[], None]) -> str:
    """Why it failed; "" where it did not."""
    try:
        write()
    except (SambertError, OSError) as error:
        return str(error)
    return ""


def _write_made(path: Path, make: Callable[[Report], str], report: Report) -> None:
    write_text(path, make(report))


def add_outputs(parser: argparse.ArgumentParser) -> None:
    """The options of `outputs_from_options`."""
    group = parser.add_argument_group("what is written")
    words = {
        "json": "the record, with every sample",
        "markdown": "a summary for a pull request",
        "junit": "a test for each metric, as JUnit XML",
        "html": "a page with distributions and trends",
        "history": "a file of records, one a line, that this one is added to",
    }
    for name, what in words.items():
        group.add_argument(f"--{name}", type=Path, metavar="FILE", help=what)


def outputs_from_options(options: argparse.Namespace) -> Outputs:
    """What `add_outputs` asked for."""
    return Outputs(options.json, options.markdown, options.junit, options.html, options.history)


def check_writable(path: Path) -> None:
    """Makes the folder of a file and tries whether a file can be written there.

    Raises:
        InputError: it cannot, and nothing was measured yet: another place may be named.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{path.parent} cannot be made: {error.strerror or error}; choose a writable place"
        ) from error
    try:
        with suppress(_Enough), replaced_file(path):
            raise _Enough
    except OutputError as error:
        raise InputError(str(error)) from error


class _Enough(Exception):  # noqa: N818  # not a fault: it keeps a trial from taking its place
    """Leaves what stood there untouched."""


def write_text(path: Path, text: str) -> None:
    """Writes a file, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    with replaced_file(path) as fresh:
        fresh.write_text(text, encoding="utf-8")
