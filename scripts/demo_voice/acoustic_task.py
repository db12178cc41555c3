"""How the acoustic model learns: sizes, losses, and what the decoder is told of its own past.

A decoder that is only ever told true frames does not know what to do with its own. So what it is
told is blurred by noise, and in some steps mixed with what it would have said itself (scheduled
sampling in two passes: Mihaylova & Martins, ACL 2019).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from sambert_trt.export.config import SambertConfig, Vocabulary
from sambert_trt.export.phone_sets import vocabulary
from sambert_trt.export.sambert import Sambert

from .acoustic import (
    Dropout,
    Memory,
    decode,
    encode,
    frames_before,
    predict_durations,
    predict_prosody,
    refine,
    regulate,
    styles_of,
    with_prosody,
)
from .batches import AcousticBatch, Mixing, Sampler, Sentence
from .beginnings import begin_acoustic
from .variation import Line, Units

if TYPE_CHECKING:
    from .dataset import Dataset, DatasetSettings, Utterance

__all__ = [
    "AcousticSizes",
    "AcousticTask",
    "Learning",
    "emotion_rows",
    "frames_of",
    "sentence_of",
    "voice_vocabulary",
]

EMOTIONS = "emotion_"
"""How the names of the emotion table begin."""

_MELS = 80


@dataclass(frozen=True)
class AcousticSizes:
    """Of the acoustic model; the rest is as in the stock configuration."""

    embedding: int = 256
    layers: int = 4
    units: int = 128
    inner: int = 512
    predictor_units: int = 64
    postnet_units: int = 128
    nsf: bool = True

    def config(self) -> SambertConfig:
        """The configuration of `KanTtsSAMBERT`."""
        return SambertConfig(
            max_len=800,
            embedding_dim=self.embedding,
            encoder_num_layers=self.layers,
            encoder_num_heads=8,
            encoder_num_units=self.units,
            encoder_ffn_inner_dim=self.inner,
            encoder_projection_units=32,
            speaker_units=32,
            emotion_units=32,
            predictor_filter_size=41,
            predictor_fsmn_num_layers=3,
            predictor_num_memory_units=self.predictor_units,
            predictor_ffn_inner_dim=256,
            predictor_shift=(0, 0, 0),
            predictor_lstm_units=self.predictor_units,
            dur_pred_prenet_units=(128, 128),
            dur_pred_lstm_units=128,
            decoder_prenet_units=(128, 128),
            decoder_num_layers=self.layers,
            decoder_num_heads=8,
            decoder_num_units=self.units,
            decoder_ffn_inner_dim=self.inner,
            outputs_per_step=3,
            num_mels=82 if self.nsf else 80,
            postnet_filter_size=41,
            postnet_fsmn_num_layers=3,
            postnet_num_memory_units=self.postnet_units,
            postnet_ffn_inner_dim=256,
            postnet_shift=(17, 17, 17),
            postnet_lstm_units=64,
            nsf=self.nsf,
        )


@dataclass(frozen=True)
class Learning:
    """How the model learns.

    Attributes:
        noise: most of the noise on the frames that the decoder is told, in their own unit; each
            batch draws less.
        own: share of steps told what the decoder itself would have said; half of the batches
            have none.
        ramp: steps over which that share grows from nothing.
        forgotten: share of sentences whose decoder is told no frame at all.
        source: weight of f0 and voicing beside the mels, with NSF.
        gradient: norm to which gradients are cut.
        rate: largest learning rate of Adam.
        begin_with: a voice folder; the first weights are those of its acoustic model.
    """

    noise: float = 0.4
    own: float = 0.6
    ramp: int = 4000
    forgotten: float = 0.1
    source: float = 0.2
    gradient: float = 1.0
    rate: float = 1e-3
    begin_with: str | None = None
    dropout: Dropout = field(default_factory=Dropout)
    mixing: Mixing = field(default_factory=Mixing)


def voice_vocabulary(speaker: str) -> Vocabulary:
    """The id tables of the voice."""
    return vocabulary("PinYin", [speaker])


def frames_of(
    utterance: Utterance, f0_mean: float, f0_std: float, *, nsf: bool
) -> NDArray[np.float32]:
    """What the decoder is to say, float32 [F, C]: mels, with NSF also normalised f0 and voicing."""
    if not nsf:
        return np.asarray(utterance.mel, np.float32)
    f0 = (np.asarray(utterance.f0, np.float32) - f0_mean) / f0_std
    voiced = np.asarray(utterance.voiced, np.float32)
    return np.concatenate([utterance.mel, f0[:, None], voiced[:, None]], axis=1, dtype=np.float32)


def emotion_rows(settings: DatasetSettings) -> list[int]:
    """The rows of the emotion table that a dataset's emotions have."""
    names = voice_vocabulary(settings.speaker).emotions
    return [names.index(EMOTIONS + one.name) for one in settings.emotions]


def sentence_of(
    utterance: Utterance, settings: DatasetSettings, rows: Sequence[int], *, nsf: bool
) -> Sentence:
    """An utterance of a dataset as the model learns it; `rows` as of `emotion_rows`."""
    pitch, energy = (np.asarray(one, np.float32) for one in (utterance.pitch, utterance.energy))
    return Sentence(
        Line(utterance.ling, utterance.duration, pitch, energy),
        frames_of(utterance, settings.f0_mean, settings.f0_std, nsf=nsf),
        rows[utterance.emotion],
    )


