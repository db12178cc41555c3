"""The averaged weights of two trainings, with what their dataset says, as one voice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .acoustic_task import EMOTIONS, AcousticSizes, voice_vocabulary
from .checkpoints import Checkpoint, checkpoint_of_run
from .dataset import Dataset
from .untrained import untrained_units
from .vocoder import VocoderSizes
from .voice_files import Heard, TrainedVoice

__all__ = ["trained_voice_from_runs"]


def trained_voice_from_runs(acoustic: Path, vocoder: Path, dataset: Path) -> TrainedVoice:
    """The voice of the newest checkpoints of two trainings.

    Args:
        acoustic, vocoder: folders of the trainings.
        dataset: what both learned from.

    Raises:
        SourceError: a folder holds no checkpoint, or one of the other model.
        InputError: no dataset, or one of the two learned from another.
    """
    opened = Dataset.open(dataset)
    speaking = checkpoint_of_run(acoustic, "acoustic", opened.fingerprint)
    sounding = checkpoint_of_run(vocoder, "vocoder", opened.fingerprint)
    facts = opened.settings
    names = [EMOTIONS + one.name for one in facts.emotions]
    terms = voice_vocabulary(facts.speaker)
    return TrainedVoice(
        sambert=AcousticSizes(**speaking.settings["sizes"]).config(),
        hifigan=VocoderSizes(**sounding.settings["sizes"]).config(facts.sampling_rate),
        acoustic=speaking.average,
        vocoder=sounding.average,
        steps=(speaking.step, sounding.step),
        rate=facts.sampling_rate,
        speaker=facts.speaker,
        f0=(facts.f0_mean, facts.f0_std),
        untrained=_still_untrained(
            untrained_units(terms, _lines(opened), names), speaking.settings["untrained_before"]
        ),
        attribution=facts.attribution,
        heard=_heard(sounding),
        began_with=(_begun_with(speaking), _begun_with(sounding)),
    )


def _begun_with(run: Checkpoint) -> str | None:
    voice: str | None = run.settings["learning"]["begin_with"]
    return voice and Path(voice).resolve().name


def _still_untrained(
    now: dict[str, list[str]], before: Mapping[str, Sequence[str]] | None
) -> dict[str, list[str]]:
    """What this training had too seldom and the voice it began with, if any, had not learned."""
    if before is None:
        return now
    return {field: [n for n in names if n in before.get(field, ())] for field, names in now.items()}


def _heard(vocoder: Checkpoint) -> tuple[Heard, ...]:
    parts = vocoder.history
    ends = [*(part["after"] for part in parts[1:]), vocoder.step]
    return tuple(
        Heard(part["after"] + 1, end, **part["had"])
        for part, end in zip(parts, ends, strict=True)
        if part["had"] and end > part["after"]
    )


def _lines(dataset: Dataset) -> Iterator[NDArray[np.int64]]:
    """The symbols of every sentence that was trained on."""
    for index in range(len(dataset)):
        if not dataset.held_out[index]:
            yield dataset[index].ling
