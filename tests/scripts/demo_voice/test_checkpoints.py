"""Checkpoints come back as they went, are written whole or not at all, and are never trusted."""

from __future__ import annotations

import errno
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from demo_voice.checkpoints import (
    Checkpoint,
    RandomStates,
    checkpoint_from_file,
    checkpoint_paths,
    differences,
    newest_checkpoint,
    plain_settings,
    remove_all_but,
    write_checkpoint,
)
from torch import nn

from sambert_trt.engines.errors import OutputError, SourceError


@pytest.fixture
def checkpoint() -> Checkpoint:
    """Of a small model that has made a step."""
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    optimiser = torch.optim.AdamW(model.parameters(), 0.1)
    model(torch.ones(4, 2)).sum().backward()
    optimiser.step()
    return Checkpoint(
        step=7,
        seconds=1.5,
        skipped=1,
        settings={"sizes": {"units": 3}},
        averaged="model",
        average=dict(model.state_dict()),
        modules={"model": dict(model.state_dict())},
        optimisers={"model": optimiser.state_dict()},
        random=RandomStates.taken(np.random.default_rng(3)).plain(),
        history=[{"after": 0, "had": {}}, {"after": 3, "had": {"spoken": 0.5}}],
    )


def test_what_is_read_is_what_was_written(tmp_path: Path, checkpoint: Checkpoint) -> None:
    path = write_checkpoint(tmp_path, checkpoint)
    found = checkpoint_from_file(path)
    assert path == newest_checkpoint(tmp_path) == tmp_path / "checkpoint_7.pth"
    assert (found.step, found.seconds, found.skipped) == (7, 1.5, 1)
    assert (found.settings, found.averaged) == (checkpoint.settings, "model")
    assert found.history == checkpoint.history
    for name, tensor in checkpoint.modules["model"].items():
        assert torch.equal(found.modules["model"][name], tensor)
        assert torch.equal(found.average[name], tensor)
    told, moments = checkpoint.optimisers["model"], found.optimisers["model"]
    assert moments["param_groups"] == told["param_groups"]
    assert torch.equal(moments["state"][0]["exp_avg"], told["state"][0]["exp_avg"])


def test_chance_goes_on_where_it_stood(tmp_path: Path, checkpoint: Checkpoint) -> None:
    generator = np.random.default_rng(5)
    generator.standard_normal(3)
    states = RandomStates.taken(generator).plain()
    path = write_checkpoint(tmp_path, replace(checkpoint, random=states))
    wanted = generator.integers(0, 1000, 20), torch.rand(20)
    other = np.random.default_rng(0)
    RandomStates(**checkpoint_from_file(path).random).restore(other)
    assert np.array_equal(other.integers(0, 1000, 20), wanted[0])
    assert torch.equal(torch.rand(20), wanted[1])


def test_a_full_disk_names_the_file_and_the_room_and_leaves_the_old_one(
    tmp_path: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_checkpoint(tmp_path, checkpoint)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"checkpoint_7.pth.* takes 0.0 MB, [\d.]+ MB are free"):
        write_checkpoint(tmp_path, replace(checkpoint, seconds=9.0))
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before


class _Code:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("ran",)


def test_a_file_that_asks_to_run_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "checkpoint_1.pth"
    torch.save({"schema": 2, "step": _Code()}, path)
    with pytest.raises(SourceError, match=r"checkpoint_1.pth cannot be read"):
        checkpoint_from_file(path)
    path.write_bytes(pickle.dumps(_Code(), protocol=2))
    with pytest.raises(SourceError, match=r"checkpoint_1.pth cannot be read"):
        checkpoint_from_file(path)
    assert not Path("ran").exists()


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99])
def test_a_file_that_is_cut_off_is_named(
    tmp_path: Path, checkpoint: Checkpoint, kept: float
) -> None:
    path = write_checkpoint(tmp_path, checkpoint)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept if kept >= 1 else kept * len(whole))])
    with pytest.raises(SourceError, match=r"checkpoint_7.pth cannot be read .* remove it"):
        checkpoint_from_file(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"model": {}, "steps": 3}, "no checkpoint of a training run of schema 2"),
        ([1, 2], "no checkpoint of a training run"),
        ({"schema": 1}, r"found 1"),
        ({"schema": 2, "step": "7"}, "its step should be int, not str"),
        ({"schema": 2, "step": 7, "seconds": 1.0}, "its skipped should be int, not NoneType"),
    ],
)
def test_something_else_is_refused(tmp_path: Path, content: object, told: str) -> None:
    path = tmp_path / "checkpoint_7.pth"
    torch.save(content, path)
    with pytest.raises(SourceError, match=told):
        checkpoint_from_file(path)


def test_the_newest_is_that_with_most_steps(tmp_path: Path) -> None:
    for name in ("checkpoint_900", "checkpoint_1000", "checkpoint_20", "checkpoint_x", "other"):
        (tmp_path / f"{name}.pth").touch()
    assert [path.stem for path in checkpoint_paths(tmp_path)] == [
        "checkpoint_20",
        "checkpoint_900",
        "checkpoint_1000",
    ]
    remove_all_but(tmp_path, 2)
    assert sorted(path.stem for path in tmp_path.iterdir()) == [
        "checkpoint_1000",
        "checkpoint_900",
        "checkpoint_x",
        "other",
    ]


def test_a_folder_without_checkpoints_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no checkpoint"):
        newest_checkpoint(tmp_path)


def test_differences_are_told_by_name() -> None:
    saved = plain_settings({"sizes": {"units": 64, "scales": (5, 5)}, "dataset": "a1"})
    wanted = plain_settings({"sizes": {"units": 128, "scales": (5, 5)}, "nsf": True})
    assert differences(saved, saved) == []
    assert differences(saved, wanted) == [
        "sizes.units is 64 there, 128 here",
        "dataset is a1 there, absent here",
        "nsf is absent there, True here",
    ]
