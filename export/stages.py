"""The stages of a voice as modules with static, export-ready forwards.

They share the weights of `Sambert` and `Generator`. Leading batch axes are always 1. What goes in
and out of each, and how far it sees, is in `signatures`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sambert_trt.engines.graphs import GraphSpec, Stage

from .hifigan import FINAL_SLOPE, Generator, MergedUpsample, SourceConv
from .sambert import Fsmn, MemoryBlock, PncaBlock, Sambert, position_table
from .signatures import SYMBOLS, acoustic_signatures, postnet_context, vocoder_signature
from .typed import members

__all__ = ["StageModule", "stage_modules"]


@dataclass(frozen=True)
class StageModule:
    """A stage ready to be exported: its module and its signature."""

    module: nn.Module
    graph: GraphSpec


class TextEncoderStage(nn.Module):
    """ids [1, N, fields] -> text_hid [1, N, P] and, for filled-pause voices, classes [1, N, 4]."""

    positions: Tensor

    def __init__(self, model: Sambert) -> None:
        super().__init__()
        self.encoder = model.text_encoder
        self.pauses = model.FP_predictor if model.config.fp else None
        stored = model.text_encoder.ling_enc.position_enc.position_enc[0]
        rows, width = SYMBOLS.most, model.config.embedding_dim
        table = position_table(rows, width)[0]
        table[: len(stored)] = stored[:rows]
        self.register_buffer("positions", table)

    def forward(self, ids: Tensor) -> tuple[Tensor, ...]:
        """See the class."""
        text = self.encoder.encode(ids[0], self.positions[: ids.shape[1]])
        if self.pauses is None:
            return (text[None],)
        return text[None], self.pauses(text)[None]


class ProsodyStage(nn.Module):
    """text_hid, speaker, emotion [1, N, ·], controls [1, N, 2] -> pitch, energy [1, N], text'.

    A control row is (scale, shift) of the normalised prediction; (1, 0) leaves it as it is.
    """

    def __init__(self, model: Sambert) -> None:
        super().__init__()
        self.adaptor = model.variance_adaptor

    def forward(
        self,
        text_hid: Tensor,
        speaker: Tensor,
        emotion: Tensor,
        pitch_control: Tensor,
        energy_control: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See the class."""
        u = torch.cat([text_hid, speaker, emotion], dim=2)[0]
        pitch = self.adaptor.pitch_predictor(u) * pitch_control[0, :, 0] + pitch_control[0, :, 1]
        energy = (
            self.adaptor.energy_predictor(u) * energy_control[0, :, 0] + energy_control[0, :, 1]
        )
        text = self.adaptor.add_prosody(text_hid[0], pitch, energy)
        return pitch[None], energy[None], text[None]


