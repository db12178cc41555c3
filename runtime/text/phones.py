"""Pinyin syllables and the two phones each of them is. Standard library and the contracts only.

The table is the PinYin inventory of KAN-TTS: 661 syllables, erhua among them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from sambert_trt.engines.errors import InputError

__all__ = [
    "FINALS",
    "Syllable",
    "clean_pinyin",
    "phones_from_syllable",
    "spell_syllable",
    "syllable_table",
]

Syllable = tuple[tuple[str, ...], str]
"""A syllable's phones and its tone, which all of them carry."""

FINALS: Mapping[str, str] = {
    "ga": "a ai an ang ao",
    "ge": "e ei en eng er",
    "go": "o ou",
    "b": "a ai an ang ao ei en eng i ian iao ie in ing o u "
    "angr anr aor ar eir engr enr ianr iaor ingr ir or ur",
    "p": "a ai an ang ao ei en eng i ian iao ie in ing o ou u "
    "air angr anr aor enr ianr iaor ier ingr ir or ur",
    "m": "a ai an ang ao e ei en eng i ian iao ie in ing iu o ou u "
    "air angr anr aor ar eir enr ianr iaor ingr ir or",
    "f": "a an ang ei en eng o ou u angr anr ar engr enr ur",
    "d": "a ai an ang ao e ei en eng i ia ian iao ie ing iu ong ou u uan ui un uo "
    "air angr anr aor engr ianr iaor ier ingr ir ongr our uanr uir unr uor ur",
    "t": "a ai an ang ao e ei eng i ian iao ie ing ong ou u uan ui un uo "
    "air angr anr aor er ianr iaor ir ingr ongr our uanr uir uor ur",
    "n": "a ai an ang ao e ei en eng i ian iang iao ie in ing iu ong ou u uan un uo v ve "
    "aor ar iangr ianr iaor ingr ir iur vr",
    "l": "a ai an ang ao e ei eng i ia ian iang iao ie in ing iu o ong ou u uan un uo v ve "
    "anr aor ar eir engr er iangr ianr iaor iar ingr ir iur our uor unr ur vr",
    "g": "a ai an ang ao e ei en eng ong ou u ua uai uan uang ui un uo "
    "air anr aor engr enr er ongr our uair uanr uar uir unr uor ur",
    "k": "a ai an ang ao e ei en eng ong ou u ua uai uan uang ui un uo "
    "air anr aor engr er ongr our uair uangr uanr unr",
    "h": "a ai an ang ao e ei en eng ong ou u ua uai uan uang ui un uo "
    "air anr aor eir er our uanr uangr uar uir unr uor ur",
    "j": "i ia ian iang iao ie in ing iong iu v van ve vn "
    "ianr iaor iar ier ingr inr ir iur vanr ver vnr",
    "q": "i ia ian iang iao ie in ing iong iu v van ve vn ianr iaor ingr ir iur vanr vnr vr",
    "x": "i ia ian iang iao ie in ing iong iu v van ve vn iangr ianr iar ier ingr ir inr iongr iur",
    "zh": "a ai an ang ao e ei en eng i ong ou u ua uai uan uang ui un uo "
    "angr anr aor ar enr er ir ongr our uar uanr unr uor ur",
    "ch": "a ai an ang ao e en eng i ong ou u ua uai uan uang ui un uo "
    "angr aor ar engr er ir ongr our uangr uanr uir unr uor ur",
    "sh": "a ai an ang ao e ei en eng i ou u ua uai uan uang ui un uo "
    "air aor engr enr ir uair our uar uir unr uor ur",
    "r": "an ang ao e en eng i ong ou u uan ui un uo angr enr",
    "z": "a ai an ang ao e ei en eng i ong ou u uan ui un uo air aor ar ir uanr uir uor",
    "c": "a ai an ang ao e en eng i ong ou u uan ui un uo aor ar ir ongr uir unr uor",
    "s": "a ai an ang ao e en eng i ong ou u uan ui un uo ar air anr ir uir unr",
    "w": "a ai an ang ei en eng o u anr ar eir enr engr or ur",
    "y": "a an ang ao e i in ing o ong ou v van ve vn "
    "angr anr aor ar er ingr inr ir our vanr vr ver",
}
"""The spelled finals that exist after each initial; `ga ge go` stand before a bare a, e, o."""

