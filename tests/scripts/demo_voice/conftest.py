"""The scripts as modules, a made-up corpus of three short sentences, and a few real ones."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent.parent.parent

if str(ROOT / "scripts") not in sys.path:
    sys.path.append(str(ROOT / "scripts"))

RATE, HOP = 16000, 200
SENTENCES = (
    ("one-0001", 1, "你好。", "n i3 h ao3", (6, 14, 8, 20, 0), 150.0),
    ("one-0002", 2, "老师好。", "l ao3 sh ih1 h ao3", (7, 13, 9, 15, 6, 18, 0), 200.0),
    ("one-0003", 43, "妈妈好。", "m a1 m a5 h ao3", (6, 16, 5, 14, 8, 17, 0), 250.0),
)
"""Id, row of the full list, text, phones by syllable, frames of each symbol, hertz of the voice."""


@pytest.fixture
def made_corpus(tmp_path: Path) -> Path:
    """A corpus folder: hums of 150, 200 and 250 Hz with silence around them; row 43 is held out."""
    return write_corpus(tmp_path / "corpus")


@pytest.fixture(scope="session")
def real_sentences(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus folder of eight real sentences, with the pitch and energy that came with them."""
    source, folder = shared / "corpus" / "hsk", tmp_path_factory.mktemp("real")
    if not (source / "durations.npz").is_file():
        pytest.skip("the corpus is not at ../shared/corpus/hsk")
    with np.load(source / "durations.npz") as file:
        arrays = dict(file)
    places = range(100, len(arrays["id"]), 550)
    ends = np.cumsum(arrays["length"])
    spans = [np.arange(ends[place - 1], ends[place]) for place in places]
    for name in ("duration", "pitch", "energy"):
        arrays[name] = arrays[name][np.concatenate(spans)]
    for name in ("id", "index", "text", "symbols", "length", "start_sample", "frames"):
        arrays[name] = arrays[name][list(places)]
    write_durations(folder, arrays)
    rows = zip(arrays["id"].tolist(), arrays["text"].tolist(), strict=True)
    lines = "\n".join(["id,text", *(f"{name},{text}" for name, text in rows)])
    (folder / "metadata.csv").write_text(lines + "\n", encoding="utf-8")
    (folder / "audio").mkdir()
    for name in arrays["id"].tolist():
        shutil.copy(source / "audio" / f"{name}.ogg", folder / "audio")
    return folder


def write_corpus(folder: Path) -> Path:
    """Writes the corpus."""
    import soundfile

    (folder / "audio").mkdir(parents=True)
    for name, _, _, _, frames, hertz in SENTENCES:
        path = folder / "audio" / f"{name}.ogg"
        soundfile.write(path, hum(sum(frames), hertz), RATE, format="OGG", subtype="OPUS")
    rows = [f"{name},1,{text},{phones}" for name, _, text, phones, _, _ in SENTENCES]
    lines = "\n".join(["id,level,text,pinyin_numbered", *rows])
    (folder / "metadata.csv").write_text(lines + "\n", encoding="utf-8")
    write_durations(folder, durations())
    return folder


def durations() -> dict[str, NDArray[Any]]:
    """The arrays of durations.npz."""
    return {
        "id": np.array([one[0] for one in SENTENCES]),
        "index": np.array([one[1] for one in SENTENCES], np.int32),
        "text": np.array([one[2] for one in SENTENCES]),
        "symbols": np.array([symbols(one[3]) for one in SENTENCES]),
        "length": np.array([len(one[4]) for one in SENTENCES], np.int32),
        "start_sample": np.full(len(SENTENCES), 4 * HOP, np.int32),
        "frames": np.array([sum(one[4]) for one in SENTENCES], np.int16),
        "duration": np.concatenate([one[4] for one in SENTENCES]).astype(np.int16),
    }


def write_durations(folder: Path, arrays: dict[str, Any]) -> None:
    """Writes durations.npz."""
    np.savez(folder / "durations.npz", **arrays)


def symbols(phones: str) -> str:
    """Phones, an initial and a final with its tone in turn, as one word and its end."""
    words = phones.split()
    rows = []
    for place, (initial, final) in enumerate(zip(words[::2], words[1::2], strict=True)):
        tone, last = final[-1], place == len(words) // 2 - 1
        rows.append(f"{initial}_c$tone{tone}$s_begin${'word_middle' if place else 'word_begin'}")
        rows.append(f"{final[:-1]}_c$tone{tone}$s_end${'word_end' if last else 'word_middle'}")
    rows.append("#4$tone_none$s_none$word_none")
    return " ".join(f"{{{row}$emotion_neutral$F7}}" for row in rows)


def hum(frames: int, hertz: float) -> NDArray[np.float32]:
    """Ten harmonics in `frames` frames, four silent frames before and after them."""
    t = np.arange(frames * HOP) / RATE
    waves = [np.sin(2 * np.pi * hertz * k * t) / k for k in range(1, 11)]
    wave = 0.2 * np.sum(waves, axis=0) * np.clip(np.minimum(t, t[::-1]) * 100, 0, 1)
    return np.pad(wave, 4 * HOP).astype(np.float32)
