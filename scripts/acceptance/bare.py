"""Sections that need a card and no plans: `contexts`, `memory`, `graphs`.

They run on any NVIDIA card, also where TensorRT for RTX does not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np

from sambert_trt.runtime.cuda import Context, DeviceBuffer, Event, Graph, PinnedBuffer, Stream

from .card import Card
from .results import Cell, Result, middle

__all__ = ["copy_and_count", "make_contexts", "record_graphs"]

_AT_ONCE = 4
_BLOCK = 64 << 20
_LINKS = 100
"""Work items of a recorded graph: about as many as a decoder step has kernels."""


def make_contexts(card: Card, result: Result) -> None:
    """What a context takes, how long it takes to make, and whether it gives everything back."""
    noise, begun = card.noise(), card.free()
    first = _made(card)  # it brings in what the driver keeps for the process's life
    base = card.settled(begun)
    made = [_made(card) for _ in range(card.counts.contexts)]
    lost = base - card.settled(base, noise)
    result.check(
        "contexts give everything back",
        lost <= noise,
        f"{lost} bytes fewer are free after {len(made)} contexts; allowed: {noise}",
    )
    result.numbers |= {
        "context_bytes": middle([one.taken for one in made]),
        "first_context_bytes": first.taken,
        "kept_for_process_bytes": begun - base,
        "context_create_ms": middle([one.create for one in made]),
        "context_destroy_ms": middle([one.destroy for one in made]),
        "noise_bytes": noise,
    }
    _several(card, result, noise)


class _Made(NamedTuple):
    """What a context took: bytes, and milliseconds to make and to destroy it."""

    taken: int
    create: float
    destroy: float


def _made(card: Card) -> _Made:
    before, start = card.free(), time.perf_counter()
    context = Context(card.driver, card.device)
    made = time.perf_counter()
    taken = before - card.free()
    closing = time.perf_counter()
    context.close()
    return _Made(taken, 1e3 * (made - start), 1e3 * (time.perf_counter() - closing))


def _several(card: Card, result: Result, noise: int) -> None:
    """Contexts side by side: each has its own share."""
    base, rows = card.free(), list[list[Cell]]()
    with ExitStack() as stack:
        for count in range(1, _AT_ONCE + 1):
            stack.enter_context(Context(card.driver, card.device))
            process = card.process()
            used = (base - card.free()) / 1e6
            rows.append([count, used, None if process is None else process / 1e6])
    result.table("contexts at once", ("contexts", "MB of the card", "MB of this process"), rows)
    lost = base - card.settled(base, noise)
    result.check("contexts at once are given back", lost <= noise, f"{lost} bytes fewer are free")


def copy_and_count(card: Card, result: Result) -> None:
    """Allocations show in NVML and in the driver alike; bytes come back as they went."""
    noise = card.noise()
    with Context(card.driver, card.device) as context, Stream(context) as stream:
        before, driver_before, process = card.free(), context.memory_info()[0], card.process()
        with DeviceBuffer(context, _BLOCK) as block, PinnedBuffer(context, _BLOCK) as staging:
            _check_counting(card, result, context, (before, driver_before, process), noise)
            _check_copies(result, block, staging, stream)
        lost = before - card.settled(before, noise)
        result.check("an allocation is given back", lost <= noise, f"{lost} bytes fewer are free")


def _check_counting(
    card: Card,
    result: Result,
    context: Context,
    before: tuple[int, int, int | None],
    noise: int,
) -> None:
    free, driver_free, process = before
    seen, driver_seen = free - card.free(), driver_free - context.memory_info()[0]
    result.check(
        "an allocation shows in full",
        min(seen, driver_seen) >= _BLOCK - noise,
        f"of {_BLOCK} bytes {card.probe} shows {seen}, the driver {driver_seen}",
    )
    now = card.process()
    if process is None or now is None:
        result.notes.append(f"{card.probe} does not say what this process takes")
        return
    result.check(
        "an allocation shows as this process's",
        now - process >= _BLOCK,
        f"of {_BLOCK} bytes {now - process} show",
    )


def _check_copies(
    result: Result, block: DeviceBuffer, staging: PinnedBuffer, stream: Stream
) -> None:
    values = np.random.default_rng(0).integers(0, 256, _BLOCK // 4, np.uint8)
    start, end = Event(block.context), Event(block.context)
    start.record(stream)
    block.upload(values, staging, stream)
    end.record(stream)
    stream.synchronize()
    staging.array(values.shape, np.uint8)[...] = 0
    block.download(staging, stream, values.nbytes)
    stream.synchronize()
    found = staging.array(values.shape, np.uint8)
    result.check("bytes come back as they went", bool((found == values).all()), f"{values.nbytes}")
    block.zero(stream, 1024)
    block.download(staging, stream, 2048)
    stream.synchronize()
    head = staging.array((2048,), np.uint8)
    zeroed = not head[:1024].any() and bool((head[1024:] == values[1024:2048]).all())
    result.check("zeros are written where asked", zeroed, "the first 1024 of 2048 bytes")
    milliseconds = end.milliseconds_since(start)
    result.check("events tell time", milliseconds > 0, f"{milliseconds:.3f} ms for the upload")
    result.numbers["upload_gb_per_s"] = values.nbytes / max(milliseconds, 1e-6) / 1e6


def record_graphs(card: Card, result: Result) -> None:
    """A chain of copies as a CUDA graph: the same result, and what queueing it costs."""
    if not card.driver.can_capture:
        result.notes.append("this driver adapter records no graphs")
        return
    with Context(card.driver, card.device) as context, Stream(context) as stream:
        size = 4096
        blocks = [DeviceBuffer(context, size) for _ in range(2)]
        staging = PinnedBuffer(context, size)

        def chain() -> None:
            for link in range(_LINKS):
                blocks[link % 2].copy_from(blocks[1 - link % 2], stream)

        values = np.random.default_rng(1).integers(0, 256, size, np.uint8)
        graph = Graph(stream, chain)
        blocks[0].zero(stream)
        blocks[1].upload(values, staging, stream)
        graph.launch(stream)
        stream.synchronize()
        staging.array((size,), np.uint8)[...] = 0
        blocks[0].download(staging, stream, size)
        stream.synchronize()
        found = staging.array((size,), np.uint8)
        result.check("a recorded graph computes the same", bool((found == values).all()), "4096 B")
        direct = _milliseconds(card, chain, stream)
        recorded = _milliseconds(card, lambda: graph.launch(stream), stream)
        graph.close()
    result.numbers |= {"direct_ms": direct, "graph_ms": recorded}
    result.table(
        f"{_LINKS} copies of {size} bytes",
        ("how", "ms until all are done"),
        [["one call each", direct], ["as one CUDA graph", recorded]],
    )


def _milliseconds(card: Card, work: Callable[[], None], stream: Stream) -> float:
    samples = []
    for _ in range(card.counts.bursts):
        start = time.perf_counter()
        work()
        stream.synchronize()
        samples.append(1e3 * (time.perf_counter() - start))
    return middle(samples)
