"""The cards plans are built for: names people know, and the compute capability behind each.

Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .errors import InputError

__all__ = ["CARDS", "CURRENT", "RTX_TARGETS", "targets_from_names"]

CURRENT = "current"
"""The card of this machine: the TensorRT builder asks the driver for it."""

CARDS: dict[str, tuple[str, ...]] = {
    "sm_75": (
        *("gtx1650", "gtx1660", "rtx2060", "rtx2070", "rtx2080", "rtx2080ti"),
        *("titanrtx", "t4", "t400", "t600", "t1000", "quadrortx4000", "quadrortx5000"),
    ),
    "sm_80": ("a100", "a30"),
    "sm_86": (
        *("rtx3050", "rtx3060", "rtx3060ti", "rtx3070", "rtx3070ti", "rtx3080", "rtx3080ti"),
        *("rtx3090", "rtx3090ti", "rtxa2000", "rtxa4000", "rtxa5000", "rtxa6000"),
        *("a2", "a10", "a16", "a40"),
    ),
    "sm_89": (
        *("rtx4050", "rtx4060", "rtx4060ti", "rtx4070", "rtx4070ti", "rtx4080", "rtx4090"),
        *("rtx4000ada", "rtx5000ada", "rtx6000ada", "l4", "l40", "l40s"),
    ),
    "sm_90": ("h100", "h200"),
    "sm_120": ("rtx5050", "rtx5060", "rtx5060ti", "rtx5070", "rtx5070ti", "rtx5080", "rtx5090"),
}
"""Compute capability -> the cards that have it; suffixes such as `super` and `laptop` are dropped.

From NVIDIA's table of CUDA GPUs and their compute capability.
"""

RTX_TARGETS = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_120", "sm_121")
"""What TensorRT for RTX 1.7 builds for without a card."""

_SEPARATORS = re.compile(r"[ _-]")
_SUFFIXES = re.compile(
    r"nvidia|tesla|geforce|generation|super|laptop|gpu|mobile|maxq|"
    r"(4|6|8|10|12|16|20|24|32|40|48|80)gb"
)
_CAPABILITY = re.compile(r"sm_?([1-9][0-9]{1,2})")


def targets_from_names(names: Iterable[str]) -> tuple[str, ...]:
    """Card names, `sm_86`, `sm86` or `current` -> sorted compute capabilities, each once.

    Raises:
        InputError: an unknown card, or `current` beside others.
    """
    found = {_target(name) for name in names}
    if not found:
        raise InputError("no target: name a card such as rtx3070, or a capability such as sm_86")
    if CURRENT in found and len(found) > 1:
        raise InputError("the target current stands alone: name the other cards' machines instead")
    return tuple(sorted(found, key=_order))


def _target(name: str) -> str:
    plain = name.strip().lower()
    if plain == CURRENT:
        return CURRENT
    if match := _CAPABILITY.fullmatch(plain):
        return f"sm_{match[1]}"
    card = _SUFFIXES.sub("", _SEPARATORS.sub("", plain))
    for capability, cards in CARDS.items():
        if card in cards:
            return capability
    raise InputError(
        f"the target {name!r} is no card known here: name its compute capability, as in sm_86 "
        "(NVIDIA lists them at developer.nvidia.com/cuda-gpus), or current"
    )


def _order(target: str) -> int:
    return 0 if target == CURRENT else int(target.removeprefix("sm_"))
