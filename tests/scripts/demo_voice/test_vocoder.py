"""The vocoder's task: losses, judges that come late, and weights that voices can be made of."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from demo_voice.segments import Windows
from demo_voice.vocoder import VocoderLearning, VocoderSizes, VocoderTask, copy_synthesis

from sambert_trt.engines.errors import InputError
from sambert_trt.export.checkpoint import tensors_from_checkpoint
from sambert_trt.export.hifigan import Generator

SIZES = VocoderSizes(16)
LEARNING = VocoderLearning(judged_from=2, ramp=2, windows=Windows(frames=16, batch=2))


class Corpus:
    """Three sentences of tones in noise."""

    held_out = np.zeros(3, bool)
    emotions = np.zeros(3, int)
    frame_counts = np.full(3, 60)
    fingerprint = "of three sentences"

    def __init__(self) -> None:
        self.settings = SimpleNamespace(
            emotions=[SimpleNamespace(name="neutral")],
            sampling_rate=16000,
            hop=200,
            mels=80,
            mel_mean=np.full(80, 0.5),
            mel_std=np.full(80, 0.2),
        )

    def __getitem__(self, index: int) -> SimpleNamespace:
        random, hertz = np.random.default_rng(index), 120.0 + 60 * index
        tone = 0.3 * np.sin(2 * np.pi * hertz * np.arange(60 * 200) / 16000)
        return SimpleNamespace(
            mel=random.standard_normal((60, 80)).astype(np.float32),
            f0=np.full(60, hertz, np.float32),
            voiced=np.ones(60, bool),
            audio=(tone + 0.01 * random.standard_normal(tone.shape)).astype(np.float32),
        )


def a_task(
    sizes: VocoderSizes = SIZES, learning: VocoderLearning = LEARNING, corpus: Corpus | None = None
) -> VocoderTask:
    torch.manual_seed(0)
    given = corpus or Corpus()
    return VocoderTask(given, sizes, learning, torch.device("cpu"))  # type: ignore[arg-type]


def weights(task: VocoderTask) -> dict[str, torch.Tensor]:
    return {
        f"{module}.{name}": value.clone()
        for module, kind in task.modules.items()
        for name, value in kind.state_dict().items()
    }


def changed(
    before: dict[str, torch.Tensor], after: dict[str, torch.Tensor], module: str
) -> set[str]:
    return {
        name
        for name, value in after.items()
        if name.startswith(module) and not torch.equal(value, before[name])
    }


def test_judges_take_part_from_their_step_on() -> None:
    task, random = a_task(), np.random.default_rng(0)
    before = weights(task)
    assert set(task.step(1, random)) == {"total", "mel", "stft", "gradient"}
    alone = weights(task)
    assert not changed(before, alone, "discriminators")
    losses = task.step(2, random)
    assert set(losses) == {"total", "mel", "stft", "deceit", "likeness", "detection", "gradient"}
    judged = weights(task)
    assert len(changed(alone, judged, "discriminators")) > 30
    assert losses["total"] == pytest.approx(losses["mel"] + losses["stft"], rel=1e-5)


def test_judges_pull_at_the_weights_for_a_share_of_the_spectra_and_come_in_slowly() -> None:
    norms = []
    for judged, number in ((0.0, 9), (100.0, 2), (100.0, 9)):
        task = a_task(learning=replace(LEARNING, judged=judged))
        norms.append(task.step(number, np.random.default_rng(1))["gradient"])
    nothing, half, full = norms
    assert full == pytest.approx(100 * nothing, rel=0.05)
    assert half == pytest.approx(50 * nothing, rel=0.05)


@pytest.mark.parametrize(
    "sizes", [SIZES, VocoderSizes(16, nsf=False), replace(SIZES, causal=False)]
)
def test_every_weight_learns(sizes: VocoderSizes) -> None:
    task, random = a_task(sizes), np.random.default_rng(0)
    before = weights(task)
    for number in range(2):
        task.step(number, random)
    assert changed(before, weights(task), "generator") == {
        name for name in before if name.startswith("generator")
    }


def test_it_comes_nearer_to_what_it_learns_from() -> None:
    learning = replace(LEARNING, judged_from=10**6, rate=3e-3)
    task, random = a_task(learning=learning), np.random.default_rng(0)
    totals = [task.step(number, random)["total"] for number in range(15)]
    assert np.mean(totals[-4:]) < 0.85 * np.mean(totals[:4])


def test_the_same_chance_makes_the_same_step() -> None:
    first, again, other = (a_task().step(2, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert first == again != other


def test_bfloat16_is_nearly_the_same() -> None:
    exact = a_task().step(2, np.random.default_rng(5))
    torch.manual_seed(0)
    rough = VocoderTask(Corpus(), SIZES, LEARNING, torch.device("cpu"), torch.bfloat16)  # type: ignore[arg-type]
    found = rough.step(2, np.random.default_rng(5))
    assert found["total"] == pytest.approx(exact["total"], rel=0.1)
    assert found["total"] != exact["total"]
    assert all(value.dtype == torch.float32 for value in weights(rough).values())


def test_weights_go_through_a_checkpoint_of_the_original_layout(tmp_path: Path) -> None:
    task = a_task()
    trained = task.modules["generator"]
    state = {"generator": trained.state_dict()}
    torch.save({"model": state, "steps": 1}, tmp_path / "checkpoint_1.pth")
    found = tensors_from_checkpoint(tmp_path / "checkpoint_1.pth", "vocoder")
    generator = Generator(SIZES.config())
    generator.load_state_dict({name: torch.from_numpy(one) for name, one in found.items()})
    one = Corpus()[1]
    assert isinstance(trained, Generator)
    np.testing.assert_array_equal(copy_synthesis(generator, one), copy_synthesis(trained, one))


def test_settings_tell_runs_apart_and_can_be_written() -> None:
    settings = a_task().settings()
    assert json.loads(json.dumps(settings))["dataset"] == "of three sentences"
    assert settings != a_task(replace(SIZES, causal=False)).settings()
    assert settings != a_task(learning=replace(LEARNING, mel=1.0)).settings()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="--channels 24: needs"):
        a_task(VocoderSizes(24))
    corpus = Corpus()
    corpus.settings.mels = 40
    with pytest.raises(InputError, match=r"40 mels every 200 samples.*takes 80 every 200"):
        a_task(corpus=corpus)
