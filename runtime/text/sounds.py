"""English spelling to sounds by rule, for words that no dictionary has. Standard library only."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["arpabet_from_spelling"]

_RULES = """
^kn N | ^wr R | ^ps S | ^x Z | ^gn N | ^y Y | ^wh W | ^sch SH
tion SH AH N | sion ZH AH N | cian SH AH N | cious SH AH S | tious SH AH S | ture$ CH ER
ough$ OW | ought AO T | igh AY | eigh EY | tch CH | dge JH | sch S K | que$ K | gue$ G
ch CH | sh SH | th TH | ph F | wh W | ck K | qu K W | gh(?![aeiou]) | ng$ NG | ng(?=[^aeiour]) NG
nk NG K | nx NG K S | sce S EH | sci S AY | cc(?=[eiy]) K S | x K S | mb$ M | gn$ N
eer IH R | ear IH R | air EH R | are$ EH R | ire$ AY ER | ore$ AO R | ure$ Y UH R | oor AO R
our AO R | oar AO R | ee IY | ea IY | oo UW | ou AW | ow$ OW | ow AW | oi OY | oy OY | ai EY
ay EY | au AO | aw AO | ei EY | ey$ IY | ey EY | ie$ IY | ie IY | oa OW | oe$ OW | ue$ UW | ew UW
eu Y UW | ui UW | io IY OW | ia IY AH | iu IY AH | eo IY OW
le(?=s?$)(?<=[bcdfgkpstz]le) AH L | er(?![aeiou]) ER | ir(?![aeiou]) ER | ur(?![aeiou]) ER
ar(?![aeiour]) AA R | or(?![aeiour]) AO R
a(?=[bcdfgklmnpstvz]e$) EY | e(?=[cdklmnpstvz]e$) IY | i(?=[bcdfgklmnpstvz]e$) AY
o(?=[bcdfgklmnpstvz]e$) OW | u(?=[bcdfgklmnpstvz]e$) UW
a$ AH | e$(?<=[^aeiouy]e) | ed$(?<=[td]ed) IH D | ed$ D | i$ IY | o$ OW | u$ UW | y$ IY
a AE | e EH | i IH | o AA | u AH | y(?=[aeiou]) Y | y IH
bb B | cc K | dd D | ff F | gg G | jj JH | kk K | ll L | mm M | nn N | pp P | rr R | ss S | tt T
vv V | zz Z | c(?=[eiy]) S | ge$ JH | g(?=[ey]) JH | s$(?<=[aeioubdglmnrvwy]s) Z
s(?<=[aeiou]s)(?=[aeiou]) Z
b B | c K | d D | f F | g G | h HH | j JH | k K | l L | m M | n N | p P | q K | r R | s S | t T
v V | w W | z Z
"""
"""What letters sound like, the first rule that fits: a pattern, and its phones."""


def arpabet_from_spelling(word: str) -> str:
    """A guess at the sounds of a lower-case word: ARPAbet with one stress; may lack a vowel."""
    phones: list[str] = []
    place = 0
    while place < len(word):
        pattern, sounds = next(
            (match, sounds)
            for rule, sounds in _rules()
            if (match := rule.match(word, place)) is not None
        )
        phones += sounds
        place = pattern.end()
    return " ".join(_stressed(phones))


@lru_cache(maxsize=1)
def _rules() -> tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]:
    rules = (rule.split() for line in _RULES.strip().splitlines() for rule in line.split("|"))
    return tuple((re.compile(pattern), tuple(sounds)) for pattern, *sounds in rules)


def _stressed(phones: list[str]) -> list[str]:
    """The third vowel from the end is stressed, the second before `-tion`, else the first."""
    vowels = [i for i, phone in enumerate(phones) if phone[0] in "AEIOU"]
    before_ending = phones[-3:] in (["SH", "AH", "N"], ["ZH", "AH", "N"])
    back = 2 if before_ending else 3
    stressed = vowels[max(len(vowels) - back, 0)] if vowels else -1
    return [
        f"{phone}{int(i == stressed)}" if phone[0] in "AEIOU" else phone
        for i, phone in enumerate(phones)
    ]
