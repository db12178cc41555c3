"""What is declared about the project agrees with what is there; the scripts refuse in words."""

from __future__ import annotations

import importlib
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Script = Callable[[str], Any]  # the name of a file in scripts/ to its module
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
PACKAGES = ("calibration", "engines", "export", "runtime")


@pytest.fixture(scope="module")
def project(root: Path) -> dict[str, Any]:
    """pyproject.toml."""
    return dict(tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8")))


@pytest.fixture
def scripts(root: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """A function that imports a file of scripts/ by its name."""
    monkeypatch.syspath_prepend(str(root / "scripts"))

    def script(name: str) -> ModuleType:
        return importlib.import_module(name)

    return script


def folders_with_code(root: Path) -> set[str]:
    """The folders of the packages that hold Python files, relative to the root."""
    return {
        path.parent.relative_to(root).as_posix()
        for name in PACKAGES
        for path in (root / name).rglob("*.py")
    }


def test_every_folder_with_code_is_a_named_package(root: Path, project: dict[str, Any]) -> None:
    setuptools = project["tool"]["setuptools"]
    expected = {f"sambert_trt.{path.replace('/', '.')}": path for path in folders_with_code(root)}
    assert set(setuptools["packages"]) == set(expected)
    assert setuptools["package-dir"] == expected
    data = {name: ["py.typed"] for name in expected}
    for name in ("sambert_trt.calibration", "sambert_trt.runtime.text"):
        data[name].append("data/*.txt")
    assert setuptools["package-data"] == data


def test_every_package_is_marked_as_typed(root: Path) -> None:
    unmarked = [
        path for path in folders_with_code(root) if not (root / path / "py.typed").is_file()
    ]
    assert unmarked == []


def test_the_namespace_has_no_init(root: Path) -> None:
    assert not (root / "sambert_trt").exists()


@pytest.mark.parametrize("python", PYTHONS)
def test_every_direct_dependency_is_pinned_within_its_range(
    root: Path, project: dict[str, Any], python: str
) -> None:
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    pins: dict[str, str] = {}
    for line in (root / "constraints.txt").read_text(encoding="utf-8").splitlines():
        requirement = Requirement(line) if line and not line.startswith("#") else None
        if requirement and (not requirement.marker or requirement.marker.evaluate(environment)):
            name = canonicalize_name(requirement.name)
            assert name not in pins, f"{name} is pinned twice for Python {python}"
            pins[name] = str(requirement.specifier).removeprefix("==")
    extras = project["project"]["optional-dependencies"]
    wanted = [
        *project["project"]["dependencies"],
        *extras["cpu"],
        *extras["export"],
        *extras["dev"],
    ]
    for requirement in map(Requirement, wanted):
        pinned = pins.get(canonicalize_name(requirement.name))
        assert pinned, f"{requirement.name} is not pinned for Python {python}"
        assert requirement.specifier.contains(pinned), f"{requirement} refuses the pin {pinned}"


def test_the_supported_pythons_agree(project: dict[str, Any], scripts: Script, root: Path) -> None:
    setup_env = scripts("setup_env")
    declared = project["project"]["requires-python"]
    oldest, newest = setup_env.OLDEST, setup_env.NEWEST
    assert declared == f">={oldest[0]}.{oldest[1]},<{newest[0]}.{newest[1] + 1}"
    workflow = (root / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    for python in PYTHONS:
        assert f'"{python}"' in workflow
        assert f"Programming Language :: Python :: {python}" in project["project"]["classifiers"]


@pytest.mark.parametrize("found", [(3, 9), (3, 14), (4, 0)])
def test_another_python_is_refused_in_words(
    scripts: Script, monkeypatch: pytest.MonkeyPatch, found: tuple[int, int]
) -> None:
    setup_env = scripts("setup_env")
    monkeypatch.setattr(setup_env.sys, "version_info", (*found, 0, "final", 0))
    with pytest.raises(setup_env.SetupError, match=f"this is Python {found[0]}.{found[1]}"):
        setup_env.check_python()


def test_a_folder_made_by_others_is_left_alone(scripts: Script, tmp_path: Path) -> None:
    setup_env = scripts("setup_env")
    (tmp_path / "pyvenv.cfg").write_text("home = elsewhere\n")
    with pytest.raises(setup_env.SetupError, match="not made by this script"):
        setup_env.create_environment(tmp_path)
    assert (tmp_path / "pyvenv.cfg").is_file()


def test_a_current_environment_is_not_touched(
    scripts: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup_env = scripts("setup_env")
    python = setup_env.python_of(tmp_path)
    python.parent.mkdir()
    python.touch()
    commands: list[tuple[str, ...]] = []
    monkeypatch.setattr(setup_env, "create_environment", lambda target: commands.append(("new",)))
    monkeypatch.setattr(setup_env, "check_torch", lambda target: None)
    monkeypatch.setattr(setup_env, "pip", lambda target, *arguments: commands.append(arguments))
    setup_env.write_stamp(tmp_path, inputs=setup_env.inputs_hash(), extras=("cpu", "export"))
    assert setup_env.make_environment(tmp_path) == python
    assert commands == []
    setup_env.make_environment(tmp_path, dev=True)
    assert [command[0] for command in commands] == ["install"]
    setup_env.write_stamp(tmp_path, inputs="older", extras=("cpu", "export", "dev"))
    setup_env.make_environment(tmp_path)
    assert [command[0] for command in commands[1:]] == ["new", "install"]


@pytest.mark.parametrize(
    ("change", "message"),
    [("drop", r"missing: sambert_trt/engines/errors\.py"), ("add", "not tracked: stray.py")],
)
def test_a_wheel_that_differs_from_git_is_refused(
    scripts: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, message: str
) -> None:
    wheel_lane, setup_env = scripts("wheel_lane"), scripts("setup_env")
    tracked = ["engines/__init__.py", "engines/errors.py"]
    monkeypatch.setattr(wheel_lane, "tracked_files", lambda: tracked)
    names = [f"sambert_trt/{name}" for name in tracked] + ["sambert_trt-0.dist-info/METADATA"]
    names = names[:1] + names[2:] if change == "drop" else [*names, "stray.py"]
    wheel = tmp_path / "sambert_trt-0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    with pytest.raises(setup_env.SetupError, match=message):
        wheel_lane.check_content(wheel)


def test_what_the_wheel_lane_leaves_out_is_there(scripts: Script, root: Path) -> None:
    left_out = scripts("wheel_lane").SAID_BEFORE
    assert [path for path in left_out if not (root / path).is_file()] == []


def test_project_and_demo_voice_carry_their_licences(root: Path) -> None:
    assert "Apache License" in (root / "LICENSE").read_text(encoding="utf-8")
    voice = (root / "scripts/demo_voice/voice/LICENSE").read_text(encoding="utf-8")
    assert voice.startswith("Attribution-ShareAlike 4.0 International")


def test_the_checks_name_themselves(root: Path) -> None:
    finished = subprocess.run(
        (sys.executable, "scripts/check.py", "--list"),
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    names = [line.split()[0] for line in finished.stdout.splitlines()]
    assert names == ["format", "lint", "types", "scripts", "imports", "tests", "slow", "wheel"]


def test_all_checks_run_and_the_first_failure_decides(
    scripts: Script, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    check = scripts("check")

    def ending(name: str, status: int) -> object:
        program = f"import sys; print('3 passed in 0.10s'); sys.exit({status})"
        return check.Check(name, (sys.executable, "-c", program))

    monkeypatch.setattr(
        check, "all_checks", lambda: (ending("a", 0), ending("b", 3), ending("tests", 4))
    )
    monkeypatch.setattr(check, "link_namespace", lambda: None)
    monkeypatch.setattr(sys, "argv", ["check.py"])
    assert check.main() == 3
    lines = capsys.readouterr().out.splitlines()
    assert sum(line == "3 passed in 0.10s" for line in lines) == 3
    assert lines[-1] == "===== 3 passed in 0.10s ====="
