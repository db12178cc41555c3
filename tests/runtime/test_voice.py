"""Opening a voice and speaking with it: what a user may do wrong, and what comes out."""

from __future__ import annotations

import json
import shutil
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import voices

from sambert_trt.engines.errors import (
    BackendError,
    GraphError,
    InputError,
    IntegrityError,
    SchemaError,
    VoiceError,
    VoiceMissingError,
)
from sambert_trt.engines.voice import file_record
from sambert_trt.runtime.ids import Ids
from sambert_trt.runtime.stream import ChunkPolicy
from sambert_trt.runtime.styles import Style
from sambert_trt.runtime.voice import DEFAULT_GAP, Voice, open_voice

Opened = Callable[[Path], Voice]


@pytest.fixture
def plain(tiny_voice: Callable[[str], Path], opened: Opened) -> Voice:
    """The plain tiny voice, opened."""
    return opened(tiny_voice("plain"))


@pytest.fixture
def copied(tiny_voice: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy of a voice directory that may be damaged."""
    return Path(shutil.copytree(tiny_voice("plain"), tmp_path / "voice"))


def line_of(voice: Voice, count: int = 4, seed: int = 0) -> str:
    return voices.symbol_line(voice.manifest.units, count, seed)


def settled(threads: int) -> bool:
    """Whether the number of threads is back to what it was within some seconds."""
    deadline = time.monotonic() + 10
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.01)
    return threading.active_count() <= threads


def change_manifest(directory: Path, **changes: object) -> None:
    path = directory / "voice.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**data, **changes}), encoding="utf-8")


@pytest.mark.parametrize("damage", ["missing", "cut", "swapped", "flipped"])
@pytest.mark.parametrize("name", ["styles.npz", "onnx/vocoder.onnx", "onnx/prosody.onnx"])
def test_a_damaged_file_is_found_before_anything_speaks(
    copied: Path, name: str, damage: str
) -> None:
    path = copied / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "swapped":
        other = copied / "onnx/postnet.onnx"
        path.write_bytes((other.read_bytes() + content)[: len(content)])
    else:
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    threads = threading.active_count()
    expected = VoiceMissingError if damage == "missing" else IntegrityError
    with pytest.raises(expected, match=path.name.partition(".")[0]):
        open_voice(copied, threads=2)
    assert settled(threads)


def test_two_graphs_that_changed_places_are_found(copied: Path) -> None:
    """With records that fit the files: the signature inside the graph tells them apart."""
    path = copied / "voice.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    first, second = data["stages"]["prosody"], data["stages"]["memory_kv"]
    first["file"], second["file"] = second["file"], first["file"]
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(GraphError, match=r"does not carry the signature in voice\.json"):
        open_voice(copied)


def test_a_file_that_is_no_graph(copied: Path) -> None:
    (copied / "onnx/prosody.onnx").write_bytes(b"no graph at all")
    data = json.loads((copied / "voice.json").read_text(encoding="utf-8"))
    record = file_record(copied, "onnx/prosody.onnx")
    data["stages"]["prosody"]["file"] = record.__dict__
    change_manifest(copied, stages=data["stages"])
    with pytest.raises(BackendError, match="cannot load the prosody graph"):
        open_voice(copied)


ARRAY = b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }"
ARRAY = ARRAY.ljust(127) + b"\n" + bytes(4)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"\x93NUMPY", ARRAY])
def test_styles_that_are_no_arrays(copied: Path, content: bytes) -> None:
    (copied / "styles.npz").write_bytes(content)
    change_manifest(copied, styles=file_record(copied, "styles.npz").__dict__)
    with pytest.raises(VoiceError, match=r"styles\.npz cannot be read"):
        open_voice(copied)


def test_styles_that_hold_code(copied: Path) -> None:
    np.savez(copied / "styles.npz", emotion=np.array([{"a": 1}], dtype=object))
    change_manifest(copied, styles=file_record(copied, "styles.npz").__dict__)
    with pytest.raises(VoiceError, match=r"styles\.npz cannot be read"):
        open_voice(copied)


def test_a_newer_voice(copied: Path) -> None:
    change_manifest(copied, schema=99)
    with pytest.raises(SchemaError, match=r"schema 99.*upgrade"):
        open_voice(copied)


def test_a_voice_without_one_of_its_stages(copied: Path) -> None:
    data = json.loads((copied / "voice.json").read_text(encoding="utf-8"))
    del data["stages"]["postnet"]
    change_manifest(copied, stages=data["stages"])
    with pytest.raises(VoiceError, match="there is no postnet"):
        open_voice(copied)


@pytest.mark.parametrize("threads", [0, -3, 257])
def test_threads_that_cannot_be(copied: Path, threads: int) -> None:
    with pytest.raises(InputError, match="needs 1 to 256"):
        open_voice(copied, threads=threads)


NOTHING = ["", "  \n\t", "，。！？", "😀🎉", "...", "\u200b\ufeff", "《》（）"]


@pytest.mark.parametrize("text", NOTHING)
def test_nothing_to_speak_is_said(plain: Voice, text: str) -> None:
    with pytest.raises(InputError, match="nothing to speak"):
        plain.say(text)


def test_emoji_between_words_are_passed_over(plain: Voice) -> None:
    assert np.array_equal(plain.say("你好😀").samples, plain.say("你好").samples)


def test_exactly_one_input(plain: Voice) -> None:
    with pytest.raises(InputError, match="not 0 of them"):
        plain.say()
    with pytest.raises(InputError, match="not 2 of them"):
        plain.say("你好", symbols=line_of(plain))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("{a_d$tone1$s_both$word_both}", "no sy 'a_d'; nearest 'a_c'"),
        ("{a_c$tone9$s_both$word_both}", "no tone 'tone9'; nearest"),
        ("{a_c$tone1}", "has 2 of the 4 fields"),
        ("{a_c$tone1$s_both$word_both}  {a_c$tone1$s_both$word_both}", "two blanks in a row"),
        ("{a_c$tone1$s_both$word_both$emotion_hapy$F7}", "did you mean happy"),
        ("{a_c$tone1$s_both$word_both$emotion_happy$F8}", "no speaker 'F8'; it has F7, M7"),
        ("今天天气", "fields"),
        ("", "nothing to speak"),
    ],
)
def test_symbols_the_voice_lacks_come_with_the_nearest(
    plain: Voice, broken: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        plain.say(symbols=broken)


@pytest.mark.parametrize(
    ("style", "message"),
    [
        (Style(emotion="hapy"), "no emotion 'hapy'; did you mean happy"),
        (Style(emotion={"sad": 1.0, "hapy": 1.0}), "did you mean happy"),
        (Style(emotion={"sad": -1.0}), "needs 0 to 1000"),
        (Style(emotion={"sad": 0.0}), "has no weight above 0"),
        (Style(emotion="[MASK]"), "no emotion"),
        (Style(speaker="M8"), "no speaker 'M8'; it has F7, M7"),
        (Style(speaker="~"), "no speaker '~'"),
    ],
)
def test_styles_the_voice_lacks(plain: Voice, style: Style, message: str) -> None:
    with pytest.raises(InputError, match=message):
        plain.say("你好", style)


def test_what_was_never_learned_is_not_spoken(copied: Path, opened: Opened) -> None:
    untrained = {"sy": ["uar_c", "aa"], "emo_category": ["emotion_happy"]}
    change_manifest(copied, untrained=untrained)
    voice = opened(copied)
    said = [symbol.units[:2] for one in voice.sentences("花儿") for symbol in one.symbols]
    assert said[:4] == [("h_c", "tone1"), ("ua_c", "tone1"), ("ge", "tone5"), ("er_c", "tone5")]
    assert voice.say(symbols="{uar_c$tone1$s_end$word_end}").samples.size
    assert voice.say("花儿", style=Style(emotion="sad")).samples.size
    with pytest.raises(InputError, match="never learned emotion 'happy'"):
        voice.say("花儿", style=Style(emotion="happy"))
    change_manifest(copied, untrained={"emo_category": ["emotion_neutral"]})
    with pytest.raises(VoiceError, match="default emotion 'emotion_neutral' is not one of"):
        open_voice(copied)


def test_a_voice_with_a_speaker_vector_has_no_names(
    tiny_voice: Callable[[str], Path], opened: Opened
) -> None:
    with pytest.raises(InputError, match="one speaker vector and no names"):
        opened(tiny_voice("se")).say("你好", Style(speaker="F7"))


@pytest.mark.parametrize("gap", [-0.1, 61.0, float("nan"), float("inf")])
def test_gaps_that_cannot_be(plain: Voice, gap: float) -> None:
    with pytest.raises(InputError, match="needs 0 to 60"):
        plain.say("你好", gap=gap)


def test_ids_say_what_symbols_say(tiny_voice: Callable[[str], Path], opened: Opened) -> None:
    for variant in ("plain", "byte"):
        voice = opened(tiny_voice(variant))
        trace: voices.Arrays = {}
        by_symbols = voice.say(symbols=line_of(voice, 6), trace=trace)
        ids = Ids(trace["0/ling"], trace["0/emo"], trace["0/spk"])
        assert np.array_equal(voice.say(ids=ids).samples, by_symbols.samples)
        plain_ids = Ids(trace["0/ling"])
        assert voice.say(ids=plain_ids).seconds > 0


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (Ids(np.zeros((3, 3), int)), "needs .symbols, 4."),
        (Ids(np.zeros(4, int)), "needs .symbols, 4."),
        (Ids(np.full((2, 4), 9999)), "sy id 9999 at symbol 1"),
        (Ids(np.full((2, 4), -1)), "sy id -1 at symbol 1"),
        (Ids(np.zeros((2, 4), int), emotion=np.zeros(3, int)), "emotion ids have shape"),
        (Ids(np.zeros((2, 4), int), speaker=np.full(2, 77)), "speaker id 77"),
        (Ids(np.zeros((0, 4), int)), "without symbols"),
    ],
)
def test_ids_that_cannot_be(plain: Voice, ids: Ids, message: str) -> None:
    with pytest.raises(InputError, match=message):
        plain.say(ids=ids)


@pytest.mark.parametrize("gap", [0.0, 0.1, DEFAULT_GAP])
def test_sentences_are_joined_by_silence(plain: Voice, gap: float) -> None:
    lines = [line_of(plain, 4, seed) for seed in range(3)]
    alone = [plain.say(symbols=line).samples for line in lines]
    joined = plain.say(symbols="\n".join(lines), gap=gap).samples
    silence = np.zeros(round(gap * plain.manifest.sample_rate), np.float32)
    expected = np.concatenate([alone[0], silence, alone[1], silence, alone[2]])
    assert joined.shape == expected.shape
    assert np.abs(joined - expected).max() <= 1e-6


def test_silence_before_and_after_a_sentence(plain: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    (alone,) = plain.sentences("你好")
    both = [replace(alone, lead=0.3, pause=0.7), replace(alone, lead=0.05, pause=0.4)]
    monkeypatch.setattr(plain, "sentences", lambda *_, **__: iter(both))
    rate, spoken = plain.manifest.sample_rate, plain.say("你好").samples
    monkeypatch.undo()
    once = plain.say("你好").samples
    silences = [np.zeros(round(seconds * rate), np.float32) for seconds in (0.3, 0.75, 0.4)]
    expected = np.concatenate([silences[0], once, silences[1], once, silences[2]])
    assert spoken.shape == expected.shape
    assert np.abs(spoken - expected).max() <= 1e-6


def test_breaks_are_heard(plain: Voice) -> None:
    text = "我们今天在公园里的长椅上看书写字"
    usual, words = plain.say(text).samples, plain.say(text, breaks="words").samples
    assert usual.shape != words.shape or not np.array_equal(usual, words)
    assert np.array_equal(usual, plain.say(text, breaks="phrases").samples)


def test_how_a_text_is_read_is_checked_at_once(plain: Voice) -> None:
    with pytest.raises(InputError, match="english 'yes': needs auto or chinese"):
        plain.stream("好", english="yes")
    with pytest.raises(TypeError, match="lexikon"):
        plain.stream("好", lexikon=None)  # type: ignore[call-arg]


def test_how_a_text_is_read_is_said_of_texts_alone(plain: Voice) -> None:
    with pytest.raises(InputError, match="ssml, strict is for text"):
        plain.say(symbols=line_of(plain), ssml=True, strict=True)


def test_chunks_tell_where_they_belong(plain: Voice) -> None:
    lines = "\n".join(line_of(plain, 20, seed) for seed in range(3))
    policy = ChunkPolicy(8, 1.0, 8)
    chunks = list(plain.stream(symbols=lines, gap=0.5, policy=policy))
    numbers = [chunk.sentence for chunk in chunks]
    assert numbers == sorted(numbers)
    assert set(numbers) == {0, 1, 2}
    assert sum(chunk.last for chunk in chunks) == 3
    position = 0
    for chunk in chunks:
        assert chunk.start_seconds == pytest.approx(position / chunk.sample_rate)
        assert chunk.sample_rate == plain.manifest.sample_rate
        assert chunk.samples.dtype == np.float32
        assert all(seconds >= 0 for seconds in chunk.timings.values())
        assert "vocoder" in chunk.timings
        position += len(chunk.samples)
    whole = plain.say(symbols=lines, gap=0.5)
    assert whole.seconds == pytest.approx(position / whole.sample_rate)
    assert {"text_encoder", "prosody", "decoder_step", "vocoder"} <= set(whole.timings)


def test_an_error_in_a_later_sentence_comes_after_what_was_spoken(plain: Voice) -> None:
    heard = []
    lines = line_of(plain, 4) + "\n{zz$tone1$s_both$word_both}"
    stream = plain.stream(symbols=lines)
    with pytest.raises(InputError, match="no sy 'zz'"):
        heard.extend(stream)
    assert [chunk.sentence for chunk in heard] == [0]


def test_one_stream_may_be_left_and_another_begun(plain: Voice) -> None:
    before = threading.active_count()
    for _ in range(5):
        stream = plain.stream("今天天气真好，我们一起去公园吧。", policy=ChunkPolicy(2, 1.0, 2))
        assert next(stream).samples.size
        stream.close()
    assert plain.say("你好").seconds > 0
    assert settled(before)


def test_two_streams_at_once(plain: Voice) -> None:
    first, second = plain.stream("今天天气真好。"), plain.stream("你好。")
    mixed = [next(first), next(second)]
    rest = [*first, *second]
    assert len(mixed) + len(rest) >= 2
    assert plain.say("今天天气真好。").seconds > 0


def endless(count: int, taken: list[int]) -> Iterator[str]:
    for number in range(count):
        taken.append(number)
        yield "今天天气真好，我们一起去公园吧。\n"


def test_a_book_is_read_as_it_is_spoken(plain: Voice) -> None:
    """The first chunk of 100,000 characters comes before more than a page of them is read."""
    taken: list[int] = []
    stream = plain.stream(endless(100_000 // 16, taken))
    assert next(stream).samples.size
    assert len(taken) < 100
    stream.close()


def test_memory_does_not_grow_with_the_text(plain: Voice) -> None:
    peaks = []
    for count in (15, 90):
        tracemalloc.start()
        for chunk in plain.stream(endless(count, [])):
            assert chunk.sample_rate
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0] + 200_000


def test_text_without_end_or_pause_is_cut_to_fit(plain: Voice) -> None:
    """A run of characters longer than any graph takes is split, not refused."""
    audio = plain.say("好" * 700)
    assert audio.seconds > 1


def test_a_closed_voice_says_so(tiny_voice: Callable[[str], Path]) -> None:
    threads = threading.active_count()
    voice = open_voice(tiny_voice("plain"), threads=3)
    assert voice.say("你好").seconds > 0
    voice.close()
    voice.close()
    assert settled(threads)
    with pytest.raises(VoiceError, match="the voice was closed; open it again"):
        voice.say("你好")


def test_a_voice_closed_while_it_streams_says_so(tiny_voice: Callable[[str], Path]) -> None:
    with open_voice(tiny_voice("plain"), threads=2) as voice:
        stream = voice.stream(endless(1000, []))
        next(stream)
    with pytest.raises(VoiceError, match="the voice was closed; open it again"):
        list(stream)


def test_a_pipe_that_waits_holds_up_nobody(plain: Voice) -> None:
    """What is there is spoken while the next line is still being typed."""
    go = threading.Event()

    def typed() -> Iterator[str]:
        yield "今天天气真好。\n"
        yield "你好。\n"
        assert go.wait(30)
        yield "再见。\n"

    stream = plain.stream(typed())
    heard = [next(stream)]
    assert plain.say("你好").seconds > 0
    go.set()
    heard.extend(stream)
    assert [chunk.sentence for chunk in heard if chunk.last] == [0, 1, 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hop": 41}, "vocoder.wave has shape"),
        ({"hop": 0}, "hop is 0"),
        ({"speakers": ["F7"]}, "styles.npz has speaker of shape"),
        ({"default_speaker": "M9"}, "default speaker 'M9' is not one"),
        ({"default_emotion": "x"}, "default emotion 'x' is not one"),
        ({"filled_pauses": True}, "pause_classes"),
        ({"units": {"byte_index": ["1"]}}, "text_encoder.ids has shape"),
        ({"decoder_heads": 5}, "decoder_step"),
        ({"projection_width": 9}, "text_hid"),
    ],
)
def test_a_manifest_that_contradicts_its_files(
    copied: Path, changes: dict[str, object], message: str
) -> None:
    change_manifest(copied, **changes)
    with pytest.raises(VoiceError, match=message.replace(".", r"\.")):
        open_voice(copied)


@pytest.mark.parametrize("seed", [-1, 1.5, "0"])
def test_seeds_that_cannot_be(plain: Voice, seed: Any) -> None:  # noqa: ANN401
    with pytest.raises(InputError, match="needs a whole number from 0 on, or None"):
        plain.say("你好", seed=seed)


@pytest.mark.parametrize("text", [b"bytes", 7])
def test_text_of_another_type(plain: Voice, text: Any) -> None:  # noqa: ANN401
    with pytest.raises(InputError, match="give str, or pieces of it"):
        plain.say(text)


def test_a_trace_holds_every_stage_of_every_sentence(plain: Voice) -> None:
    trace: dict[str, Any] = {}
    audio = plain.say(symbols=f"{line_of(plain, 4)}\n{line_of(plain, 5)}", trace=trace, gap=0.0)
    for number, count in ((0, 4), (1, 5)):
        assert trace[f"{number}/ling"].shape == (count, 4)
        assert trace[f"{number}/durations"].sum() == len(trace[f"{number}/mel_final"])
    joined = np.concatenate([trace["0/wav"], trace["1/wav"]])
    assert np.array_equal(joined, audio.samples)


def test_text_for_a_byte_voice(tiny_voice: Callable[[str], Path], opened: Opened) -> None:
    voice = opened(tiny_voice("byte"))
    trace: voices.Arrays = {}
    assert voice.say("你好。", trace=trace).seconds > 0
    spelled = [voice.manifest.units["byte_index"][i] for i in trace["0/ling"][:, 0]]
    assert bytes(map(int, spelled)).decode().startswith("你好")
    assert voice.say(symbols=line_of(voice)).seconds > 0
