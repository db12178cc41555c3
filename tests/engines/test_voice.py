"""The voice directory: what is missing is named, what is written is whole."""

from __future__ import annotations

import errno
import hashlib
import os
import sys
from pathlib import Path

import pytest

from sambert_trt.engines.errors import (
    IntegrityError,
    OutputError,
    VoiceError,
    VoiceMissingError,
)
from sambert_trt.engines.graphs import AxisRange, GraphSpec, Stage, TensorSpec
from sambert_trt.engines.manifest import FileRecord, StageRecord, VoiceManifest
from sambert_trt.engines.voice import (
    MANIFEST,
    checked_bytes,
    checked_path,
    file_record,
    manifest_from_directory,
    replaced_directory,
    voice_directories,
)

as_user = pytest.mark.skipif(
    os.name == "nt" or (hasattr(os, "geteuid") and os.geteuid() == 0),
    reason="permissions do not bind the superuser",
)
needs_links = pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")


def voice(folder: Path, styles: FileRecord | None = None) -> Path:
    """A voice directory of two small files."""
    (folder / "onnx").mkdir(parents=True)
    (folder / "styles.npz").write_bytes(b"styles")
    (folder / "onnx/vocoder.onnx").write_bytes(b"a graph")
    graph = GraphSpec(
        Stage.VOCODER, (TensorSpec("x", "float32", ("n",)),), (), {"n": AxisRange(1, 2, 3)}
    )
    stages = {Stage.VOCODER: StageRecord(file_record(folder, "onnx/vocoder.onnx"), graph, 1)}
    manifest = VoiceManifest(
        name="anna",
        language="PinYin",
        sample_rate=8000,
        hop=10,
        frame_channels=2,
        mel_channels=2,
        frames_per_step=1,
        projection_width=1,
        speaker_width=1,
        emotion_width=1,
        decoder_layers=1,
        decoder_heads=1,
        decoder_head_width=1,
        units={},
        speakers=("F7",),
        emotions=("emotion_neutral",),
        default_speaker="F7",
        default_emotion="emotion_neutral",
        filled_pauses=False,
        f0=None,
        styles=styles or file_record(folder, "styles.npz"),
        stages=stages,
        weights={},
        provenance={},
    )
    (folder / MANIFEST).write_text(manifest.as_json(), encoding="utf-8")
    return folder


def test_a_whole_voice_is_read(tmp_path: Path) -> None:
    folder = voice(tmp_path / "v")
    manifest = manifest_from_directory(folder)
    assert manifest.name == "anna"
    assert checked_bytes(folder, manifest.styles) == b"styles"
    assert checked_path(folder, manifest.styles) == folder / "styles.npz"
    assert manifest.styles.sha256 == hashlib.sha256(b"styles").hexdigest()


@pytest.mark.parametrize("name", ["styles.npz", "onnx/vocoder.onnx"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder = voice(tmp_path / "v")
    (folder / name).unlink()
    with pytest.raises(VoiceMissingError, match=Path(name).name) as caught:
        manifest_from_directory(folder)
    assert isinstance(caught.value, FileNotFoundError)


@pytest.mark.parametrize("name", ["styles.npz", "onnx/vocoder.onnx"])
@pytest.mark.parametrize("content", [b"", b"a gra", b"styles and more"])
def test_a_cut_or_longer_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    folder = voice(tmp_path / "v")
    (folder / name).write_bytes(content)
    with pytest.raises(IntegrityError, match=f"{len(content)} bytes, the manifest says"):
        manifest_from_directory(folder)


def test_a_swapped_file_of_the_same_size_is_found_before_it_is_parsed(tmp_path: Path) -> None:
    folder = voice(tmp_path / "v")
    (folder / "styles.npz").write_bytes(b"STYLES")
    manifest = manifest_from_directory(folder)
    with pytest.raises(IntegrityError, match="it was changed or swapped"):
        checked_bytes(folder, manifest.styles)


def check_files(folder: Path, manifest: VoiceManifest) -> None:
    for record in manifest.files:
        checked_bytes(folder, record)


@needs_links
@pytest.mark.parametrize("name", ["styles.npz", "onnx/vocoder.onnx", "onnx"])
def test_files_may_be_links_but_not_to_something_else(tmp_path: Path, name: str) -> None:
    """Caches link their files; what a link leads to is compared like any file."""
    folder = voice(tmp_path / "v")
    manifest = manifest_from_directory(folder)
    outside = tmp_path / "elsewhere"
    (folder / name).rename(outside)
    (folder / name).symlink_to(outside)
    assert [checked_bytes(folder, record) for record in manifest.files] == [b"styles", b"a graph"]
    for file in (outside, outside / "vocoder.onnx"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[::-1])
    with pytest.raises(IntegrityError, match="it was changed or swapped"):
        check_files(folder, manifest)


@needs_links
def test_a_link_to_the_whole_voice_is_fine(tmp_path: Path) -> None:
    folder = voice(tmp_path / "v")
    (tmp_path / "here").symlink_to(folder, target_is_directory=True)
    assert manifest_from_directory(tmp_path / "here").name == "anna"


@pytest.mark.parametrize("path", ["../secret", "onnx/../../secret", "/etc/passwd", "a/../../b"])
def test_no_path_leads_out_of_the_voice(tmp_path: Path, path: str) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    folder = voice(tmp_path / "v", FileRecord(path, 6, hashlib.sha256(b"secret").hexdigest()))
    with pytest.raises(IntegrityError, match="outside the voice"):
        manifest_from_directory(folder)


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000, ""])
def test_names_no_file_can_have(tmp_path: Path, path: str) -> None:
    folder = voice(tmp_path / "v", FileRecord(path, 6, "00"))
    with pytest.raises(VoiceError):
        manifest_from_directory(folder)


