"""The whole voice in plain torch, every intermediate by name: the baseline of parity and speed.

It computes what the original inference code computes, in the order and with the shapes the original
uses (masks over all steps rebuilt and caches concatenated in every decoder step, both upsampling
branches of the vocoder, one utterance at a time), so that a ratio to it is a ratio to the original.
Array names are those of `sambert-tts say --trace`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sambert_trt.engines.manifest import F0Rule

from .hifigan import Generator
from .sambert import PncaBlock, Sambert
from .typed import members

__all__ = ["Conditioning", "Reference"]


@dataclass(frozen=True)
class Conditioning:
    """Ids of a sentence: ling [N, fields], emotion [N], speaker [N] (None: a speaker vector)."""

    ling: NDArray[np.int64]
    emotion: NDArray[np.int64]
    speaker: NDArray[np.int64] | None


class Reference:
    """A voice whose every stage is a method; `steps` runs them in order.

    Args:
        model, generator: loaded modules; `generator` None stops after the mel.
        speaker_vector: float32 [1, S] of an SE voice.
        pauses: encoded filled pauses [3, 3, P] of an FP voice, from `filled_pauses`.
        f0: how an NSF voice's f0 becomes hertz.
    """

    def __init__(
        self,
        model: Sambert,
        generator: Generator | None = None,
        *,
        speaker_vector: NDArray[np.float32] | None = None,
        pauses: NDArray[np.float32] | None = None,
        f0: F0Rule | None = None,
    ) -> None:
        self.model, self.generator, self.f0 = model.eval(), generator, f0
        self.speaker_vector = None if speaker_vector is None else torch.from_numpy(speaker_vector)
        self.pauses = None if pauses is None else torch.from_numpy(pauses)

    @torch.inference_mode()
    def steps(
        self, ids: Conditioning, *, noise: np.random.Generator | None = None
    ) -> Iterator[tuple[str, NDArray[np.generic]]]:
        """Yields (name, array) for every intermediate, `wav` last; `noise` None means all zero."""
        model = self.model
        text = model.text_encoder(torch.from_numpy(ids.ling))
        yield "text_hid", text.numpy()
        text = self.insert_pauses(text)
        count = len(text)
        emotion = model.emo_tokenizer(torch.from_numpy(_lengthened(ids.emotion, count)))
        speaker = self.speaker_rows(ids, count)
        pitch, energy, text = self.prosody(text, speaker, emotion)
        yield "pitch", pitch.numpy()
        yield "energy", energy.numpy()
        logs = model.variance_adaptor.duration_predictor(torch.cat([text, speaker, emotion], dim=1))
        yield "log_durations", logs.numpy()
        exact = torch.exp(logs) - 1
        durations = torch.floor(exact + 0.5).long()
        yield "durations", durations.numpy()
        frames = int(durations.sum())
        if frames == 0:
            return
        memory = self.memory(text, speaker, emotion, durations)
        band = int(exact.max() / model.config.outputs_per_step + 0.5)
        yield "memory", memory.numpy()
        yield "x_band_width", np.array(band)
        decoded = self.decode(memory, band)
        decoded[frames:] = 0
        yield "dec_outputs", decoded.numpy()
        mel = decoded.clone()
        mel[:frames] += model.mel_postnet(decoded[:frames])
        yield "postnet_outputs", mel.numpy()
        mel = self.denormalise(mel[:frames])
        yield "mel_final", mel.numpy()
        if self.generator is not None:
            excitation = self.excitation(mel, noise)
            if excitation is not None:
                yield "excitation", excitation[0].numpy()
            channels = self.generator.config.in_channels
            yield "wav", self.generator(mel[:, :channels].t()[None], excitation)[0, 0].numpy()

    def speaker_rows(self, ids: Conditioning, count: int) -> Tensor:
        """Speaker vectors [count, S]."""
        if self.speaker_vector is not None:
            return self.speaker_vector.expand(count, -1)
        assert ids.speaker is not None
        rows: Tensor = self.model.spk_tokenizer(torch.from_numpy(_lengthened(ids.speaker, count)))
        return rows

    def insert_pauses(self, text: Tensor) -> Tensor:
        """text_hid [N, P] -> [N + 3 n, P]: three encoded rows before each filled pause."""
        if self.pauses is None:
            return text
        classes = self.model.FP_predictor(text).argmax(dim=1)
        rows = []
        for row, kind in zip(text, classes.tolist(), strict=True):
            if kind:
                rows.append(self.pauses[kind - 1])
            rows.append(row[None])
        return torch.cat(rows)

    def prosody(
        self, text: Tensor, speaker: Tensor, emotion: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Pitch [N], energy [N] and text' [N, P]."""
        adaptor = self.model.variance_adaptor
        u = torch.cat([text, speaker, emotion], dim=1)
        pitch, energy = adaptor.pitch_predictor(u), adaptor.energy_predictor(u)
        return pitch, energy, adaptor.add_prosody(text, pitch, energy)

    def memory(self, text: Tensor, speaker: Tensor, emotion: Tensor, durations: Tensor) -> Tensor:
        """Length regulation: the decoder's memory [L, r * P + S + M]."""
        r = self.model.config.outputs_per_step
        frames = int(durations.sum())
        pad = -frames % r
        numbers = torch.cat([torch.arange(1, int(n) + 1) for n in durations])
        code = self.model.variance_adaptor.dur_position_encoder(
            torch.cat([numbers, numbers.new_zeros(pad)])
        )
        expanded = [
            torch.cat([x.repeat_interleave(durations, 0), x.new_zeros(pad, x.shape[1])])
            for x in (text, speaker, emotion)
        ]
        grouped = (expanded[0] + code).reshape(-1, r * text.shape[1])
        return torch.cat([grouped, expanded[1][::r], expanded[2][::r]], dim=1)

    def decode(self, memory: Tensor, band: int) -> Tensor:
        """All decoder steps: frames [L * r, C]."""
        decoder, config = self.model.mel_decoder.mel_dec, self.model.config
        heads = config.decoder_num_heads
        blocks = members(decoder.pnca, PncaBlock)
        ahead = [_heads(block.pnca_attn.w_h_kv(memory), 2, heads) for block in blocks]
        caches: list[Tensor | None] = [None] * len(blocks)
        frame, outputs = memory.new_zeros(1, config.num_mels), []
        for step in range(len(memory)):
            past_mask, ahead_mask = _band_masks(len(memory), band)
            x = torch.cat([memory[step : step + 1], decoder.prenet(frame)], dim=1)
            x = decoder.dec_in_proj(x) * decoder.scale
            for index, block in enumerate(blocks):
                attention = block.pnca_attn
                qkv = _heads(attention.w_x_qkv(attention.layer_norm(x)), 3, heads)
                fresh, cache = qkv[1:], caches[index]
                seen = fresh if cache is None else torch.cat([cache, fresh], dim=2)
                caches[index] = seen
                past = _attend(qkv[0], seen, past_mask[step, : step + 1])
                future = _attend(qkv[0], ahead[index], ahead_mask[step])
                x = x + attention.fc_x(past) + attention.fc_h(future)
                x = block.pos_ffn(x)
            out = decoder.dec_out_proj(decoder.ln(x)).reshape(-1, config.num_mels)
            outputs.append(out)
            frame = out[-1:]
        return torch.cat(outputs)

    def denormalise(self, mel: Tensor) -> Tensor:
        """The f0 and uv channels of an NSF voice in hertz and {0, 1}; other voices unchanged."""
        rule = self.f0
        if rule is None:
            return mel
        out = mel.clone()
        values = mel[:, -2].numpy().astype(rule.dtype) * np.dtype(rule.dtype).type(rule.scale)
        hertz = (values + np.dtype(rule.dtype).type(rule.offset)).astype(np.float32)
        out[:, -2] = torch.from_numpy(np.maximum(hertz, np.float32(rule.floor)))
        out[:, -1] = (mel[:, -1] >= rule.voiced_from).float()
        return out

    def excitation(self, mel: Tensor, noise: np.random.Generator | None) -> Tensor | None:
        """The harmonic source [1, 1, F * hop] of an NSF voice."""
        if self.f0 is None or self.generator is None:
            return None
        hop, count = self.generator.config.hop, self.f0.harmonics + 1
        f0 = mel[:, -2].repeat_interleave(hop)[None]
        voiced = mel[:, -1].repeat_interleave(hop)[None]
        multiples = torch.arange(1, count + 1, dtype=torch.float32)[:, None]
        fraction = torch.cumsum(f0 * multiples / self.f0.sampling_rate, dim=1) % 1
        phase, random = torch.zeros(count, 1), torch.zeros(count, f0.shape[1])
        if noise is not None:
            phase[1:, 0] = torch.from_numpy(noise.uniform(-math.pi, math.pi, count - 1)).float()
            drawn = noise.standard_normal((f0.shape[1], count), dtype=np.float32) * 0.003
            random = torch.from_numpy(drawn.T.copy())
        loud = 0.1 * torch.sin(2 * math.pi * fraction + phase) + random
        quiet = 0.1 / 3 / 0.003 * random
        harmonics = loud * voiced + quiet * (1 - voiced)
        mixed: Tensor = self.generator.source_module(harmonics[None])
        return mixed


def _lengthened(ids: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    positions = np.arange(count)
    positions[len(ids) :] = (positions[len(ids) :] - len(ids)) % len(ids)
    return ids[positions]


def _heads(x: Tensor, parts: int, heads: int) -> Tensor:
    return x.view(len(x), parts, heads, -1).permute(1, 2, 0, 3)


def _attend(query: Tensor, keys_values: Tensor, blocked: Tensor) -> Tensor:
    keys, values = keys_values
    logits = query @ keys.transpose(1, 2) / math.sqrt(query.shape[2])
    weights = torch.softmax(logits.masked_fill(blocked, -math.inf), dim=-1)
    return (weights @ values).transpose(0, 1).flatten(1)


def _band_masks(steps: int, band: int) -> tuple[Tensor, Tensor]:
    offset = torch.arange(steps)[None, :] - torch.arange(steps)[:, None]
    return (offset > 0) | (offset < -band), (offset < 0) | (offset > band)
