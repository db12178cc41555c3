"""Measures a voice on sentences it was never trained on, beside the recordings themselves.

    python scripts/train_voice.py evaluate VOICE DATASET OUT

The voice speaks through the project's runtime. evaluation.json, evaluation.md and pictures are
written into the output folder.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path

from sambert_trt.engines.errors import InputError, OutputError
from sambert_trt.runtime.audio import replaced_file

from .dataset import Dataset
from .examination import Sights, examine
from .hearing import find_ears
from .loss_log import loss_lines
from .loss_plots import draw_losses
from .material import material_from_dataset
from .pictures import mel_picture, pitch_picture
from .run_folder import LOSSES
from .scores import Evaluation
from .speaking import opened_speaker
from .tables import markdown_from_evaluation

__all__ = ["EVALUATION", "add_arguments", "run", "write_evaluation"]

EVALUATION = "evaluation.json"


def add_arguments(parser: ArgumentParser) -> None:
    """The command's options."""
    places = {
        "voice": "a voice directory, or a KAN-TTS voice folder",
        "dataset": "what prepare wrote",
        "out": "the folder for what is found",
    }
    for name, what in places.items():
        parser.add_argument(name, type=Path, metavar=name.upper(), help=what)
    parser.add_argument("--sentences", type=int, default=100, help="at most (default 100)")
    parser.add_argument("--threads", type=int, default=1, help="of the processor (default 1)")
    parser.add_argument(
        "--losses", type=Path, action="append", default=[], metavar="RUN",
        help="a training's folder, whose losses are drawn; may be repeated",
    )  # fmt: skip


def run(options: Namespace) -> int:
    """Does what the options say; returns the exit status.

    Raises:
        InputError, SourceError, VoiceError: no such dataset or voice, or they do not fit.
        OutputError: what was found cannot be written.
    """
    material = material_from_dataset(Dataset.open(options.dataset), options.sentences)
    ears = find_ears(options.threads)
    for reason in ears.missing.values():
        print(f"left out: {reason}", file=sys.stderr)
    with opened_speaker(options.voice, options.threads) as speaker:
        evaluation, sights = examine(speaker, material, ears, _show)
    write_evaluation(options.out, evaluation, sights, options.losses)
    print(markdown_from_evaluation(evaluation))
    print(f"{options.out / EVALUATION}: {evaluation.seconds:.0f} s")
    return 0


def write_evaluation(
    folder: Path, evaluation: Evaluation, sights: Sights, runs: Sequence[Path]
) -> None:
    """Writes evaluation.json, evaluation.md and the pictures, each whole or not at all.

    Args:
        folder: made where it does not exist.
        evaluation: the figures.
        sights: what pictures show; without matplotlib there are none.
        runs: folders of trainings, whose losses are drawn.

    Raises:
        InputError: a folder of a training holds no losses.
        OutputError: a file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {error.strerror}; choose another") from error
    names = [*_draw(folder, sights), *_draw_losses(folder, runs)]
    _write(folder / "evaluation.md", markdown_from_evaluation(evaluation, names))
    _write(folder / EVALUATION, evaluation.as_json())  # last: where it is, everything is


def _write(path: Path, text: str) -> None:
    with replaced_file(path) as fresh:
        fresh.write_text(text, encoding="utf-8")


def _draw(folder: Path, sights: Sights) -> Iterator[str]:
    """Draws and names what the evaluation saw; nothing, and a word about it, without matplotlib."""
    try:
        pictures = {
            "mels.png": mel_picture(sights.mels),
            "pitch.png": pitch_picture(sights.pitches),
        }
    except ImportError as error:
        print(f"no pictures ({error}): pip install matplotlib", file=sys.stderr)
        return
    for name, content in pictures.items():
        with replaced_file(folder / name) as fresh:
            fresh.write_bytes(content)
        yield name


def _draw_losses(folder: Path, runs: Sequence[Path]) -> Iterator[str]:
    for run_folder in runs:
        lines, name = loss_lines(run_folder / LOSSES), f"losses-{run_folder.name}.png"
        if not lines:
            raise InputError(f"{run_folder} holds no losses of a training; name its folder")
        draw_losses(lines, folder / name, run_folder.name)
        yield name


def _show(done: int, total: int) -> None:
    end = "\n" if done == total else ""
    print(f"\r{done} of {total} sentences", end=end, file=sys.stderr, flush=True)
