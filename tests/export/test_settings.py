"""Configurations to typed hyper-parameters: the reference voices, and everything that is wrong."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sambert_trt.engines.errors import SourceError
from sambert_trt.export.settings import (
    hifigan_config_from_file,
    sambert_config_from_file,
    settings_from_source,
)
from sambert_trt.export.source import VoiceSource, voice_sources_from_path
from sambert_trt.export.voice_arrays import f0_statistics_from_file, speaker_vector_from_file

PARAMS: dict[str, Any] = {
    "max_len": 60,
    "embedding_dim": 64,
    "encoder_num_layers": 2,
    "encoder_num_heads": 4,
    "encoder_num_units": 32,
    "encoder_ffn_inner_dim": 64,
    "encoder_projection_units": 16,
    "speaker_units": 12,
    "emotion_units": 8,
    "predictor_filter_size": 11,
    "predictor_fsmn_num_layers": 2,
    "predictor_num_memory_units": 36,
    "predictor_ffn_inner_dim": 32,
    "predictor_shift": 0,
    "predictor_lstm_units": 16,
    "dur_pred_prenet_units": [16, 20],
    "dur_pred_lstm_units": 24,
    "decoder_prenet_units": [24, 20],
    "decoder_num_layers": 3,
    "decoder_num_heads": 4,
    "decoder_num_units": 32,
    "decoder_ffn_inner_dim": 64,
    "outputs_per_step": 3,
    "num_mels": 80,
    "postnet_filter_size": 11,
    "postnet_fsmn_num_layers": 2,
    "postnet_num_memory_units": 32,
    "postnet_ffn_inner_dim": 48,
    "postnet_shift": 3,
    "postnet_lstm_units": 20,
}
GENERATOR: dict[str, Any] = {
    "in_channels": 80,
    "out_channels": 1,
    "channels": 32,
    "kernel_size": 7,
    "upsample_scales": [10, 5, 2, 2],
    "upsample_kernal_sizes": [20, 11, 4, 4],
    "resblock_kernel_sizes": [3, 7, 11],
    "resblock_dilations": [[1, 3], [1, 3], [1, 3]],
    "causal": False,
}
AUDIO = {"sampling_rate": 16000, "hop_length": 200}
UNIT = {
    "cleaners": "english_cleaners",
    "lfeat_type_list": "sy,tone,syllable_flag,word_segment,emo_category,speaker_category",
    "speaker_list": "F7, M7",
}


class Files:
    """The configurations of one voice, to be changed and written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.am: dict[str, Any] = {
            "Model": {"KanTtsSAMBERT": {"params": copy.deepcopy(PARAMS)}},
            "linguistic_unit": dict(UNIT),
        }
        self.voc: dict[str, Any] = {"Model": {"Generator": {"params": copy.deepcopy(GENERATOR)}}}
        self.audio: dict[str, Any] = {"audio_config": dict(AUDIO)}

    @property
    def params(self) -> dict[str, Any]:
        found: dict[str, Any] = self.am["Model"]["KanTtsSAMBERT"]["params"]
        return found

    @property
    def generator(self) -> dict[str, Any]:
        found: dict[str, Any] = self.voc["Model"]["Generator"]["params"]
        return found

    def source(self) -> VoiceSource:
        """Writes the files and finds them."""
        for name in ("am", "voc"):
            (self.root / name / "ckpt").mkdir(parents=True, exist_ok=True)
            (self.root / name / "ckpt/checkpoint_0.pth").touch()
        for name, data in (("am/config", self.am), ("voc/config", self.voc)):
            (self.root / f"{name}.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
        (self.root / "audio_config.yaml").write_text(yaml.safe_dump(self.audio), encoding="utf-8")
        return voice_sources_from_path(self.root)[0]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "anna")


@pytest.mark.parametrize(
    ("voice", "rate", "hop"),
    [
        ("v1_plain16k", 16000, 200),
        ("v2_nsf16k_mvn", 16000, 200),
        ("v3_nsf24k_mvn", 24000, 240),
        ("v4_se_nsfglobal16k", 16000, 200),
        ("v5_fp8k", 8000, 100),
        ("v6_byte16k", 16000, 200),
        ("v7_plain48k", 48000, 600),
    ],
)
def test_the_reference_voices(shared: Path, voice: str, rate: int, hop: int) -> None:
    read = settings_from_source(voice_sources_from_path(shared / "golden" / voice)[0])
    assert (read.sample_rate, read.hop) == (rate, hop)
    assert (read.f0_statistics is not None) == voice.endswith("_mvn")
    assert (read.speaker_vector is not None) == read.sambert.se == voice.startswith("v4")
    assert read.sambert.nsf == ("nsf" in voice) == (read.hifigan.nsf is not None)
    assert read.sambert.fp == voice.startswith("v5")
    assert read.sambert.using_byte == read.sambert.mas == voice.startswith("v6")


