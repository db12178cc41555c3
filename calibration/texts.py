"""What a voice is calibrated by: texts, a balanced choice of them, and the styles they are said in.

The project's own texts lie in data/mandarin.txt. Imports the runtime's front end, no graphs.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from random import Random

from sambert_trt.engines.errors import InputError
from sambert_trt.engines.manifest import VoiceManifest
from sambert_trt.runtime.styles import RESERVED, Style
from sambert_trt.runtime.text import MandarinFrontend
from sambert_trt.runtime.text.phones import syllable_table

__all__ = ["FEWEST", "calibration_texts", "spread", "styles", "symbols_of_text"]

_LOG = logging.getLogger(__name__)

FEWEST = 20
"""With fewer sentences, ranges miss sounds: a warning says so."""

_OWN = Path(__file__).parent / "data" / "mandarin.txt"
_BANDS = 8
_PLACEHOLDER = "emotion_placeholder"

_TRAINED = tuple(
    f"emotion_{name}" for name in ("happy", "angry", "sad", "fear", "hate", "surprise")
)
"""What the published voices were trained to express; their other rows of the table are noise."""

_PLAIN = (1.0, 0.0)
_PACES = (_PLAIN, (1.1, 0.0), _PLAIN, (0.9, 0.0), _PLAIN, (1.0, 0.5), (1.0, -0.5))
"""Speed and pitch: an odd number of them, since styles come in pairs."""

_LETTERS = """
aa ae ah ao aw ay b ch d dh eh er ey f g hh ih iy jh k l m n ng ow oy p r s sh t th uh uw v w y z zh
"""
"""The phones of Latin letters, ARPAbet's without stress, as voices write them."""

SymbolsOf = Callable[[str], Collection[Hashable]]


def calibration_texts(path: Path | None = None) -> tuple[str, ...]:
    """The texts to calibrate by: one a line, blank lines and those that begin with # left out.

    A line that stands there twice counts once. Of fewer than 20 texts a warning is logged.

    Args:
        path: a UTF-8 file; None takes the project's own Mandarin sentences.

    Raises:
        InputError: the file cannot be read, is not in UTF-8, or holds no text.
    """
    source = _OWN if path is None else path
    lines = [line.strip() for line in _content(source).splitlines()]
    texts = tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if not texts:
        raise InputError(f"{source} holds no text: write one sentence a line")
    if len(texts) < FEWEST:
        _LOG.warning(
            "%s holds %d texts: sounds that they lack may be clipped in int8; use %d or more",
            source,
            len(texts),
            FEWEST,
        )
    return texts


def spread(
    texts: Sequence[str], count: int, seed: int = 0, symbols_of: SymbolsOf | None = None
) -> tuple[str, ...]:
    """So many of the texts, balanced over symbols and lengths, in an order that says nothing.

    Up to half are those that add most symbols nobody before them had; the others come from short,
    middling and long texts alike. The same arguments give the same texts.

    Args:
        texts: to choose from.
        count: how many; all of them where there are no more.
        seed: of the order, which decides between equals.
        symbols_of: what a text should be valued for; None takes `symbols_of_text`.

    Raises:
        InputError: a count below 1.
    """
    if count < 1:
        raise InputError(f"{count} calibration texts asked for: needs 1 or more")
    random = Random(seed)
    distinct = list(dict.fromkeys(texts))
    shuffled = random.sample(distinct, len(distinct))
    if count >= len(shuffled):
        return tuple(shuffled)
    valued = {text: frozenset((symbols_of or symbols_of_text)(text)) for text in shuffled}
    chosen = list(islice(_covering(shuffled, valued), (count + 1) // 2))
    chosen += islice(_level(shuffled, chosen), count - len(chosen))
    return tuple(random.sample(chosen, len(chosen)))


def styles(manifest: VoiceManifest) -> tuple[Style, ...]:
    """The styles that calibration goes through, one text after the other, again and again.

    The voice's default comes first. Half are its default emotion, by every speaker in turn; of the
    others, half are emotions that published voices were trained on, which so come more often than
    the rest. Every speaker and every emotion that has a name is there; placeholders and padding are
    not. In more than half, speed or pitch is a little off 1 or 0.
    """
    named = [name for name in manifest.trained_emotions if name not in RESERVED]
    others = [
        name
        for name in named
        if name != manifest.default_emotion and not name.startswith(_PLACEHOLDER)
    ]
    moods = _interleaved(
        [name for name in _TRAINED if name in others],
        [name for name in others if name not in _TRAINED],
    )
    speakers = _speakers(manifest)
    rounds = max(len(moods), len(speakers))
    speaking = [speakers[number % len(speakers)] for number in range(rounds)]
    found: list[Style] = []
    for number, speaker in enumerate(speaking):
        found.append(_style(speaker, None, 2 * number))
        if moods:
            found.append(_style(speaker, moods[number % len(moods)], 2 * number + 1))
    return tuple(found)


def symbols_of_text(text: str) -> frozenset[Hashable]:
    """The phones with their tones that the front end reads in a text."""
    sentences = _frontend().sentences(text)
    return frozenset(symbol.units[:2] for sentence in sentences for symbol in sentence.symbols)


@cache
def _frontend() -> MandarinFrontend:
    phones = {phone for syllable in syllable_table().values() for phone in syllable}
    rest = dict.fromkeys(("tone", "syllable_flag", "word_segment"), ())
    return MandarinFrontend({"sy": sorted({*phones, *_LETTERS.split()}), **rest})


def _content(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"the texts in {path} cannot be read: {error.strerror}") from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path} is not UTF-8 (line {line}): save it as UTF-8, one sentence a line"
        ) from error


def _covering(texts: Sequence[str], valued: Mapping[str, frozenset[Hashable]]) -> Iterator[str]:
    """The texts that add most symbols, one after the other, until none adds any."""
    seen: set[Hashable] = set()
    left = list(texts)
    while left:
        best = max(left, key=lambda text: len(valued[text] - seen))
        if valued[best] <= seen:
            return
        seen |= valued[best]
        left.remove(best)
        yield best


def _level(texts: Sequence[str], chosen: Collection[str]) -> Iterator[str]:
    """The texts not chosen yet, each from the band of lengths that has least so far."""
    ranked = sorted(texts, key=len)
    band = {text: number * _BANDS // len(ranked) for number, text in enumerate(ranked)}
    filled = Counter(band[text] for text in chosen)
    waiting: dict[int, list[str]] = {}
    for text in texts:
        if text not in chosen:
            waiting.setdefault(band[text], []).append(text)
    while waiting:
        least = min(waiting, key=lambda number: (filled[number], number))
        filled[least] += 1
        yield waiting[least].pop()
        if not waiting[least]:
            del waiting[least]


def _interleaved(trained: Sequence[str], others: Sequence[str]) -> list[str]:
    """One of each in turn until all have come; of the shorter kind several times."""
    if not trained or not others:
        return [*trained, *others]
    rounds = max(len(trained), len(others))
    pairs = zip(islice(cycle(trained), rounds), islice(cycle(others), rounds), strict=True)
    return [name for pair in pairs for name in pair]


def _speakers(manifest: VoiceManifest) -> list[str | None]:
    """The default as None, then the others."""
    known = [name for name in manifest.speakers if name and name not in RESERVED]
    return [None, *(name for name in known if name != manifest.default_speaker)]


def _style(speaker: str | None, emotion: str | None, number: int) -> Style:
    speed, pitch = _PACES[number % len(_PACES)]
    return Style(speaker=speaker, emotion=emotion, speed=speed, pitch=pitch)
