"""pycuda by way of the driver protocol, over a stand-in for pycuda.driver with its documented API
(as of 2026.1) that runs on the driver without a card."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType, SimpleNamespace
from typing import Any, Protocol, TypeVar

import numpy as np
import pytest
from fake_cuda import FakeCard, FakeDriver
from numpy.typing import NDArray

from sambert_trt.engines.errors import BackendError, DeviceLostError, DeviceMemoryError
from sambert_trt.runtime import cuda_pycuda
from sambert_trt.runtime.cuda import Context, DeviceBuffer, Event, Graph, PinnedBuffer, Stream
from sambert_trt.runtime.cuda_calls import STICKY, CudaError
from sambert_trt.runtime.cuda_pycuda import PycudaDriver, driver_from_pycuda

T = TypeVar("T")
TEXTS = {f"CUDA_ERROR_{name}": text for text, name in cuda_pycuda._TEXTS.items()}


class Queue(Protocol):
    """A stream."""

    handle: int


class Pycuda(ModuleType):
    """`pycuda.driver`. Objects free themselves with their last reference, as pycuda's do."""

    class Error(Exception):
        """Of all that pycuda raises."""

    def __init__(self, fake: FakeDriver) -> None:
        super().__init__("pycuda.driver")
        self.fake = fake
        self.host_alloc_flags = SimpleNamespace(PORTABLE=1)
        pycuda = self
        self.initialised = False

        class Device:
            def __init__(self, number: int) -> None:
                self.number = number

            @staticmethod
            def count() -> int:
                return pycuda.told(fake.device_count)

            def name(self) -> str:
                return pycuda.told(lambda: fake.device_name(self.number))

            def pci_bus_id(self) -> str:
                return pycuda.told(lambda: fake.device_bus(self.number))

            def compute_capability(self) -> tuple[int, int]:
                capability = pycuda.told(lambda: fake.capability(self.number))
                return int(capability[3:-1]), int(capability[-1])

            def make_context(self, flags: int = 0) -> Context:
                context = Context(pycuda.told(lambda: fake.context_create(self.number)))
                context.push()
                return context

        class Context:
            known: dict[int, Context] = {}  # noqa: RUF012

            def __init__(self, handle: int) -> None:
                self.handle = handle
                self.known[handle] = self

            def push(self) -> None:
                pycuda.told(lambda: fake.context_push(self.handle))

            @staticmethod
            def pop() -> None:
                pycuda.told(fake.context_pop)

            @staticmethod
            def get_current() -> Context | None:
                return Context.known.get(fake.current_context() or 0)

            def detach(self) -> None:
                assert fake.current_context() == self.handle
                fake.context_pop()
                pycuda.told(lambda: fake.context_destroy(self.handle))

        class Stream:
            def __init__(self, flags: int = 0) -> None:
                assert flags == 1
                self.handle = pycuda.told(fake.stream_create)

            def synchronize(self) -> None:
                pycuda.told(lambda: fake.stream_synchronize(self.handle))

            def __del__(self) -> None:
                with suppress(AttributeError, CudaError):
                    fake.stream_destroy(self.handle)

        class Event:
            def __init__(self, flags: int = 0) -> None:
                self._event = pycuda.told(fake.event_create)

            def record(self, stream: Stream | None = None) -> Event:
                assert stream is not None
                pycuda.told(lambda: fake.event_record(self._event, stream.handle))
                return self

            def synchronize(self) -> Event:
                pycuda.told(lambda: fake.event_synchronize(self._event))
                return self

            def time_since(self, event: Event) -> float:
                return pycuda.told(lambda: fake.event_elapsed(event._event, self._event))

            def __del__(self) -> None:
                with suppress(AttributeError, CudaError):
                    fake.event_destroy(self._event)

        self.Device, self.Context, self.Stream, self.Event = Device, Context, Stream, Event

    def told(self, do: Callable[[], T]) -> T:
        """Calls the driver; what fails there is told as pycuda tells it."""
        try:
            return do()
        except CudaError as error:
            raise self.Error(f"{error.call} failed: {TEXTS.get(error.name, 'odd')}") from None

    def init(self, flags: int = 0) -> None:
        self.initialised = True

    def get_driver_version(self) -> int:
        return self.fake.driver_version()

    def mem_get_info(self) -> tuple[int, int]:
        return self.told(self.fake.memory_info)

    def mem_alloc(self, size: int) -> Allocation:
        return Allocation(self, self.told(lambda: self.fake.memory_alloc(size)))

    def pagelocked_empty(
        self, shape: int, dtype: str, order: str = "C", mem_flags: int = 0
    ) -> NDArray[Any]:
        assert mem_flags == 1
        pointer = self.told(lambda: self.fake.pinned_alloc(shape))
        return np.asarray(Pagelocked(self, pointer, shape))

    def memcpy_htod_async(self, dest: int, src: bytearray, stream: Queue) -> None:
        source = np.frombuffer(src, np.uint8)
        self.told(
            lambda: self.fake.copy_to_device(dest, source.ctypes.data, source.nbytes, stream.handle)
        )

    def memcpy_dtoh_async(self, dest: bytearray, src: int, stream: Queue) -> None:
        target = np.frombuffer(dest, np.uint8)
        self.told(
            lambda: self.fake.copy_to_host(target.ctypes.data, src, target.nbytes, stream.handle)
        )

    def memcpy_dtod_async(self, dest: int, src: int, size: int, stream: Queue) -> None:
        self.told(lambda: self.fake.copy_on_device(dest, src, size, stream.handle))

    def memset_d8_async(self, dest: int, data: int, size: int, stream: Queue) -> None:
        assert data == 0
        self.told(lambda: self.fake.memory_zero(dest, size, stream.handle))


