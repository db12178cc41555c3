"""Every syllable of the table, and the spellings that lead to it."""

from __future__ import annotations

import pytest

from sambert_trt.engines.errors import InputError
from sambert_trt.runtime.text.phones import clean_pinyin, phones_from_syllable, syllable_table
from sambert_trt.runtime.text.readings import marked_pinyin, numbered_pinyin, readings


def test_the_table_has_661_syllables_of_known_phones(units: dict[str, tuple[str, ...]]) -> None:
    table = syllable_table()
    assert len(table) == 661
    assert {phone for phones in table.values() for phone in phones} <= set(units["sy"])


@pytest.mark.parametrize(
    ("pinyin", "phones", "tone"),
    [
        ("zhi1", ("zh_c", "ih_c"), "tone1"),
        ("zi5", ("z_c", "ii_c"), "tone5"),
        ("ri4", ("r_c", "ih_c"), "tone4"),
        ("liu2", ("l_c", "iou_c"), "tone2"),
        ("gui4", ("g_c", "uei_c"), "tone4"),
        ("lun2", ("l_c", "uen_c"), "tone2"),
        ("jue2", ("j_c", "ve_c"), "tone2"),
        ("yuan2", ("y_c", "van_c"), "tone2"),
        ("lü4", ("l_c", "v_c"), "tone4"),
        ("nu:3", ("n_c", "v_c"), "tone3"),
        ("lve4", ("l_c", "ve_c"), "tone4"),
        ("xi1", ("xx_c", "i_c"), "tone1"),
        ("an1", ("ga", "an_c"), "tone1"),
        ("er2", ("ge", "er_c"), "tone2"),
        ("ou3", ("go", "ou_c"), "tone3"),
        ("huar1", ("h_c", "uar_c"), "tone1"),
        ("shir4", ("sh_c", "ihr_c"), "tone4"),
        ("zir3", ("z_c", "iir_c"), "tone3"),
        ("huir4", ("h_c", "ueir_c"), "tone4"),
        ("zher4", ("zh_c", "er_c"), "tone4"),
        ("ng4", ("ge", "en_c"), "tone4"),
        ("hm5", ("h_c", "en_c"), "tone5"),
        ("ma6", ("m_c", "a_c"), "tone2"),
        ("ma35", ("m_c", "a_c"), "tone5"),
    ],
)
def test_syllables(pinyin: str, phones: tuple[str, str], tone: str) -> None:
    assert phones_from_syllable(pinyin) == (phones, tone)


def test_clean_up_rules() -> None:
    assert [clean_pinyin(p) for p in ("ma6", "ma35", "ng4", "NI3")] == ["ma2", "ma5", "en4", "ni3"]


@pytest.mark.parametrize("pinyin", ["blorp1", "ma", "ma0", "ma7", "", "3"])
def test_what_is_no_syllable_is_named(pinyin: str) -> None:
    with pytest.raises(InputError, match=f"'{pinyin}'"):
        phones_from_syllable(pinyin)


def test_every_dictionary_reading_has_phones_and_survives_its_tone_mark() -> None:
    table = readings()
    spelled = set(table.characters.values())
    spelled.update(s for listed in table.phrases.values() for s in listed.split())
    assert len(spelled) > 1300
    for syllable in spelled:
        phones_from_syllable(syllable)
        assert numbered_pinyin(marked_pinyin(syllable)) == syllable


def test_the_dictionaries_are_those_of_pypinyin() -> None:
    pypinyin = pytest.importorskip("pypinyin")
    table = readings()
    for word in ("重庆", "银行", "音乐", "长城", "一心一意"):
        expected = pypinyin.lazy_pinyin(
            word, style=pypinyin.Style.TONE3, neutral_tone_with_five=True
        )
        assert table.phrases[word].split() == expected
    for character in "中国人女略我们的欸嗯":
        (expected,) = pypinyin.lazy_pinyin(
            character, style=pypinyin.Style.TONE3, neutral_tone_with_five=True
        )
        assert phones_from_syllable(table.characters[character]) == phones_from_syllable(expected)
