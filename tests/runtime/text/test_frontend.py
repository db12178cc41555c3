"""The whole front end: what it promises for any text."""

from __future__ import annotations

import logging
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sambert_trt.engines.errors import InputError
from sambert_trt.engines.manifest import VoiceManifest
from sambert_trt.engines.voice import manifest_from_directory
from sambert_trt.runtime.text.frontend import MandarinFrontend
from sambert_trt.runtime.text.readings import readings
from sambert_trt.runtime.text.symbols import ids_from_sentence

Units = dict[str, tuple[str, ...]]
MOST_SYMBOLS = 240

ALPHABET = "你好我很一不儿个地得了行重2024.,:-/%年月日点Ww[]chong2，。！“”\n 😀"
WRITTEN = st.one_of(
    st.text(max_size=300),
    st.text(alphabet=ALPHABET, max_size=300),
)


def test_a_sentence(units: Units) -> None:
    (sentence,) = MandarinFrontend(units).sentences("你好。")
    assert sentence.text == "你好。"
    assert [s.units for s in sentence.symbols] == [
        ("n_c", "tone2", "s_begin", "word_begin"),
        ("i_c", "tone2", "s_end", "word_middle"),
        ("h_c", "tone3", "s_begin", "word_middle"),
        ("ao_c", "tone3", "s_end", "word_end"),
        ("#4", "tone_none", "s_none", "word_none"),
    ]


def test_lexical_tones_where_sandhi_is_off(units: Units) -> None:
    (sentence,) = MandarinFrontend(units, sandhi=False).sentences("你好")
    assert sentence.symbols[0].units[1] == "tone3"


def test_the_first_sentence_needs_only_the_beginning(units: Units) -> None:
    def endless() -> Iterator[str]:
        yield "第一句。第"
        raise AssertionError("read on before the first sentence was given out")

    assert next(MandarinFrontend(units).sentences(endless())).text == "第一句。"


@pytest.mark.parametrize("text", ["", " \n\t", "，。！？……", "😀🎉", "かな"])
def test_nothing_to_say_gives_nothing(units: Units, text: str) -> None:
    assert list(MandarinFrontend(units).sentences(text)) == []


@pytest.mark.parametrize("language", ["PinYin", "pinyin", "zh-cn"])
def test_mandarin_voices_take_text(units: Units, language: str) -> None:
    assert len(list(MandarinFrontend(units, language).sentences("好"))) == 1


def test_other_languages_want_symbols(units: Units) -> None:
    with pytest.raises(InputError, match="speaks ZhHK; give it symbols"):
        MandarinFrontend(units, "ZhHK")


@pytest.mark.parametrize(
    ("language", "name"),
    [("ZhHK", "Cantonese"), ("WuuShanghai", "Shanghainese"), ("English", "English")],
)
def test_what_works_instead_is_said(units: Units, language: str, name: str) -> None:
    with pytest.raises(InputError, match=f"no open front end reads {name} text.*ttsfrd"):
        MandarinFrontend(units, language)


def test_a_byte_voice_gets_bytes(byte_units: Units) -> None:
    (sentence,) = MandarinFrontend(byte_units, "any").sentences("好a。")
    assert [s.units for s in sentence.symbols] == [(str(byte),) for byte in "好a。".encode()]
    assert list(MandarinFrontend(byte_units).sentences("……😀")) == []


def test_a_line_without_any_end_is_cut(units: Units) -> None:
    sentences = list(MandarinFrontend(units).sentences("9876543210" * 60))
    assert len(sentences) > 5
    assert all(len(s.symbols) <= MOST_SYMBOLS for s in sentences)


@settings(max_examples=62, deadline=None)
@given(WRITTEN)
def test_any_text_gives_symbols_the_voice_has(units: Units, text: str) -> None:
    for sentence in MandarinFrontend(units).sentences(text):
        rows, emotions, speakers = ids_from_sentence(sentence, units, (), ())
        assert len(rows) == len(emotions) == len(speakers) == len(sentence.symbols)
        assert 2 <= len(rows) <= MOST_SYMBOLS
        assert sentence.symbols[-1].units[0] == "#4"
        assert sentence.symbols[0].units[1] != "tone_none"


@settings(max_examples=40, deadline=None)
@given(WRITTEN)
def test_any_text_suits_a_voice_without_english_and_erhua(mandarin_units: Units, text: str) -> None:
    for sentence in MandarinFrontend(mandarin_units).sentences(text):
        ids_from_sentence(sentence, mandarin_units, (), ())


