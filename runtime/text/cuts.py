"""Where a sentence that is too long for one breath is cut: at its commas, else between its words.

Standard library and the segmenter, which is asked only where nothing else gives a place.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise

from .marks import MARK
from .reading import Normalized
from .readings import HANZI
from .traditional import simplified

__all__ = ["comma_index", "cut_index", "cut_normalized", "cut_places", "room"]

_NO_ROOM = re.compile(rf"\[[^\[\]]{{0,16}}\]|{MARK}")
_CLOSERS = "”’」』）》】〉〗〕)\\]}\"'"
_INSIDE_NUMBER = "(?!(?<=[0-9].)[0-9])"
_COMMA = re.compile(rf"(?:[，；：。！？…⋯—]{_INSIDE_NUMBER}|[,;:!?](?![0-9A-Za-z/]))+[{_CLOSERS}]*")
_LISTED = re.compile("、|[～~](?![0-9])")
_BLANK = re.compile(r"\s+")
_HANZI_RUN = re.compile(f"{HANZI}+")
_LATIN = re.compile(r"[A-Za-z]+")
_SILENT = frozenset("，、；：。！？…—")
_TOKEN = re.compile(r"[0-9A-Za-z.,:/\-%$¥￥@_#&=?+~°]")
_CONTEXT = 10
"""Characters before and after a place that the segmenter sees: longer than any word."""

_OPENERS = """
而且 但是 可是 不过 然而 因为 所以 因此 于是 如果 要是 假如 虽然 尽管 即使 只要 只有 除非 无论
不管 并且 或者 还是 以及 然后 接着 同时 另外 此外 甚至 至于 对于 关于 根据 通过 按照 为了 由于
比如 例如 尤其 特别是 和 与 及 而 但 或 并 则 就 却 才 也 又 还 把 被 让 使 在 从 对 向 给 用 以
"""
_CONJUNCTIONS = frozenset(_OPENERS.split())
"""Words before which a speaker may breathe: conjunctions and what opens a phrase."""


def room(text: str, widths: Iterable[int] | None = None) -> Sequence[int]:
    """How much room a text takes up to each index; readings in brackets and marks take none.

    `widths` are the room of each character, 1 without them.
    """
    if widths is None and _NO_ROOM.search(text) is None:
        return range(len(text) + 1)
    own = [1] * len(text) if widths is None else list(widths)
    for match in _NO_ROOM.finditer(text):
        own[match.start() : match.end()] = [0] * len(match[0])
    return list(accumulate(own, initial=0))


def comma_index(
    text: str, spent: Sequence[int], least: int, longest: int, target: int
) -> int | None:
    """The place after a comma that is nearest to `target`, of those between `least` and `longest`.

    The limits are in the room of `spent`.
    """
    return _Span(text, spent, least, longest).nearest(_after_commas, target)


def cut_index(text: str, spent: Sequence[int], least: int, longest: int, target: int) -> int:
    """Where to cut: the place nearest to `target` of the best kind between `least` and `longest`.

    After a comma, else after 、, else before a conjunction, a blank, a word; and where one token
    fills all of it, inside that. Never inside a reading in brackets.
    """
    span = _Span(text, spent, least, longest)
    for places in (_after_commas, _after_listed, _before_words, _anywhere):
        found = span.nearest(places, target)
        if found is not None:
            return found
    return span.end


class _Span:
    """The part of a text in which a cut may lie: from index `first` to `last`."""

    def __init__(self, text: str, spent: Sequence[int], least: int, longest: int) -> None:
        self._text, self._spent = text, spent
        self._first = max(bisect_right(spent, least), 1)
        self._last = bisect_right(spent, longest) - 1
        self._whole = [match.span() for match in _NO_ROOM.finditer(text, 0, self._last + 20)]

    def nearest(self, places: Callable[[str, int, int], Iterable[int]], target: int) -> int | None:
        fitting = [
            i
            for i in places(self._text, self._first, self._last)
            if self._first <= i <= self._last and not any(a < i < b for a, b in self._whole)
        ]
        return min(fitting, key=lambda i: abs(self._spent[i] - target), default=None)

    @property
    def end(self) -> int:
        """The last index that tears no reading, and that is not the beginning."""
        last = next((a for a, b in self._whole if a < self._last < b), self._last)
        return max(last, 1)


def cut_normalized(
    normalized: Normalized, longest: int, phones: Collection[str] | None = None
) -> Iterator[Normalized]:
    """Parts of a normalised sentence that take at most `longest`, about equal in length.

    A Chinese character takes 1; a Latin word takes half its phones, about its syllables, as a
    voice with these phones says it (None: with all).
    """
    text, origins = normalized.text, normalized.origins
    if len(text) <= longest and _LATIN.search(text) is None:
        yield normalized
        return
    start = 0
    for end in cut_places(text, room(text, _widths(text, phones)), longest):
        yield Normalized(text[start:end], origins[start:end])
        start = end


def cut_places(text: str, spent: Sequence[int], longest: int) -> Iterator[int]:
    """Where parts of a text end that take at most `longest` of `spent` each; at last its end."""
    start = 0
    while (rest := spent[-1] - spent[start]) > longest:
        parts = -(-rest // longest)
        ahead = text[start : bisect_right(spent, spent[start] + longest) + _CONTEXT]
        own = [s - spent[start] for s in spent[start : start + len(ahead) + 1]]
        start += cut_index(ahead, own, min(longest // 4, 12), longest, rest // parts)
        yield start
    yield len(text)


def _widths(text: str, phones: Collection[str] | None) -> list[int]:
    from .letters import speaks_letters

    english = phones is None or speaks_letters(phones)
    widths = [int(not character.isascii() and character not in _SILENT) for character in text]
    for match in _LATIN.finditer(text):
        width, count = _latin_width(match[0], english), len(match[0])
        shares = [width * i // count for i in range(count + 1)]
        widths[match.start() : match.end()] = [b - a for a, b in pairwise(shares)]
    return widths


@lru_cache(maxsize=4096)
def _latin_width(word: str, english: bool) -> int:
    from .latin import latin_syllables

    syllables = latin_syllables(word, None if english else ())
    return -(-sum(len(phones) for phones, _ in syllables) // 2)


def _after_commas(text: str, first: int, last: int) -> Iterator[int]:
    return (match.end() for match in _COMMA.finditer(text, max(first - 3, 0), last))


def _after_listed(text: str, first: int, last: int) -> Iterator[int]:
    return (match.end() for match in _LISTED.finditer(text, max(first - 1, 0), last))


def _before_words(text: str, first: int, last: int) -> list[int]:
    """Before the conjunctions; where there are none after the blanks, else before any word."""
    from .pronounce import cut_words

    plain, places = _heard(text, max(first - _CONTEXT, 0), last + 2 * _CONTEXT)
    words: list[int] = []
    conjunctions: list[int] = []
    for run in _HANZI_RUN.finditer(plain):
        start = run.start()
        for word in cut_words(simplified(run[0])):
            if not _is_token(plain, start - 1):
                (conjunctions if word in _CONJUNCTIONS else words).append(places[start])
            start += len(word)
        if not _is_token(plain, start):
            words.append(places[start])
    blanks = [match.end() for match in _BLANK.finditer(text, max(first - 1, 0), last)]
    return next(
        (kind for kind in (conjunctions, blanks) if any(first <= i <= last for i in kind)), words
    )


def _heard(text: str, start: int, end: int) -> tuple[str, list[int]]:
    """A part of a text without what takes no room, and where each character of it stands."""
    hidden = {i for match in _NO_ROOM.finditer(text, 0, end) for i in range(*match.span())}
    places = [i for i in range(start, min(end, len(text))) if i not in hidden]
    return "".join(text[i] for i in places), [*places, min(end, len(text))]


def _anywhere(text: str, first: int, last: int) -> Iterator[int]:
    """Wherever no number and no Latin word is torn."""
    return (
        i for i in range(first, last + 1) if not (_is_token(text, i - 1) and _is_token(text, i))
    )


def _is_token(text: str, index: int) -> bool:
    return 0 <= index < len(text) and _TOKEN.match(text[index]) is not None
