"""Sambert over padded batches, as training needs it: teacher-forced, with dropout and gradients.

The weights are those of `sambert_trt.export.sambert.Sambert`, whose own forwards speak one
sentence. Without dropout a row of a batch gives what its sentence alone would give.
Shapes: B sentences, N symbols, F frames, r frames a step, L steps, C channels; masks are True where
there is something.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from sambert_trt.export.sambert import (
    DurationPredictor,
    FeedForward,
    FftBlock,
    Fsmn,
    FsmnFeedForward,
    MemoryBlock,
    PncaBlock,
    Prenet,
    Sambert,
    SelfAttention,
    VariancePredictor,
)
from sambert_trt.export.typed import members

__all__ = [
    "NO_DROPOUT",
    "Dropout",
    "Memory",
    "decode",
    "encode",
    "frames_before",
    "predict_durations",
    "predict_prosody",
    "refine",
    "regulate",
    "styles_of",
    "with_prosody",
]


@dataclass(frozen=True)
class Dropout:
    """Shares of values that are left out in training.

    Attributes:
        layer: of what a block adds to its input, and between the layers of a predictor.
        prenet: of what prenets give: a decoder that sees its last frame dimly listens to the text.
    """

    layer: float = 0.1
    prenet: float = 0.5


NO_DROPOUT = Dropout(0.0, 0.0)


@dataclass(frozen=True)
class Memory:
    """What the decoder speaks.

    Attributes:
        rows: [B, L, r * P + S + M].
        steps: mask [B, L].
        frames: mask [B, L * r], False for what only fills a last step.
        band: int64 [B], how many steps attention reaches.
    """

    rows: Tensor
    steps: Tensor
    frames: Tensor
    band: Tensor


def styles_of(model: Sambert, emotion: Tensor) -> Tensor:
    """Rows of the emotion table int64 [B] -> speaker and emotion vectors [B, S + M]."""
    speaker = model.spk_tokenizer.weight[:1].expand(len(emotion), -1)
    return torch.cat([speaker, model.emo_tokenizer(emotion)], dim=1)


def frames_before(model: Sambert, frames: Tensor) -> Tensor:
    """Frames [B, L * r, C] -> of each step the last frame of the one before, zeros at first."""
    r = model.config.outputs_per_step
    return F.pad(frames[:, r - 1 :: r], (0, 0, 1, 0))[:, :-1]


def encode(model: Sambert, ling: Tensor, mask: Tensor, drop: Dropout = NO_DROPOUT) -> Tensor:
    """Ids int64 [B, N, fields] and their mask [B, N] -> text_hid [B, N, P]."""
    encoder, inner = model.text_encoder, model.text_encoder.ling_enc
    embedded = encoder.embed(ling.flatten(0, 1)).view(*mask.shape, -1)
    x = _dropped(embedded * inner.scale + inner.position_enc.rows(mask.shape[1]), drop.layer)
    for block in members(inner.fft, FftBlock):
        attention, forward = block.slf_attn, block.pos_ffn
        assert isinstance(attention, SelfAttention)
        assert isinstance(forward, FeedForward)
        x = _feed_forward(forward, _attended(attention, x, mask, drop), mask, drop)
    out: Tensor = encoder.ling_proj(inner.ln(x))
    return out


def predict_prosody(
    model: Sambert, text: Tensor, styles: Tensor, mask: Tensor, drop: Dropout = NO_DROPOUT
) -> tuple[Tensor, Tensor]:
    """text_hid [B, N, P] and styles (speaker, emotion) [B, S + M] -> pitch, energy [B, N]."""
    adaptor, u = model.variance_adaptor, _with_styles(text, styles)
    pitch = _variance(adaptor.pitch_predictor, u, mask, drop)
    return pitch, _variance(adaptor.energy_predictor, u, mask, drop)


def with_prosody(
    model: Sambert, text: Tensor, pitch: Tensor, energy: Tensor, mask: Tensor
) -> Tensor:
    """text_hid [B, N, P], normalised pitch and energy [B, N] -> text' [B, N, P]."""
    adaptor = model.variance_adaptor
    codes = ((adaptor.pitch_emb, pitch), (adaptor.energy_emb, energy))
    for embed, values in codes:
        text = text + embed((values * mask)[:, None]).transpose(1, 2)
    return text


