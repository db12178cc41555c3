"""The store of plans: whole or absent, private or refused, and a miss that says why.

Processes are real here: some add at once, some are stopped in the middle.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sambert_trt.engines import private
from sambert_trt.engines import store as store_file
from sambert_trt.engines.engine import EngineRecord, EngineSpec, Flavour, LayerRecord
from sambert_trt.engines.errors import EngineError, EngineMissingError, OutputError
from sambert_trt.engines.graphs import AxisRange, Precision, Stage
from sambert_trt.engines.store import EngineStore, StoredEngine
from sambert_trt.engines.voice import MANIFEST, replaced_directory
from sambert_trt.engines.work_folder import process_start

pytest.importorskip("filelock", reason="storing plans needs filelock")

posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes are those of POSIX")
linux = pytest.mark.skipif(sys.platform != "linux", reason="processes have start times in /proc")

SPEC = EngineSpec(
    stage=Stage.VOCODER,
    precision=Precision.FP16,
    graph_sha256="ab" * 32,
    recipe="half",
    profile={"frames": AxisRange(8, 80, 240)},
    flags=(),
    workspace=0,
    flavour=Flavour.RTX,
    version="1.7.1.116",
    targets=("sm_86", "sm_89"),
)
PLAN = bytes(range(256)) * 40
HERE: dict[str, Any] = {
    "stage": SPEC.stage,
    "precision": SPEC.precision,
    "graph_sha256": SPEC.graph_sha256,
    "recipe": SPEC.recipe,
    "flavour": SPEC.flavour,
    "version": SPEC.version,
    "target": "sm_86",
}


def record(
    plan: bytes = PLAN, created: str = "2026-11-22T10:00:00+00:00", **changes: object
) -> EngineRecord:
    """The record of a plan with that content."""
    return EngineRecord(
        spec=replace(SPEC, **changes),
        plan_bytes=len(plan),
        plan_sha256=hashlib.sha256(plan).hexdigest(),
        weights_bytes=7,
        scratch_bytes=8,
        activation_bytes=9,
        layers=(LayerRecord("conv", "gemm", ("Half",), ("Half",)),),
        build_seconds=1.0,
        tools={},
        created=created,
    )


@pytest.fixture(autouse=True, scope="module")
def _no_waiting() -> Iterator[None]:
    """No test outlives a loss of power: what is written need not reach the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture
def store(tmp_path: Path) -> EngineStore:
    """An empty store in a voice directory."""
    (tmp_path / "anna").mkdir()
    return EngineStore(tmp_path / "anna" / "engines")


def names(store: EngineStore) -> list[str]:
    """What stands in a store besides its lock."""
    return sorted(p.name for p in store.directory.iterdir() if p.name != ".lock")


