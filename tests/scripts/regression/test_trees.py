"""A revision is laid out whole or not at all, and .git stays as it was."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from regression import repository as revisions
from regression.trees import Tree, dependency_notes, edits, tree_of_revision, working_tree

from sambert_trt.engines.errors import InputError, OutputError

PROJECT = """
[project]
dependencies = ["numpy>=1.26", "soxr>=0.4"]
[project.optional-dependencies]
cpu = ["onnxruntime>=1.20"]
[tool.setuptools.package-dir]
"sambert_trt.engines" = "engines"
"sambert_trt.runtime" = "runtime"
"sambert_trt.runtime.text" = "runtime/text"
"""

Git = Callable[..., str]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits; `main` is the second."""
    path = tmp_path / "clone"
    for name in ("engines", "runtime"):
        (path / name).mkdir(parents=True)
        (path / name / "__init__.py").write_text("AGE = 1\n")
    (path / "pyproject.toml").write_text(PROJECT)
    (path / ".gitignore").write_text("build/\n__pycache__/\n")
    git(path, "init", "-q", "-b", "main")
    commit(path, "one")
    (path / "runtime" / "__init__.py").write_text("AGE = 2\n")
    commit(path, "two")
    return path


def git(path: Path, *words: str) -> str:
    names = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    command = ("git", "-C", str(path), *names, *words)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(path: Path, message: str) -> None:
    git(path, "add", "-A")
    git(path, "commit", "-q", "-m", message)


def files_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_revision_is_laid_out_and_git_stays_as_it_was(repository: Path, tmp_path: Path) -> None:
    before, cache = files_of(repository / ".git"), tmp_path / "trees"
    tree = tree_of_revision(repository, "main~1", cache)
    assert files_of(repository / ".git") == before
    assert tree.sha == git(repository, "rev-parse", "main~1")
    assert tree.path == cache / tree.sha[:12]
    assert (tree.label, tree.changed) == ("main~1", False)
    assert (tree.path / "build/ns/sambert_trt/runtime/__init__.py").read_text() == "AGE = 1\n"
    assert list((tree.path / "runtime" / "__pycache__").iterdir())
    assert list(cache.iterdir()) == [tree.path]


def test_what_somebody_changed_in_an_unpacked_revision_is_not_measured(
    repository: Path, tmp_path: Path
) -> None:
    path = tree_of_revision(repository, "main", tmp_path / "trees").path
    (path / "runtime" / "__init__.py").write_text("AGE = 9\n")
    (path / "runtime" / "seen.py").touch()
    assert tree_of_revision(repository, "main", tmp_path / "trees").path == path
    assert (path / "build/ns/sambert_trt/runtime/__init__.py").read_text() == "AGE = 2\n"
    assert not (path / "runtime" / "seen.py").exists()
    assert list((tmp_path / "trees").iterdir()) == [path]


def test_the_checkout_says_whether_it_was_changed(repository: Path) -> None:
    tree = working_tree(repository)
    assert tree == Tree(repository, "working tree", git(repository, "rev-parse", "HEAD"), False)
    (repository / "runtime" / "new.py").touch()
    assert working_tree(repository).changed
    assert (repository / "build/ns/sambert_trt/engines").samefile(repository / "engines")


def test_files_that_were_edited_since_are_named(repository: Path) -> None:
    measuring = repository / "scripts" / "regression"
    measuring.mkdir(parents=True)
    (measuring / "metrics.toml").touch()
    tree = working_tree(repository)
    assert edits(tree) == ()
    (measuring / "metrics.toml").write_text("# none")
    (repository / "runtime" / "new.py").touch()
    (repository / "runtime" / ".new.py.swp").touch()
    (repository / "engines" / "__init__.py").unlink()
    (repository / "README.md").touch()
    found = ("engines/__init__.py", "runtime/new.py", "scripts/regression/metrics.toml")
    assert edits(tree) == found
    (repository / "pyproject.toml").write_text("[half")
    assert edits(tree) == ("pyproject.toml",)


def test_an_archive_without_git_can_be_measured_but_has_no_revisions(
    repository: Path, tmp_path: Path
) -> None:
    (repository / ".git").rename(tmp_path / "gone")
    assert working_tree(repository) == Tree(repository, "working tree", "", False)
    with pytest.raises(InputError, match=r"not a git repository.*needs a clone"):
        tree_of_revision(repository, "main", tmp_path / "trees")


