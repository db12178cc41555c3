"""Records come back from files as they were, and what is none is named."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from regression.record import (
    SCHEMA,
    Identity,
    Record,
    Samples,
    Side,
    SuiteOutcome,
    SuiteStatus,
)
from regression.store import (
    append_record,
    history_from_file,
    json_from_record,
    record_from_file,
    record_from_json,
    write_record,
)

from sambert_trt.engines.errors import InputError, OutputError

pytest.importorskip("filelock", reason="appending to a history needs filelock")

VALUES = {"stage.vocoder.seconds": Samples(((0.1, 0.2), (0.3,)))}


def record(voice: str = "demo", machine: str = "a") -> Record:
    """Every field holds something."""
    identity = Identity(voice, "ab", "fp32", "cpu", 1)
    methods = {"stage.{stage}.seconds": 2}
    base = Side("main", "abc", False, identity, VALUES, ("numpy differs",), methods)
    candidate = replace(base, label="工作树 ", changed=True, notes=())
    return Record(
        started="2026-01-01T00:00:00+00:00",
        command=("perf.py", "compare"),
        machine={"id": machine, "load": [0.1, 0.2]},
        machine_after={"id": machine, "governor": None},
        candidate=candidate,
        base=base,
        outcomes=(SuiteOutcome("stages", SuiteStatus.CRASHED, 1.5, "killed"),),
        second_look=({}, VALUES),
        settings={"full": False},
    )


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """The JSON of a record after a change in place."""
    data: dict[str, Any] = json.loads(json.dumps(json_from_record(record())))
    change(data)
    return data


@pytest.mark.parametrize(
    "found",
    [record(), replace(record(), base=None, second_look=None, outcomes=())],
    ids=["whole", "one side"],
)
def test_a_record_comes_back(found: Record, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_record(path, found)
    assert record_from_file(path) == found
    assert record_from_json(json_from_record(found)) == found


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda d: d.pop("schema"), "names no schema"),
        (lambda d: d.update(schema=0), "schema 0, this version reads 1; measure again"),
        (lambda d: d.update(schema=9), "schema 9, this version reads 1; read it with the version"),
        (lambda d: d.update(schema=True), "schema True"),
        (lambda d: d.update(extra=1), "extra missing or unknown"),
        (lambda d: d.pop("machine"), "machine missing or unknown"),
        (lambda d: d["candidate"].pop("notes"), "candidate: notes missing or unknown"),
        (
            lambda d: d["candidate"].update(methods={"x": "2"}),
            "methods.x is '2', not a whole number",
        ),
        (lambda d: d.update(started=5), "started is '5', not a text"),
        (lambda d: d["candidate"].update(changed=1), "changed is '1', not true or false"),
        (lambda d: d["candidate"]["identity"].update(threads=1.5), "threads is '1.5'"),
        (lambda d: d["candidate"]["identity"].update(threads=True), "threads is 'True'"),
        (lambda d: d["outcomes"][0].update(status="done"), "'done' is not a valid"),
        (lambda d: d["second_look"].pop(), "holds 1 sides, not 2"),
        (
            lambda d: d["base"]["values"].update(x={"sessions": [[1, "2"]]}),
            "values.x: sessions[0][1] is '2', not a number",
        ),
        (
            lambda d: d["base"]["values"].update(x={"sessions": [[math.inf]]}),
            "no finite number",
        ),
        (lambda d: d["base"]["values"].update(x={"sessions": [[10**400]]}), "no finite number"),
    ],
)
def test_what_is_no_record_is_named(change: Callable[[dict[str, Any]], object], named: str) -> None:
    assert SCHEMA == 1
    with pytest.raises(InputError) as refused:
        record_from_json(changed(change))
    assert named in str(refused.value)


def test_a_record_of_before_methods_were_kept_is_of_the_first() -> None:
    data = changed(lambda d: [d[side].pop("methods") for side in ("base", "candidate")])
    found = record_from_json(data)
    assert found.candidate.values == VALUES
    assert found.candidate.method("stage.{stage}.seconds") == 1
    assert record().candidate.method("stage.{stage}.seconds") == 2


@pytest.mark.parametrize("text", ["", "[]", "nothing", '{"schema": NaN}', "[" * 100_000])
def test_a_file_without_a_record_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"record\.json is no"):
        record_from_file(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        record_from_file(tmp_path / "none.json")


@pytest.mark.parametrize("write", [write_record, append_record])
def test_what_is_not_finite_is_not_written(
    write: Callable[[Path, Record], None], tmp_path: Path
) -> None:
    found = record()
    path = tmp_path / "file"
    side = replace(found.candidate, values={"x": Samples(((math.nan,),))})
    with pytest.raises(InputError, match=r"x of .* is nan, no finite number"):
        write(path, replace(found, candidate=side))
    with pytest.raises(InputError, match="cannot be kept"):
        write(path, replace(found, machine={"pace": math.inf}))
    assert not path.exists()


def test_a_history_grows_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    for machine in "abc":
        append_record(path, record(machine=machine))
    history = history_from_file(path)
    assert [found.machine["id"] for found in history.records] == ["a", "b", "c"]
    assert history.notes == ()


def test_a_line_that_was_cut_off_is_named_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    append_record(path, record(machine="a"))
    cut = path.read_bytes()[:150]
    with path.open("ab") as file:
        file.write(cut)
    history = history_from_file(path)
    assert len(history.records) == 1
    assert "line 2 is no JSON" in history.notes[0]
    assert "cut off" in history.notes[0]
    append_record(path, record(machine="b"))
    history = history_from_file(path)
    assert [found.machine["id"] for found in history.records] == ["a", "b"]
    assert "line 2" in history.notes[0]
    assert cut in path.read_bytes()


def test_lines_of_another_schema_are_named_and_not_used(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text('{"schema": 0, "values": {}}\n', encoding="utf-8")
    append_record(path, record())
    history = history_from_file(path)
    assert len(history.records) == 1
    assert "line 1 is of schema 0" in history.notes[0]


def test_a_full_disk_leaves_the_history_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "history.jsonl"
    append_record(path, record())
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("regression.store.os.fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        append_record(path, record())
    assert path.read_bytes() == before


@pytest.mark.parametrize("room", [0, 100])
def test_a_disk_with_room_for_half_a_line_gets_none_of_it(tmp_path: Path, room: int) -> None:
    resource = pytest.importorskip("resource", reason="the size of files cannot be limited here")
    path = tmp_path / "history.jsonl"
    append_record(path, record())
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + room, limits[1]))
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            append_record(path, record())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    append_record(path, record(machine="b"))
    assert [found.machine["id"] for found in history_from_file(path).records] == ["a", "b"]


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    writers = [
        threading.Thread(target=append_record, args=(path, record(machine=str(number))))
        for number in range(8)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    history = history_from_file(path)
    assert sorted(found.machine["id"] for found in history.records) == list("01234567")
    assert history.notes == ()
