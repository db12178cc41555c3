"""Sentences from a stream of text pieces, in memory that does not grow with the text.

What a sentence is depends on the text alone, never on how it comes in pieces. Standard library and
the segmenter of very long sentences.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from .cuts import comma_index, cut_index, room
from .marks import MARK, Boundary, Marks, is_mark

__all__ = ["LONGEST_SENTENCE", "sentences_from_text"]

LONGEST_SENTENCE = 60
"""Characters; about 180 symbols, since a syllable is two phones and at most one break."""

_READING = 18
"""Characters of a reading in brackets at most: so much later it is known whether it is one."""

_WINDOW = 1200
"""Characters that one decision sees at most: several times a sentence of readings in brackets."""

_LINE_BREAKS = "\n\r\u2028\u2029\x0b\x0c\x85"
_CLOSERS = "”’」』）》】〉〗〕)\\]}"
_END = re.compile(rf"\.{{2,}}|。{{2,}}|[…⋯]+|[。！？；｡.!?;{_LINE_BREAKS}]|{MARK}")
_TAIL = re.compile(rf"(?:[。！？；｡.!?;…⋯{_CLOSERS}]|{MARK}){{0,16}}")
_LATER = re.compile(rf"(?:[^\S{_LINE_BREAKS}]|{MARK})*")
_LONE_QUOTE = {
    '"': re.compile('"'),
    "'": re.compile("(?<![0-9A-Za-z])'|'(?![0-9A-Za-z])"),
}
_OPENED_BY = {"）": "（", ")": "(", "】": "【", "]": "[", "}": "{", "〕": "〔", "〗": "〖"}
_BEGIN = rf"(?:\s|{MARK}|[“‘「『\"'])*"
_LIST_NUMBER = re.compile(rf"{_BEGIN}(?:[（(])?(?:[0-9]{{1,3}}|[A-Za-z]|[ivxIVX]{{1,4}})")
_BEGINNING = re.compile(_BEGIN)
_IN_TOKEN = re.compile(r"[0-9A-Za-z_/=&#%~\\-]")
_LAST_WORD = re.compile(r"(?<![0-9A-Za-z.])(?:[A-Za-z]\.)*[A-Za-z]+$")
_ENTITY = re.compile(r"&#?[0-9A-Za-z]{1,10}$")
_SHORTENED = """
mr mrs ms dr prof st jr sr rev gen capt lt sgt vs etc inc ltd corp dept univ approx tel jan feb apr
jun jul aug sep sept oct nov dec mon tue tues wed thu thurs fri cf
"""
_ABBREVIATIONS = frozenset(_SHORTENED.split())
_NUMBERED = frozenset(("no", "nos", "vol", "fig", "eq", "ch", "sec", "p", "pp", "art"))
"""Abbreviations only where a number follows."""


def sentences_from_text(
    chunks: str | Iterable[str], longest: int = LONGEST_SENTENCE, marks: Marks | None = None
) -> Iterator[str]:
    """Yields each sentence, stripped, as soon as it is known that it ends.

    A sentence ends at 。！？； and their ASCII forms with the quotes and brackets that close it, at
    a line's end, and at a Boundary of `marks`; an ellipsis ends it only where nothing follows at
    once. It never ends inside a number, a name such as a.b, an abbreviation or a title in 《》.
    What is longer than one and a half times `longest` characters is cut after a comma at most
    `longest` away; what has none may be four times as long, since a number or a name must be read
    as a whole, and is then cut as `cuts.cut_index` says. Marks, which stay with the sentence before
    them, and readings in brackets take no room.
    """
    splitter = _Splitter(longest, marks)
    held, start = "", 0
    for chunk in [chunks] if isinstance(chunks, str) else chunks:
        held, start = held[start:] + chunk, 0
        while taken := splitter.taken(held[start : start + _WINDOW], final=False):
            yield from _stripped(held[start : start + taken])
            start += taken
    while taken := splitter.taken(
        held[start : start + _WINDOW], final=len(held) - start <= _WINDOW
    ):
        yield from _stripped(held[start : start + taken])
        start += taken


def _stripped(sentence: str) -> Iterator[str]:
    if sentence := sentence.strip():
        yield sentence


class _Splitter:
    """Decides how much of a text, seen through a window, the first sentence takes.

    What is decided is decided the same when more of the text is seen: else the answer is to wait.
    """

    def __init__(self, longest: int, marks: Marks | None) -> None:
        self._longest, self._marks = longest, marks

    def taken(self, window: str, final: bool) -> int:
        """The characters of the first sentence; 0 where more must be seen."""
        final = final or len(window) == _WINDOW
        near = self._longest * 3 // 2
        end = self._end(window, near, final)
        if end is None and len(window) <= near:
            return len(window) if final else 0
        return self._far(window, near, final) if end is None else end

    def _far(self, window: str, near: int, final: bool) -> int:
        """The same where the sentence is long, or what takes no room stands in it."""
        spent = room(window)
        soft = bisect_right(spent, near)
        end = self._end(window, soft, final)
        if end is not None:
            return end
        if final and soft > len(window):
            return len(window)
        if soft + _READING > len(window) and not final:
            return 0
        least, longest = self._longest // 4, self._longest
        return comma_index(window, spent, least, longest, longest) or self._long(
            window, spent, final
        )

    def _long(self, window: str, spent: Sequence[int], final: bool) -> int:
        longest = 4 * self._longest
        hard = bisect_right(spent, longest)
        end = self._end(window, hard, final)
        if end is not None:
            return end
        if final and hard > len(window):
            return len(window)
        if hard + _READING > len(window) and not final:
            return 0
        comma = comma_index(window, spent, self._longest, longest, self._longest)
        return comma or cut_index(window, spent, longest * 3 // 4, longest, longest)

    def _end(self, window: str, limit: int, final: bool) -> int | None:
        """Where the first sentence that ends before `limit` ends; 0 to wait, None if none does."""
        at = 0
        while found := _END.search(window, at, min(limit, len(window))):
            end = self._end_after(window, found, final)
            if end is not None:
                return end
            at = found.end()
        return None

    def _end_after(self, window: str, found: re.Match[str], final: bool) -> int | None:
        place, character = found.end(), found[0]
        if is_mark(character[0]):
            boundary = self._marks is not None and isinstance(self._marks[character], Boundary)
            return self._with_marks(window, place, final) if boundary else None
        if character in _LINE_BREAKS:
            return place
        tail = _tail_end(window, place)
        if not final and not _is_seen(window, tail):
            return 0
        return None if _goes_on(window, found, tail) else self._with_marks(window, tail, final)

    def _with_marks(self, window: str, end: int, final: bool) -> int:
        """The marks after a sentence are its own: what they say holds from there on."""
        if self._marks is None:
            return end
        later = _LATER.match(window, end)
        after = later.end() if later else end
        return 0 if after == len(window) and not final else after


def _is_seen(window: str, tail: int) -> bool:
    """Whether enough is seen after a sentence's end: only after a blank one character more."""
    after = window[tail : tail + 2]
    return bool(after) and (len(after) == 2 or not after.isspace() or after in _LINE_BREAKS)


