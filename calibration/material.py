"""The material of a calibration: texts to record, and other sentences to judge and time by.

May import the runtime, which reads the texts.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from sambert_trt.engines.errors import InputError
from sambert_trt.engines.manifest import VoiceManifest
from sambert_trt.runtime.styles import Style
from sambert_trt.runtime.text.sentence import Sentence
from sambert_trt.runtime.text.symbols import fields_from_units, sentences_from_symbol_text
from sambert_trt.runtime.voice import open_voice

from .texts import calibration_texts, spread, styles

__all__ = ["Material", "divided_texts"]

_LOG = logging.getLogger(__name__)
_TIMED = 4


@dataclass(frozen=True)
class Material:
    """What a voice is calibrated with.

    Attributes:
        recorded: texts, or symbol lines, that ranges come from; `styles` are taken in turn.
        timed: those the whole voice is timed with.
        judged: the sentences it is judged by; the first are neither the longest nor the shortest,
            because a few of them have to do for a first impression.
        source: where the texts come from, in words.
    """

    recorded: tuple[str, ...]
    timed: tuple[str, ...]
    judged: tuple[Sentence, ...]
    styles: tuple[Style, ...]
    source: str

    @property
    def digest(self) -> str:
        """Of what is recorded: other texts make another recording."""
        text = repr((self.recorded, self.styles))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def divided_texts(
    directory: Path,
    manifest: VoiceManifest,
    path: Path | None,
    *,
    symbols: bool,
    recorded: int,
    judged: int,
) -> Material:
    """The texts, divided: nothing is judged by what its ranges come from.

    Args:
        directory, manifest: the voice that reads them.
        path: a file of texts; None takes the project's own.
        symbols: the file holds symbol lines.
        recorded, judged: how many there are to be, at most.

    Raises:
        InputError: the file cannot be used, or the voice reads none of the texts to judge by.
    """
    texts = calibration_texts(path)
    symbols_of = _units if symbols else None
    count = min(judged, max(1, len(texts) // 3))
    heard = spread(texts, count, 1, symbols_of)
    others = [text for text in texts if text not in heard]
    if not others:
        _LOG.warning(
            "%d of the texts are both recorded and judged by: what is heard of them says little of "
            "others; give 20 or more",
            len(heard),
        )
        others = list(texts)
    sentences = _sentences(directory, manifest, heard, symbols=symbols)
    return Material(
        recorded=spread(others, recorded, 0, symbols_of),
        timed=heard[:_TIMED],
        judged=_middle_first(sentences),
        styles=styles(manifest),
        source=str(path or "the project's own Mandarin sentences"),
    )


def _middle_first(sentences: Sequence[Sentence]) -> tuple[Sentence, ...]:
    """Sentences by how far from the middle their length is."""
    ordered = sorted(sentences, key=lambda sentence: len(sentence.symbols))
    middle = len(ordered) // 2
    return tuple(ordered[n] for n in sorted(range(len(ordered)), key=lambda n: abs(n - middle)))


def _units(line: str) -> frozenset[Hashable]:
    return frozenset(line.split())


def _sentences(
    directory: Path, manifest: VoiceManifest, texts: Sequence[str], *, symbols: bool
) -> tuple[Sentence, ...]:
    """What a voice makes of texts; of one that is several sentences, the first."""
    with open_voice(directory, threads=1) as voice:
        fields = fields_from_units(manifest.units)

        def first(text: str) -> Sequence[Sentence]:
            read = sentences_from_symbol_text(text, fields) if symbols else voice.sentences(text)
            try:
                return tuple(islice(read, 1))
            except InputError as error:
                _LOG.warning("%r is not judged by: %s", text[:40], error)
                return ()

        found = [sentence for text in texts for sentence in first(text)]
    if not found:
        raise InputError(
            "the voice reads none of the texts that it would be judged by: give others with "
            "--texts, or symbol lines with --texts and --symbols"
        )
    return tuple(found)
