"""The Sambert acoustic model in torch: weights under their KAN-TTS names, whole-sentence forwards.

Every module computes what `spec` sections of KAN-TTS inference compute, batch size 1. The streaming
forms (one decoder step, one postnet chunk) are in `stages.py` and share these weights.
Shapes: N symbols, F frames, r frames per step, L = ceil(F / r) steps, C frame channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from .config import SambertConfig, Vocabulary
from .ops import convolve

__all__ = ["FLEXIBLE_ROWS", "Sambert", "position_table"]

EPSILON = 1e-6
FILLED_PAUSE_CLASSES = 4
FLEXIBLE_ROWS = ("text_encoder.ling_enc.position_enc.position_enc",)


def position_table(rows: int, width: int) -> Tensor:
    """Sinusoid positions 1..rows, float32 [1, rows, width]: all sines first, then all cosines.

    angle(t, k) = t / 10000^(k / (width / 2 - 1)), computed in float64 as the original does.
    """
    half = width // 2
    exponent = torch.arange(half, dtype=torch.float64) * (-math.log(10000.0) / (half - 1))
    position = torch.arange(1, rows + 1, dtype=torch.float64)
    angle = position[:, None] * torch.exp(exponent)[None, :]
    return torch.cat([angle.sin(), angle.cos()], dim=1).float()[None]


def layer_norm(width: int) -> nn.LayerNorm:
    """LayerNorm with the epsilon of these models."""
    return nn.LayerNorm(width, eps=EPSILON)


class PositionEncoding(nn.Module):
    """The stored position table; longer input uses the formula for every row."""

    position_enc: Tensor

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.register_buffer("position_enc", position_table(rows, width))

    def rows(self, count: int) -> Tensor:
        """The first `count` rows, float32 [1, count, width]."""
        if count <= self.position_enc.shape[1]:
            return self.position_enc[:, :count]
        return position_table(count, self.position_enc.shape[2])


class SelfAttention(nn.Module):
    """Pre-norm multi-head self-attention; the residual exists only where the widths agree."""

    def __init__(self, width_in: int, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.head_width = heads, width // heads
        inner = heads * self.head_width
        self.layer_norm = layer_norm(width_in)
        self.w_qkv = nn.Linear(width_in, 3 * inner)
        self.fc = nn.Linear(inner, width)
        self.residual = width_in == width

    def forward(self, x: Tensor) -> Tensor:
        """[N, width_in] -> [N, width]."""
        qkv = self.w_qkv(self.layer_norm(x))
        q, k, v = qkv.view(-1, 3, self.heads, self.head_width).permute(1, 2, 0, 3)
        weights = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(self.head_width), dim=-1)
        y = self.fc((weights @ v).transpose(0, 1).flatten(1))
        return y + x if self.residual else y


class FeedForward(nn.Module):
    """Pre-norm position-wise feed-forward of two convolutions over time."""

    def __init__(self, width: int, inner: int, kernel: int) -> None:
        super().__init__()
        self.layer_norm = layer_norm(width)
        self.w_1 = nn.Conv1d(width, inner, kernel, padding=kernel // 2)
        self.w_2 = nn.Conv1d(inner, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[N, width] -> [N, width]."""
        y = self.layer_norm(x).t()[None]
        return x + self.w_2(torch.relu(self.w_1(y)))[0].t()


