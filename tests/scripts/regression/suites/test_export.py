"""The suites that run a whole command: what they run, on what, and what has to be there."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from regression.catalogue import catalogue_from_file
from regression.record import NotMeasured
from regression.suite import Settings
from regression.suites import calibration, export


@dataclass
class Commands:
    """Takes the place of processes: a command takes three seconds, and writes its last argument."""

    now: float = 0.0
    run: list[tuple[str, tuple[str, ...], bool]] = field(default_factory=list)

    def finished(
        self,
        module: str,
        arguments: Sequence[str],
        settings: Settings,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        target = settings.work / "voice"
        self.run.append((module, tuple(arguments), target.exists()))
        target.mkdir(exist_ok=True)
        (target / "written").touch()
        self.now += 3.0


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    """In both suites; everything seems installed."""
    found = Commands()
    for suite in (export, calibration):
        monkeypatch.setattr(suite, "finished", found.finished)
        monkeypatch.setattr(suite, "find_spec", lambda name: object())
        monkeypatch.setattr(suite.time, "perf_counter", lambda: found.now)
    monkeypatch.setattr(export, "_clock_of_children", lambda: lambda: found.now)
    return found


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A voice, its checkpoints, and a folder to work in."""
    for name in ("voice", "source", "work"):
        (tmp_path / name).mkdir()
    (tmp_path / "voice" / "voice.json").write_text("{}", encoding="utf-8")
    return Settings(
        tmp_path, tmp_path / "voice", tmp_path / "work", source=tmp_path / "source", threads=3
    )


def test_each_export_begins_with_nothing(commands: Commands, settings: Settings) -> None:
    with closing(export.rounds(settings)) as rounds:  # type: ignore[type-var]
        found = list(itertools.islice(rounds, 2))
    assert found == 2 * [{"export.seconds": 3.0}]
    arguments = (str(settings.source), "-o", str(settings.work / "voice"))
    assert commands.run == 2 * [("sambert_trt.export.cli", arguments, False)]


def test_each_calibration_begins_with_a_copy(commands: Commands, settings: Settings) -> None:
    with closing(calibration.rounds(settings)) as rounds:  # type: ignore[type-var]
        for _ in range(2):
            assert next(rounds) == {"calibration.seconds": 3.0}
            written = {path.name for path in (settings.work / "voice").iterdir()}
            assert written == {"voice.json", "written"}
    module, arguments, copied = commands.run[1]
    assert (module, copied) == ("sambert_trt.calibration.cli", True)
    assert arguments[0] == str(settings.work / "voice")
    assert arguments[1:] == ("--target", "cpu", "--threads", "3", "--quiet")
    assert [path.name for path in settings.voice.iterdir()] == ["voice.json"]


@pytest.mark.parametrize("suite", [export, calibration])
def test_commands_take_what_they_are_given(
    suite: ModuleType, commands: Commands, settings: Settings
) -> None:
    (name,) = next(suite.rounds(settings))
    assert catalogue_from_file().metric(name).suite == suite.__name__.rpartition(".")[2]
    ((module, arguments, _),) = commands.run
    options = import_module(module)._parser().parse_args(arguments)
    taken = vars(options)
    assert str(settings.work / "voice") in (taken.get("voice"), taken.get("output"))


def test_without_checkpoints_nothing_is_exported(settings: Settings) -> None:
    bare = Settings(settings.tree, settings.voice, settings.work)
    with pytest.raises(NotMeasured, match="--source"):
        next(export.rounds(bare))


@pytest.mark.parametrize(("suite", "lacking"), [(export, "torch"), (calibration, "scipy")])
def test_what_is_not_installed_is_named(
    suite: ModuleType, lacking: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite, "find_spec", lambda name: None if name == lacking else object())
    with pytest.raises(NotMeasured, match=f"^{lacking} not installed"):
        next(suite.rounds(settings))


def test_work_of_children_is_told_by_the_processor() -> None:
    import subprocess
    import sys

    clock = export._clock_of_children()
    before = clock()
    subprocess.run((sys.executable, "-I", "-S", "-c", "sum(range(3_000_000))"), check=True)
    assert clock() > before
