"""Every section of the acceptance on the card at hand, a tiny voice and tiny counts.

The numbers to reach are no part of it: `scripts/gpu_acceptance.py` measures them on a voice of full
size.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from acceptance.card import Card

pytestmark = pytest.mark.gpu

SECTIONS = (
    *("contexts", "memory", "graphs", "parity", "streaming", "load", "step", "speech", "peak"),
    *("cycles", "sentences", "onnx_cuda", "failures"),
)


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_passes(card: Card, acceptance: dict[str, ModuleType], name: str) -> None:
    outcomes = {o.name: o for o in acceptance["sections"].run_sections(card, [name])}
    outcome = outcomes[name]
    if outcome.status.value == "not run":
        pytest.skip(outcome.reason)
    found = [f"{check.name}: {check.found}" for check in outcome.result.failures]
    assert (outcome.status.value, outcome.reason, found) == ("passed", "", [])
