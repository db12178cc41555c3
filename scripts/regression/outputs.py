"""The files a run leaves behind: looked at before anything is measured, each written whole."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sambert_trt.engines.errors import InputError, OutputError
from sambert_trt.runtime.audio import replaced_file

from .html import html
from .junit import junit
from .markdown import markdown
from .report import Report
from .store import History, append_record, history_from_file, write_record

__all__ = ["Outputs", "add_outputs", "check_writable", "outputs_from_options", "write_text"]


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
            InputError: two are the same file, or the history is none.
            OutputError: one cannot be written.
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

    def write(self, report: Report) -> None:
        """Writes what was asked for; the record first, so that nothing measured is lost.

        Raises:
            OutputError: a file cannot be written.
        """
        if self.json is not None:
            write_record(self.json, report.record)
        if self.history is not None and report.complete:
            append_record(self.history, report.record)
        for path, text in self._texts(report):
            write_text(path, text)

    def _texts(self, report: Report) -> Iterator[tuple[Path, str]]:
        if self.markdown is not None:
            yield self.markdown, markdown(report)
        if self.junit is not None:
            yield self.junit, junit(report)
        if self.html is not None:
            yield self.html, html(report)


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
        OutputError: it cannot.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{path.parent} cannot be made: {error.strerror or error}; choose a writable place"
        ) from error
    with suppress(_Enough), replaced_file(path):
        raise _Enough


class _Enough(Exception):  # noqa: N818  # not a fault: it keeps a trial from taking its place
    """Leaves what stood there untouched."""


def write_text(path: Path, text: str) -> None:
    """Writes a file, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    with replaced_file(path) as fresh:
        fresh.write_text(text, encoding="utf-8")
