"""pypinyin's dictionaries, read straight from its data files.

Importing pypinyin costs 54 MB and 0.4 s, most of it lists that hold one syllable each; the same
facts as plain strings cost about 17 MB. Nothing is read before the first call.
"""

from __future__ import annotations

import importlib.util
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sambert_trt.engines.errors import InputError

__all__ = ["HANZI", "Readings", "is_hanzi", "marked_pinyin", "numbered_pinyin", "readings"]

HANZI = "[〇\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U000323af]"
"""The Chinese characters as a class of a regular expression."""

_HANZI = re.compile(HANZI)
_TONES = {"\u0304": "1", "\u0301": "2", "\u030c": "3", "\u0300": "4"}
_MARKS = {digit: mark for mark, digit in _TONES.items()}
_ENTRY_END = re.compile(r"\]\s*\]")
_BLOCK = 200_000


@dataclass(frozen=True)
class Readings:
    """First readings as numbered pinyin: of single characters, and of phrases (blank between)."""

    characters: Mapping[str, str]
    phrases: Mapping[str, str]


def numbered_pinyin(marked: str) -> str:
    """A syllable with its tone mark as letters and digit: `chóng` -> `chong2`, `lü` -> `lv5`."""
    letters: list[str] = []
    tone = "5"
    for character in unicodedata.normalize("NFD", marked):
        if character in _TONES:
            tone = _TONES[character]
        elif character == "\u0308":
            letters[-1:] = ["v"]
        elif character.isascii():
            letters.append(character)
    return "".join(letters) + tone


def marked_pinyin(numbered: str) -> str:
    """The inverse, without digits: `chong2` -> `chóng`, `lv5` -> `lü`."""
    letters, mark = numbered[:-1].replace("u:", "v"), _MARKS.get(numbered[-1], "")
    seat = next((letters.find(v) for v in ("a", "o", "e") if v in letters), -1)
    if seat < 0:
        seat = max(letters.rfind(v) for v in "iuv")
    if seat < 0:
        seat = max(letters.rfind(v) for v in "nm")
    marked = letters[: seat + 1] + mark + letters[seat + 1 :]
    return unicodedata.normalize("NFC", marked.replace("v", "u\u0308"))


def is_hanzi(character: str) -> bool:
    """Whether the character is a Chinese one (a reading may still be unknown)."""
    return _HANZI.fullmatch(character) is not None


@lru_cache(maxsize=1)
def readings() -> Readings:
    """Both dictionaries, read once (about 0.2 s).

    Raises:
        InputError: pypinyin is not installed, or keeps its data elsewhere.
    """
    folder = _data_folder()
    spelled: dict[str, str] = {}
    return Readings(
        characters=_characters(folder / "pinyin_dict.json", spelled),
        phrases=_phrases(folder / "phrases_dict.json", spelled),
    )


def _data_folder() -> Path:
    found = importlib.util.find_spec("pypinyin")
    folders = [Path(p) for p in (found and found.submodule_search_locations) or ()]
    for folder in folders:
        if (folder / "phrases_dict.json").is_file() and (folder / "pinyin_dict.json").is_file():
            return folder
    raise InputError(
        "reading Chinese text needs pypinyin's dictionaries, which are not there "
        f"(looked in {[str(f) for f in folders]}): pip install 'pypinyin>=0.53'"
    )


def _characters(path: Path, spelled: dict[str, str]) -> dict[str, str]:
    entries = json.loads(path.read_text(encoding="utf-8"))
    return {
        chr(int(code)): _numbered(listed.split(",")[0], spelled) for code, listed in entries.items()
    }


def _phrases(path: Path, spelled: dict[str, str]) -> dict[str, str]:
    """The file's entries, block by block: as lists of lists they would take 50 MB."""
    text = path.read_text(encoding="utf-8")
    phrases: dict[str, str] = {}
    start = 0
    while start < len(text):
        last = _ENTRY_END.search(text, start + _BLOCK)
        end = last.end() if last else len(text)
        phrases.update(_block_phrases(text[start:end].split('"'), spelled))
        start = end
    return phrases


def _block_phrases(quoted: list[str], spelled: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Phrases and their first readings out of `"word": [["a", "b"], ["c"]], ...` cut at quotes."""
    word, syllables = "", list[str]()
    for i in range(1, len(quoted), 2):
        if ":" in quoted[i + 1]:
            if word:
                yield word, " ".join(syllables)
            word, syllables = quoted[i], []
        elif "[" in quoted[i - 1]:
            syllables.append(_numbered(quoted[i], spelled))
    if word:
        yield word, " ".join(syllables)


def _numbered(marked: str, spelled: dict[str, str]) -> str:
    if marked not in spelled:
        spelled[marked] = numbered_pinyin(marked)
    return spelled[marked]
