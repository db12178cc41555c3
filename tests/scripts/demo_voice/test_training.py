"""The loop: it ends when it should, goes on exactly, and loses nothing that was good."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from demo_voice import training_loop
from demo_voice.checkpoints import checkpoint_from_file, checkpoint_paths, newest_checkpoint
from demo_voice.progress import Moment
from demo_voice.training import Outcome, TrainingOptions, run
from torch import Tensor, nn

from sambert_trt.engines.errors import InputError, OutputError, SourceError

Event = Callable[["Toy"], None]


class Toy:
    """A task with chance everywhere: in batches, in dropout, in what a batch norm has seen.

    Attributes:
        events: what happens in the steps of these numbers, before their gradients.
        spoiled: steps whose loss is no number.
        rates: the learning rate of each step.
    """

    averaged = "net"

    def __init__(
        self, events: Mapping[int, Event] | None = None, spoiled: tuple[int, ...] = ()
    ) -> None:
        torch.manual_seed(11)
        self.net = nn.Sequential(
            nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.3), nn.Linear(4, 1)
        )
        self.modules = {"net": self.net}
        self.optimisers = {"net": torch.optim.Adam(self.net.parameters(), 0.01)}
        self.events, self.spoiled = dict(events or {}), spoiled
        self.facts: dict[str, Any] = {"sizes": {"units": 4}}
        self.hears: dict[str, Any] = {}
        self.rates: list[float] = []

    def settings(self) -> Mapping[str, Any]:
        return self.facts

    def circumstances(self) -> Mapping[str, Any]:
        return self.hears

    def step(self, number: int, random: np.random.Generator) -> Mapping[str, float]:
        self.rates.append(float(self.optimisers["net"].param_groups[0]["lr"]))
        self.events.get(number, lambda task: None)(self)
        inputs = torch.from_numpy(random.standard_normal((5, 3)).astype(np.float32))
        loss = (self.net(inputs) - 1).square().mean()
        if number in self.spoiled:
            loss = loss * float("nan")
        self.optimisers["net"].zero_grad()
        loss.backward()
        self.optimisers["net"].step()
        return {"square": float(loss.detach())}

    def weights(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self.net.state_dict().items()}


class Onlooker:
    """Keeps what it is shown and told."""

    def __init__(self) -> None:
        self.moments: list[Moment] = []
        self.told: list[str] = []

    def show(self, moment: Moment) -> None:
        self.moments.append(moment)

    def say(self, text: str) -> None:
        self.told.append(text)


def ticking(seconds: float) -> Callable[[], float]:
    """A clock that is that much later at each look: the loop looks a few times a step."""
    now = iter(range(10**6))
    return lambda: next(now) * seconds


def asks_to_stop(number: int) -> Event:
    return lambda task: signal.raise_signal(number)


TEN = TrainingOptions(steps=10, warmup=2, log_steps=2)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Which pictures would have been drawn: drawing itself is another test's."""
    found: list[Path] = []
    monkeypatch.setattr(training_loop, "draw_losses", lambda lines, path, title: found.append(path))
    return found


@pytest.fixture(autouse=True)
def _no_pictures(drawn: list[Path]) -> None:
    pass


def state(folder: Path) -> dict[str, Any]:
    """All that the newest checkpoint holds, but for the time it took."""
    found = checkpoint_from_file(newest_checkpoint(folder))
    return dict(flat(vars(replace(found, seconds=0.0))))


