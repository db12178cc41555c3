"""Folders of a cache: the last used few stay, those in use always, and none is ever half there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from regression import commands
from regression.folders import KEPT, keep_last_used, kept_folder
from regression.sides import Speaking
from regression.suite import Settings
from regression.trees import Tree

from sambert_trt.engines.errors import OutputError


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Two folders more than are kept, the first the oldest; each holds a file."""
    found = tmp_path / "cache"
    for number in range(KEPT + 2):
        folder = found / f"{number}"
        folder.mkdir(parents=True)
        (folder / "file").touch()
        os.utime(folder, (number + 1,) * 2)
    return found


def names(folder: Path) -> Sequence[int]:
    return sorted(int(path.name) for path in folder.iterdir())


def filled(folder: Path) -> Path:
    whole = folder / "whole"
    whole.mkdir()
    return whole


def refused(folder: Path) -> Path:
    raise AssertionError("it is there already")


def test_the_oldest_go(cache: Path) -> None:
    keep_last_used(cache, ())
    assert names(cache) == list(range(2, KEPT + 2))


def test_a_use_makes_a_folder_the_newest(cache: Path) -> None:
    kept_folder(cache / "0", refused)
    kept_folder(cache / "100", filled)
    keep_last_used(cache, ())
    assert names(cache) == [0, *range(4, KEPT + 2), 100]


def test_what_is_in_use_stays_whatever_its_age(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(cache)
    keep_last_used(cache, [Path("0"), cache / "1", Path("elsewhere")])
    assert names(cache) == [0, 1, *range(4, KEPT + 2)]


def test_what_others_are_making_is_not_counted(cache: Path) -> None:
    (cache / "unfinished-7").mkdir()
    keep_last_used(cache, ())
    assert (cache / "unfinished-7").is_dir()
    assert len(list(cache.iterdir())) == KEPT + 1


def test_a_place_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    keep_last_used(tmp_path / "none", ())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_moved_stays_whole_and_the_others_go(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def guarded(path: Path, target: Path) -> Path:
        if path.name == "1":
            raise PermissionError("in use")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", guarded)
    keep_last_used(cache, ())
    assert names(cache) == list(range(1, KEPT + 2))
    assert (cache / "1" / "file").exists()


def test_half_removed_is_not_taken_for_whole(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.rmtree", lambda folder, ignore_errors: None)
    keep_last_used(cache, ())
    assert not (cache / "0").exists()
    assert kept_folder(cache / "0", filled).is_dir()
    assert not (cache / "0" / "file").exists()


def test_links_out_of_a_folder_are_not_followed(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "file").touch()
    try:
        (cache / "0" / "link").symlink_to(tmp_path / "sources", target_is_directory=True)
    except OSError:
        pytest.skip("links need a privilege here")
    os.utime(cache / "0", (0, 0))
    keep_last_used(cache, ())
    assert not (cache / "0").exists()
    assert (tmp_path / "sources" / "file").exists()


def test_a_run_keeps_what_it_measures(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.rename(tmp_path / "voices")
    (tmp_path / "trees").mkdir()
    tree = Tree(tmp_path / "trees" / "one", "one", "", changed=False)

    def settings(tree: Tree, how: Speaking, cache: Path, work: Path) -> Settings:
        return Settings(tree.path, cache / "0", work)

    monkeypatch.setattr(commands, "BUILD", tmp_path)
    monkeypatch.setattr(commands, "_trees", lambda base: {"candidate": tree})
    monkeypatch.setattr(commands, "settings_of_tree", settings)
    commands._prepared(None, Speaking(), tmp_path / "work")
    assert names(tmp_path / "voices") == [0, *range(3, KEPT + 2)]


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    with pytest.raises(OutputError, match=r"cache.voice cannot be written"):
        kept_folder(tmp_path / "cache" / "voice", filled)