def good(store: EngineStore) -> dict[str, bytes]:
    """Every entry with its content; none may be bad."""
    checks = store.verify()
    assert [check.problem for check in checks if check.problem] == []
    return {
        check.directory.name: store.plan_bytes(check.engine) for check in checks if check.engine
    }


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    """The content and the mode of every file."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mode)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# ---- adding and finding


@pytest.mark.parametrize("as_file", [True, False])
def test_a_plan_comes_back_as_it_was_added(
    store: EngineStore, tmp_path: Path, as_file: bool
) -> None:
    (tmp_path / "built").write_bytes(PLAN)
    added = store.add(record(), tmp_path / "built" if as_file else PLAN)
    assert added == StoredEngine(store.directory / f"vocoder-fp16-{SPEC.key[:12]}", record())
    assert added.plan_path.read_bytes() == PLAN
    assert store.entries() == [added]
    assert store.get(SPEC) == added
    assert store.find(**HERE) == added
    assert store.plan_bytes(added) == PLAN
    assert names(store) == [added.directory.name]
    assert (tmp_path / "built").read_bytes() == PLAN


def test_an_absent_store_is_an_empty_one(store: EngineStore) -> None:
    assert store.entries() == []
    assert store.verify() == []
    assert store.prune() == []
    with pytest.raises(EngineMissingError, match="holds it in no precision"):
        store.find(**HERE)
    assert not store.directory.exists()


def test_a_store_that_is_a_file_is_said_to_be_one(store: EngineStore) -> None:
    store.directory.write_text("mine", encoding="utf-8")
    with pytest.raises(EngineError, match="engines cannot be read: Not a directory"):
        store.entries()
    with pytest.raises(OutputError, match="cannot be stored in"):
        store.add(record(), PLAN)
    assert store.directory.read_text(encoding="utf-8") == "mine"


def test_a_plan_that_is_not_the_one_of_its_record_is_not_stored(store: EngineStore) -> None:
    with pytest.raises(EngineError, match="its record says 10240 and"):
        store.add(record(), PLAN[:-1])
    with pytest.raises(EngineError, match="build it again"):
        store.add(record(), PLAN[::-1])
    assert names(store) == []


def test_entries_come_by_stage_precision_and_age(store: EngineStore) -> None:
    order = [
        (Stage.TEXT_ENCODER, Precision.FP32, "2026-01-01T00:00:00+00:00"),
        (Stage.VOCODER, Precision.FP32, "2026-01-01T00:00:00+00:00"),
        (Stage.VOCODER, Precision.FP16, "2026-03-01T00:00:00+00:00"),
        (Stage.VOCODER, Precision.FP16, "2026-02-01T00:00:00+00:00"),
    ]
    for number in (2, 0, 3, 1):
        stage, precision, created = order[number]
        store.add(record(created=created, stage=stage, precision=precision, workspace=number), PLAN)
    found = [
        (e.record.spec.stage, e.record.spec.precision, e.record.created) for e in store.entries()
    ]
    assert found == order


def test_the_newest_plan_that_runs_here_is_found(store: EngineStore) -> None:
    store.add(record(created="2026-01-01T00:00:00+00:00"), PLAN)
    newer = store.add(record(created="2026-02-01T00:00:00+00:00", workspace=1), PLAN)
    store.add(record(created="2026-03-01T00:00:00+00:00", targets=("sm_120",)), PLAN)
    store.add(record(created="2026-04-01T00:00:00+00:00", stage=Stage.POSTNET), PLAN)
    assert store.find(**HERE) == newer


@pytest.mark.parametrize(
    ("name", "value", "obstacle"),
    [
        (
            "graph_sha256",
            "cd" * 32,
            "graph: built from abababababab, the voice now has cdcdcdcdcdcd",
        ),
        ("recipe", "other", "recipe: built as 'half', the voice now has 'other'"),
        ("version", "1.8.0.1", "version: 1.7.1.116 built, 1.8.0.1 is here"),
        ("target", "sm_120", "targets: sm_86, sm_89 built, this card is sm_120"),
        ("flavour", Flavour.TENSORRT, "flavour: rtx built, tensorrt is here"),
        ("precision", Precision.INT8, "holds it in fp16"),
        ("stage", Stage.POSTNET, "holds it in no precision"),
    ],
)
def test_what_does_not_run_here_says_why_and_what_builds_it(
    store: EngineStore, name: str, value: object, obstacle: str
) -> None:
    store.add(record(), PLAN)
    wanted = {**HERE, name: value}
    with pytest.raises(EngineMissingError) as caught:
        store.find(**wanted)
    assert obstacle in str(caught.value)
    assert str(caught.value).endswith(
        f"build it with: sambert-build {store.directory.parent} "
        f"--precision {wanted['precision'].value} --flavour {wanted['flavour'].value} "
        f"--target {wanted['target']}"
    )
    assert isinstance(caught.value, FileNotFoundError)


def test_the_closest_of_several_is_the_one_that_is_explained(store: EngineStore) -> None:
    store.add(record(version="1.6.0.1", targets=("sm_120",)), PLAN)
    close = store.add(record(version="1.6.0.1"), PLAN)
    with pytest.raises(EngineMissingError) as caught:
        store.find(**HERE)
    assert f"{close.directory.name} does not fit: version: 1.6.0.1 built" in str(caught.value)
    assert "targets" not in str(caught.value).partition("build it with")[0]


def test_a_key_that_is_not_there_names_each_field_that_differs(store: EngineStore) -> None:
    store.add(record(), PLAN)
    wanted = replace(SPEC, workspace=5, targets=("sm_120",))
    with pytest.raises(EngineMissingError) as caught:
        store.get(wanted)
    message = str(caught.value)
    assert "workspace: 0 -> 5; targets: ['sm_86', 'sm_89'] -> ['sm_120']" in message
    assert "version" not in message
    assert message.endswith("--precision fp16 --flavour rtx --target sm_120")
    with pytest.raises(EngineMissingError, match="holds no plan of this stage"):
        store.get(replace(SPEC, stage=Stage.POSTNET))


def test_plans_for_the_lean_runtime_are_built_by_the_full_one(store: EngineStore) -> None:
    with pytest.raises(EngineMissingError, match=r"--flavour tensorrt --lean --target sm_86$"):
        store.find(**{**HERE, "flavour": Flavour.LEAN})


def test_a_voice_with_a_blank_in_its_name_is_quoted_in_the_command(tmp_path: Path) -> None:
    with pytest.raises(EngineMissingError, match=r"sambert-build '.*my voice'"):
        EngineStore(tmp_path / "my voice" / "engines").get(SPEC)


def test_a_plan_of_the_same_key_gives_way(store: EngineStore) -> None:
    store.add(record(), PLAN)
    store.add(record(b"newer"), b"newer")
    assert good(store) == {f"vocoder-fp16-{SPEC.key[:12]}": b"newer"}
    assert len(names(store)) == 1


def test_what_was_replaced_since_it_was_read_is_read_as_it_is_now(store: EngineStore) -> None:
    before = store.add(record(), PLAN)
    store.add(record(b"newer"), b"newer")
    assert store.plan_bytes(before) == b"newer"


def test_a_plan_that_was_removed_since_is_missing(store: EngineStore) -> None:
    entry = store.add(record(), PLAN)
    store.prune(graphs=())
    with pytest.raises(EngineMissingError, match="is gone; build it with: sambert-build"):
        store.plan_bytes(entry)


def test_an_exported_voice_keeps_plans_that_its_new_graphs_no_longer_find(tmp_path: Path) -> None:
    voice = tmp_path / "anna"
    voice.mkdir()
    (voice / MANIFEST).write_text('{"schema": 1}', encoding="utf-8")
    store = EngineStore(voice / "engines")
    store.add(record(), PLAN)
    with replaced_directory(voice) as fresh:
        (fresh / MANIFEST).write_text('{"schema": 1, "new": true}', encoding="utf-8")
    assert good(store) != {}
    with pytest.raises(EngineMissingError, match="graph: built from abababababab, the voice now"):
        store.find(**{**HERE, "graph_sha256": "99" * 32})


# ---- what is damaged


def damaged(entry: StoredEngine, how: str) -> None:
    text = json.loads((entry.directory / "record.json").read_text(encoding="utf-8"))
    if how == "cut":
        entry.plan_path.write_bytes(PLAN[:-1])
    elif how == "longer":
        entry.plan_path.write_bytes(PLAN + b"x")
    elif how == "one bit":
        entry.plan_path.write_bytes(bytes([PLAN[0] ^ 1]) + PLAN[1:])
    elif how == "no plan":
        entry.plan_path.unlink()
    elif how == "no record":
        (entry.directory / "record.json").unlink()
    elif how == "no text":
        (entry.directory / "record.json").write_bytes(b"\xff")
    elif how == "huge":
        text["plan_bytes"] = 1 << 62
        (entry.directory / "record.json").write_text(json.dumps(text), encoding="utf-8")
    else:
        text["spec"]["workspace"] = 1
        text["key"] = replace(SPEC, workspace=1).key
        (entry.directory / "record.json").write_text(json.dumps(text), encoding="utf-8")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("cut", "plan has 10239 bytes, its record says 10240"),
        ("longer", "plan has 10241 bytes, its record says 10240"),
        ("one bit", "plan has sha256 .* its record names"),
        ("huge", "its record says 4611686018427387904"),
        ("no plan", "plan is missing"),
        ("no record", "record.json is missing"),
        ("no text", "record.json is not text"),
        ("swapped", "holds a plan of another specification"),
    ],
)
def test_a_damaged_entry_is_quarantined_before_anybody_runs_it(
    store: EngineStore, how: str, message: str
) -> None:
    entry = store.add(record(), PLAN)
    damaged(entry, how)
    (check,) = store.verify()
    assert check.problem != ""
    with pytest.raises(EngineError, match=message) as caught:
        store.plan_bytes(entry)
    assert "build it again with: sambert-build" in str(caught.value)
    assert names(store) == ["quarantine"]
    (place,) = (store.directory / "quarantine").iterdir()
    assert str(place) in str(caught.value)
    assert place.name.startswith(entry.directory.name)
    assert (place / "why.txt").read_text(encoding="utf-8").split(" ", 1)[1].strip() in str(
        caught.value
    )
    with pytest.raises(EngineMissingError):
        store.get(SPEC)
    store.add(record(), PLAN)
    assert store.plan_bytes(store.get(SPEC)) == PLAN


@pytest.mark.parametrize("how", ["no plan", "no record", "no text", "swapped"])
def test_an_entry_that_cannot_be_read_is_logged_and_not_listed(
    store: EngineStore, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    bad = store.add(record(), PLAN)
    fine = store.add(record(stage=Stage.POSTNET), PLAN)
    damaged(bad, how)
    with caplog.at_level(logging.WARNING):
        assert store.entries() == [fine]
    assert bad.directory.name in caplog.text


def test_other_things_in_the_folder_are_nobodys_business(
    store: EngineStore, caplog: pytest.LogCaptureFixture
) -> None:
    entry = store.add(record(), PLAN)
    (store.directory / "vocoder-notes.txt").write_text("mine", encoding="utf-8")
    (store.directory / "backup").mkdir()
    assert store.entries() == [entry]
    assert len(store.verify()) == 1
    store.prune(graphs=())
    assert caplog.text == ""
    assert names(store) == ["backup", "vocoder-notes.txt"]


@given(st.binary(max_size=60) | st.just(b"[" * 100_000), st.sampled_from(["plan", "record.json"]))
@settings(max_examples=40, deadline=None)
def test_any_content_is_the_plan_or_an_engine_error(content: bytes, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = EngineStore(Path(folder) / "engines")
        entry = store.add(record(b"plan"), b"plan")
        (entry.directory / name).write_bytes(content)
        try:
            assert store.plan_bytes(entry) == b"plan"
        except EngineError:
            assert store.entries() == []


# ---- who may write it


@posix
def test_folders_and_files_are_made_for_their_owner_alone(store: EngineStore) -> None:
    before = os.umask(0)
    try:
        entry = store.add(record(), PLAN)
        damaged(entry, "cut")
        with pytest.raises(EngineError):
            store.plan_bytes(entry)
    finally:
        os.umask(before)
    for path in (store.directory, *store.directory.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path


@posix
@pytest.mark.parametrize("mode", [0o020, 0o002, 0o022])
@pytest.mark.parametrize("name", ["", "{entry}", "{entry}/plan", "{entry}/record.json"])
def test_what_others_may_write_is_refused_and_stays(
    store: EngineStore, name: str, mode: int
) -> None:
    entry = store.add(record(), PLAN)
    path = store.directory / name.format(entry=entry.directory.name)
    path.chmod(path.stat().st_mode | mode)
    with pytest.raises(
        EngineError, match=r"may be written by others \(mode 0[67].*chmod"
    ) as caught:
        store.plan_bytes(entry)
    assert str(caught.value).endswith(f"chmod -R go-w {path}")
    assert [check.problem for check in store.verify()] == [str(caught.value)]
    assert entry.plan_path.is_file()
    subprocess.run(("chmod", "-R", "go-w", path), check=True)
    assert store.plan_bytes(entry) == PLAN


@posix
def test_a_folder_that_others_may_write_takes_no_plan(store: EngineStore) -> None:
    store.directory.mkdir()
    store.directory.chmod(0o777)
    with pytest.raises(EngineError, match="chmod -R go-w"):
        store.add(record(), PLAN)
    with pytest.raises(EngineError, match="chmod -R go-w"):
        store.prune()
    assert list(store.directory.iterdir()) == []


def owned_by(owner: int, path: Path) -> Callable[[int], os.stat_result]:
    """An fstat that says another user owns a path."""
    real, number = os.fstat, path.stat().st_ino

    def fstat(descriptor: int) -> os.stat_result:
        facts = real(descriptor)
        if facts.st_ino != number:
            return facts
        return os.stat_result([*facts[:4], owner, *facts[5:10]])

    return fstat


@posix
@pytest.mark.parametrize("name", ["", "{entry}", "{entry}/plan", "{entry}/record.json"])
def test_what_another_user_owns_is_refused_and_stays(
    store: EngineStore, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    entry = store.add(record(), PLAN)
    path = store.directory / name.format(entry=entry.directory.name)
    own = os.geteuid()
    monkeypatch.setattr(private.os, "fstat", owned_by(own + 4321, path))
    with pytest.raises(EngineError, match=f"belongs to user {own + 4321}, this process") as caught:
        store.plan_bytes(entry)
    assert str(caught.value).endswith(f"chown -R {own} {path}")
    monkeypatch.setattr(private.os, "fstat", owned_by(0, path))
    assert store.plan_bytes(entry) == PLAN


@posix
def test_what_others_do_not_own_is_not_run_by_root(
    store: EngineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root would lend its rights to whoever wrote the plan."""
    entry = store.add(record(), PLAN)
    monkeypatch.setattr(private.os, "geteuid", lambda: 0)
    monkeypatch.setattr(private.os, "fstat", owned_by(1000, entry.plan_path))
    owners = f"({os.getuid()}|1000)"  # of the folder, where root does not run the tests itself
    with pytest.raises(EngineError, match=f"belongs to user {owners}, this process runs as 0"):
        store.plan_bytes(entry)


