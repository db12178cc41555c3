"""The stages' signatures: tensors, axes and their ranges, and how much context a chunk needs.

Every dynamic axis has a name and a range. Computed from the configurations alone; imports no torch.
"""

from __future__ import annotations

import math

from sambert_trt.engines.graphs import AxisRange, GraphSpec, Stage, TensorSpec

from .config import HifiganConfig, SambertConfig

__all__ = [
    "SYMBOLS",
    "acoustic_signatures",
    "postnet_context",
    "vocoder_context",
    "vocoder_signature",
]

SYMBOLS = AxisRange(1, 64, 1024)
STEPS = AxisRange(1, 112, 1024)
LONGEST_SYMBOL = 384
"""Frames (4.8 s at 12.5 ms) a symbol may last: what the decoder's attention windows can hold."""
USUAL_SYMBOL = 48
POSTNET_FRAMES = AxisRange(1, 96, 512)
VOCODER_FRAMES = AxisRange(1, 128, 1024)


def acoustic_signatures(config: SambertConfig, fields: int) -> dict[Stage, GraphSpec]:
    """The signatures of every stage before the vocoder; `fields` linguistic fields a symbol."""
    graphs = (
        _text_encoder(config, fields),
        _prosody(config),
        _duration_step(config),
        _memory_kv(config),
        _decoder_step(config),
        _postnet(config),
    )
    return {graph.stage: graph for graph in graphs}


def vocoder_signature(config: HifiganConfig) -> GraphSpec:
    """The vocoder's signature, with an excitation for NSF voices."""
    inputs = [_float("mel", 1, "frames", config.in_channels)]
    if config.nsf is not None:
        inputs.append(_float("excitation", 1, f"frames*{config.hop}"))
    return GraphSpec(
        Stage.VOCODER,
        tuple(inputs),
        (_float("wave", 1, f"frames*{config.hop}"),),
        {"frames": VOCODER_FRAMES},
        context=vocoder_context(config),
    )