@settings(max_examples=40, deadline=None)
@given(WRITTEN)
def test_any_text_gives_bytes(byte_units: Units, text: str) -> None:
    for sentence in MandarinFrontend(byte_units).sentences(text):
        rows, _, _ = ids_from_sentence(sentence, byte_units, (), ())
        assert 0 < len(rows) <= MOST_SYMBOLS
        assert bytes(row[0] for row in rows).decode() == sentence.text


VOICES = (
    *("v1_plain16k", "v2_nsf16k_mvn", "v3_nsf24k_mvn", "v4_se_nsfglobal16k"),
    *("v5_fp8k", "v6_byte16k", "v7_plain48k"),
)
HOSTILE = st.text(
    alphabet=st.one_of(
        st.characters(),
        st.characters(categories=("Cs", "Cc", "Co", "Cn")),
        st.sampled_from("<>/&;[]()speakbrektim=\"'.:0123456789ms%$¥你好一不儿重行了得"),
    ),
    max_size=200,
)
OPENINGS = st.sampled_from(("", "", "<speak>", "[break 1s]", "[emotion happy]", "\U000f0000"))


@pytest.fixture(scope="module", params=VOICES)
def golden(request: pytest.FixtureRequest, golden_voice: Callable[[str], Path]) -> VoiceManifest:
    """What a reference voice is."""
    return manifest_from_directory(golden_voice(request.param))


@settings(max_examples=40, deadline=None)
@given(OPENINGS, HOSTILE)
def test_any_string_suits_every_golden_voice(
    golden: VoiceManifest, opening: str, text: str
) -> None:
    written = opening + text
    tagged = "<speak" in written or "[" in written
    with suppress(InputError) if tagged else nullcontext():
        for sentence in MandarinFrontend(golden.units, golden.language).sentences(written):
            rows, _, _ = ids_from_sentence(sentence, golden.units, (), ())
            assert 0 < len(rows) <= MOST_SYMBOLS


@settings(max_examples=40, deadline=None)
@given(st.lists(WRITTEN, max_size=5))
def test_pieces_do_not_matter(units: Units, pieces: list[str]) -> None:
    frontend, text = MandarinFrontend(units), "".join(pieces)
    whole = list(frontend.sentences(text, ssml=False))
    assert list(frontend.sentences(pieces, ssml=False)) == whole
    assert list(frontend.sentences(iter(text), ssml=False)) == whole


def test_readings_without_a_voice() -> None:
    (reading,) = MandarinFrontend().readings("你好，我们去玩儿。")
    assert [word.text for word in reading.words if word.syllables] == ["你好", "我们", "去", "玩儿"]
    assert [s for word in reading.words for s in word.syllables][-2:] == ["wan2", "r5"]
    assert [s for word in reading.spoken for s in word.syllables][-1] == "wanr2"
    assert reading.symbols == reading.warnings == ()


def test_readings_and_sentences_say_the_same(units: Units) -> None:
    frontend, text = MandarinFrontend(units), "我有3个。<&>《好》！" * 3 + "重[chong2]庆" * 50
    readings = [r for r in frontend.readings(text) if r.symbols]
    assert [(s.text, s.symbols) for s in frontend.sentences(text)] == [
        (r.written, r.symbols) for r in readings
    ]


def test_a_long_sentence_is_parted_and_written_slices_cover_it(units: Units) -> None:
    text = "在2024年的春天，" * 8 + "我们去公园"
    readings = list(MandarinFrontend(units).readings(text))
    assert len(readings) > 1
    assert "".join(reading.written for reading in readings) == text
    for reading in readings:
        assert len(reading.normalized.text) == len(reading.normalized.origins)
        assert all(
            0 <= o.start <= o.end <= len(reading.written) for o in reading.normalized.origins
        )
        assert reading.written.endswith(("，", "园"))


def test_a_number_that_is_said_in_two_breaths_is_written_in_one(units: Units) -> None:
    readings = list(MandarinFrontend(units, longest=12).readings("我们的电话号码是13812345678"))
    assert len(readings) > 1
    for reading in readings:
        assert all(o.end <= len(reading.written) for o in reading.normalized.origins)


def test_every_character_can_have_erhua(units: Units) -> None:
    last_of = {pinyin: character for character, pinyin in readings().characters.items()}
    text = "，".join(f"{character}儿" for character in last_of.values())
    assert len(list(MandarinFrontend(units).sentences(text))) > 50


