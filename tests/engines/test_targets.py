"""Names of cards as people and drivers write them, and the capability each stands for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sambert_trt.engines.errors import InputError
from sambert_trt.engines.targets import CARDS, CURRENT, RTX_TARGETS, targets_from_names

NAMES = {
    "rtx3070": "sm_86",
    "RTX 3070": "sm_86",
    "NVIDIA GeForce RTX 3070": "sm_86",
    "NVIDIA GeForce RTX 3070 Laptop GPU": "sm_86",
    "NVIDIA GeForce RTX 3050 6GB Laptop GPU": "sm_86",
    "NVIDIA GeForce RTX 2080 Super with Max-Q".replace(" with", ""): "sm_75",
    "NVIDIA GeForce RTX 4060 Ti 16GB": "sm_89",
    "rtx-4070-ti-super": "sm_89",
    "rtx3060_12gb": "sm_86",
    "NVIDIA GeForce GTX 1650": "sm_75",
    "Tesla T4": "sm_75",
    "Quadro RTX 4000": "sm_75",
    "NVIDIA TITAN RTX": "sm_75",
    "NVIDIA RTX 4000 Ada Generation": "sm_89",
    "NVIDIA RTX A4000": "sm_86",
    "NVIDIA L4": "sm_89",
    "NVIDIA H200": "sm_90",
    "rtx5090": "sm_120",
    " sm_86 ": "sm_86",
    "SM86": "sm_86",
    "sm120": "sm_120",
    "sm_121": "sm_121",
    "Current": CURRENT,
}


@pytest.mark.parametrize(("name", "target"), NAMES.items())
def test_a_card_as_people_and_drivers_write_it(name: str, target: str) -> None:
    assert targets_from_names([name]) == (target,)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "nvidia",
        "rtx",
        "gpu",
        "rtx9999",
        "8.6",
        "sm_",
        "sm_8",
        "sm_086",
        "sm_8600",
        "sm_８６",
    ],
)
def test_no_card_known_is_an_error_that_says_what_to_give(name: str) -> None:
    with pytest.raises(InputError, match="is no card known here: name its compute capability"):
        targets_from_names(["rtx3070", name])


def test_targets_are_sorted_by_number_and_named_once() -> None:
    assert targets_from_names(["rtx5090", "sm_86", "RTX 4090", "rtx3070"]) == (
        "sm_86",
        "sm_89",
        "sm_120",
    )


def test_no_name_and_current_beside_others() -> None:
    with pytest.raises(InputError, match="no target: name a card"):
        targets_from_names([])
    with pytest.raises(InputError, match="current stands alone"):
        targets_from_names(["current", "sm_86"])


def test_no_card_stands_under_two_capabilities() -> None:
    names = [card for cards in CARDS.values() for card in cards]
    assert len(names) == len(set(names))


def test_every_card_of_the_table_is_found_under_its_own_name() -> None:
    """A suffix that is dropped from names must not eat a part of one."""
    for target, cards in CARDS.items():
        assert {targets_from_names([card]) for card in cards} == {(target,)}


@given(st.permutations([*CARDS, *RTX_TARGETS, "t4", "rtx 3070"]))
def test_the_order_of_names_does_not_matter(names: list[str]) -> None:
    expected = sorted({*CARDS, *RTX_TARGETS}, key=lambda target: int(target[3:]))
    assert targets_from_names(names) == tuple(expected)


@given(st.text())
def test_any_text_is_a_target_or_one_error(name: str) -> None:
    try:
        (target,) = targets_from_names([name])
    except InputError:
        return
    assert target == CURRENT or targets_from_names([target]) == (target,)
