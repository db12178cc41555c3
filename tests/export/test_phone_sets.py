"""The id tables, against the row counts of the models and the ids of the reference voices."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sambert_trt.engines.errors import SourceError
from sambert_trt.export.config import Vocabulary
from sambert_trt.export.phone_sets import (
    PHONE_SETS,
    known_language,
    phone_set_from_directory,
    unit_lists_from_directory,
    vocabulary,
    vocabulary_from_lists,
)
from sambert_trt.export.settings import sambert_config_from_file
from sambert_trt.export.source import voice_sources_from_path

VOICES = (
    "v1_plain16k",
    "v2_nsf16k_mvn",
    "v3_nsf24k_mvn",
    "v4_se_nsfglobal16k",
    "v5_fp8k",
    "v6_byte16k",
    "v7_plain48k",
)


def test_row_counts_of_a_mandarin_voice() -> None:
    terms = vocabulary("PinYin", ("F7", "M7"))
    rows = {name: len(names) for name, names in terms.units.items()}
    assert rows == {"sy": 147, "tone": 10, "syllable_flag": 8, "word_segment": 8}
    assert len(terms.emotions) == 36
    assert terms.speakers == ("F7", "M7", "_", "~", "[MASK]")


@pytest.mark.parametrize(
    ("language", "phones", "tones"),
    [("PinYin", 140, 7), ("Sichuan", 109, 7), ("WuuShanghai", 150, 10), ("ZhHK", 100, 11)],
)
def test_inventories_have_the_sizes_of_their_language(
    language: str, phones: int, tones: int
) -> None:
    table = PHONE_SETS[language]
    assert (len(table.phones), len(table.tones)) == (phones, tones)
    assert len(set(table.phones)) == phones


@pytest.mark.parametrize(
    ("phone", "number"),
    [
        ("a_c", 0),
        ("w_c", 60),
        ("ga", 62),
        ("aa", 65),
        ("zh", 103),
        ("air_c", 104),
        ("vr_c", 138),
        ("pau", 139),
        ("#1", 140),
        ("#4", 143),
        ("_", 144),
        ("~", 145),
        ("[MASK]", 146),
    ],
)
def test_mandarin_phone_ids(phone: str, number: int) -> None:
    assert vocabulary("PinYin", ("F7",)).units["sy"].index(phone) == number


def test_tone_flag_and_emotion_ids() -> None:
    terms = vocabulary("PinYin", ("F7",))
    tones = ("tone1", "tone_none", "tone4", "tone2", "tone3", "tone5", "tone0")
    assert terms.units["tone"] == (*tones, "_", "~", "[MASK]")
    assert vocabulary("ZhHK", ("F7",)).units["tone"][10:] == ("tone_none", "_", "~", "[MASK]")
    assert vocabulary("WuuShanghai", ("F7",)).units["tone"][9] == "tone_none"
    assert terms.units["syllable_flag"][2] == "s_none"
    assert terms.units["word_segment"][3] == "word_both"
    assert terms.emotions[23] == "emotion_dominance"
    assert terms.emotions[24] == "emotion_placeholder1"
    assert terms.emotions[33:] == ("_", "~", "[MASK]")


@pytest.mark.parametrize("language", PHONE_SETS)
def test_without_mask_every_table_is_one_smaller(language: str) -> None:
    whole, less = vocabulary(language, ("F7",)), vocabulary(language, ("F7",), has_mask=False)
    for name, names in whole.units.items():
        assert less.units[name] == names[:-1]
    assert less.emotions == whole.emotions[:-1]
    assert less.speakers == whole.speakers[:-1]


def test_the_byte_table_never_shrinks() -> None:
    terms = vocabulary("PinYin", ("F7",), has_mask=False, using_byte=True)
    assert list(terms.units) == ["byte_index"]
    assert terms.units["byte_index"][255:] == ("255", "_", "~", "[MASK]")
    assert terms.speakers == ("F7", "_", "~")


@pytest.mark.parametrize("voice", VOICES)
def test_ids_of_the_reference_voices(shared: Path, voice: str) -> None:
    folder = shared / "golden" / voice
    _, terms = sambert_config_from_file(voice_sources_from_path(folder)[0])
    expected = np.load(folder / "expected.npz")
    for case in json.loads((folder / "cases.json").read_text(encoding="utf-8"))["cases"]:
        wanted = expected[f"{case['id']}/ids_with_eos"]
        assert np.array_equal(ids(case["symbols"], terms)[: len(wanted)], wanted), case["id"]


def ids(line: str, terms: Vocabulary) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    tables = [*terms.units.values(), terms.emotions, terms.speakers]
    rows = [symbol.strip("{}").split("$") for symbol in line.split(" ")]
    rows.append(["~"] * len(tables))
    return np.array(
        [[table.index(row[i]) for row in rows] for i, table in enumerate(tables)], dtype=np.int32
    )


@pytest.mark.parametrize(
    ("name", "language"),
    [("pinyin", "PinYin"), ("WuuShangHai", "WuuShanghai"), ("zh-cn", "PinYin"), ("Korean", None)],
)
def test_languages_are_known_by_several_names(name: str, language: str | None) -> None:
    assert known_language(name) == language


def test_an_unknown_language_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SourceError, match=r"PinYin, Sichuan, WuuShanghai, ZhHK.*--language"):
        vocabulary("Korean", ("kyong",))


def test_a_speaker_listed_twice_is_refused() -> None:
    with pytest.raises(SourceError, match="speaker list names F7 more than once"):
        vocabulary("PinYin", ("F7", "M7", "F7"))


PHONES = """<?xml version="1.0" encoding="utf-8"?>
<phoneSet xmlns="http://example.org/tts">
  <phone><id>7</id><name>g</name><cv>consonant</cv></phone>
  <phone><id>3</id><name>a</name><cv>vowel</cv></phone>
  <phone><id>9</id><name>pau</name></phone>
