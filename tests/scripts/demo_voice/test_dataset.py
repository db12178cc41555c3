"""A dataset as models read it: whole utterances, checked when it is opened."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from demo_voice.dataset import Dataset
from demo_voice.prepare import Request, Work, prepare

from sambert_trt.engines.errors import InputError


@pytest.fixture
def folder(made_corpus: Path, tmp_path: Path) -> Path:
    """A prepared dataset."""
    request = Request(emotions=("neutral=0", "happy=12"))
    prepare(made_corpus, tmp_path / "data", request, Work(jobs=1), print)
    return tmp_path / "data"


def test_an_utterance_is_whole_and_its_parts_fit(folder: Path) -> None:
    dataset = Dataset.open(folder)
    assert len(dataset) == 6
    for one in (dataset[index] for index in range(len(dataset))):
        frames, symbols = int(one.duration.sum()), len(one.duration)
        assert one.mel.shape == (frames, 80)
        assert one.audio.shape == (200 * frames,)
        assert one.f0.shape == one.voiced.shape == (frames,)
        assert one.ling.shape == (symbols, 4)
        assert one.pitch.shape == one.energy.shape == (symbols,)
        assert one.pitch[-1] == one.energy[-1] == 0  # the end of a sentence has no frames
        assert 0.5 < np.abs(one.audio).max() <= 0.8
        for name, kind in (("ling", "int64"), ("mel", "float32"), ("audio", "float32")):
            assert getattr(one, name).dtype == kind


def test_utterances_are_known_by_sentence_emotion_and_length(folder: Path) -> None:
    dataset = Dataset.open(folder)
    found = [dataset[index] for index in range(len(dataset))]
    assert [one.id for one in found[:3]] == ["one-0001", "one-0001", "one-0002"]
    assert [one.emotion for one in found] == dataset.emotions.tolist() == [0, 1, 0, 1, 0, 1]
    assert [one.held_out for one in found] == dataset.held_out.tolist()
    assert dataset.held_out.tolist() == [False] * 4 + [True] * 2  # row 43 of the list
    assert [len(one.f0) for one in found] == dataset.frame_counts.tolist()
    assert [one.text for one in found][::2] == ["你好。", "老师好。", "妈妈好。"]
    assert [one.name for one in dataset.settings.emotions] == ["neutral", "happy"]


def test_what_an_utterance_holds_is_its_own(folder: Path) -> None:
    dataset = Dataset.open(folder)
    dataset[0].mel[:] = 7
    dataset[0].f0[:] = 7
    assert dataset[0].mel.max() != 7
    assert dataset[0].f0.max() != 7


def test_there_is_nothing_beyond_the_last_utterance(folder: Path) -> None:
    dataset = Dataset.open(folder)
    assert dataset[-1].id == dataset[5].id == "one-0003"
    with pytest.raises(IndexError):
        dataset[6]


def test_a_folder_without_a_finished_dataset_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no finished dataset"):
        Dataset.open(tmp_path)


def test_another_schema_is_refused(folder: Path) -> None:
    path = folder / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "schema": 2}), "utf-8")
    with pytest.raises(InputError, match="schema 2, this version reads 1"):
        Dataset.open(folder)


@pytest.mark.parametrize("name", ["mel.npy", "audio.npy", "utterances.npz"])
def test_a_file_that_was_cut_off_or_is_gone_is_an_error(folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="is damaged"):
        Dataset.open(folder)
    path.unlink()
    with pytest.raises(InputError, match=f"is damaged.*{name}"):
        Dataset.open(folder)


def test_a_file_of_another_dataset_is_an_error(folder: Path) -> None:
    np.save(folder / "f0.npy", np.zeros(3, np.float32))
    with pytest.raises(InputError, match=r"f0 has shape \(3,\)"):
        Dataset.open(folder)
