"""How a request wants its text read: one type from the command line to the front end.

What a voice is stands in its manifest; what a request wants of the reading stands here.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from typing import TYPE_CHECKING, TypedDict, TypeVar

from sambert_trt.engines.errors import InputError

from .rules import ALL_RULES, Rules
from .user_lexicon import UserLexicon

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Breaks", "English", "ReadingKeywords", "ReadingOptions", "options_from_keywords"]


class Breaks(Enum):
    """How breaks are set where nothing is written.

    `phrases`: a one-syllable word in the neutral tone leans on the one before, `#2` parts what is
    longer than some seven syllables, `#3` what is longer than twenty, and short items of a list
    are parted by `#2`. `words`: `#1` after each word, `#3` at each pause mark, nothing else, for
    voices that learned no more.
    """

    PHRASES = "phrases"
    WORDS = "words"


class English(Enum):
    """What Latin words are said with.

    `auto`: with English phones where the voice has them, else with Chinese syllables. `chinese`:
    with Chinese syllables, for voices that list English phones and never learned them.
    """

    AUTO = "auto"
    CHINESE = "chinese"


Choice = TypeVar("Choice", bound=Enum)


@dataclass(frozen=True)
class ReadingOptions:
    """How a text is to be read.

    Attributes:
        ssml: whether it is SSML; None looks whether it begins as such.
        strict: what SSML or short forms hold that is unknown or not closed is an error, not a
            warning.
        lexicon: readings of words that win over the dictionaries.
        rules: those of the normalisation that are to work.
        breaks: how breaks are set where nothing is written.
        english: what Latin words are said with.
    """

    ssml: bool | None = None
    strict: bool = False
    lexicon: UserLexicon | None = None
    rules: Rules = ALL_RULES
    breaks: Breaks = Breaks.PHRASES
    english: English = English.AUTO

    @property
    def asked(self) -> tuple[str, ...]:
        """The names of what is not as usual."""
        usual = ReadingOptions()
        names = (field.name for field in fields(self))
        return tuple(name for name in names if getattr(self, name) != getattr(usual, name))


class ReadingKeywords(TypedDict, total=False):
    """The same as keywords of a call; choices also by name, and None is as usual."""

    ssml: bool | None
    strict: bool
    lexicon: UserLexicon | None
    rules: Rules | None
    breaks: Breaks | str
    english: English | str


def options_from_keywords(**given: Unpack[ReadingKeywords]) -> ReadingOptions:
    """The options that keywords ask for.

    Raises:
        InputError: a choice that there is not.
        TypeError: a keyword that there is not.
    """
    unknown = sorted(given.keys() - ReadingKeywords.__annotations__.keys())
    if unknown:
        raise TypeError(
            f"unexpected keyword {', '.join(unknown)}: how text is read is said with "
            + ", ".join(ReadingKeywords.__annotations__)
        )
    rules = given.get("rules")
    return ReadingOptions(
        ssml=given.get("ssml"),
        strict=given.get("strict", False),
        lexicon=given.get("lexicon"),
        rules=ALL_RULES if rules is None else rules,
        breaks=_choice("breaks", Breaks, given.get("breaks", Breaks.PHRASES)),
        english=_choice("english", English, given.get("english", English.AUTO)),
    )


def _choice(name: str, kind: type[Choice], value: Choice | str) -> Choice:
    try:
        return kind(value)
    except ValueError:
        known = " or ".join(choice.value for choice in kind)
        raise InputError(f"{name} {value!r}: needs {known}") from None
