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
        ("卡拉OK ka3 la1 ou1 kei1", "neither Chinese characters alone"),
        ("A1 a1", "neither Chinese characters alone"),
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