class DurationStep(nn.Module):
    """previous [1, 1], condition [1, P + S + M], h and c [2, 1, V] -> log(duration + 1), h, c."""

    def __init__(self, model: Sambert) -> None:
        super().__init__()
        self.predictor = model.variance_adaptor.duration_predictor

    def forward(
        self, previous: Tensor, condition: Tensor, h: Tensor, c: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See the class."""
        out: tuple[Tensor, Tensor, Tensor] = self.predictor.step(previous, condition, h, c)
        return out


class MemoryKv(nn.Module):
    """memory [1, L, r * P + S + M] -> keys and values of all layers [1, L, layers * 2 * H * dh]."""

    def __init__(self, model: Sambert) -> None:
        super().__init__()
        layers = [block.pnca_attn.w_h_kv for block in _blocks(model)]
        self.weight = _frozen(torch.cat([layer.weight for layer in layers]))
        self.bias = _frozen(torch.cat([layer.bias for layer in layers]))

    def forward(self, memory: Tensor) -> tuple[Tensor]:
        """See the class."""
        return (F.linear(memory[0], self.weight, self.bias)[None],)


class DecoderLayer(nn.Module):
    """One PNCA layer for one step: the query sees both windows in one batched attention.

    The two products of one query with a small window are written as multiply and sum: TensorRT for
    RTX fuses them with their neighbours (117 kernels a step instead of 165 with matrix products),
    and ONNX Runtime takes as long either way.
    """

    def __init__(self, block: PncaBlock) -> None:
        super().__init__()
        attention = block.pnca_attn
        self.heads, self.head_width = attention.heads, attention.head_width
        inner = self.heads * self.head_width
        scale = torch.ones(3 * inner)
        scale[:inner] = 1.0 / math.sqrt(self.head_width)
        self.norm = attention.layer_norm
        self.qkv_weight = _frozen(attention.w_x_qkv.weight * scale[:, None])
        self.qkv_bias = _frozen(attention.w_x_qkv.bias * scale)
        self.fc_weight = _frozen(torch.cat([attention.fc_x.weight, attention.fc_h.weight], dim=1))
        self.fc_bias = _frozen(attention.fc_x.bias + attention.fc_h.bias)
        feed = block.pos_ffn
        self.ffn_norm = feed.layer_norm
        self.w_1, self.b_1 = _frozen(feed.w_1.weight[:, :, 0]), feed.w_1.bias
        self.w_2, self.b_2 = _frozen(feed.w_2.weight[:, :, 0]), feed.w_2.bias

    def forward(
        self, x: Tensor, past: Tensor, ahead: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """x [1, Dd], past [1, 2, H, dh, W - 1], ahead [1, 2, H, dh, W], mask [2, 1, 1, 1, W]."""
        qkv = F.linear(self.norm(x), self.qkv_weight, self.qkv_bias)
        inner = self.heads * self.head_width
        query = qkv[:, :inner].reshape(1, 1, self.heads, self.head_width, 1)
        fresh = qkv[:, inner:].reshape(1, 2, self.heads, self.head_width, 1)
        seen = torch.cat([past, fresh], dim=4)
        keys, values = torch.cat([seen, ahead]).split(1, dim=1)
        weights = torch.softmax((query * keys).sum(3, keepdim=True) + mask, dim=4)
        heads = (values * weights).sum(4)
        x = x + F.linear(heads.reshape(1, 2 * inner), self.fc_weight, self.fc_bias)
        y = torch.relu(F.linear(self.ffn_norm(x), self.w_1, self.b_1))
        return x + F.linear(y, self.w_2, self.b_2), seen


class DecoderStep(nn.Module):
    """One decoder step with its whole state as inputs and outputs.

    frame [1, C]: the last frame of the previous step (zeros at the start).
    memory [1, r * P + S + M], memory_kv [W, layers * 2 * H * dh]: rows t and t .. t + W - 1.
    mask [2, W]: added to the logits of the past (newest last) and of the memory ahead.
    state [layers, 2, H, dh, W]: keys and values, newest last; the oldest is dropped.
    -> frames [1, r * C], last_frame [1, C], state.
    """

    def __init__(self, model: Sambert) -> None:
        super().__init__()
        decoder, config = model.mel_decoder.mel_dec, model.config
        self.prenet, self.norm, self.out = decoder.prenet, decoder.ln, decoder.dec_out_proj
        self.in_weight = _frozen(decoder.dec_in_proj.weight * decoder.scale)
        self.in_bias = _frozen(decoder.dec_in_proj.bias * decoder.scale)
        self.layers = nn.ModuleList(DecoderLayer(block) for block in _blocks(model))
        self.heads = config.decoder_num_heads
        self.head_width = config.decoder_num_units // config.decoder_num_heads
        self.channels = config.num_mels

    def forward(
        self, frame: Tensor, memory: Tensor, memory_kv: Tensor, mask: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See the class."""
        count = len(self.layers)
        ahead = memory_kv.reshape(-1, count, 2, self.heads, self.head_width)
        ahead_layers = ahead.permute(1, 2, 3, 4, 0).split(1)
        past_layers = state[:, :, :, :, 1:].split(1)
        bias = mask[:, None, None, None, :]
        x = F.linear(torch.cat([memory, self.prenet(frame)], dim=1), self.in_weight, self.in_bias)
        states = []
        for index, layer in enumerate(self.layers):
            x, seen = layer(x, past_layers[index], ahead_layers[index], bias)
            states.append(seen)
        frames = self.out(self.norm(x))
        return frames, frames[:, -self.channels :], torch.cat(states)


class PostnetChunk(nn.Module):
    """A chunk of T frames with fixed context on both sides.

    frames [1, left + T + right, C] and mask [1, left + T + right, 1] (1 inside the sentence, 0 in
    the padding outside it), LSTM states h and c [1, 1, U] -> mel [1, T, C], h, c.
    Masking the projections makes the padding act as the zero padding of the whole sentence.
    """

    def __init__(self, model: Sambert) -> None:
        super().__init__()
        self.fsmn: Fsmn = model.mel_postnet.fsmn
        self.lstm, self.fc = model.mel_postnet.lstm, model.mel_postnet.fc
        self.left, self.right = postnet_context(model.config)

    def forward(
        self, frames: Tensor, mask: Tensor, h: Tensor, c: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See the class."""
        x, inside = frames.transpose(1, 2), mask.transpose(1, 2)
        layers = zip(
            self.fsmn.ffn_lst,
            members(self.fsmn.memory_block_lst, MemoryBlock),
            self.fsmn.residuals,
            strict=True,
        )
        for project, block, residual in layers:
            p = project(x) * inside
            left, right = max(block.left, 0), max(block.right, 0)
            end = p.shape[2] - right
            memory = block(p)[:, :, left:end]
            x = memory + x[:, :, left:end] if residual else memory
            inside = inside[:, :, left:end]
        hidden, (h, c) = self.lstm(x[0].t()[:, None], (h, c))
        stop = frames.shape[1] - self.right
        return frames[:, self.left : stop] + self.fc(hidden[:, 0])[None], h, c


class VocoderChunk(nn.Module):
    """mel [1, F, C] and, for NSF, excitation [1, F * hop] -> wave [1, F * hop].

    Inside, time is the last of two spatial axes: see `ops`.
    """

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator
        stages = range(len(generator.config.upsample_scales))
        self.upsamples = nn.ModuleList(MergedUpsample(generator, stage) for stage in stages)

    def forward(self, mel: Tensor, excitation: Tensor | None = None) -> tuple[Tensor]:
        """See the class."""
        model = self.generator
        x = model.conv_pre.flat(mel.transpose(1, 2)[:, :, None])
        for stage, upsample in enumerate(self.upsamples):
            x = x + torch.sin(x)
            x = upsample(F.leaky_relu(x, model.config.negative_slope))
            if excitation is not None:
                down = members(model.source_downs, SourceConv)[stage]
                x = x + down.flat(excitation[:, None, None])
            blocks = model.blocks(stage)
            total = blocks[0].flat(x)
            for block in blocks[1:]:
                total = total + block.flat(x)
            x = total / len(blocks)
        wave = torch.tanh(model.conv_post.flat(F.leaky_relu(x, FINAL_SLOPE)))
        return (wave.reshape(1, -1),)


def stage_modules(model: Sambert, generator: Generator | None) -> dict[Stage, StageModule]:
    """Every stage of a voice; without a generator, every stage but the vocoder."""
    graphs = acoustic_signatures(model.config, len(model.text_encoder.tables))
    modules: dict[Stage, nn.Module] = {
        Stage.TEXT_ENCODER: TextEncoderStage(model),
        Stage.PROSODY: ProsodyStage(model),
        Stage.DURATION_STEP: DurationStep(model),
        Stage.MEMORY_KV: MemoryKv(model),
        Stage.DECODER_STEP: DecoderStep(model),
        Stage.POSTNET: PostnetChunk(model),
    }
    if generator is not None:
        modules[Stage.VOCODER] = VocoderChunk(generator)
        graphs[Stage.VOCODER] = vocoder_signature(generator.config)
    return {stage: StageModule(m.eval(), graphs[stage]) for stage, m in modules.items()}


def _frozen(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor.detach().clone(), requires_grad=False)


def _blocks(model: Sambert) -> list[PncaBlock]:
    return members(model.mel_decoder.mel_dec.pnca, PncaBlock)
