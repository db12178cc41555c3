"""A voice's configuration files to typed settings: everything wrong is reported at once.

Reads YAML (or the configuration.json of 2022) and the two small .npy files. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.errors import SourceError

from .config import HifiganConfig, SambertConfig, Vocabulary
from .config_reader import RATES, Reader, mapping_or_problem
from .hifigan_settings import hifigan_settings
from .sambert_settings import sambert_settings
from .source import VoiceSource
from .voice_arrays import f0_statistics_from_file, speaker_vector_from_file

__all__ = [
    "VoiceSettings",
    "hifigan_config_from_file",
    "sambert_config_from_file",
    "settings_from_source",
]


@dataclass(frozen=True)
class VoiceSettings:
    """Everything a voice's configuration says, checked against each other.

    `sample_rate` is in hertz, `hop` in samples. `f0_statistics` (mean, standard deviation, dtype)
    is there for NSF voices of norm type mean_std, `speaker_vector` [1, S] for SE voices.
    """

    sambert: SambertConfig
    hifigan: HifiganConfig
    vocabulary: Vocabulary
    sample_rate: int
    hop: int
    f0_statistics: tuple[float, float, str] | None
    speaker_vector: NDArray[np.float32] | None


def settings_from_source(source: VoiceSource, *, language: str | None = None) -> VoiceSettings:
    """Reads and checks everything but the weights.

    Raises:
        SourceError: lists every problem of both configurations and of how they fit together.
    """
    problems: list[str] = []
    sambert, terms = sambert_settings(source, language, problems)
    hifigan = hifigan_settings(source, problems)
    rate = _sample_rate(source, hifigan, problems)
    _check_pair(sambert, hifigan, rate, problems)
    _check_audio(source, hifigan, rate, problems)
    statistics = vector = None
    if sambert.nsf and sambert.nsf_norm_type == "mean_std":
        statistics = _f0_statistics(source, problems)
    if sambert.se:
        vector = _speaker_vector(source, sambert.speaker_units, problems)
    _refuse(source, problems)
    assert terms is not None  # without a vocabulary there was a problem
    return VoiceSettings(sambert, hifigan, terms, rate, hifigan.hop, statistics, vector)


def sambert_config_from_file(
    source: VoiceSource, *, language: str | None = None
) -> tuple[SambertConfig, Vocabulary]:
    """The acoustic model's hyper-parameters and id tables.

    Args:
        source: the voice; its YAML, or its configuration.json.
        language: takes the place of the language the configuration names.

    Raises:
        SourceError: lists every problem.
    """
    problems: list[str] = []
    config, terms = sambert_settings(source, language, problems)
    _refuse(source, problems)
    assert terms is not None
    return config, terms


def hifigan_config_from_file(source: VoiceSource) -> HifiganConfig:
    """The vocoder's hyper-parameters.

    Raises:
        SourceError: lists every problem.
    """
    problems: list[str] = []
    config = hifigan_settings(source, problems)
    _refuse(source, problems)
    return config


def _refuse(source: VoiceSource, problems: list[str]) -> None:
    if problems:
        lines = "".join(f"\n  {problem}" for problem in dict.fromkeys(problems))
        raise SourceError(f"the voice {source.name!r} cannot be exported:{lines}")


def _audio_settings(source: VoiceSource, problems: list[str]) -> Iterator[Reader]:
    """What the YAML files say of audio, the voice's own file first."""
    for path in (source.audio_config, source.voc_config):
        if path is not None and path.suffix != ".json":
            data = mapping_or_problem(path, problems)
            yield Reader(data, str(path), problems).mapping("audio_config")


def _sample_rate(source: VoiceSource, hifigan: HifiganConfig, problems: list[str]) -> int:
    """Hertz: of the voice's audio_config.yaml, its vocoder's settings, the repository, or NSF."""
    least, most = RATES
    for audio in _audio_settings(source, problems):
        if audio.data.get("sampling_rate") is not None:
            return audio.integer("sampling_rate", least, most)
    rate = source.sample_rate or (hifigan.nsf.sampling_rate if hifigan.nsf else None)
    if rate is None or not least <= rate <= most:
        problems.append(
            f"the sample rate is {rate or 'nowhere'}: audio_config.sampling_rate is in neither "
            f"audio_config.yaml nor {source.voc_config}"
        )
        return least
    return rate


def _check_pair(
    sambert: SambertConfig, hifigan: HifiganConfig, rate: int, problems: list[str]
) -> None:
    if problems:
        return  # numbers that stand in for wrong ones would only add noise
    if sambert.nsf != (hifigan.nsf is not None):
        with_nsf = "acoustic model" if sambert.nsf else "vocoder"
        problems.append(f"only the {with_nsf} has NSF: the two do not belong together")
    mels = sambert.num_mels - 2 * sambert.nsf
    if mels != hifigan.in_channels:
        problems.append(
            f"the acoustic model gives {mels} mel channels, the vocoder takes "
            f"{hifigan.in_channels}: the two do not belong together"
        )
    if hifigan.nsf is not None and hifigan.nsf.sampling_rate != rate:
        problems.append(
            f"the vocoder's nsf_params are for {hifigan.nsf.sampling_rate} Hz, the voice has {rate}"
        )


def _check_audio(
    source: VoiceSource, hifigan: HifiganConfig, rate: int, problems: list[str]
) -> None:
    """The hop and rates the two files name must be those of the vocoder."""
    if problems:
        return
    for audio in _audio_settings(source, problems):
        for key, value in (("hop_length", hifigan.hop), ("sampling_rate", rate)):
            if audio.data.get(key) not in (None, value):
                audio.refuse(key, f"but the vocoder makes {value}")


def _f0_statistics(source: VoiceSource, problems: list[str]) -> tuple[float, float, str] | None:
    if source.mvn is None:
        problems.append(
            f"mvn.npy is missing beside {source.am_config}: an NSF voice of norm type mean_std "
            "needs f0's mean and standard deviation in hertz there, two rows"
        )
        return None
    try:
        return f0_statistics_from_file(source.mvn)
    except SourceError as error:
        problems.append(str(error))
        return None


def _speaker_vector(
    source: VoiceSource, width: int, problems: list[str]
) -> NDArray[np.float32] | None:
    if source.se is None:
        problems.append(
            f"se.npy is missing beside {source.am_config}: an SE voice needs its speaker vector"
        )
        return None
    try:
        return speaker_vector_from_file(source.se, width)
    except SourceError as error:
        problems.append(str(error))
        return None
