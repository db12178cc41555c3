"""Sentences from a stream of text pieces, in memory that does not grow with the text.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

__all__ = ["LONGEST_SENTENCE", "cut_sentence", "sentences_from_text"]

LONGEST_SENTENCE = 60
"""Characters; about 180 symbols, since a syllable is two phones and at most one break."""

_ENDS = frozenset("。！？；…!?;.｡\n\r\u2028\u2029\x0b\x0c\x85")
_BREAKS = frozenset("\n\r\u2028\u2029\x0b\x0c\x85")
_CLOSERS = frozenset("”’」』）》】〉〗〕)]}\"'")
_COMMAS = frozenset("，、,：:—～~")


def sentences_from_text(
    chunks: str | Iterable[str], longest: int = LONGEST_SENTENCE
) -> Iterator[str]:
    """Yields each sentence, stripped, as soon as the character after its end is known.

    A sentence ends at 。！？；… and their ASCII forms with the quotes and brackets that close it,
    and at a line's end; never inside a number or name such as 3.14 or a.b. What is longer than
    `longest` characters is cut at a comma, else at a blank, else anywhere but inside a
    number, a Latin word or a bracketed reading.
    """
    held: list[str] = []
    ended = False
    for character in chain.from_iterable([chunks] if isinstance(chunks, str) else chunks):
        if ended and not _continues(held, character):
            yield from _stripped(held)
            held = []
        held.append(character)
        ended = character in _ENDS or (ended and character in _CLOSERS)
        if len(held) > longest:
            cut = _cut_index(held, longest)
            yield from _stripped(held[:cut])
            held = held[cut:]
            ended = ended and bool(held)
    yield from _stripped(held)


def cut_sentence(text: str, longest: int = LONGEST_SENTENCE) -> Iterator[str]:
    """Cuts one normalised sentence into pieces of at most `longest`, Latin letters counted double.

    A letter's name is one to three syllables (`w`), a Chinese character is one.
    """
    rest = list(text)
    while rest:
        fits = _fitting(rest, longest)
        cut = len(rest) if fits >= len(rest) else _cut_index(rest, fits)
        yield from _stripped(rest[:cut])
        rest = rest[cut:]


def _fitting(characters: list[str], longest: int) -> int:
    spent = 0
    for i, character in enumerate(characters):
        spent += _weight(character)
        if spent > longest:
            return max(i, 1)
    return len(characters)


def _weight(character: str) -> int:
    if character.isascii() and character.isalpha():
        return 3 if character in "wW" else 2
    return 1


def _stripped(characters: list[str]) -> Iterator[str]:
    sentence = "".join(characters).strip()
    if sentence:
        yield sentence


def _continues(held: list[str], character: str) -> bool:
    """Whether a character after an end mark still belongs to the sentence."""
    last = held[-1]
    if last in _BREAKS:
        return False
    if character in _BREAKS:
        return True
    if character in "\"'":
        return held.count(character) % 2 == 1
    if character in _CLOSERS or character in _ENDS:
        return True
    if last == ".":
        before = held[-2] if len(held) > 1 else " "
        return _is_name(character) and _is_name(before)
    return False


def _is_name(character: str) -> bool:
    return character.isascii() and character.isalnum()


def _cut_index(held: list[str], longest: int) -> int:
    """Where to cut: after the last comma, else the last blank, else the last whole place."""
    least = min(longest // 4, 8)
    for admits in (_after_comma, _after_blank, _whole):
        for i in range(min(longest, len(held) - 1), least, -1):
            if admits(held, i):
                return i
    return longest


def _after_comma(held: list[str], i: int) -> bool:
    if held[i - 1] not in _COMMAS:
        return False
    return not (i > 1 and _is_name(held[i - 2]) and _is_name(held[i]))


def _after_blank(held: list[str], i: int) -> bool:
    return held[i - 1].isspace()


def _whole(held: list[str], i: int) -> bool:
    """Whether neither a number, a Latin word nor a bracketed reading would be torn."""
    bracket = "".join(held[:i]).rfind("[")
    if held[i] == "[" or (bracket >= 0 and "]" not in held[bracket:i]):
        return False
    return not (_is_bound(held[i - 1]) and _is_bound(held[i]))


def _is_bound(character: str) -> bool:
    return _is_name(character) or character in ".,:/-%$¥￥"
