"""Text to the symbols a voice reads. Numpy-free; heavy tables are read at first use."""

from .frontend import MandarinFrontend
from .options import Breaks, English, ReadingOptions
from .reading import Reading, Word
from .rules import ALL_RULES, Rules, rules_without
from .sentence import Sentence, Symbol
from .symbols import (
    fields_from_units,
    ids_from_sentence,
    sentence_from_symbols,
    sentences_from_symbol_text,
)
from .user_lexicon import UserLexicon

__all__ = [
    "ALL_RULES",
    "Breaks",
    "English",
    "MandarinFrontend",
    "Reading",
    "ReadingOptions",
    "Rules",
    "Sentence",
    "Symbol",
    "UserLexicon",
    "Word",
    "fields_from_units",
    "ids_from_sentence",
    "rules_without",
    "sentence_from_symbols",
    "sentences_from_symbol_text",
]
