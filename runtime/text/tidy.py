"""Punctuation to pause marks; what cannot be said is dropped, and blanks are made single.

Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .marks import MARK, is_mark
from .patterns import BRACKETED, Edit
from .readings import HANZI

__all__ = ["tidy_edits"]

_PAUSES = {
    **{mark: mark for mark in "，、；：。！？…—"},
    ",": "，",
    ";": "；",
    ":": "：",
    "!": "！",
    "?": "？",
    "~": "—",
    "--": "—",
    "..": "…",
    ".": "。",
    "•": "，",
    **dict.fromkeys("()（）【】〔〕〖〗\n\r\x0b\x0c\x85\u2028\u2029", "，"),
}
_CLOSERS = ")）】〕〗"
_OPTION = re.compile(r"(?:^|[\s，。；、])[A-Za-z]$")
_UNSPOKEN = re.compile(rf"[^A-Za-z{HANZI[1:-1]}{BRACKETED}]+")
_TOKEN = re.compile(rf"{MARK}|\.{{2,}}|-{{2,}}|[\s\S]")
_SETTLED = re.compile(rf"[ ，、；：。！？…—]|{MARK}")
_ABBREVIATED = re.compile(
    r"(?:^|[^A-Za-z])(?:Mrs?|Ms|Dr|St|Jr|Inc|Ltd|Co|vs|etc|Vol|Fig|Eq|Lv|pp)$"
)


def tidy_edits(text: str) -> Iterator[Edit]:
    """Between what is spoken stands one blank, one pause mark (the first), or nothing."""
    for run in _UNSPOKEN.finditer(text):
        start, end = run.span()
        inside = start > 0 and end < len(text)
        if inside and _SETTLED.fullmatch(run[0]):
            continue
        tokens = list(_TOKEN.finditer(text, start, end))
        said = _said(text, tokens) if start else _marks_only(tokens)
        if not any(said) and inside:
            yield start, end, "" if _is_apostrophe(text, start, end) else " ", "punctuation"
            continue
        for token, spoken in zip(tokens, said, strict=True):
            if spoken != token[0]:
                yield token.start(), token.end(), spoken, "punctuation"


def _said(text: str, tokens: list[re.Match[str]]) -> list[str]:
    """For each token of a run what stays of it: control marks, and the first pause."""
    said, paused = [], False
    for token in tokens:
        pause = "" if paused else _pause(text, token)
        if pause == "，" and token[0] in _CLOSERS and tokens[-1].end() == len(text):
            pause = ""
        paused = paused or bool(pause)
        said.append(pause or (token[0] if is_mark(token[0][0]) else ""))
    return said


def _marks_only(tokens: list[re.Match[str]]) -> list[str]:
    return [token[0] if is_mark(token[0][0]) else "" for token in tokens]


def _pause(text: str, token: re.Match[str]) -> str:
    mark = token[0]
    if mark == "." and _is_within_name(text, token.start()):
        return ""
    if mark == "." and _OPTION.search(text[max(0, token.start() - 2) : token.start()]):
        begins = token.start() == 1
        return "，" if begins or text[token.end() : token.end() + 1] > " " else "。"
    return _PAUSES.get(mark[:2], "")


def _is_within_name(text: str, index: int) -> bool:
    """Whether a dot stands between letters, or ends an abbreviation."""
    head, following = text[max(0, index - 5) : index], text[index + 1 : index + 2]
    if _is_letter(head[-1:]) and _is_letter(following):
        return True
    return bool(_ABBREVIATED.search(head))


def _is_apostrophe(text: str, start: int, end: int) -> bool:
    return text[start:end] == "'" and _is_letter(text[start - 1]) and _is_letter(text[end])


def _is_letter(character: str) -> bool:
    return character.isascii() and character.isalpha()