@posix
@pytest.mark.parametrize("name", ["plan", "record.json", ""])
def test_links_are_refused_and_stay(store: EngineStore, tmp_path: Path, name: str) -> None:
    entry = store.add(record(), PLAN)
    path = entry.directory / name
    path.rename(tmp_path / "outside")
    path.symlink_to(tmp_path / "outside")
    with pytest.raises(EngineError, match="is a link or no folder"):
        store.plan_bytes(entry)
    assert path.is_symlink()
    store.prune(graphs=())
    assert names(store) == []
    assert (tmp_path / "outside").exists()


@posix
def test_the_whole_store_may_stand_elsewhere(store: EngineStore, tmp_path: Path) -> None:
    store.add(record(), PLAN)
    store.directory.rename(tmp_path / "disk")
    store.directory.symlink_to(tmp_path / "disk")
    store.add(record(stage=Stage.POSTNET), PLAN)
    assert len(good(store)) == 2
    (tmp_path / "disk").chmod(0o777)
    with pytest.raises(EngineError, match="may be written by others"):
        store.plan_bytes(store.get(SPEC))


@posix
@pytest.mark.parametrize("name", ["plan", "record.json"])
def test_a_pipe_or_a_folder_in_the_place_of_a_file_does_not_block(
    store: EngineStore, name: str
) -> None:
    entry = store.add(record(), PLAN)
    (entry.directory / name).unlink()
    os.mkfifo(entry.directory / name, 0o600)
    with pytest.raises(EngineError, match="is not a file; remove it"):
        store.plan_bytes(entry)
    (entry.directory / name).unlink()
    (entry.directory / name).mkdir(mode=0o700)
    with pytest.raises(EngineError, match="is not a file; remove it"):
        store.plan_bytes(entry)


