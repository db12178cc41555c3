"""Configuration files to typed hyper-parameters: everything wrong is reported at once.

Reads YAML (or the configuration.json of 2022) and the two small .npy files. Imports no torch.
"""

from __future__ import annotations

import ast
import io
import math
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.errors import SourceError
from sambert_trt.engines.manifest import EMOTION_FIELD

from .config import HifiganConfig, NsfConfig, SambertConfig, Vocabulary
from .phone_sets import (
    known_language,
    phone_set_from_directory,
    unit_lists_from_directory,
    vocabulary,
    vocabulary_from_lists,
)
from .source import VoiceSource, mapping_from_file

__all__ = [
    "DEFAULT_EMOTION",
    "VoiceSettings",
    "f0_statistics_from_file",
    "hifigan_config_from_file",
    "sambert_config_from_file",
    "settings_from_source",
    "speaker_vector_from_file",
]

_DEFAULT_LANGUAGE = "PinYin"
DEFAULT_EMOTION = "emotion_neutral"
_NPY_BYTES = 16 << 20
_WIDTH = 1 << 16
_LAYERS = 256
_RATES = (1000, 384_000)
_FIELDS = ("sy", "tone", "syllable_flag", "word_segment", "emo_category", "speaker_category")
_BYTE_FIELDS = ("byte_index", "emo_category", "speaker_category")
_AM_PATH = ("Model", "KanTtsSAMBERT", "params")
_VOC_PATH = ("Model", "Generator", "params")


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


@dataclass
class _Reader:
    """Takes typed values out of one mapping; what does not fit becomes a problem, not an error."""

    data: Mapping[str, Any]
    where: str
    problems: list[str] = field(default_factory=list)

    def report(self, key: str, what: str) -> None:
        """Notes a problem with a key."""
        self.problems.append(f"{self.where}: {key} {what}")

    def refuse(self, key: str, what: str) -> None:
        """Notes a value that does not fit."""
        value = reprlib.repr(self.data.get(key))
        self.report(key, f"is {value}, {what}" if key in self.data else "is missing")

    def _value(self, key: str, default: object = None) -> object:
        value = self.data.get(key)
        if value is not None:
            return value
        if default is None:
            self.report(key, "is missing")
        return default

    def integer(self, key: str, least: int = 1, most: int = _WIDTH) -> int:
        """A whole number of the range; `least` stands in for a wrong one."""
        value = self._value(key)
        if value is None:
            return least
        if not _whole(value, least, most):
            self.refuse(key, f"must be a whole number {least} to {most}")
            return least
        return int(str(value))

    def integers(self, key: str, least: int = 1, most: int = _WIDTH) -> tuple[int, ...]:
        """A list of 1 to 64 whole numbers."""
        value = self._value(key)
        if value is None:
            return ()
        if not _whole_list(value, least, most):
            self.refuse(key, f"must be a list of whole numbers {least} to {most}")
            return ()
        return tuple(value)  # type: ignore[arg-type]

    def per_layer(self, key: str, layers: int, most: int) -> tuple[int, ...]:
        """One number for all layers, or a list with one for each."""
        value = self._value(key)
        if value is None:
            return (0,) * layers
        if _whole(value, 0, most):
            return (int(str(value)),) * layers
        if not _whole_list(value, 0, most) or len(value) != layers:  # type: ignore[arg-type]
            self.refuse(key, f"must be a number 0 to {most} or a list of {layers} of them")
            return (0,) * layers
        return tuple(value)  # type: ignore[arg-type]

    def number(self, key: str, default: float) -> float:
        """A finite number."""
        value = self._value(key, default)
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                if math.isfinite(float(value)):
                    return float(value)
            except OverflowError:
                pass
        self.refuse(key, "must be a number")
        return default

    def flag(self, key: str, default: bool = False) -> bool:
        """True or false."""
        value = self._value(key, default)
        if not isinstance(value, bool):
            self.refuse(key, "must be true or false")
            return default
        return value

    def text(self, key: str, default: str) -> str:
        """A text."""
        value = self._value(key, default)
        if not isinstance(value, str):
            self.refuse(key, "must be a text")
            return default
        return value

    def mapping(self, key: str) -> _Reader:
        """The mapping under a key, as a reader that reports into the same list."""
        value = self.data.get(key)
        if not isinstance(value, dict):
            if value is not None:
                self.refuse(key, "must be a mapping")
            value = {}
        keys = {str(name): item for name, item in value.items()}
        return _Reader(keys, f"{self.where} {key}", self.problems)