def test_what_is_no_voice_says_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(VoiceMissingError, match="does not exist; export a voice there"):
        manifest_from_directory(tmp_path / "absent")
    with pytest.raises(VoiceMissingError, match="it is no voice directory"):
        manifest_from_directory(tmp_path)
    (tmp_path / "am").mkdir()
    with pytest.raises(VoiceMissingError, match="is a PyTorch voice; export it first"):
        manifest_from_directory(tmp_path)
    voice(tmp_path / "b")
    voice(tmp_path / "a")
    with pytest.raises(VoiceMissingError, match="holds 2 voices; choose one"):
        manifest_from_directory(tmp_path)
    assert voice_directories(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert voice_directories(tmp_path / "a") == [tmp_path / "a"]
    assert voice_directories(tmp_path / "absent") == []


def test_a_manifest_that_is_not_text(tmp_path: Path) -> None:
    folder = voice(tmp_path / "v")
    (folder / MANIFEST).write_bytes(b"\xff\xfe{")
    with pytest.raises(VoiceError, match=r"voice\.json cannot be read"):
        manifest_from_directory(folder)


def test_a_new_directory_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep/er/v"
    with replaced_directory(target) as fresh:
        assert not target.exists()
        assert fresh.parent.parent == target.parent
        (fresh / MANIFEST).write_text("new", encoding="utf-8")
    assert [p.name for p in target.parent.iterdir()] == ["v"]
    assert (target / MANIFEST).read_text(encoding="utf-8") == "new"


def test_an_old_voice_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = voice(tmp_path / "v")
    with replaced_directory(target) as fresh:
        assert (target / "styles.npz").is_file()
        (fresh / MANIFEST).write_text("new", encoding="utf-8")
    assert [p.name for p in target.iterdir()] == [MANIFEST]
    assert [p.name for p in tmp_path.iterdir()] == ["v"]


def test_what_others_put_into_a_voice_stays(tmp_path: Path) -> None:
    target = voice(tmp_path / "v")
    (target / "engines").mkdir()
    (target / "engines/plan").write_text("mine", encoding="utf-8")
    (target / "notes.txt").write_text("mine", encoding="utf-8")
    with replaced_directory(target) as fresh:
        voice(fresh / "x")
        (fresh / "x" / MANIFEST).rename(fresh / MANIFEST)
    assert sorted(p.name for p in target.iterdir()) == ["engines", "notes.txt", MANIFEST, "x"]
    assert (target / "engines/plan").read_text(encoding="utf-8") == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["v"]


def fail_after_writing(target: Path, error: BaseException) -> None:
    with replaced_directory(target) as fresh:
        (fresh / "half").write_text("written", encoding="utf-8")
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("x"), SystemExit(3)])
@pytest.mark.parametrize("existing", [True, False])
def test_an_error_leaves_what_was_there(
    tmp_path: Path, error: BaseException, existing: bool
) -> None:
    target = tmp_path / "v"
    if existing:
        voice(target)
    with pytest.raises(type(error)):
        fail_after_writing(target, error)
    assert [p.name for p in tmp_path.iterdir()] == (["v"] if existing else [])
    if existing:
        assert manifest_from_directory(target).name == "anna"


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    target = voice(tmp_path / "v")
    with (
        pytest.raises(OutputError, match="No space left on device; what stood there is unchanged"),
        replaced_directory(target),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert [p.name for p in tmp_path.iterdir()] == ["v"]
    assert manifest_from_directory(target).name == "anna"


def test_a_failing_last_step_puts_the_old_voice_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = voice(tmp_path / "v")
    replace = Path.replace

    def failing(self: Path, other: Path) -> Path:
        if self.name == "new":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return replace(self, other)

    monkeypatch.setattr(Path, "replace", failing)
    with (
        pytest.raises(OutputError, match="what stood there is unchanged"),
        replaced_directory(target),
    ):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["v"]
    assert manifest_from_directory(target).name == "anna"


@pytest.mark.parametrize("text", ["[" * 100_000, "{}", "[]", '{"schema": "x"}', "\x00"])
def test_a_voice_json_of_something_else_is_not_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / MANIFEST).write_text(text, encoding="utf-8")
    with (
        pytest.raises(OutputError, match="exists and is not a voice directory"),
        replaced_directory(tmp_path / "v"),
    ):
        pass
    assert (tmp_path / "v" / MANIFEST).read_text(encoding="utf-8") == text


@pytest.mark.parametrize("kind", ["a file", "someone's folder"])
def test_only_a_voice_or_nothing_is_replaced(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "v"
    if kind == "a file":
        target.write_text("mine", encoding="utf-8")
    else:
        target.mkdir()
        (target / "thesis.tex").write_text("mine", encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    with (
        pytest.raises(OutputError, match="exists and is not a voice directory"),
        replaced_directory(target),
    ):
        pass
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_folder_may_become_a_voice(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    with replaced_directory(tmp_path / "v") as fresh:
        (fresh / MANIFEST).write_text("new", encoding="utf-8")
    assert (tmp_path / "v" / MANIFEST).is_file()


def test_a_parent_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("", encoding="utf-8")
    with (
        pytest.raises(OutputError, match=r"cannot write beside .*; choose a writable place"),
        replaced_directory(tmp_path / "f" / "v"),
    ):
        pass


@as_user
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with (
            pytest.raises(OutputError, match="choose a writable place"),
            replaced_directory(tmp_path / "v"),
        ):
            pass
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc takes no files on Linux alone")
def test_a_place_that_takes_no_files() -> None:
    with (
        pytest.raises(OutputError, match="cannot write beside /proc/v"),
        replaced_directory(Path("/proc/v")),
    ):
        pass
