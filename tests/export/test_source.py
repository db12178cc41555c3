"""Every layout of voices, made of empty files: finding reads no weights."""

from __future__ import annotations

import json
import logging
import stat
import zipfile
from pathlib import Path

import pytest

from sambert_trt.engines.errors import SourceError
from sambert_trt.export.mapping_files import mapping_from_file
from sambert_trt.export.source import (
    checkpoint_in_folder,
    voice_source_from_files,
    voice_sources_from_path,
)


def touch(*paths: Path, text: str = "") -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def voice(folder: Path, *, unit: str = "{}") -> Path:
    touch(folder / "am/config.yaml", text=f"linguistic_unit: {unit}\n")
    touch(folder / "voc/config.yaml", folder / "audio_config.yaml", text="{}")
    touch(folder / "am/ckpt/checkpoint_0.pth", folder / "voc/ckpt/checkpoint_1.pth")
    return folder


def repository(root: Path, *names: str, model: dict[str, object] | None = None) -> Path:
    touch(root / "voices/voices.json", text=json.dumps({"voices": list(names)}))
    touch(root / "configuration.json", text=json.dumps({"model": model or {}}))
    return root


def test_the_highest_number_wins_as_a_number(tmp_path: Path) -> None:
    names = (
        "checkpoint_9.pth",
        "checkpoint_10.pth",
        "checkpoint-123.pth",
        "checkpoint.pth",
        "checkpoint_notes.txt",
        "checkpoint_x.pth",
        "best_99.pth",
    )
    touch(*(tmp_path / name for name in names))
    (tmp_path / "checkpoint_77.pth").mkdir()
    assert checkpoint_in_folder(tmp_path) == tmp_path / "checkpoint_10.pth"
    assert checkpoint_in_folder(tmp_path / "absent") is None


def test_the_reference_folder_of_checkpoints(shared: Path) -> None:
    found = checkpoint_in_folder(shared / "golden/extras/multi_ckpt")
    assert found is not None
    assert found.name == "checkpoint_10.pth"


def test_a_bare_voice_folder(tmp_path: Path) -> None:
    folder = voice(tmp_path / "anna")
    touch(folder / "am/mvn.npy", folder / "am/se.npy")
    (found,) = voice_sources_from_path(folder)
    assert (found.name, found.has_mask, found.sample_rate) == ("anna", True, None)
    assert found.voc_checkpoint == folder / "voc/ckpt/checkpoint_1.pth"
    assert found.audio_config == folder / "audio_config.yaml"
    assert (found.mvn, found.se) == (folder / "am/mvn.npy", folder / "am/se.npy")
    assert len(found.files) == 7


