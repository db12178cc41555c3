"""Compiled kernels outlast the process, are private, and are never the reason for a failure."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sambert_trt.runtime.kernel_cache import KernelCache, default_cache_folder

SHA, OTHER = "a" * 64, "b" * 64
MACHINE = "Fake RTX 3070 13000 rtx 1.7.1.116"
posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes are those of POSIX")
unprivileged = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where kernels are kept; nobody has made it yet."""
    return tmp_path / "cache" / "sambert-trt"


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_kernels_outlast_the_process(folder: Path) -> None:
    first = KernelCache(folder, MACHINE)
    assert first.load(SHA) is None
    first.save(SHA, b"compiled")
    assert first.load(SHA) == b"compiled"
    again = KernelCache(folder, MACHINE)
    assert again.load(SHA) == b"compiled"
    assert again.load(OTHER) is None


def test_another_process_reads_them(folder: Path) -> None:
    KernelCache(folder, MACHINE).save(SHA, b"compiled")
    program = (
        "import sys; from pathlib import Path; from sambert_trt.runtime.kernel_cache import *; "
        "sys.stdout.buffer.write(KernelCache(Path(sys.argv[1]), sys.argv[2]).load(sys.argv[3]))"
    )
    finished = subprocess.run(
        (sys.executable, "-c", program, str(folder), MACHINE, SHA), capture_output=True, check=False
    )
    assert finished.stdout == b"compiled", finished.stderr


@pytest.mark.parametrize(
    "machine",
    [MACHINE.replace("3070", "4060"), MACHINE.replace("13000", "13010"), MACHINE + "0"],
)
def test_another_card_driver_or_version_has_its_own(folder: Path, machine: str) -> None:
    KernelCache(folder, MACHINE).save(SHA, b"compiled")
    assert KernelCache(folder, machine).load(SHA) is None


def test_without_a_folder_they_last_as_long_as_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cache = KernelCache(None, MACHINE)
    cache.save(SHA, b"compiled")
    assert cache.load(SHA) == b"compiled"
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("nothing", [None, b""])
def test_nothing_compiled_is_nothing_kept(folder: Path, nothing: bytes | None) -> None:
    cache = KernelCache(folder, MACHINE)
    cache.save(SHA, nothing)
    assert cache.load(SHA) is None
    assert not folder.exists()


def test_they_are_written_when_they_grow_and_not_at_every_closing(folder: Path) -> None:
    """TensorRT may serialise the same kernels differently; engines close many times a minute."""
    cache = KernelCache(folder, MACHINE)
    cache.save(SHA, b"one..")
    (path,) = folder.iterdir()
    for same in (b"one..", b"two..", b"two"):
        cache.save(SHA, same)
    assert path.read_bytes() == b"one.."
    cache.save(SHA, b"one and two")
    assert path.read_bytes() == b"one and two"


def test_what_was_rejected_is_replaced(folder: Path) -> None:
    """A damaged file goes to TensorRT, which refuses it; what it compiles instead is written."""
    KernelCache(folder, MACHINE).save(SHA, b"compiled")
    (path,) = folder.iterdir()
    path.write_bytes(b"damaged and longer")
    cache = KernelCache(folder, MACHINE)
    assert cache.load(SHA) == b"damaged and longer"
    cache.save(SHA, b"compiled")
    assert KernelCache(folder, MACHINE).load(SHA) == b"compiled"


@posix
def test_the_folder_is_private(folder: Path) -> None:
    mask = os.umask(0)
    try:
        KernelCache(folder, MACHINE).save(SHA, b"compiled")
    finally:
        os.umask(mask)
    (path,) = folder.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@posix
@pytest.mark.parametrize("what", ["folder", "file"])
@pytest.mark.parametrize("mode", [0o020, 0o002])
def test_what_others_may_write_is_not_used(
    folder: Path, caplog: pytest.LogCaptureFixture, what: str, mode: int
) -> None:
    KernelCache(folder, MACHINE).save(SHA, b"compiled")
    (path,) = folder.iterdir()
    target = folder if what == "folder" else path
    target.chmod(target.stat().st_mode | mode)
    assert KernelCache(folder, MACHINE).load(SHA) is None
    (said,) = warnings_of(caplog)
    assert "may be written by others" in said
    assert "chmod -R go-w" in said


