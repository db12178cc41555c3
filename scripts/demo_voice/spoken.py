"""What an acoustic model makes of a dataset's sentences, frame by frame beside their recordings.

Its mels are smoother than those of recordings, and a vocoder that has met them sounds better (Kong,
Kim and Bae, "HiFi-GAN", NeurIPS 2020, section 4.4). Durations, pitch and energy are those of the
recordings; the decoder is told what it said itself when it was told the recording.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from sambert_trt.engines.errors import InputError
from sambert_trt.export.sambert import Sambert

from .acoustic import decode, encode, frames_before, refine, regulate, styles_of, with_prosody
from .acoustic_task import AcousticSizes, emotion_rows, sentence_of, voice_vocabulary
from .batches import AcousticBatch, batch_of
from .checkpoints import Checkpoint, checkpoint_of_run
from .growing import growing
from .progress import SILENT, Moment, Watcher

if TYPE_CHECKING:
    from .dataset import Dataset

__all__ = ["Spoken", "spoken_dataset"]

_TOGETHER = 16
"""Sentences of a batch."""


@dataclass(frozen=True)
class Spoken:
    """A dataset with mels that an acoustic model spoke after that many steps."""

    dataset: Dataset
    steps: int


def spoken_dataset(
    acoustic: Path, dataset: Dataset, device: torch.device, watcher: Watcher = SILENT
) -> Spoken:
    """The dataset with mels as an acoustic model speaks them.

    They are written into the model's folder, once for each of its checkpoints.

    Args:
        acoustic: folder of the model's training; its newest checkpoint speaks.
        device: where.
        watcher: is shown how it goes on; some minutes for some hours of speech.

    Raises:
        SourceError: the folder holds no checkpoint, a damaged one, or one of a vocoder.
        InputError: it learned from another dataset.
        OutputError: the mels cannot be written.
    """
    saved = checkpoint_of_run(acoustic, "acoustic", dataset.fingerprint)
    path = acoustic / f"spoken-{saved.step}.npy"
    shape = (dataset.settings.frames, dataset.settings.mels)
    if not path.exists():
        watcher.say(f"the acoustic model, {saved.step:,} steps old, speaks every sentence")
        with growing(path, shape, np.dtype(np.float16)) as add:
            for mel in _spoken(_model(saved, dataset, device), dataset, device, watcher):
                add(mel)
    try:
        mels = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} cannot be read ({error}): delete it") from error
    if mels.shape != shape:
        raise InputError(f"{path} has shape {mels.shape}, not {shape}: delete it")
    return Spoken(dataset.with_mels(mels), saved.step)


def _model(saved: Checkpoint, dataset: Dataset, device: torch.device) -> Sambert:
    sizes = AcousticSizes(**saved.settings["sizes"])
    model = Sambert(sizes.config(), voice_vocabulary(dataset.settings.speaker))
    model.load_state_dict(dict(saved.average))
    return model.to(device).eval()


def _spoken(
    model: Sambert, dataset: Dataset, device: torch.device, watcher: Watcher
) -> Iterator[NDArray[np.float32]]:
    """The mels [F, mels] of every utterance, in order."""
    rows = emotion_rows(dataset.settings)
    started = time.monotonic()
    for first in range(0, len(dataset), _TOGETHER):
        end = min(first + _TOGETHER, len(dataset))
        sentences = [
            sentence_of(dataset[index], dataset.settings, rows, nsf=model.config.nsf)
            for index in range(first, end)
        ]
        mels = _said(model, batch_of(sentences).to(device))
        for sentence, mel in zip(sentences, mels, strict=True):
            yield mel[: len(sentence.frames), : dataset.settings.mels]
        speed = end / max(time.monotonic() - started, 1e-9)
        left = (len(dataset) - end) / speed
        watcher.show(Moment(end, end / len(dataset), {}, speed, left, 0))


@torch.inference_mode()
def _said(model: Sambert, batch: AcousticBatch) -> NDArray[np.float32]:
    """The frames [B, F, C] of a batch."""
    styles, mask = styles_of(model, batch.emotion), batch.symbols
    text = encode(model, batch.ling, mask)
    spoken = with_prosody(model, text, batch.pitch, batch.energy, mask)
    memory = regulate(model, spoken, styles, batch.duration)
    wanted = F.pad(batch.mel, (0, 0, 0, memory.frames.shape[1] - batch.mel.shape[1]))
    own = decode(model, memory, frames_before(model, wanted))
    mel = refine(model, decode(model, memory, frames_before(model, own)), memory.frames)
    found: NDArray[np.float32] = mel.cpu().numpy()
    return found