def settings_from_source(source: VoiceSource, *, language: str | None = None) -> VoiceSettings:
    """Reads and checks everything but the weights.

    Raises:
        SourceError: lists every problem of both configurations and of how they fit together.
    """
    problems: list[str] = []
    sambert, terms = _sambert(source, language, problems)
    hifigan = _hifigan(source, problems)
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
    config, terms = _sambert(source, language, problems)
    _refuse(source, problems)
    assert terms is not None
    return config, terms


def hifigan_config_from_file(source: VoiceSource) -> HifiganConfig:
    """The vocoder's hyper-parameters.

    Raises:
        SourceError: lists every problem.
    """
    problems: list[str] = []
    config = _hifigan(source, problems)
    _refuse(source, problems)
    return config


def f0_statistics_from_file(path: Path) -> tuple[float, float, str]:
    """Mean and standard deviation of f0 in hertz, and the dtype they are stored in (mvn.npy).

    Raises:
        SourceError: not a .npy of two floats (float32 or float64) in rows, or not usable numbers.
    """
    array = _array_from_npy(path)
    if array.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise SourceError(f"{path} holds {array.dtype}, f0 statistics are float32 or float64")
    if array.shape not in ((2, 1), (2,)):
        raise SourceError(
            f"{path} has shape {list(array.shape)}, f0 statistics are two rows: mean, deviation"
        )
    mean, deviation = (float(value) for value in array.reshape(-1))
    if not (math.isfinite(mean) and math.isfinite(deviation) and deviation > 0):
        raise SourceError(f"{path} holds f0 mean {mean} and deviation {deviation}: not usable")
    return mean, deviation, array.dtype.name


def speaker_vector_from_file(path: Path, width: int) -> NDArray[np.float32]:
    """A speaker vector [1, width] (se.npy).

    Raises:
        SourceError: not a .npy of floats, another shape, or not finite.
    """
    array = _array_from_npy(path)
    if array.dtype.kind != "f":
        raise SourceError(f"{path} holds {array.dtype}, a speaker vector is floats")
    if array.shape not in ((1, width), (width,)):
        raise SourceError(
            f"{path} has shape {list(array.shape)}, the voice takes a speaker vector [1, {width}]"
        )
    with np.errstate(over="ignore"):
        vector = array.reshape(1, width).astype(np.float32)
    if not np.isfinite(vector).all():
        raise SourceError(f"{path} holds values that are not finite")
    return vector


def _refuse(source: VoiceSource, problems: list[str]) -> None:
    if problems:
        lines = "".join(f"\n  {problem}" for problem in dict.fromkeys(problems))
        raise SourceError(f"the voice {source.name!r} cannot be exported:{lines}")


def _sambert(
    source: VoiceSource, language: str | None, problems: list[str]
) -> tuple[SambertConfig, Vocabulary | None]:
    data = _settings(source.am_config, problems)
    params = _Reader(
        _parameters(
            data, source.am_config, problems, part="am", keys=_AM_PATH, mark="encoder_num_layers"
        ),
        str(source.am_config),
        problems,
    )
    config = _sambert_config(params)
    _check_sambert(config, params)
    unit = _unit_settings(data, source.am_config, problems)
    terms = _vocabulary(source, config, unit, language)
    if config.fp and terms is not None:
        _check_filled_pauses(terms, unit)
    return config, terms


def _settings(path: Path, problems: list[str]) -> dict[str, Any]:
    try:
        return mapping_from_file(path)
    except SourceError as error:
        problems.append(str(error))
        return {}


