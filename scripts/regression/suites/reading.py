"""How much of what is written is read right: a table of cases, the same for both sides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bench_text import NORMALISATION, measure_normalisation

from ..record import NotMeasured
from ..suite import Settings

__all__ = ["rounds"]


def rounds(settings: Settings) -> Iterator[Mapping[str, float]]:
    """`quality.text.accuracy`, once.

    Raises:
        NotMeasured: the table is not there.
    """
    found = measure_normalisation(NORMALISATION)
    if isinstance(found, str):
        raise NotMeasured(found)
    cases, right = (sum(one[name] for one in found.values()) for name in ("cases", "right"))
    yield {"quality.text.accuracy": right / cases}