def test_what_is_left_out_is_told_and_logged(
    units: Units, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = MandarinFrontend(units).readings("你好😀！かな。……")
    assert first.warnings == ("'😀' is not spoken",)
    assert "'かな' is left out" in second.warnings[0]
    assert not second.words
    caplog.clear()
    list(MandarinFrontend(units).sentences("你好😀！かな。"))
    assert [record.getMessage() for record in caplog.records] == list(second.warnings)


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        ("我かな好", ("'かな' is left out: there is no reading for it",)),
        ("我😀好", ("'😀' is not spoken",)),
        ("我 好，你|我", ()),
        ("1\ufe0f\u20e3开始", ()),
    ],
)
def test_what_is_left_out_between_words_is_told_too(
    units: Units, text: str, warnings: tuple[str, ...]
) -> None:
    (reading,) = MandarinFrontend(units).readings(text)
    assert reading.warnings == warnings


def test_warnings_do_not_depend_on_what_is_logged(units: Units) -> None:
    logging.disable()
    try:
        (reading,) = MandarinFrontend(units).readings("我かな好")
    finally:
        logging.disable(logging.NOTSET)
    assert reading.warnings == ("'かな' is left out: there is no reading for it",)


def test_a_warning_at_a_texts_end_comes_last(units: Units) -> None:
    said, end = MandarinFrontend(units).readings(["[emotion happy]你好。\n", "  "])
    assert said.words
    assert not said.warnings
    assert not end.words
    assert "never closed" in end.warnings[0]


def test_another_threads_warnings_are_its_own(units: Units) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def warned(text: str) -> set[tuple[str, ...]]:
        return {r.warnings for r in MandarinFrontend(units).readings(text * 40)}

    with ThreadPoolExecutor(2) as pool:
        quiet, loud = pool.map(warned, ("你好。", "かな。"))
    assert quiet == {()}
    assert len(loud) == 1


def test_marks_of_a_users_own_mean_nothing(units: Units) -> None:
    (sentence,) = MandarinFrontend(units).sentences("你\U000f0000好\U000ffffd")
    assert sentence == next(MandarinFrontend(units).sentences("你好"))


SPOKEN = (
    '<speak>一。<break time="2s"/><prosody rate="fast">二。三<break time="1s"/>四。'
    "</prosody>五。</speak>"
)


def test_manners_hold_across_sentences_and_pauses_lie_between(units: Units) -> None:
    sentences = list(MandarinFrontend(units).sentences(SPOKEN))
    assert [s.text for s in sentences] == ["一。", "二。", "三四。", "五。"]
    assert [s.pause for s in sentences] == [2.0, None, None, None]
    speeds = [s.symbols[0].manner.speed if s.symbols[0].manner else 1.0 for s in sentences]
    assert speeds[0] == speeds[3] == 1.0
    assert speeds[1] == speeds[2] > 1.0
    assert [symbol.seconds for symbol in sentences[2].symbols if symbol.seconds] == [1.0]


def test_a_manner_holds_in_every_part_of_a_long_sentence(units: Units) -> None:
    text = f'<speak><prosody volume="+6dB">{"好的，" * 60}</prosody></speak>'
    sentences = list(MandarinFrontend(units).sentences(text))
    assert len(sentences) > 1
    assert all(s.manner is not None and s.manner.volume > 1 for x in sentences for s in x.symbols)


@pytest.mark.parametrize("text", ["[break 2s]你好。", "\n[break 2s]\n你好。", "[break 2s]，你好。"])
def test_silence_before_the_first_word(units: Units, text: str) -> None:
    (sentence,) = MandarinFrontend(units).sentences(text)
    assert sentence.lead == 2.0
    assert sentence.symbols == next(MandarinFrontend(units).sentences("你好。")).symbols


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("[break 2s]😀\n你好。", (0.0, 2.0)),
        ("好。\n😀[break 3s]\n你好。", (0.0, 3.0)),
        ("好。\n。[break 3s]\n[break 4s]你好。", (0.0, 7.0)),
        ('<speak>好。<break time="2s"/>😀。<break time="3s"/>你好</speak>', (2.0, 3.0)),
    ],
)
def test_pauses_beside_what_is_not_said_are_kept(
    units: Units, text: str, seconds: tuple[float, float]
) -> None:
    *before, last = MandarinFrontend(units).sentences(text)
    assert sum(sentence.pause or 0.0 for sentence in before) == seconds[0]
    assert last.lead == seconds[1]


def test_pauses_in_one_place_last_a_minute_at_most(units: Units) -> None:
    frontend = MandarinFrontend(units)
    (sentence,) = frontend.sentences("[break 10s]\n" * 6 + "你好")
    assert sentence.lead == 60.0
    with pytest.raises(InputError, match="pauses of 70 seconds in one place: need 60 at most"):
        list(frontend.sentences("[break 10s]\n" * 7 + "你好"))


