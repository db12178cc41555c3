"""Module lists with the type of their members, which torch's containers forget."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from torch import nn

__all__ = ["members"]

Member = TypeVar("Member", bound=nn.Module)


def members(modules: Iterable[nn.Module], kind: type[Member]) -> list[Member]:
    """The modules as a list, every one checked to be of that kind."""
    found = [module for module in modules if isinstance(module, kind)]
    if len(found) != len(list(modules)):
        raise TypeError(f"a module list holds something else than {kind.__name__}")
    return found
