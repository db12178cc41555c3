"""The names of Latin letters, and the words that Mandarin speakers say with Chinese syllables."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

from .phones import Syllable

__all__ = ["CHINESE_LETTERS", "CHINESE_WORDS", "LETTERS", "letter_phones", "speaks_letters"]

LETTERS: Mapping[str, str] = {
    "a": "ey1",
    "b": "b iy1",
    "c": "s iy1",
    "d": "d iy1",
    "e": "iy1",
    "f": "eh1 f",
    "g": "jh iy1",
    "h": "ey1 ch",
    "i": "ay1",
    "j": "jh ey1",
    "k": "k ey1",
    "l": "eh1 l",
    "m": "eh1 m",
    "n": "eh1 n",
    "o": "ow1",
    "p": "p iy1",
    "q": "k y uw1",
    "r": "aa1 r",
    "s": "eh1 s",
    "t": "t iy1",
    "u": "y uw1",
    "v": "v iy1",
    "w": "d ah1 . b ah0 l . y uw0",
    "x": "eh1 k s",
    "y": "w ay1",
    "z": "z iy1",
}
"""The names of the letters in ARPAbet, stress on the vowel, syllables parted by a dot."""

CHINESE_LETTERS: Mapping[str, str] = {
    "a": "ei1",
    "b": "bi4",
    "c": "xi1",
    "d": "di4",
    "e": "yi4",
    "f": "ai2 fu5",
    "g": "ji4",
    "h": "ei1 chi5",
    "i": "ai4",
    "j": "zhei4",
    "k": "kei4",
    "l": "ai2 lou5",
    "m": "ai2 mu5",
    "n": "en1",
    "o": "ou1",
    "p": "pi1",
    "q": "kou4",
    "r": "a1 er5",
    "s": "ai2 si5",
    "t": "ti4",
    "u": "you1",
    "v": "wei1",
    "w": "da2 bu5 liu5",
    "x": "ai2 ke5 si5",
    "y": "wai1",
    "z": "zei4",
}
CHINESE_WORDS: Mapping[str, str] = {
    "ok": "ou1 kei4",
    "okay": "ou1 kei4",
    "bye": "bai4",
    "hello": "ha1 lou2",
    "hi": "hai1",
    "hey": "hei1",
    "yes": "ye4 si5",
    "no": "nou4",
    "cool": "ku4",
    "party": "pai4 dui4",
    "fans": "fen3 si1",
    "show": "xiu4",
    "email": "yi4 mei4 er5",
    "wifi": "wai1 fei1",
    "app": "ai4 pu5",
    "ipad": "ai4 pai4 de5",
    "iphone": "ai4 feng4",
    "google": "gu3 ge1",
    "android": "an1 zhuo2",
    "windows": "wen1 dou1 si1",
    "linux": "li3 nei4 ke4 si5",
    "python": "pai4 sen1",
    "java": "jia1 wa3",
    "apple": "ping2 guo3",
    "facebook": "fei1 si5 bu4 ke5",
    "twitter": "tui1 te4",
    "tesla": "te4 si1 la1",
    "nike": "nai4 ke4",
    "coffee": "ka1 fei1",
    "sofa": "sha1 fa1",
    "cafe": "ka1 fei1",
    "taxi": "di1 shi4",
    "bus": "ba1 shi4",
    "logo": "lou2 gou1",
    "mini": "mi3 ni3",
    "model": "mo2 te4",
    "tiktok": "ti1 ke5 tuo2 ke5",
    "vlog": "wei1 lou2 ge5",
    "blog": "bo2 ke4",
}
"""How Mandarin speakers say letters and words with the syllables they have."""


def letter_phones(letter: str) -> list[Syllable]:
    """The syllables of a Latin letter's English name: `w` -> d ah, b ah l, y uw."""
    return [_syllable(name.split()) for name in LETTERS[letter.lower()].split(".")]


def speaks_letters(phones: Collection[str]) -> bool:
    """Whether a voice has every phone that letter names need, as those with English ones have."""
    return _letter_phones() <= set(phones)


@lru_cache(maxsize=1)
def _letter_phones() -> frozenset[str]:
    return frozenset(p.rstrip("01") for name in LETTERS.values() for p in name.split()) - {"."}


def _syllable(arpabet: Sequence[str]) -> Syllable:
    stress = next(p[-1] for p in arpabet if p[-1].isdigit())
    return tuple(p.rstrip("01") for p in arpabet), f"tone{stress}"
