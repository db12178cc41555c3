"""The closed front end ttsfrd, where it is installed and asked for.

It runs on Linux and Python up to 3.10, wants the resource folder that came with a ModelScope voice,
and writes lines of symbols. Imports it only when it is opened.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, cast

from sambert_trt.engines.errors import InputError

from .sentence import Sentence, Symbol
from .split import sentences_from_text
from .ssml import begins_as_ssml
from .symbols import fields_from_units, sentence_from_symbols

__all__ = ["TtsfrdEngine", "TtsfrdFrontend", "open_ttsfrd"]

_SPEAKER = "F7"
"""The speaker that it writes whatever the voice is: a place to fill in, not a choice."""
_UNTOLD = frozenset(("emotion_none", "emotion_neutral", "none", "neutral"))
"""Emotions that it writes where the text names none."""


class TtsfrdEngine(Protocol):
    """What is used of the engine."""

    def gen_tacotron_symbols(self, text: str) -> str:
        """Lines of `<sentence index>TAB<symbols>`."""


def open_ttsfrd(resource: str | os.PathLike[str], language: str) -> TtsfrdEngine:
    """The engine with its resources read.

    Args:
        resource: the folder that the archive `resource.zip` of a ModelScope voice unpacks to.
        language: the voice's, as its configuration spells it.

    Raises:
        InputError: it is not installed, or cannot use the folder.
    """
    try:
        module = importlib.import_module("ttsfrd")
    except ImportError as error:
        raise InputError(
            f"ttsfrd cannot be used ({error}): it is closed, and made for Linux and Python up to "
            "3.10 only; install its wheel, or leave --front-end out for the open front end"
        ) from error
    folder = Path(resource)
    if not folder.is_dir():
        raise InputError(
            f"{folder} is no folder: ttsfrd needs the unpacked resource.zip of a ModelScope voice"
        )
    engine = module.TtsFrontendEngine()
    for made in (engine.initialize(str(folder)), engine.set_lang_type(language.lower())):
        if made is False:
            raise InputError(
                f"ttsfrd does not take the resources in {folder} for the language {language}: "
                "give the folder that came with this voice"
            )
    return cast(TtsfrdEngine, engine)


class TtsfrdFrontend:
    """Reads text for a voice with these unit tables through an engine.

    The speaker it writes is dropped, and so are emotions that mean none: the request decides.
    """

    def __init__(self, units: Mapping[str, Sequence[str]], engine: TtsfrdEngine) -> None:
        self._fields, self._engine = fields_from_units(units), engine

    def sentences(self, text: str | Iterable[str]) -> Iterator[Sentence]:
        """Yields sentences as the text arrives; SSML goes to the engine in one piece.

        Raises:
            InputError: the engine wrote what is no line of symbols.
        """
        for written in _pieces(text):
            for line in self._engine.gen_tacotron_symbols(written).splitlines():
                symbols = line.rpartition("\t")[2]
                if symbols.strip():
                    yield self._sentence(written, symbols)

    def _sentence(self, written: str, line: str) -> Sentence:
        try:
            read = sentence_from_symbols(line, self._fields)
        except InputError as error:
            raise InputError(f"ttsfrd read {written[:40]!r} as no symbols: {error}") from error
        return Sentence(written, tuple(_undecided(symbol) for symbol in read.symbols))


def _pieces(text: str | Iterable[str]) -> Iterator[str]:
    ssml, pieces = begins_as_ssml([text] if isinstance(text, str) else text)
    yield from ["".join(pieces)] if ssml else sentences_from_text(pieces)


def _undecided(symbol: Symbol) -> Symbol:
    return replace(
        symbol,
        speaker=None if symbol.speaker == _SPEAKER else symbol.speaker,
        emotion=None if symbol.emotion in _UNTOLD else symbol.emotion,
    )
