"""A user's own readings: files, mappings, merging, errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from sambert_trt.engines.errors import InputError
from sambert_trt.runtime.text.user_lexicon import Entry, UserLexicon, merge_lexicons


def written(folder: Path, text: str) -> Path:
    """A lexicon file."""
    path = folder / "words.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "\ufeff# names\n重庆\tchong2 qing4\n\n乐山  lè shān # tone marks\n绿岛 lü4 dao3\n"
        "玩儿 wanr2\n花儿 hua1 r5\nGPU ji4 pi4 you1\nSQL sequel\n了 ·le\n",
    )
    assert UserLexicon.from_file(path).entries() == {
        "重庆": Entry(("chong2", "qing4")),
        "乐山": Entry(("le4", "shan1")),
        "绿岛": Entry(("lv4", "dao3")),
        "玩儿": Entry(("wan2", "r5")),
        "花儿": Entry(("hua1", "r5")),
        "GPU": Entry(("ji4", "pi4", "you1")),
        "SQL": Entry(letters=("sequel",)),
        "了": Entry(("le5",)),
    }


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("重庆", "has no reading"),
        ("重庆 chong2", "2 characters but 1 syllables"),
        ("重 chong2 qing4", "1 characters but 2 syllables"),
        ("重庆 chong qing", "'chong'"),
        ("重庆 chong2 qong4", "'qong4'"),
        ("重庆 chong9 qing4", "'chong9'"),
        ("A1 a1", "signs that are neither Chinese characters nor Latin letters"),
        ("卡拉-OK ka3 la1 OK", "signs that are neither"),
        ("卡拉OK ka3 OK", "'OK', read for 卡拉, is no pinyin syllable with a tone"),
        ("卡拉OK ka3 la1", "OK has no reading"),
        ("T恤 T", "T has no reading"),
        ("阿Q a1 qiu1 qiu", "'qiu'"),
        ("A和B A he2", "B has no reading"),
        ("儿 r5", "'r5'"),
        ("GPU ji4 pi", "'pi'"),
        ("一" * 40 + " yi1", "longer than 32"),
    ],
)
def test_a_wrong_line_is_named_with_its_reason(tmp_path: Path, line: str, reason: str) -> None:
    path = written(tmp_path, f"# one\n{line}\n好 hao3\n")
    with pytest.raises(InputError) as error:
        UserLexicon.from_file(path)
    assert "line 2: " in str(error.value)
    assert reason in str(error.value)
    assert str(path) in str(error.value)


def test_a_word_may_mix_chinese_characters_and_latin_letters() -> None:
    lexicon = UserLexicon.from_mapping(
        {
            "卡拉OK": "ka3 la1 O K",
            "T恤": "ti4 xu4",
            "维生素C": "wéi shēng sù C",
            "A和B": "A he2 B",
        }
    )
    assert lexicon.entries() == {
        "卡拉OK": Entry(runs=(Entry(("ka3", "la1")), Entry(letters=("O", "K")))),
        "T恤": Entry(runs=(Entry(("ti4",)), Entry(("xu4",)))),
        "维生素C": Entry(runs=(Entry(("wei2", "sheng1", "su4")), Entry(letters=("C",)))),
        "A和B": Entry(
            runs=(Entry(letters=("A",)), Entry(("he2",)), Entry(letters=("B",))),
        ),
    }


def test_runs_are_found_in_a_text_whatever_their_case() -> None:
    lexicon = UserLexicon.from_mapping(
        {"卡拉OK": "ka3 la1 OK", "T恤": "ti4 xu4", "T恤衫": "T xu4 shan1"}
    )
    assert lexicon.runs("去卡拉ok") == {
        (1, 3): Entry(("ka3", "la1")),
        (3, 5): Entry(letters=("OK",)),
    }
    assert lexicon.runs("T恤衫") == {
        (0, 1): Entry(letters=("T",)),
        (1, 3): Entry(("xu4", "shan1")),
    }
    assert lexicon.runs("卡拉OKs，NET恤，OK") == {}


def test_all_wrong_lines_are_one_error_that_lists_ten(tmp_path: Path) -> None:
    path = written(tmp_path, "重庆\n" * 13)
    with pytest.raises(InputError) as error:
        UserLexicon.from_file(path)
    assert "has 13 wrong lines" in str(error.value)
    assert "line 10:" in str(error.value)
    assert "line 11:" not in str(error.value)
    assert "and 3 more" in str(error.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        UserLexicon.from_file(tmp_path / "none.txt")
    path = tmp_path / "gbk.txt"
    path.write_bytes("重庆 chong2 qing4".encode("gbk"))
    with pytest.raises(InputError, match="not UTF-8"):
        UserLexicon.from_file(path)


def test_a_wrong_entry_of_a_mapping_is_counted() -> None:
    with pytest.raises(InputError, match="entry 2: 庆 has 1 characters"):
        UserLexicon.from_mapping({"重": "chong2", "庆": "qing4 qing4"})


def test_the_later_lexicon_wins() -> None:
    first = UserLexicon.from_mapping({"重": "chong2", "行": "hang2"})
    second = UserLexicon.from_mapping({"重": "zhong4"})
    merged = merge_lexicons([first, second])
    assert (len(merged), "行" in merged) == (2, True)
    assert merged.entry("重") == Entry(("zhong4",))
    assert first.entry("重") == Entry(("chong2",))


def test_the_longest_word_is_found() -> None:
    lexicon = UserLexicon.from_mapping({"重": "chong2", "重庆市": "chong2 qing4 shi4"})
    assert lexicon.longest_match("去重庆市", 1) == "重庆市"
    assert lexicon.longest_match("去重庆", 1) == "重"
    assert lexicon.longest_match("去", 0) == ""


def test_latin_words_are_found_whatever_their_case() -> None:
    lexicon = UserLexicon.from_mapping({"GPU": "ji4 pi4 you1", "us": "you1 si5", "US": "mei3"})
    assert lexicon.entry("gpu") == lexicon.entry("Gpu") == Entry(("ji4", "pi4", "you1"))
    assert lexicon.entry("us") == Entry(("you1", "si5"))
    assert lexicon.entry("US") == Entry(("mei3",))
    assert lexicon.entry("BUS") is None