class AcousticTask:
    """Teaches a `Sambert`.

    Args:
        dataset: what it learns from.
        sizes: of the model.
        learning: how it learns.
        device: where.
        precision: float32, or bfloat16 for what bears it (torch.autocast).

    Attributes:
        modules: `acoustic`, the model.
        optimisers: `acoustic`.
        averaged: the module whose moving average is the voice.

    Raises:
        InputError: the voice to begin with has a model of other sizes or id tables.
        SourceError: it cannot be read.
    """

    averaged = "acoustic"

    def __init__(
        self,
        dataset: Dataset,
        sizes: AcousticSizes,
        learning: Learning,
        device: torch.device,
        precision: torch.dtype = torch.float32,
    ) -> None:
        terms = voice_vocabulary(dataset.settings.speaker)
        self._model = Sambert(sizes.config(), terms)
        self._untrained_before: dict[str, list[str]] | None = None
        if learning.begin_with is not None:
            voice = Path(learning.begin_with)
            self._untrained_before = begin_acoustic(self._model, terms, voice)
        self._model.to(device).train()
        self._sizes, self._learning, self._dataset = sizes, learning, dataset
        self._device, self._precision = device, precision
        self._emotions = emotion_rows(dataset.settings)
        self._sampler = Sampler(dataset, self._sentence, Units(terms), learning.mixing)
        self.modules: Mapping[str, nn.Module] = {self.averaged: self._model}
        self.optimisers: Mapping[str, torch.optim.Optimizer] = {
            self.averaged: torch.optim.Adam(
                self._model.parameters(), learning.rate, betas=(0.9, 0.98), eps=1e-9
            )
        }

    def settings(self) -> Mapping[str, Any]:
        """What a training that goes on must have in common with this one."""
        return {
            "kind": "acoustic",
            "dataset": self._dataset.fingerprint,
            "sizes": asdict(self._sizes),
            "learning": asdict(self._learning),
            "untrained_before": self._untrained_before,
        }

    def circumstances(self) -> Mapping[str, Any]:
        """Nothing may change."""
        return {}

    def step(self, number: int, random: np.random.Generator) -> Mapping[str, float]:
        """One batch; returns its losses."""
        batch = self._sampler.draw(random).to(self._device)
        with torch.autocast(
            self._device.type, self._precision, enabled=self._precision != torch.float32
        ):
            losses = self._losses(batch, number, random)
        total = torch.stack([*losses.values()]).sum()
        optimiser = self.optimisers[self.averaged]
        optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self._model.parameters(), self._learning.gradient)
        optimiser.step()
        found = {name: float(loss.detach()) for name, loss in losses.items()}
        return {"total": float(total.detach()), **found, "gradient": float(norm)}

    def _sentence(self, utterance: Utterance) -> Sentence:
        facts = self._dataset.settings
        return sentence_of(utterance, facts, self._emotions, nsf=self._sizes.nsf)

    def _losses(
        self, batch: AcousticBatch, number: int, random: np.random.Generator
    ) -> dict[str, Tensor]:
        model, drop, mask = self._model, self._learning.dropout, batch.symbols
        styles = styles_of(model, batch.emotion)
        text = encode(model, batch.ling, mask, drop)
        pitch, energy = predict_prosody(model, text, styles, mask, drop)
        spoken = with_prosody(model, text, batch.pitch, batch.energy, mask)
        logs = predict_durations(model, spoken, styles, batch.duration, drop)
        memory = regulate(model, spoken, styles, batch.duration)
        wanted = F.pad(batch.mel, (0, 0, 0, memory.frames.shape[1] - batch.mel.shape[1]))
        frames = decode(model, memory, self._told(memory, wanted, number, random), drop)
        mel = refine(model, frames, memory.frames, drop)
        return {
            "decoder": self._distance(frames, wanted, memory.frames),
            "mel": self._distance(mel, wanted, memory.frames),
            "duration": _absolute(logs, torch.log1p(batch.duration.float()), mask),
            "pitch": _absolute(pitch, batch.pitch, mask),
            "energy": _absolute(energy, batch.energy, mask),
        }

    def _distance(self, found: Tensor, wanted: Tensor, mask: Tensor) -> Tensor:
        """L1 over mels; with NSF also over f0 and voicing, which are few and matter much."""
        mels = _MELS
        total = _absolute(found[..., :mels], wanted[..., :mels], mask)
        if found.shape[2] > mels:
            source = _absolute(found[..., mels:], wanted[..., mels:], mask)
            total = total + self._learning.source * source
        return total

    def _told(
        self, memory: Memory, wanted: Tensor, number: int, random: np.random.Generator
    ) -> Tensor:
        """The frames [B, L, C] before each step: true ones, blurred, own ones among them."""
        how, drop = self._learning, self._learning.dropout
        told = frames_before(self._model, wanted)
        told = told + random.uniform(0, how.noise) * torch.randn_like(told)
        share = how.own * min(number / how.ramp, 1.0) if random.random() < 0.5 else 0.0
        if share:
            with torch.no_grad():
                own = decode(self._model, replace(memory, rows=memory.rows.detach()), told, drop)
            mixed = torch.rand(told.shape[:2], device=told.device) < share
            told = torch.where(
                mixed[..., None], frames_before(self._model, own).to(told.dtype), told
            )
        known = torch.rand(len(told), 1, 1, device=told.device) >= how.forgotten
        return told * known


def _absolute(found: Tensor, wanted: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference where the mask is, over all channels."""
    difference = (found.float() - wanted.float()).abs()
    if difference.dim() > mask.dim():
        difference = difference.mean(dim=-1)
    return (difference * mask).sum() / mask.sum()