def _parameters(
    data: Mapping[str, Any],
    path: Path,
    problems: list[str],
    *,
    part: str,
    keys: tuple[str, ...],
    mark: str,
) -> Mapping[str, Any]:
    """The hyper-parameters: below `keys` in YAML, in JSON wherever `mark` stands below the part."""
    if path.suffix == ".json":
        model = data.get("model")
        found = _mapping_with(model.get(part) if isinstance(model, dict) else None, mark)
        place = f"model.{part}"
    else:
        value: object = data
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        found, place = (value if isinstance(value, dict) else None), ".".join(keys)
    if found is None:
        if data:
            problems.append(f"{path} holds no hyper-parameters ({place})")
        return {}
    return {str(key): value for key, value in found.items()}


def _mapping_with(value: object, mark: str) -> dict[str, Any] | None:
    level = [value]
    for _ in range(4):
        for item in level:
            if isinstance(item, dict) and mark in item:
                return item
        level = [v for item in level if isinstance(item, dict) for v in item.values()]
    return None


def _unit_settings(data: Mapping[str, Any], path: Path, problems: list[str]) -> _Reader:
    if path.suffix == ".json":
        model = data.get("model")
        data = model.get("am", {}) if isinstance(model, dict) else {}
        data = data if isinstance(data, dict) else {}
    return _Reader(data, str(path), problems).mapping("linguistic_unit")


def _sambert_config(params: _Reader) -> SambertConfig:
    integer, integers = params.integer, params.integers
    predictor_layers = integer("predictor_fsmn_num_layers", most=_LAYERS)
    postnet_layers = integer("postnet_fsmn_num_layers", most=_LAYERS)
    predictor_size, postnet_size = (
        integer("predictor_filter_size", most=4096),
        integer("postnet_filter_size", most=4096),
    )
    return SambertConfig(
        max_len=integer("max_len"),
        embedding_dim=integer("embedding_dim"),
        encoder_num_layers=integer("encoder_num_layers", most=_LAYERS),
        encoder_num_heads=integer("encoder_num_heads"),
        encoder_num_units=integer("encoder_num_units"),
        encoder_ffn_inner_dim=integer("encoder_ffn_inner_dim"),
        encoder_projection_units=integer("encoder_projection_units"),
        speaker_units=integer("speaker_units"),
        emotion_units=integer("emotion_units"),
        predictor_filter_size=predictor_size,
        predictor_fsmn_num_layers=predictor_layers,
        predictor_num_memory_units=integer("predictor_num_memory_units"),
        predictor_ffn_inner_dim=integer("predictor_ffn_inner_dim"),
        predictor_shift=params.per_layer("predictor_shift", predictor_layers, predictor_size - 1),
        predictor_lstm_units=integer("predictor_lstm_units"),
        dur_pred_prenet_units=integers("dur_pred_prenet_units"),
        dur_pred_lstm_units=integer("dur_pred_lstm_units"),
        decoder_prenet_units=integers("decoder_prenet_units"),
        decoder_num_layers=integer("decoder_num_layers", most=_LAYERS),
        decoder_num_heads=integer("decoder_num_heads"),
        decoder_num_units=integer("decoder_num_units"),
        decoder_ffn_inner_dim=integer("decoder_ffn_inner_dim"),
        outputs_per_step=integer("outputs_per_step", most=64),
        num_mels=integer("num_mels", most=4096),
        postnet_filter_size=postnet_size,
        postnet_fsmn_num_layers=postnet_layers,
        postnet_num_memory_units=integer("postnet_num_memory_units"),
        postnet_ffn_inner_dim=integer("postnet_ffn_inner_dim"),
        postnet_shift=params.per_layer("postnet_shift", postnet_layers, postnet_size - 1),
        postnet_lstm_units=integer("postnet_lstm_units"),
        nsf=params.flag("NSF"),
        nsf_norm_type=params.text("nsf_norm_type", "mean_std"),
        nsf_f0_global_minimum=params.number("nsf_f0_global_minimum", 30.0),
        nsf_f0_global_maximum=params.number("nsf_f0_global_maximum", 730.0),
        se=params.flag("SE"),
        fp=params.flag("FP"),
        using_byte=params.flag("using_byte"),
        mas=params.flag("MAS"),
    )


