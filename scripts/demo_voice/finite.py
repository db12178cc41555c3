"""Numbers that are not finite: found before they reach the weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

__all__ = ["NotFiniteError", "check_losses", "check_weights", "finite_gradients_only"]


class NotFiniteError(ArithmeticError):
    """Something is infinite or no number; the message says what."""


def check_losses(losses: Mapping[str, float]) -> None:
    """Refuses losses that are not finite.

    Raises:
        NotFiniteError: with their names and values.
    """
    wrong = [f"{name} is {value}" for name, value in losses.items() if not math.isfinite(value)]
    if wrong:
        raise NotFiniteError(", ".join(wrong))


def check_weights(tensors: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Refuses tensors, by module and name, that are not finite.

    Raises:
        NotFiniteError: with the first one's name.
    """
    for module, named in tensors.items():
        for name, tensor in named.items():
            if not bool(torch.isfinite(tensor).all()):
                raise NotFiniteError(f"{name} of {module} is not finite")


@contextmanager
def finite_gradients_only(optimisers: Mapping[str, torch.optim.Optimizer]) -> Iterator[None]:
    """For the block, `step` of an optimiser raises NotFiniteError instead of spoiling weights."""
    with ExitStack() as stack:
        for name, optimiser in optimisers.items():
            handle = optimiser.register_step_pre_hook(partial(_check_gradients, name))
            stack.callback(handle.remove)
        yield


def _check_gradients(
    name: str, optimiser: torch.optim.Optimizer, arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    parameters = (one for group in optimiser.param_groups for one in group["params"])
    gradients = [one.grad for one in parameters if one.grad is not None]
    if gradients and not bool(torch.isfinite(torch.nn.utils.get_total_norm(gradients))):
        raise NotFiniteError(f"the gradients of {name} are not finite")
