"""The hyper-parameters of the two models, read once from YAML and typed from there on.

Names are those of the KAN-TTS configuration files. Imports no torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["HifiganConfig", "NsfConfig", "SambertConfig", "Vocabulary"]


@dataclass(frozen=True)
class Vocabulary:
    """The id tables: `units` holds the linguistic fields in order (sy, tone, syllable_flag,
    word_segment; or byte_index), each a tuple of names whose position is the id.

    Breaks and phones carry no `@`; `#1` is `#1`. The reserved rows are `_`, `~` and, with mask
    rows, `[MASK]`. `speakers` and `emotions` include their reserved rows too, so the length of
    each tuple is the number of rows of its embedding table.
    `untrained` are the names, by field, whose rows nothing was learned for.
    """

    language: str
    units: dict[str, tuple[str, ...]]
    emotions: tuple[str, ...]
    speakers: tuple[str, ...]
    untrained: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class SambertConfig:
    """`Model.KanTtsSAMBERT.params`, shifts expanded to one per layer."""

    max_len: int
    embedding_dim: int
    encoder_num_layers: int
    encoder_num_heads: int
    encoder_num_units: int
    encoder_ffn_inner_dim: int
    encoder_projection_units: int
    speaker_units: int
    emotion_units: int
    predictor_filter_size: int
    predictor_fsmn_num_layers: int
    predictor_num_memory_units: int
    predictor_ffn_inner_dim: int
    predictor_shift: tuple[int, ...]
    predictor_lstm_units: int
    dur_pred_prenet_units: tuple[int, ...]
    dur_pred_lstm_units: int
    decoder_prenet_units: tuple[int, ...]
    decoder_num_layers: int
    decoder_num_heads: int
    decoder_num_units: int
    decoder_ffn_inner_dim: int
    outputs_per_step: int
    num_mels: int
    postnet_filter_size: int
    postnet_fsmn_num_layers: int
    postnet_num_memory_units: int
    postnet_ffn_inner_dim: int
    postnet_shift: tuple[int, ...]
    postnet_lstm_units: int
    nsf: bool = False
    nsf_norm_type: str = "mean_std"
    nsf_f0_global_minimum: float = 30.0
    nsf_f0_global_maximum: float = 730.0
    se: bool = False
    fp: bool = False
    using_byte: bool = False
    mas: bool = False

    @property
    def memory_width(self) -> int:
        """Channels of one decoder memory row: r * P + S + M."""
        text = self.outputs_per_step * self.encoder_projection_units
        return text + self.speaker_units + self.emotion_units

    @property
    def predictor_width(self) -> int:
        """Channels of the predictors' input: P + S + M."""
        return self.encoder_projection_units + self.speaker_units + self.emotion_units


@dataclass(frozen=True)
class NsfConfig:
    """`nsf_params` of the generator."""

    nb_harmonics: int
    sampling_rate: int


@dataclass(frozen=True)
class HifiganConfig:
    """`Model.Generator.params`; `upsample_kernel_sizes` is the file's `upsample_kernal_sizes`."""

    in_channels: int
    out_channels: int
    channels: int
    kernel_size: int
    upsample_scales: tuple[int, ...]
    upsample_kernel_sizes: tuple[int, ...]
    resblock_kernel_sizes: tuple[int, ...]
    resblock_dilations: tuple[tuple[int, ...], ...]
    causal: bool
    negative_slope: float = 0.1
    nsf: NsfConfig | None = None

    @property
    def hop(self) -> int:
        """Samples per mel frame: the product of the upsampling factors."""
        product = 1
        for scale in self.upsample_scales:
            product *= scale
        return product