def _check_sambert(config: SambertConfig, params: _Reader) -> None:
    if "embedding_dim" in params.data and (config.embedding_dim % 2 or config.embedding_dim < 4):
        params.refuse("embedding_dim", "must be even and at least 4 (the position table's halves)")
    for name in ("encoder", "decoder"):
        heads, units = f"{name}_num_heads", f"{name}_num_units"
        if getattr(config, heads) > getattr(config, units):
            params.refuse(heads, f"more heads than {units} {getattr(config, units)}")
    for name in ("predictor_filter_size", "postnet_filter_size"):
        if getattr(config, name) % 4 == 2:
            params.refuse(name, "must be odd or divisible by 4 (its padding rounds half to even)")
    if config.nsf:
        _check_nsf(config, params)
    if config.fp and config.using_byte:
        params.report("FP", "and using_byte are both true; filled pauses need phones")


def _check_nsf(config: SambertConfig, params: _Reader) -> None:
    if config.num_mels <= 2:
        params.refuse("num_mels", "must leave mel channels beside f0 and the voiced flag")
    if config.nsf_norm_type not in ("mean_std", "global"):
        params.refuse("nsf_norm_type", "must be mean_std or global")
    if config.nsf_f0_global_maximum <= config.nsf_f0_global_minimum:
        params.report(
            "nsf_f0_global_maximum",
            f"{config.nsf_f0_global_maximum} is not above the minimum "
            f"{config.nsf_f0_global_minimum}",
        )


def _vocabulary(
    source: VoiceSource, config: SambertConfig, unit: _Reader, language: str | None
) -> Vocabulary | None:
    has_mask = source.has_mask and unit.flag("has_mask", True)
    name = language or unit.text("language", source.language or _DEFAULT_LANGUAGE)
    _check_fields(unit, config.using_byte)
    try:
        terms = _tables(source, config, unit, name, has_mask)
    except SourceError as error:
        unit.problems.append(f"{unit.where}: {error}")
        return None
    return None if terms is None else replace(terms, untrained=_untrained(unit, terms))


def _tables(
    source: VoiceSource, config: SambertConfig, unit: _Reader, language: str, has_mask: bool
) -> Vocabulary | None:
    known = known_language(language)
    lists = _lists_of_2022(source, unit)
    if lists is not None:
        return vocabulary_from_lists(known or language, lists, has_mask)
    speakers = _speakers(unit)
    if not speakers:
        return None
    phone_set = None
    if not config.using_byte and known is None and source.dictionary is not None:
        phone_set = phone_set_from_directory(source.dictionary, language)
    return vocabulary(language, speakers, has_mask, config.using_byte, phone_set=phone_set)


def _untrained(unit: _Reader, terms: Vocabulary) -> dict[str, tuple[str, ...]]:
    """What the voice's maker says that nothing was learned for; most voices say nothing."""
    if unit.data.get("untrained") is None:
        return {}
    given = unit.mapping("untrained")
    tables = {**terms.units, EMOTION_FIELD: terms.emotions}
    found = {}
    for field_name, names in given.data.items():
        table = tables.get(field_name)
        if table is None:
            given.report(field_name, f"is no field: there are {', '.join(tables)}")
        elif not isinstance(names, list) or not set(map(str, names)) <= set(table):
            given.refuse(field_name, "must be a list of names that the field has")
        elif DEFAULT_EMOTION in names:
            given.report(field_name, f"holds {DEFAULT_EMOTION}, which a voice has to speak with")
        else:
            found[field_name] = tuple(map(str, names))
    return found


def _check_filled_pauses(terms: Vocabulary, unit: _Reader) -> None:
    needed = {"sy": ("ge", "ga", "en_c", "a_c", "e_c", "#3"), "tone": ("tone5", "tone_none")}
    for table, names in needed.items():
        lacking = [name for name in names if name not in terms.units.get(table, names)]
        if lacking:
            unit.report("language", f"{terms.language} lacks {', '.join(lacking)}, which FP speaks")


