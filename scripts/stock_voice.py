"""Writes a full-size voice with seeded random weights: something to measure speed with.

The configuration is KAN-TTS's stock 16 kHz one; what it speaks is noise of speech's length and
loudness, so every stage does the work it does for a trained voice. Needs the [export] extra.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import SENTENCE

from sambert_trt.engines.errors import SambertError
from sambert_trt.engines.voice import replaced_directory

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sambert_trt.export.config import Vocabulary
    from sambert_trt.export.hifigan import Generator
    from sambert_trt.export.sambert import Sambert
    from sambert_trt.export.source import VoiceSource

__all__ = ["write_stock_voice"]

SENTENCE_FRAMES = 245
"""How long `SENTENCE` of 20 syllables lasts: 3.1 seconds, usual Mandarin speech."""

LOUDNESS = 0.1
"""Root mean square of the samples, full scale 1."""

SPEAKERS = "F7,F74,FBYN,FRXL,M7,xiaoyu"
FIELDS = "sy,tone,syllable_flag,word_segment,emo_category,speaker_category"

_SAMBERT: dict[str, Any] = {
    "max_len": 800,
    "embedding_dim": 512,
    "encoder_num_layers": 8,
    "encoder_num_heads": 8,
    "encoder_num_units": 128,
    "encoder_ffn_inner_dim": 1024,
    "encoder_projection_units": 32,
    "speaker_units": 32,
    "emotion_units": 32,
    "predictor_filter_size": 41,
    "predictor_fsmn_num_layers": 3,
    "predictor_num_memory_units": 128,
    "predictor_ffn_inner_dim": 256,
    "predictor_shift": 0,
    "predictor_lstm_units": 128,
    "dur_pred_prenet_units": [128, 128],
    "dur_pred_lstm_units": 128,
    "decoder_prenet_units": [256, 256],
    "decoder_num_layers": 12,
    "decoder_num_heads": 8,
    "decoder_num_units": 128,
    "decoder_ffn_inner_dim": 1024,
    "outputs_per_step": 3,
    "num_mels": 80,
    "postnet_filter_size": 41,
    "postnet_fsmn_num_layers": 4,
    "postnet_num_memory_units": 256,
    "postnet_ffn_inner_dim": 512,
    "postnet_shift": 17,
    "postnet_lstm_units": 128,
    "MAS": False,
}
_SAMBERT_NSF: dict[str, Any] = {
    "num_mels": 82,
    "NSF": True,
    "nsf_norm_type": "global",
    "nsf_f0_global_minimum": 30.0,
    "nsf_f0_global_maximum": 730.0,
}
_GENERATOR: dict[str, Any] = {
    "in_channels": 80,
    "out_channels": 1,
    "channels": 256,
    "kernel_size": 7,
    "upsample_scales": [10, 5, 2, 2],
    "upsample_kernal_sizes": [20, 10, 4, 4],
    "resblock_kernel_sizes": [3, 7, 11],
    "resblock_dilations": [[1, 3, 5, 7]] * 3,
    "bias": True,
    "causal": True,
    "nonlinear_activation": "LeakyReLU",
    "nonlinear_activation_params": {"negative_slope": 0.1},
    "use_weight_norm": True,
}
_GENERATOR_NSF: dict[str, Any] = {
    "upsample_kernal_sizes": [20, 11, 4, 4],
    "causal": False,
    "nsf_params": {"nb_harmonics": 7, "sampling_rate": 16000},
}
_AUDIO: dict[str, Any] = {"sampling_rate": 16000, "hop_length": 200, "n_mels": 80}


def main() -> int:
    """Reads the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("output", type=Path, help="the voice folder to write")
    parser.add_argument("--nsf", action="store_true", help="the NSF vocoder that is not causal")
    parser.add_argument("--seed", type=int, default=0, help="of the weights (0)")
    options = parser.parse_args()
    try:
        write_stock_voice(options.output, nsf=options.nsf, seed=options.seed)
    except SambertError as error:
        print(f"stock_voice: {error}", file=sys.stderr)
        return 1
    print(f"{options.output}: the stock 16 kHz configuration with random weights")
    return 0


def write_stock_voice(target: Path, *, nsf: bool = False, seed: int = 0) -> None:
    """Writes the folder: am/ and voc/ with config.yaml and ckpt/checkpoint_0.pth.

    Raises:
        OutputError: `target` exists and is not empty, or cannot be written.
    """
    import torch

    from sambert_trt.export.hifigan import Generator
    from sambert_trt.export.sambert import Sambert
    from sambert_trt.export.settings import settings_from_source

    torch.manual_seed(seed)
    with replaced_directory(target) as folder:
        source = _written_settings(folder, nsf)
        settings = settings_from_source(source)
        model = Sambert(settings.sambert, settings.vocabulary).eval()
        generator = Generator(settings.hifigan).eval()
        with torch.no_grad():
            _shape_acoustics(model, settings.vocabulary, nsf)
            _shape_vocoder(generator)
        state = {"model": model.state_dict(), "steps": 0}
        torch.save(state, folder / "am" / "ckpt" / "checkpoint_0.pth")
        weights = _weight_normed(generator)
        state = {"model": {"generator": weights}, "steps": 0}
        torch.save(state, folder / "voc" / "ckpt" / "checkpoint_0.pth")


