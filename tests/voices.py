"""Small voices with seeded random weights, sentences for them, and the tolerances of parity.

Imported by tests as `voices`. Torch, YAML and the exporter are imported only where a voice is made,
so that the tests of the runtime also run where they are absent.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]

GOLDEN: dict[str, int] = {
    "v1_plain16k": 7,
    "v2_nsf16k_mvn": 7,
    "v3_nsf24k_mvn": 7,
    "v4_se_nsfglobal16k": 7,
    "v5_fp8k": 8,
    "v6_byte16k": 7,
    "v7_plain48k": 7,
}
"""The reference voices and their numbers of cases."""

GOLDEN_CASES = tuple((voice, f"u{i}") for voice, count in GOLDEN.items() for i in range(count))

_ARRAYS_BY_TOLERANCE = {
    0.0: "ling emo spk durations inter_length lr_length x_band_width h_band_width",
    1e-5: "text_hid pitch energy log_durations emo_hid spk_hid fp_prob fp_hid_en fp_hid_a fp_hid_e "
    "text_hid_after_fp wav excitation",
    2e-5: "lr_text lr_text_nopos dur_pos lr_emo lr_spk memory memory_first_step dec_outputs "
    "postnet_outputs mel_final",
    2e-4: "f0",
}
TOLERANCES = {name: gap for gap, names in _ARRAYS_BY_TOLERANCE.items() for name in names.split()}
"""Largest absolute differences of float32 implementations from the reference arrays; `f0` in Hz."""

PARAMS: dict[str, Any] = {
    "max_len": 120,
    "embedding_dim": 24,
    "encoder_num_layers": 2,
    "encoder_num_heads": 4,
    "encoder_num_units": 16,
    "encoder_ffn_inner_dim": 24,
    "encoder_projection_units": 8,
    "speaker_units": 6,
    "emotion_units": 4,
    "predictor_filter_size": 5,
    "predictor_fsmn_num_layers": 2,
    "predictor_num_memory_units": 12,
    "predictor_ffn_inner_dim": 16,
    "predictor_shift": 0,
    "predictor_lstm_units": 8,
    "dur_pred_prenet_units": [8, 10],
    "dur_pred_lstm_units": 12,
    "decoder_prenet_units": [12, 10],
    "decoder_num_layers": 2,
    "decoder_num_heads": 4,
    "decoder_num_units": 16,
    "decoder_ffn_inner_dim": 24,
    "outputs_per_step": 3,
    "num_mels": 10,
    "postnet_filter_size": 7,
    "postnet_fsmn_num_layers": 2,
    "postnet_num_memory_units": 12,
    "postnet_ffn_inner_dim": 16,
    "postnet_shift": 1,
    "postnet_lstm_units": 10,
}
GENERATOR: dict[str, Any] = {
    "in_channels": 10,
    "out_channels": 1,
    "channels": 16,
    "kernel_size": 7,
    "upsample_scales": [5, 4, 2],
    "upsample_kernal_sizes": [11, 8, 4],
    "resblock_kernel_sizes": [3, 5],
    "resblock_dilations": [[1, 3], [1, 2]],
    "causal": True,
}
UNIT = {
    "cleaners": "english_cleaners",
    "lfeat_type_list": "sy,tone,syllable_flag,word_segment,emo_category,speaker_category",
    "speaker_list": "F7,M7",
}


@dataclass(frozen=True)
class Variant:
    """What a tiny voice has that the plain one has not."""

    acoustic: Mapping[str, Any] = field(default_factory=dict)
    vocoder: Mapping[str, Any] = field(default_factory=dict)
    unit: Mapping[str, Any] = field(default_factory=dict)
    rate: int = 8000


_NSF: dict[str, Any] = {"nsf_params": {"nb_harmonics": 7, "sampling_rate": 8000}}
_BYTES = "byte_index,emo_category,speaker_category"

VARIANTS: dict[str, Variant] = {
    "plain": Variant(),
    "nsf": Variant(
        {"NSF": True, "num_mels": 12},
        {**_NSF, "causal": False, "upsample_kernal_sizes": [11, 8, 4]},
    ),
    "se": Variant(
        {"NSF": True, "SE": True, "num_mels": 12, "speaker_units": 192, "nsf_norm_type": "global"},
        _NSF,
    ),
    "fp": Variant({"FP": True}),
    "byte": Variant(
        {"using_byte": True, "MAS": False}, {"causal": False}, {"lfeat_type_list": _BYTES}
    ),
    "five": Variant(
        {"outputs_per_step": 2},
        {
            "channels": 32,
            "upsample_scales": [3, 2, 2, 2, 2],
            "upsample_kernal_sizes": [7, 4, 5, 3, 4],
        },
        rate=48000,
    ),
    "odd": Variant(
        {
            "outputs_per_step": 5,
            "postnet_fsmn_num_layers": 3,
            "postnet_shift": [5, 0, 6],
            "predictor_shift": [4, 1],
            "predictor_num_memory_units": 18,
            "embedding_dim": 18,
            "encoder_num_units": 18,
            "decoder_num_units": 18,
            "encoder_num_heads": 4,
            "decoder_num_heads": 4,
            "postnet_num_memory_units": 10,
            "max_len": 6,
        },
        {
            "causal": False,
            "upsample_scales": [5, 3, 2],
            "upsample_kernal_sizes": [5, 8, 7],
            "resblock_kernel_sizes": [3],
            "resblock_dilations": [[1, 5, 2]],
        },
    ),
}
"""plain: causal. nsf: f0 by mean and deviation, centred. se: speaker vector, f0 by range. five:
five stages, 48 kHz, r = 2. odd: r = 5, postnet shifts larger than half the kernel, heads that do
not divide the width, a residual in the first attention, six stored positions."""


def write_voice(folder: Path, variant: str, seed: int = 0) -> Path:
    """Writes a voice folder in the layout of KAN-TTS: YAML files and checkpoints.

    Durations are about two to six frames a symbol, voicing changes, and the wave stays in range.
    """
    import torch
    import yaml

    from sambert_trt.export.hifigan import Generator
    from sambert_trt.export.sambert import Sambert
    from sambert_trt.export.settings import settings_from_source
    from sambert_trt.export.source import voice_sources_from_path

    chosen = VARIANTS[variant]
    params = {**copy.deepcopy(PARAMS), **chosen.acoustic}
    generator = {**copy.deepcopy(GENERATOR), **chosen.vocoder}
    hop = int(np.prod(generator["upsample_scales"]))
    contents: dict[str, Any] = {
        "am/config.yaml": {
            "Model": {"KanTtsSAMBERT": {"params": params}},
            "linguistic_unit": {**UNIT, **chosen.unit},
        },
        "voc/config.yaml": {"Model": {"Generator": {"params": generator}}},
        "audio_config.yaml": {"audio_config": {"sampling_rate": chosen.rate, "hop_length": hop}},
    }
    for name, data in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(yaml.safe_dump(data), encoding="utf-8")
    rng = np.random.default_rng(seed)
    if params.get("NSF") and not params.get("SE"):
        np.save(folder / "am/mvn.npy", np.array([210.5, 60.25]))
    if params.get("SE"):
        np.save(folder / "am/se.npy", rng.standard_normal((1, 192)).astype(np.float32))
    checkpoints = [folder / part / "ckpt" / "checkpoint_0.pth" for part in ("am", "voc")]
    for path in checkpoints:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    read = settings_from_source(voice_sources_from_path(folder)[0])
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model, vocoder = Sambert(read.sambert, read.vocabulary), Generator(read.hifigan)
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    _shape(tensors, params)
    torch.save({"model": tensors, "steps": 0}, checkpoints[0])
    waves = {name: tensor.clone() for name, tensor in vocoder.state_dict().items()}
    waves["conv_post.conv1d.weight"] *= 0.5
    torch.save({"model": {"generator": waves}, "steps": 0}, checkpoints[1])
    return folder


def _shape(tensors: dict[str, Any], params: Mapping[str, Any]) -> None:
    duration = "variance_adaptor.duration_predictor"
    for layer in range(2):
        tensors[f"{duration}.lstm.weight_ih_l{layer}"] *= 4.0
    tensors[f"{duration}.fc.weight"] *= 6.0
    tensors[f"{duration}.fc.bias"].fill_(1.5)
    out = "mel_decoder.mel_dec.dec_out_proj"
    tensors[f"{out}.weight"] *= 3.0
    shape = (params["outputs_per_step"], params["num_mels"], -1)
    if params.get("NSF"):
        weight, bias = tensors[f"{out}.weight"].view(shape), tensors[f"{out}.bias"].view(shape)
        weight[:, -2] *= 0.1
        bias[:, -2:] = tensors[f"{out}.bias"].new_tensor([0.25, 0.5])[:, None]
    if params.get("FP"):
        tensors["FP_predictor.fc.weight"] *= 3.0
        tensors["FP_predictor.fc.bias"][0] += 1.5


def symbol_line(
    units: Mapping[str, Sequence[str]],
    count: int,
    seed: int = 0,
    *,
    emotions: Sequence[str] = ("emotion_happy", "emotion_sad", "emotion_neutral"),
    speakers: Sequence[str] = ("F7",),
) -> str:
    """A line of `count` random symbols that a voice knows, as front ends write them."""
    from sambert_trt.runtime.text.symbols import fields_from_units

    rng = np.random.default_rng(seed)
    tables = [units[field] for field in fields_from_units(units)]
    known = [[name for name in names if name not in ("_", "~", "[MASK]")] for names in tables]
    rows = []
    for _ in range(count):
        chosen = [*known, list(emotions), list(speakers)]
        rows.append("{" + "$".join(names[rng.integers(len(names))] for names in chosen) + "}")
    return " ".join(rows)


def differences(found: Arrays, expected: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    """The largest absolute difference by name; a wrong shape is infinitely wrong."""
    result = {}
    for name, array in expected.items():
        if found[name].shape != array.shape:
            result[name] = float("inf")
        else:
            gap = np.abs(found[name].astype(np.float64) - array)
            result[name] = float(gap.max(initial=0))
    return result


def beyond(found: Arrays, expected: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    """The differences that pass their tolerance. The last two channels of an NSF mel are f0 and
    voicing, so f0 is compared in hertz."""
    found, wanted = dict(found), dict(expected)
    if "excitation" in found and "mel_final" in wanted:
        for arrays in (found, wanted):
            mel = arrays["mel_final"]
            arrays["f0"] = mel[:, -2]
            arrays["mel_final"] = np.delete(mel, -2, axis=1)
    return {
        name: gap for name, gap in differences(found, wanted).items() if not gap <= TOLERANCES[name]
    }
