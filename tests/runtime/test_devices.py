"""What NVML tells of cards, over a made-up pynvml whose names are checked against the real one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from sambert_trt.engines.errors import BackendError
from sambert_trt.runtime.devices import (
    DeviceFacts,
    DriverFacts,
    ProcessFacts,
    card_memory,
    devices,
    driver_facts,
    process_bytes,
)

CODES = {
    "NVML_ERROR_NOT_SUPPORTED": 3,
    "NVML_ERROR_NO_PERMISSION": 4,
    "NVML_ERROR_NOT_FOUND": 6,
    "NVML_ERROR_DRIVER_NOT_LOADED": 9,
    "NVML_ERROR_LIBRARY_NOT_FOUND": 12,
    "NVML_ERROR_FUNCTION_NOT_FOUND": 13,
    "NVML_ERROR_GPU_IS_LOST": 15,
    "NVML_ERROR_LIB_RM_VERSION_MISMATCH": 18,
    "NVML_ERROR_UNKNOWN": 999,
}
MIB = 1 << 20


class NVMLError(Exception):
    """An error with NVML's code, as in pynvml."""

    def __init__(self, value: int) -> None:
        super().__init__(f"code {value}")
        self.value = value


@dataclass
class Card:
    """What a made-up card says; `fails` are calls it refuses with a code."""

    name: str | bytes = "NVIDIA GeForce RTX 3070"
    capability: tuple[int, int] = (8, 6)
    bus: bytes = b"0000:01:00.0"
    compute: list[tuple[int, int | None]] = field(default_factory=list)
    graphics: list[tuple[int, int | None]] = field(default_factory=list)
    fails: dict[str, int] = field(default_factory=dict)


class FakeNvml(ModuleType):
    """pynvml with made-up cards; counts how often it is open."""

    NVMLError = NVMLError
    nvmlMemory_v2 = 0x02000028  # noqa: N815

    def __init__(self, *cards: Card, refused: int | None = None) -> None:
        super().__init__("pynvml")
        self._cards, self._refused, self.opened = cards, refused, 0
        self.__dict__.update(CODES)

    def _card(self, handle: int, call: str) -> Card:
        card = self._cards[handle]
        assert self.opened > 0, f"{call} without nvmlInit"
        if call in card.fails:
            raise NVMLError(card.fails[call])
        return card

    def nvmlInit(self) -> None:  # noqa: N802
        if self._refused is not None:
            raise NVMLError(self._refused)
        self.opened += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.opened -= 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self._cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetHandleByPciBusId(self, bus: bytes) -> int:  # noqa: N802
        for index, card in enumerate(self._cards):
            if card.bus == bus:
                return index
        raise NVMLError(6)

    def nvmlDeviceGetName(self, handle: int) -> str | bytes:  # noqa: N802
        return self._card(handle, "name").name

    def nvmlDeviceGetUUID(self, handle: int) -> str:  # noqa: N802
        self._card(handle, "uuid")
        return f"GPU-{handle}"

    def nvmlDeviceGetCudaComputeCapability(self, handle: int) -> tuple[int, int]:  # noqa: N802
        return self._card(handle, "capability").capability

    def nvmlDeviceGetMemoryInfo(  # noqa: N802
        self, handle: int, version: int | None = None
    ) -> SimpleNamespace:
        self._card(handle, "memory")
        if version is None:
            return SimpleNamespace(total=8192 * MIB, used=1500 * MIB, free=6692 * MIB)
        self._card(handle, "memory_v2")
        return SimpleNamespace(
            total=8192 * MIB, used=1000 * MIB, free=6692 * MIB, reserved=500 * MIB
        )

    def nvmlDeviceGetComputeRunningProcesses(  # noqa: N802
        self, handle: int
    ) -> list[SimpleNamespace]:
        listed = self._card(handle, "compute").compute
        return [SimpleNamespace(pid=pid, usedGpuMemory=size) for pid, size in listed]

    def nvmlDeviceGetGraphicsRunningProcesses(  # noqa: N802
        self, handle: int
    ) -> list[SimpleNamespace]:
        listed = self._card(handle, "graphics").graphics
        return [SimpleNamespace(pid=pid, usedGpuMemory=size) for pid, size in listed]

    def nvmlSystemGetProcessName(self, pid: int) -> str:  # noqa: N802
        if pid > 9000:
            raise NVMLError(6)
        return f"program {pid}"

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        return "580.65.06"

    def nvmlSystemGetCudaDriverVersion_v2(self) -> int:  # noqa: N802
        return 13010


Nvml = Callable[..., FakeNvml]


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Nvml:
    """Puts a made-up pynvml in the place of the real one."""

    def put(*cards: Card, **options: Any) -> FakeNvml:  # noqa: ANN401
        fake = FakeNvml(*cards, **options)
        monkeypatch.setitem(sys.modules, "pynvml", fake)
        return fake

    return put


def test_a_card_in_full(nvml: Nvml) -> None:
    fake = nvml(Card(compute=[(11, 300 * MIB), (9999, 500 * MIB)], graphics=[(11, 300 * MIB)]))
    assert devices() == [
        DeviceFacts(
            index=0,
            name="NVIDIA GeForce RTX 3070",
            uuid="GPU-0",
            target="sm_86",
            total=8192 * MIB,
            used=1000 * MIB,
            free=6692 * MIB,
            reserved=500 * MIB,
            processes=(
                ProcessFacts(9999, "", 500 * MIB),
                ProcessFacts(11, "program 11", 300 * MIB),
            ),
        )
    ]
    assert driver_facts() == DriverFacts("580.65.06", "13.1")
    assert fake.opened == 0