def _check_fields(unit: _Reader, using_byte: bool) -> None:
    expected = _BYTE_FIELDS if using_byte else _FIELDS
    found = unit.text("lfeat_type_list", ",".join(expected))
    if tuple(name.strip() for name in found.split(",")) != expected:
        unit.refuse("lfeat_type_list", f"must be {','.join(expected)}")


def _lists_of_2022(source: VoiceSource, unit: _Reader) -> dict[str, tuple[str, ...]] | None:
    if source.dictionary is None or "speaker_list" in unit.data:
        return None
    return unit_lists_from_directory(source.dictionary, unit.data)


def _speakers(unit: _Reader) -> tuple[str, ...]:
    if "speaker_list" not in unit.data:
        unit.report("speaker_list", "is missing")
        return ()
    value = unit.data["speaker_list"]
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list) or not names or len(names) > 4096:
        unit.refuse("speaker_list", "must be names with commas between")
        return ()
    if not all(isinstance(name, str) and name.strip() for name in names):
        unit.refuse("speaker_list", "holds something that is not a name")
        return ()
    return tuple(name.strip() for name in names)


def _hifigan(source: VoiceSource, problems: list[str]) -> HifiganConfig:
    data = _settings(source.voc_config, problems)
    params = _Reader(
        _parameters(
            data,
            source.voc_config,
            problems,
            part="vocoder",
            keys=_VOC_PATH,
            mark="upsample_scales",
        ),
        str(source.voc_config),
        problems,
    )
    activation = params.mapping("nonlinear_activation_params")
    config = HifiganConfig(
        in_channels=params.integer("in_channels", most=4096),
        out_channels=params.integer("out_channels", most=64),
        channels=params.integer("channels"),
        kernel_size=params.integer("kernel_size", most=1024),
        upsample_scales=params.integers("upsample_scales", most=1024),
        upsample_kernel_sizes=params.integers("upsample_kernal_sizes", most=4096),
        resblock_kernel_sizes=params.integers("resblock_kernel_sizes", most=1024),
        resblock_dilations=_dilations(params),
        causal=params.flag("causal", True),
        negative_slope=activation.number("negative_slope", 0.1),
        nsf=_nsf(params),
    )
    _check_hifigan(config, params)
    return config


def _dilations(params: _Reader) -> tuple[tuple[int, ...], ...]:
    value = params.data.get("resblock_dilations")
    if value is None:
        params.report("resblock_dilations", "is missing")
        return ()
    if not isinstance(value, list) or not all(_whole_list(item, 1, 1024) for item in value):
        params.refuse("resblock_dilations", "must be a list of lists of whole numbers")
        return ()
    return tuple(tuple(item) for item in value)


def _nsf(params: _Reader) -> NsfConfig | None:
    if params.data.get("nsf_params") is None:
        return None
    nsf = params.mapping("nsf_params")
    least, most = _RATES
    return NsfConfig(
        nb_harmonics=nsf.integer("nb_harmonics", least=0, most=256),
        sampling_rate=nsf.integer("sampling_rate", least=least, most=most),
    )


def _check_hifigan(config: HifiganConfig, params: _Reader) -> None:
    if params.text("nonlinear_activation", "LeakyReLU") != "LeakyReLU":
        params.refuse("nonlinear_activation", "only LeakyReLU is supported")
    if not 0 <= config.negative_slope < 1:
        params.report("negative_slope", f"is {config.negative_slope}, must be 0 to 1")
    if not params.flag("repeat_upsample", True):
        params.report("repeat_upsample", "is false; such vocoders do not run")
    if config.out_channels != 1:
        params.refuse("out_channels", "only 1 is supported (more need a synthesis filter bank)")
    if len(config.resblock_dilations) != len(config.resblock_kernel_sizes):
        params.report(
            "resblock_dilations",
            f"has {len(config.resblock_dilations)} entries for "
            f"{len(config.resblock_kernel_sizes)} resblock_kernel_sizes",
        )
    _check_upsampling(config, params)
    if not config.causal:
        _check_centred(config, params)


