"""Speech follows its marks: durations, contours, vectors, samples and silence, and only there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import voices
from numpy.typing import NDArray

from sambert_trt.engines.errors import InputError
from sambert_trt.runtime.stream import OFFLINE, ChunkPolicy
from sambert_trt.runtime.styles import Style
from sambert_trt.runtime.synthesizer import Utterance
from sambert_trt.runtime.text.marks import Manner
from sambert_trt.runtime.text.sentence import Sentence, Symbol
from sambert_trt.runtime.text.symbols import fields_from_units, sentence_from_symbols
from sambert_trt.runtime.voice import Voice

Opened = Callable[[Path], Voice]
COUNT, INNER = 24, range(8, 16)


@pytest.fixture(params=["plain", "nsf", "fp"])
def voice(
    request: pytest.FixtureRequest, tiny_voice: Callable[[str], Path], opened: Opened
) -> Voice:
    """Tiny voices: plain, with a harmonic source, with filled pauses."""
    return opened(tiny_voice(request.param))


@pytest.fixture
def plain(tiny_voice: Callable[[str], Path], opened: Opened) -> Voice:
    """The plain tiny voice."""
    return opened(tiny_voice("plain"))


def sentence_of(voice: Voice, emotions: tuple[str, ...] = ("emotion_happy",)) -> Sentence:
    units = voice.manifest.units
    line = voices.symbol_line(units, COUNT, 7, emotions=emotions)
    return sentence_from_symbols(line, fields_from_units(units))


def marked(sentence: Sentence, rows: Iterable[int], manner: Manner) -> Sentence:
    chosen = set(rows)
    symbols = (
        replace(symbol, manner=manner) if number in chosen else symbol
        for number, symbol in enumerate(sentence.symbols)
    )
    return replace(sentence, symbols=tuple(symbols))


def paused(sentence: Sentence, pauses: Mapping[int, float]) -> Sentence:
    symbols = (
        replace(symbol, seconds=pauses.get(number))
        for number, symbol in enumerate(sentence.symbols)
    )
    return replace(sentence, symbols=tuple(symbols))


def heard(
    voice: Voice, sentence: Sentence, style: Style | None = None, policy: ChunkPolicy = OFFLINE
) -> tuple[Utterance, NDArray[np.float32]]:
    """Everything computed for a sentence, and its samples."""
    steps = list(voice.synthesizer.speak(sentence, style or Style(), policy, 0, 0))
    windows = [window for _, window in steps if window is not None]
    return steps[0][0], np.concatenate([voice.synthesizer.vocode(window) for window in windows])


def rows_of(utterance: Utterance, symbols: Iterable[int]) -> NDArray[np.bool_]:
    """Which rows of the predictors belong to symbols, filled pauses before them included."""
    encoded, rows = utterance.encoded, np.arange(len(utterance.sentence.symbols))
    text, bare = encoded.text, encoded.text_hid
    if len(text) != len(bare):
        own = [np.flatnonzero((text == row).all(axis=1))[-1] for row in bare]
        rows = np.searchsorted(own, np.arange(len(text)))
    return np.isin(rows, list(symbols))


def places(voice: Voice, utterance: Utterance) -> NDArray[np.int64]:
    """The sample at which each row begins, and the end."""
    durations = utterance.plan.durations
    return np.concatenate([[0], np.cumsum(durations)]) * voice.manifest.hop


@pytest.mark.parametrize("manner", [None, Manner()])
def test_a_manner_that_says_nothing_changes_no_bit(voice: Voice, manner: Manner | None) -> None:
    bare = sentence_of(voice, ("emotion_happy", "emotion_sad"))
    symbols = tuple(replace(symbol, manner=manner) for symbol in bare.symbols)
    utterance, samples = heard(voice, replace(bare, symbols=symbols))
    assert utterance.prepared.delivery is None
    assert np.array_equal(samples, heard(voice, bare)[1])


@pytest.mark.parametrize("speed", [2.0, 0.5, 4.0])
def test_speed_scales_the_durations_of_its_symbols(voice: Voice, speed: float) -> None:
    bare = sentence_of(voice)
    usual, _ = heard(voice, bare)
    other, _ = heard(voice, marked(bare, INNER, Manner(speed=speed)))
    inner = rows_of(usual, INNER)
    assert inner.sum() >= len(INNER)
    before, after = usual.plan.durations, other.plan.durations
    assert np.array_equal(after[~inner], before[~inner])
    exact = np.exp(usual.predicted.log_durations[inner]) - np.float32(1)
    assert np.array_equal(after[inner], np.floor(exact / np.float32(speed) + np.float32(0.5)))
    assert np.abs(after[inner] - before[inner] / speed).max() <= max(1, 1 / speed)
    assert after[inner].sum() != before[inner].sum()


@pytest.mark.parametrize("field", ["pitch", "energy"])
def test_shifts_move_the_contour_of_their_symbols(voice: Voice, field: str) -> None:
    bare = sentence_of(voice)
    manner = Manner(pitch=1.0) if field == "pitch" else Manner(energy=1.0)
    usual, _ = heard(voice, bare)
    other, _ = heard(voice, marked(bare, INNER, manner))
    inner = rows_of(usual, INNER).astype(np.float32)
    found = {name: getattr(other.predicted, name) for name in ("pitch", "energy")}
    expected = {name: getattr(usual.predicted, name) for name in found}
    expected[field] = expected[field] + inner
    assert all(np.array_equal(found[name], expected[name]) for name in found)
    assert not np.array_equal(usual.plan.memory, other.plan.memory)


def test_shifts_and_speeds_come_on_top_of_the_request(plain: Voice) -> None:
    bare, style = sentence_of(plain), Style(speed=2.0, pitch=0.5, energy=-0.5)
    manner = Manner(speed=0.5, pitch=0.5, energy=0.5)
    usual, _ = heard(plain, bare)
    other, _ = heard(plain, marked(bare, INNER, manner), style)
    inner = rows_of(usual, INNER)
    shifts = np.where(inner, np.float32(1.0), np.float32(0.5))
    assert np.array_equal(other.predicted.pitch, usual.predicted.pitch + shifts)
    energy = usual.predicted.energy + np.where(inner, np.float32(0.0), np.float32(-0.5))
    assert np.array_equal(other.predicted.energy, energy)
    exact = np.exp(other.predicted.log_durations) - np.float32(1)
    halved = np.where(inner, exact, exact / np.float32(2))
    assert np.array_equal(other.plan.durations, np.floor(halved + np.float32(0.5)))


@pytest.mark.parametrize("volume", [0.5, 0.0, 2.0])
def test_volume_scales_the_samples_of_its_symbols(voice: Voice, volume: float) -> None:
    bare = sentence_of(voice)
    utterance, usual = heard(voice, bare)
    inner = np.flatnonzero(rows_of(utterance, INNER))
    _, loud = heard(voice, marked(bare, INNER, Manner(volume=volume)))
    edges = places(voice, utterance)
    start, end, ramp = edges[inner[0]], edges[inner[-1] + 1], voice.manifest.hop
    core = slice(start + ramp, end - ramp)
    assert np.abs(usual[core]).max() > 1e-3
    assert np.array_equal(loud[core], np.clip(usual[core] * np.float32(volume), -1, 1))
    for outside in (slice(0, start - ramp), slice(end + ramp, None)):
        assert np.array_equal(loud[outside], usual[outside])
    steps = np.abs(np.diff(loud - usual))
    assert steps.max() <= np.abs(np.diff(usual)).max() * abs(volume - 1) * 1.01 + 0.02


@pytest.mark.parametrize("seconds", [0.8, 0.25])
def test_a_pause_is_silence_of_its_length_in_its_place(plain: Voice, seconds: float) -> None:
    bare, row, manifest = sentence_of(plain), 9, plain.manifest
    utterance, usual = heard(plain, bare)
    other, found = heard(plain, paused(bare, {row: seconds}))
    own = int(utterance.plan.durations[row])
    assert own >= 3
    start, end = places(plain, utterance)[[row, row + 1]]
    whole = round(seconds * manifest.sample_rate)
    assert np.array_equal(other.plan.durations, utterance.plan.durations)
    assert len(found) - len(usual) == whole - own * manifest.hop
    silent = found[start + manifest.hop : start + whole - manifest.hop]
    assert not silent.any()
    assert np.array_equal(found[:start], usual[:start])
    assert np.array_equal(found[start + whole :], usual[end:])
    assert np.abs(found[start - 5 : start]).max() > 0


def test_a_pause_shorter_than_the_voice_would_make(plain: Voice) -> None:
    bare, row, manifest = sentence_of(plain), 9, plain.manifest
    utterance, usual = heard(plain, bare)
    own = int(utterance.plan.durations[row])
    frame = manifest.hop / manifest.sample_rate
    for frames in range(own):
        other, found = heard(plain, paused(bare, {row: frames * frame}))
        assert other.plan.durations[row] == frames
        assert len(found) == len(usual) - (own - frames) * manifest.hop
    exact, _ = heard(plain, paused(bare, {row: 1.5 * frame}))
    assert exact.plan.durations[row] == 1


@pytest.mark.parametrize("row", [0, COUNT - 1])
def test_pauses_at_the_ends(plain: Voice, row: int) -> None:
    bare, rate = sentence_of(plain), plain.manifest.sample_rate
    utterance, usual = heard(plain, bare)
    _, found = heard(plain, paused(bare, {row: 0.5}))
    own = int(utterance.plan.durations[row]) * plain.manifest.hop
    assert len(found) == len(usual) - own + rate // 2
    end = found[: rate // 2] if row == 0 else found[-rate // 2 :]
    assert not end[plain.manifest.hop : -plain.manifest.hop].any()


def test_a_pause_at_a_symbol_without_frames(plain: Voice) -> None:
    """As breaks of real voices: the silence is put in, and the words beside it fade."""
    bare, row, hop = sentence_of(plain), 9, plain.manifest.hop
    cut, without = heard(plain, paused(bare, {row: 0.0}))
    other, found = heard(plain, paused(bare, {row: 0.004}))
    place, silence = places(plain, other)[row], round(0.004 * plain.manifest.sample_rate)
    assert cut.plan.durations[row] == other.plan.durations[row] == 0
    assert not found[place : place + silence].any()
    assert np.array_equal(found[: place - hop], without[: place - hop])
    assert np.array_equal(found[place + silence + hop :], without[place + hop :])
    fading = np.abs(found[place - hop : place]) - np.abs(without[place - hop : place])
    assert fading.max() <= 0
    assert fading.min() < 0


@pytest.mark.parametrize("sizes", [(1, 1.0, 1), (2, 1.3, 7), (24, 2.0, 240)])
def test_chunks_of_marked_speech_are_the_whole(voice: Voice, sizes: tuple[int, float, int]) -> None:
    bare = marked(sentence_of(voice), INNER, Manner(volume=0.3, speed=0.7, pitch=1.0))
    sentence = paused(bare, {4: 0.3, 5: 0.2, 12: 0.1, COUNT - 1: 0.15})
    whole, chunked = (
        heard(voice, sentence)[1],
        heard(voice, sentence, policy=ChunkPolicy(*sizes))[1],
    )
    assert whole.shape == chunked.shape
    assert np.abs(whole - chunked).max() <= 1e-6
    assert np.array_equal(whole == 0, chunked == 0)


def test_a_pause_is_made_once_beside_filled_pauses(
    tiny_voice: Callable[[str], Path], opened: Opened
) -> None:
    voice = opened(tiny_voice("fp"))
    bare = sentence_of(voice)
    utterance, usual = heard(voice, bare)
    row = next(i for i in range(COUNT) if rows_of(utterance, [i]).sum() > 1)
    other, found = heard(voice, paused(bare, {row: 0.5}))
    own = int(utterance.plan.durations[np.flatnonzero(rows_of(utterance, [row]))[-1]])
    lacking = voice.manifest.sample_rate // 2 - own * voice.manifest.hop
    assert np.array_equal(other.plan.durations, utterance.plan.durations)
    assert len(found) - len(usual) == lacking


def test_emotion_and_speaker_reach_exactly_their_symbols(voice: Voice) -> None:
    bare = sentence_of(voice)
    usual, samples = heard(voice, bare)
    manner = Manner(emotion="sad", intensity=1.5, speaker="M7")
    other, found = heard(voice, marked(bare, INNER, manner))
    inner = rows_of(usual, INNER)
    for name in ("emotion", "speaker"):
        changed = (getattr(usual.encoded, name) != getattr(other.encoded, name)).any(axis=1)
        assert np.array_equal(changed, inner), name
    assert found.shape != samples.shape or not np.array_equal(found, samples)


@pytest.mark.parametrize(
    ("manner", "style", "message"),
    [
        (Manner(speed=4.0), Style(speed=2.0), "speed 8, of 2 asked for and 4 in the text: needs"),
        (Manner(pitch=4.0), Style(pitch=2.0), "pitch 6, of 2 asked for and 4 in the text: needs"),
        (Manner(energy=-4.0), Style(energy=-2.0), "energy -6, of -2 asked for"),
        (Manner(speed=0.0), Style(), "speed 0.0: needs"),
        (Manner(speed=float("nan")), Style(), "speed nan: needs"),
        (Manner(volume=-1.0), Style(), "volume -1.0: needs a number from 0 to 4"),
        (Manner(intensity=3.0), Style(), "intensity 3.0: needs a number from 0 to 2"),
        (Manner(emotion="hapy"), Style(), "no emotion 'hapy'; did you mean happy"),
        (Manner(speaker="M8"), Style(), "no speaker 'M8'; it has F7, M7"),
    ],
)
def test_manners_that_cannot_be(plain: Voice, manner: Manner, style: Style, message: str) -> None:
    with pytest.raises(InputError, match=message):
        plain.synthesizer.prepare(marked(sentence_of(plain), INNER, manner), style)


@pytest.mark.parametrize("seconds", [-0.1, 61.0, float("nan")])
def test_pauses_that_cannot_be(plain: Voice, seconds: float) -> None:
    with pytest.raises(InputError, match=r"seconds of a pause .*: needs a number from 0 to 60"):
        plain.synthesizer.prepare(paused(sentence_of(plain), {3: seconds}), Style())


def test_a_speaker_in_the_text_of_a_voice_without_names(
    tiny_voice: Callable[[str], Path], opened: Opened
) -> None:
    voice = opened(tiny_voice("se"))
    bare = sentence_of(voice)
    symbols = tuple(Symbol(s.units, manner=Manner(speaker="F7")) for s in bare.symbols)
    with pytest.raises(InputError, match="one speaker vector and no names"):
        voice.synthesizer.prepare(Sentence("", symbols), Style())
