"""What engines cost together, and budgets."""

from __future__ import annotations

import pytest

from sambert_trt.engines.errors import InputError
from sambert_trt.runtime.budget import EngineCost, Isolation, MemoryBudget, footprint


def test_costs_add_up() -> None:
    costs = [EngineCost(100, 10, 5, 1), EngineCost(120, 20, 3, 2)]
    assert [cost.total for cost in costs] == [116, 145]
    assert footprint(costs, Isolation.ENGINE) == 261
    assert footprint(costs, Isolation.SHARED) == 120 + 5 + 30 + 3
    assert footprint([], Isolation.ENGINE) == footprint([], Isolation.SHARED) == 0


def test_budgets_have_room_beside_their_reserve() -> None:
    assert MemoryBudget(10, 3).limit == 7
    for total, reserve in ((5, 5), (0, 0), (5, -1)):
        with pytest.raises(InputError, match="the reserve has to be smaller than the budget"):
            MemoryBudget(total, reserve)
