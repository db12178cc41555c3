"""A user's own readings of words, from files or mappings, which beat every dictionary.

One entry a line, UTF-8, `#` begins a comment:

    重庆    chong2 qing4
    乐山    lè shān
    玩儿    wan2 r5
    GPU     ji4 pi4 you1
    SQL     sequel

A Chinese word has a syllable for each character. A word of Latin letters has syllables, or Latin
words that are read in its place. Standard library only beside the pinyin table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sambert_trt.engines.errors import InputError

from .overrides import numbered_syllable
from .readings import HANZI

__all__ = ["Entry", "UserLexicon", "merge_lexicons"]

_CHINESE = re.compile(f"{HANZI}+")
_LATIN = re.compile(r"[A-Za-z]+")
_ERHUA = re.compile(r"(.*[^e\W\d_].*)r([1-5])")
_MOST_ERRORS = 10
_LONGEST_WORD = 32


@dataclass(frozen=True)
class Entry:
    """How a word is read: `syllables` of numbered pinyin, or `letters`, Latin words instead."""

    syllables: tuple[str, ...] = ()
    letters: tuple[str, ...] = ()


class UserLexicon:
    """Words and their readings; immutable.

    Latin words are found as they are written, else whatever their case.
    """

    def __init__(self, words: Mapping[str, Entry] | None = None) -> None:
        self._words = dict(words or {})
        self._folded = {word.casefold(): entry for word, entry in self._words.items()}
        self._longest: dict[str, int] = {}
        for word in self._words:
            self._longest[word[0]] = max(len(word), self._longest.get(word[0], 0))

    @classmethod
    def from_file(cls, path: str | Path) -> UserLexicon:
        """Reads a lexicon file.

        Raises:
            InputError: the file cannot be read or is not UTF-8, or lines are wrong: the message
                names the file and for up to ten of them the line's number and the reason.
        """
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
        except OSError as error:
            raise InputError(
                f"the lexicon {path} cannot be read: {error.strerror or error}"
            ) from error
        except UnicodeDecodeError as error:
            raise InputError(
                f"the lexicon {path} is not UTF-8 (byte {error.start}); save it as UTF-8"
            ) from None
        return cls(_parsed(_numbered_lines(text), f"the lexicon {path}", "line"))

    @classmethod
    def from_mapping(cls, readings: Mapping[str, str]) -> UserLexicon:
        """Takes words and their readings: `{"重庆": "chong2 qing4"}`.

        Raises:
            InputError: entries are wrong: the message names up to ten of them and the reason.
        """
        lines = ((n, word, said) for n, (word, said) in enumerate(readings.items(), start=1))
        return cls(_parsed(lines, "the lexicon given", "entry"))

    def __len__(self) -> int:
        return len(self._words)

    def __contains__(self, word: str) -> bool:
        return self.entry(word) is not None

    def entries(self) -> Mapping[str, Entry]:
        """All words and their readings."""
        return dict(self._words)

    def entry(self, word: str) -> Entry | None:
        """The entry of a whole word, or None."""
        return self._words.get(word) or (
            self._folded.get(word.casefold()) if word.isascii() else None
        )

    def longest_match(self, text: str, start: int = 0) -> str:
        """The longest Chinese word of the lexicon that begins at an index; "" if there is none."""
        most = self._longest.get(text[start : start + 1], 0)
        for length in range(min(most, len(text) - start), 0, -1):
            if text[start : start + length] in self._words:
                return text[start : start + length]
        return ""

    def merged(self, later: UserLexicon) -> UserLexicon:
        """Both lexicons in one; where both know a word, the later wins."""
        return UserLexicon({**self._words, **later._words})


def merge_lexicons(lexicons: Iterable[UserLexicon]) -> UserLexicon:
    """All lexicons in one, the later before the earlier."""
    merged = UserLexicon()
    for later in lexicons:
        merged = merged.merged(later)
    return merged


def _numbered_lines(text: str) -> Iterator[tuple[int, str, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.partition("#")[0].strip()
        if content:
            word, *said = content.split(maxsplit=1)
            yield number, word, "".join(said)


def _parsed(lines: Iterable[tuple[int, str, str]], source: str, unit: str) -> dict[str, Entry]:
    words: dict[str, Entry] = {}
    wrong: list[str] = []
    for number, word, said in lines:
        entry = _entry(word, said.split())
        if isinstance(entry, Entry):
            words[word] = entry
        else:
            wrong.append(f"{unit} {number}: {entry}")
    if wrong:
        more = f"; and {len(wrong) - _MOST_ERRORS} more" if len(wrong) > _MOST_ERRORS else ""
        raise InputError(
            f"{source} has {len(wrong)} wrong {unit if len(wrong) == 1 else _plural(unit)}: "
            f"{'; '.join(wrong[:_MOST_ERRORS])}{more}"
        )
    return words


def _plural(unit: str) -> str:
    return "entries" if unit == "entry" else f"{unit}s"


def _entry(word: str, said: list[str]) -> Entry | str:
    """The reading of a word, or what is wrong with it."""
    if len(word) > _LONGEST_WORD:
        return f"{word[:8]}… is longer than {_LONGEST_WORD} characters"
    if not said:
        return f"{word} has no reading; write it as `重庆 chong2 qing4`"
    if _LATIN.fullmatch(word):
        return _latin_entry(word, said)
    if not _CHINESE.fullmatch(word):
        return f"{word!r} is neither Chinese characters alone nor Latin letters alone"
    return _chinese_entry(word, said)


def _latin_entry(word: str, said: list[str]) -> Entry | str:
    if all(_LATIN.fullmatch(part) for part in said):
        return Entry(letters=tuple(said))
    return _syllables_entry(word, said)


def _chinese_entry(word: str, said: list[str]) -> Entry | str:
    parts = [part for written in said for part in _erhua_apart(word, written)]
    if len(parts) != len(word):
        return f"{word} has {len(word)} characters but {len(parts)} syllables"
    return _syllables_entry(word, parts)


def _erhua_apart(word: str, written: str) -> list[str]:
    """`wanr2` as `wan2 r5` in a word with 儿."""
    match = _ERHUA.fullmatch(written)
    if match is None or "儿" not in word[1:]:
        return [written]
    return [f"{match[1]}{match[2]}", "r5"]


def _syllables_entry(word: str, parts: list[str]) -> Entry | str:
    syllables = []
    for i, part in enumerate(parts):
        erhua = part == "r5" and i > 0 and word[i : i + 1] == "儿"
        numbered = part if erhua else numbered_syllable(part)
        if numbered is None:
            return f"{part!r}, read for {word}, is no pinyin syllable with a tone (chong2, chóng)"
        syllables.append(numbered)
    return Entry(syllables=tuple(syllables))