def test_a_repository_of_several_voices(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = repository(tmp_path, "zoe", "gone", "anna", model={"sample_rate": 24000})
    voice(root / "voices/zoe")
    voice(root / "voices/anna")
    voice(root / "voices/unlisted")
    with caplog.at_level(logging.WARNING):
        found = voice_sources_from_path(root)
    assert [source.name for source in found] == ["zoe", "anna"]
    assert [source.sample_rate for source in found] == [24000, 24000]
    assert "gone" in caplog.text
    (chosen,) = voice_sources_from_path(root, voice="anna")
    assert chosen.name == "anna"
    with pytest.raises(SourceError, match="no voice 'gone'; choose one of: zoe, anna"):
        voice_sources_from_path(root, voice="gone")


def test_a_voice_folder_of_a_repository_knows_its_repository(tmp_path: Path) -> None:
    model = {"sample_rate": 8000, "am": {"linguistic_unit": {"has_mask": False}}}
    root = repository(tmp_path, "anna", model=model)
    voice(root / "voices/anna")
    (found,) = voice_sources_from_path(root / "voices/anna")
    assert (found.has_mask, found.sample_rate) == (False, 8000)


def test_the_mask_rows_are_switched_off_in_either_place(tmp_path: Path) -> None:
    model = {"am": {"linguistic_unit": {"has_mask": False}}}
    root = repository(tmp_path / "d", "anna", model=model)
    voice(root / "voices/anna")
    assert not voice_sources_from_path(root)[0].has_mask
    assert not voice_sources_from_path(voice(tmp_path / "c", unit="{has_mask: false}"))[0].has_mask
    assert voice_sources_from_path(voice(tmp_path / "e", unit="{has_mask: true}"))[0].has_mask


def test_the_reference_repository_without_mask(shared: Path) -> None:
    found = voice_sources_from_path(shared / "golden/extras/modelrepo_nomask")
    assert [(source.name, source.has_mask) for source in found] == [
        ("alpha", False),
        ("beta", False),
    ]


def voice_of_2022(folder: Path) -> None:
    touch(folder / "am/pytorch_model.bin", folder / "vocoder/pytorch_model.bin")
    touch(folder / "dicts/sy_dict.txt")


def test_a_repository_of_2022(tmp_path: Path) -> None:
    root = repository(tmp_path, "anna", model={"lang_type": "pinyin", "sample_rate": 16000})
    voice_of_2022(root / "voices/anna")
    (found,) = voice_sources_from_path(root)
    assert found.am_config == found.voc_config == root / "configuration.json"
    assert found.voc_checkpoint == root / "voices/anna/vocoder/pytorch_model.bin"
    assert (found.language, found.dictionary) == ("pinyin", root / "voices/anna/dicts")


def test_voices_still_in_their_archive(tmp_path: Path) -> None:
    voice_of_2022(tmp_path / "made/voices/anna")
    touch(tmp_path / "made/voices/voices.json", text='{"voices": ["anna"]}')
    touch(tmp_path / "root/configuration.json", text="{}")
    with zipfile.ZipFile(tmp_path / "root/voices.zip", "w") as archive:
        for path in sorted((tmp_path / "made").rglob("*")):
            archive.write(path, path.relative_to(tmp_path / "made"))
    (found,) = voice_sources_from_path(tmp_path / "root")
    assert found.am_checkpoint.is_file()
    assert found.am_config == tmp_path / "root/configuration.json"
    assert sorted(path.name for path in (tmp_path / "root").iterdir()) == [
        "configuration.json",
        "voices.zip",
    ]


@pytest.mark.parametrize("name", ["../evil.txt", "/tmp/evil.txt", "a/../../evil.txt", "C:/evil"])
def test_an_archive_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "voices.zip", "w") as archive:
        archive.writestr(name, "x")
    with pytest.raises(SourceError, match="leads out of the archive"):
        voice_sources_from_path(tmp_path)
    assert not (tmp_path.parent / "evil.txt").exists()


def test_an_archive_with_a_link_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("voices")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "voices.zip", "w") as archive:
        archive.writestr(link, "/etc")
    with pytest.raises(SourceError, match="leads out of the archive"):
        voice_sources_from_path(tmp_path)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "voices.zip").write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(SourceError, match="cannot be unpacked"):
        voice_sources_from_path(tmp_path)


def test_a_custom_checkpoint(tmp_path: Path) -> None:
    voice(tmp_path / "mine")
    touch(tmp_path / "mine/se.npy")
    custom = {
        "voice_name": "F7",
        "am_ckpt": "mine/am/ckpt",
        "am_config": "mine/am/config.yaml",
        "voc_ckpt": "mine/voc/ckpt/checkpoint_1.pth",
        "voc_config": "mine/voc/config.yaml",
        "se_file": "mine/se.npy",
    }
    repository(tmp_path, "F7", model={"custom_ckpt": custom})
    (found,) = voice_sources_from_path(tmp_path)
    assert found.name == "F7"
    assert found.am_checkpoint == tmp_path / "mine/am/ckpt/checkpoint_0.pth"
    assert (found.se, found.mvn) == (tmp_path / "mine/se.npy", None)
    del custom["voc_ckpt"]
    repository(tmp_path, "F7", model={"custom_ckpt": {**custom, "am_ckpt": 3}})
    with pytest.raises(SourceError, match="lacks am_ckpt, voc_ckpt"):
        voice_sources_from_path(tmp_path)


def base_model(root: Path) -> None:
    for name in ("sambert", "hifigan"):
        touch(root / f"basemodel_16k/{name}/config.yaml", text="{}")
        touch(root / f"basemodel_16k/{name}/ckpt/checkpoint_2400000.pth")


