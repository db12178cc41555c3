"""Chunked equals whole, with exactly the context that is needed and not a frame more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import voices
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sambert_trt.engines.errors import InputError
from sambert_trt.engines.graphs import Stage
from sambert_trt.runtime.length import LengthPlan
from sambert_trt.runtime.stream import (
    OFFLINE,
    STREAMING,
    ChunkPolicy,
    MelStream,
    VocoderWindow,
    chunk_ends,
    decoder_window,
)
from sambert_trt.runtime.styles import Style
from sambert_trt.runtime.text.symbols import fields_from_units, sentence_from_symbols
from sambert_trt.runtime.voice import Voice

Opened = Callable[[Path], Voice]
WHOLE = ChunkPolicy(first=900, growth=1.0, most=900)
FEW = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

policies = st.builds(
    lambda first, growth, more: ChunkPolicy(first, growth, first + more),
    st.integers(1, 60),
    st.floats(1.0, 3.0),
    st.integers(0, 200),
)


@given(frames=st.integers(0, 3000), policy=policies)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_chunks_cover_the_sentence_once(frames: int, policy: ChunkPolicy) -> None:
    ends = list(chunk_ends(frames, policy))
    sizes = np.diff([0, *ends])
    assert (ends[-1] if ends else 0) == frames
    assert all(0 < size <= policy.most for size in sizes)
    if frames >= 2 * policy.first:
        assert policy.first <= sizes[0] < 1.5 * policy.first + 1
    assert all(np.diff(sizes[:-1]) >= 0)


WRONG = [(0, 2.0, 5), (6, 2.0, 5), (3, 0.9, 5), (3, float("nan"), 5), (3, 1e9, 5), (1.5, 2.0, 5)]


@pytest.mark.parametrize("wrong", WRONG)
def test_impossible_chunks_are_refused(wrong: tuple[int, float, int]) -> None:
    with pytest.raises(InputError, match="needs whole numbers, 0 < first <= most"):
        ChunkPolicy(*wrong)


@pytest.mark.parametrize("variant", ["plain", "nsf", "se", "odd", "five"])
@given(policy=policies, count=st.integers(1, 60), seed=st.integers(0, 1000))
@FEW
def test_chunked_is_whole(
    tiny_voice: Callable[[str], Path],
    opened: Opened,
    variant: str,
    policy: ChunkPolicy,
    count: int,
    seed: int,
) -> None:
    voice = opened(tiny_voice(variant))
    line = voices.symbol_line(voice.manifest.units, count, seed)
    whole = voice.say(symbols=line, policy=WHOLE, seed=seed)
    chunks = list(voice.stream(symbols=line, policy=policy, seed=seed))
    joined = np.concatenate([chunk.samples for chunk in chunks])
    assert joined.shape == whole.samples.shape
    assert np.abs(joined - whole.samples).max(initial=0) <= 1e-4
    assert [chunk.last for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    starts = np.cumsum([0, *(len(chunk.samples) for chunk in chunks[:-1])])
    rate = voice.manifest.sample_rate
    assert [chunk.start_seconds for chunk in chunks] == [start / rate for start in starts]


@pytest.mark.parametrize("policy", [STREAMING, OFFLINE, ChunkPolicy(1, 1.0, 1)])
def test_chunked_is_whole_with_the_demo_voice(
    demo_voice: Path, opened: Opened, policy: ChunkPolicy
) -> None:
    """But for rounding: the last bit of the pitch adds up in the phase of its harmonics."""
    voice = opened(demo_voice)
    text = "今天天气好。" if policy.most == 1 else "今天天气真好，我们一起去公园吧。"
    traces: list[dict[str, NDArray[np.generic]]] = [{}, {}]
    whole = voice.say(text, policy=WHOLE, trace=traces[0])
    chunked = voice.say(text, policy=policy, trace=traces[1])
    assert chunked.samples.shape == whole.samples.shape
    mels = [trace["0/mel_final"] for trace in traces]  # its last channels: hertz, voiced
    assert np.abs(mels[1] - mels[0]).max() <= 2e-5
    error = chunked.samples - whole.samples
    assert np.square(error).mean() <= 1e-8 * np.square(whole.samples).mean()
    assert np.abs(error).max() <= 3e-4


@given(seed=st.integers(0, 2**63), other=st.integers(0, 2**63))
@FEW
def test_noise_belongs_to_its_seed(
    tiny_voice: Callable[[str], Path], opened: Opened, seed: int, other: int
) -> None:
    assume(seed != other)
    voice = opened(tiny_voice("nsf"))
    line = voices.symbol_line(voice.manifest.units, 6)
    first, again = voice.say(symbols=line, seed=seed), voice.say(symbols=line, seed=seed)
    assert np.array_equal(first.samples, again.samples)
    different, silent = voice.say(symbols=line, seed=other), voice.say(symbols=line, seed=None)
    assert np.abs(first.samples - different.samples).max() > 1e-3
    assert np.abs(first.samples - silent.samples).max() > 1e-3


def test_each_sentence_has_noise_of_its_own(
    tiny_voice: Callable[[str], Path], opened: Opened
) -> None:
    voice = opened(tiny_voice("nsf"))
    line = voices.symbol_line(voice.manifest.units, 6)
    both = voice.say(symbols=f"{line}\n{line}", gap=0.0).samples
    first, second = np.split(both, 2)
    assert np.abs(first - second).max() > 1e-3
    without = voice.say(symbols=f"{line}\n{line}", gap=0.0, seed=None).samples
    assert np.array_equal(*np.split(without, 2))


@pytest.mark.parametrize("variant", ["plain", "nsf", "odd", "five", "se", "byte"])
def test_the_vocoder_sees_exactly_its_context(
    tiny_voice: Callable[[str], Path], opened: Opened, variant: str
) -> None:
    """A NaN in a frame spoils exactly the samples that read it, however small its weight is."""
    voice = opened(tiny_voice(variant))
    before, after = voice.manifest.stages[Stage.VOCODER].graph.context
    assert spoilt(voice, 50 - before) & {50}
    assert not spoilt(voice, 50 - before - 1) & {50}
    assert spoilt(voice, 50 + after) & {50}
    assert not spoilt(voice, 50 + after + 1) & {50}


def spoilt(voice: Voice, frame: int) -> set[int]:
    """The frames with a sample that reads a frame's mel or excitation."""
    manifest, rng = voice.manifest, np.random.default_rng(5)
    mel = rng.standard_normal((100, manifest.mel_channels), dtype=np.float32)
    mel[frame] = np.nan
    excitation = None
    if manifest.f0 is not None:
        excitation = np.zeros(100 * manifest.hop, np.float32)
        excitation[frame * manifest.hop : (frame + 1) * manifest.hop] = np.nan
    samples = voice.synthesizer.vocode(VocoderWindow(mel, excitation, 0, 100 * manifest.hop))
    return set(np.flatnonzero(np.isnan(samples).reshape(100, -1).any(axis=1)).tolist())


