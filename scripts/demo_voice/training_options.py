"""How long to train, how fast, and how often to save: options with defaults, and what follows.

Standard library only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sambert_trt.engines.errors import InputError

__all__ = ["TrainingOptions"]


@dataclass(frozen=True)
class TrainingOptions:
    """When a run ends, how fast it learns, and how often it saves.

    It ends with `steps` or `hours`, whichever is reached first.

    Attributes:
        steps: the end, in steps of the whole run.
        hours: the end, in hours of all parts of the run.
        seed: of everything random.
        restart: move an earlier run in the folder aside and begin anew.
        warmup: steps in which learning rates rise.
        rates: what all learning rates are multiplied by; a run may go on with another.
        final_rate: learning rates at the end, as a share of their peak.
        average: decay of the moving average of the weights.
        save_minutes: between two checkpoints.
        log_steps: how many make a line of losses.jsonl.
        patience: steps in a row that may have losses or gradients that are not finite.
    """

    steps: int | None = None
    hours: float | None = None
    seed: int = 0
    restart: bool = False
    warmup: int = 200
    rates: float = 1.0
    final_rate: float = 0.02
    average: float = 0.999
    save_minutes: float = 3.0
    log_steps: int = 20
    patience: int = 20

    def check(self) -> None:
        """Refuses what makes no sense, all of it at once.

        Raises:
            InputError: names each option and its value.
        """
        ranges = {
            "steps": self.steps is None or self.steps >= 1,
            "hours": self.hours is None or 0 < self.hours < math.inf,
            "seed": self.seed >= 0,
            "warmup": self.warmup >= 0,
            "rates": 0 < self.rates < math.inf,
            "final-rate": 0 <= self.final_rate <= 1,
            "average": 0 <= self.average < 1,
            "save-minutes": self.save_minutes > 0,
            "log-steps": self.log_steps >= 1,
            "patience": self.patience >= 1,
        }
        wrong = [
            f"--{name} {getattr(self, name.replace('-', '_'))}"
            for name, fits in ranges.items()
            if not fits
        ]
        if wrong:
            raise InputError(f"{', '.join(wrong)}: out of range; see --help")
        if self.steps is None and self.hours is None:
            raise InputError("a run needs an end: give --hours, --steps or both")

    def progress(self, step: int, seconds: float) -> float:
        """How much of the run is behind: 0 at its begin, 1 or more at its end."""
        by_steps = step / self.steps if self.steps is not None else 0.0
        by_hours = seconds / (3600 * self.hours) if self.hours is not None else 0.0
        return max(by_steps, by_hours)

    def rate_factor(self, step: int, seconds: float) -> float:
        """What a learning rate is of its peak: a linear warm-up under a cosine, times `rates`.

        The cosine falls with `progress` from 1 to `final_rate`, as in SGDR (Loshchilov and Hutter,
        2017, equation 5) without restarts.
        """
        share = min(self.progress(step, seconds), 1.0)
        cosine = self.final_rate + (1 - self.final_rate) * (1 + math.cos(math.pi * share)) / 2
        return self.rates * cosine * min(1.0, (step + 1) / (self.warmup + 1))

    def seconds_left(self, step: int, seconds: float, speed: float) -> float:
        """How long it still takes at that many steps per second."""
        by_steps = (self.steps - step) / speed if self.steps is not None else math.inf
        by_hours = 3600 * self.hours - seconds if self.hours is not None else math.inf
        return max(0.0, min(by_steps, by_hours))
