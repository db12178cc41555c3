"""Samples on disk: read as they were written, whole wherever a run was cut, bounded."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import pickle
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sambert_trt.calibration.recording import (
    CAPACITIES,
    RECORDING,
    Recording,
    RecordingSettings,
    Sample,
    Take,
    recording_from_folder,
    resumed_recording,
)
from sambert_trt.calibration.reservoir import DRAWS, Capacity
from sambert_trt.engines.errors import InputError, IntegrityError, OutputError
from sambert_trt.engines.graphs import Stage

SETTINGS = RecordingSettings(
    "voice", capacities={Stage.PROSODY: Capacity(3, 1 << 20), Stage.DECODER_STEP: Capacity(2, 9000)}
)


def run(number: int, sentence: int = 0, size: int = 4) -> Sample:
    values = np.full((1, size), number, np.float32)
    return Sample(Stage.PROSODY, sentence, {"text": values}, digest=f"{number}")


def sequence(number: int, sentence: int = 0) -> Sample:
    return Sample(
        Stage.DECODER_STEP,
        sentence,
        {"memory": np.full((3, 1, 2), number, np.float32), "mask": np.zeros((3, 2, 4), np.float32)},
        sizes={"window": 4},
        rows=np.arange(12, dtype=np.float32).reshape(6, 2) + number,
        lengths=(2, 1),
        digest="d",
        state={"frame": np.ones((1, 2), np.float32)},
    )


def taken(recording: Recording, number: int) -> Take:
    """What text `number` gives: two runs and a sequence."""
    take = recording.take(number)
    for sample in (run(number, number), run(-number - 1, number), sequence(number, number)):
        take.add(sample)
    return take


def recorded(folder: Path, numbers: Iterator[int] | range, fresh: bool = False) -> Recording:
    recording = resumed_recording(folder, SETTINGS, fresh=fresh)
    for number in numbers:
        if number not in recording.texts:
            recording.keep(taken(recording, number), f"text {number}")
    return recording


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def facts(sample: Sample) -> tuple[object, ...]:
    arrays = {
        name: (array.dtype.str, array.shape, array.tobytes())
        for name, array in sample.arrays().items()
    }
    return (sample.stage, sample.sentence, sample.sizes, sample.lengths, sample.digest, arrays)


def test_samples_come_back_bit_for_bit(tmp_path: Path) -> None:
    odd = np.array([[np.nan, -0.0, np.inf, 1e-45]], np.float32)
    samples = {
        Stage.PROSODY: Sample(Stage.PROSODY, 7, {"a": odd, "ids": np.arange(3)}, digest="x"),
        Stage.DECODER_STEP: sequence(5, 7),
    }
    recording = resumed_recording(tmp_path, SETTINGS, fresh=False)
    take = recording.take(7)
    for sample in samples.values():
        take.add(sample)
    recording.keep(take, "text")
    again = recording_from_folder(tmp_path)
    for stage, sample in samples.items():
        (found,) = again.samples(stage)
        assert facts(found) == facts(sample)
    assert again.counts == again.seen == {Stage.PROSODY: 1, Stage.DECODER_STEP: 1}
    assert again.texts == {7: "text"}
    assert again.settings == SETTINGS


@pytest.mark.parametrize("order", [range(5, -1, -1), (3, 0, 5, 1, 4, 2)])
def test_the_order_of_texts_does_not_matter(order: Iterator[int], tmp_path: Path) -> None:
    wanted, found = tmp_path / "wanted", tmp_path / "found"
    recording = recorded(wanted, range(6))
    assert recording.counts == {Stage.PROSODY: 3, Stage.DECODER_STEP: 2}
    assert recording.seen == {Stage.PROSODY: 12, Stage.DECODER_STEP: 6}
    recorded(found, order)
    assert content(found) == content(wanted)


def test_what_is_no_longer_kept_leaves_the_disk(tmp_path: Path) -> None:
    recording = recorded(tmp_path, range(20))
    names = {name for name in content(tmp_path) if name != RECORDING}
    assert len(names) == sum(recording.counts.values()) == 5
    sizes = [path.stat().st_size for path in (tmp_path / "samples").iterdir()]
    assert sum(sizes) == recording.bytes


def test_every_sample_has_the_same_chance() -> None:
    """6 of 30 from 300 seeds: 60 times each, with a standard deviation of 7."""
    times = np.zeros(30)
    for seed in range(300):
        settings = RecordingSettings("", seed, capacities={Stage.PROSODY: Capacity(6, 1 << 20)})
        take = Take(settings, 0, {Stage.PROSODY: DRAWS})
        for number in range(30):
            take.add(run(number))
        for _, _, file in take.reservoirs[Stage.PROSODY]:
            with np.load(io.BytesIO(file)) as arrays:
                times[int(arrays["input.text"][0, 0])] += 1
    assert times.sum() == 6 * 300
    assert times.min() > 60 - 4 * 7
    assert times.max() < 60 + 4 * 7


@pytest.fixture
def cuts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Copies of <tmp_path>/kept before every change on disk: what a kill there would leave."""
    found: list[Path] = []

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def watching(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            if (tmp_path / "kept").exists():
                found.append(tmp_path / f"cut-{len(found)}")
                shutil.copytree(tmp_path / "kept", found[-1])
            return function(*args, **kwargs)

        return watching

    monkeypatch.setattr(Path, "replace", watched(Path.replace))
    monkeypatch.setattr(Path, "unlink", watched(Path.unlink))
    monkeypatch.setattr(os, "fsync", watched(os.fsync))
    return found


def test_a_recording_cut_anywhere_is_whole_and_goes_on(
    tmp_path: Path, cuts: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(tmp_path / "kept", range(5))
    monkeypatch.undo()
    wanted = content(tmp_path / "kept")
    left = [sorted(set(content(cut)) - set(wanted)) for cut in cuts]
    assert any(name.endswith(".tmp") for names in left for name in names)
    assert any(name.endswith(".npz") for names in left for name in names)
    for cut in cuts:
        if (cut / RECORDING).exists():
            for stage in SETTINGS.capacities:
                assert all(
                    sample.stage is stage for sample in recording_from_folder(cut).samples(stage)
                )
        recorded(cut, range(5))
        assert content(cut) == wanted


def test_a_fresh_recording_cut_anywhere_is_whole(
    tmp_path: Path, cuts: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(tmp_path / "kept", range(5))
    first = len(cuts)
    recorded(tmp_path / "kept", range(3), fresh=True)
    monkeypatch.undo()
    assert recording_from_folder(tmp_path / "kept").texts.keys() == {0, 1, 2}
    for cut in cuts[first:]:
        found = recording_from_folder(cut)
        assert found.texts.keys() in ({0, 1, 2, 3, 4}, *map(set, map(range, range(4))))
        for stage in SETTINGS.capacities:
            assert len(list(found.samples(stage))) == found.counts[stage]


@pytest.mark.parametrize("writes", range(7))
def test_a_full_disk_costs_nothing_that_was_there(
    writes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = recorded(tmp_path, range(2))
    before, room = content(tmp_path), [None] * writes

    def full(descriptor: int) -> None:
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        room.pop()

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"No space left on device.*what was recorded is kept"):
        deque(recording.keep(taken(recording, n), f"text {n}") for n in range(2, 100))
    monkeypatch.undo()
    number = len(recording.texts)
    done = set(range(number))
    assert recording_from_folder(tmp_path).texts.keys() == recording.texts.keys() == done
    assert not [name for name in content(tmp_path) if name.endswith(".tmp")]
    if number == 2:
        resumed_recording(tmp_path, SETTINGS, fresh=False)
        assert content(tmp_path) == before
    recording.keep(taken(recording, number), f"text {number}")
    other = recorded(tmp_path / "other", range(number + 1))
    assert [sorted(kept) for kept in recording.reservoirs.values()] == [
        sorted(kept) for kept in other.reservoirs.values()
    ]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "samples").write_text("")
    with pytest.raises(OutputError, match=str(tmp_path)):
        resumed_recording(tmp_path, SETTINGS, fresh=False)


def test_files_of_others_stay(tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    others = [tmp_path / "notes.txt", tmp_path / "samples" / "mine.npz", tmp_path / "samples" / "x"]
    for path in others:
        path.write_text("mine")
    recorded(tmp_path, range(4))
    recorded(tmp_path, range(4), fresh=True)
    assert all(path.read_text() == "mine" for path in others)


CHANGED = {
    "voice": replace(SETTINGS, voice="another"),
    "seed": replace(SETTINGS, seed=1),
    "muted": replace(SETTINGS, muted=frozenset()),
    "reservoirs": replace(SETTINGS, capacities=CAPACITIES),
}


@pytest.mark.parametrize("name", CHANGED)
def test_another_voice_or_settings_are_refused(name: str, tmp_path: Path) -> None:
    recorded(tmp_path, range(2))
    before = content(tmp_path)
    with pytest.raises(InputError, match=rf"another .*{name}.*record afresh"):
        resumed_recording(tmp_path, CHANGED[name], fresh=False)
    assert content(tmp_path) == before
    recording = resumed_recording(tmp_path, CHANGED[name], fresh=True)
    assert set(content(tmp_path)) == {RECORDING}
    assert not any(recording.counts.values())


def _without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda data: {name: value for name, value in data.items() if name != key}


def _with(**changes: object) -> Callable[[dict[str, Any]], object]:
    return lambda data: {**data, **changes}


@pytest.mark.parametrize(
    "damage",
    [
        _with(schema=0),
        _with(schema=2),
        _with(capacities={"prosody": 3}),
        _with(texts=[]),
        _with(stages={"prosody": {"seen": 1, "bound": "x", "samples": []}}),
        _without("schema"),
        _without("stages"),
        lambda data: [data],
    ],
)
def test_what_is_no_recording_is_refused(
    damage: Callable[[dict[str, Any]], object], tmp_path: Path
) -> None:
    recorded(tmp_path, range(2))
    path = tmp_path / RECORDING
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    with pytest.raises(InputError, match="record afresh"):
        resumed_recording(tmp_path, SETTINGS, fresh=False)
    path.write_text(path.read_text()[:-20])
    with pytest.raises(InputError, match="cannot be read"):
        recording_from_folder(tmp_path)
    assert recorded(tmp_path, range(2), fresh=True).counts[Stage.PROSODY] == 3


def test_an_empty_folder_holds_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"holds no {RECORDING}"):
        recording_from_folder(tmp_path)


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [Path.unlink, _cut])
def test_a_sample_that_is_gone_or_cut_is_named(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    recorded(tmp_path, range(2))
    file = next((tmp_path / "samples").glob("prosody-*"))
    damage(file)
    with pytest.raises(IntegrityError, match=f"{file.name} is missing or was cut.*record afresh"):
        resumed_recording(tmp_path, SETTINGS, fresh=False)


def _flipped(content: bytes) -> bytes:
    return content[:-300] + bytes([content[-300] ^ 1]) + content[-299:]


def _pickled(content: bytes) -> bytes:
    file = io.BytesIO()
    np.savez(file, facts=np.array([{"a": pickle.dumps(1)}], object))
    return file.getvalue()


@pytest.mark.parametrize(
    ("damage", "signed", "message"),
    [
        (_flipped, False, "damaged"),
        (_pickled, True, "no sample.*allow_pickle"),
        (lambda content: b"PK" + content[2:40], True, "no sample"),
        (lambda content: b"", True, "no sample"),
    ],
)
def test_a_damaged_sample_is_named(
    damage: Callable[[bytes], bytes], signed: bool, message: str, tmp_path: Path
) -> None:
    recording = recorded(tmp_path, range(1))
    file = next((tmp_path / "samples").glob("decoder_step-*"))
    file.write_bytes(damage(file.read_bytes()))
    if signed:
        data = json.loads((tmp_path / RECORDING).read_text())
        (entry,) = data["stages"]["decoder_step"]["samples"]
        entry[1:] = [file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest()]
        (tmp_path / RECORDING).write_text(json.dumps(data))
        recording = recording_from_folder(tmp_path)
    with pytest.raises(IntegrityError, match=rf"{file.name} is {message}"):
        list(recording.samples(Stage.DECODER_STEP))
    assert len(list(recording.samples(Stage.PROSODY))) == 2


def test_skipped_texts_are_remembered(tmp_path: Path) -> None:
    recording = resumed_recording(tmp_path, SETTINGS, fresh=False)
    recording.skip(3, "text 3", "语言")
    again = recording_from_folder(tmp_path)
    assert again.skipped == recording.skipped == {3: "语言"}
    assert again.texts == {3: "text 3"}


def test_a_take_holds_no_more_than_there_is_room_for(tmp_path: Path) -> None:
    recording = recorded(tmp_path, range(3))
    take = recording.take(9)
    for number in range(100):
        take.add(run(number))
    assert take.seen[Stage.PROSODY] == 100
    assert len(take.reservoirs[Stage.PROSODY]) <= 3
    bound = recording.reservoirs[Stage.PROSODY].bound
    assert all(draw < bound for draw, *_ in take.reservoirs[Stage.PROSODY])


def test_the_default_capacities_stay_below_200_megabytes() -> None:
    assert set(CAPACITIES) == set(Stage)
    assert sum(capacity.bytes for capacity in CAPACITIES.values()) <= 200e6