def flat(value: object, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from flat(one, f"{name}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, one in enumerate(value):
            yield from flat(one, f"{name}.{index}")
    else:
        yield name, value.tolist() if isinstance(value, Tensor) else value


def lines(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "losses.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_in_two_parts_is_the_run_in_one(tmp_path: Path, number: int) -> None:
    whole = run(Toy(), tmp_path / "whole", TEN)
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    first = run(Toy({4: asks_to_stop(number)}), tmp_path / "parts", TEN)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    assert (first.finished, first.step) == (False, 5)
    torch.rand(100)
    second = run(Toy(), tmp_path / "parts", TEN)
    assert (second.finished, second.step) == (whole.finished, whole.step) == (True, 10)
    assert state(tmp_path / "parts") == state(tmp_path / "whole")
    assert lines(tmp_path / "parts")[-1]["step"] == 10
    assert lines(tmp_path / "parts")[0]["square"] == lines(tmp_path / "whole")[0]["square"]


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    def twice(task: Toy) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        run(Toy({4: twice}), tmp_path, TEN)
    assert checkpoint_paths(tmp_path) == []


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows hangs nothing up")
def test_a_closed_terminal_ends_it_in_order_and_nohup_not_at_all(tmp_path: Path) -> None:
    def hang_up(task: Toy) -> None:
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)

    before = signal.getsignal(signal.SIGHUP)
    try:
        signal.signal(signal.SIGHUP, signal.default_int_handler)
        assert run(Toy({4: hang_up}), tmp_path, TEN).checkpoint == tmp_path / "checkpoint_5.pth"
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        assert run(Toy({7: hang_up}), tmp_path, TEN).finished
    finally:
        signal.signal(signal.SIGHUP, before)


def test_rates_rise_and_fall_as_a_cosine(tmp_path: Path) -> None:
    task = Toy()
    run(task, tmp_path, TrainingOptions(steps=8, warmup=1, final_rate=0.1))
    share = 0.1 + 0.9 * (1 + np.cos(np.pi * np.arange(8) / 8)) / 2
    share[0] /= 2
    assert task.rates == pytest.approx(0.01 * share)


def test_a_run_may_go_on_with_lower_rates(tmp_path: Path) -> None:
    run(Toy({4: asks_to_stop(signal.SIGINT)}), tmp_path, TEN)
    task, plain = Toy(), Toy()
    run(task, tmp_path, replace(TEN, rates=0.25))
    run(plain, tmp_path / "whole", TEN)
    assert task.rates == pytest.approx([0.25 * rate for rate in plain.rates[5:]])


def test_a_checkpoint_remembers_what_changed_on_the_way(tmp_path: Path) -> None:
    for steps, hears in ((2, {}), (3, {}), (5, {"spoken_by": 7}), (6, {"spoken_by": 7}), (8, {})):
        task = Toy()
        task.hears = hears
        run(task, tmp_path, replace(TEN, steps=steps))
    found = checkpoint_from_file(newest_checkpoint(tmp_path)).history
    assert [(part["after"], part["had"]) for part in found] == [
        (0, {}),
        (3, {"spoken_by": 7}),
        (6, {}),
    ]


def test_hours_end_a_run_and_lower_its_rates(tmp_path: Path) -> None:
    task = Toy()
    options = TrainingOptions(steps=10**6, hours=0.5, warmup=0, save_minutes=1e6)
    outcome = run(task, tmp_path, options, clock=ticking(10.0))
    assert outcome.finished
    assert outcome.seconds >= 1800
    assert 10 < outcome.step < 180
    assert task.rates[0] == pytest.approx(0.01, rel=0.01)
    assert task.rates[-1] == pytest.approx(0.02 * 0.01, rel=0.2)


def test_hours_are_of_all_parts(tmp_path: Path) -> None:
    options = TrainingOptions(hours=0.5, save_minutes=1e6)
    first = run(Toy({4: asks_to_stop(signal.SIGINT)}), tmp_path, options, clock=ticking(10.0))
    saved = checkpoint_from_file(newest_checkpoint(tmp_path))
    assert 0 < saved.seconds <= first.seconds
    second = run(Toy(), tmp_path, options, clock=ticking(10.0))
    whole = run(Toy(), tmp_path / "whole", options, clock=ticking(10.0))
    assert abs(second.step - whole.step) <= 4


def test_it_saves_every_few_minutes_and_keeps_two(tmp_path: Path, drawn: list[Path]) -> None:
    options = TrainingOptions(steps=40, save_minutes=1)
    seen: set[int] = set()

    def look(task: Toy) -> None:
        seen.update(int(path.stem.split("_")[1]) for path in checkpoint_paths(tmp_path))

    run(Toy(dict.fromkeys(range(40), look)), tmp_path, options, clock=ticking(5.0))
    found = [int(path.stem.split("_")[1]) for path in checkpoint_paths(tmp_path)]
    assert len(seen) > 4
    assert len(found) == 2
    assert found == sorted({*seen, 40})[-2:]
    assert len(drawn) >= len(seen | {40})
    assert set(drawn) == {tmp_path / "losses.png"}


def test_a_step_that_is_not_finite_changes_nothing(tmp_path: Path) -> None:
    seen: list[dict[str, Tensor]] = []

    def look(task: Toy) -> None:
        seen.append({name: one for name, one in task.weights().items() if "running" not in name})

    task = Toy({3: look, 4: look}, spoiled=(3,))
    outcome = run(task, tmp_path, TEN)
    assert (outcome.skipped, outcome.step) == (1, 10)
    for name, before in seen[0].items():
        if "num_batches" not in name:
            assert torch.equal(before, seen[1][name])
    assert all(np.isfinite(line["square"]) for line in lines(tmp_path))
    assert checkpoint_from_file(newest_checkpoint(tmp_path)).skipped == 1


def test_many_such_steps_in_a_row_end_it_and_the_last_good_checkpoint_stays(
    tmp_path: Path,
) -> None:
    run(Toy({4: asks_to_stop(signal.SIGINT)}), tmp_path, TEN)
    good = newest_checkpoint(tmp_path)
    before = good.read_bytes()
    task = Toy(spoiled=(6, 7, 8))
    with pytest.raises(SourceError, match=r"3 steps in a row .*step 8 .*_5.pth: .*--rates 0.5"):
        run(task, tmp_path, replace(TEN, patience=3))
    assert checkpoint_paths(tmp_path) == [good]
    assert good.read_bytes() == before


def test_a_good_step_between_begins_the_count_anew(tmp_path: Path) -> None:
    outcome = run(Toy(spoiled=(1, 2, 4, 5, 7, 8)), tmp_path, replace(TEN, patience=3))
    assert (outcome.skipped, outcome.finished) == (6, True)


def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path) -> None:
    run(Toy({4: asks_to_stop(signal.SIGINT)}), tmp_path, TEN)

    class Spoiling(Toy):
        def step(self, number: int, random: np.random.Generator) -> Mapping[str, float]:
            with torch.no_grad():
                self.net[3].bias.fill_(float("inf"))
            return {"square": 1.0}

    with pytest.raises(SourceError, match=r"at step 10 3.bias of net is not finite.*_5.pth"):
        run(Spoiling(), tmp_path, TEN)
    assert [path.name for path in checkpoint_paths(tmp_path)] == ["checkpoint_5.pth"]


class _Disk:
    """Fails to write checkpoints of some steps, as a disk that is full does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, works_from: int) -> None:
        self._sync, self._from, self.task = os.fsync, works_from, Toy()
        monkeypatch.setattr(os, "fsync", self._synced)

    def _synced(self, descriptor: int) -> None:
        if len(self.task.rates) < self._from:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._sync(descriptor)


def test_a_disk_that_is_full_for_a_while_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, watcher = _Disk(monkeypatch, works_from=8), Onlooker()
    outcome = run(disk.task, tmp_path, replace(TEN, save_minutes=1), watcher, ticking(5.0))
    assert outcome.checkpoint == tmp_path / "checkpoint_10.pth"
    assert watcher.told
    assert "No space left on device" in watcher.told[0]
    assert "training goes on" in watcher.told[0]


def test_a_disk_that_is_full_at_the_end_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = _Disk(monkeypatch, works_from=11)
    with pytest.raises(OutputError, match=r"checkpoint_10.pth.*are free there"):
        run(disk.task, tmp_path, TEN)
    assert lines(tmp_path)[-1]["step"] == 10
    assert checkpoint_paths(tmp_path) == []


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    run(Toy(), tmp_path, TEN)
    other = Toy()
    other.facts = {"sizes": {"units": 8}}
    before = newest_checkpoint(tmp_path).read_bytes()
    with pytest.raises(InputError, match=r"sizes.units is 4 there, 8 here.*--restart"):
        run(other, tmp_path, replace(TEN, steps=20))
    assert newest_checkpoint(tmp_path).read_bytes() == before


def test_of_many_differences_a_few_are_told(tmp_path: Path) -> None:
    run(Toy(), tmp_path, TEN)
    other = Toy()
    other.facts = {f"size{number}": number for number in range(6)}
    with pytest.raises(InputError, match=r"sizes.units .*size2 is absent there, 2 here and 3 more"):
        run(other, tmp_path, TEN)


def test_another_model_is_refused_by_its_size(tmp_path: Path) -> None:
    run(Toy(), tmp_path, TEN)
    other = Toy()
    other.modules = {"net": other.net, "judge": nn.Linear(1, 1)}
    with pytest.raises(InputError, match=r"weights.judge is absent there, 2 here"):
        run(other, tmp_path, TEN)


def test_a_restart_moves_the_earlier_run_aside(tmp_path: Path) -> None:
    run(Toy(), tmp_path, TEN)
    before = newest_checkpoint(tmp_path).read_bytes()
    for number in (1, 2):
        outcome = run(Toy(), tmp_path, replace(TEN, steps=3, restart=True))
        assert (outcome.step, outcome.checkpoint) == (3, tmp_path / "checkpoint_3.pth")
        assert (tmp_path / f"before-{number}" / "losses.jsonl").exists()
    assert (tmp_path / "before-1" / "checkpoint_10.pth").read_bytes() == before


def test_a_second_run_in_the_folder_is_refused(tmp_path: Path) -> None:
    refused: list[str] = []

    def intrude(task: Toy) -> None:
        with pytest.raises(InputError) as caught:
            run(Toy(), tmp_path, TEN)
        refused.append(str(caught.value))

    run(Toy({2: intrude}), tmp_path, TEN)
    assert refused
    assert f"another run trains in {tmp_path}" in refused[0]


def test_losses_after_the_checkpoint_are_cut_off(tmp_path: Path) -> None:
    run(Toy({4: asks_to_stop(signal.SIGINT)}), tmp_path, TEN)
    kept = lines(tmp_path)
    with (tmp_path / "losses.jsonl").open("a") as file:
        file.write('{"step": 6, "seconds": 1.0, "lr": 0.1, "square": 99}\n{"step": 8, "sec')
    run(Toy(), tmp_path, TEN)
    found = lines(tmp_path)
    assert found[: len(kept)] == kept
    assert [line["step"] for line in found] == [2, 4, 5, 6, 8, 10]
    assert all(line["square"] != 99 for line in found)


def test_a_finished_run_makes_no_more_steps(tmp_path: Path) -> None:
    run(Toy(), tmp_path, TEN)
    before = newest_checkpoint(tmp_path).read_bytes()
    task = Toy()
    outcome = run(task, tmp_path, TEN)
    assert (outcome.finished, outcome.step, task.rates) == (True, 10, [])
    assert newest_checkpoint(tmp_path).read_bytes() == before


def test_a_damaged_checkpoint_is_not_overwritten(tmp_path: Path) -> None:
    run(Toy(), tmp_path, TEN)
    path = newest_checkpoint(tmp_path)
    path.write_bytes(b"PK\x03\x04 damaged")
    with pytest.raises(SourceError, match=r"checkpoint_10.pth cannot be read"):
        run(Toy(), tmp_path, replace(TEN, steps=20))
    assert path.read_bytes() == b"PK\x03\x04 damaged"


def test_the_average_follows_the_weights_slower(tmp_path: Path) -> None:
    run(Toy(), tmp_path, replace(TEN, steps=2))
    earlier = checkpoint_from_file(newest_checkpoint(tmp_path)).average["0.weight"]
    task = Toy()
    run(task, tmp_path, replace(TEN, steps=3))
    found = checkpoint_from_file(newest_checkpoint(tmp_path)).average
    share = 1 - (1 + 2) / (10 + 2)
    wanted = earlier + share * (task.net.state_dict()["0.weight"] - earlier)
    assert torch.allclose(found["0.weight"], wanted)
    assert found["1.num_batches_tracked"] == 3


def test_who_looks_on_is_shown_where_it_stands(tmp_path: Path) -> None:
    watcher = Onlooker()
    run(Toy(spoiled=(1,)), tmp_path, TEN, watcher)
    assert [moment.step for moment in watcher.moments] == [2, 4, 6, 8, 10]
    last = watcher.moments[-1]
    assert (last.share, last.seconds_left, last.skipped) == (1.0, 0.0, 1)
    assert str(last).startswith("step 10  ")
    assert f"square {last.losses['square']:.4g}" in str(last)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (TrainingOptions(), "give --hours, --steps or both"),
        (TrainingOptions(steps=0, save_minutes=-1), "--steps 0, --save-minutes -1: out of range"),
        (TrainingOptions(hours=float("nan")), "--hours nan"),
        (TrainingOptions(steps=1, average=1.0), "--average 1.0"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    tmp_path: Path, options: TrainingOptions, told: str
) -> None:
    with pytest.raises(InputError, match=told):
        run(Toy(), tmp_path / "new", options)
    assert not (tmp_path / "new").exists()


def test_a_place_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(OutputError, match="cannot hold a training run"):
        run(Toy(), path, TEN)


def test_nothing_is_saved_where_nothing_was_done(tmp_path: Path) -> None:
    outcome = run(Toy(spoiled=()), tmp_path, replace(TEN, steps=None, hours=1e-9))
    assert outcome == Outcome(True, 0, outcome.seconds, 0, None)
