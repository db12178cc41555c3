"""An acoustic model speaks a dataset: its mels lie beside the recordings; a vocoder hears them."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from demo_voice import spoken
from demo_voice.acoustic_task import AcousticSizes, AcousticTask, Learning
from demo_voice.batches import Mixing
from demo_voice.checkpoints import Checkpoint, RandomStates, write_checkpoint
from demo_voice.dataset import Dataset
from demo_voice.prepare import Request, Work, prepare
from demo_voice.segments import Windows
from demo_voice.spoken import spoken_dataset
from demo_voice.vocoder import VocoderLearning, VocoderSizes, VocoderTask

from sambert_trt.engines.errors import InputError, SourceError

SIZES = AcousticSizes(32, 1, 16, 32, 16, 16)
LEARNING = Learning(mixing=Mixing(300, (1.0,)), rate=5e-3)
CPU = torch.device("cpu")


@pytest.fixture
def dataset(made_corpus: Path, tmp_path: Path) -> Dataset:
    """Three hummed sentences in three emotions."""
    prepare(made_corpus, tmp_path / "data", Request(), Work(jobs=1), print)
    return Dataset.open(tmp_path / "data")


def trained(dataset: Dataset, folder: Path, steps: int, kind: str = "acoustic") -> Path:
    """The folder of a short training."""
    torch.manual_seed(0)
    task, random = AcousticTask(dataset, SIZES, LEARNING, CPU), np.random.default_rng(0)
    for number in range(steps):
        task.step(number, random)
    average = dict(task.modules[task.averaged].state_dict())
    settings = {**task.settings(), "kind": kind, "sizes": asdict(SIZES)}
    states = RandomStates.taken(random).plain()
    folder.mkdir()
    write_checkpoint(
        folder,
        Checkpoint(
            steps, 1.0, 0, settings, "acoustic", average, {"acoustic": average}, {}, states, []
        ),
    )
    return folder


def distance(one: Dataset, other: Dataset) -> float:
    """Mean difference of the mels of what was learned from."""
    pairs = [(one[n].mel, other[n].mel) for n in range(len(one)) if not one.held_out[n]]
    return float(np.mean([np.abs(a - b).mean() for a, b in pairs]))


def test_mels_come_nearer_to_the_recordings_and_all_else_is_theirs(
    dataset: Dataset, tmp_path: Path
) -> None:
    early = spoken_dataset(trained(dataset, tmp_path / "a", 1), dataset, CPU).dataset
    late = spoken_dataset(trained(dataset, tmp_path / "b", 25), dataset, CPU).dataset
    assert distance(late, dataset) < 0.8 * distance(early, dataset)
    for index in range(len(dataset)):
        ours, theirs = late[index], dataset[index]
        assert ours.mel.shape == theirs.mel.shape
        for name in ("f0", "audio", "voiced", "duration", "ling"):
            assert np.array_equal(getattr(ours, name), getattr(theirs, name)), name


def test_a_sentence_says_the_same_alone(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = trained(dataset, tmp_path / "am", 3)
    together = spoken_dataset(folder, dataset, CPU).dataset
    (folder / "spoken-3.npy").unlink()
    monkeypatch.setattr(spoken, "_TOGETHER", 1)
    alone = spoken_dataset(folder, dataset, CPU).dataset
    for index in range(len(dataset)):
        np.testing.assert_allclose(alone[index].mel, together[index].mel, atol=2e-3)


def test_it_speaks_once_for_each_checkpoint(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = trained(dataset, tmp_path / "am", 2)
    first = spoken_dataset(folder, dataset, CPU).dataset
    monkeypatch.setattr(spoken, "_spoken", None)
    again = spoken_dataset(folder, dataset, CPU).dataset
    assert np.array_equal(first[0].mel, again[0].mel)
    assert [path.name for path in folder.glob("*spoken*")] == ["spoken-2.npy"]


def test_an_interrupted_speech_leaves_nothing(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = trained(dataset, tmp_path / "am", 2)

    def interrupted(*_: object) -> Any:  # noqa: ANN401
        yield np.zeros((3, 80))
        raise KeyboardInterrupt

    monkeypatch.setattr(spoken, "_spoken", interrupted)
    with pytest.raises(KeyboardInterrupt):
        spoken_dataset(folder, dataset, CPU)
    assert list(folder.glob("*spoken*")) == []


@pytest.mark.parametrize(
    ("content", "said"), [(b"nothing", "cannot be read"), (None, r"has shape \(2, 80\), not")]
)
def test_mels_that_do_not_fit_are_named(
    dataset: Dataset, tmp_path: Path, content: bytes | None, said: str
) -> None:
    folder = trained(dataset, tmp_path / "am", 2)
    path = folder / "spoken-2.npy"
    if content is None:
        np.save(path, np.zeros((2, 80), np.float16))
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match=rf"spoken-2\.npy {said}.*delete it"):
        spoken_dataset(folder, dataset, CPU)


def test_only_an_acoustic_model_of_this_dataset_speaks(dataset: Dataset, tmp_path: Path) -> None:
    folder = trained(dataset, tmp_path / "voc", 1, kind="vocoder")
    with pytest.raises(SourceError, match="kind 'vocoder', wanted is 'acoustic'"):
        spoken_dataset(folder, dataset, CPU)
    other = Dataset(replace(dataset.settings, fingerprint="other"), dataset._arrays)
    with pytest.raises(InputError, match="learned from another dataset"):
        spoken_dataset(trained(dataset, tmp_path / "am", 1), other, CPU)
    with pytest.raises(SourceError, match="holds no checkpoint"):
        spoken_dataset(tmp_path / "nowhere", dataset, CPU)


def test_a_vocoder_goes_on_with_what_the_model_speaks(dataset: Dataset, tmp_path: Path) -> None:
    folder = trained(dataset, tmp_path / "am", 2)
    learning = VocoderLearning(windows=Windows(frames=16, batch=2))
    hearing = replace(learning, spoken_by=str(folder), spoken=1.0)
    steps = []
    for how in (learning, hearing, replace(hearing, spoken=0.0)):
        torch.manual_seed(0)
        task = VocoderTask(dataset, VocoderSizes(16), how, CPU)
        losses = dict(task.step(0, np.random.default_rng(1)))
        steps.append((task.settings(), losses, task.circumstances()))
    assert steps[0][0] == steps[1][0]
    assert steps[0] == steps[2]
    assert steps[0][1]["mel"] != steps[1][1]["mel"]
    assert (steps[0][2], steps[1][2]) == ({}, {"spoken_by": 2, "spoken": 1.0})
    with pytest.raises(InputError, match=r"--spoken 1\.5: needs a share"):
        VocoderTask(dataset, VocoderSizes(16), replace(hearing, spoken=1.5), CPU)