class FftBlock(nn.Module):
    """Self-attention, then a feed-forward whose first convolution has kernel 3."""

    def __init__(self, width_in: int, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.slf_attn = SelfAttention(width_in, width, heads)
        self.pos_ffn = FeedForward(width, inner, 3)

    def forward(self, x: Tensor) -> Tensor:
        """[N, width_in] -> [N, width]."""
        out: Tensor = self.pos_ffn(self.slf_attn(x))
        return out


class LinguisticEncoder(nn.Module):
    """Positions, FFT blocks and the final norm."""

    def __init__(self, config: SambertConfig) -> None:
        super().__init__()
        width = config.encoder_num_units
        self.scale = math.sqrt(width)
        self.position_enc = PositionEncoding(config.max_len, config.embedding_dim)
        inputs = [config.embedding_dim] + [width] * (config.encoder_num_layers - 1)
        self.fft = nn.ModuleList(
            FftBlock(n, width, config.encoder_num_heads, config.encoder_ffn_inner_dim)
            for n in inputs
        )
        self.ln = layer_norm(width)

    def forward(self, embedded: Tensor, positions: Tensor) -> Tensor:
        """Embedding sums and positions, both [N, E] -> [N, D]."""
        x = embedded * self.scale + positions
        for block in self.fft:
            x = block(x)
        out: Tensor = self.ln(x)
        return out


class TextEncoder(nn.Module):
    """Embeddings of the linguistic fields and the encoder."""

    def __init__(self, config: SambertConfig, rows: Sequence[int]) -> None:
        super().__init__()
        names = ("byte_index",) if config.using_byte else ("sy", "tone", "syllable_flag", "ws")
        self.tables = tuple(f"{name}_emb" for name in names)
        for table, count in zip(self.tables, rows, strict=True):
            self.add_module(table, nn.Embedding(count, config.embedding_dim))
        self.ling_enc = LinguisticEncoder(config)
        self.ling_proj = nn.Linear(
            config.encoder_num_units, config.encoder_projection_units, bias=False
        )

    def embed(self, ids: Tensor) -> Tensor:
        """Ids [N, fields] -> the sum of their embeddings [N, E]."""
        total = self.get_submodule(self.tables[0])(ids[:, 0])
        for column, table in enumerate(self.tables[1:], start=1):
            total = total + self.get_submodule(table)(ids[:, column])
        return total

    def encode(self, ids: Tensor, positions: Tensor) -> Tensor:
        """Ids [N, fields] and position rows [N, E] -> text_hid [N, P]."""
        out: Tensor = self.ling_proj(self.ling_enc(self.embed(ids), positions))
        return out

    def forward(self, ids: Tensor) -> Tensor:
        """Ids [N, fields] -> text_hid [N, P]."""
        return self.encode(ids, self.ling_enc.position_enc.rows(ids.shape[0])[0])


class FsmnFeedForward(nn.Module):
    """The projection of an FSMN layer: kernel-1 convolution, ReLU, kernel-1 convolution."""

    def __init__(self, width_in: int, inner: int, width: int) -> None:
        super().__init__()
        self.w_1 = nn.Conv1d(width_in, inner, 1)
        self.w_2 = nn.Conv1d(inner, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[1, width_in, T] -> [1, width, T]."""
        out: Tensor = self.w_2(torch.relu(self.w_1(x)))
        return out


class MemoryBlock(nn.Module):
    """The depthwise convolution of an FSMN layer and its context in frames."""

    def __init__(self, width: int, kernel: int, shift: int) -> None:
        super().__init__()
        self.left = round((kernel - 1) / 2) + shift
        self.right = (kernel - 1) // 2 - shift
        self.conv_dw = nn.Conv1d(width, width, kernel, groups=width, bias=False)

    def forward(self, p: Tensor) -> Tensor:
        """[1, width, T] -> [1, width, T], zeros outside."""
        padding, width = (max(self.left, 0), max(self.right, 0)), p.shape[1]
        y = convolve(p, self.conv_dw.weight, None, padding, groups=width)
        if self.left < 0:
            y = y[:, :, -self.left :]
        if self.right < 0:
            y = y[:, :, : p.shape[2]]
        return y + p


class Fsmn(nn.Module):
    """A stack of FSMN layers; a layer has a residual where its widths agree."""

    def __init__(
        self, width_in: int, inner: int, width: int, kernel: int, shifts: Sequence[int]
    ) -> None:
        super().__init__()
        inputs = [width_in] + [width] * (len(shifts) - 1)
        self.ffn_lst = nn.ModuleList(FsmnFeedForward(n, inner, width) for n in inputs)
        self.memory_block_lst = nn.ModuleList(MemoryBlock(width, kernel, s) for s in shifts)
        self.residuals = tuple(n == width for n in inputs)

    def forward(self, x: Tensor) -> Tensor:
        """[T, width_in] -> [T, width]."""
        x = x.t()[None]
        for project, remember, residual in zip(
            self.ffn_lst, self.memory_block_lst, self.residuals, strict=True
        ):
            memory = remember(project(x))
            x = memory + x if residual else memory
        return x[0].t()


class VariancePredictor(nn.Module):
    """Pitch or energy per symbol: FSMN, bidirectional LSTM, one linear unit."""

    def __init__(self, config: SambertConfig) -> None:
        super().__init__()
        width, units = config.predictor_num_memory_units, config.predictor_lstm_units
        self.fsmn = Fsmn(
            config.predictor_width,
            config.predictor_ffn_inner_dim,
            width,
            config.predictor_filter_size,
            config.predictor_shift,
        )
        self.blstm = nn.LSTM(width, units, bidirectional=True)
        self.fc = nn.Linear(2 * units, 1)

    def forward(self, u: Tensor) -> Tensor:
        """[N, P + S + M] -> normalised values [N]."""
        hidden, _ = self.blstm(self.fsmn(u)[:, None])
        out: Tensor = self.fc(hidden[:, 0])[:, 0]
        return out


class Prenet(nn.Module):
    """Linear layers with ReLU, numbered in steps of three as in the checkpoints."""

    def __init__(self, width_in: int, units: Sequence[int], width_out: int = 0) -> None:
        super().__init__()
        self.fcs = nn.ModuleDict()
        for index, (n, m) in enumerate(pairwise([width_in, *units])):
            self.fcs[str(3 * index)] = nn.Linear(n, m)
        self.hidden = len(units)
        if width_out:
            self.fcs[str(3 * self.hidden)] = nn.Linear(units[-1], width_out)

    def forward(self, x: Tensor) -> Tensor:
        """[1, width_in] -> [1, last width]."""
        for index, layer in enumerate(self.fcs.values()):
            x = layer(x)
            if index < self.hidden:
                x = torch.relu(x)
        return x


class DurationPredictor(nn.Module):
    """Log durations, one symbol at a time."""

    def __init__(self, config: SambertConfig) -> None:
        super().__init__()
        self.units = config.dur_pred_lstm_units
        self.prenet = Prenet(1, config.dur_pred_prenet_units)
        width = config.dur_pred_prenet_units[-1] + config.predictor_width
        self.lstm = nn.LSTM(width, self.units, num_layers=2)
        self.fc = nn.Linear(self.units, 1)

    def step(
        self, previous: Tensor, condition: Tensor, h: Tensor, c: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Previous value [1, 1], condition [1, P + S + M], states [2, 1, units] -> the next."""
        x = torch.cat([self.prenet(previous), condition], dim=1)
        y, (h, c) = self.lstm(x[None], (h, c))
        return torch.relu(self.fc(y[0])), h, c

    def forward(self, condition: Tensor) -> Tensor:
        """[N, P + S + M] -> log(duration + 1) [N]."""
        x = condition.new_zeros(1, 1)
        h = condition.new_zeros(2, 1, self.units)
        c = torch.zeros_like(h)
        values = []
        for row in condition:
            x, h, c = self.step(x, row[None], h, c)
            values.append(x[0])
        return torch.cat(values)


class DurationPosition(nn.Module):
    """The stored divisors of the duration position code."""

    inv_timescales: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        channel = torch.arange(width, dtype=torch.float64)
        scales = torch.pow(10000.0, 2 * torch.div(channel, 2, rounding_mode="floor") / width)
        self.register_buffer("inv_timescales", scales.float())

    def forward(self, numbers: Tensor) -> Tensor:
        """Frame numbers inside their symbol [F] (0 for pad frames) -> code [F, P]."""
        angle = numbers.float()[:, None] / self.inv_timescales[None, :]
        code = torch.zeros_like(angle)
        code[:, 0::2] = angle[:, 0::2].sin()
        code[:, 1::2] = angle[:, 1::2].cos()
        return code


class VarianceAdaptor(nn.Module):
    """Pitch, energy and duration predictors with their embeddings."""

    def __init__(self, config: SambertConfig) -> None:
        super().__init__()
        width = config.encoder_projection_units
        self.pitch_predictor = VariancePredictor(config)
        self.energy_predictor = VariancePredictor(config)
        self.pitch_emb = nn.Conv1d(1, width, 9, padding=4)
        self.energy_emb = nn.Conv1d(1, width, 9, padding=4)
        self.duration_predictor = DurationPredictor(config)
        self.dur_position_encoder = DurationPosition(width)

    def add_prosody(self, text: Tensor, pitch: Tensor, energy: Tensor) -> Tensor:
        """text_hid [N, P], pitch [N], energy [N] -> text' [N, P]."""
        pitch_code = self.pitch_emb(pitch[None, None])[0].t()
        energy_code = self.energy_emb(energy[None, None])[0].t()
        return text + pitch_code + energy_code


class PncaAttention(nn.Module):
    """Two banded attentions of one query: over past steps and over the memory ahead."""

    def __init__(self, width: int, memory: int, heads: int) -> None:
        super().__init__()
        self.heads, self.head_width = heads, width // heads
        inner = heads * self.head_width
        self.layer_norm = layer_norm(width)
        self.w_x_qkv = nn.Linear(width, 3 * inner)
        self.w_h_kv = nn.Linear(memory, 2 * inner)
        self.fc_x = nn.Linear(inner, width)
        self.fc_h = nn.Linear(inner, width)


class PncaBlock(nn.Module):
    """PNCA attention and a kernel-1 feed-forward."""

    def __init__(self, width: int, memory: int, heads: int, inner: int) -> None:
        super().__init__()
        self.pnca_attn = PncaAttention(width, memory, heads)
        self.pos_ffn = FeedForward(width, inner, 1)


class PncaDecoder(nn.Module):
    """The autoregressive decoder's weights."""

    def __init__(self, config: SambertConfig) -> None:
        super().__init__()
        width, memory = config.decoder_num_units, config.memory_width
        self.scale = math.sqrt(width)
        self.prenet = Prenet(config.num_mels, config.decoder_prenet_units, width)
        self.dec_in_proj = nn.Linear(memory + width, width)
        self.pnca = nn.ModuleList(
            PncaBlock(width, memory, config.decoder_num_heads, config.decoder_ffn_inner_dim)
            for _ in range(config.decoder_num_layers)
        )
        self.ln = layer_norm(width)
        self.dec_out_proj = nn.Linear(width, config.outputs_per_step * config.num_mels)


class MelDecoder(nn.Module):
    """Holds the decoder under its checkpoint name."""

    def __init__(self, config: SambertConfig) -> None:
        super().__init__()
        self.mel_dec = PncaDecoder(config)


class Postnet(nn.Module):
    """FSMN, one-directional LSTM and a linear layer; their sum with the input is the mel."""

    def __init__(self, config: SambertConfig) -> None:
        super().__init__()
        self.fsmn = Fsmn(
            config.num_mels,
            config.postnet_ffn_inner_dim,
            config.postnet_num_memory_units,
            config.postnet_filter_size,
            config.postnet_shift,
        )
        self.lstm = nn.LSTM(config.postnet_num_memory_units, config.postnet_lstm_units)
        self.fc = nn.Linear(config.postnet_lstm_units, config.num_mels)

    def forward(self, frames: Tensor) -> Tensor:
        """Decoder frames [F, C] -> the residual [F, C]."""
        hidden, _ = self.lstm(self.fsmn(frames)[:, None])
        out: Tensor = self.fc(hidden[:, 0])
        return out


class FilledPausePredictor(nn.Module):
    """Which filled pause, if any, stands before each symbol."""

    def __init__(self, config: SambertConfig) -> None:
        super().__init__()
        inner, width = config.embedding_dim // 2, config.encoder_projection_units
        self.w_1 = nn.Conv1d(width, inner, 3, padding=1)
        self.w_2 = nn.Conv1d(inner, width, 1)
        self.layer_norm1 = layer_norm(inner)
        self.layer_norm2 = layer_norm(width)
        self.fc = nn.Linear(width, FILLED_PAUSE_CLASSES)

    def forward(self, text: Tensor) -> Tensor:
        """text_hid [N, P] -> class probabilities [N, 4]: none, en, a, e."""
        x = self.layer_norm1(torch.relu(self.w_1(text.t()[None]))[0].t())
        x = self.layer_norm2(torch.relu(self.w_2(x.t()[None]))[0].t())
        return torch.softmax(self.fc(x), dim=-1)


class Sambert(nn.Module):
    """All weights of the acoustic model; `state_dict` has exactly the checkpoint's names."""

    def __init__(self, config: SambertConfig, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.config = config
        rows = [len(names) for names in vocabulary.units.values()]
        self.text_encoder = TextEncoder(config, rows)
        if not config.se:
            self.spk_tokenizer = nn.Embedding(len(vocabulary.speakers), config.speaker_units)
        self.emo_tokenizer = nn.Embedding(len(vocabulary.emotions), config.emotion_units)
        self.variance_adaptor = VarianceAdaptor(config)
        self.mel_decoder = MelDecoder(config)
        self.mel_postnet = Postnet(config)
        if config.fp:
            self.FP_predictor = FilledPausePredictor(config)