def _check_upsampling(config: HifiganConfig, params: _Reader) -> None:
    scales, sizes = config.upsample_scales, config.upsample_kernel_sizes
    if len(scales) != len(sizes):
        params.report(
            "upsample_kernal_sizes", f"has {len(sizes)} entries for {len(scales)} upsample_scales"
        )
    if config.hop > _WIDTH:
        params.report("upsample_scales", f"multiply to {config.hop} samples per frame")
    if len(scales) > 20 or config.channels >> len(scales) < 1:
        params.refuse("channels", f"too few to halve {len(scales)} times")
    for scale, size in zip(scales, sizes, strict=False):
        if size < scale + config.causal:
            params.report(
                "upsample_kernal_sizes", f"holds {size} for scale {scale}: the kernel is too short"
            )


def _check_centred(config: HifiganConfig, params: _Reader) -> None:
    for size in (config.kernel_size, *config.resblock_kernel_sizes):
        if size % 2 == 0:
            params.report("kernel sizes", f"hold {size}; a non-causal vocoder needs odd ones")
    if config.nsf is None:
        return
    factor = 1
    for scale in reversed(config.upsample_scales[1:]):
        factor *= scale
        if factor > 1 and factor % 2:
            params.report(
                "upsample_scales", f"give an odd source factor {factor}; non-causal NSF needs even"
            )


def _sample_rate(source: VoiceSource, hifigan: HifiganConfig, problems: list[str]) -> int:
    """Hertz: of the voice's audio_config.yaml, its vocoder's settings, the repository, or NSF."""
    least, most = _RATES
    for path in (source.audio_config, source.voc_config):
        if path is None or path.suffix == ".json":
            continue
        audio = _Reader(_settings(path, problems), str(path), problems).mapping("audio_config")
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
    for path in (source.audio_config, source.voc_config):
        if path is None or path.suffix == ".json":
            continue
        audio = _Reader(_settings(path, problems), str(path), problems).mapping("audio_config")
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


def _array_from_npy(path: Path) -> NDArray[Any]:
    """A numeric array; the header's claim is compared with the file before memory is taken."""
    try:
        if path.stat().st_size > _NPY_BYTES:
            raise SourceError(f"{path} has {path.stat().st_size} bytes: too large")
        content = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    try:
        shape, fortran, dtype, offset = _npy_header(content)
    except (ValueError, TypeError, SyntaxError, EOFError, MemoryError, RecursionError) as error:
        raise SourceError(f"{path} is no .npy file of numbers; copy the voice again") from error
    if dtype.hasobject or dtype.kind not in "fiu":
        raise SourceError(f"{path} holds {dtype}, not numbers")
    if math.prod(shape) * dtype.itemsize != len(content) - offset:
        raise SourceError(f"{path} is cut off or damaged; copy the voice again")
    array = np.frombuffer(content, dtype, offset=offset)
    return array.reshape(shape, order="F" if fortran else "C").astype(dtype.newbyteorder("="))


def _npy_header(content: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    width = 2 if version == (1, 0) else 4
    length = int.from_bytes(stream.read(width), "little")
    if length > 4096:
        raise ValueError("a header longer than any array of numbers needs")
    header = ast.literal_eval(stream.read(length).decode("latin-1"))
    if not isinstance(header, dict) or not isinstance(header.get("descr"), str):
        raise TypeError("no plain dtype")
    shape = header.get("shape")
    if not isinstance(shape, tuple) or not all(_whole(size, 0, 1 << 40) for size in shape):
        raise TypeError("no shape")
    return shape, header.get("fortran_order") is True, np.dtype(header["descr"]), stream.tell()


def _whole(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _whole_list(value: object, least: int, most: int) -> bool:
    if not isinstance(value, Iterable) or not isinstance(value, list):
        return False
    return 0 < len(value) <= 64 and all(_whole(item, least, most) for item in value)