def test_a_byte_voice_follows_the_manner(byte_units: Units) -> None:
    (sentence,) = MandarinFrontend(byte_units).sentences("[emotion happy]好[/emotion]a")
    assert sentence.text == "好a"
    assert [s.manner.emotion if s.manner else None for s in sentence.symbols] == [
        *["happy"] * 3,
        None,
    ]


def test_ssml_in_pieces_and_off(units: Units) -> None:
    frontend = MandarinFrontend(units)
    assert list(frontend.sentences(iter(SPOKEN))) == list(frontend.sentences(SPOKEN))
    assert "prosody" in "".join(r.normalized.text for r in frontend.readings(SPOKEN, ssml=False))
    with pytest.raises(InputError):
        list(frontend.sentences("你好", ssml=True))


def test_breaks_and_english_are_the_requests(units: Units) -> None:
    frontend, text = MandarinFrontend(units), "我们的iPhone今天在公园里的长椅上充电呢"
    usual, plain, chinese = (
        [s.units[0] for sentence in sentences for s in sentence.symbols]
        for sentences in (
            frontend.sentences(text),
            frontend.sentences(text, breaks="words"),
            frontend.sentences(text, english="chinese"),
        )
    )
    assert "#2" in usual
    assert "#2" not in plain
    assert plain.count("#1") > usual.count("#1")
    assert "ay" in usual
    assert "ay" not in chinese
    readings = frontend.readings(text, breaks="words", english="chinese")
    assert not {"#2", "ay"} & {s.units[0] for r in readings for s in r.symbols}


def test_options_are_checked_before_anything_is_read(units: Units) -> None:
    with pytest.raises(InputError, match="breaks 'all'"):
        MandarinFrontend(units).sentences("好", breaks="all")
    with pytest.raises(TypeError, match="lexikon"):
        MandarinFrontend(units).readings("好", lexikon=None)  # type: ignore[call-arg]


def test_an_emotion_that_never_ends_is_told_with_its_sentence(units: Units) -> None:
    first, second = MandarinFrontend(units).readings("一。[emotion happy]二。")
    assert first.warnings == ()
    assert second.warnings[0].startswith("[emotion happy] is never closed")
    with pytest.raises(InputError, match="never closed"):
        list(MandarinFrontend(units).sentences("[emotion happy]二。", strict=True))


def test_reading_text_does_not_import_pypinyin() -> None:
    program = (
        "import sys\n"
        "from sambert_trt.runtime.text.normalize import normalize_text\n"
        "from sambert_trt.runtime.text.pronounce import words_from_text\n"
        "words = words_from_text(normalize_text('3本书'))\n"
        "print(*(syllable for word in words for syllable in word.syllables))\n"
        "print('pypinyin' in sys.modules)\n"
    )
    finished = subprocess.run(
        (sys.executable, "-c", program), capture_output=True, text=True, check=True
    )
    assert finished.stdout.split("\n")[:2] == ["san1 ben3 shu1", "False"]


def test_english_in_chinese_syllables_is_longer_and_cut_more_often() -> None:
    text = "他们一起说 international organization communication responsibility 这几个词。"
    frontend = MandarinFrontend(longest=20)
    counts = [len([*frontend.readings(text, english=way)]) for way in ("auto", "chinese")]
    assert counts[0] < counts[1]


def test_marks_of_a_long_text_keep_their_meaning(units: Units) -> None:
    pauses = "".join(f'<break time="{n}s"/>好' for n in (1, 2, 3)) * 23_000
    first = next(MandarinFrontend(units).sentences(f"<speak>{pauses}</speak>"))
    seconds = [first.lead, *(symbol.seconds for symbol in first.symbols if symbol.seconds)]
    assert seconds[:9] == [1.0, 2.0, 3.0] * 3


def test_what_is_no_text_is_refused(units: Units) -> None:
    pieces: Any = [b"abc"]
    with pytest.raises(InputError, match="a piece of the text is bytes: give str"):
        list(MandarinFrontend(units).sentences(pieces))


def test_a_line_without_end_takes_no_memory_beside_its_own() -> None:
    text = "今天天气真好我们一起去公园玩吧" * 40_000
    frontend = MandarinFrontend()
    next(frontend.readings(text[:200]))
    tracemalloc.start()
    try:
        readings = frontend.readings(text)
        for _ in range(20):
            next(readings)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < len(text) // 2
