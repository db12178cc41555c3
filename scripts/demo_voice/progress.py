"""How a long run goes on, for who looks on: a line that moves, or, in a file, a line a minute.

Standard library only; rich is imported where a display is entered.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["SILENT", "Moment", "Watcher", "shown", "told_time"]

_BETWEEN = 60.0
"""Seconds between lines where they stay, as in a file."""


@dataclass(frozen=True)
class Moment:
    """Where a run stands.

    Attributes:
        step: steps made.
        share: how much of the run is behind, 0 to 1.
        losses: means of late, by name.
        speed: steps per second, of late.
        seconds_left: what it still takes at that speed.
        skipped: steps that changed nothing, because something was not finite.
    """

    step: int
    share: float
    losses: Mapping[str, float]
    speed: float
    seconds_left: float
    skipped: int

    def __str__(self) -> str:
        parts = [
            f"step {self.step:,}",
            f"{self.speed:.2f} steps/s",
            f"{told_time(self.seconds_left)} left",
            *(f"{name} {value:.4g}" for name, value in self.losses.items()),
        ]
        if self.skipped:
            parts.append(f"{self.skipped} skipped")
        return "  ".join(parts)


class Watcher(Protocol):
    """Who looks on."""

    def show(self, moment: Moment) -> None:
        """Where the run stands now."""

    def say(self, text: str) -> None:
        """A sentence that is to stay."""


class _Silent:
    def show(self, moment: Moment) -> None:
        pass

    def say(self, text: str) -> None:
        pass


SILENT: Watcher = _Silent()


def told_time(seconds: float) -> str:
    """Seconds as hours, minutes and seconds: 1:02:03."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


@contextmanager
def shown(title: str) -> Iterator[Watcher]:
    """A display on standard error for the block: moving on a terminal, else lines that stay."""
    if not sys.stderr.isatty():
        yield _Lines(title)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    from rich.table import Column

    console = Console(stderr=True)
    told = TextColumn(
        "{task.description}",
        markup=False,
        table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
    )
    columns = (TextColumn(title, markup=False), BarColumn(20), TaskProgressColumn(), told)
    with Progress(*columns, console=console, transient=True, expand=True) as progress:
        task = progress.add_task("", total=1.0)
        yield _Moving(progress, task)


class _Moving:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def show(self, moment: Moment) -> None:
        self._progress.update(self._task, completed=moment.share, description=str(moment))

    def say(self, text: str) -> None:
        self._progress.console.print(text, markup=False, highlight=False)


class _Lines:
    def __init__(self, title: str) -> None:
        self._title, self._last = title, float("-inf")

    def show(self, moment: Moment) -> None:
        now = time.monotonic()
        if now - self._last >= _BETWEEN:
            self._last = now
            self.say(f"{100 * moment.share:3.0f} %  {moment}")

    def say(self, text: str) -> None:
        print(f"{self._title}: {text}", file=sys.stderr, flush=True)