def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every change of a file system fails as on one that is mounted read-only."""

    def failing(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    real = os.open

    def opened(path: str, flags: int, *rest: int, **named: int | None) -> int:
        if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
            failing()
        return real(path, flags, *rest, **named)

    monkeypatch.setattr(os, "open", opened)
    for name in ("mkdir", "rename", "unlink", "rmdir", "chmod"):
        monkeypatch.setattr(Path, name, failing)


def test_a_store_that_cannot_be_written_can_be_read(
    store: EngineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = store.add(record(), PLAN)
    before = files(store.directory)
    with monkeypatch.context() as patch:
        read_only(patch)
        assert store.plan_bytes(store.find(**HERE)) == PLAN
        assert [check.problem for check in store.verify()] == [""]
        with pytest.raises(OutputError, match="Read-only file system; make room or choose"):
            store.add(record(b"x"), b"x")
        with pytest.raises(OutputError, match="cannot be pruned: Read-only file system"):
            store.prune()
    assert files(store.directory) == before
    damaged(entry, "cut")
    read_only(monkeypatch)
    with pytest.raises(EngineError, match=r"it stays there \(Read-only file system\); build it"):
        store.plan_bytes(entry)


def test_writing_without_filelock_says_what_to_install(
    store: EngineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(record(), PLAN)
    monkeypatch.setitem(sys.modules, "filelock", None)
    with pytest.raises(EngineError, match=r"pip install 'sambert-trt\[rtx\]'"):
        store.add(record(b"x"), b"x")
    assert list(good(store).values()) == [PLAN]


def test_reading_imports_only_the_standard_library() -> None:
    program = "import sys, sambert_trt.engines.store\nprint(*sys.modules, sep='\\n')"
    finished = subprocess.run(
        (sys.executable, "-c", program), capture_output=True, text=True, check=True
    )
    found = {name.partition(".")[0] for name in finished.stdout.split()}
    assert "sambert_trt" in found
    assert not found & {"filelock", "numpy", "tensorrt_rtx_bindings", "onnxruntime"}


# ---- a full disk

GROWING = ("open", "write", "fsync", "mkdir")


@contextmanager
def failing_from(first: int, only: bool, number: int) -> Iterator[None]:
    """Lets one call fail or, where not `only` one, every call from there on that needs room."""
    calls = 0

    def wrapped(real: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*given: object, **named: object) -> object:
            nonlocal calls
            if not only and (name not in GROWING or (name == "open" and not given[1] & os.O_CREAT)):
                return real(*given, **named)
            calls += 1
            if calls - 1 == first or (not only and calls > first):
                raise OSError(number, os.strerror(number))
            return real(*given, **named)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("open", "write", "fsync"):
            patch.setattr(os, name, wrapped(getattr(os, name), name))
        for name in ("mkdir", "rename"):
            patch.setattr(Path, name, wrapped(getattr(Path, name), name))
        yield


@given(
    first=st.integers(0, 30),
    only=st.booleans(),
    existing=st.booleans(),
    number=st.sampled_from([errno.ENOSPC, errno.EDQUOT, errno.EIO]),
)
@settings(max_examples=150, deadline=None)
def test_a_call_that_fails_leaves_what_stood_there(
    first: int, only: bool, existing: bool, number: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = EngineStore(Path(folder) / "engines")
        if existing:
            store.add(record(), PLAN)
        expected = PLAN if existing else None
        with failing_from(first, only, number):
            try:
                store.add(record(b"newer"), b"newer")
                expected = b"newer"
            except (OutputError, EngineError) as error:
                assert os.strerror(number) in str(error)  # noqa: PT017
        assert good(store).get(f"vocoder-fp16-{SPEC.key[:12]}") == expected
        if not only and store.directory.exists():
            assert not [name for name in names(store) if name.startswith(".")]
        store.add(record(stage=Stage.POSTNET), PLAN)
        assert not [name for name in names(store) if name.startswith(".")]
        assert good(store).get(f"vocoder-fp16-{SPEC.key[:12]}") == expected


ADDING = """
import sys
from pathlib import Path
from sambert_trt.engines.engine import engine_record_from_json
from sambert_trt.engines.store import EngineStore
store, source = EngineStore(Path(sys.argv[1])), Path(sys.argv[2])
record = engine_record_from_json((source / "record.json").read_text(encoding="utf-8"))
plan = (source / "plan").read_bytes()
"""
LIMITED = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    store.add(record, plan)
except OSError as error:
    print(type(error).__name__, error)
"""
STOPPED = """
import os
calls, stop = 0, int(sys.argv[3])
def stopping(real):
    def call(*given, **named):
        global calls
        calls += 1
        if calls > stop:
            os._exit(9)
        return real(*given, **named)
    return call
for name in ("open", "write", "fsync"):
    setattr(os, name, stopping(getattr(os, name)))
for name in ("mkdir", "rename"):
    setattr(Path, name, stopping(getattr(Path, name)))
store.add(record, plan)
os._exit(0)
"""
REPEATED = """
import time
while not (source / "go").exists():
    time.sleep(0.001)
for _ in range(25):
    store.add(record, plan)
"""