def _tail_end(window: str, at: int) -> int:
    """Where the end marks, quotes and brackets end that close a sentence."""
    at = _matched(_TAIL, window, at)
    lone = _LONE_QUOTE.get(window[at : at + 1])
    if lone is not None and len(lone.findall(window, 0, at)) % 2:
        at = _matched(_TAIL, window, at + 1)
    return at


def _matched(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _goes_on(window: str, found: re.Match[str], tail: int) -> bool:
    """Whether the sentence goes on after an end mark and what closes it."""
    after, last = window[tail : tail + 1], window[tail - 1]
    if not after or after in _LINE_BREAKS:
        return False
    if last in "》〉":
        return True
    if last in _OPENED_BY:
        opened = window.rfind(_OPENED_BY[last], 0, found.start())
        return opened >= 0 and _matched(_BEGINNING, window, 0) != opened
    if found[0] in "…⋯" or len(found[0]) > 1:
        ended = any(mark in "。！？!?" for mark in window[found.end() : tail])
        return not (ended or after.isspace() or after in "“‘「『（(《")
    if found[0] in ".!?;" and tail == found.end():
        return _in_token(window, found.start()) or (
            found[0] == "." and _is_abbreviated(window, found.start())
        )
    return False


def _in_token(window: str, place: int) -> bool:
    """Whether a mark stands inside a number, a name, an address or an entity."""
    before, after = window[place - 1 : place] if place else "", window[place + 1]
    if window[place] == ";" and _ENTITY.search(window, max(place - 12, 0), place):
        return True
    if window[place] == "." and (
        after in ",，、:：" or (after.isdecimal() and before in ("", " "))
    ):
        return True
    return bool(before) and bool(_IN_TOKEN.match(before)) and bool(_IN_TOKEN.match(after))


def _is_abbreviated(window: str, place: int) -> bool:
    """Whether a point belongs to the word or the list number before it."""
    if _LIST_NUMBER.fullmatch(window, 0, place):
        return True
    word = _LAST_WORD.search(window, max(place - 16, 0), place)
    if word is None:
        return False
    following = window[place + 1 : place + 3].strip()[:1]
    name = word[0].lower()
    if len(name) == 1 and name not in _NUMBERED:
        return word[0].isupper() and following.isascii() and following.isupper()
    return name in _ABBREVIATIONS or "." in name or (name in _NUMBERED and following.isdecimal())
