"""One run at a time: the second ends at once and says who is measuring, and nothing is left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import perf
import pytest
from regression import commands, turn
from regression.turn import measuring_alone

from sambert_trt.engines.errors import InputError, OutputError

COMMAND = ("python", "scripts/perf.py", "compare", "--base", "my branch")

HOLDING = """
import sys
from pathlib import Path
from regression.turn import measuring_alone
with measuring_alone(Path(sys.argv[1]), ("perf.py", "run")):
    print("mine", flush=True)
    sys.stdin.read()
"""


def test_the_second_is_told_who_measures_and_the_first_goes_on(tmp_path: Path) -> None:
    who = rf"process {os.getpid()} since [-0-9: ]+: python scripts/perf.py compare --base 'my b"
    with measuring_alone(tmp_path / "perf", COMMAND):
        for _ in range(2):
            with (
                pytest.raises(InputError, match=rf"(?s)^another perf.*{who}.*measuring\.lock\)$"),
                measuring_alone(tmp_path / "perf", ()),
            ):
                raise AssertionError("two measure")
    with measuring_alone(tmp_path / "perf", COMMAND):
        pass
    assert not (tmp_path / "perf" / "measuring.txt").exists()


def test_another_checkout_is_another_matter(tmp_path: Path) -> None:
    with measuring_alone(tmp_path / "one", COMMAND), measuring_alone(tmp_path / "two", COMMAND):
        assert (tmp_path / "two" / "measuring.txt").exists()


def test_a_run_that_broke_off_keeps_nobody_waiting(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), measuring_alone(tmp_path, COMMAND):
        raise KeyboardInterrupt
    with measuring_alone(tmp_path, COMMAND):
        pass


def test_a_process_that_was_killed_keeps_nobody_waiting(root: Path, tmp_path: Path) -> None:
    with subprocess.Popen(
        (sys.executable, "-c", HOLDING, str(tmp_path)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root / "scripts")},
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == b"mine"
        with (
            pytest.raises(InputError, match=f"process {other.pid} since .*: perf.py run"),
            measuring_alone(tmp_path, COMMAND),
        ):
            raise AssertionError("two measure")
        other.kill()
        other.wait()
        with measuring_alone(tmp_path, COMMAND):
            assert str(os.getpid()) in (tmp_path / "measuring.txt").read_text(encoding="utf-8")


def test_a_holder_that_says_nothing_holds_nevertheless(tmp_path: Path) -> None:
    with measuring_alone(tmp_path, COMMAND):
        (tmp_path / "measuring.txt").unlink()
        with (
            pytest.raises(InputError, match="it does not say which"),
            measuring_alone(tmp_path, ()),
        ):
            raise AssertionError("two measure")


def test_a_file_system_without_locks_is_nobody_elses_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(path: Path, seconds: float, extra: str) -> None:
        raise OutputError("no locks") from NotImplementedError()

    monkeypatch.setattr(turn, "locked", locked)
    with pytest.raises(OutputError, match="no locks"), measuring_alone(tmp_path, COMMAND):
        raise AssertionError("measured without a lock")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "build").touch()
    with (
        pytest.raises(OutputError, match=r"measuring\.lock cannot be written"),
        measuring_alone(tmp_path / "build", COMMAND),
    ):
        raise AssertionError("measured without a lock")


def test_what_the_run_itself_cannot_write_is_not_the_locks(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), measuring_alone(tmp_path, COMMAND):
        (tmp_path / "none" / "file").touch()


@pytest.mark.parametrize("words", [("run",), ("compare", "--base", "main")])
def test_a_second_run_ends_with_wrong_usage_before_it_prepares_anything(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
) -> None:
    def prepared(*arguments: object) -> None:
        raise AssertionError("it began")

    monkeypatch.setattr(commands, "BUILD", tmp_path)
    monkeypatch.setattr(commands, "_prepared", prepared)
    with measuring_alone(tmp_path, COMMAND):
        assert perf.main(words) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("perf: another perf.py measures in this checkout")
        assert perf.main(("explain", "stage.vocoder.seconds")) == 0