def _written_settings(folder: Path, nsf: bool) -> VoiceSource:
    import yaml

    from sambert_trt.export.source import voice_source_from_files

    units = {"lfeat_type_list": FIELDS, "speaker_list": SPEAKERS, "language": "PinYin"}
    sambert = {**_SAMBERT, **(_SAMBERT_NSF if nsf else {})}
    generator = {**_GENERATOR, **(_GENERATOR_NSF if nsf else {})}
    settings = {
        "am": {
            "model_type": "sambert",
            "Model": {"KanTtsSAMBERT": {"params": sambert}},
            "linguistic_unit": {"cleaners": "english_cleaners", **units},
        },
        "voc": {"model_type": "hifigan", "Model": {"Generator": {"params": generator}}},
    }
    checkpoints = {}
    for part, content in settings.items():
        checkpoints[part] = folder / part / "ckpt" / "checkpoint_0.pth"
        checkpoints[part].parent.mkdir(parents=True)
        checkpoints[part].touch()
        text = yaml.safe_dump({**content, "audio_config": _AUDIO}, sort_keys=False)
        (folder / part / "config.yaml").write_text(text, encoding="utf-8")
    text = yaml.safe_dump({"audio_config": _AUDIO}, sort_keys=False)
    (folder / "audio_config.yaml").write_text(text, encoding="utf-8")
    return voice_source_from_files(
        am_checkpoint=checkpoints["am"], voc_checkpoint=checkpoints["voc"]
    )


def _shape_acoustics(model: Sambert, vocabulary: Vocabulary, nsf: bool) -> None:
    _shape_durations(model, vocabulary)
    if not nsf:
        return
    channels = model.config.num_mels
    out, residual = model.mel_decoder.mel_dec.dec_out_proj, model.mel_postnet.fc
    for channel, centre in ((channels - 2, 0.25), (channels - 1, 0.8)):
        out.weight[channel::channels].mul_(0.1)
        out.bias[channel::channels].fill_(centre)
        residual.weight[channel].zero_()
        residual.bias[channel].zero_()


def _shape_durations(model: Sambert, vocabulary: Vocabulary) -> None:
    """Lets durations follow the symbols, spread around their usual length."""
    import torch

    encoder, predictor = model.text_encoder, model.variance_adaptor.duration_predictor
    attention = dict(encoder.named_parameters())["ling_enc.fft.0.slf_attn.w_qkv.weight"]
    attention[: attention.shape[0] // 3 * 2].mul_(6)  # sharp, so that symbols stay different
    weights = dict(predictor.named_parameters())
    width = model.config.predictor_width
    weights["lstm.weight_ih_l0"][:, :-width].mul_(0.1)
    weights["lstm.weight_ih_l0"][:, -width:].mul_(8)
    weights["lstm.weight_ih_l1"].mul_(8)
    weights["fc.weight"].mul_(1.5)
    ids = _sentence_ids(vocabulary)
    speaker = model.spk_tokenizer.weight[:1].expand(len(ids), -1)
    emotion = model.emo_tokenizer.weight[1:2].expand(len(ids), -1)
    text, adaptor = encoder.forward(ids), model.variance_adaptor
    u = torch.cat([text, speaker, emotion], dim=1)
    pitch, energy = adaptor.pitch_predictor.forward(u), adaptor.energy_predictor.forward(u)
    text = adaptor.add_prosody(text, pitch, energy)
    condition = torch.cat([text, speaker, emotion], dim=1)
    wanted = SENTENCE_FRAMES / len(ids)
    weights["fc.bias"].fill_(math.log1p(wanted))
    for _ in range(4):
        durations = predictor.forward(condition).exp() - 1
        weights["fc.bias"].add_(math.log((wanted + 1) / (1 + float(durations.mean()))))


def _sentence_ids(vocabulary: Vocabulary) -> Tensor:
    import torch

    from sambert_trt.runtime.text import MandarinFrontend
    from sambert_trt.runtime.text.symbols import ids_from_sentence

    sentence = next(MandarinFrontend(vocabulary.units, "PinYin").sentences(SENTENCE))
    rows, _, _ = ids_from_sentence(
        sentence, vocabulary.units, vocabulary.emotions, vocabulary.speakers
    )
    return torch.tensor(rows)


def _shape_vocoder(generator: Generator) -> None:
    """Weights that keep activations near 1 through all layers, and audible samples at the end."""
    import torch
    from torch import nn

    for module in generator.modules():
        if isinstance(module, nn.Conv1d):
            nn.init.normal_(module.weight, 0.0, 0.3 / math.sqrt(module.weight[0].numel()))
        if isinstance(module, nn.ConvTranspose1d):
            taps = module.weight.shape[0] * module.weight.shape[2] / module.stride[0]
            nn.init.normal_(module.weight, 0.0, 0.5 / math.sqrt(taps))
    for stage in generator.repeat_upsamples:
        stage.get_parameter("2.conv1d.weight").mul_(3)
    mel = 0.7 * torch.randn(1, generator.config.in_channels, 24)
    excitation = None
    if generator.config.nsf is not None:
        excitation = 0.1 * torch.randn(1, 1, 24 * generator.config.hop)
    last = dict(generator.conv_post.named_parameters())
    last["conv1d.bias"].zero_()
    for _ in range(2):
        samples = torch.atanh(generator.forward(mel, excitation).clamp(-0.999, 0.999))
        last["conv1d.weight"].mul_(LOUDNESS / samples.std())


def _weight_normed(generator: nn.Module) -> dict[str, Tensor]:
    """The generator's weights as g and v of weight norm, as trained vocoders store them."""
    tensors = {}
    for name, value in generator.state_dict().items():
        if name.endswith(".weight"):
            tensors[f"{name}_g"] = value.flatten(1).norm(dim=1)[:, None, None]
            tensors[f"{name}_v"] = value
        else:
            tensors[name] = value
    return tensors


if __name__ == "__main__":
    sys.exit(main())
