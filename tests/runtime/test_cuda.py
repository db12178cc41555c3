"""Owned CUDA objects: what is opened is closed, in its own context, whatever fails."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from contextlib import ExitStack, nullcontext

import numpy as np
import pytest
from fake_cuda import FakeCard, FakeDriver
from hypothesis import given, settings
from hypothesis import strategies as st

from sambert_trt.engines.errors import BackendError, DeviceLostError, DeviceMemoryError
from sambert_trt.runtime.cuda import Context, DeviceBuffer, Event, Graph, PinnedBuffer, Stream
from sambert_trt.runtime.cuda_calls import STICKY, CudaError, CudaLostError, Driver, error_from_cuda

MIB = 1 << 20
INVALID = "CUDA_ERROR_INVALID_VALUE"
LAUNCH_FAILED = "CUDA_ERROR_LAUNCH_FAILED"


@pytest.fixture
def driver() -> FakeDriver:
    """A driver with one card of 8 GiB."""
    return FakeDriver()


def round_trip(driver: Driver) -> float:
    """Uses every kind of object; four numbers go to the card, through a graph, and come back."""
    values = np.arange(4, dtype=np.float32)
    with ExitStack() as stack:
        context = stack.enter_context(Context(driver))
        stream = stack.enter_context(Stream(context))
        staging = stack.enter_context(PinnedBuffer(context, 64))
        here, there = (stack.enter_context(DeviceBuffer(context, 64)) for _ in range(2))
        begin, end = (stack.enter_context(Event(context)) for _ in range(2))
        here.zero(stream)
        here.upload(values, staging, stream, offset=16)
        graph = stack.enter_context(Graph(stream, lambda: there.copy_from(here, stream)))
        begin.record(stream)
        graph.launch(stream)
        end.record(stream)
        there.download(staging, stream, 32)
        stream.synchronize()
        end.synchronize()
        assert np.array_equal(staging.array((2, 4), np.float32), [[0, 0, 0, 0], values])
        return end.milliseconds_since(begin)


def test_every_object_is_used_and_given_back(driver: FakeDriver) -> None:
    assert round_trip(driver) > 0
    assert driver.cards[0].peak == 200 * MIB + 128
    assert driver.used() == 0
    driver.assert_clean()


def test_a_context_is_current_only_inside_its_block(driver: FakeDriver) -> None:
    with Context(driver) as outer, Context(driver) as inner:
        assert driver.context_current() is None
        with outer.current():
            with inner.current(), inner.current():
                assert driver.context_current() == inner.handle
            assert driver.context_current() == outer.handle
            with pytest.raises(ZeroDivisionError), inner.current():
                _ = 1 // 0
            assert driver.context_current() == outer.handle
    driver.assert_clean()


def test_free_memory_is_the_card_s(driver: FakeDriver) -> None:
    with Context(driver) as context, DeviceBuffer(context, MIB):
        assert context.memory_info() == ((8 << 30) - 201 * MIB, 8 << 30)


def test_a_context_closes_what_was_left_open_in_it(driver: FakeDriver) -> None:
    context = Context(driver)
    stream = Stream(context)
    left = (
        stream,
        DeviceBuffer(context, 1),
        PinnedBuffer(context, 1),
        Event(context),
        Graph(stream, lambda: None),
    )
    context.close()
    freed = ["exec_destroy", "event_destroy", "pinned_free", "memory_free", "stream_destroy"]
    closing = [name for name in driver.names() if name in freed]
    assert closing == freed
    count = len(driver.calls)
    for owned in (*left, context):
        assert owned.closed
        owned.close()
    assert len(driver.calls) == count
    driver.assert_clean()


def test_what_is_closed_says_so(driver: FakeDriver) -> None:
    context = Context(driver)
    stream = Stream(context)
    buffer = DeviceBuffer(context, 8)
    buffer.close()
    with pytest.raises(BackendError, match="a DeviceBuffer was used after it was closed"):
        buffer.zero(stream)
    context.close()
    with pytest.raises(BackendError, match="the context on device 0 was used after it was closed"):
        context.memory_info()
    with pytest.raises(BackendError, match="the context on device 0 was used after it was closed"):
        Stream(context)
    driver.assert_clean()


def test_a_context_in_use_cannot_be_closed(driver: FakeDriver) -> None:
    context = Context(driver)
    with context.current(), pytest.raises(BackendError, match="current in 1 blocks"):
        context.close()
    context.close()
    driver.assert_clean()


def test_a_context_left_current_by_a_block_is_found(driver: FakeDriver) -> None:
    context, other = Context(driver), Context(driver)
    with pytest.raises(BackendError, match="a block pushed or popped another one"):  # noqa: SIM117
        with context.current():
            driver.context_push(other.handle)
    driver.context_pop()
    context.close()
    other.close()
    driver.assert_clean()


def test_arrays_reach_the_device_whatever_their_layout(driver: FakeDriver) -> None:
    with Context(driver) as context, Stream(context) as stream:
        staging, buffer = PinnedBuffer(context, 24), DeviceBuffer(context, 24)
        values = np.arange(6, dtype=np.int32).reshape(2, 3).T
        buffer.upload(values, staging, stream)
        staging.view[:] = bytes(24)
        buffer.download(staging, stream, 24)
        stream.synchronize()
        assert np.array_equal(staging.array((3, 2), np.int32), values)
        assert staging.content == values.tobytes()
        assert staging.content.readonly


@pytest.mark.parametrize(
    "misuse",
    [
        lambda buffer, staging, stream: buffer.upload(np.zeros(3), staging, stream),
        lambda buffer, staging, stream: buffer.upload(np.zeros(1), staging, stream, offset=9),
        lambda buffer, staging, stream: buffer.download(staging, stream, 17),
        lambda buffer, staging, stream: buffer.download(staging, stream, 1, offset=-1),
        lambda buffer, staging, stream: buffer.zero(stream, 33),
        lambda buffer, staging, stream: buffer.copy_from(buffer, stream, 33),
        lambda buffer, staging, stream: staging.array((17,), np.uint8),
    ],
)
def test_no_call_leaves_its_buffer(
    driver: FakeDriver, misuse: Callable[[DeviceBuffer, PinnedBuffer, Stream], object]
) -> None:
    with Context(driver) as context, Stream(context) as stream:
        buffer, staging = DeviceBuffer(context, 32), PinnedBuffer(context, 16)
        with pytest.raises(BackendError, match="leaves the buffer of"):
            misuse(buffer, staging, stream)
    driver.assert_clean()


def test_a_full_card_is_a_device_memory_error() -> None:
    driver = FakeDriver(FakeCard(total=300 * MIB, others=50 * MIB))
    with Context(driver) as context:
        with pytest.raises(DeviceMemoryError, match=f"{51 * MIB} bytes") as caught:
            DeviceBuffer(context, 51 * MIB)
        assert isinstance(caught.value, CudaError)
        assert caught.value.name == "CUDA_ERROR_OUT_OF_MEMORY"
        DeviceBuffer(context, 50 * MIB)
        with pytest.raises(DeviceMemoryError, match="the card has no room"):
            Context(driver)
    driver.assert_clean()


def test_an_error_says_what_was_called_and_what_to_do() -> None:
    error = error_from_cuda(INVALID, "cuMemAlloc", "0 bytes")
    assert str(error).startswith("cuMemAlloc(0 bytes) failed with CUDA_ERROR_INVALID_VALUE: ")
    assert (error.name, error.call) == (INVALID, "cuMemAlloc")
    assert not isinstance(error, DeviceLostError | DeviceMemoryError)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (str(again), again.name, again.call) == (str(error), error.name, error.call)


@pytest.mark.parametrize("name", sorted(STICKY))
def test_a_sticky_error_asks_for_a_new_process(name: str) -> None:
    error = error_from_cuda(name, "cuStreamSynchronize")
    assert isinstance(error, DeviceLostError)
    assert "restart it" in str(error)


def test_after_a_sticky_error_the_first_one_is_told(driver: FakeDriver) -> None:
    driver.fail_at(1, LAUNCH_FAILED, "stream_synchronize")
    with pytest.raises(DeviceLostError, match="stream_synchronize"):
        round_trip(driver)
    assert driver.left() != {}
    driver.assert_clean()


def test_work_that_cannot_be_captured_leaves_the_stream_usable(driver: FakeDriver) -> None:
    with Context(driver) as context, Stream(context) as stream:
        buffer = DeviceBuffer(context, 8)
        for work in (stream.synchronize, lambda: DeviceBuffer(context, 8), lambda: 1 // 0):
            with pytest.raises((CudaError, ZeroDivisionError)):
                Graph(stream, work)
            buffer.zero(stream)
            stream.synchronize()
    driver.assert_clean()


def test_a_driver_without_graphs_says_so() -> None:
    driver = FakeDriver(captures=False)
    assert not driver.can_capture
    with (
        Context(driver) as context,
        Stream(context) as stream,
        pytest.raises(CudaError, match="CUDA_ERROR_NOT_SUPPORTED"),
    ):
        Graph(stream, lambda: None)
    driver.assert_clean()


def test_closing_goes_on_after_an_error_and_tells_the_first(driver: FakeDriver) -> None:
    context = Context(driver)
    Stream(context)
    DeviceBuffer(context, 8)
    driver.fail_at(1, INVALID, "memory_free")
    driver.fail_at(1, "CUDA_ERROR_UNKNOWN", "context_destroy")
    with pytest.raises(CudaError, match=r"memory_free.*CUDA_ERROR_INVALID_VALUE"):
        context.close()
    context.close()
    driver.assert_clean()


def calls_of_a_round_trip() -> int:
    """How many driver calls a round trip makes."""
    driver = FakeDriver()
    round_trip(driver)
    return len(driver.calls)


@pytest.mark.parametrize("name", [INVALID, "CUDA_ERROR_OUT_OF_MEMORY", LAUNCH_FAILED])
def test_whichever_call_fails_nothing_is_left(name: str) -> None:
    """Every single call of a round trip fails once, also those that close."""
    total = calls_of_a_round_trip()
    for n in range(1, total + 1):
        driver = FakeDriver()
        driver.fail_at(n, name)
        with pytest.raises(CudaError) as caught:
            round_trip(driver)
        assert isinstance(caught.value, CudaLostError) == (name in STICKY)
        assert caught.value.name == name
        driver.assert_clean()


@settings(max_examples=50, deadline=None)
@given(failures=st.lists(st.tuples(st.integers(1, 60), st.sampled_from([INVALID, LAUNCH_FAILED]))))
def test_whatever_fails_together_nothing_is_left(failures: list[tuple[int, str]]) -> None:
    driver = FakeDriver()
    for n, name in failures:
        driver.fail_at(n, name)
    due = any(n <= calls_of_a_round_trip() for n, _ in failures)
    with pytest.raises(CudaError) if due else nullcontext():
        round_trip(driver)
    driver.assert_clean()


def test_threads_have_their_own_current_context(driver: FakeDriver) -> None:
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(20):
                round_trip(driver)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    driver.assert_clean()


@pytest.mark.parametrize(
    ("misuse", "told"),
    [
        (lambda d, c, o, p: d.memory_free(p), "no context is current"),
        (lambda d, c, o, p: under(d, o, lambda: d.memory_free(p)), "of context 0x1000 used under"),
        (lambda d, c, o, p: under(d, c, lambda: d.bytes_at(p + 1, 8)), "8 bytes at 1 of 8 bytes"),
        (lambda d, c, o, p: under(d, c, lambda: twice(d, p)), "was destroyed before"),
        (lambda d, c, o, p: d.context_pop(), "empty context stack"),
        (lambda d, c, o, p: under(d, c, lambda: d.context_destroy(c)), "current somewhere"),
        (lambda d, c, o, p: twice_destroyed(d, o), "was destroyed before"),
        (lambda d, c, o, p: under(d, c, lambda: overlap(d, p)), "overlaps its target"),
        (lambda d, c, o, p: under(d, c, lambda: pageable(d, p)), "not page-locked"),
    ],
)
def test_the_fake_driver_finds_misuse(
    driver: FakeDriver, misuse: Callable[[FakeDriver, int, int, int], object], told: str
) -> None:
    context, other = driver.context_create(0), driver.context_create(0)
    pointer = under(driver, context, lambda: driver.memory_alloc(8))
    with pytest.raises(AssertionError, match=told):
        misuse(driver, context, other, pointer)
    assert len(driver.violations) == 1
    with pytest.raises(AssertionError):
        driver.assert_clean()


def under(driver: FakeDriver, context: int, do: Callable[[], int]) -> int:
    """Calls something while a context is current."""
    driver.context_push(context)
    try:
        return do()
    finally:
        driver.context_pop()


def twice(driver: FakeDriver, pointer: int) -> None:
    """Frees memory twice."""
    driver.memory_free(pointer)
    driver.memory_free(pointer)


def twice_destroyed(driver: FakeDriver, context: int) -> None:
    """Destroys a context twice."""
    driver.context_destroy(context)
    driver.context_destroy(context)


def overlap(driver: FakeDriver, pointer: int) -> None:
    """Copies memory onto itself, one byte further."""
    driver.copy_on_device(pointer + 1, pointer, 7, driver.stream_create())


def pageable(driver: FakeDriver, pointer: int) -> None:
    """Copies from ordinary host memory."""
    driver.copy_to_device(pointer, np.zeros(8, np.uint8).ctypes.data, 8, driver.stream_create())


def test_what_is_left_is_named(driver: FakeDriver) -> None:
    context = Context(driver)
    DeviceBuffer(context, 8)
    with pytest.raises(AssertionError, match=r"'contexts': 1, 'memory': 1"):
        driver.assert_clean()