@posix
def test_nothing_is_written_where_others_may_write(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    cache = KernelCache(folder, MACHINE)
    cache.save(SHA, b"compiled")
    assert not [*folder.iterdir()]
    assert "may be written by others" in warnings_of(caplog)[0]
    assert cache.load(SHA) == b"compiled"


@posix
def test_what_belongs_to_others_is_not_used(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    KernelCache(folder, MACHINE).save(SHA, b"compiled")
    stranger = os.geteuid() + 1000
    monkeypatch.setattr(os, "geteuid", lambda: stranger)
    if folder.stat().st_uid == 0:  # what is root's may be used by everybody
        os.chown(folder, 4321, -1)
    assert KernelCache(folder, MACHINE).load(SHA) is None
    KernelCache(folder, MACHINE).save(OTHER, b"compiled")
    assert len(list(folder.iterdir())) == 1
    assert [" belongs to user " in said for said in warnings_of(caplog)] == [True, True]


@posix
def test_a_link_is_not_followed(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    KernelCache(folder, MACHINE).save(SHA, b"compiled")
    (path,) = folder.iterdir()
    path.replace(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert KernelCache(folder, MACHINE).load(SHA) is None
    assert "is a link" in warnings_of(caplog)[0]


def test_a_file_where_the_folder_should_be(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder.parent.mkdir()
    folder.write_bytes(b"")
    cache = KernelCache(folder, MACHINE)
    assert cache.load(SHA) is None
    cache.save(SHA, b"compiled")
    assert len(warnings_of(caplog)) == 2
    assert folder.read_bytes() == b""
    assert cache.load(SHA) == b"compiled"


@posix
@unprivileged
def test_a_folder_that_cannot_be_written(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder.parent.mkdir()
    folder.parent.chmod(0o500)
    KernelCache(folder, MACHINE).save(SHA, b"compiled")
    assert f"compiled kernels are not kept in {folder}" in warnings_of(caplog)[0]
    folder.parent.chmod(0o700)


def test_a_full_disk_leaves_what_was_there(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    KernelCache(folder, MACHINE).save(SHA, b"compiled")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    KernelCache(folder, MACHINE).save(SHA, b"compiled and more")
    assert "No space left on device" in warnings_of(caplog)[0]
    (path,) = folder.iterdir()
    assert path.read_bytes() == b"compiled"


def test_two_writers_at_once(folder: Path) -> None:
    """Whoever comes last, a reader finds the whole of one of them."""
    contents = [bytes([number]) * 100_000 for number in range(8)]

    def write(content: bytes) -> None:
        KernelCache(folder, MACHINE).save(SHA, content)

    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            [*pool.map(write, contents)]
            assert KernelCache(folder, MACHINE).load(SHA) in contents
    assert len(list(folder.iterdir())) == 1


def test_the_oldest_go_when_the_folder_is_full(folder: Path) -> None:
    cache = KernelCache(folder, MACHINE, most=30)
    for number, sha in enumerate("abcd"):
        cache.save(sha * 64, bytes(10))
        for path in folder.iterdir():
            if path.stat().st_mtime > 1e9:
                os.utime(path, (number, number))
    fresh = KernelCache(folder, MACHINE, most=30)
    assert [fresh.load(sha * 64) is not None for sha in "abcd"] == [False, True, True, True]


def test_what_is_larger_than_the_folder_may_be_stays_in_memory(folder: Path) -> None:
    cache = KernelCache(folder, MACHINE, most=30)
    cache.save(SHA, bytes(31))
    assert cache.load(SHA) == bytes(31)
    assert KernelCache(folder, MACHINE, most=30).load(SHA) is None
    KernelCache(folder, MACHINE).save(SHA, bytes(31))
    assert KernelCache(folder, MACHINE, most=30).load(SHA) is None


@posix
def test_the_folder_of_a_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_cache_folder() == tmp_path / "xdg" / "sambert-trt"
    for useless in ("", "relative/path"):
        monkeypatch.setenv("XDG_CACHE_HOME", useless)
        assert default_cache_folder() == tmp_path / ".cache" / "sambert-trt"


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers run as made-up users."""

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert default_cache_folder() is None
