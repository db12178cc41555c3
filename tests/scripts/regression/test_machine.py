"""Machines are told apart, and what changes on one is said."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from regression import machine
from regression.machine import cautions, differences, fingerprint, machine_name, obstacles

CARD = {
    "name": "A card",
    "uuid": "1",
    "driver": "580.1",
    "memory_bytes": 8e9,
    "sm_most_mhz": 2000,
    "sm_mhz": 300,
    "throttle_reasons": 1,
}
FACTS: dict[str, Any] = {
    "id": "aa",
    "processor": "A processor",
    "cores": 4,
    "load": [0.5, 0.1, 0.1],
    "system": "Linux",
    "python": "3.11.7",
    "pace": 2e-4,
    "governor": "performance",
    "memory_bytes": 16e9,
    "versions": {"numpy": "2.0"},
    "gpu": {"0": CARD},
}


def changed(**changes: Any) -> dict[str, Any]:  # noqa: ANN401  # facts are of any type
    """FACTS with values at dotted names, `gpu__0__driver`; None removes one."""
    facts = copy.deepcopy(FACTS)
    for name, value in changes.items():
        *groups, last = name.split("__")
        inner = facts
        for group in groups:
            inner = inner[group]
        inner[last] = value
        if value is None:
            del inner[last]
    return facts


def test_this_machine_is_comparable_with_itself() -> None:
    facts = fingerprint()
    assert json.loads(json.dumps(facts)) == facts
    assert {"id", "processor", "cores", "system", "python", "pace", "versions"} <= set(facts)
    assert facts["versions"]["numpy"]
    assert obstacles(facts, facts) == differences(facts, facts) == ()
    assert facts["id"] in machine_name(facts)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": "bb"}, "id: aa, then bb"),
        ({"cores": 8}, "cores: 4, then 8"),
        ({"governor": "powersave"}, "governor: performance, then powersave"),
        ({"governor": None}, "governor: performance, then unknown"),
        ({"pace": 2.3e-4}, "pace: 0.0002, then 0.00023 (+15%)"),
        ({"versions__numpy": "2.1"}, "versions: numpy: 2.0, then 2.1"),
        ({"versions__torch": "2.1"}, "versions: torch: unknown, then 2.1"),
        ({"gpu__0__driver": "590.1"}, "card 0: driver: 580.1, then 590.1"),
        ({"gpu__0__uuid": "2"}, "card 0: uuid: 1, then 2"),
        ({"gpu__0__sm_most_mhz": 1500}, "card 0: sm_most_mhz: 2000, then 1500 (-25%)"),
        ({"gpu__1": CARD}, "gpu: 1 cards, then 2"),
        ({"gpu": None}, "gpu: 1 cards, then 0"),
    ],
)
def test_obstacles_between_two_runs(changes: dict[str, Any], said: str) -> None:
    assert obstacles(FACTS, changed(**changes)) == (said,)


@pytest.mark.parametrize(
    "changes",
    [{"load": [9.0]}, {"pace": 2.1e-4}, {"gpu__0__sm_mhz": 2000}, {"gpu__0__throttle_reasons": 4}],
)
def test_what_always_changes_is_no_obstacle(changes: dict[str, Any]) -> None:
    assert obstacles(FACTS, changed(**changes)) == ()
    assert differences(FACTS, changed(**changes)) == ()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"governor": "powersave"}, "governor: performance, then powersave"),
        ({"pace": 1.5e-4}, "pace: 0.0002, then 0.00015 (-25%)"),
        ({"gpu__0__sm_most_mhz": 1500}, "card 0: sm_most_mhz: 2000, then 1500 (-25%)"),
        ({"gpu__0__throttle_reasons": 0x41}, "card 0: it was slowed down (reasons 0x40)"),
    ],
)
def test_differences_during_a_run(changes: dict[str, Any], said: str) -> None:
    assert differences(FACTS, changed(**changes)) == (said,)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"load": [2.5, 0.0, 0.0]}, "others keep the machine busy: load 2.5 on 4 cores"),
        ({"governor": "ondemand"}, "governor is ondemand"),
        ({"gpu__0__throttle_reasons": 0x8}, "card 0 is slowed down (reasons 0x8)"),
    ],
)
def test_cautions(changes: dict[str, Any], said: str) -> None:
    assert cautions(FACTS) == ()
    (found,) = cautions(changed(**changes))
    assert said in found


@pytest.mark.parametrize(
    ("files", "limits"),
    [
        ({}, {}),
        ({"cpu.max": "max 100000", "memory.max": "max"}, {}),
        (
            {"cpu.max": "150000 100000", "memory.max": "4000000"},
            {"cores": 1.5, "memory_bytes": 4000000},
        ),
        (
            {
                "cpu.cfs_quota_us": "200000",
                "cpu.cfs_period_us": "100000",
                "memory.limit_in_bytes": "9223372036854771712",
            },
            {"cores": 2.0},
        ),
        ({"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"}, {}),
    ],
)
def test_limits_of_both_versions_of_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], limits: object
) -> None:
    monkeypatch.setattr(machine, "_group", lambda controller: tmp_path)
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert machine._limits() == limits


class FakeNvmlError(Exception):
    """What NVML raises."""


def no_power(handle: object) -> float:
    raise FakeNvmlError


def test_a_card_by_nvml(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = SimpleNamespace(
        NVMLError=FakeNvmlError,
        NVML_CLOCK_SM=1,
        NVML_CLOCK_MEM=2,
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda number: number,
        nvmlDeviceGetName=lambda handle: "A card",
        nvmlDeviceGetUUID=lambda handle: "GPU-1",
        nvmlSystemGetDriverVersion=lambda: "580.1",
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(total=8),
        nvmlDeviceGetMaxClockInfo=lambda handle, clock: 2000,
        nvmlDeviceGetPowerUsage=no_power,
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    ((number, card),) = machine._cards()
    assert (number, card["name"], card["driver"]) == ("0", "A card", "580.1")
    assert card["sm_most_mhz"] == 2000
    assert "power_w" not in card
