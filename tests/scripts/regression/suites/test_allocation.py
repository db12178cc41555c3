"""What a loop allocates and keeps is measured in bytes; a planted leak shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from regression import plant
from regression.suite import Settings
from regression.suites import allocation


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """What a test leaks is given back."""
    yield
    plant._KEPT.clear()


def test_the_peak_of_a_pass_is_above_what_was_held() -> None:
    held = bytearray(3_000_000)
    assert 1_000_000 <= allocation._peak(lambda text: bytearray(1_000_000), "") < 1_010_000
    assert len(held) == 3_000_000


def test_what_early_passes_make_once_is_not_kept() -> None:
    kept: list[bytearray] = []
    texts = [str(number) for number in range(20)]

    def loop(text: str) -> None:
        if int(text) < allocation._EARLY:
            kept.append(bytearray(100_000))
        kept.append(bytearray(1_000))

    grown = allocation._kept(loop, texts)
    assert 15_000 <= grown < 20_000


def test_a_leak_of_five_megabytes_is_beyond_the_tolerance(
    tiny_voice: Callable[[str], Path], tmp_path: Path
) -> None:
    found = []
    for fault in ("", "leak:5MB"):
        settings = Settings(tmp_path, tiny_voice("plain"), tmp_path, plant=fault)
        (values,) = allocation.rounds(settings)
        found.append(values)
    sound, leaking = found
    names = {f"allocation.{loop}.{what}" for loop in ("text", "say") for what in ("peak", "kept")}
    assert set(sound) == names
    grown = {name: leaking[name] - sound[name] for name in names}
    assert grown["allocation.say.kept"] > 4_000_000
    assert abs(grown["allocation.text.kept"]) < 200_000
