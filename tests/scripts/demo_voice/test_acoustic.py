"""A row of a batch is what its sentence alone is in the reference, whatever stands beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from demo_voice.acoustic import (
    Dropout,
    decode,
    encode,
    predict_durations,
    predict_prosody,
    refine,
    regulate,
    with_prosody,
)
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from sambert_trt.export.config import SambertConfig
from sambert_trt.export.phone_sets import vocabulary
from sambert_trt.export.reference import Conditioning, Reference
from sambert_trt.export.sambert import Sambert

CONFIG = SambertConfig(
    max_len=50,
    embedding_dim=24,
    encoder_num_layers=2,
    encoder_num_heads=2,
    encoder_num_units=16,
    encoder_ffn_inner_dim=20,
    encoder_projection_units=8,
    speaker_units=4,
    emotion_units=4,
    predictor_filter_size=5,
    predictor_fsmn_num_layers=2,
    predictor_num_memory_units=16,
    predictor_ffn_inner_dim=12,
    predictor_shift=(0, 0),
    predictor_lstm_units=6,
    dur_pred_prenet_units=(8, 8),
    dur_pred_lstm_units=8,
    decoder_prenet_units=(8, 8),
    decoder_num_layers=2,
    decoder_num_heads=2,
    decoder_num_units=16,
    decoder_ffn_inner_dim=12,
    outputs_per_step=3,
    num_mels=10,
    postnet_filter_size=5,
    postnet_fsmn_num_layers=2,
    postnet_num_memory_units=10,
    postnet_ffn_inner_dim=12,
    postnet_shift=(2, 2),
    postnet_lstm_units=6,
)
COUNTS = (7, 12, 3)


@dataclass(frozen=True)
class Batch:
    """Sentences side by side, and what the reference says of each."""

    ling: Tensor
    mask: Tensor
    styles: Tensor
    spoken: Sequence[dict[str, NDArray[np.generic]]]

    def padded(self, name: str) -> Tensor:
        return pad_sequence(
            [torch.from_numpy(one[name].copy()) for one in self.spoken], batch_first=True
        )


@pytest.fixture(scope="module")
def model() -> Sambert:
    torch.manual_seed(3)
    found = Sambert(CONFIG, vocabulary("PinYin", ["F7", "F8"])).eval()
    with torch.no_grad():
        found.variance_adaptor.duration_predictor.fc.bias.fill_(1.6)
    return found


@pytest.fixture(scope="module")
def batch(model: Sambert) -> Batch:
    chance, reference = np.random.default_rng(4), Reference(model)
    lings, styles, spoken = [], [], []
    for place, count in enumerate(COUNTS):
        ling = np.stack([chance.integers(0, most, count) for most in (140, 7, 5, 5)], axis=1)
        emotion, speaker = np.full(count, place), np.full(count, place % 2)
        spoken.append(dict(reference.steps(Conditioning(ling, emotion, speaker))))
        lings.append(torch.from_numpy(ling))
        rows = model.spk_tokenizer.weight[place % 2], model.emo_tokenizer.weight[place]
        styles.append(torch.cat(rows))
    mask = torch.arange(max(COUNTS))[None] < torch.tensor(COUNTS)[:, None]
    return Batch(pad_sequence(lings, batch_first=True), mask, torch.stack(styles), spoken)


def close(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, atol=2e-5, rtol=2e-4)


@torch.no_grad()
def test_text_and_prosody(model: Sambert, batch: Batch) -> None:
    text = encode(model, batch.ling, batch.mask)
    shown = batch.mask[..., None]
    close(text * shown, batch.padded("text_hid"))
    pitch, energy = predict_prosody(model, text, batch.styles, batch.mask)
    close(pitch * batch.mask, batch.padded("pitch"))
    close(energy * batch.mask, batch.padded("energy"))


@torch.no_grad()
def test_durations_are_told_the_one_before(model: Sambert, batch: Batch) -> None:
    text = encode(model, batch.ling, batch.mask)
    spoken = with_prosody(model, text, batch.padded("pitch"), batch.padded("energy"), batch.mask)
    logs = batch.padded("log_durations")
    found = predict_durations(model, spoken, batch.styles, torch.exp(logs) - 1)
    close(found * batch.mask, logs)


@torch.no_grad()
def test_frames(model: Sambert, batch: Batch) -> None:
    text = encode(model, batch.ling, batch.mask)
    spoken = with_prosody(model, text, batch.padded("pitch"), batch.padded("energy"), batch.mask)
    memory = regulate(model, spoken, batch.styles, batch.padded("durations"))
    rows = batch.padded("memory")
    close(memory.rows * memory.steps[..., None], rows)
    assert memory.frames.sum(1).tolist() == batch.padded("durations").sum(1).tolist()
    memory.band[:] = torch.tensor([int(one["x_band_width"]) for one in batch.spoken])
    wanted = batch.padded("dec_outputs")
    before = torch.nn.functional.pad(wanted[:, 2::3], (0, 0, 1, 0))[:, :-1]
    frames = decode(model, memory, before)
    # the reference decoder feeds back what it says, also where it only fills the last step
    close(frames, wanted)
    close(refine(model, frames, memory.frames), batch.padded("postnet_outputs"))


def test_dropout_and_gradients(model: Sambert, batch: Batch) -> None:
    drop = Dropout()
    text = encode(model, batch.ling, batch.mask, drop)
    pitch, energy = predict_prosody(model, text, batch.styles, batch.mask, drop)
    spoken = with_prosody(model, text, pitch, energy, batch.mask)
    durations = batch.padded("durations")
    logs = predict_durations(model, spoken, batch.styles, durations, drop)
    memory = regulate(model, spoken, batch.styles, durations)
    before = torch.zeros(*memory.steps.shape, CONFIG.num_mels)
    mel = refine(model, decode(model, memory, before, drop), memory.frames, drop)
    assert not torch.equal(text, encode(model, batch.ling, batch.mask, drop))
    (mel.square().sum() + logs.sum() + pitch.sum() + energy.sum()).backward()
    for name, one in model.named_parameters():
        assert one.grad is not None, name
        assert torch.isfinite(one.grad).all(), name
    model.zero_grad()
