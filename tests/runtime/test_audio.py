"""Samples in files: whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from sambert_trt.engines.errors import InputError, OutputError
from sambert_trt.runtime.audio import Audio, audio_writer, int16_from_float, replaced_file

RATE = 8000


def tone(seconds: float = 0.5, rate: int = RATE) -> NDArray[np.float32]:
    time = np.arange(int(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)


def test_samples_are_truncated_towards_zero_and_clipped() -> None:
    values = np.array([0, 0.99, -0.99, 1.0, -1.0, 1.7, -1.7, 1.9 / 32768, -1.9 / 32768], np.float32)
    expected = [0, 32440, -32440, 32767, -32768, 32767, -32768, 1, -1]
    assert int16_from_float(values).tolist() == expected


@pytest.mark.parametrize("suffix", [".wav", ".WAV", ".flac", ".ogg"])
@pytest.mark.parametrize("rate", [None, 16000])
def test_a_file_holds_the_samples(tmp_path: Path, suffix: str, rate: int | None) -> None:
    path = tmp_path / f"a{suffix}"
    Audio(tone(), RATE).save(path, rate=rate)
    samples, found = soundfile.read(path, dtype="float32")
    assert found == (rate or RATE)
    expected = tone(rate=rate or RATE)
    assert len(samples) == pytest.approx(len(expected), abs=2)
    middle = slice(400, len(expected) - 400)
    tolerance = 0.05 if suffix == ".ogg" else 2e-3
    assert np.abs(samples[middle] - expected[middle]).max() <= tolerance
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_blocks_are_one_file(tmp_path: Path) -> None:
    with audio_writer(tmp_path / "a.wav", RATE) as writer:
        for block in np.array_split(tone(), 7):
            writer.write(block)
    samples, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert np.array_equal(samples, int16_from_float(tone()))


def test_resampling_in_blocks_is_resampling_at_once(tmp_path: Path) -> None:
    with audio_writer(tmp_path / "a.wav", RATE, rate=12000) as writer:
        for block in np.array_split(tone(), 50):
            writer.write(block)
    samples, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    whole = Audio(tone(), RATE).resampled(12000)
    assert whole.sample_rate == 12000
    assert abs(len(samples) - len(whole.samples)) <= 1
    count = min(len(samples), len(whole.samples))
    assert np.abs(samples[:count] - whole.samples[:count]).max() <= 1e-3


def test_no_samples_are_an_empty_file(tmp_path: Path) -> None:
    Audio(np.zeros(0, np.float32), RATE).save(tmp_path / "a.wav")
    assert soundfile.info(tmp_path / "a.wav").frames == 0


@pytest.mark.parametrize("name", ["a.mp3", "a", "a.wav.txt", ".wav"])
def test_other_suffixes_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"files end in \.wav, \.flac, \.ogg"):
        Audio(tone(), RATE).save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rate", [0, 3999, 192_001, -8000])
def test_rates_no_player_knows(tmp_path: Path, rate: int) -> None:
    with pytest.raises(InputError, match="needs 4000 to 192000"):
        Audio(tone(), RATE).save(tmp_path / "a.wav", rate=rate)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.wav").mkdir()
    with pytest.raises(OutputError, match="is a folder; name a file"):
        Audio(tone(), RATE).save(tmp_path / "a.wav")


@pytest.mark.parametrize("parent", ["absent", "file"])
def test_a_place_that_is_no_folder(tmp_path: Path, parent: str) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="choose a writable place"):
        Audio(tone(), RATE).save(tmp_path / parent / "a.wav")


def fail_after_writing(path: Path, error: BaseException) -> None:
    with audio_writer(path, RATE) as writer:
        writer.write(tone())
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("x")])
@pytest.mark.parametrize("existing", [True, False])
def test_an_error_leaves_what_was_there(
    tmp_path: Path, error: BaseException, existing: bool
) -> None:
    path = tmp_path / "a.wav"
    if existing:
        path.write_bytes(b"old")
    with pytest.raises(type(error)):
        fail_after_writing(path, error)
    assert [p.name for p in tmp_path.iterdir()] == (["a.wav"] if existing else [])
    assert not existing or path.read_bytes() == b"old"


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(OutputError, match="free some space"), replaced_file(path):
        raise full
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_fills_while_samples_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = soundfile.SoundFile
    monkeypatch.setattr(soundfile, "SoundFile", lambda name, *a, **k: opened("/dev/full", *a, **k))
    with pytest.raises(OutputError, match=r"a\.wav cannot be written"):
        Audio(tone(30.0), RATE).save(tmp_path / "a.wav")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="modes are those of POSIX")
def test_a_file_has_the_mode_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("", encoding="utf-8")
    Audio(tone(), RATE).save(tmp_path / "a.wav")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "a.wav")}
    assert len(modes) == 1