def predict_durations(
    model: Sambert, text: Tensor, styles: Tensor, duration: Tensor, drop: Dropout = NO_DROPOUT
) -> Tensor:
    """text' [B, N, P] and the true durations [B, N] in frames -> log(duration + 1) [B, N].

    Each symbol is told the true duration of the one before it.
    """
    predictor: DurationPredictor = model.variance_adaptor.duration_predictor
    logs = torch.log1p(duration.float())
    before = F.pad(logs, (1, 0))[:, :-1, None]
    x = torch.cat([_prenet(predictor.prenet, before, drop), _with_styles(text, styles)], dim=2)
    hidden, _ = predictor.lstm(x.transpose(0, 1))
    out: Tensor = torch.relu(predictor.fc(_dropped(hidden.transpose(0, 1), drop.layer)))[..., 0]
    return out


def regulate(model: Sambert, text: Tensor, styles: Tensor, duration: Tensor) -> Memory:
    """text' [B, N, P], styles [B, S + M] and durations [B, N] in frames -> the decoder's memory."""
    r, ends = model.config.outputs_per_step, duration.cumsum(1)
    steps = -(-ends[:, -1] // r)
    most = int(steps.max())
    place = torch.arange(most * r, device=text.device)[None].expand(len(text), -1)
    frames = place < ends[:, -1:]
    symbol = torch.searchsorted(ends, place.contiguous(), right=True).clamp_max(text.shape[1] - 1)
    number = (place - (ends - duration).gather(1, symbol) + 1) * frames
    spoken = text.gather(1, symbol[..., None].expand(-1, -1, text.shape[2])) * frames[..., None]
    code = model.variance_adaptor.dur_position_encoder(number.flatten()).view(*number.shape, -1)
    rows = (spoken + code).view(len(text), most, -1)
    band = (duration.amax(1) / r + 0.5).long()
    inside = torch.arange(most, device=text.device)[None] < steps[:, None]
    return Memory(_with_styles(rows, styles), inside, frames, band)


def decode(model: Sambert, memory: Memory, before: Tensor, drop: Dropout = NO_DROPOUT) -> Tensor:
    """The decoder told the frame before each step.

    Args:
        before: [B, L, C], zeros at the first step.

    Returns:
        [B, L * r, C], 0 where there is no frame.
    """
    decoder = model.mel_decoder.mel_dec
    x = torch.cat([memory.rows, _prenet(decoder.prenet, before, drop)], dim=2)
    x = decoder.dec_in_proj(x) * decoder.scale
    past, ahead = _bands(memory)
    for block in members(decoder.pnca, PncaBlock):
        attention, forward = block.pnca_attn, block.pos_ffn
        queries, *own = _heads(attention.w_x_qkv(attention.layer_norm(x)), 3, attention.heads)
        told = _heads(attention.w_h_kv(memory.rows), 2, attention.heads)
        seen = attention.fc_x(_looked_up(queries, own, past))
        seen = seen + attention.fc_h(_looked_up(queries, told, ahead))
        x = _feed_forward(forward, x + _dropped(seen, drop.layer), memory.steps, drop)
    out = decoder.dec_out_proj(decoder.ln(x))
    out = out.view(*memory.frames.shape, model.config.num_mels)
    frames: Tensor = out * memory.frames[..., None]
    return frames


def refine(model: Sambert, frames: Tensor, mask: Tensor, drop: Dropout = NO_DROPOUT) -> Tensor:
    """Decoder frames [B, F, C] -> the mel [B, F, C]: with what the postnet adds."""
    net = model.mel_postnet
    hidden, _ = net.lstm(_fsmn(net.fsmn, frames, mask, drop).transpose(0, 1))
    out: Tensor = frames + net.fc(hidden.transpose(0, 1)) * mask[..., None]
    return out


def _with_styles(rows: Tensor, styles: Tensor) -> Tensor:
    return torch.cat([rows, styles[:, None].expand(-1, rows.shape[1], -1)], dim=2)


def _dropped(x: Tensor, share: float) -> Tensor:
    return F.dropout(x, share) if share else x


def _heads(x: Tensor, parts: int, heads: int) -> Tensor:
    """[B, T, parts * heads * width] -> [parts, B, heads, T, width]."""
    return x.reshape(*x.shape[:2], parts, heads, -1).permute(2, 0, 3, 1, 4)


def _looked_up(queries: Tensor, told: Tensor | list[Tensor], allowed: Tensor) -> Tensor:
    """Attention over keys and values where `allowed` [B, 1, T or 1, T] -> [B, T, width]."""
    keys, values = told
    found = F.scaled_dot_product_attention(queries, keys, values, attn_mask=allowed)
    return found.transpose(1, 2).flatten(2)


def _attended(attention: SelfAttention, x: Tensor, mask: Tensor, drop: Dropout) -> Tensor:
    queries, *told = _heads(attention.w_qkv(attention.layer_norm(x)), 3, attention.heads)
    y = attention.fc(_looked_up(queries, told, mask[:, None, None]))
    y = _dropped(y, drop.layer)
    return y + x if attention.residual else y


def _feed_forward(forward: FeedForward, x: Tensor, mask: Tensor, drop: Dropout) -> Tensor:
    y = (forward.layer_norm(x) * mask[..., None]).transpose(1, 2)
    y = forward.w_2(torch.relu(forward.w_1(y))).transpose(1, 2)
    return x + _dropped(y, drop.layer)


def _fsmn(net: Fsmn, x: Tensor, mask: Tensor, drop: Dropout) -> Tensor:
    """[B, T, width_in] -> [B, T, width]; what is outside a sentence is 0 to every layer."""
    x, inside = x.transpose(1, 2), mask[:, None]
    layers = zip(
        members(net.ffn_lst, FsmnFeedForward),
        members(net.memory_block_lst, MemoryBlock),
        net.residuals,
        strict=True,
    )
    for project, remember, residual in layers:
        y = remember(_dropped(project(x), drop.layer) * inside)
        x = y + x if residual else y
    return x.transpose(1, 2)


def _variance(predictor: VariancePredictor, u: Tensor, mask: Tensor, drop: Dropout) -> Tensor:
    x = _fsmn(predictor.fsmn, u, mask, drop)
    counts = mask.sum(1).cpu()
    packed = pack_padded_sequence(x, counts, batch_first=True, enforce_sorted=False)
    hidden, _ = pad_packed_sequence(
        predictor.blstm(packed)[0], batch_first=True, total_length=mask.shape[1]
    )
    out: Tensor = predictor.fc(_dropped(hidden, drop.layer))[..., 0]
    return out


def _prenet(prenet: Prenet, x: Tensor, drop: Dropout) -> Tensor:
    for index, layer in enumerate(prenet.fcs.values()):
        x = layer(x)
        if index < prenet.hidden:
            x = _dropped(torch.relu(x), drop.prenet)
    return x


def _bands(memory: Memory) -> tuple[Tensor, Tensor]:
    """Where attention looks: past and present steps, and present and coming rows, [B, 1, L, L].

    A step that is outside of its sentence sees itself: a softmax over nothing is no number.
    """
    place = torch.arange(memory.steps.shape[1], device=memory.steps.device)
    offset, band = place[None, None] - place[:, None], memory.band[:, None, None]
    past = (offset <= 0) & (offset >= -band)
    ahead = (offset >= 0) & (offset <= band) & (memory.steps[:, None] | (offset == 0))
    return past[:, None], ahead[:, None]