def test_no_card_is_an_empty_list(nvml: Nvml) -> None:
    nvml()
    assert devices() == []


@pytest.mark.parametrize(
    ("capability", "target"), [((7, 5), "sm_75"), ((9, 0), "sm_90"), ((12, 0), "sm_120")]
)
def test_capabilities_are_targets(nvml: Nvml, capability: tuple[int, int], target: str) -> None:
    nvml(Card(name=b"bytes of an old package", capability=capability))
    (card,) = devices()
    assert (card.target, card.name) == (target, "bytes of an old package")


def test_older_drivers_count_the_reserved_memory_as_used(nvml: Nvml) -> None:
    nvml(Card(fails={"memory_v2": CODES["NVML_ERROR_FUNCTION_NOT_FOUND"]}))
    (card,) = devices()
    assert (card.total, card.used, card.reserved) == (8192 * MIB, 1500 * MIB, None)
    assert card.problems == ()


def test_wddm_names_processes_without_their_bytes(nvml: Nvml) -> None:
    nvml(Card(compute=[(11, None)], graphics=[(11, None), (12, 5)]))
    (card,) = devices()
    assert card.processes == (
        ProcessFacts(12, "program 12", 5),
        ProcessFacts(11, "program 11", None),
    )


@pytest.mark.parametrize(
    "call", ["name", "uuid", "capability", "memory", "memory_v2", "compute", "graphics"]
)
def test_what_a_card_does_not_tell_is_a_problem_not_an_error(nvml: Nvml, call: str) -> None:
    nvml(Card(), Card(compute=[(11, 7)], graphics=[(11, 7)], fails={call: 3}))
    sound, found = devices()
    assert sound.problems == ()
    (problem,) = found.problems
    assert problem.endswith("code 3")
    assert problem.split(":")[0].split()[0] == call.removesuffix("_v2")
    assert found.index == 1
    if call not in ("memory", "memory_v2"):
        assert found.total == 8192 * MIB
    else:
        assert (found.total, found.used, found.free, found.reserved) == (None,) * 4


@pytest.mark.parametrize("ask", [devices, driver_facts, lambda: card_memory("0000:01:00.0")])
@pytest.mark.parametrize(
    ("code", "message"),
    [
        (12, "no NVIDIA driver is here"),
        (9, "installed but not loaded"),
        (18, "its library and its kernel module differ: restart"),
        (4, "this user may not ask"),
        (15, "fallen off the bus"),
        (999, r"does not answer \(code 999\); see nvidia-smi"),
    ],
)
def test_a_driver_that_does_not_answer_says_why(
    nvml: Nvml, code: int, message: str, ask: Callable[[], object]
) -> None:
    fake = nvml(Card(), refused=code)
    with pytest.raises(BackendError, match=message):
        ask()
    assert process_bytes(1) is None
    assert fake.opened == 0


def test_a_call_that_fails_for_all_cards_closes_nvml(
    nvml: Nvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(handle: int) -> int:
        raise NVMLError(15)

    fake = nvml(Card())
    monkeypatch.setattr(fake, "nvmlDeviceGetHandleByIndex", lost)
    with pytest.raises(BackendError, match="fallen off the bus"):
        devices()
    assert fake.opened == 0


def test_without_the_package_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(BackendError, match="install it with: pip install nvidia-ml-py"):
        devices()
    assert process_bytes(os.getpid()) is None


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(300, 200, 500), (300, None, None), (None, None, None)],
)
def test_a_process_on_two_cards(
    nvml: Nvml, first: int | None, second: int | None, expected: int | None
) -> None:
    nvml(Card(compute=[(11, first), (12, 7)]), Card(compute=[(11, second)]))
    assert process_bytes(11) == expected
    assert process_bytes(12) == 7
    assert process_bytes(13) is None


def test_a_card_is_watched_by_its_bus(nvml: Nvml) -> None:
    mine = os.getpid()
    fake = nvml(Card(), Card(bus=b"0000:02:00.0", compute=[(mine, 123), (mine + 1, 5)]))
    watch = card_memory("0000:02:00.0")
    assert watch.free() == 6692 * MIB
    assert watch.process() == 123
    assert card_memory("0000:01:00.0").process() is None
    fake._cards[1].fails |= {"memory": 15, "compute": 3, "graphics": 3}
    assert watch.free() is None
    assert watch.process() is None
    with pytest.raises(BackendError, match=r"NVML knows no card at 0000:09:00\.0"):
        card_memory("0000:09:00.0")
    assert fake.opened == 2


def test_every_name_in_use_is_one_of_the_real_package() -> None:
    """The real module, not the made-up one: a name that is misspelt in both would pass above."""
    real = pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")
    names = {name for name in dir(FakeNvml) if name.startswith(("nvml", "NVML"))}
    assert "nvmlDeviceGetMemoryInfo" in names
    assert [name for name in sorted(names) if not hasattr(real, name)] == []
    assert {name: getattr(real, name) for name in CODES} == CODES
    assert real.nvmlMemory_v2 == FakeNvml.nvmlMemory_v2
    assert real.NVMLError(12).value == 12
    facts = real.c_nvmlMemory_v2_t()
    assert all(hasattr(facts, name) for name in ("total", "used", "free", "reserved"))


def test_the_real_package_without_a_driver_is_one_sentence() -> None:
    pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")
    try:
        found = devices()
    except BackendError as error:
        assert "NVIDIA driver" in str(error)  # noqa: PT017
    else:
        assert all(card.total for card in found if not card.problems)
