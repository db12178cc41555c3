"""A trained voice as the files of a KAN-TTS voice folder, in memory.

Weights are stored in half precision. Constant tables stay in single precision, since they are
angles and divisors; of the encoder's positions, which are a formula, one row is stored.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor

from sambert_trt.export.checkpoint import folded_vocoder
from sambert_trt.export.config import HifiganConfig, SambertConfig

__all__ = ["TrainedVoice", "contents_of_voice", "half_acoustic", "half_vocoder"]

Tensors = dict[str, Tensor]

_POSITIONS, _DIVISORS = ".position_enc.position_enc", ".inv_timescales"
_STORED_POSITIONS = 1
"""Rows of the position table. Whoever speaks longer sentences computes all rows by the formula that
made the table, the original too; 800 rows of 256 would be a tenth of the voice."""
_UPPER = ("nsf", "se", "fp", "mas")
_DROPOUTS = {
    f"{part}_{kind}": value
    for part in ("encoder", "decoder")
    for kind, value in (("dropout", 0.1), ("attention_dropout", 0.0), ("relu_dropout", 0.0))
} | {"predictor_dropout": 0.1, "postnet_dropout": 0.1}
"""The original's classes ask for these even where nothing is trained."""
_FIELDS = "sy,tone,syllable_flag,word_segment,emo_category,speaker_category"


@dataclass(frozen=True)
class Heard:
    """In steps `first` to `last` of the vocoder: mels that the acoustic model spoke.

    It was `spoken_by` steps old; `spoken` is the share of windows that had its mels.
    """

    first: int
    last: int
    spoken_by: int
    spoken: float


@dataclass(frozen=True)
class TrainedVoice:
    """What two trainings and their dataset give.

    Attributes:
        sambert, hifigan: hyper-parameters.
        acoustic, vocoder: weights by the names of `Sambert` and `Generator`; the vocoder's may
            carry weight norm of either kind.
        steps: made by the acoustic model and by the vocoder.
        rate: hertz.
        speaker: the only entry of the speaker list.
        f0: mean and standard deviation in hertz, of a voice with NSF.
        untrained: names that no training sentence had, by field.
        attribution: whose recordings it was trained on.
        heard: which mels of the acoustic model the vocoder met beside those of recordings.
        began_with: the voices whose weights the acoustic model and the vocoder began with.
    """

    sambert: SambertConfig
    hifigan: HifiganConfig
    acoustic: Tensors
    vocoder: Tensors
    steps: tuple[int, int]
    rate: int
    speaker: str
    f0: tuple[float, float]
    untrained: Mapping[str, Sequence[str]]
    attribution: str
    heard: Sequence[Heard] = ()
    began_with: tuple[str | None, str | None] = (None, None)


def contents_of_voice(voice: TrainedVoice) -> dict[str, bytes]:
    """The files that `sambert-export` and KAN-TTS read, by their paths; equal voices, equal bytes.

    Raises:
        SourceError: weight norm without its other half.
    """
    am, voc = voice.steps
    found = {
        "audio_config.yaml": _yaml({"audio_config": _audio(voice)}),
        "am/config.yaml": _yaml(_acoustic_settings(voice)),
        f"am/ckpt/checkpoint_{am}.pth": _saved(
            {"model": half_acoustic(voice.acoustic), "steps": am}
        ),
        "voc/config.yaml": _yaml(_vocoder_settings(voice)),
        f"voc/ckpt/checkpoint_{voc}.pth": _saved(
            {"model": {"generator": half_vocoder(voice.vocoder)}, "steps": voc}
        ),
    }
    if voice.sambert.nsf:
        found["am/mvn.npy"] = _npy(np.array(voice.f0, np.float64)[:, None])
    return found


def half_acoustic(tensors: Mapping[str, Tensor]) -> Tensors:
    """The acoustic model's weights in half precision, its constant tables in single."""
    return {name: _stored(name, value) for name, value in tensors.items()}


