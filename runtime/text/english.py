"""English words in ARPAbet: our own list of those that Mandarin texts hold, and their syllables.

Standard library and the contracts only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise

from sambert_trt.engines.errors import InputError

from .phones import Syllable

__all__ = ["PHONES", "VOWELS", "english_words", "is_coda", "is_onset", "syllables_from_arpabet"]

VOWELS = frozenset(("aa", "ae", "ah", "ao", "aw", "ay", "eh", "er", "ey", "ih", "iy", "ow"))
VOWELS |= {"oy", "uh", "uw"}
_CONSONANTS = frozenset(("b", "ch", "d", "dh", "f", "g", "hh", "jh", "k", "l", "m", "n", "ng", "p"))
_CONSONANTS |= {"r", "s", "sh", "t", "th", "v", "w", "y", "z", "zh"}
PHONES = VOWELS | _CONSONANTS
"""The 39 English phones of the voices, ARPAbet in lower case."""

_CLUSTERS = """
p l, p r, p y, b l, b r, b y, t r, t w, t y, d r, d w, d y, k l, k r, k w, k y, g l, g r, g w, g y,
f l, f r, f y, v y, v r, th r, th w, sh r, s p, s t, s k, s m, s n, s l, s w, s f, m y, n y, hh y,
hh w, s p l, s p r, s p y, s t r, s t y, s k r, s k w, s k y, s k l
"""


@lru_cache(maxsize=1)
def english_words() -> Mapping[str, str]:
    """Words and their ARPAbet with stress, `*` for those that are spelled.

    A word with a capital stands for that way of writing alone.
    """
    text = (files(__package__) / "data" / "english.txt").read_text(encoding="utf-8")
    lines = (line.partition("#")[0].split(None, 1) for line in text.splitlines())
    return {parts[0]: " ".join(parts[1].split()) for parts in lines if len(parts) == 2}


@lru_cache(maxsize=1)
def _clusters() -> frozenset[str]:
    return frozenset(cluster.strip() for cluster in _CLUSTERS.split(","))


def is_onset(consonants: Sequence[str]) -> bool:
    """Whether an English syllable may begin with these consonants."""
    names = [phone.lower() for phone in consonants]
    return (len(names) < 2 and names != ["ng"]) or " ".join(names) in _clusters()


def is_coda(consonants: Sequence[str]) -> bool:
    """Whether an English syllable may end with these: they close, then perhaps t d th s z."""
    names = [phone.lower() for phone in consonants]
    loud = [_loudness(name) for name in names]
    return all(
        name in ("t", "d", "th", "s", "z") or here < before
        for name, before, here in zip(names[1:], loud, loud[1:], strict=False)
    )


def _loudness(consonant: str) -> int:
    groups = (("r", "w", "y"), ("l",), ("m", "n", "ng"), ("f", "v", "th", "dh", "s", "z", "sh"))
    return next((4 - i for i, group in enumerate(groups) if consonant in group), 0)


def syllables_from_arpabet(arpabet: str) -> tuple[Syllable, ...]:
    """The syllables of a word: as many consonants as may begin one go with the vowel after them.

    Stress 2 counts as none, as voices were trained.

    Raises:
        InputError: a phone is not ARPAbet's, a vowel has no stress digit, or there is no vowel.
    """
    phones = [_phone(token, arpabet) for token in arpabet.split()]
    vowels = [i for i, (_, stress) in enumerate(phones) if stress]
    if not vowels:
        raise InputError(f"{arpabet!r} has no vowel; write ARPAbet with stress, like 'OW1 K EY1'")
    names = [name for name, _ in phones]
    starts = [0, *(_onset(names, *pair) for pair in pairwise(vowels))]
    ends = [*starts[1:], len(names)]
    return tuple(
        (tuple(names[start:end]), f"tone{1 if phones[vowel][1] == '1' else 0}")
        for start, end, vowel in zip(starts, ends, vowels, strict=True)
    )


def _onset(names: Sequence[str], vowel: int, following: int) -> int:
    return next(i for i in range(vowel + 1, following + 1) if is_onset(names[i:following]))


def _phone(token: str, whole: str) -> tuple[str, str]:
    name, stress = token.rstrip("012").lower(), token[-1] if token[-1] in "012" else ""
    if name not in PHONES or (name in VOWELS) != bool(stress) or len(token) - len(name) > 1:
        raise InputError(
            f"{token!r} in {whole!r} is no ARPAbet phone; vowels carry their stress, 0 or 1, "
            "as in 'OW1 K EY1'"
        )
    return name, stress