def test_the_work_folder_of_a_personal_voice(tmp_path: Path) -> None:
    base_model(tmp_path / "orig_model")
    touch(tmp_path / "tmp_am/config.yaml", tmp_path / "data/audio_config.yaml", text="{}")
    touch(tmp_path / "tmp_am/ckpt/checkpoint_2400300.pth", tmp_path / "data/se/se.npy")
    (found,) = voice_sources_from_path(tmp_path)
    assert found.name == "F7"
    assert found.am_checkpoint == tmp_path / "tmp_am/ckpt/checkpoint_2400300.pth"
    assert found.voc_config == tmp_path / "orig_model/basemodel_16k/hifigan/config.yaml"
    assert found.se == tmp_path / "data/se/se.npy"
    touch(tmp_path / "tmp_voc/config.yaml", tmp_path / "tmp_voc/ckpt/checkpoint_5.pth")
    (tuned,) = voice_sources_from_path(tmp_path)
    assert tuned.voc_checkpoint == tmp_path / "tmp_voc/ckpt/checkpoint_5.pth"


def test_a_base_model(tmp_path: Path) -> None:
    base_model(tmp_path)
    (found,) = voice_sources_from_path(tmp_path)
    assert found.am_checkpoint.name == "checkpoint_2400000.pth"
    with pytest.raises(SourceError, match="holds one voice"):
        voice_sources_from_path(tmp_path, voice="other")


def test_a_tensorflow_voice_is_named_as_such(tmp_path: Path) -> None:
    root = repository(tmp_path, "anna")
    touch(root / "voices/anna/tf_ckpts/ckpt-1.index")
    for path in (root, root / "voices/anna"):
        with pytest.raises(SourceError, match="TensorFlow voice"):
            voice_sources_from_path(path)


def test_everything_missing_is_listed_at_once(tmp_path: Path) -> None:
    touch(tmp_path / "am/ckpt/checkpoint-12.pth", tmp_path / "am/notes.txt")
    with pytest.raises(SourceError) as caught:
        voice_sources_from_path(tmp_path)
    lines = str(caught.value).splitlines()
    assert len([line for line in lines if "missing:" in line]) == 4
    assert "notes.txt" in str(caught.value)
    assert "checkpoint-12.pth" in str(caught.value)


@pytest.mark.parametrize("name", ["..", "a/b", "/etc", "a\\b", "", "C:x"])
def test_voice_names_that_are_no_folder_names_are_refused(tmp_path: Path, name: str) -> None:
    repository(tmp_path, name)
    with pytest.raises(SourceError, match="no folder name"):
        voice_sources_from_path(tmp_path)


def test_what_is_no_voice_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        voice_sources_from_path(tmp_path / "absent")
    touch(tmp_path / "file")
    with pytest.raises(SourceError, match="is a file"):
        voice_sources_from_path(tmp_path / "file")
    with pytest.raises(SourceError, match=r"Looked for: am/ and voc/.*Found: file"):
        voice_sources_from_path(tmp_path)


def test_explicit_files(tmp_path: Path) -> None:
    folder = voice(tmp_path / "anna")
    touch(folder / "am/mvn.npy")
    found = voice_source_from_files(
        am_checkpoint=folder / "am/ckpt", voc_checkpoint=folder / "voc/ckpt/checkpoint_1.pth"
    )
    assert found.am_config == folder / "am/config.yaml"
    assert found.mvn == folder / "am/mvn.npy"
    assert found.audio_config == folder / "audio_config.yaml"
    with pytest.raises(SourceError, match=r"nothing\.yaml"):
        voice_source_from_files(
            am_checkpoint=folder / "am/ckpt",
            voc_checkpoint=folder / "voc/ckpt",
            am_config=folder / "nothing.yaml",
        )


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.yaml", b"- 1\n- 2\n", "holds no settings"),
        ("a.yaml", b"a: [1", "is not plain YAML"),
        ("a.yaml", b"a: !!python/object/apply:os.system [x]", "is not plain YAML"),
        ("a.yaml", b"a: &x {b: 1}\nc: {<<: *x}\n", "merge keys"),
        ("a.yaml", b"a: 2001-99-99", "is not plain YAML"),
        ("a.yaml", b"\xff\xfe\x00", "is not UTF-8"),
        ("a.yaml", b"[" * 5000, "is not plain YAML"),
        ("a.yaml", b" " * (2 << 20), "too large"),
        ("a.json", b"{", "is not JSON"),
        ("a.json", b"[" * 100000, "is not JSON"),
        ("a.json", b"[]", "holds no settings"),
    ],
)
def test_hostile_settings_files_are_refused(
    tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=sentence):
        mapping_from_file(tmp_path / name)