def test_a_vocoder_window_a_frame_short_is_wrong(demo_voice: Path, opened: Opened) -> None:
    """What the declared context is for: with it the samples are those of the whole."""
    voice = opened(demo_voice)
    rng = np.random.default_rng(5)
    mel = rng.standard_normal((120, voice.manifest.mel_channels), dtype=np.float32)
    before, after = voice.manifest.stages[Stage.VOCODER].graph.context
    whole = part_of(voice, mel, 60, 70, 60, 50)
    assert np.abs(part_of(voice, mel, 60, 70, before, after) - whole).max() <= 2e-6
    assert np.abs(part_of(voice, mel, 60, 70, before // 4, 0) - whole).max() > 1e-4


def part_of(
    voice: Voice, mel: NDArray[np.float32], start: int, end: int, before: int, after: int
) -> NDArray[np.float32]:
    """The samples of frames [start, end) from so many frames of context."""
    hop, first, last = voice.manifest.hop, max(start - before, 0), min(end + after, len(mel))
    source = np.random.default_rng(6).standard_normal(len(mel) * hop, dtype=np.float32)
    excitation = None if voice.manifest.f0 is None else source[first * hop : last * hop]
    window = VocoderWindow(mel[first:last], excitation, (start - first) * hop, (end - start) * hop)
    return voice.synthesizer.vocode(window)


@pytest.mark.parametrize("variant", ["plain", "odd"])
def test_the_postnet_reads_every_frame_of_its_lookahead(
    tiny_voice: Callable[[str], Path], opened: Opened, variant: str
) -> None:
    """A change at the farthest frame counts; one frame beyond it does not."""
    voice = opened(tiny_voice(variant))
    session = voice.synthesizer._sessions[Stage.POSTNET]
    before, after = session.graph.context
    count, channels = 6, voice.manifest.frame_channels
    rng = np.random.default_rng(1)
    rows = before + count + after
    frames = rng.standard_normal((1, rows, channels), dtype=np.float32)
    inputs = {
        "frames": frames,
        "mask": np.ones((1, rows, 1), np.float32),
        **{name: np.zeros((1, 1, 10), np.float32) for name in ("h", "c")},
    }
    usual = session.run(inputs)["mel"][0]
    for row, changed in ((0, 0), (rows - 1, count - 1)):
        other = frames.copy()
        other[0, row] += 1.0
        found = session.run({**inputs, "frames": other})["mel"][0]
        gaps = np.abs(found - usual).max(axis=1)
        assert gaps[changed] > 1e-7, (row, gaps)
        if row:
            assert not gaps[:changed].any()


@pytest.mark.parametrize("cut", [1, 2, 7, 50])
def test_the_postnet_in_chunks_is_the_whole_one(
    tiny_voice: Callable[[str], Path], opened: Opened, cut: int
) -> None:
    voice = opened(tiny_voice("odd"))
    whole, parts = stream_of(voice, 40), stream_of(voice, 40)
    frames = len(whole.mel)
    whole.refine_until(frames)
    for end in [*range(cut, frames, cut), frames]:
        parts.refine_until(end)
        assert parts.mel_frames == end
    assert np.abs(parts.postnet - whole.postnet).max() <= 2e-6
    assert np.abs(whole.postnet - whole.decoded[:frames]).max() > 1e-3


def test_nothing_is_computed_before_it_is_needed(
    tiny_voice: Callable[[str], Path], opened: Opened
) -> None:
    voice = opened(tiny_voice("plain"))
    stream = stream_of(voice, 60)
    _, ahead = voice.manifest.stages[Stage.POSTNET].graph.context
    windows = stream.windows(ChunkPolicy(6, 1.0, 6))
    next(windows)
    assert stream.mel_frames == 6
    assert stream.decoded_steps == -(-(6 + ahead) // 3)
    next(windows)
    assert stream.mel_frames == 12


def stream_of(voice: Voice, count: int) -> MelStream:
    """A line's decoder and postnet, not yet run."""
    synthesizer, fields = voice.synthesizer, fields_from_units(voice.manifest.units)
    line = voices.symbol_line(voice.manifest.units, count)
    encoded = synthesizer.encode(synthesizer.prepare(sentence_from_symbols(line, fields), Style()))
    predicted = synthesizer.predict(encoded, Style())
    return synthesizer.begin(synthesizer.regulate(encoded, predicted, Style()), None)


def test_the_window_follows_the_band(tiny_voice: Callable[[str], Path], opened: Opened) -> None:
    graph = opened(tiny_voice("plain")).synthesizer._sessions[Stage.DECODER_STEP].graph
    most = graph.axes["window"].most
    nothing = np.zeros((1, 5), np.float32)

    def plan(band: int) -> LengthPlan:
        return LengthPlan(np.array([3 * band]), 3 * band, band, nothing)

    for band in range(most):
        window = decoder_window(plan(band), 3, graph)
        assert band + 1 <= window <= most
    with pytest.raises(InputError, match=f"symbol 1 would last {3 * most} frames"):
        decoder_window(plan(most), 3, graph)


def test_chunks_wider_than_the_vocoder_are_refused(
    tiny_voice: Callable[[str], Path], opened: Opened
) -> None:
    voice = opened(tiny_voice("plain"))
    graph = voice.manifest.stages[Stage.VOCODER].graph
    most = graph.axes["frames"].most - sum(graph.context)
    line = voices.symbol_line(voice.manifest.units, 2)
    assert voice.say(symbols=line, policy=ChunkPolicy(most, 1.0, most)).seconds > 0
    with pytest.raises(InputError, match=f"this voice's vocoder takes {most}"):
        voice.say(symbols=line, policy=ChunkPolicy(most, 1.0, most + 1))


def test_chunks_grow_across_sentences() -> None:
    policy = ChunkPolicy(10, 2.0, 50)
    assert [policy.after(n).first for n in range(5)] == [10, 20, 40, 50, 50]
    assert policy.after(10**9) == ChunkPolicy(50, 2.0, 50)


def test_a_wider_window_changes_nothing(
    tiny_voice: Callable[[str], Path], opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = opened(tiny_voice("plain"))
    usual = stream_of(voice, 20)
    usual.decode_until(len(usual.mel))
    monkeypatch.setattr("sambert_trt.runtime.stream.decoder_window", lambda *_: 77)
    wide = stream_of(voice, 20)
    wide.decode_until(len(wide.mel))
    assert np.abs(wide.decoded - usual.decoded).max() <= 2e-6


@pytest.mark.parametrize("count", [1, 5, 6, 7, 119, 120, 121, 300])
def test_sentences_around_and_beyond_the_stored_positions(
    tiny_voice: Callable[[str], Path], opened: Opened, count: int
) -> None:
    """Whole equals chunked for any length, and every sample is finite."""
    voice = opened(tiny_voice("odd"))
    line = voices.symbol_line(voice.manifest.units, count)
    audio = voice.say(symbols=line, policy=STREAMING)
    assert len(audio.samples) % voice.manifest.hop == 0
    assert np.isfinite(audio.samples).all()
    assert audio.seconds > 0