def half_vocoder(tensors: Mapping[str, Tensor]) -> Tensors:
    """The vocoder's weights in half precision, with the weight norm that the original's class has.

    weight = v * g / |v|, the norm over all axes but the first: with v the weight itself in half
    precision and g = |v| in single precision, what is read is v, and is not rounded a second time.

    Raises:
        SourceError: weight norm without its other half.
    """
    arrays = {name: value.float().numpy() for name, value in tensors.items()}
    plain = folded_vocoder(arrays, Path("vocoder"))
    found: Tensors = {}
    for name in sorted(plain):
        value = _half(torch.from_numpy(plain[name]))
        if name.endswith(".weight"):
            found[f"{name}_g"], found[f"{name}_v"] = _normalised(value)
        else:
            found[name] = value
    return found


def _normalised(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Gain, float32 [n, 1, ...], and direction [n, ...]; a row of zeros has gain 0, direction 1."""
    axes = tuple(range(1, weight.ndim))
    gain = weight.double().square().sum(dim=axes, keepdim=True).sqrt().float()
    return gain, torch.where(gain > 0, weight, torch.ones_like(weight))


def _stored(name: str, value: Tensor) -> Tensor:
    if name.endswith(_POSITIONS):
        return value[:, :_STORED_POSITIONS].float().cpu().clone()
    return value.float().cpu().clone() if name.endswith(_DIVISORS) else _half(value)


def _half(value: Tensor) -> Tensor:
    """A value in half precision, or in single precision where half would overflow."""
    half = value.detach().to("cpu", torch.float16).contiguous().clone()
    return half if bool(torch.isfinite(half).all()) else value.detach().float().cpu().clone()


def _saved(content: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    return buffer.getvalue()


def _npy(array: NDArray[np.float64]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _yaml(data: Mapping[str, Any]) -> bytes:
    text: str = yaml.safe_dump(
        dict(data), sort_keys=False, allow_unicode=True, width=100, default_flow_style=None
    )
    return text.encode()


def _audio(voice: TrainedVoice) -> dict[str, Any]:
    """How features are made of audio; the names are those of KAN-TTS."""
    return {
        "sampling_rate": voice.rate,
        "hop_length": voice.hifigan.hop,
        "win_length": 5 * voice.hifigan.hop,
        "n_fft": 2048,
        "n_mels": voice.hifigan.in_channels,
        "fmin": 0.0,
        "fmax": voice.rate / 2,
        "phone_level_feature": True,
        "norm_type": "mean_std",
        "max_norm": 1.0,
        "symmetric": False,
        "min_level_db": -100.0,
        "ref_level_db": 20,
    }


def _acoustic_settings(voice: TrainedVoice) -> dict[str, Any]:
    config = {name: _plain(value) for name, value in dataclasses.asdict(voice.sambert).items()}
    params = {name.upper() if name in _UPPER else name: value for name, value in config.items()}
    params["max_len"] = _STORED_POSITIONS
    rate = {"lr": 0.001, "betas": [0.9, 0.98], "eps": 1.0e-9, "weight_decay": 0.0}
    model = {
        "params": params | _DROPOUTS,
        "optimizer": {"type": "Adam", "params": rate},
        "scheduler": {"type": "NoamLR", "params": {"warmup_steps": 4000}},
    }
    unit = {
        "cleaners": "english_cleaners",
        "lfeat_type_list": _FIELDS,
        "speaker_list": voice.speaker,
        "language": "PinYin",
        "untrained": {field: list(names) for field, names in voice.untrained.items()},
    }
    return {
        "model_type": "sambert",
        "Model": {"KanTtsSAMBERT": model},
        "linguistic_unit": unit,
        "audio_config": _audio(voice),
    }


def _vocoder_settings(voice: TrainedVoice) -> dict[str, Any]:
    params = {name: _plain(value) for name, value in dataclasses.asdict(voice.hifigan).items()}
    params["upsample_kernal_sizes"] = params.pop("upsample_kernel_sizes")  # the format's spelling
    slope, nsf = params.pop("negative_slope"), params.pop("nsf")
    params |= {
        "bias": True,
        "nonlinear_activation": "LeakyReLU",
        "nonlinear_activation_params": {"negative_slope": slope},
        "use_weight_norm": True,
    }
    if nsf is not None:
        params["nsf_params"] = nsf
    return {
        "model_type": "hifigan",
        "Model": {"Generator": {"params": params}},
        "audio_config": _audio(voice),
    }


def _plain(value: object) -> object:
    """Tuples as lists, which YAML can say."""
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