class Allocation:
    """DeviceAllocation."""

    def __init__(self, pycuda: Pycuda, pointer: int) -> None:
        self._pycuda, self._pointer = pycuda, pointer

    def __int__(self) -> int:
        return self._pointer

    def free(self) -> None:
        self._pycuda.told(lambda: self._pycuda.fake.memory_free(self._pointer))


class Pagelocked:
    """PagelockedHostAllocation, the base of its array."""

    def __init__(self, pycuda: Pycuda, pointer: int, size: int) -> None:
        self._pycuda, self._pointer = pycuda, pointer
        self.__array_interface__ = {
            "data": (pointer, False),
            "shape": (size,),
            "typestr": "|u1",
            "version": 3,
        }

    def free(self) -> None:
        self._pycuda.told(lambda: self._pycuda.fake.pinned_free(self._pointer))


@pytest.fixture
def fake() -> FakeDriver:
    """The driver beneath."""
    return FakeDriver(FakeCard(total=1 << 30))


@pytest.fixture
def driver(fake: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> PycudaDriver:
    """pycuda on that driver, opened as a program would."""
    module = Pycuda(fake)
    monkeypatch.setitem(sys.modules, "pycuda.driver", module)
    opened = driver_from_pycuda()
    assert module.initialised
    assert isinstance(opened, PycudaDriver)
    return opened


def round_trip(driver: PycudaDriver) -> float:
    """Four numbers go to the card, are copied there, and come back."""
    values = np.arange(4, dtype=np.float32)
    with (
        Context(driver) as context,
        Stream(context) as stream,
        PinnedBuffer(context, 64) as staging,
        DeviceBuffer(context, 64) as here,
        DeviceBuffer(context, 64) as there,
        Event(context) as begin,
        Event(context) as end,
    ):
        begin.record(stream)
        here.zero(stream)
        here.upload(values, staging, stream, offset=16)
        there.copy_from(here, stream)
        end.record(stream)
        there.download(staging, stream, 32)
        stream.synchronize()
        end.synchronize()
        assert np.array_equal(staging.array((2, 4), np.float32), [[0, 0, 0, 0], values])
        return end.milliseconds_since(begin)


def test_every_object_is_used_and_given_back(driver: PycudaDriver, fake: FakeDriver) -> None:
    assert driver.driver_version() == 13000
    assert driver.device_count() == 1
    assert driver.device_name(0) == "Fake RTX 3070"
    assert driver.device_bus(0) == "0000:01:00.0"
    assert driver.capability(0) == "sm_86"
    assert round_trip(driver) > 0
    assert driver.context_current() is None
    fake.assert_clean()


def test_what_a_context_leaves_behind_is_freed_with_it(
    driver: PycudaDriver, fake: FakeDriver
) -> None:
    context = driver.context_create(0)
    driver.context_push(context)
    driver.stream_create()
    driver.event_create()
    assert driver.memory_info()[1] == 1 << 30
    assert driver.context_pop() == context
    driver.context_destroy(context)
    with pytest.raises(CudaError, match="CUDA_ERROR_INVALID_CONTEXT"):
        driver.context_push(context)
    fake.assert_clean()


def test_errors_have_cuda_names(driver: PycudaDriver, fake: FakeDriver) -> None:
    with Context(driver) as context:
        with pytest.raises(DeviceMemoryError, match=r"cuMemAlloc\(1073741824\) failed"):
            DeviceBuffer(context, 1 << 30)
        with context.current(), pytest.raises(CudaError, match="CUDA_ERROR_INVALID_HANDLE"):
            driver.stream_synchronize(7)
    with pytest.raises(CudaError, match="CUDA_ERROR_INVALID_CONTEXT"):
        driver.stream_synchronize(7)
    with pytest.raises(CudaError, match=r"CUDA_ERROR_INVALID_DEVICE: there is no card"):
        driver.device_name(3)
    fake.assert_clean()
    fake.fail_at(1, "CUDA_ERROR_ILLEGAL_ADDRESS", "stream_synchronize")
    with pytest.raises(DeviceLostError, match="CUDA_ERROR_ILLEGAL_ADDRESS"):
        round_trip(driver)


def test_every_sticky_error_has_its_text() -> None:
    """They are those of the CUDA runtime, which cuda-bindings brings along."""
    assert set(TEXTS) >= STICKY
    runtime = pytest.importorskip("cuda.bindings.runtime", reason="needs cuda-bindings")
    codes = pytest.importorskip("cuda.bindings.driver").CUresult.__members__
    for name, text in TEXTS.items():
        if name in codes and runtime.getLocalRuntimeVersion()[1] >= 13000:
            told = runtime.cudaGetErrorString(runtime.cudaError_t(int(codes[name])))[1]
            assert told.decode() == text
    assert cuda_pycuda._name("cuCtxSynchronize failed: something new") == "CUDA_ERROR_UNKNOWN"


def test_there_are_no_graphs(driver: PycudaDriver, fake: FakeDriver) -> None:
    assert not driver.can_capture
    with (
        Context(driver) as context,
        Stream(context) as stream,
        pytest.raises(CudaError, match="pycuda has no CUDA graphs"),
    ):
        Graph(stream, lambda: None)
    for call in (driver.capture_end, driver.graph_destroy, driver.graph_instantiate):
        with pytest.raises(CudaError, match="pycuda has no CUDA graphs"):
            call(1)
    fake.assert_clean()


@pytest.mark.parametrize("n", range(1, 60, 3))
def test_a_failure_leaves_nothing(driver: PycudaDriver, fake: FakeDriver, n: int) -> None:
    fake.fail_at(n, "CUDA_ERROR_INVALID_VALUE")
    with pytest.raises(CudaError):
        round_trip(driver)
    fake.assert_clean()


def test_without_pycuda_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycuda.driver", None)
    with pytest.raises(BackendError, match="pip install pycuda"):
        driver_from_pycuda()


def test_without_a_card_it_says_so(fake: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    module = Pycuda(fake)

    def init(flags: int = 0) -> None:
        raise module.Error("cuInit failed: no CUDA-capable device is detected")

    monkeypatch.setattr(module, "init", init)
    monkeypatch.setitem(sys.modules, "pycuda.driver", module)
    with pytest.raises(BackendError, match="CUDA_ERROR_NO_DEVICE: no NVIDIA card is visible"):
        driver_from_pycuda()
