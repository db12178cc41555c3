"""SSML and short forms all the way: what a text asks for is in its samples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import voices
from numpy.typing import NDArray

from sambert_trt.engines.errors import InputError
from sambert_trt.runtime.stream import OFFLINE, ChunkPolicy
from sambert_trt.runtime.styles import Style
from sambert_trt.runtime.voice import Voice

Opened = Callable[[Path], Voice]
BEFORE, AFTER = "今天天气真好，", "我们一起去公园。"


@pytest.fixture
def voice(tiny_voice: Callable[[str], Path], opened: Opened) -> Voice:
    """The plain tiny voice."""
    return opened(tiny_voice("plain"))


@pytest.fixture
def demo(demo_voice: Path, opened: Opened) -> Voice:
    """The demo voice, which was trained to speak."""
    return opened(demo_voice)


def samples(voice: Voice, text: str, style: Style | None = None) -> NDArray[np.float32]:
    return voice.say(text, style, gap=0.1).samples


def traced(voice: Voice, text: str) -> voices.Arrays:
    trace: voices.Arrays = {}
    voice.say(text, trace=trace)
    return trace


def speak(inner: str) -> str:
    return f"<speak>{inner}</speak>"


def silences(voice: Voice, found: NDArray[np.float32]) -> list[tuple[float, float]]:
    """Begin and length in seconds of what is 50 dB below the loudest, from a tenth of a second."""
    quiet = np.abs(found) < np.abs(found).max() * 10 ** (-50 / 20)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]]).astype(int)))
    runs = edges.reshape(-1, 2) / voice.manifest.sample_rate
    return [(float(a), float(b - a)) for a, b in runs if b - a >= 0.1]


def test_tags_that_ask_for_nothing_change_no_bit(voice: Voice) -> None:
    plain = samples(voice, BEFORE + AFTER)
    assert np.array_equal(samples(voice, speak(f"\n  {BEFORE}{AFTER}\n")), plain)
    medium = '<prosody rate="medium" pitch="default" volume="100"><w>今天</w>天气真好，</prosody>'
    assert np.array_equal(samples(voice, speak(medium + AFTER)), plain)


def test_tags_around_all_say_what_a_style_says(voice: Voice) -> None:
    inner = '<emotion category="happy" intensity="0.5"><prosody rate="80%">你好，再见</prosody>'
    found = samples(voice, speak(f"{inner}</emotion>"))
    styled = samples(voice, "你好，再见", Style(emotion="happy", intensity=0.5, speed=0.8))
    assert np.array_equal(found, styled)


def test_rate_and_pitch_reach_exactly_the_words_inside(voice: Voice) -> None:
    plain = traced(voice, BEFORE + AFTER)
    marked = traced(voice, speak(f'{BEFORE}<prosody rate="0.5" pitch="+2st">{AFTER}</prosody>'))
    first = len(traced(voice, BEFORE)["0/ling"])
    exact = np.exp(marked["0/log_durations"]) - np.float32(1)
    inner = np.arange(len(exact)) >= first
    slowed = np.where(inner, exact / np.float32(0.5), exact)
    assert np.array_equal(marked["0/ling"], plain["0/ling"])
    assert np.array_equal(marked["0/durations"], np.floor(slowed + np.float32(0.5)))
    raised = marked["0/pitch"] - plain["0/pitch"]
    assert (raised[inner] > 0.3).all()
    assert not raised[~inner].any()


def test_an_emotion_reaches_exactly_the_words_inside(voice: Voice) -> None:
    inline = traced(voice, f"{BEFORE}[emotion sad]{AFTER}[/emotion]")
    tagged = traced(voice, speak(f'{BEFORE}<emotion category="sad">{AFTER}</emotion>'))
    names = [voice.manifest.emotions[i] for i in tagged["0/emo"]]
    first = len(traced(voice, BEFORE)["0/ling"])
    assert names == ["emotion_neutral"] * first + ["emotion_sad"] * (len(names) - first)
    assert all(np.array_equal(inline[name], tagged[name]) for name in tagged)


def test_a_manner_holds_over_sentences(voice: Voice) -> None:
    trace = traced(voice, speak('<emotion category="sad">你好。再见。</emotion>谢谢。'))
    names = [{voice.manifest.emotions[i] for i in trace[f"{n}/emo"]} for n in range(3)]
    assert names == [{"emotion_sad"}, {"emotion_sad"}, {"emotion_neutral"}]


@pytest.mark.parametrize("form", [speak('今天<break time="800ms"/>去'), "今天[停顿 0.8s]去"])
def test_a_break_is_silence_of_its_length(demo: Voice, form: str) -> None:
    frame = demo.manifest.hop / demo.manifest.sample_rate
    found = samples(demo, form)
    ((start, length),) = [run for run in silences(demo, found) if run[1] > 0.5]
    assert abs(length - 0.8) <= frame
    trace = traced(demo, form)
    symbols = next(iter(demo.sentences(form))).symbols
    row = next(i for i, symbol in enumerate(symbols) if symbol.seconds is not None)
    assert abs(start - float(trace["0/durations"][:row].sum()) * frame) <= frame


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ('<break time="1s"/>A<break time="0.5s"/>', (1.0, None, 0.5)),
        ('A。<break time="2s"/>B', (0.0, 2.0, 0.0)),
        ('<s>A</s><break time="2s"/><s>B</s>', (0.0, 2.0, 0.0)),
        ("<p>A</p><p>B</p>", (0.0, 0.6, 0.0)),
        ("<s>A</s><s>B</s>", (0.0, 0.1, 0.0)),
    ],
)
def test_silence_around_sentences_is_exact(
    voice: Voice, form: str, expected: tuple[float, float | None, float]
) -> None:
    rate = voice.manifest.sample_rate
    first, second = samples(voice, "你好"), samples(voice, "再见")
    found = samples(voice, speak(form.replace("A", "你好").replace("B", "再见")))
    before, between, after = (np.zeros(round((s or 0.0) * rate), np.float32) for s in expected)
    middle = [] if expected[1] is None else [between, second]
    whole = np.concatenate([before, first, *middle, after])
    assert found.shape == whole.shape
    assert np.abs(found - whole).max() <= 1e-6


@pytest.mark.parametrize("policy", [ChunkPolicy(1, 1.0, 1), ChunkPolicy(24, 2.0, 240)])
def test_streams_with_marks_are_what_is_said(voice: Voice, policy: ChunkPolicy) -> None:
    text = speak(
        f'<break time="0.3s"/>{BEFORE}<break time="0.4s"/><prosody volume="-6dB" rate="1.5">'
        f'{AFTER}你<break time="200ms"/>好</prosody><s>再见</s><break time="0.2s"/>'
    )
    whole = voice.say(text)
    chunks = [chunk.samples for chunk in voice.stream(text, policy=policy)]
    found = np.concatenate(chunks)
    assert len(chunks) > 3
    assert found.shape == whole.samples.shape
    assert np.abs(found - whole.samples).max() <= 1e-6
    same = np.concatenate([chunk.samples for chunk in voice.stream(text, policy=OFFLINE)])
    assert np.array_equal(same, whole.samples)


def test_volume_scales_what_is_said(voice: Voice) -> None:
    plain = samples(voice, "你好")
    half = samples(voice, speak('<prosody volume="50">你好</prosody>'))
    assert np.array_equal(half, plain * np.float32(0.5))
    assert not samples(voice, speak('<prosody volume="silent">你好</prosody>')).any()


def test_who_says_whether_it_is_ssml(voice: Voice) -> None:
    text = speak("你好")
    assert len(voice.say(text, ssml=False).samples) > len(voice.say(text).samples)
    assert np.array_equal(voice.say(text, ssml=True).samples, voice.say(text).samples)
    with pytest.raises(InputError, match="has to stand in <speak>"):
        voice.say("你好", ssml=True)
    with pytest.raises(InputError, match="line 1, column 8: the tag <x> is not known"):
        voice.say("<speak><x>你好</x></speak>", strict=True)
    assert np.array_equal(voice.say("<speak><x>你好</x></speak>").samples, voice.say(text).samples)


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        ('<emotion category="hapy">你好</emotion>', "no emotion 'hapy'; did you mean happy"),
        ('<voice name="M9">你好</voice>', "no speaker 'M9'; it has F7, M7"),
        ('<prosody rate="4">你好</prosody>', "speed 8, of 2 asked for and 4 in the text"),
        ("你好<b>", "line 1, column 15: mismatched tag: <b> of line 1 is open"),
    ],
)
def test_what_a_voice_cannot_do(voice: Voice, inner: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        voice.say(speak(inner), Style(speed=2.0))


def test_pitch_is_heard(demo: Voice) -> None:
    """The trained voice's own f0 follows by about what its deviation is."""
    found = {
        shift: float(np.median(f0_of(demo, speak(f'<prosody pitch="{shift}">{AFTER}</prosody>'))))
        for shift in ("x-low", "medium", "x-high")
    }
    assert found["x-low"] < 0.95 * found["medium"] < 0.95**2 * found["x-high"]


def f0_of(voice: Voice, text: str) -> list[float]:
    """Hertz of the voiced pieces of 40 ms, from the peaks of their autocorrelation."""
    found, rate = samples(voice, text), voice.manifest.sample_rate
    width, least, most = rate // 25, rate // 500, rate // 70
    result = []
    for start in range(0, len(found) - width, width // 2):
        piece = found[start : start + width] - found[start : start + width].mean()
        likeness = np.correlate(piece, piece, "full")[width - 1 :]
        lag = least + int(likeness[least:most].argmax())
        if likeness[0] > 0.01**2 * width and likeness[lag] > 0.5 * likeness[0]:
            result.append(rate / lag)
    return result
