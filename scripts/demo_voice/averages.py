"""The moving average of a module's weights, which speaks better than those of any one step."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

__all__ = ["MovingAverage"]


class MovingAverage:
    """An exponential moving average of all floating tensors of a module; others are copied.

    Early on it follows quickly: after n steps the decay is min(decay, (1 + n) / (10 + n)), as
    TensorFlow's ExponentialMovingAverage has it with `num_updates`.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._module, self._decay = module, decay
        self.tensors = {name: one.detach().clone() for name, one in module.state_dict().items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes over the tensors of a `MovingAverage` of the same module.

        Raises:
            KeyError, RuntimeError: one is missing or has another shape.
        """
        for name, own in self.tensors.items():
            own.copy_(tensors[name])

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Moves towards the module's tensors as they are after `step` steps."""
        decay = min(self._decay, (1 + step) / (10 + step))
        own, live = [], []
        for name, tensor in self._module.state_dict().items():
            if tensor.is_floating_point():
                own.append(self.tensors[name])
                live.append(tensor)
            else:
                self.tensors[name].copy_(tensor)
        # On a GPU it is one launch for all of them; torch has no types for it.
        get_ema_multi_avg_fn(decay)(own, live, step)  # type: ignore[no-untyped-call]
