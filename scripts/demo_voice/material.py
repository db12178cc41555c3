"""The sentences a voice is measured with: held out of training, in every emotion. Numpy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sambert_trt.engines.errors import InputError

if TYPE_CHECKING:
    from .dataset import Dataset, Utterance

__all__ = ["Material", "material_from_dataset"]


@dataclass(frozen=True)
class Material:
    """What a voice is measured with.

    Attributes:
        rate: hertz.
        hop: samples of a frame.
        corpus: whose recordings they are.
        neutral: the sentences as they were recorded.
        pitch: by each other emotion, the factor by which recordings were resampled for it.
        shifted: the recordings in that emotion, one for each of `neutral` or None.
    """

    rate: int
    hop: int
    corpus: str
    neutral: list[Utterance]
    pitch: dict[str, float]
    shifted: dict[str, list[Utterance | None]]
    plain: str = "neutral"


def material_from_dataset(dataset: Dataset, sentences: int) -> Material:
    """Held-out sentences, spread evenly over the dataset.

    Args:
        dataset: what `prepare` wrote.
        sentences: how many; all where there are fewer.

    Raises:
        InputError: fewer than one asked for, nothing is held out, or no emotion is unshifted.
    """
    if sentences < 1:
        raise InputError(f"{sentences} sentences asked for: needs 1 or more")
    settings = dataset.settings
    pitch = {one.name: float(one.pitch) for one in settings.emotions}
    plain = next((name for name, factor in pitch.items() if factor == 1.0), None)
    if plain is None:
        raise InputError(f"the dataset has the emotions {', '.join(pitch)}, none of them unshifted")
    found = _held_out(dataset, list(pitch))
    chosen = _spread(found[plain], sentences)
    del pitch[plain]
    shifted = {name: [found[name].get(text) for text in chosen] for name in pitch}
    neutral = list(chosen.values())
    return Material(
        settings.sampling_rate, settings.hop, settings.attribution, neutral, pitch, shifted, plain
    )


def _held_out(dataset: Dataset, names: list[str]) -> dict[str, dict[str, Utterance]]:
    """Sentences by emotion and text."""
    found: dict[str, dict[str, Utterance]] = {name: {} for name in names}
    for index in range(len(dataset)):
        if dataset.held_out[index]:
            utterance = dataset[index]
            found[names[utterance.emotion]][utterance.text] = utterance
    return found


def _spread(found: dict[str, Utterance], wanted: int) -> dict[str, Utterance]:
    if not found:
        raise InputError("the dataset holds no sentence out of training; prepare it again")
    texts, count = list(found), min(len(found), wanted)
    return {text: found[text] for text in (texts[i * len(texts) // count] for i in range(count))}