</phoneSet>
"""


def dictionary(folder: Path, phones: str = PHONES, tones: str = "1\n\n2\n") -> Path:
    place = folder / "dict" / "Korean" / "phone"
    place.mkdir(parents=True)
    (place / "PhoneSet.xml").write_text(phones, encoding="utf-8")
    (place / "tonelist.txt").write_text(tones, encoding="utf-8")
    return folder / "dict"


def test_the_repositorys_own_tables_keep_file_order(tmp_path: Path) -> None:
    phone_set = phone_set_from_directory(dictionary(tmp_path), "korean")
    assert phone_set is not None
    assert phone_set.phones == ("g", "a", "pau")
    assert phone_set.tones == ("tone1", "tone_none", "tone2")
    terms = vocabulary("Korean", ("kyong",), phone_set=phone_set)
    assert terms.units["sy"] == ("g", "a", "pau", "#1", "#2", "#3", "#4", "_", "~", "[MASK]")


def test_a_repository_without_tables_has_none(tmp_path: Path) -> None:
    assert phone_set_from_directory(tmp_path / "dict", "Korean") is None


@pytest.mark.parametrize(
    ("phones", "sentence"),
    [
        ('<!DOCTYPE x [<!ENTITY a "aa">]><phoneSet><phone/></phoneSet>', "declares a document"),
        ("<phoneSet><phone>", "is not XML"),
        ("<phoneSet/>", "names no phones"),
        ("<phoneSet><phone><id>1</id></phone></phoneSet>", "without a name"),
    ],
)
def test_a_hostile_or_broken_phone_set_is_refused(
    tmp_path: Path, phones: str, sentence: str
) -> None:
    with pytest.raises(SourceError, match=sentence):
        phone_set_from_directory(dictionary(tmp_path, phones), "Korean")


def test_the_text_lists_of_2022(tmp_path: Path) -> None:
    names = {}
    fields = ("sy", "tone", "syllable_flag", "word_segment", "emo_category", "speaker_category")
    for field in fields:
        names[field] = f"{field}_dict.txt"
        (tmp_path / names[field]).write_text(f"{field}_a\n{field}_b\n", encoding="utf-8")
    lists = unit_lists_from_directory(tmp_path, names)
    assert lists is not None
    terms = vocabulary_from_lists("Korean", lists)
    assert terms.units["sy"] == ("sy_a", "sy_b", "_", "~", "[MASK]")
    assert terms.speakers == ("speaker_category_a", "speaker_category_b", "_", "~", "[MASK]")
    assert unit_lists_from_directory(tmp_path, {**names, "sy": "../sy_dict.txt"}) is None
    assert unit_lists_from_directory(tmp_path, {**names, "sy": "absent.txt"}) is None