def test_values_of_single_reference_voices(shared: Path) -> None:
    def read(name: str) -> Any:  # noqa: ANN401 - VoiceSettings, kept short
        return settings_from_source(voice_sources_from_path(shared / "golden" / name)[0])

    assert read("v7_plain48k").sambert.postnet_shift == (3, 1)
    assert read("v2_nsf16k_mvn").f0_statistics == (215.37, 61.25, "float64")
    assert read("v3_nsf24k_mvn").f0_statistics[2] == "float32"
    assert read("v4_se_nsfglobal16k").speaker_vector.shape == (1, 192)
    assert read("v3_nsf24k_mvn").hifigan.upsample_kernel_sizes == (16, 10, 6, 4)


def test_a_whole_voice(files: Files) -> None:
    read = settings_from_source(files.source())
    assert read.sambert.predictor_shift == (0, 0)
    assert read.sambert.postnet_shift == (3, 3)
    assert read.vocabulary.speakers == ("F7", "M7", "_", "~", "[MASK]")
    assert read.hifigan.negative_slope == 0.1
    assert read.sambert.nsf_f0_global_maximum == 730.0


def test_everything_missing_is_reported_at_once(files: Files) -> None:
    for key in PARAMS:
        del files.params[key]
    files.params["max_len"] = 3
    with pytest.raises(SourceError) as caught:
        sambert_config_from_file(files.source())
    for key in PARAMS:
        assert (f"{key} is missing" in str(caught.value)) == (key != "max_len"), key


@pytest.mark.parametrize("key", PARAMS)
@pytest.mark.parametrize("value", [0, "8", 1.5, True, [], 10**30, [1, "2"]])
def test_no_wrong_value_of_the_acoustic_model_passes(files: Files, key: str, value: object) -> None:
    files.params[key] = -2 if key.endswith("_shift") and value == 0 else value
    with pytest.raises(SourceError, match=key):
        sambert_config_from_file(files.source())


@pytest.mark.parametrize("key", GENERATOR)
@pytest.mark.parametrize("value", [0, "8", 1.5, [], {}, 10**30, [[0]]])
def test_no_wrong_value_of_the_vocoder_passes(files: Files, key: str, value: object) -> None:
    files.generator[key] = value
    with pytest.raises(SourceError, match=key):
        hifigan_config_from_file(files.source())


def set_params(**values: object) -> Callable[[Files], None]:
    return lambda files: files.params.update(values)


def set_generator(**values: object) -> Callable[[Files], None]:
    return lambda files: files.generator.update(values)


def set_unit(**values: object) -> Callable[[Files], None]:
    return lambda files: files.am["linguistic_unit"].update(values)


def set_audio(**values: object) -> Callable[[Files], None]:
    return lambda files: files.audio["audio_config"].update(values)


