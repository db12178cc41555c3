"""Gains and silences over samples."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sambert_trt.runtime.delivery import Delivery
from sambert_trt.runtime.envelope import Envelope, envelope_from_delivery

HOP, RATE = 40, 8000
NAN = float("nan")


def envelope(durations: list[int], volume: list[float], seconds: list[float]) -> Envelope | None:
    rows = np.ones(len(durations), np.float32)
    delivery = Delivery(rows, rows, rows, np.float32(volume), np.float32(seconds))
    return envelope_from_delivery(np.array(durations, np.int64), delivery, HOP, RATE)


def applied(found: Envelope, samples: NDArray[np.float32], sizes: list[int]) -> list[float]:
    """The samples, chunk by chunk."""
    out: list[float] = []
    start = 0
    for size in [*sizes, len(samples) - sum(sizes)]:
        chunk = samples[start : start + size]
        shape = found.shape(start, len(chunk))
        out += (chunk if shape is None else shape.applied(chunk)).tolist()
        start += size
    return out


def test_nothing_asked_for_is_no_envelope() -> None:
    assert envelope([3, 4], [1, 1], [NAN, NAN]) is None
    assert envelope([3, 4], [1, 1], [NAN, 0.0]) is None


def test_a_gain_changes_in_a_ramp_around_the_edge() -> None:
    found = envelope([2, 2], [1.0, 0.5], [NAN, NAN])
    assert found is not None
    assert (found.gain[:60] == 1).all()
    assert (found.gain[101:] == 0.5).all()
    assert found.gain[80] == np.float32(0.75)
    assert np.abs(np.diff(found.gain)).max() <= 0.5 / HOP + 1e-6


def test_a_chunk_that_nothing_touches_has_no_shape() -> None:
    found = envelope([4, 4, 4], [1.0, 1.0, 0.5], [NAN, NAN, NAN])
    assert found is not None
    assert found.shape(0, 4 * HOP) is None
    assert found.shape(8 * HOP, 4 * HOP) is not None


def test_loud_samples_stay_in_range() -> None:
    found = envelope([2], [4.0], [NAN])
    assert found is not None
    samples = np.linspace(-1, 1, 80, dtype=np.float32)
    assert np.array_equal(
        applied(found, samples, []), np.clip(samples * np.float32(4), -1, 1).tolist()
    )


def test_silence_makes_up_exactly_what_the_frames_lack() -> None:
    found = envelope([2, 3, 2], [1, 1, 1], [NAN, 0.1, NAN])
    assert found is not None
    assert found.silences == ((2 * HOP + 60, 800 - 3 * HOP),)
    samples = np.ones(7 * HOP, np.float32)
    out = np.array(applied(found, samples, []))
    assert len(out) == 4 * HOP + 800
    assert (out[: 2 * HOP + 1] == 1).all()
    assert not out[3 * HOP : 2 * HOP + 760].any()
    assert (out[2 * HOP + 800 :] == 1).all()


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 4),
            st.sampled_from([0.0, 0.5, 1.0, 2.0]),
            st.sampled_from([NAN, 0.01, 0.2]),
        ),
        min_size=1,
        max_size=8,
    ),
    st.lists(st.integers(1, 200), max_size=8),
)
def test_chunks_are_the_whole_bit_for_bit(
    rows: list[tuple[int, float, float]], sizes: list[int]
) -> None:
    durations, volume, seconds = (list(column) for column in zip(*rows, strict=True))
    found = envelope(durations, volume, seconds)
    total = sum(durations) * HOP
    samples = np.sin(np.arange(total, dtype=np.float32))
    ends = [e for e in np.cumsum(sizes).tolist() if e < total]
    if found is None or not total:
        return
    whole = applied(found, samples, [])
    assert applied(found, samples, sizes[: len(ends)]) == whole
    assert len(whole) == total + sum(count for _, count in found.silences)