def source(folder: Path, plan: bytes, **changes: object) -> Path:
    """A folder with a plan and its record, for another process to add."""
    folder.mkdir()
    (folder / "plan").write_bytes(plan)
    (folder / "record.json").write_text(record(plan, **changes).as_json(), encoding="utf-8")
    return folder


def adding(program: str, store: EngineStore, *arguments: object) -> subprocess.Popen[str]:
    """Another Python that adds to a store."""
    return subprocess.Popen(
        (sys.executable, "-c", ADDING + program, store.directory, *map(str, arguments)),
        stdout=subprocess.PIPE,
        text=True,
    )


@posix
@pytest.mark.parametrize("room", [0, 100, 10_239])
def test_a_disk_that_is_really_full(store: EngineStore, tmp_path: Path, room: int) -> None:
    """The system itself refuses to write more than so many bytes of a file."""
    store.add(record(b"old"), b"old")
    process = adding(LIMITED, store, source(tmp_path / "new", PLAN), room)
    printed, _ = process.communicate()
    assert printed.startswith("OutputError the plan of vocoder cannot be stored in")
    assert names(store) == [f"vocoder-fp16-{SPEC.key[:12]}"]
    assert list(good(store).values()) == [b"old"]


# ---- several processes


def test_a_process_that_is_stopped_at_any_call(store: EngineStore, tmp_path: Path) -> None:
    new, name = source(tmp_path / "new", PLAN), f"vocoder-fp16-{SPEC.key[:12]}"
    seen = set()
    for stop in range(60):
        store.add(record(b"old"), b"old")
        process = adding(STOPPED, store, new, stop)
        process.communicate()
        left = good(store).get(name)
        store.add(record(stage=Stage.POSTNET), PLAN)
        assert not [n for n in names(store) if n.startswith(".")]
        seen.add((left, good(store).get(name)))
        if process.returncode == 0:
            break
    assert process.returncode == 0
    assert seen == {(b"old", b"old"), (None, b"old"), (PLAN, PLAN)}


