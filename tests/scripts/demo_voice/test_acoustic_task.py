"""The acoustic model learns what its dataset says, in mels and with a source."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from demo_voice import acoustic_task
from demo_voice.acoustic import frames_before
from demo_voice.acoustic_task import AcousticSizes, AcousticTask, Learning, frames_of
from demo_voice.batches import Mixing

from sambert_trt.export.phone_sets import vocabulary
from sambert_trt.export.sambert import Sambert

SIZES = AcousticSizes(16, 1, 16, 16, 8, 8, nsf=False)
LEARNING = Learning(mixing=Mixing(120, (0.7, 0.3), (1.0,)), ramp=4, rate=5e-3)
CPU = torch.device("cpu")


class Corpus:
    """Eight sentences whose mels follow from their sounds."""

    fingerprint = "made-up"

    def __init__(self) -> None:
        self.settings = SimpleNamespace(
            speaker="F7", f0_mean=180.0, f0_std=25.0, emotions=[SimpleNamespace(name="happy")]
        )
        self.utterances = [self._made(number) for number in range(8)]
        self.held_out = np.zeros(8, bool)
        self.emotions = np.zeros(8, int)
        self.frame_counts = np.array([len(one.mel) for one in self.utterances])

    def __len__(self) -> int:
        return len(self.utterances)

    def __getitem__(self, index: int) -> Any:  # noqa: ANN401
        return self.utterances[index]

    def _made(self, number: int) -> Any:  # noqa: ANN401
        chance = np.random.default_rng(number)
        sounds = chance.integers(0, 5, 6 + number)
        ling = np.stack([sounds, sounds * 0, sounds * 0 + 3, sounds * 0], axis=1)
        ling = np.concatenate([ling, [(142, 1, 2, 4)], ling, [(143, 1, 2, 4)]])
        duration = np.append(ling[:-1, 0] % 5 + 1, 0)
        duration[ling[:, 0] == 142] = 10
        pitch = (ling[:, 0] / 50).astype(np.float32)
        mel = np.repeat(ling[:, :1] / 70 - 1, duration, axis=0) * np.linspace(-1, 1, 80)
        return SimpleNamespace(
            ling=ling,
            duration=duration,
            pitch=pitch,
            energy=-pitch,
            mel=mel.astype(np.float16),
            f0=np.full(len(mel), 205.0, np.float32),
            voiced=np.ones(len(mel), bool),
            emotion=0,
        )


def task(sizes: AcousticSizes = SIZES, learning: Learning = LEARNING) -> AcousticTask:
    torch.manual_seed(1)
    corpus: Any = Corpus()
    return AcousticTask(corpus, sizes, learning, CPU)


@pytest.mark.parametrize("nsf", [False, True])
def test_losses_fall(nsf: bool) -> None:
    learning, chance = task(replace(SIZES, nsf=nsf)), np.random.default_rng(2)
    losses = [dict(learning.step(number, chance)) for number in range(60)]
    names = {"total", "decoder", "mel", "duration", "pitch", "energy", "gradient"}
    assert all(set(one) == names for one in losses)
    for name in names - {"gradient"}:
        first, last = (np.mean([one[name] for one in part]) for part in (losses[:5], losses[-5:]))
        assert last < 0.9 * first, name


def test_a_step_is_the_same_for_the_same_numbers() -> None:
    found = []
    for _ in range(2):
        learning, chance = task(), np.random.default_rng(3)
        found.append([learning.step(number, chance) for number in range(6)])
    assert found[0] == found[1]


def test_the_decoder_is_told_its_own_frames_more_and_more(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []
    learning = task(learning=replace(LEARNING, own=1.0, noise=0.0, forgotten=0.0, ramp=10))
    monkeypatch.setattr(
        acoustic_task,
        "frames_before",
        lambda model, frames: passes.append(frames.requires_grad) or frames_before(model, frames),
    )
    chance = np.random.default_rng(4)
    learning.step(0, chance)
    assert len(passes) == 1, "at first there are only true frames"
    for _ in range(20):
        learning.step(10, chance)
    assert 25 < len(passes) < 38, "then every second batch holds own ones"
    assert not any(passes)


def test_the_first_step_is_told_nothing_and_each_other_the_frame_before() -> None:
    model = task().modules["acoustic"]
    assert isinstance(model, Sambert)
    frames = torch.arange(9.0)[None, :, None].expand(1, 9, 80)
    assert frames_before(model, frames)[0, :, 0].tolist() == [0.0, 2.0, 5.0]


def test_the_model_is_the_voices() -> None:
    learning = task(replace(SIZES, nsf=True))
    model = learning.modules[learning.averaged]
    assert isinstance(model, Sambert)
    assert model.config.num_mels == 82
    assert model.config.nsf
    rows = len(vocabulary("PinYin", ["F7"]).emotions)
    assert model.emo_tokenizer.weight.shape[0] == rows
    assert learning._emotions == [vocabulary("PinYin", ["F7"]).emotions.index("emotion_happy")]
    settings = learning.settings()
    assert settings["dataset"] == "made-up"
    assert settings["sizes"]["nsf"] is True


def test_frames_with_a_source_hold_its_pitch_and_voicing() -> None:
    found = frames_of(Corpus()[0], 180.0, 25.0, nsf=True)
    assert found.shape[1] == 82
    assert found.dtype == np.float32
    assert (found[:, 80] == 1.0).all()
    assert (found[:, 81] == 1.0).all()
    assert frames_of(Corpus()[0], 180.0, 25.0, nsf=False).shape[1] == 80


def test_half_precision_learns_as_well() -> None:
    torch.manual_seed(1)
    corpus: Any = Corpus()
    learning = AcousticTask(corpus, SIZES, LEARNING, CPU, torch.bfloat16)
    chance = np.random.default_rng(2)
    losses = [learning.step(number, chance)["total"] for number in range(40)]
    assert np.mean(losses[-5:]) < 0.75 * np.mean(losses[:5])
    assert all(one.dtype == torch.float32 for one in learning.modules["acoustic"].parameters())
