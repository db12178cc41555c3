"""Text to sentences of symbols, one at a time: the whole front end of a Mandarin voice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from sambert_trt.engines.errors import InputError

from .cuts import cut_normalized
from .normalize import normalize_text
from .pronounce import apply_sandhi, merge_erhua, words_from_text
from .prosody import symbols_from_words
from .reading import Normalized, Origin
from .sentence import Sentence, Symbol
from .split import LONGEST_SENTENCE, sentences_from_text
from .symbols import BYTE_FIELDS, fields_from_units

__all__ = ["MandarinFrontend", "sentence_from_bytes"]

_LANGUAGE = "PinYin"
_NAMES = frozenset(("pinyin", "zh-cn", "zhcn"))


class MandarinFrontend:
    """Reads text for a voice with these unit tables; creating it costs nothing.

    `sandhi` off keeps lexical tones, for a voice that was trained on them.

    Raises:
        InputError: the voice's language has no text front end, or its tables are unknown.
    """

    def __init__(
        self,
        units: Mapping[str, Sequence[str]],
        language: str = _LANGUAGE,
        *,
        sandhi: bool = True,
        longest: int = LONGEST_SENTENCE,
    ) -> None:
        self._bytes = fields_from_units(units) == BYTE_FIELDS
        if not self._bytes and language.strip().lower() not in _NAMES:
            raise InputError(
                f"text input is for Mandarin ({_LANGUAGE}) voices, this voice speaks {language}; "
                "give it symbols instead of text"
            )
        self._phones = frozenset(units.get("sy", ()))
        self._sandhi = sandhi
        self._longest = longest

    def sentences(self, text: str | Iterable[str]) -> Iterator[Sentence]:
        """Yields sentences as the text arrives; nothing where nothing can be said.

        A sentence has about 200 symbols at most. Text without words (punctuation, emoji) is
        passed over.

        Raises:
            InputError: the pronunciation dictionaries are missing.
        """
        for written in sentences_from_text(text, self._longest):
            if self._bytes:
                yield from _spoken(sentence_from_bytes(written))
            else:
                yield from self._read(written)

    def _read(self, written: str) -> Iterator[Sentence]:
        text = normalize_text(written)
        whole = Normalized(text, (Origin(0, len(written)),) * len(text))
        pieces = [part.text for part in cut_normalized(whole, self._longest)]
        for piece in pieces:
            symbols = self._symbols(piece)
            if symbols:
                yield Sentence(written if len(pieces) == 1 else piece, symbols)

    def _symbols(self, normalized: str) -> tuple[Symbol, ...]:
        words = words_from_text(normalized)
        spoken = apply_sandhi(words) if self._sandhi else words
        return symbols_from_words(merge_erhua(spoken, self._phones), self._phones)


def sentence_from_bytes(text: str) -> Sentence:
    """The UTF-8 bytes of a text as the symbols of a byte voice; none where it has no letter."""
    spoken = any(character.isalnum() for character in text)
    encoded = text.encode("utf-8", "ignore") if spoken else b""
    return Sentence(text, tuple(Symbol((str(byte),)) for byte in encoded))


def _spoken(sentence: Sentence) -> Iterator[Sentence]:
    if sentence.symbols:
        yield sentence
