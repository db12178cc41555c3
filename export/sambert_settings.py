"""The acoustic model's configuration and id tables, as a voice's files give them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sambert_trt.engines.errors import SourceError
from sambert_trt.engines.manifest import EMOTION_FIELD

from .config import SambertConfig, Vocabulary
from .config_reader import Reader, mapping_or_problem, parameters
from .phone_sets import (
    known_language,
    phone_set_from_directory,
    unit_lists_from_directory,
    vocabulary,
    vocabulary_from_lists,
)
from .source import VoiceSource

__all__ = ["DEFAULT_EMOTION", "sambert_settings"]

DEFAULT_EMOTION = "emotion_neutral"
_DEFAULT_LANGUAGE = "PinYin"
_LAYERS = 256
_FIELDS = ("sy", "tone", "syllable_flag", "word_segment", "emo_category", "speaker_category")
_BYTE_FIELDS = ("byte_index", "emo_category", "speaker_category")
_PATH = ("Model", "KanTtsSAMBERT", "params")


def sambert_settings(
    source: VoiceSource, language: str | None, problems: list[str]
) -> tuple[SambertConfig, Vocabulary | None]:
    """Hyper-parameters and id tables; no tables where they have a problem.

    Args:
        language: takes the place of the language the configuration names.
        problems: takes what is wrong.
    """
    path = source.am_config
    data = mapping_or_problem(path, problems)
    params = parameters(data, path, problems, part="am", keys=_PATH, mark="encoder_num_layers")
    config = _sambert_config(params)
    _check_sambert(config, params)
    unit = _unit_settings(data, path, problems)
    terms = _vocabulary(source, config, unit, language)
    if config.fp and terms is not None:
        _check_filled_pauses(terms, unit)
    return config, terms


def _unit_settings(data: Mapping[str, Any], path: Path, problems: list[str]) -> Reader:
    if path.suffix == ".json":
        model = data.get("model")
        data = model.get("am", {}) if isinstance(model, dict) else {}
        data = data if isinstance(data, dict) else {}
    return Reader(data, str(path), problems).mapping("linguistic_unit")


def _sambert_config(params: Reader) -> SambertConfig:
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


def _check_sambert(config: SambertConfig, params: Reader) -> None:
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


def _check_nsf(config: SambertConfig, params: Reader) -> None:
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
    source: VoiceSource, config: SambertConfig, unit: Reader, language: str | None
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
    source: VoiceSource, config: SambertConfig, unit: Reader, language: str, has_mask: bool
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


def _untrained(unit: Reader, terms: Vocabulary) -> dict[str, tuple[str, ...]]:
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


def _check_filled_pauses(terms: Vocabulary, unit: Reader) -> None:
    needed = {"sy": ("ge", "ga", "en_c", "a_c", "e_c", "#3"), "tone": ("tone5", "tone_none")}
    for table, names in needed.items():
        lacking = [name for name in names if name not in terms.units.get(table, names)]
        if lacking:
            unit.report("language", f"{terms.language} lacks {', '.join(lacking)}, which FP speaks")


def _check_fields(unit: Reader, using_byte: bool) -> None:
    expected = _BYTE_FIELDS if using_byte else _FIELDS
    found = unit.text("lfeat_type_list", ",".join(expected))
    if tuple(name.strip() for name in found.split(",")) != expected:
        unit.refuse("lfeat_type_list", f"must be {','.join(expected)}")


def _lists_of_2022(source: VoiceSource, unit: Reader) -> dict[str, tuple[str, ...]] | None:
    if source.dictionary is None or "speaker_list" in unit.data:
        return None
    return unit_lists_from_directory(source.dictionary, unit.data)


def _speakers(unit: Reader) -> tuple[str, ...]:
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
