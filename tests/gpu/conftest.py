"""A card and its driver, or the reason why there is none; the acceptance's sections for it.

Everything here skips on a machine without an NVIDIA card. With one: `pytest tests/gpu -m gpu`.
"""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from sambert_trt.engines.errors import SambertError
from sambert_trt.runtime.cuda_calls import Driver

if TYPE_CHECKING:
    from acceptance.card import Card

    from sambert_trt.runtime.devices import CardWatch


@pytest.fixture(scope="session")
def driver() -> Driver:
    """CUDA."""
    from sambert_trt.runtime.cuda_driver import driver_from_cuda_bindings

    try:
        found = driver_from_cuda_bindings()
        count = found.device_count()
    except SambertError as error:
        pytest.skip(f"no NVIDIA card here: {error}")
    if not count:
        pytest.skip("the NVIDIA driver shows no card")
    return found


@pytest.fixture(scope="session")
def watch(driver: Driver) -> CardWatch:
    """NVML, on card 0."""
    from sambert_trt.runtime.devices import card_memory

    try:
        return card_memory(driver.device_bus(0))
    except SambertError as error:
        pytest.skip(f"the card's memory cannot be watched: {error}")


@pytest.fixture(scope="session")
def acceptance(root: Path) -> dict[str, ModuleType]:
    """Modules of scripts/acceptance by name."""
    sys.path.insert(0, str(root / "scripts"))
    try:
        names = ("card", "plans", "sections")
        return {name: importlib.import_module(f"acceptance.{name}") for name in names}
    finally:
        sys.path.pop(0)


@pytest.fixture(scope="session")
def card(
    driver: Driver,
    acceptance: dict[str, ModuleType],
    tiny_voice: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Card:
    """Card 0 for the acceptance, with a tiny voice whose missing plans are built."""
    folder = tmp_path_factory.mktemp("gpu")
    voice = Path(shutil.copytree(tiny_voice("nsf"), folder / "voice"))
    counts = acceptance["card"].Counts(
        cycles=3,
        failed_loads=9,
        sentences=20,
        rounds=1,
        opens=2,
        bursts=3,
        contexts=3,
        lengths=(1, 9, 40),
        text=1,
        idle_samples=20,
    )
    options = acceptance["plans"].CardOptions(voice, counts)
    found: Card = acceptance["plans"].card_of_machine(
        options, folder / "kernels", lambda line: None
    )
    if found.absent:
        pytest.skip(found.absent)
    return found
