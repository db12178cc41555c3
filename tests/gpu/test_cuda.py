"""The driver calls on a card: what contexts, memory, streams, events and graphs really do."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from sambert_trt.engines.errors import BackendError
from sambert_trt.runtime.cuda import Context, DeviceBuffer, Event, Graph, PinnedBuffer, Stream
from sambert_trt.runtime.cuda_calls import CudaMemoryError, Driver

if TYPE_CHECKING:
    from sambert_trt.runtime.devices import CardWatch

pytestmark = pytest.mark.gpu

BLOCK = 32 << 20


def settled(watch: CardWatch, wanted: int) -> int:
    """Free bytes, as soon as so many are free: drivers give some back a moment later."""
    until = time.monotonic() + 5
    while (free := watch.free() or 0) < wanted and time.monotonic() < until:
        time.sleep(0.05)
    return free


def test_the_card_says_what_it_is(driver: Driver) -> None:
    assert driver.device_name(0)
    assert driver.capability(0).startswith("sm_")
    assert driver.driver_version() >= 12000
    assert driver.device_bus(0).count(":") == 2


def test_a_closed_context_gives_everything_back(driver: Driver, watch: CardWatch) -> None:
    with Context(driver):
        pass  # what the driver keeps for the process's life is taken now
    before = settled(watch, 0)
    with Context(driver) as context, Stream(context):
        DeviceBuffer(context, BLOCK)
        PinnedBuffer(context, BLOCK)
        Event(context)
        taken = before - (watch.free() or 0)
    assert taken >= BLOCK
    assert settled(watch, before) >= before


def test_nothing_is_current_outside_a_block(driver: Driver) -> None:
    with Context(driver) as context:
        assert driver.context_current() is None
        with context.current():
            assert driver.context_current() == context.handle
        assert driver.context_current() is None
        free, total = context.memory_info()
    assert 0 < free <= total


def test_bytes_come_back_as_they_went(driver: Driver) -> None:
    values = np.random.default_rng(0).standard_normal(4099).astype(np.float32)
    with Context(driver) as context, Stream(context) as stream:
        one, other = DeviceBuffer(context, 1 << 16), DeviceBuffer(context, 1 << 16)
        staging = PinnedBuffer(context, 1 << 16)
        one.upload(values, staging, stream, offset=512)
        other.copy_from(one, stream)
        one.zero(stream)
        other.download(staging, stream, values.nbytes, offset=512)
        stream.synchronize()
        assert np.array_equal(staging.array(values.shape, np.float32, 512), values)
        one.download(staging, stream, values.nbytes, offset=512)
        stream.synchronize()
        assert not staging.array(values.shape, np.float32, 512).any()


def test_events_tell_the_cards_time(driver: Driver) -> None:
    with Context(driver) as context, Stream(context) as stream:
        start, end, block = Event(context), Event(context), DeviceBuffer(context, BLOCK)
        start.record(stream)
        for _ in range(20):
            block.zero(stream)
        end.record(stream)
        end.synchronize()
        assert end.milliseconds_since(start) > 0


def test_a_recorded_graph_runs_as_often_as_it_is_launched(driver: Driver) -> None:
    """Zero a block, then copy another onto it: what is copied is what lies there at the launch."""
    with Context(driver) as context, Stream(context) as stream:
        source, target = DeviceBuffer(context, 4096), DeviceBuffer(context, 4096)
        staging = PinnedBuffer(context, 4096)

        def work() -> None:
            target.zero(stream)
            target.copy_from(source, stream, 2048)

        with Graph(stream, work) as graph:
            for seed in range(3):
                values = np.random.default_rng(seed).integers(1, 256, 4096, np.uint8)
                source.upload(values, staging, stream)
                graph.launch(stream)
                target.download(staging, stream, 4096)
                stream.synchronize()
                found = staging.array((4096,), np.uint8)
                assert np.array_equal(found[:2048], values[:2048])
                assert not found[2048:].any()


def test_work_that_waits_cannot_be_recorded_and_the_stream_lives_on(driver: Driver) -> None:
    with Context(driver) as context, Stream(context) as stream:
        block = DeviceBuffer(context, 4096)
        with pytest.raises(BackendError):
            Graph(stream, stream.synchronize)
        block.zero(stream)
        stream.synchronize()


def test_more_than_the_card_has_is_refused_by_name(driver: Driver) -> None:
    with Context(driver) as context:
        _, total = context.memory_info()
        with pytest.raises(CudaMemoryError, match="CUDA_ERROR_OUT_OF_MEMORY"):
            DeviceBuffer(context, 2 * total)
        DeviceBuffer(context, 4096)


def test_a_context_serves_several_threads(driver: Driver) -> None:
    """Each thread has its own stack of current contexts."""
    found = list[bool]()
    with Context(driver) as context:

        def work(seed: int) -> None:
            values = np.random.default_rng(seed).integers(0, 256, 1 << 20, np.uint8)
            with Stream(context) as stream, DeviceBuffer(context, 1 << 20) as block:
                staging = PinnedBuffer(context, 1 << 20)
                block.upload(values, staging, stream)
                stream.synchronize()
                staging.view[:] = bytes(1 << 20)
                block.download(staging, stream, 1 << 20)
                stream.synchronize()
                found.append(bool((staging.array(values.shape, np.uint8) == values).all()))

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [True] * 4