NSF = {"nb_harmonics": 7, "sampling_rate": 16000}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (set_params(embedding_dim=63), "embedding_dim is 63, must be even"),
        (set_params(encoder_num_heads=64), "more heads than encoder_num_units 32"),
        (set_params(predictor_filter_size=10), "odd or divisible by 4"),
        (set_params(postnet_shift=[1, 2, 3]), "a list of 2 of them"),
        (set_params(postnet_shift=11), "must be a number 0 to 10"),
        (set_params(NSF="yes"), "NSF is 'yes', must be true or false"),
        (set_params(NSF=True, nsf_norm_type="log"), "must be mean_std or global"),
        (set_params(NSF=True, nsf_f0_global_maximum=20), "not above the minimum 30.0"),
        (set_params(NSF=True, nsf_f0_global_maximum=float("nan")), "must be a number"),
        (set_params(NSF=True, num_mels=82), "only the acoustic model has NSF"),
        (set_params(num_mels=82), "gives 82 mel channels, the vocoder takes 80"),
        (set_params(SE=True), "se.npy is missing"),
        (set_params(FP=True, using_byte=True), "filled pauses need phones"),
        (set_unit(language="Korean"), "no phone table here"),
        (set_unit(lfeat_type_list="sy,tone"), "lfeat_type_list is 'sy,tone', must be sy,tone,"),
        (set_unit(speaker_list=""), "not a name"),
        (set_unit(speaker_list="F7,,M7"), "not a name"),
        (set_unit(speaker_list=7), "must be names with commas"),
        (set_unit(speaker_list="F7,F7"), "names F7 more than once"),
        (set_unit(untrained=["a_c"]), "must be a mapping"),
        (set_unit(untrained={"sy": "a_c"}), "must be a list of names"),
        (set_unit(untrained={"sy": ["a_c", "qq"]}), "must be a list of names that the field has"),
        (set_unit(untrained={"phones": ["a_c"]}), "phones is no field: there are sy, tone"),
        (set_unit(untrained={"emo_category": ["emotion_neutral"]}), "which a voice has to speak"),
        (set_unit(has_mask="no"), "has_mask is 'no'"),
        (set_generator(upsample_kernal_sizes=[20, 11, 4]), "3 entries for 4 upsample_scales"),
        (set_generator(upsample_kernal_sizes=[9, 11, 4, 4]), "holds 9 for scale 10"),
        (set_generator(causal=True, upsample_kernal_sizes=[10, 11, 4, 4]), "10 for scale 10"),
        (set_generator(resblock_dilations=[[1, 3]]), "1 entries for 3 resblock_kernel_sizes"),
        (set_generator(kernel_size=8), "needs odd ones"),
        (set_generator(channels=8), "too few to halve 4 times"),
        (set_generator(repeat_upsample=False), "repeat_upsample is false"),
        (set_generator(out_channels=4), "synthesis filter bank"),
        (set_generator(nonlinear_activation="ReLU"), "only LeakyReLU"),
        (set_generator(nonlinear_activation_params={"negative_slope": 2}), "must be 0 to 1"),
        (set_generator(nsf_params=NSF), "only the vocoder has NSF"),
        (set_generator(nsf_params={"nb_harmonics": 7}), "nsf_params: sampling_rate is missing"),
        (
            set_generator(
                nsf_params=NSF, upsample_scales=[10, 4, 5], upsample_kernal_sizes=[20, 8, 11]
            ),
            "odd source factor 5",
        ),
        (set_audio(hop_length=256), "hop_length is 256, but the vocoder makes 200"),
        (set_audio(sampling_rate="16k"), "sampling_rate is '16k'"),
        (set_audio(sampling_rate=None), "sample rate is nowhere"),
    ],
)
def test_what_does_not_fit_is_named(
    files: Files, change: Callable[[Files], None], sentence: str
) -> None:
    change(files)
    with pytest.raises(SourceError, match=sentence.replace(".", r"\.")):
        settings_from_source(files.source())


def test_filled_pauses_need_their_phones(files: Files) -> None:
    files.params["FP"] = True
    assert settings_from_source(files.source()).sambert.fp
    with pytest.raises(SourceError, match="ZhHK lacks ge, ga"):
        settings_from_source(files.source(), language="ZhHK")


def test_an_nsf_pair_needs_its_statistics(files: Files) -> None:
    files.params.update(NSF=True, num_mels=82)
    files.generator["nsf_params"] = NSF
    with pytest.raises(SourceError, match=r"mvn\.npy is missing"):
        settings_from_source(files.source())
    np.save(files.root / "am/mvn.npy", np.array([[200.0], [50.0]]))
    assert settings_from_source(files.source()).f0_statistics == (200.0, 50.0, "float64")
    files.generator["nsf_params"] = {**NSF, "sampling_rate": 24000}
    with pytest.raises(SourceError, match="nsf_params are for 24000 Hz, the voice has 16000"):
        settings_from_source(files.source())


def test_the_language_option_comes_first(files: Files) -> None:
    files.am["linguistic_unit"]["language"] = "Korean"
    _, terms = sambert_config_from_file(files.source(), language="sichuan")
    assert terms.language == "Sichuan"


def test_a_language_with_tables_of_its_own(files: Files) -> None:
    files.am["linguistic_unit"]["language"] = "Korean"
    folder = files.root / "dict/Korean"
    folder.mkdir(parents=True)
    xml = "<phoneSet><phone><name>g</name></phone><phone><name>a</name></phone></phoneSet>"
    (folder / "PhoneSet.xml").write_text(xml, encoding="utf-8")
    (folder / "tonelist.txt").write_text("1\n\n", encoding="utf-8")
    _, terms = sambert_config_from_file(files.source())
    assert terms.units["sy"] == ("g", "a", "#1", "#2", "#3", "#4", "_", "~", "[MASK]")
    assert terms.units["tone"] == ("tone1", "tone_none", "_", "~", "[MASK]")


def test_the_rate_falls_back_to_the_vocoder_and_the_repository(files: Files) -> None:
    files.audio = {"audio_config": {}}
    files.voc["audio_config"] = {"sampling_rate": 22050}
    assert settings_from_source(files.source()).sample_rate == 22050
    del files.voc["audio_config"]
    source = dataclasses.replace(files.source(), sample_rate=8000)
    assert settings_from_source(source).sample_rate == 8000


