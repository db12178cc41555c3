"""Two trainings and their dataset are one voice, where they belong together."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from demo_voice import trained
from demo_voice.acoustic_task import AcousticSizes, voice_vocabulary
from demo_voice.checkpoints import Checkpoint, RandomStates, write_checkpoint
from demo_voice.dataset import Dataset, DatasetSettings, Emotion
from demo_voice.trained import trained_voice_from_runs
from demo_voice.vocoder import VocoderSizes
from demo_voice.voice_files import Heard
from torch import nn

from sambert_trt.engines.errors import InputError, SourceError
from sambert_trt.export.hifigan import Generator
from sambert_trt.export.sambert import Sambert

SMALL = AcousticSizes(32, 1, 16, 16, 16, 16)
THIN = VocoderSizes(channels=16)
BEGUN: dict[str, Any] = {"learning": {"begin_with": None}, "untrained_before": None}
HISTORY: list[dict[str, Any]] = [
    {"after": 0, "had": {}},
    {"after": 2, "had": {"spoken_by": 7, "spoken": 0.5}},
    {"after": 4, "had": {"spoken_by": 9, "spoken": 0.5}},
    {"after": 4, "had": {"spoken_by": 12, "spoken": 0.7}},
]


@pytest.fixture
def dataset(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Two sentences of one symbol each, the second held out; every folder holds it."""
    settings = DatasetSettings(
        16000, 200, 80, (Emotion("neutral", 1.0), Emotion("sad", 0.87)), "F7", (0.0,) * 80,
        (1.0,) * 80, 190.0, 25.0, 0.0, 1.0, "somebody", 2, 2, (), {}, "abc",
    )  # fmt: skip
    sounds = voice_vocabulary("F7").units["sy"]
    ling = [[sounds.index("a_c"), 0, 0, 0], [sounds.index("o_c"), 0, 0, 0]]
    arrays: dict[str, Any] = {
        "id": np.array(["a", "b"]), "text": np.array(["啊", "哦"]), "emotion": np.array([0, 0]),
        "held_out": np.array([False, True]), "symbol_offset": np.arange(3),
        "frame_offset": np.arange(3), "ling": np.array(ling), "duration": np.ones(2, np.int16),
        "pitch": np.zeros(2), "energy": np.zeros(2), "mel": np.zeros((2, 80)), "f0": np.zeros(2),
        "voiced": np.zeros(2), "audio": np.zeros(400, np.int16),
    }  # fmt: skip
    found = Dataset(settings, arrays)
    monkeypatch.setattr(trained.Dataset, "open", lambda folder: found)
    return found


def checkpoint(folder: Path, kind: str, module: nn.Module, step: int, **settings: object) -> None:
    """A training's checkpoint whose averaged weights are all 0.5, its live ones random."""
    folder.mkdir(exist_ok=True)
    average = {name: torch.full_like(one, 0.5) for name, one in module.state_dict().items()}
    states = RandomStates.taken(np.random.default_rng(0))
    content = {"kind": kind, "dataset": "abc", **BEGUN, **settings}
    write_checkpoint(
        folder,
        Checkpoint(step, 1.0, 0, content, "model", average, {"model": dict(module.state_dict())},
                   {}, states.plain(), HISTORY),
    )  # fmt: skip


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    """The folders of an acoustic model's training and of a vocoder's."""
    model = Sambert(SMALL.config(), voice_vocabulary("F7"))
    am, voc = tmp_path / "am", tmp_path / "voc"
    for step in (7, 12):
        checkpoint(am, "acoustic", model, step, sizes=asdict(SMALL))
    checkpoint(voc, "vocoder", Generator(THIN.config()), 5, sizes=asdict(THIN))
    return am, voc


def test_the_newest_averages_and_the_facts_of_the_dataset(
    tmp_path: Path, runs: tuple[Path, Path], dataset: Dataset
) -> None:
    voice = trained_voice_from_runs(*runs, tmp_path)
    assert voice.steps == (12, 5)
    assert voice.heard == (Heard(3, 4, 7, 0.5), Heard(5, 5, 12, 0.7))
    assert voice.sambert == SMALL.config()
    assert voice.hifigan == THIN.config()
    assert all(
        bool((one == 0.5).all()) for one in (*voice.acoustic.values(), *voice.vocoder.values())
    )
    assert (voice.rate, voice.speaker, voice.f0) == (16000, "F7", (190.0, 25.0))
    assert voice.attribution == "somebody"
    assert "a_c" not in voice.untrained["sy"]
    assert "o_c" in voice.untrained["sy"]  # of a sentence that was held out
    assert not {"emotion_neutral", "emotion_sad"} & set(voice.untrained["emo_category"])


def test_what_the_voice_before_had_learned_stays_learned(
    tmp_path: Path, runs: tuple[Path, Path], dataset: Dataset
) -> None:
    model, before = Sambert(SMALL.config(), voice_vocabulary("F7")), {"sy": ["o_c", "air_c"]}
    checkpoint(
        runs[0], "acoustic", model, 13, sizes=asdict(SMALL), untrained_before=before,
        learning={"begin_with": str(tmp_path / "some voice")},
    )  # fmt: skip
    voice = trained_voice_from_runs(*runs, tmp_path)
    assert set(voice.untrained["sy"]) == {"o_c", "air_c"}
    assert not voice.untrained["tone"]
    assert voice.began_with == ("some voice", None)


def test_folders_the_wrong_way_round_are_told(
    tmp_path: Path, runs: tuple[Path, Path], dataset: Dataset
) -> None:
    with pytest.raises(SourceError, match=r"kind 'vocoder', wanted is 'acoustic'"):
        trained_voice_from_runs(*reversed(runs), tmp_path)


def test_a_training_on_another_dataset_is_refused(
    tmp_path: Path, runs: tuple[Path, Path], dataset: Dataset
) -> None:
    generator = Generator(THIN.config())
    checkpoint(runs[1], "vocoder", generator, 9, sizes=asdict(THIN), dataset="other")
    with pytest.raises(InputError, match=r"checkpoint_9\.pth learned from another dataset"):
        trained_voice_from_runs(*runs, tmp_path)