def test_a_folder_inside_another_repository_has_no_revisions(
    repository: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no git repository of its own"):
        tree_of_revision(repository / "runtime", "main", tmp_path / "trees")


@pytest.mark.parametrize("revision", ["nowhere", "", "--all", "main:pyproject.toml"])
def test_an_unknown_revision_names_those_there_are(
    repository: Path, tmp_path: Path, revision: str
) -> None:
    git(repository, "branch", "other")
    with pytest.raises(InputError, match=r"no revision .* has .*main.*: name one of them") as error:
        tree_of_revision(repository, revision, tmp_path / "trees")
    assert "other" in str(error.value)
    assert not (tmp_path / "trees").exists()


def test_a_shallow_clone_says_how_to_get_more(repository: Path, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{repository}", str(shallow))
    with pytest.raises(InputError, match=r"git fetch --depth=1 origin topic:refs/remotes/origin/"):
        tree_of_revision(shallow, "origin/topic", tmp_path / "trees")


@pytest.mark.parametrize("revision", ["HEAD~1", "main^", "@~1", "main@{1}", "origin/main~1"])
def test_a_shallow_clone_is_deepened_for_what_is_counted_from_another_commit(
    repository: Path, tmp_path: Path, revision: str
) -> None:
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{repository}", str(shallow))
    with pytest.raises(InputError, match=r"this clone is shallow; .*git fetch --unshallow$"):
        tree_of_revision(shallow, revision, tmp_path / "trees")
    git(shallow, "fetch", "-q", "--unshallow")
    if "@{" not in revision:
        assert tree_of_revision(shallow, revision, tmp_path / "trees").sha


def test_without_git(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="git cannot be run, install it"):
        tree_of_revision(repository, "main", tmp_path / "trees")


def test_what_a_hook_says_of_another_repository_does_not_count(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert tree_of_revision(repository, "main", tmp_path / "trees").sha


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_breaks_off_leaves_nothing(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def extract(stream: object, folder: Path) -> None:
        (folder / "half").touch()
        raise error

    monkeypatch.setattr(revisions, "_extract_tar", extract)
    with pytest.raises((OutputError, KeyboardInterrupt)) as caught:
        tree_of_revision(repository, "main", tmp_path / "trees")
    if isinstance(error, OSError):
        assert "No space left" in str(caught.value)
        assert "MB are free there" in str(caught.value)
    assert list((tmp_path / "trees").iterdir()) == []


def test_lost_objects_are_named(repository: Path, tmp_path: Path) -> None:
    blob = git(repository, "rev-parse", "main:runtime/__init__.py")
    (repository / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(InputError, match="git cannot give the files of"):
        tree_of_revision(repository, "main", tmp_path / "trees")
    assert list((tmp_path / "trees").iterdir()) == []


def test_two_runs_side_by_side_end_with_one_tree(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract, cache = revisions._extract_tar, tmp_path / "trees"

    def late(stream: object, folder: Path) -> None:
        monkeypatch.setattr(revisions, "_extract_tar", extract)
        tree_of_revision(repository, "main", cache)
        extract(stream, folder)  # type: ignore[arg-type]

    monkeypatch.setattr(revisions, "_extract_tar", late)
    tree = tree_of_revision(repository, "main", cache)
    assert list(cache.iterdir()) == [tree.path]


def test_old_leftovers_go_and_new_ones_stay(repository: Path, tmp_path: Path) -> None:
    cache = tmp_path / "trees"
    for name, age in (("unfinished-old", 2 * 86_400), ("unfinished-new", 60)):
        (cache / name).mkdir(parents=True)
        os.utime(cache / name, (time.time() - age,) * 2)
    tree = tree_of_revision(repository, "main", cache)
    assert {path.name for path in cache.iterdir()} == {tree.path.name, "unfinished-new"}


def test_a_tree_that_is_not_of_this_project(repository: Path, tmp_path: Path) -> None:
    (repository / "pyproject.toml").write_text("[project]\n")
    commit(repository, "three")
    with pytest.raises(InputError, match="it has no runtime package"):
        tree_of_revision(repository, "main", tmp_path / "trees")
    with pytest.raises(InputError, match="is no source tree of this project"):
        working_tree(tmp_path)


def test_dependencies_that_differ_are_noted(repository: Path, tmp_path: Path) -> None:
    base = tree_of_revision(repository, "main", tmp_path / "trees")
    text = PROJECT.replace("numpy>=1.26", "numpy>=2").replace(', "soxr>=0.4"', "")
    (repository / "pyproject.toml").write_text(text.replace('cpu = ["', 'cpu = ["new-one", "'))
    assert dependency_notes(base, base) == ()
    assert dependency_notes(base, working_tree(repository)) == (
        "dependencies: main declares numpy>=1.26 of numpy, working tree numpy>=2",
        "dependencies: main declares soxr>=0.4 of soxr, working tree nothing",
        "extra cpu: main declares nothing of new-one, working tree new-one",
    )