def test_a_configuration_of_2022(tmp_path: Path) -> None:
    model = {
        "sample_rate": 16000,
        "lang_type": "pinyin",
        "am": {"am": PARAMS, "linguistic_unit": {**UNIT, "has_mask": False}},
        "vocoder": {"generator": GENERATOR},
    }
    (tmp_path / "configuration.json").write_text(json.dumps({"model": model}), encoding="utf-8")
    for part in ("am", "vocoder"):
        folder = tmp_path / "voices/anna" / part
        folder.mkdir(parents=True)
        (folder / "pytorch_model.bin").touch()
    read = settings_from_source(voice_sources_from_path(tmp_path)[0])
    assert read.sambert.max_len == PARAMS["max_len"]
    assert read.hifigan.upsample_scales == (10, 5, 2, 2)
    assert (read.vocabulary.language, len(read.vocabulary.units["sy"])) == ("PinYin", 146)
    assert read.sample_rate == 16000


def test_without_hyper_parameters(files: Files) -> None:
    files.am["Model"] = {"Other": {}}
    with pytest.raises(SourceError, match=r"no hyper-parameters \(Model\.KanTtsSAMBERT\.params\)"):
        sambert_config_from_file(files.source())


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.array([[1.0], [2.0]], np.float16), "float32 or float64"),
        (np.array([[1], [2]]), "float32 or float64"),
        (np.array([[1.0, 2.0]]), "two rows"),
        (np.array([1.0, 2.0, 3.0]), "two rows"),
        (np.array([200.0, 0.0]), "not usable"),
        (np.array([np.nan, 1.0]), "not usable"),
        (np.array(["a", "b"]), "not numbers"),
    ],
)
def test_statistics_that_cannot_be_used(
    tmp_path: Path, array: np.ndarray[Any, Any], sentence: str
) -> None:
    np.save(tmp_path / "mvn.npy", array)
    with pytest.raises(SourceError, match=sentence):
        f0_statistics_from_file(tmp_path / "mvn.npy")


def test_statistics_keep_their_type(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([200.0, 50.0], ">f4"))
    assert f0_statistics_from_file(tmp_path / "a.npy") == (200.0, 50.0, "float32")


def test_a_pickled_array_is_not_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "se.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(SourceError, match="not numbers"):
        speaker_vector_from_file(tmp_path / "se.npy", 1)


def test_a_header_that_claims_too_much_takes_no_memory(tmp_path: Path) -> None:
    head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}\n"
    content = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + b"\0" * 8
    (tmp_path / "se.npy").write_bytes(content)
    with pytest.raises(SourceError, match="cut off or damaged"):
        speaker_vector_from_file(tmp_path / "se.npy", 192)


def test_speaker_vectors(tmp_path: Path) -> None:
    np.save(tmp_path / "se.npy", np.asfortranarray(np.arange(4.0)[None]))
    vector = speaker_vector_from_file(tmp_path / "se.npy", 4)
    assert (vector.shape, vector.dtype) == ((1, 4), np.float32)
    assert vector.tolist() == [[0.0, 1.0, 2.0, 3.0]]
    with pytest.raises(SourceError, match=r"takes a speaker vector \[1, 192\]"):
        speaker_vector_from_file(tmp_path / "se.npy", 192)


quiet = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@quiet
@given(key=st.sampled_from([*PARAMS, "NSF", "FP", "SE", "nsf_norm_type"]), value=values)
def test_any_acoustic_value_is_read_or_refused(tmp_path: Path, key: str, value: object) -> None:
    files = Files(tmp_path / "anna")
    files.params[key] = value
    refused_or_read(files)


@quiet
@given(key=st.sampled_from([*GENERATOR, "nsf_params", "nonlinear_activation_params"]), value=values)
def test_any_vocoder_value_is_read_or_refused(tmp_path: Path, key: str, value: object) -> None:
    files = Files(tmp_path / "anna")
    files.generator[key] = value
    refused_or_read(files)


@quiet
@given(place=st.sampled_from(["Model", "linguistic_unit", "speaker_list", "audio"]), value=values)
def test_any_structure_is_read_or_refused(tmp_path: Path, place: str, value: object) -> None:
    files = Files(tmp_path / "anna")
    if place == "speaker_list":
        files.am["linguistic_unit"][place] = value
    elif place == "audio":
        files.audio["audio_config"] = value
    else:
        files.am[place] = value
    refused_or_read(files)


@quiet
@given(content=st.binary(max_size=200))
def test_any_npy_is_read_or_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY" + content)
    with pytest.raises(SourceError):
        f0_statistics_from_file(tmp_path / "a.npy")


def refused_or_read(files: Files) -> None:
    try:
        read = settings_from_source(files.source())
    except SourceError:
        return
    assert read.hop == np.prod(read.hifigan.upsample_scales)
