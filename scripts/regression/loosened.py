"""What the base's own catalogue would have judged more strictly: the candidate's judges both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sambert_trt.engines.errors import InputError

from .catalogue import CATALOGUE, Catalogue, Gate, Metric, catalogue_from_file

__all__ = ["loosened"]


def loosened(tree: Path, ours: Catalogue) -> tuple[str, ...]:
    """Tolerances that grew, gates and metrics that are gone, a sentence each.

    Args:
        tree: the base; one that has no catalogue asked for nothing.
        ours: by which both sides are judged.
    """
    path = tree / "scripts" / "regression" / CATALOGUE.name
    if not path.exists():
        return ()
    try:
        theirs = catalogue_from_file(path)
    except InputError as error:
        return (f"whether tolerances grew cannot be told: {error}",)
    now = {metric.name: metric for metric in ours.metrics}
    judged = (metric for metric in theirs.metrics if metric.gate is not Gate.NONE)
    changes = (told for metric in judged for told in _changes(metric, now.get(metric.name)))
    return (*changes, *_widened(theirs, ours))


def _changes(base: Metric, now: Metric | None) -> Iterator[str]:
    if now is None:
        yield f"{base.name} is no metric any more; the base judges it ({base.gate.value})"
        return
    if now.gate is Gate.NONE:
        yield f"{base.name} is judged no more; the base judges it ({base.gate.value})"
        return
    for field in ("gate", "scale", "better"):
        before, after = getattr(base, field), getattr(now, field)
        if before is not after:
            yield f"{field} of {base.name}: {before.value} in the base, {after.value} now"
    if now.tolerance > base.tolerance:
        yield f"tolerance of {base.name}: {base.tolerance:g} in the base, {now.tolerance:g} now"
    if now.optional and not base.optional:
        yield f"{base.name} may lack now ({now.optional}); in the base it may not"


def _widened(theirs: Catalogue, ours: Catalogue) -> Iterator[str]:
    for base in theirs.bands:
        now = ours.band(base.metric, base.weights)
        what = f"band of {base.metric}: {base.least:g} to {base.most:g} in the base"
        if now is None:
            yield f"{what}, none now for the weights {base.weights}"
        elif now.least < base.least or now.most > base.most:
            yield f"{what}, {now.least:g} to {now.most:g} now"
