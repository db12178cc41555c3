"""Which voice each side speaks: the user's, or the demo voice as the side's own tree exports it."""

from __future__ import annotations

from pathlib import Path

import pytest
from regression import sides
from regression.sides import Speaking, exported_voice, settings_of_tree
from regression.trees import Tree

from sambert_trt.engines.errors import InputError, SourceError, VoiceError


def tree_at(path: Path, exporter: str = "one") -> Tree:
    """A tree with an exporter and a demo voice."""
    for folder in ("export", "engines", "runtime", "scripts/demo_voice/voice"):
        (path / folder).mkdir(parents=True)
    (path / "export" / "cli.py").write_text(exporter, encoding="utf-8")
    (path / "scripts" / "demo_voice" / "voice" / "weights").write_text("w", encoding="utf-8")
    return Tree(path, path.name, "", changed=False)


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The trees that exported; a fake export writes voice.json."""
    found: list[Path] = []

    def export(tree: Path, source: Path, folder: Path) -> None:
        found.append(tree)
        (folder / "voice").mkdir()
        (folder / "voice" / "voice.json").touch()

    monkeypatch.setattr(sides, "_export", export)
    return found


def test_trees_with_the_same_exporter_share_an_export(tmp_path: Path, exports: list[Path]) -> None:
    one, two = tree_at(tmp_path / "one"), tree_at(tmp_path / "two")
    (two.path / "runtime" / "faster.py").touch()
    voices = {exported_voice(tree.path, tmp_path / "cache") for tree in (one, two, one)}
    assert len(voices) == 1
    assert exports == [one.path]


@pytest.mark.parametrize("changed", ["export/cli.py", "scripts/demo_voice/voice/weights"])
def test_another_exporter_or_source_is_another_export(
    tmp_path: Path, exports: list[Path], changed: str
) -> None:
    one, two = tree_at(tmp_path / "one"), tree_at(tmp_path / "two")
    (two.path / changed).write_text("changed", encoding="utf-8")
    voices = {exported_voice(tree.path, tmp_path / "cache") for tree in (one, two)}
    assert len(voices) == 2
    assert exports == [one.path, two.path]


def test_an_export_that_fails_says_whose_and_why_and_leaves_nothing(tmp_path: Path) -> None:
    tree = tree_at(tmp_path / "tree")
    (tree.path / "build" / "ns" / "sambert_trt" / "export").mkdir(parents=True)
    cli = tree.path / "build" / "ns" / "sambert_trt" / "export" / "cli.py"
    cli.write_text("raise SystemExit('no room for weights')", encoding="utf-8")
    with pytest.raises(SourceError, match=r"(?s)tree cannot export .*no room for weights"):
        exported_voice(tree.path, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_tree_without_the_demo_voice_needs_one_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name one with --voice"):
        exported_voice(tmp_path, tmp_path / "cache")


def test_a_named_voice_is_not_exported(tmp_path: Path, exports: list[Path]) -> None:
    tree = tree_at(tmp_path / "tree")
    how = Speaking(voice=Path("mine"), source=Path("checkpoints"), threads=3, full=True)
    settings = settings_of_tree(tree, how, tmp_path / "cache", tmp_path / "work")
    assert settings.voice == Path("mine").absolute()
    assert (settings.source, settings.threads, settings.full) == (Path("checkpoints"), 3, True)
    assert settings.work.is_dir()
    assert exports == []


def test_a_folder_that_is_no_voice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VoiceError, match=r"voice\.json"):
        Speaking(voice=tmp_path).check()