def test_two_that_add_at_once_and_one_that_reads(store: EngineStore, tmp_path: Path) -> None:
    plans = {number: bytes([number]) * 50_000 for number in (1, 2)}
    processes = [
        adding(REPEATED, store, source(tmp_path / str(number), plan))
        for number, plan in plans.items()
    ]
    for number in plans:
        (tmp_path / str(number) / "go").touch()
    read = 0
    while any(process.poll() is None for process in processes):
        with suppress(EngineMissingError):  # the old one is set aside, the new one not there yet
            assert store.plan_bytes(store.get(SPEC)) in plans.values()
            read += 1
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0, 0]
    assert read > 0
    assert names(store) == [f"vocoder-fp16-{SPEC.key[:12]}"]
    assert next(iter(good(store).values())) in plans.values()


def work_folder(store: EngineStore, host: str, process: int, started: int) -> Path:
    code = hashlib.sha256(host.encode()).hexdigest()[:8]
    folder = store.directory / f".work-{code}-{process}-{started}-ab"
    (folder / "new").mkdir(parents=True)
    (folder / "new/plan").write_bytes(b"half")
    return folder


@linux
def test_what_the_living_have_under_way_is_left_alone(store: EngineStore) -> None:
    store.add(record(), PLAN)
    here, parent = socket.gethostname(), os.getppid()
    started = process_start(parent)
    assert started > 0
    living = work_folder(store, here, parent, started)
    reused = work_folder(store, here, parent, started + 1)
    dead = work_folder(store, here, (1 << 30) + 1, 5)
    absurd = work_folder(store, here, 1 << 70, 5)
    elsewhere = work_folder(store, here + "x", 1, 1)
    forgotten = work_folder(store, here + "y", 1, 1)
    long_ago = time.time() - 90_000
    os.utime(forgotten, (long_ago, long_ago))
    removed = store.prune()
    assert {item.path for item in removed} == {reused, dead, absurd, forgotten}
    assert {item.bytes for item in removed} == {4}
    assert living.is_dir()
    assert elsewhere.is_dir()
    assert list(good(store).values()) == [PLAN]


