"""What a voice is given to say: lines of its symbols, from its own front end or by chance.

By chance where the front end reads no text of the voice's language; the report says which.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from bench import SENTENCE, TEXT
from soak import generated_sentences

from sambert_trt.engines.errors import SambertError
from sambert_trt.engines.manifest import VoiceManifest
from sambert_trt.runtime.text import MandarinFrontend
from sambert_trt.runtime.text.symbols import fields_from_units

__all__ = ["Phrase", "Words"]

_RESERVED = ("_", "~", "[MASK]")
_USUAL = 46
_SHORT = (4, 14)


@dataclass(frozen=True)
class Phrase:
    """Something to say: `voice.say(phrase.text, symbols=phrase.symbols)`; one of them is None."""

    text: str | None = None
    symbols: str | None = None


class Words:
    """Lines of symbols for one voice; the same ones for the same seeds."""

    def __init__(self, manifest: VoiceManifest) -> None:
        self._manifest = manifest
        self._frontend = _frontend(manifest)
        self.source = "the text front end" if self._frontend else "random symbols"
        self._read = [] if self._frontend is None else self._symbols_of(TEXT)

    def line(self, count: int, seed: int = 0) -> str:
        """A sentence of so many symbols."""
        if not self._read:
            return self._random_line(count, seed)
        start = seed * 17 % len(self._read)
        ring = itertools.cycle(self._read)
        return self._joined(list(itertools.islice(ring, start, start + count)))

    def sentence(self) -> str:
        """A usual sentence: of 20 syllables, or of 46 random symbols."""
        if self._frontend is None:
            return self._random_line(_USUAL, 0)
        return self._joined(self._symbols_of(SENTENCE))

    def phrase(self) -> Phrase:
        """The usual sentence as users give it: as text, where that can be read."""
        if self._frontend is None:
            return Phrase(symbols=self.sentence())
        return Phrase(text=SENTENCE)

    def passage(self, sentences: int) -> Phrase:
        """The first so many of eight sentences, likewise."""
        if self._frontend is None:
            return Phrase(symbols="\n".join(self.text(sentences)))
        return Phrase(text="".join(_sentences()[:sentences]))

    def short(self, count: int, seed: int = 0) -> list[str]:
        """So many different short sentences."""
        if self._frontend is None:
            sizes = np.random.default_rng(seed).integers(*_SHORT, count)
            return [self._random_line(int(size), seed + i) for i, size in enumerate(sizes)]
        texts = itertools.islice(generated_sentences(seed), count)
        return [self._joined(self._symbols_of(text)) for text in texts]

    def text(self, sentences: int = 8) -> list[str]:
        """So many sentences; those of a text of eight, as often as needed."""
        if self._frontend is None:
            lines = [self._random_line(_USUAL, seed) for seed in range(8)]
        else:
            lines = [self._joined(self._symbols_of(part)) for part in _sentences()]
        return list(itertools.islice(itertools.cycle(lines), sentences))

    def _symbols_of(self, text: str) -> list[tuple[str, ...]]:
        assert self._frontend is not None
        return [s.units for sentence in self._frontend.sentences(text) for s in sentence.symbols]

    def _random_line(self, count: int, seed: int) -> str:
        rng = np.random.default_rng(seed)
        fields = fields_from_units(self._manifest.units)
        known = [_speakable(self._manifest.units[field]) for field in fields]
        rows = [[names[rng.integers(len(names))] for names in known] for _ in range(count)]
        return self._joined([tuple(row) for row in rows])

    def _joined(self, rows: Sequence[tuple[str, ...]]) -> str:
        style = (self._manifest.default_emotion, self._manifest.default_speaker)
        return " ".join("{" + "$".join((*row, *style)) + "}" for row in rows)


def _sentences() -> list[str]:
    return [part + "。" for part in TEXT.split("。") if part]


def _frontend(manifest: VoiceManifest) -> MandarinFrontend | None:
    try:
        frontend = MandarinFrontend(manifest.trained_units, manifest.language)
        next(iter(frontend.sentences("好")), None)
    except SambertError:
        return None
    return frontend


def _speakable(names: Sequence[str]) -> list[str]:
    return [name for name in names if name not in _RESERVED]
