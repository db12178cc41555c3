"""A user's own readings of words, from files or mappings, which beat every dictionary.

One entry a line, UTF-8, `#` begins a comment:

    重庆    chong2 qing4
    乐山    lè shān
    玩儿    wan2 r5
    GPU     ji4 pi4 you1
    SQL     sequel
    卡拉OK  ka3 la1 OK

A Chinese word has a syllable for each character. A word of Latin letters has syllables, or Latin
words that are read in its place. A word of both has both, in order. Standard library only beside
the pinyin table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sambert_trt.engines.errors import InputError

from .overrides import numbered_syllable
from .readings import HANZI
from .traditional import simplified

__all__ = ["Entry", "UserLexicon", "merge_lexicons"]

_CHINESE = re.compile(f"{HANZI}+")
_LATIN = re.compile(r"[A-Za-z]+")
_RUNS = re.compile(f"{HANZI}+|[A-Za-z]+")
_MIXED = re.compile(f"(?:{HANZI}|[A-Za-z])+")
_ERHUA = re.compile(r"(.*[^e\W\d_].*)r([1-5])")
_MOST_ERRORS = 10
_LONGEST_WORD = 32


@dataclass(frozen=True)
class Entry:
    """How a word is read: `syllables` of numbered pinyin, or `letters`, Latin words instead.

    A word of Chinese characters and Latin letters has `runs` instead, each read in its own way.
    """

    syllables: tuple[str, ...] = ()
    letters: tuple[str, ...] = ()
    runs: tuple[Entry, ...] = ()


class UserLexicon:
    """Words and their readings; immutable.

    Latin words are found as they are written, else whatever their case; words in traditional
    characters in simplified texts too.
    """

    def __init__(self, words: Mapping[str, Entry] | None = None) -> None:
        self._words = dict(words or {})
        self._known = {simplified(word): entry for word, entry in self._words.items()} | self._words
        self._folded = {word.casefold(): entry for word, entry in self._known.items()}
        self._longest: dict[str, int] = {}
        for word in self._known:
            self._longest[word[0]] = max(len(word), self._longest.get(word[0], 0))
        self._mixed = _pattern([word for word, entry in self._known.items() if entry.runs])

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
        return self._known.get(word) or self._folded.get(word.casefold())

    def longest_match(self, text: str, start: int = 0) -> str:
        """The longest Chinese word of the lexicon that begins at an index; "" if there is none."""
        most = self._longest.get(text[start : start + 1], 0)
        for length in range(min(most, len(text) - start), 0, -1):
            if text[start : start + length] in self._known:
                return text[start : start + length]
        return ""

    def runs(self, text: str) -> dict[tuple[int, int], Entry]:
        """The runs of the words in a text that mix Chinese characters and Latin letters.

        By their slices; the longest word is taken, and a Latin run is never part of a longer one.
        """
        found: dict[tuple[int, int], Entry] = {}
        for match in self._mixed.finditer(text) if self._mixed else ():
            entry = self.entry(match[0])
            if entry is not None:
                spans = (run.span() for run in _RUNS.finditer(text, *match.span()))
                found.update(zip(spans, entry.runs, strict=True))
        return found

    def merged(self, later: UserLexicon) -> UserLexicon:
        """Both lexicons in one; where both know a word, the later wins."""
        return UserLexicon({**self._words, **later._words})


def merge_lexicons(lexicons: Iterable[UserLexicon]) -> UserLexicon:
    """All lexicons in one, the later before the earlier."""
    merged = UserLexicon()
    for later in lexicons:
        merged = merged.merged(later)
    return merged


def _pattern(words: Iterable[str]) -> re.Pattern[str] | None:
    longest_first = "|".join(sorted(words, key=len, reverse=True))
    if not longest_first:
        return None
    return re.compile(
        rf"(?:(?<![A-Za-z])|(?![A-Za-z]))(?:{longest_first})(?:(?<![A-Za-z])|(?![A-Za-z]))",
        re.IGNORECASE,
    )


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
    if _CHINESE.fullmatch(word):
        return _chinese_entry(word, said)
    if not _MIXED.fullmatch(word):
        return f"{word!r} has signs that are neither Chinese characters nor Latin letters"
    return _mixed_entry(word, said)


def _latin_entry(word: str, said: list[str]) -> Entry | str:
    if all(_LATIN.fullmatch(part) for part in said):
        return Entry(letters=tuple(said))
    return _syllables_entry(word, said)


def _mixed_entry(word: str, said: list[str]) -> Entry | str:
    """Chinese runs take a syllable for each character, Latin ones what stands between those."""
    written = _RUNS.findall(word)
    latin = sum(run.isascii() for run in written)
    spare = len(said) - sum(len(run) for run in written if not run.isascii())
    runs: list[Entry] = []
    for run in written:
        size = len(run)
        if run.isascii():
            words = next(
                (i for i, part in enumerate(said) if not _LATIN.fullmatch(part)), len(said)
            )
            size = spare if latin == 1 else words
        entry = _entry(run, said[:size])
        if isinstance(entry, str):
            return f"{entry} (in {word})"
        runs.append(entry)
        said = said[size:]
    return Entry(runs=tuple(runs)) if not said else f"{word} has {len(said)} syllables too many"


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
