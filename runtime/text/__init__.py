"""Text to the symbols a voice reads. Numpy-free; heavy tables are read at first use."""

from .frontend import MandarinFrontend
from .sentence import Sentence, Symbol
from .symbols import (
    fields_from_units,
    ids_from_sentence,
    sentence_from_symbols,
    sentences_from_symbol_text,
)

__all__ = [
    "MandarinFrontend",
    "Sentence",
    "Symbol",
    "fields_from_units",
    "ids_from_sentence",
    "sentence_from_symbols",
    "sentences_from_symbol_text",
]
