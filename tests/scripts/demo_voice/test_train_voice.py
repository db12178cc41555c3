"""The command line: commands find their modules, and each end has its exit status."""

from __future__ import annotations

import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from demo_voice import training_loop
from demo_voice.checkpoints import checkpoint_from_file, newest_checkpoint
from demo_voice.commands import COMMANDS, MODELS
from demo_voice.train_command import TrainCommand
from torch import nn
from train_voice import main

from sambert_trt.engines.errors import InputError, OutputError, SourceError, VoiceError


@dataclass(frozen=True)
class Sizes:
    """Of the model.

    Attributes:
        units: of its layer.
    """

    units: int = 2


@dataclass(frozen=True)
class Learning:
    """How it learns."""

    rate: float = 0.1


class Toy:
    """A model of one layer; `happens` is called with the number of each step."""

    averaged = "net"

    def __init__(
        self,
        dataset: Any,  # noqa: ANN401  # stands in for a Dataset
        sizes: Sizes,
        learning: Learning,
        device: torch.device,
        precision: torch.dtype,
    ) -> None:
        dataset.told = (sizes, learning, device, precision)
        self.net = nn.Linear(sizes.units, 1).to(device)
        self.modules = {"net": self.net}
        self.optimisers = {"net": torch.optim.SGD(self.net.parameters(), learning.rate)}
        self._dataset, self._sizes = dataset, sizes

    def settings(self) -> Mapping[str, Any]:
        return {"units": self._sizes.units, "dataset": self._dataset.name}

    def circumstances(self) -> Mapping[str, Any]:
        return {}

    def step(self, number: int, random: np.random.Generator) -> Mapping[str, float]:
        self._dataset.happens(number)
        loss = self.net(torch.ones(1, self._sizes.units)).square().sum()
        self.optimisers["net"].zero_grad()
        loss.backward()
        self.optimisers["net"].step()
        return {"square": float(loss.detach())}


def module(name: str, **members: object) -> ModuleType:
    found = ModuleType(f"demo_voice.{name}")
    vars(found).update(members)
    return found


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """`train acoustic` with a toy; the dataset's `happens` may be replaced."""
    dataset = SimpleNamespace(name="data", happens=lambda number: None)

    trains = TrainCommand("acoustic", Toy, Sizes, Learning)
    command = module("train_acoustic", add_arguments=trains.add_arguments, run=trains.run)
    opener = SimpleNamespace(open=lambda path: dataset)
    monkeypatch.setitem(sys.modules, "demo_voice.train_acoustic", command)
    monkeypatch.setitem(sys.modules, "demo_voice.dataset", module("dataset", Dataset=opener))
    monkeypatch.setattr(training_loop, "draw_losses", lambda lines, path, title: None)
    return dataset


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def trained(folder: Path, *words: str) -> int:
    return main(["train", "acoustic", "data", str(folder), "--device", "cpu", *words])


def test_training_goes_on_with_the_same_command(
    tmp_path: Path, toy: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(number: int) -> None:
        if number == 3:
            signal.raise_signal(signal.SIGINT)

    toy.happens = stop
    assert trained(tmp_path, "--steps", "6", "--units", "5") == 130
    told = capsys.readouterr()
    assert "interrupted; the same command goes on: 4 steps" in told.out
    assert trained(tmp_path, "--steps", "6", "--units", "5") == 0
    told = capsys.readouterr()
    assert "trained: 6 steps" in told.out
    assert f"acoustic: going on from {tmp_path / 'checkpoint_4.pth'}" in told.err
    found = checkpoint_from_file(newest_checkpoint(tmp_path))
    assert found.modules["net"]["weight"].shape == (1, 5)
    cpu = torch.device("cpu")
    assert toy.told == (Sizes(5), Learning(), cpu, torch.float32)
    assert trained(tmp_path / "b", "--steps", "1", "--rate", "2", "--precision", "bfloat16") == 0
    assert toy.told == (Sizes(), Learning(2.0), cpu, torch.bfloat16)


def test_the_same_seed_begins_with_the_same_weights(tmp_path: Path, toy: SimpleNamespace) -> None:
    weights = []
    for name, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        assert trained(tmp_path / name, "--steps", "1", "--seed", seed) == 0
        weights.append(checkpoint_from_file(newest_checkpoint(tmp_path / name)).modules["net"])
    assert torch.equal(weights[0]["weight"], weights[1]["weight"])
    assert not torch.equal(weights[0]["weight"], weights[2]["weight"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "a run needs an end"),
        (("--steps", "1", "--threads", "0"), "--threads 0: needs 1 or more"),
        (("--steps", "-1"), "--steps -1: out of range"),
    ],
)
def test_options_that_make_no_sense_are_wrong_usage(
    tmp_path: Path,
    toy: SimpleNamespace,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    told: str,
) -> None:
    assert trained(tmp_path, *words) == 2
    assert capsys.readouterr().err.startswith(f"train_voice: {told}")


def test_a_gpu_that_is_not_there_is_told(
    tmp_path: Path,
    toy: SimpleNamespace,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    words = ["train", "acoustic", "data", str(tmp_path), "--steps", "1", "--device", "cuda"]
    assert main(words) == 2
    assert "--device cuda: torch finds no GPU" in capsys.readouterr().err


def _raising(error: BaseException) -> Callable[[Namespace], int]:
    def run(options: Namespace) -> int:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InputError("no such\nfolder"), 2),
        (SourceError("no such\nfolder"), 1),
        (OutputError("no such\nfolder"), 1),
        (VoiceError("no such\nfolder"), 1),
    ],
)
@pytest.mark.parametrize("name", COMMANDS)
def test_an_error_is_one_line_and_a_status(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    error: Exception,
    status: int,
) -> None:
    command = module(name, add_arguments=lambda parser: None, run=_raising(error))
    monkeypatch.setitem(sys.modules, f"demo_voice.{name}", command)
    assert main([name]) == status
    assert capsys.readouterr().err == "train_voice: no such folder\n"


def test_ctrl_c_has_its_own_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(options: Namespace) -> int:
        signal.raise_signal(signal.SIGTERM)
        return 0

    command = module("prepare", add_arguments=lambda parser: None, run=run)
    monkeypatch.setitem(sys.modules, "demo_voice.prepare", command)
    assert main(["prepare"]) == 130
    assert capsys.readouterr().err == "train_voice: interrupted\n"


@pytest.mark.parametrize(
    ("words", "status"),
    [(("--help",), 0), ((), 2), (("train",), 2), (("other",), 2), (("train", "--help"), 0)],
)
def test_help_needs_no_torch_and_lists_every_command(
    root: Path, tmp_path: Path, words: tuple[str, ...], status: int
) -> None:
    (tmp_path / "torch.py").write_text("raise SystemExit(99)")
    (tmp_path / "numpy.py").write_text("raise SystemExit(99)")
    script = str(root / "scripts" / "train_voice.py")
    finished = subprocess.run(
        (sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r});"
         f"sys.argv = ['train_voice.py', *{words!r}]; import runpy;"
         f"sys.path.insert(0, {str(root / 'scripts')!r});"
         f"runpy.run_path({script!r}, run_name='__main__')"),
        capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert finished.returncode == status
    if words == ("--help",):
        assert all(name in finished.stdout for name in (*COMMANDS, "train"))
    if words == ("train", "--help"):
        assert all(name in finished.stdout for name in MODELS)
