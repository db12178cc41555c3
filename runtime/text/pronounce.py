"""Words and their syllables: segmentation, readings, tone sandhi and erhua.

Every step is a function: `words_from_text` (lexical readings), `apply_sandhi`, `merge_erhua`.
Reads pypinyin's dictionaries, does not import pypinyin.
"""

from __future__ import annotations

import logging
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, groupby, pairwise

from .erhua import merge_erhua
from .marks import MARK
from .overrides import split_overrides
from .polyphones import END, START
from .pronunciation import read_word
from .reading import Kind, Word
from .readings import is_hanzi, readings
from .sandhi import apply_sandhi
from .segment import cut_words
from .traditional import simplified
from .user_lexicon import Entry, UserLexicon
from .warned import warn

__all__ = [
    "PAUSES",
    "Kind",
    "Word",
    "apply_sandhi",
    "cut_words",
    "merge_erhua",
    "words_from_text",
]

logger = logging.getLogger(__name__)

PAUSES = frozenset("，、；：。！？…—")
"""The marks of normalised text at which speech pauses."""

_NOTHING = UserLexicon()
_MARKS = re.compile(MARK)


@dataclass(frozen=True)
class _Text:
    """A text without marks and brackets: where its characters stood, what is prescribed.

    `plain` are the same characters as the dictionaries have them, simplified.
    """

    characters: str
    plain: str
    places: Sequence[int]
    given: Mapping[int, str]
    lexicon: UserLexicon
    runs: Mapping[tuple[int, int], Entry]


def words_from_text(text: str, lexicon: UserLexicon | None = None) -> list[Word]:
    """Splits a normalised text into words with lexical readings.

    A bracketed reading after a character (`重[chong2]庆`) is used as it stands; then the words of
    `lexicon`, the longest first; then dictionaries and rules. A control mark ends a word and is a
    word itself. Characters no dictionary knows are left out with a warning. A Latin word comes
    with syllables where the lexicon reads it in pinyin, else without.

    Raises:
        InputError: the dictionaries are missing.
    """
    stripped, lexicon = split_overrides(text), lexicon or _NOTHING
    marks = [match.start() for match in _MARKS.finditer(stripped.text)]
    if not marks:
        bare = _bare(stripped.text, stripped.places, stripped.given, lexicon)
        return list(_words(bare, ()))
    silent = frozenset(marks)
    spoken = [i for i in range(len(stripped.text)) if i not in silent]
    bare = _bare(
        "".join(stripped.text[i] for i in spoken),
        [stripped.places[i] for i in spoken],
        {at: stripped.given[i] for at, i in enumerate(spoken) if i in stripped.given},
        lexicon,
    )
    marked = [Word(stripped.text[i], Kind.MARK, start=stripped.places[i]) for i in marks]
    words = _words(bare, [i - n for n, i in enumerate(marks)])
    return sorted([*words, *marked], key=lambda word: word.start)


def _bare(
    characters: str, places: Sequence[int], given: Mapping[int, str], lexicon: UserLexicon
) -> _Text:
    plain = simplified(characters)
    return _Text(characters, plain, places, given, lexicon, lexicon.runs(plain))


def _words(text: _Text, cuts: Sequence[int]) -> Iterator[Word]:
    """The words of a text; none goes across one of the sorted `cuts`."""
    start = 0
    if text.runs:
        cuts = sorted({*cuts, *chain.from_iterable(text.runs)})
    for kind, group in groupby(text.plain, _kind):
        end = start + len(list(group))
        inner = cuts[bisect_right(cuts, start) : bisect_left(cuts, end)]
        for first, last in pairwise(sorted({start, *inner, end})):
            if kind is Kind.HANZI:
                yield from _hanzi_words(text, first, last, (start, end))
            elif kind is Kind.LATIN:
                yield from _latin_words(text, first, last)
            elif kind is Kind.PAUSE:
                yield Word(text.characters[first], kind, start=text.places[first])
        start = end


def _kind(character: str) -> Kind | None:
    kind = _known_kind(character)
    if kind is Kind.HANZI and character not in readings().characters:
        warn(logger, "no reading is known for %s; it is left out", character)
        return None
    return kind


@lru_cache(maxsize=8192)
def _known_kind(character: str) -> Kind | None:
    if character in PAUSES:
        return Kind.PAUSE
    if character.isascii():
        return Kind.LATIN if character.isalpha() else None
    return Kind.HANZI if is_hanzi(character) else None


def _latin_words(text: _Text, first: int, last: int) -> Iterator[Word]:
    """A run of letters as it stands, with a lexicon's syllables, or the words to say instead."""
    written, place = text.characters[first:last], text.places[first]
    run = text.runs.get((first, last))
    entry = run or text.lexicon.entry(written) or Entry(letters=(written,))
    if entry.syllables:
        given = frozenset(range(len(entry.syllables)))
        reasons = ("lexicon",) * len(entry.syllables)
        yield Word(written, Kind.LATIN, entry.syllables, given, place, reasons)
    spelled = "".join(entry.letters).casefold() == written.casefold()
    for i, letters in enumerate(entry.letters):
        passed = len("".join(entry.letters[:i])) if spelled else 0
        yield Word(letters, Kind.LATIN, start=text.places[first + passed])


def _hanzi_words(text: _Text, first: int, last: int, stretch: tuple[int, int]) -> Iterator[Word]:
    """The words between two places of a stretch of Chinese characters, which is their context."""
    context = f"{START}{text.plain[slice(*stretch)]}{END}"
    position, run = first, text.runs.get((first, last))
    plain = text.plain[first:last]
    for word, entry in [(plain, run)] if run else _matched_words(plain, text.lexicon):
        at = position + len(START) - stretch[0]
        if entry is None:
            reads = read_word(word, context, at)
        else:
            reads = [(syllable, "lexicon") for syllable in entry.syllables]
        written = text.characters[position : position + len(word)]
        yield _given_word(text, written, position, reads, fixed=entry is not None)
        position += len(word)


def _given_word(
    text: _Text, word: str, position: int, reads: list[tuple[str, str]], *, fixed: bool
) -> Word:
    """A word with what the text prescribes for its characters."""
    prescribed = {
        i: text.given[position + i] for i in range(len(word)) if position + i in text.given
    }
    for i, syllable in prescribed.items():
        reads[i] = (syllable, "given")
    return Word(
        word,
        Kind.HANZI,
        tuple([syllable for syllable, _ in reads]),
        frozenset(range(len(word)) if fixed else prescribed),
        text.places[position],
        tuple([reason for _, reason in reads]),
    )


def _matched_words(run: str, lexicon: UserLexicon) -> Iterator[tuple[str, Entry | None]]:
    """The words of a run; those of the lexicon come with their entries."""
    start, end = 0, 0 if len(lexicon) else len(run)
    while end < len(run):
        match = lexicon.longest_match(run, end)
        if match:
            yield from ((word, None) for word in cut_words(run[start:end]))
            yield match, lexicon.entry(match)
            start = end = end + len(match)
        else:
            end += 1
    yield from ((word, None) for word in cut_words(run[start:]))
