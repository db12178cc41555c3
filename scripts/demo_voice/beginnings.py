"""What a training begins with, where that is not chance: the weights of another voice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from torch import nn

from sambert_trt.engines.errors import InputError
from sambert_trt.export.config import Vocabulary
from sambert_trt.export.hifigan import Generator
from sambert_trt.export.sambert import FLEXIBLE_ROWS, Sambert
from sambert_trt.export.source import voice_sources_from_path
from sambert_trt.export.voice_export import LoadedVoice, load_voice

from .checkpoints import differences, listed

__all__ = ["begin_acoustic", "begin_vocoder"]


def begin_acoustic(model: Sambert, terms: Vocabulary, voice: Path) -> dict[str, list[str]]:
    """Gives a model the weights of the acoustic model of a KAN-TTS or ModelScope voice.

    Args:
        terms: the id tables of the model.

    Returns:
        By field, the names that the voice has not learned either.

    Raises:
        SourceError: the voice cannot be read.
        InputError: its acoustic model has other sizes or id tables.
    """
    found = _loaded(voice)
    theirs = found.settings.vocabulary
    # The rows of the position table do not count: they are a formula.
    config = replace(found.model.config, max_len=model.config.max_len)
    other = differences(asdict(config), asdict(model.config))
    other += [
        f"{what} differ"
        for what, there, here in (
            ("the symbols", theirs.units, terms.units),
            ("the emotions", theirs.emotions, terms.emotions),
        )
        if there != here
    ]
    if len(theirs.speakers) != len(terms.speakers):
        other.append(f"speakers have {len(theirs.speakers)} rows, not {len(terms.speakers)}")
    _refuse(voice, "acoustic model", other)
    _copy(found.model, model, FLEXIBLE_ROWS)
    return {field: list(names) for field, names in theirs.untrained.items()}


def begin_vocoder(generator: Generator, voice: Path) -> None:
    """Gives a generator the weights of the vocoder of a KAN-TTS or ModelScope voice.

    Raises:
        SourceError: the voice cannot be read.
        InputError: its vocoder has other sizes.
    """
    found = _loaded(voice).generator
    _refuse(voice, "vocoder", differences(asdict(found.config), asdict(generator.config)))
    _copy(found, generator)


def _loaded(voice: Path) -> LoadedVoice:
    return load_voice(voice_sources_from_path(voice)[0])


def _refuse(voice: Path, what: str, other: Sequence[str]) -> None:
    if other:
        raise InputError(
            f"--begin-with {voice}: its {what} is another one ({listed(other)}); "
            "give the sizes it has, see --help, or begin without it"
        )


def _copy(source: nn.Module, target: nn.Module, but: Sequence[str] = ()) -> None:
    own = target.state_dict()
    target.load_state_dict({**source.state_dict(), **{name: own[name] for name in but}})
