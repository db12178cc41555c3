"""What a reservoir keeps: bounded, and the same whatever the order and the pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sambert_trt.calibration.reservoir import DRAWS, Capacity, Reservoir

Items = list[tuple[int, int]]

items = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 12)), max_size=30, unique_by=lambda item: item[0]
)
capacities = st.builds(Capacity, st.integers(1, 8), st.integers(1, 40))


def kept(reservoir: Reservoir[str]) -> list[tuple[int, int, str]]:
    return list(reservoir)


def expected(found: Items, capacity: Capacity) -> Items:
    """The rule in one go: by draw, until one finds no room."""
    taken: Items = []
    for draw, size in sorted(item for item in found if item[1] <= capacity.bytes):
        if len(taken) == capacity.items or sum(s for _, s in taken) + size > capacity.bytes:
            break
        taken.append((draw, size))
    return taken


def filled(found: Items, capacity: Capacity, bound: int = DRAWS) -> Reservoir[str]:
    reservoir: Reservoir[str] = Reservoir(capacity, bound)
    for draw, size in found:
        reservoir.add(draw, size, f"{draw}")
    return reservoir


@given(items, capacities, st.randoms(use_true_random=False))
def test_the_order_does_not_matter(found: Items, capacity: Capacity, random: object) -> None:
    wanted = [(draw, size, f"{draw}") for draw, size in expected(found, capacity)]
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert kept(filled(found, capacity)) == wanted
    assert kept(filled(shuffled, capacity)) == wanted


@given(items, capacities, st.integers(0, 30), st.integers(0, 30))
def test_pieces_merge_to_the_whole(found: Items, capacity: Capacity, one: int, two: int) -> None:
    first, second = sorted((one, two))
    pieces = (found[:first], found[first:second], found[second:])
    whole = filled(found, capacity)
    merged: Reservoir[str] = Reservoir(capacity)
    for piece in pieces:
        merged.merge(filled(piece, capacity, merged.bound))
    assert kept(merged) == kept(whole)
    assert merged.bound == whole.bound


@given(items, capacities)
def test_it_is_bounded_and_says_what_it_would_take(found: Items, capacity: Capacity) -> None:
    reservoir: Reservoir[str] = Reservoir(capacity)
    for draw, size in found:
        admitted = reservoir.admits(draw)
        reservoir.add(draw, size, "")
        assert admitted or draw not in {d for d, *_ in reservoir}
        assert len(reservoir) <= capacity.items
        assert reservoir.bytes == sum(s for _, s, _ in reservoir) <= capacity.bytes


def test_a_giant_costs_nobody_a_place() -> None:
    reservoir = filled([(1, 50), (7, 3)], Capacity(4, 10))
    assert kept(reservoir) == [(7, 3, "7")]
    assert reservoir.bound == DRAWS


def test_a_copy_changes_by_itself() -> None:
    reservoir = filled([(5, 1)], Capacity(1, 10))
    other = reservoir.copied()
    other.add(2, 1, "2")
    assert kept(other) == [(2, 1, "2")]
    assert (kept(reservoir), reservoir.bound, other.bound) == ([(5, 1, "5")], DRAWS, 5)
