"""A bounded, uniform sample of a stream that comes in any order and in any number of pieces.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["DRAWS", "Capacity", "Reservoir"]

DRAWS = 1 << 64
"""A draw is a number from 0 up to this."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Capacity:
    """How much is kept: so many items, so many bytes of them together."""

    items: int
    bytes: int


class Reservoir(Generic[Item]):
    """A uniform sample without replacement: the items with the smallest draws (bottom-k sampling).

    A draw is random but belongs to its item, as a hash does. So what is kept depends on what was
    seen and not on its order: threads may finish as they like, a stream may be cut anywhere and go
    on later, and reservoirs of its parts can be merged. Algorithm R needs a fixed order for that.

    Kept are the items below `bound`, the smallest draw that found no room.
    """

    def __init__(self, capacity: Capacity, bound: int = DRAWS) -> None:
        self.capacity, self.bound = capacity, bound
        self._kept: dict[int, tuple[int, Item]] = {}

    def admits(self, draw: int) -> bool:
        """Whether an item of that draw may be kept; whoever makes items can spare the others."""
        return draw < self.bound and draw not in self._kept

    def add(self, draw: int, size: int, item: Item) -> None:
        """Keeps an item of `size` bytes where there is room, at the cost of those drawn higher.

        One that is larger than the whole reservoir is left out and costs nobody a place.
        """
        if self.admits(draw) and size <= self.capacity.bytes:
            self._kept[draw] = (size, item)
            self._shrink()

    def merge(self, other: Reservoir[Item]) -> None:
        """Takes in what another reservoir of the same capacity kept of its part of the stream."""
        self.bound = min(self.bound, other.bound)
        self._kept = {draw: kept for draw, kept in self._kept.items() if draw < self.bound}
        for draw, (size, item) in other._kept.items():
            self.add(draw, size, item)

    def copied(self) -> Reservoir[Item]:
        """One that changes by itself."""
        other: Reservoir[Item] = Reservoir(self.capacity, self.bound)
        other._kept = dict(self._kept)
        return other

    @property
    def bytes(self) -> int:
        """The size of all items."""
        return sum(size for size, _ in self._kept.values())

    def __len__(self) -> int:
        """How many items there are."""
        return len(self._kept)

    def __iter__(self) -> Iterator[tuple[int, int, Item]]:
        """Draw, size and item, by draw."""
        for draw in sorted(self._kept):
            yield (draw, *self._kept[draw])

    def _shrink(self) -> None:
        total = 0
        for place, (draw, size, _) in enumerate(self):
            total += size
            if place == self.capacity.items or total > self.capacity.bytes:
                self.bound = draw
                self._kept = {d: kept for d, kept in self._kept.items() if d < draw}
                return
