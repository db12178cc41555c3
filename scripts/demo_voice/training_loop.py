"""The training loop of both models: steps, learning rates, checkpoints, and the way back from them.

It knows no model: what is trained is a `Task`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sambert_trt.engines.errors import InputError, OutputError, SourceError

from .averages import MovingAverage
from .checkpoints import (
    Checkpoint,
    RandomStates,
    checkpoint_from_file,
    checkpoint_paths,
    differences,
    listed,
    plain_settings,
    remove_all_but,
    write_checkpoint,
)
from .finite import NotFiniteError, check_losses, check_weights, finite_gradients_only
from .loss_log import LossLog
from .loss_plots import draw_losses
from .progress import Moment, Watcher
from .run_folder import LOSSES, PICTURE
from .training import Outcome, Task
from .training_options import TrainingOptions

__all__ = ["TrainingLoop"]

_KEPT = 2
"""Checkpoints: the newest, and one more should its file be damaged."""


class TrainingLoop:
    """A run in progress."""

    def __init__(
        self,
        task: Task,
        folder: Path,
        options: TrainingOptions,
        watcher: Watcher,
        clock: Callable[[], float],
    ) -> None:
        self._task, self._folder, self._options = task, folder, options
        self._watcher, self._clock = watcher, clock
        self._step = self._skipped = self._in_a_row = 0
        self._before = 0.0
        self._peaks = [float(group["lr"]) for group in _groups(task)]
        self._settings = plain_settings(_settings(task))
        self._history: list[dict[str, Any]] = []
        self._average = MovingAverage(task.modules[task.averaged], options.average)
        self._random = np.random.default_rng(options.seed)
        torch.manual_seed(options.seed)
        self._resume()
        self._history = _continued(self._history, self._step, task.circumstances())
        self._log = LossLog(folder / LOSSES, self._step)
        self._saved = self._told = self._step
        self._started = self._saved_at = self._told_at = clock()

    def _resume(self) -> None:
        found = checkpoint_paths(self._folder)
        if not found:
            return
        saved = checkpoint_from_file(found[-1])
        differing = differences(saved.settings, self._settings)
        if differing:
            raise InputError(
                f"{found[-1]} was trained with other settings ({listed(differing)}): give the "
                "same, name another folder, or start anew with --restart"
            )
        try:
            self._load(saved)
        except (LookupError, RuntimeError, TypeError, ValueError) as error:
            why = (str(error).splitlines() or [""])[0]
            raise SourceError(
                f"{found[-1]} does not fit the model ({why}); remove it to go on from the one "
                "before it, or start anew with --restart"
            ) from error
        self._watcher.say(f"going on from {found[-1]}")

    def _load(self, saved: Checkpoint) -> None:
        for name, module in self._task.modules.items():
            module.load_state_dict(saved.modules[name])
        for name, optimiser in self._task.optimisers.items():
            optimiser.load_state_dict(saved.optimisers[name])
        self._average.load(saved.average)
        RandomStates(**saved.random).restore(self._random)
        self._step, self._before, self._skipped = saved.step, saved.seconds, saved.skipped
        self._history = saved.history

    def go_on(self, stopped: Callable[[], bool]) -> None:
        """Steps to the end, and keeps what was reached."""
        with finite_gradients_only(self._task.optimisers):
            while self._options.progress(self._step, self._seconds) < 1 and not stopped():
                self._take_step()
                if self._step % self._options.log_steps == 0:
                    self._tell()
                if self._clock() - self._saved_at >= 60 * self._options.save_minutes:
                    self._keep(last=False)
        self._keep(last=True)

    def outcome(self) -> Outcome:
        """Where the run stands."""
        finished = self._options.progress(self._step, self._seconds) >= 1
        newest = next(reversed(checkpoint_paths(self._folder)), None)
        return Outcome(finished, self._step, self._seconds, self._skipped, newest)

    @property
    def _seconds(self) -> float:
        return self._before + self._clock() - self._started

    @property
    def _rate(self) -> float:
        return max(float(group["lr"]) for group in _groups(self._task))

    def _take_step(self) -> None:
        factor = self._options.rate_factor(self._step, self._seconds)
        for group, peak in zip(_groups(self._task), self._peaks, strict=True):
            group["lr"] = peak * factor
        try:
            losses = self._task.step(self._step, self._random)
            check_losses(losses)
        except NotFiniteError as error:
            self._skip(error)
        else:
            self._in_a_row = 0
            self._log.add(losses)
            self._average.update(self._step)
        self._step += 1

    def _skip(self, error: NotFiniteError) -> None:
        for optimiser in self._task.optimisers.values():
            optimiser.zero_grad()
        self._skipped, self._in_a_row = self._skipped + 1, self._in_a_row + 1
        if self._in_a_row >= self._options.patience:
            raise SourceError(
                f"{self._in_a_row} steps in a row were not finite, the last step {self._step} "
                f"({error}); {self._last_good()}: go on with lower learning rates (--rates "
                f"{self._options.rates / 2:g}) or with --precision float32"
            )

    def _last_good(self) -> str:
        found = checkpoint_paths(self._folder)
        return f"the last good checkpoint is {found[-1]}" if found else "there is no checkpoint yet"

    def _tell(self) -> None:
        losses = self._log.close_line(self._step, self._seconds, self._rate)
        now, share = self._clock(), self._options.progress(self._step, self._seconds)
        speed = (self._step - self._told) / max(now - self._told_at, 1e-9)
        left = self._options.seconds_left(self._step, self._seconds, speed)
        self._told, self._told_at = self._step, now
        self._watcher.show(Moment(self._step, share, losses, speed, left, self._skipped))

    def _keep(self, *, last: bool) -> None:
        """Saves everything that is new; what fails is tried again later, and told at the end.

        Raises:
            SourceError: the weights are not finite.
            OutputError: something could not be written, and this was the last time.
        """
        self._log.close_line(self._step, self._seconds, self._rate)
        acts = (self._save, self._log.write, self._draw)
        failures = [error for error in map(_failure, acts) if error is not None]
        if failures and last:
            raise failures[0]
        for error in failures:
            self._watcher.say(f"{error}; training goes on, the next save tries again")
        self._saved_at = self._clock()

    def _save(self) -> None:
        if self._step == self._saved:
            return
        checkpoint = self._checkpoint()
        try:
            check_weights({**checkpoint.modules, "the average": checkpoint.average})
        except NotFiniteError as error:
            raise SourceError(f"at step {self._step} {error}; {self._last_good()}") from error
        write_checkpoint(self._folder, checkpoint)
        self._saved = self._step
        remove_all_but(self._folder, _KEPT)

    def _checkpoint(self) -> Checkpoint:
        task = self._task
        return Checkpoint(
            step=self._step,
            seconds=self._seconds,
            skipped=self._skipped,
            settings=self._settings,
            averaged=task.averaged,
            average=self._average.tensors,
            modules={name: dict(one.state_dict()) for name, one in task.modules.items()},
            optimisers={name: one.state_dict() for name, one in task.optimisers.items()},
            random=RandomStates.taken(self._random).plain(),
            history=self._history,
        )

    def _draw(self) -> None:
        draw_losses(self._log.lines, self._folder / PICTURE, self._folder.name)


def _failure(act: Callable[[], None]) -> OutputError | None:
    try:
        act()
    except OutputError as error:
        return error
    return None


def _groups(task: Task) -> list[dict[str, Any]]:
    return [group for optimiser in task.optimisers.values() for group in optimiser.param_groups]


def _continued(
    history: Sequence[dict[str, Any]], step: int, circumstances: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The history with what holds from this step on, where that is new."""
    now = plain_settings(circumstances)
    same = bool(history) and history[-1]["had"] == now
    return [*history] if same else [*history, {"after": step, "had": now}]


def _settings(task: Task) -> dict[str, Any]:
    """What the task says, and its modules' sizes: a folder of the other model is told by those."""
    sizes = {
        name: sum(one.numel() for one in module.parameters())
        for name, module in task.modules.items()
    }
    return {**task.settings(), "weights": sizes}
