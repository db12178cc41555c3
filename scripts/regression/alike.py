"""Whether two sides may be compared: they have to speak alike."""

from __future__ import annotations

from dataclasses import fields

from sambert_trt.engines.errors import InputError

from .record import Identity, Side

__all__ = ["compare_refusal"]


def compare_refusal(base: Side, candidate: Side, *, across: bool = False) -> tuple[str, ...]:
    """Refuses to compare what is not alike; returns what differs, in words, where that is allowed.

    Args:
        across: the caller asked to compare different voices, precisions, backends or threads.

    Raises:
        InputError: the sides differ in a voice, weights, precision, backend or threads.
    """
    if base.identity is None or candidate.identity is None:
        sides = [side.label for side in (base, candidate) if side.identity is None]
        return tuple(f"{label} opened no voice" for label in sides)
    differences = tuple(
        f"{item.name} {_shown(base.identity, item.name)} ({base.label}) and "
        f"{_shown(candidate.identity, item.name)} ({candidate.label})"
        for item in fields(Identity)
        if getattr(base.identity, item.name) != getattr(candidate.identity, item.name)
    )
    if differences and not across:
        raise InputError(
            f"the sides cannot be compared: {'; '.join(differences)}. Measure both alike, or "
            "ask for a comparison across them"
        )
    return differences


def _shown(identity: Identity, name: str) -> str:
    value = str(getattr(identity, name))
    return value[:12] if name == "weights" else value