def postnet_context(config: SambertConfig) -> tuple[int, int]:
    """Frames the postnet's FSMN sees before and after a frame."""
    kernel = config.postnet_filter_size
    lefts = [round((kernel - 1) / 2) + shift for shift in config.postnet_shift]
    rights = [(kernel - 1) // 2 - shift for shift in config.postnet_shift]
    return sum(max(n, 0) for n in lefts), sum(max(n, 0) for n in rights)


def vocoder_context(config: HifiganConfig) -> tuple[int, int]:
    """Mel frames (and hops of excitation) the generator sees before and after a frame.

    Walks the layers backwards from the samples [0, 0] of a frame's start and [hop - 1] of its end,
    widening the needed interval by each layer's reach and dividing by each stage's stride.
    """
    hop = config.hop
    first, last = 0, hop - 1
    source_first, source_last = 0, hop - 1
    first, last = _widen(config, first, last, config.kernel_size, 1)
    rate = 1
    for stage in reversed(range(len(config.upsample_scales))):
        reaches = [
            sum((kernel - 1) * (d + 1) for d in dilations)
            for kernel, dilations in zip(
                config.resblock_kernel_sizes, config.resblock_dilations, strict=True
            )
        ]
        first, last = _widen(config, first, last, max(reaches) + 1, 1)
        if config.nsf is not None:
            down = 1 if rate == 1 else 2 * rate
            left = down - 1 if config.causal else (rate // 2 if rate > 1 else 0)
            source_first = min(source_first, first * rate - left)
            source_last = max(source_last, last * rate - left + down - 1)
        first, last = _before_upsampling(config, stage, first, last)
        rate *= config.upsample_scales[stage]
    first, last = _widen(config, first, last, config.kernel_size, 1)
    left = max(-first, math.ceil(-source_first / hop))
    right = max(last, source_last // hop)
    return max(left, 0), max(right, 0)


def _widen(
    config: HifiganConfig, first: int, last: int, kernel: int, dilation: int
) -> tuple[int, int]:
    reach = (kernel - 1) * dilation
    if config.causal:
        return first - reach, last
    return first - reach // 2, last + reach // 2


def _before_upsampling(config: HifiganConfig, stage: int, first: int, last: int) -> tuple[int, int]:
    scale, kernel = config.upsample_scales[stage], config.upsample_kernel_sizes[stage]
    crop = 0 if config.causal else (kernel - scale) // 2
    wide_first, wide_last = _widen(config, first, last, config.kernel_size, 1)
    return (
        min(wide_first // scale, -((kernel - 1 - crop - first) // scale)),
        max(wide_last // scale, (last + crop) // scale),
    )


def _text_encoder(config: SambertConfig, fields: int) -> GraphSpec:
    outputs = [_float("text_hid", 1, "symbols", config.encoder_projection_units)]
    if config.fp:
        outputs.append(_float("pause_classes", 1, "symbols", 4))
    ids = TensorSpec("ids", "int64", (1, "symbols", fields))
    return GraphSpec(Stage.TEXT_ENCODER, (ids,), tuple(outputs), {"symbols": SYMBOLS})


def _prosody(config: SambertConfig) -> GraphSpec:
    text = config.encoder_projection_units
    return GraphSpec(
        Stage.PROSODY,
        (
            _float("text_hid", 1, "symbols", text),
            _float("speaker", 1, "symbols", config.speaker_units),
            _float("emotion", 1, "symbols", config.emotion_units),
            _float("pitch_control", 1, "symbols", 2),
            _float("energy_control", 1, "symbols", 2),
        ),
        (
            _float("pitch", 1, "symbols"),
            _float("energy", 1, "symbols"),
            _float("text", 1, "symbols", text),
        ),
        {"symbols": SYMBOLS},
    )


def _duration_step(config: SambertConfig) -> GraphSpec:
    state = (2, 1, config.dur_pred_lstm_units)
    return GraphSpec(
        Stage.DURATION_STEP,
        (
            _float("previous", 1, 1),
            _float("condition", 1, config.predictor_width),
            _float("h", *state),
            _float("c", *state),
        ),
        (_float("log_duration", 1, 1), _float("h_next", *state), _float("c_next", *state)),
        {},
    )


def _memory_kv(config: SambertConfig) -> GraphSpec:
    return GraphSpec(
        Stage.MEMORY_KV,
        (_float("memory", 1, "steps", config.memory_width),),
        (_float("memory_kv", 1, "steps", _kv_width(config)),),
        {"steps": STEPS},
    )


def _decoder_step(config: SambertConfig) -> GraphSpec:
    channels, heads = config.num_mels, config.decoder_num_heads
    head = config.decoder_num_units // heads
    state = (config.decoder_num_layers, 2, heads, head, "window")
    usual, most = (-(-n // config.outputs_per_step) for n in (USUAL_SYMBOL, LONGEST_SYMBOL))
    return GraphSpec(
        Stage.DECODER_STEP,
        (
            _float("frame", 1, channels),
            _float("memory", 1, config.memory_width),
            _float("memory_kv", "window", _kv_width(config)),
            _float("mask", 2, "window"),
            _float("state", *state),
        ),
        (
            _float("frames", 1, config.outputs_per_step * channels),
            _float("last_frame", 1, channels),
            _float("state_next", *state),
        ),
        {"window": AxisRange(2, max(usual, 2), max(most, 2) + 1)},
    )


def _postnet(config: SambertConfig) -> GraphSpec:
    channels, state = config.num_mels, (1, 1, config.postnet_lstm_units)
    context = postnet_context(config)
    rows = f"frames+{sum(context)}"
    return GraphSpec(
        Stage.POSTNET,
        (
            _float("frames", 1, rows, channels),
            _float("mask", 1, rows, 1),
            _float("h", *state),
            _float("c", *state),
        ),
        (_float("mel", 1, "frames", channels), _float("h_next", *state), _float("c_next", *state)),
        {"frames": POSTNET_FRAMES},
        context=context,
    )


def _kv_width(config: SambertConfig) -> int:
    """Keys and values of all layers in one row."""
    head = config.decoder_num_units // config.decoder_num_heads
    return config.decoder_num_layers * 2 * config.decoder_num_heads * head


def _float(name: str, *shape: int | str) -> TensorSpec:
    return TensorSpec(name, "float32", shape)