def test_a_lock_that_another_holds_is_waited_for_and_named(
    store: EngineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from filelock import FileLock

    store.add(record(b"old"), b"old")
    monkeypatch.setattr(store_file, "_LOCK_SECONDS", 0.05)
    with (
        FileLock(store.directory / ".lock"),
        pytest.raises(OutputError, match=r"another process has held .*\.lock for 0 s"),
    ):
        store.add(record(), PLAN)
    store.add(record(), PLAN)
    assert list(good(store).values()) == [PLAN]


# ---- pruning


def test_quarantine_unreadable_and_stale_plans_go(store: EngineStore) -> None:
    stays = store.add(record(), PLAN)
    bad = store.add(record(stage=Stage.POSTNET), PLAN)
    stale = store.add(record(graph_sha256="cd" * 32), PLAN)
    old = store.add(record(version="1.6.0.1"), PLAN)
    broken = store.add(record(stage=Stage.PROSODY), PLAN)
    damaged(bad, "cut")
    with pytest.raises(EngineError):
        store.plan_bytes(bad)
    damaged(broken, "no plan")
    removed = store.prune(
        graphs=[SPEC.graph_sha256],
        obsolete=lambda r: "" if r.spec.version == SPEC.version else f"TensorRT {r.spec.version}",
    )
    assert {item.path: item.reason.partition(";")[0] for item in removed} == {
        store.directory / "quarantine": "quarantine",
        broken.directory: f"{broken.plan_path} cannot be read: No such file or directory",
        stale.directory: "the voice has no graph cdcdcdcdcdcd any more",
        old.directory: "TensorRT 1.6.0.1",
    }
    assert all(item.bytes > 0 for item in removed)
    assert names(store) == [stays.directory.name]
    assert store.prune(graphs=[SPEC.graph_sha256]) == []


@given(
    sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=5),
    cap=st.integers(0, 20_000),
)
@settings(max_examples=40, deadline=None)
def test_the_oldest_go_until_the_rest_fits(sizes: list[int], cap: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = EngineStore(Path(folder) / "engines")
        added = [
            store.add(record(bytes(size), f"2026-01-0{age + 1}", workspace=age), bytes(size))
            for age, size in enumerate(sizes)
        ]
        weights = [sum(p.stat().st_size for p in e.directory.iterdir()) for e in added]
        removed = store.prune(most_bytes=cap)
        gone = [next(i for i, e in enumerate(added) if e.directory == r.path) for r in removed]
        left = [i for i in range(len(added)) if i not in gone]
        assert gone == sorted(gone)
        assert [item.bytes for item in removed] == [weights[i] for i in gone]
        assert sum(weights[i] for i in left) <= cap
        if gone:
            assert sum(weights[i] for i in (*left, gone[-1])) > cap
        assert len(good(store)) == len(left)
