"""Exporting a voice: whole, repeatable, up to date, and nothing half-written."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from sambert_trt.engines.errors import OutputError, SambertError, SourceError
from sambert_trt.engines.graphs import Stage
from sambert_trt.engines.voice import checked_bytes, manifest_from_directory
from sambert_trt.export.settings import settings_from_source
from sambert_trt.export.source import VoiceSource, voice_sources_from_path

torch = pytest.importorskip("torch")

from sambert_trt.export import voice_export  # noqa: E402
from sambert_trt.export.checkpoint import tensors_from_safetensors  # noqa: E402
from sambert_trt.export.stages import StageModule  # noqa: E402
from sambert_trt.export.voice_export import (  # noqa: E402
    LoadedVoice,
    export_voice,
    load_voice,
)

pytestmark = pytest.mark.export


def only(folder: Path) -> VoiceSource:
    (source,) = voice_sources_from_path(folder)
    return source


@pytest.fixture
def folder(tiny_source: Callable[[str], Path], tmp_path: Path) -> Path:
    """A source folder that may be damaged."""
    return Path(shutil.copytree(tiny_source("plain"), tmp_path / "source"))


def test_a_voice_directory_is_whole(tiny_voice: Callable[[str], Path]) -> None:
    directory = tiny_voice("nsf")
    manifest = manifest_from_directory(directory)
    for record in manifest.files:
        assert checked_bytes(directory, record)
    names = sorted(p.relative_to(directory).as_posix() for p in directory.rglob("*") if p.is_file())
    graphs = sorted(f"onnx/{stage.value}.onnx" for stage in Stage)
    weights = ["source/acoustic.safetensors", "source/vocoder.safetensors"]
    assert names == sorted([*graphs, *weights, "styles.npz", "voice.json"])
    assert manifest.f0 is not None
    assert (manifest.f0.scale, manifest.f0.offset, manifest.f0.dtype) == (60.25, 210.5, "float64")
    assert manifest.frame_channels == manifest.mel_channels + 2


def test_the_weights_are_kept_as_they_were(
    tiny_voice: Callable[[str], Path], tiny_source: Callable[[str], Path]
) -> None:
    path = tiny_voice("plain") / "source/acoustic.safetensors"
    found, metadata = tensors_from_safetensors(path)
    assert "source_sha256" in metadata
    checkpoint = torch.load(tiny_source("plain") / "am/ckpt/checkpoint_0.pth")["model"]
    assert set(found) == set(checkpoint)
    for name, tensor in checkpoint.items():
        assert np.array_equal(found[name], tensor.numpy()), name


@pytest.mark.usefixtures("_quick")
def test_the_same_files_are_exported_once(folder: Path, tmp_path: Path) -> None:
    source, target = only(folder), tmp_path / "voice"
    first = export_voice(source, target)
    assert not first.unchanged
    assert [report.stage for report in first.stages] == list(Stage)
    assert all(report.gflop > 0 for report in first.stages)
    again = export_voice(source, target)
    assert again.unchanged
    assert again.manifest == first.manifest
    (target / "onnx/prosody.onnx").write_bytes(b"damaged")
    assert not export_voice(source, target).unchanged
    assert export_voice(source, target).unchanged
    assert sorted(p.name for p in tmp_path.iterdir()) == ["source", "voice"]


@pytest.fixture
def _quick(
    monkeypatch: pytest.MonkeyPatch,
    tiny_source: Callable[[str], Path],
    loaded: Callable[[Path], LoadedVoice],
) -> None:
    """The plain tiny voice without reading weights or tracing, to test everything around that."""
    from sambert_trt.export.onnx_graphs import GraphReport

    def write(stage: StageModule, path: Path) -> GraphReport:
        path.write_bytes(stage.graph.as_json().encode())
        return GraphReport(1, 1, path.stat().st_size, 1, 0.0)

    def load(source: VoiceSource, *, language: str | None = None) -> LoadedVoice:
        settings = settings_from_source(source, language=language)
        return dataclasses.replace(loaded(tiny_source("plain")), settings=settings)

    monkeypatch.setattr(voice_export, "write_graph", write)
    monkeypatch.setattr(voice_export, "load_voice", load)


@pytest.mark.usefixtures("_quick")
def test_what_makes_an_export_stale(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "voice"
    assert not export_voice(only(folder), target).unchanged
    assert export_voice(only(folder), target).unchanged
    assert not export_voice(only(folder), target, force=True).unchanged
    assert not export_voice(only(folder), target, language="PinYin").unchanged
    (folder / "LICENSE").write_text("mine", encoding="utf-8")
    assert not export_voice(only(folder), target).unchanged
    assert (target / "LICENSE").read_text(encoding="utf-8") == "mine"
    path = folder / "voc/config.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "\n# new\n", encoding="utf-8")
    assert not export_voice(only(folder), target).unchanged


@pytest.mark.usefixtures("_quick")
def test_progress_is_told_step_by_step(folder: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    export_voice(only(folder), tmp_path / "v", progress=lambda *step: told.append(step))
    assert [step[1] for step in told] == list(range(len(Stage) + 3))
    assert {step[2] for step in told} == {len(Stage) + 2}
    assert told[0][0] == "reading"
    assert told[-1][0] == "done"


@pytest.mark.usefixtures("_quick")
def test_the_personal_voice_speaks_by_default(folder: Path, tmp_path: Path) -> None:
    path = folder / "am/config.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    for names, expected in (("M7,F7", "F7"), ("anna,M7", "anna")):
        config["linguistic_unit"]["speaker_list"] = names
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        assert export_voice(only(folder), tmp_path / "v").manifest.default_speaker == expected


@pytest.mark.usefixtures("_quick")
def test_what_was_never_learned_is_handed_on(folder: Path, tmp_path: Path) -> None:
    path = folder / "am/config.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    untrained = {"sy": ["uar_c", "aa"], "emo_category": ["emotion_fear"]}
    config["linguistic_unit"]["untrained"] = untrained
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    found = export_voice(only(folder), tmp_path / "v").manifest
    assert found.untrained == {field: tuple(names) for field, names in untrained.items()}
    assert "uar_c" in found.units["sy"]
    assert "emotion_fear" not in found.trained_emotions


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
def test_an_interrupted_export_leaves_what_was_there(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    existing: bool,
    error: BaseException,
) -> None:
    target = tmp_path / "out" / "voice"
    target.parent.mkdir()
    if existing:
        export_voice(only(folder), target)

    def failing(*_: object) -> None:
        raise error

    monkeypatch.setattr(voice_export, "_write_weights", failing)
    expected = OutputError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected):
        export_voice(only(folder), target, force=True)
    assert [p.name for p in target.parent.iterdir()] == (["voice"] if existing else [])
    if existing:
        assert manifest_from_directory(target).name == "source"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_fills_while_a_graph_is_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnx

    def full(model: object, path: str) -> None:
        with Path("/dev/full").open("wb") as file:
            file.write(b"x" * 100_000)

    monkeypatch.setattr(onnx, "save", full)
    with pytest.raises(OutputError, match="No space left on device"):
        export_voice(only(folder), tmp_path / "out/voice")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ("am", "missing"),
        ("voc", "unexpected"),
        ("am", "shape"),
        ("voc", "truncated"),
        ("am", "empty"),
    ],
)
def test_weights_that_do_not_fit(folder: Path, tmp_path: Path, part: str, kind: str) -> None:
    path = folder / part / "ckpt/checkpoint_0.pth"
    content = torch.load(path)
    tensors = content["model"] if part == "am" else content["model"]["generator"]
    name = next(iter(tensors))
    if kind == "missing":
        del tensors[name]
    elif kind == "unexpected":
        tensors["of.nobody"] = torch.zeros(3)
    elif kind == "shape":
        tensors[name] = tensors[name][..., :-1].clone()
    torch.save(content, path)
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:-200])
    elif kind == "empty":
        path.write_bytes(b"")
    shown = {"missing": name, "shape": name, "unexpected": "of.nobody"}.get(kind, path.name)
    with pytest.raises(SourceError, match=shown.replace(".", r"\.")):
        export_voice(only(folder), tmp_path / "v")
    assert not (tmp_path / "v").exists()


@pytest.mark.parametrize("key", ["num_mels", "outputs_per_step", "encoder_num_units"])
def test_a_missing_setting_is_named(folder: Path, tmp_path: Path, key: str) -> None:
    path = folder / "am/config.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    del config["Model"]["KanTtsSAMBERT"]["params"][key]
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    with pytest.raises(SourceError, match=f"{key} is missing"):
        export_voice(only(folder), tmp_path / "v")
    assert not (tmp_path / "v").exists()


@pytest.mark.usefixtures("_quick")
def test_a_target_that_is_something_else(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "notes"
    target.mkdir()
    (target / "thesis.tex").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="exists and is not a voice directory"):
        export_voice(only(folder), target)
    assert [p.name for p in target.iterdir()] == ["thesis.tex"]


def test_filled_pauses_are_encoded_beforehand(
    tiny_source: Callable[[str], Path], loaded: Callable[[Path], LoadedVoice]
) -> None:
    voice = loaded(tiny_source("fp"))
    assert voice.pauses is not None
    assert voice.pauses.shape == (3, 3, 8)
    assert np.abs(voice.pauses[0] - voice.pauses[1]).max() > 1e-3
    assert loaded(tiny_source("plain")).pauses is None


def test_a_table_with_more_positions_than_configured(folder: Path) -> None:
    """max_len of the file and of the checkpoint may differ: the checkpoint's table is used."""
    path = folder / "am/ckpt/checkpoint_0.pth"
    content = torch.load(path)
    name = "text_encoder.ling_enc.position_enc.position_enc"
    content["model"][name] = torch.cat([content["model"][name]] * 2, dim=1)
    torch.save(content, path)
    table = load_voice(only(folder)).model.text_encoder.ling_enc.position_enc.position_enc
    assert table.shape[1] == 240


PROGRAM = """
import sys
from pathlib import Path
from sambert_trt.export.cli import main
sys.exit(main([sys.argv[1], "-o", sys.argv[2]]))
"""


@pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")
def test_ctrl_c_while_exporting(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "out"
    place.mkdir()
    process = subprocess.Popen(
        (sys.executable, "-c", PROGRAM, str(folder), str(place / "voice")),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 60
    while len(list(place.rglob("*.onnx"))) < 2 and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert b"nothing was left half-written" in errors
    assert list(place.iterdir()) == []


@pytest.mark.usefixtures("_quick")
def test_a_manifest_names_its_sources_and_no_place(folder: Path, tmp_path: Path) -> None:
    export_voice(only(folder), tmp_path / "v")
    text = (tmp_path / "v/voice.json").read_text(encoding="utf-8")
    files = json.loads(text)["provenance"]["files"]
    assert set(files) >= {"am_config", "am_checkpoint", "voc_config"}
    assert str(tmp_path) not in text


def test_errors_are_of_one_family(tmp_path: Path) -> None:
    with pytest.raises(SambertError):
        voice_sources_from_path(tmp_path / "absent")
