"""Names, blends and intensities become vectors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sambert_trt.engines.errors import InputError
from sambert_trt.engines.manifest import FileRecord, VoiceManifest
from sambert_trt.runtime.styles import Conditioning, Style, conditioning, emotion_name
from sambert_trt.runtime.text.marks import Manner
from sambert_trt.runtime.text.sentence import Sentence, Symbol

EMOTIONS = ("emotion_none", "emotion_neutral", "emotion_happy", "emotion_sad", "_", "~", "[MASK]")
SPEAKERS = ("F7", "M7", "_", "~", "[MASK]")
RNG = np.random.default_rng(0)
EMOTION_TABLE = RNG.standard_normal((7, 4), dtype=np.float32)
SPEAKER_TABLE = RNG.standard_normal((5, 6), dtype=np.float32)
UNITS = ("a_c", "tone1", "s_both", "word_both")


def manifest(speakers: tuple[str, ...] = SPEAKERS) -> VoiceManifest:
    return VoiceManifest(
        name="v",
        language="PinYin",
        sample_rate=8000,
        hop=40,
        frame_channels=10,
        mel_channels=10,
        frames_per_step=3,
        projection_width=8,
        speaker_width=6,
        emotion_width=4,
        decoder_layers=1,
        decoder_heads=1,
        decoder_head_width=4,
        units={},
        speakers=speakers,
        emotions=EMOTIONS,
        default_speaker="F7",
        default_emotion="emotion_neutral",
        filled_pauses=False,
        f0=None,
        styles=FileRecord("styles.npz", 0, ""),
        stages={},
        weights={},
        provenance={},
    )


def vectors(style: Style, *symbols: Symbol, count: int = 2) -> Conditioning:
    sentence = Sentence("", symbols or (Symbol(UNITS),) * count)
    return conditioning(sentence, style, manifest(), SPEAKER_TABLE, EMOTION_TABLE)


def row(name: str) -> NDArray[np.float32]:
    found: NDArray[np.float32] = EMOTION_TABLE[EMOTIONS.index(f"emotion_{name}")]
    return found


def test_defaults() -> None:
    found = vectors(Style())
    assert np.array_equal(found.emotion, np.stack([row("neutral")] * 2))
    assert np.array_equal(found.speaker, SPEAKER_TABLE[[0, 0]])
    assert found.speaker_ids is not None
    assert found.emotion_ids is not None
    assert found.emotion_ids.tolist() == [1, 1]


def test_a_request_overrules_the_symbols() -> None:
    symbol = Symbol(UNITS, "sad", "F7")
    assert np.array_equal(vectors(Style(), symbol).emotion[0], row("sad"))
    found = vectors(Style(emotion="happy", speaker="M7"), symbol)
    assert np.array_equal(found.emotion[0], row("happy"))
    assert np.array_equal(found.speaker[0], SPEAKER_TABLE[1])


BLEND = {"happy": 1.0, "sad": 3.0}


@pytest.mark.parametrize("emotion", ["happy", BLEND, None])
def test_a_mark_overrules_the_request_for_its_symbol_alone(
    emotion: str | dict[str, float] | None,
) -> None:
    manner = Manner(speaker="M7", emotion="sad", intensity=0.5)
    symbols = (Symbol(UNITS), Symbol(UNITS, "happy", "F7", manner), Symbol(UNITS))
    style = Style("F7", emotion, intensity=2.0)
    found, usual = vectors(style, *symbols), vectors(style, count=3)
    expected = row("neutral") + np.float32(0.5) * (row("sad") - row("neutral"))
    assert np.array_equal(found.emotion[1], expected)
    assert np.array_equal(found.emotion[[0, 2]], usual.emotion[[0, 2]])
    assert np.array_equal(found.speaker, SPEAKER_TABLE[[0, 1, 0]])


def test_an_intensity_alone_leaves_the_emotion_to_the_request() -> None:
    symbols = (Symbol(UNITS, manner=Manner(intensity=0.5)), Symbol(UNITS))
    found = vectors(Style(emotion="happy"), *symbols)
    half = row("neutral") + np.float32(0.5) * (row("happy") - row("neutral"))
    assert np.array_equal(found.emotion, np.stack([half, row("happy")]))


@pytest.mark.parametrize("name", ["happy", "emotion_happy"])
def test_an_emotion_may_be_named_in_two_ways(name: str) -> None:
    assert emotion_name(name, manifest()) == "emotion_happy"


@pytest.mark.parametrize("name", ["_", "~", "[MASK]", "", "emotion_", "Happy"])
def test_what_is_no_emotion(name: str) -> None:
    with pytest.raises(InputError, match="no emotion"):
        emotion_name(name, manifest())


@pytest.mark.parametrize("name", ["happy", "emotion_happy"])
def test_an_emotion_that_was_never_learned_is_refused(name: str) -> None:
    half = replace(manifest(), untrained={"emo_category": ("emotion_happy", "_")})
    assert emotion_name("sad", half) == "emotion_sad"
    with pytest.raises(
        InputError, match="never learned emotion 'happy'; it has none, neutral, sad"
    ):
        emotion_name(name, half)
    sentence = Sentence("", (Symbol(UNITS),))
    for style in (Style(emotion=name), Style(emotion={name: 1.0, "sad": 2.0})):
        with pytest.raises(InputError, match="never learned"):
            conditioning(sentence, style, half, SPEAKER_TABLE, EMOTION_TABLE)
    found = conditioning(sentence, Style(emotion="sad"), half, SPEAKER_TABLE, EMOTION_TABLE)
    assert np.array_equal(found.emotion[0], row("sad"))


@given(
    weights=st.dictionaries(
        st.sampled_from(["happy", "sad", "none"]), st.floats(0.01, 10), min_size=1
    )
)
@settings(max_examples=50, deadline=None, derandomize=True)
def test_a_blend_is_the_weighted_mean(weights: dict[str, float]) -> None:
    found = vectors(Style(emotion=weights))
    expected = sum(w * row(n).astype(np.float64) for n, w in weights.items()) / sum(
        weights.values()
    )
    assert found.emotion.shape == (2, 4)
    assert found.emotion.dtype == np.float32
    assert np.abs(found.emotion - expected).max() <= 1e-6
    assert found.emotion_ids is None


@pytest.mark.parametrize("intensity", [0.0, 0.3, 1.0, 2.0])
def test_intensity_goes_from_neutral_through_the_emotion(intensity: float) -> None:
    found = vectors(Style(emotion="happy", intensity=intensity)).emotion[0]
    expected = row("neutral") + intensity * (row("happy") - row("neutral"))
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= 1e-6


def test_a_speaker_vector_needs_no_name() -> None:
    sentence = Sentence("", (Symbol(UNITS, None, "F7"),) * 3)
    table = SPEAKER_TABLE[:1]
    found = conditioning(sentence, Style(), manifest(("",)), table, EMOTION_TABLE)
    assert found.speaker_ids is None
    assert np.array_equal(found.speaker, table[[0, 0, 0]])


@pytest.mark.parametrize(
    ("field", "least", "most"),
    [("speed", 0.25, 4.0), ("pitch", -5.0, 5.0), ("energy", -5.0, 5.0), ("intensity", 0.0, 2.0)],
)
def test_limits(field: str, least: float, most: float) -> None:
    for inside in (least, most, 1.0):
        assert getattr(Style(**{field: inside}), field) == inside
    for outside in (np.nextafter(least, -10), np.nextafter(most, 10), float("nan"), float("inf")):
        with pytest.raises(InputError, match=f"{field} .*: needs a number from"):
            Style(**{field: float(outside)})


def test_unknown_names_list_what_there_is() -> None:
    with pytest.raises(InputError, match=r"no speaker 'zzz'; it has F7, M7$"):
        vectors(Style(speaker="zzz"))
    with pytest.raises(InputError, match=r"no emotion 'qqq'; it has none, neutral, happy, sad$"):
        vectors(Style(emotion="qqq"))