_NEAREST: Mapping[str, str] = {
    "ng": "en",
    "n": "en",
    "m": "en",
    "hm": "hen",
    "hng": "heng",
    "bong": "beng",
    "biang": "bang",
    "cei": "cui",
    "din": "ding",
    "fiao": "piao",
    "rua": "ruo",
    "wong": "weng",
}
_TONE = re.compile(r"([a-z]+)([0-9])")


@lru_cache(maxsize=1)
def syllable_table() -> Mapping[str, tuple[str, str]]:
    """Every spelled syllable without its tone, and its two phones (`hua` -> `h_c`, `ua_c`)."""
    table: dict[str, tuple[str, str]] = {}
    for initial, finals in FINALS.items():
        bare = initial in ("ga", "ge", "go")
        first = initial if bare else {"x": "xx_c"}.get(initial, f"{initial}_c")
        for final in finals.split():
            spelled = final if bare else initial + final
            table[spelled] = (first, f"{_final_phone(initial, final)}_c")
    return table


def clean_pinyin(pinyin: str) -> str:
    """The training converter's clean-up: tone 6 is 2, `35` is 5, a leading `ng4` is `en4`."""
    cleaned = re.sub(r"[0-9]5", "5", pinyin.strip().lower().replace("6", "2"))
    return re.sub(r"^ng(?=[0-9])", "en", cleaned)


def spell_syllable(letters: str) -> str:
    """The table's spelling of a syllable without tone: ü is `v` after j q x y l n.

    A syllable the table lacks gets its nearest where there is one: the interjections `ng n m`
    sound as `en`, `hm hng` as `hen heng`, the dialect syllables `biang rua ...` as `bang ruo ...`.
    """
    spelled = letters.replace("u:", "v").replace("ü", "v").replace("ê", "e")
    if re.match(r"[jqxy]u", spelled):
        spelled = spelled[0] + "v" + spelled[2:]
    elif re.fullmatch(r"[ln]ue", spelled):
        spelled = spelled[0] + "ve"
    stem = spelled.removesuffix("r")
    return _NEAREST.get(stem, stem) + spelled[len(stem) :]


@lru_cache(maxsize=8192)
def phones_from_syllable(pinyin: str) -> tuple[tuple[str, str], str]:
    """A numbered syllable's two phones and its tone: `huar1` -> ((`h_c`, `uar_c`), `tone1`).

    Raises:
        InputError: the tone is missing or the syllable is not in the table.
    """
    cleaned = clean_pinyin(pinyin).replace("ü", "v").replace("u:", "v").replace("ê", "e")
    match = _TONE.fullmatch(cleaned)
    if match is None or match[2] not in "12345":
        raise InputError(
            f"{pinyin!r} is no pinyin syllable with a tone digit; write it like 'chong2' "
            "(tones 1 to 4, 5 for the neutral tone)"
        )
    phones = syllable_table().get(spell_syllable(match[1]))
    if phones is None:
        raise InputError(
            f"the syllable {pinyin!r} does not exist in the voices' pinyin table; "
            "check its spelling"
        )
    return phones, f"tone{match[2]}"


def _final_phone(initial: str, final: str) -> str:
    stem, erhua = (final[:-1], "r") if final.endswith("r") and final != "er" else (final, "")
    if stem == "i" and initial in ("zh", "ch", "sh", "r"):
        stem = "ih"
    elif stem == "i" and initial in ("z", "c", "s"):
        stem = "ii"
    return {"iu": "iou", "ui": "uei", "un": "uen"}.get(stem, stem) + erhua
