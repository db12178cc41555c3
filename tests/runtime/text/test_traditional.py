"""Traditional characters: what they are in simplified ones, and that they are read like these."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sambert_trt.runtime.text import MandarinFrontend, UserLexicon
from sambert_trt.runtime.text.readings import readings
from sambert_trt.runtime.text.traditional import simplified


def spoken(text: str, **options: UserLexicon) -> str:
    """What is heard of one sentence."""
    (reading,) = MandarinFrontend().readings(text, **options)
    return " ".join(syllable for word in reading.spoken for syllable in word.syllables)


@pytest.mark.parametrize(
    ("traditional", "plain"),
    [
        ("我們在臺灣的銀行工作", "我们在台湾的银行工作"),
        ("看著書", "看着书"),
        ("睡著了", "睡着了"),
        ("著名學者的著作", "著名学者的著作"),
        ("乾隆皇帝吃餅乾", "乾隆皇帝吃饼干"),
        ("我很瞭解瞭望臺", "我很了解瞭望台"),
        ("一片狼藉，藉此機會", "一片狼藉，借此机会"),
        ("頭髮很髒", "头发很脏"),
        ("他的髮", "他的髮"),
        ("哪吒鬧海", "哪吒闹海"),
    ],
)
def test_characters_are_simplified_where_words_say_so(traditional: str, plain: str) -> None:
    assert simplified(traditional) == plain


@pytest.mark.parametrize("text", ["著名的乾隆年间", "土著", "慰藉", "瞭望", "abc", "", "龘"])
def test_simplified_texts_stay_as_they_are(text: str) -> None:
    assert simplified(text) == text


def test_words_of_simplified_texts_keep_their_reading() -> None:
    phrases = readings().phrases
    shared = [word for word in phrases if set("乾著徵瞭藉") & set(word)]
    changed = {word: simplified(word) for word in shared if simplified(word) != word}
    assert len(changed) < len(shared) / 10
    other = {w for w, plain in changed.items() if phrases.get(plain, phrases[w]) != phrases[w]}
    assert other == {"应徵", "沉著痛快"}


@pytest.mark.parametrize(
    ("traditional", "plain"),
    [
        ("重慶的銀行還有音樂會", "重庆的银行还有音乐会"),
        ("頭髮長了，睡覺覺得舒服", "头发长了，睡觉觉得舒服"),
        ("我們去玩兒一會兒", "我们去玩儿一会儿"),
        ("因為這個東西很長", "因为这个东西很长"),
        ("他在屋子裡彈琴，後來處理了麵條", "他在屋子里弹琴，后来处理了面条"),
        ("會議在下午3點開始，5萬個", "会议在下午3点开始，5万个"),
    ],
)
def test_both_ways_of_writing_are_read_alike(traditional: str, plain: str) -> None:
    assert spoken(traditional) == spoken(plain)


def test_words_are_shown_as_they_were_written() -> None:
    (reading,) = MandarinFrontend().readings("重慶的銀行")
    assert [word.text for word in reading.words] == ["重慶", "的", "銀行"]


def test_one_of_many_traditional_forms_keeps_its_own_reading() -> None:
    assert spoken("三隻") == "san1 zhi1"
    assert spoken("他的髮") == "ta1 de5 fa4"


@pytest.mark.parametrize("word", ["銀行", "银行"])
@pytest.mark.parametrize("text", ["銀行", "银行"])
def test_a_users_word_is_found_in_both(word: str, text: str) -> None:
    own = UserLexicon.from_mapping({word: "yin1 hang1"})
    assert spoken(text, lexicon=own) == "yin1 hang1"


def test_a_reading_in_brackets_stands() -> None:
    assert spoken("我在重[zhong4]慶") == "wo3 zai4 zhong4 qing4"


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="乾著徵瞭藉吒髮隻髒彆縴僕籲噁鬨重慶頭发好a，1", max_size=20))
def test_any_text_keeps_its_length_and_can_be_read(text: str) -> None:
    plain = simplified(text)
    assert len(plain) == len(text)
    assert all(c in readings().characters for c in plain if c > "\u3400" and c < "\ua000")
