"""When each engine is expected to be used again, told from how they were used before.

Standard library only.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

__all__ = ["uses_ahead"]


def uses_ahead(history: Sequence[str], names: Sequence[str]) -> dict[str, int]:
    """How many leases from now each of `names` is expected to be used again.

    The future is read from the past: what followed the moment that was most like now. Engines that
    did not follow come after that, in the order of `names`, from the newest entry of `history` on
    and around to itself. On a cycle this is exact, so keeping the nearest is optimal for engines of
    one size (Belady 1966).
    """
    current = history[-1] if history else ""
    start = names.index(current) + 1 if current in names else 0
    order = dict.fromkeys((*_followed(history), *names[start:], *names[:start]))
    return {name: ahead for ahead, name in enumerate((n for n in order if n in names), start=1)}


def _followed(history: Sequence[str]) -> Sequence[str]:
    """What came after the longest recurrence of how `history` ends, the latest one of that length.

    A longer context tells the last chunk of a sentence from those before it.
    """
    letters = {name: chr(number) for number, name in enumerate(dict.fromkeys(history))}
    text = "".join(letters[name] for name in history)

    def end_before(size: int) -> int:
        return text.rfind(text[-size:], 0, -1) + size

    sizes = range(1, len(text))
    longest = bisect_left(sizes, True, key=lambda size: end_before(size) < size)
    return history[end_before(longest) : -1] if longest else ()
