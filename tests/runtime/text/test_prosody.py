"""Words to symbols."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sambert_trt.runtime.text.letters import LETTERS, letter_phones, speaks_letters
from sambert_trt.runtime.text.marks import Boundary, Manner, Mark, Marks, Pause
from sambert_trt.runtime.text.options import Breaks, English
from sambert_trt.runtime.text.pronounce import words_from_text
from sambert_trt.runtime.text.prosody import phone_count, symbols_from_words
from sambert_trt.runtime.text.reading import Kind, Word
from sambert_trt.runtime.text.sentence import Symbol

SYLLABLES = ("ni3", "hao3", "de5", "er2", "an1", "huar1", "zhi1", "lve4", "le5", "xing2")


def hanzi(*pinyin: str, text: str = "") -> Word:
    """A Chinese word with these syllables."""
    return Word(text or "字" * len(pinyin), Kind.HANZI, pinyin)


def lines(words: Sequence[Word], breaks: Breaks = Breaks.PHRASES) -> list[str]:
    """The units of each symbol, joined."""
    return ["$".join(symbol.units) for symbol in symbols_from_words(words, breaks=breaks)]


def levels(words: Sequence[Word], breaks: Breaks = Breaks.PHRASES) -> str:
    """Words as numbers of syllables, and the breaks after them: `2#1 3#4`."""
    written, count = "", 0
    for symbol in symbols_from_words(words, breaks=breaks):
        name, _, flag, _ = symbol.units
        count += flag in ("s_end", "s_both")
        if name.startswith("#"):
            written, count = f"{written} {count}{name}", 0
    return written.strip()


def of(length: int, text: str = "") -> Word:
    """A Chinese word of some syllables."""
    return hanzi(*["hao3"] * length, text=text)


def marked(*parts: Word | Mark) -> tuple[Symbol, ...]:
    """The symbols of words with marks between them."""
    marks = Marks()
    words = [part if isinstance(part, Word) else Word(marks.add(part), Kind.MARK) for part in parts]
    return symbols_from_words(words, marks=marks)


COMMA, LISTED, STOP = (Word(mark, Kind.PAUSE) for mark in "，、。")


def test_a_word_and_its_breaks() -> None:
    assert lines([hanzi("bei3", "jing1"), COMMA, hanzi("hao3")]) == [
        "b_c$tone3$s_begin$word_begin",
        "ei_c$tone3$s_end$word_middle",
        "j_c$tone1$s_begin$word_middle",
        "ing_c$tone1$s_end$word_end",
        "#3$tone_none$s_none$word_none",
        "h_c$tone3$s_begin$word_begin",
        "ao_c$tone3$s_end$word_end",
        "#4$tone_none$s_none$word_none",
    ]


def test_a_published_line_of_the_closed_front_end_comes_out_alike() -> None:
    """科技的发展日新月异，我们要……: 的 is the end of its word, the rest are words of their own."""
    words = [
        *(hanzi("ke1", "ji4"), hanzi("de5"), hanzi("fa1", "zhan3")),
        *(hanzi("ri4", "xin1", "yue4", "yi4"), COMMA, hanzi("wo3", "men5"), hanzi("yao4")),
    ]
    assert levels(words) == "3#1 2#1 4#3 2#1 1#4"


def test_plain_breaks_are_words_and_pause_marks() -> None:
    words = [COMMA, of(2), hanzi("de5"), of(9), of(8), LISTED, of(1), COMMA, STOP]
    assert levels(words, Breaks.WORDS) == "2#1 1#1 9#1 8#3 1#4"
    assert "#2" in levels(words)


def test_a_neutral_word_leans_on_what_it_follows_directly() -> None:
    assert levels([of(2), hanzi("le5"), hanzi("ma5")]) == "4#4"
    assert levels([of(2), COMMA, hanzi("le5")]) == "2#3 1#4"
    assert levels([hanzi("le5"), of(2)]) == "1#1 2#4"


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ((2, 2, 3), "2#2 2#2 3#4"),
        ((2, 4, 2), "2#3 4#3 2#4"),
        ((5, 2), "5#3 2#4"),
    ],
)
def test_a_list_of_short_items_pauses_less(items: tuple[int, ...], expected: str) -> None:
    words = [word for length in items for word in (of(length), LISTED)]
    assert levels(words[:-1]) == expected


def test_the_stronger_of_two_pause_marks_stays() -> None:
    assert levels([of(2), LISTED, COMMA, of(2)]) == "2#3 2#4"


def test_phrases_are_parted_before_what_opens_one() -> None:
    words = [of(2), of(2), of(2), of(1, "和"), of(2), of(3), of(2)]
    assert levels(words) == "2#1 2#1 2#2 1#1 2#1 3#1 2#4"


def test_a_phrase_neither_ends_with_a_preposition_nor_is_a_short_one_parted() -> None:
    assert levels([of(2), of(3), of(1, "把"), of(4), of(2)]) == "2#1 3#2 1#1 4#1 2#4"
    assert "#2" not in levels([of(2), of(2), of(1, "和"), of(3)])


def test_a_breath_is_never_much_longer_than_twenty_syllables() -> None:
    written = levels([of(2)] * 60)
    breaths = [part.count("#") for part in written.split("#3")]
    assert max(breaths) <= 10
    assert "#3" not in levels([of(2)] * 10)


def test_style_is_left_open() -> None:
    symbols = symbols_from_words([of(1)])
    assert {(s.emotion, s.speaker, s.manner, s.seconds) for s in symbols} == {(None,) * 4}


def test_manners_reach_all_that_follows_them() -> None:
    slow = Manner(speed=0.5)
    symbols = marked(of(1), slow, hanzi("de5"), COMMA, Manner(), of(1))
    assert [symbol.manner for symbol in symbols] == [None] * 3 + [slow] * 3 + [None] * 3


def test_a_pause_wins_over_what_is_written_and_a_boundary_means_nothing() -> None:
    symbols = marked(of(1), COMMA, Pause("#2", 0.7), COMMA, of(1), Boundary(1.0), of(1), Pause())
    breaks = [(s.units[0], s.seconds) for s in symbols if s.units[0].startswith("#")]
    assert breaks == [("#2", 0.7), ("#1", None), ("#4", None)]


def test_a_pause_keeps_its_length_at_the_end_and_is_named_where_it_has_no_place(
    caplog: pytest.LogCaptureFixture,
) -> None:
    symbols = marked(Pause(seconds=1.5), of(1), Pause(seconds=2.0))
    assert (symbols[-1].units[0], symbols[-1].seconds) == ("#4", 2.0)
    assert "1.5 s before the first word" in caplog.text


def test_marks_change_no_phones() -> None:
    words = words_from_text("我们的祖国是花园，花园的花朵真鲜艳。")
    marks = Marks()
    between = [Word(marks.add(m), Kind.MARK) for m in (Manner(speed=2), Pause("#3"), Boundary())]
    mixed = [part for word in words for part in (*between, word)]
    assert _phones(symbols_from_words(mixed, marks=marks)) == _phones(symbols_from_words(words))
    assert symbols_from_words(mixed) == symbols_from_words(words)


def test_a_break_the_voice_lacks_is_a_weaker_one() -> None:
    words = [of(9), of(9), COMMA, of(2)]
    had = {*("h_c", "ao_c"), "#1", "#3", "#4"}
    names = [symbol.units[0] for symbol in symbols_from_words(words, had)]
    assert [name for name in names if name.startswith("#")] == ["#1", "#3", "#4"]


def test_letters_are_spelled() -> None:
    assert lines([Word("AW", Kind.LATIN)]) == [
        "ey$tone1$s_both$word_begin",
        "d$tone1$s_begin$word_middle",
        "ah$tone1$s_end$word_middle",
        "b$tone0$s_begin$word_middle",
        "ah$tone0$s_middle$word_middle",
        "l$tone0$s_end$word_middle",
        "y$tone0$s_begin$word_middle",
        "uw$tone0$s_end$word_end",
        "#4$tone_none$s_none$word_none",
    ]
    assert lines([Word("e", Kind.LATIN)])[0] == "iy$tone1$s_both$word_both"


def test_every_letter_has_a_name_the_stock_voice_can_say(
    units: dict[str, tuple[str, ...]],
) -> None:
    assert "".join(sorted(LETTERS)) == "abcdefghijklmnopqrstuvwxyz"
    for letter in LETTERS:
        for phones, tone in letter_phones(letter):
            assert set(phones) <= set(units["sy"])
            assert tone in units["tone"]
    assert speaks_letters(units["sy"])


def test_a_latin_word_with_syllables_of_its_own_is_said_so() -> None:
    assert lines([Word("GPU", Kind.LATIN, ("ji4",))])[0] == "j_c$tone4$s_begin$word_begin"


def test_latin_words_with_chinese_syllables_where_that_is_asked_for(
    units: dict[str, tuple[str, ...]], caplog: pytest.LogCaptureFixture
) -> None:
    words = [Word("iPhone", Kind.LATIN), Word("blorf", Kind.LATIN)]
    symbols = symbols_from_words(words, units["sy"], english=English.CHINESE)
    assert {s.units[0] for s in symbols if not s.units[0].endswith("_c")} <= {
        "#1",
        "#4",
        "ga",
        "ge",
        "go",
    }
    assert [s.units[0] for s in symbols][:4] == ["ga", "ai_c", "f_c", "eng_c"]
    assert caplog.messages == []
    assert phone_count(words[0], units["sy"], English.CHINESE) == 4
    assert phone_count(words[0], units["sy"]) == len(("ay", "f", "ow", "n"))
    assert symbols != symbols_from_words(words, units["sy"])


def test_without_english_phones_latin_words_are_said_in_chinese_with_one_warning(
    mandarin_units: dict[str, tuple[str, ...]], caplog: pytest.LogCaptureFixture
) -> None:
    words = [hanzi("hao3"), Word("GB", Kind.LATIN), Word("OK", Kind.LATIN)]
    symbols = symbols_from_words(words, mandarin_units["sy"])
    assert [s.units[0] for s in symbols if s.units[0][0] != "#"] == [
        *("h_c", "ao_c", "j_c", "i_c", "b_c", "i_c", "go", "ou_c", "k_c", "ei_c"),
    ]
    (record,) = caplog.records
    assert "'GB', 'OK'" in record.getMessage()


def test_guessed_words_are_named_once(caplog: pytest.LogCaptureFixture) -> None:
    symbols_from_words([Word(word, Kind.LATIN) for word in ("blorp", "blorp", "hello", "frint")])
    (record,) = caplog.records
    assert "'blorp', 'frint'" in record.getMessage()


@pytest.mark.parametrize("text", ["", "，。！"])
def test_nothing_to_say_gives_nothing(text: str) -> None:
    assert symbols_from_words([Word(mark, Kind.PAUSE) for mark in text]) == ()


WORDS = st.one_of(
    st.lists(st.sampled_from(SYLLABLES), min_size=1, max_size=5).map(lambda s: hanzi(*s)),
    st.sampled_from("的和把时候在了是").map(lambda text: hanzi("de5", text=text)),
    st.sampled_from("，、；：。！？…—").map(lambda mark: Word(mark, Kind.PAUSE)),
    st.text("abcdeghimnoqrstuwxyzABCDWX", min_size=1, max_size=9).map(
        lambda text: Word(text, Kind.LATIN)
    ),
    st.sampled_from(
        (Manner(), Manner(speed=2.0), Pause(), Pause("#1"), Pause("#4", 0.3), Boundary())
    ),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(WORDS, max_size=40), st.sampled_from(Breaks), st.booleans())
def test_any_words_make_a_sentence(
    units: dict[str, tuple[str, ...]],
    mandarin_units: dict[str, tuple[str, ...]],
    parts: list[Word | Mark],
    breaks: Breaks,
    english: bool,
) -> None:
    had = units if english else mandarin_units
    marks = Marks()
    words = [p if isinstance(p, Word) else Word(marks.add(p), Kind.MARK) for p in parts]
    symbols = symbols_from_words(words, had["sy"], marks=marks, breaks=breaks)
    rows = [symbol.units for symbol in symbols]
    fields = ("sy", "tone", "syllable_flag", "word_segment")
    lacking = () if english else ("uar_c",)
    assert all(
        name in had[field] or name in lacking
        for row in rows
        for field, name in zip(fields, row, strict=True)
    )
    spoken = any(word.kind in (Kind.HANZI, Kind.LATIN) for word in words)
    assert spoken == bool(rows)
    _assert_breaks([row[0] for row in rows])
    _assert_word_places(rows)


def _assert_breaks(names: list[str]) -> None:
    """No break is first or follows another, and the last symbol is one."""
    places = [i for i, name in enumerate(names) if name.startswith("#")]
    assert 0 not in places
    assert all(after - before > 1 for before, after in pairwise(places))
    assert not names or names[-1] == "#4"


def _assert_word_places(rows: list[tuple[str, ...]]) -> None:
    """Between breaks stands one word, its first and last phone marked."""
    places: list[str] = []
    for name, _, _, place in rows:
        if not name.startswith("#"):
            places.append(place.removeprefix("word_"))
            continue
        middle = ["middle"] * (len(places) - 2)
        assert places == (["both"] if len(places) == 1 else ["begin", *middle, "end"])
        places = []


def _phones(symbols: Sequence[Symbol]) -> list[tuple[str, str]]:
    return [(s.units[0], s.units[1]) for s in symbols if not s.units[0].startswith("#")]
