"""The command `prepare`: a corpus into a dataset, a copy of each sentence for every emotion.

Interrupted, it goes on; finished, it is recognised; with other options it is refused. Imports no
torch.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from sambert_trt.engines.errors import InputError, OutputError
from sambert_trt.engines.locks import locked
from sambert_trt.export.phone_sets import EMOTIONS

from .corpus import Corpus, Sentence, corpus_from_folder
from .dataset import FACTS, Dataset, DatasetSettings, Emotion
from .dataset_files import Origin, write_dataset
from .field_options import add_fields, object_from_options
from .mel import MelRecipe
from .parts import Part, made_part, parts_of

__all__ = ["Request", "Work", "add_arguments", "prepare", "run"]

_PARTS, _LOCK = "parts", ".prepare.lock"
_SEMITONES = 12.0


@dataclass(frozen=True)
class Request:
    """What the dataset is to hold.

    Attributes:
        emotions: a copy for each, as NAME=SEMITONES: so much higher, and as much faster.
        speaker: whom the corpus's symbols name.
        held_out_every: of so many rows of the corpus's full list one is never learned from.
        held_out_place: which one of them, from 0.
        sentences: use so many, spread evenly over the corpus; 0 for all.
        attribution: whom the corpus is owed to; the default is of the demo voice's.
    """

    emotions: tuple[str, ...] = ("neutral=0", "happy=2.4", "sad=-2.4")
    speaker: str = "F7"
    held_out_every: int = 40
    held_out_place: int = 3
    sentences: int = 0
    attribution: str = (
        "hsk-sentences-audio (CC-BY-SA 4.0), audio synthesised with CosyVoice2-0.5B (Apache-2.0), "
        "pinyin from CC-CEDICT (CC-BY-SA 4.0)"
    )

    def checked_emotions(self) -> tuple[Emotion, ...]:
        """The emotions by name and factor.

        Raises:
            InputError: one is written wrongly, unknown or named twice, or a number is out of range.
        """
        if not 0 <= self.held_out_place < self.held_out_every or self.sentences < 0:
            raise InputError(
                f"row {self.held_out_place} of every {self.held_out_every} held out, "
                f"{self.sentences} sentences: the row is from 0 on and below the number of rows, "
                "sentences are 0 or more"
            )
        found = tuple(_emotion(told) for told in self.emotions)
        if not found or len({one.name for one in found}) < len(found):
            raise InputError(f"emotions {' '.join(self.emotions)}: name each once, at least one")
        return found

    def holds_out(self, sentence: Sentence) -> bool:
        """Whether a sentence is never learned from."""
        return sentence.index % self.held_out_every == self.held_out_place


@dataclass(frozen=True)
class Work:
    """How the dataset is made.

    Attributes:
        jobs: processes at a time; 0 for as many as there are processors.
        skip_broken: go on without sentences that cannot be used.
    """

    jobs: int = 0
    skip_broken: bool = False


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("corpus", type=Path, metavar="CORPUS", help="its folder: see corpus.py")
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="the folder to write")
    add_fields(parser, Request)
    add_fields(parser, Work)


def run(options: Namespace) -> int:
    """Prepares, with a bar on standard error; returns the exit status."""
    from tqdm import tqdm

    request, work = object_from_options(Request, options), object_from_options(Work, options)
    with tqdm(unit="part", desc="prepare", file=sys.stderr, delay=0.5) as bar:

        def progress(done: int, whole: int) -> None:
            bar.total = whole
            bar.update(done - bar.n)

        def say(text: str) -> None:
            bar.write(text, file=sys.stderr)

        settings = prepare(options.corpus, options.dataset, request, work, say, progress)
    hours = settings.frames * settings.hop / settings.sampling_rate / 3600
    print(f"{options.dataset}: {settings.utterances:,} utterances, {hours:.2f} hours")
    return 0


def prepare(
    corpus: Path,
    folder: Path,
    request: Request,
    work: Work,
    say: Callable[[str], None],
    progress: Callable[[int, int], None] = lambda done, whole: None,
) -> DatasetSettings:
    """Makes a dataset of a corpus, or recognises the one that is there.

    Args:
        say: is told each problem, and what is found made.
        progress: is told how many parts of how many are made.

    Raises:
        InputError: options or the corpus cannot be used, sentences of it are broken, or the folder
            holds a dataset of other options.
        OutputError: something cannot be written.
        EngineError: the package filelock is not installed.
    """
    emotions = request.checked_emotions()
    read = corpus_from_folder(corpus, request.speaker)
    with _alone(folder):
        wanted = json.loads(json.dumps({**asdict(request), "corpus": read.fingerprint}))
        if (folder / FACTS).exists():
            settings = _finished(folder, wanted)
            say(f"{folder} is prepared already")
            return settings
        parts = parts_of(_chosen(read, request), emotions, MelRecipe(), folder / _PARTS)
        skipped = _made(parts, read, work, say, progress)
        origin = Origin(request.speaker, request.attribution, request.holds_out, skipped, wanted)
        return write_dataset(folder, parts, origin)


def _emotion(told: str) -> Emotion:
    name, _, semitones = told.partition("=")
    try:
        shift = float(semitones)
    except ValueError:
        shift = math.nan
    if f"emotion_{name}" not in EMOTIONS or not -_SEMITONES <= shift <= _SEMITONES:
        known = ", ".join(one.removeprefix("emotion_") for one in EMOTIONS)
        raise InputError(
            f"the emotion {told!r}: needs NAME=SEMITONES from -12 to 12, the name one of {known}"
        )
    return Emotion(name, 2 ** (shift / 12))


def _chosen(corpus: Corpus, request: Request) -> Sequence[Sentence]:
    whole = len(corpus.sentences)
    count = min(request.sentences or whole, whole)
    if not count:
        told = f": {corpus.problems[0]}" if corpus.problems else ""
        raise InputError(f"{corpus.folder} has no sentence that can be used{told}")
    return [corpus.sentences[number * whole // count] for number in range(count)]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Makes the folder, keeps other preparations out of it, and clears up after a finished one."""
    try:
        (folder / _PARTS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder} cannot hold a dataset: {error.strerror or error}; name another folder"
        ) from error
    with locked(folder / _LOCK, 0, "export"):
        try:
            yield
        finally:
            if (folder / FACTS).exists():
                shutil.rmtree(folder / _PARTS, ignore_errors=True)


def _finished(folder: Path, wanted: dict[str, Any]) -> DatasetSettings:
    """The facts of the dataset that is there, which must be of what is wanted."""
    settings = Dataset.open(folder).settings
    found = settings.request
    differing = [
        f"{name} is {found.get(name)!r} there and {wanted.get(name)!r} here"
        for name in sorted({*found, *wanted})
        if found.get(name) != wanted.get(name)
    ]
    if differing:
        raise InputError(
            f"{folder} holds a dataset made otherwise: {'; '.join(differing)}. Name another "
            "folder, or delete it"
        )
    return settings


def _made(
    parts: Sequence[Part],
    corpus: Corpus,
    work: Work,
    say: Callable[[str], None],
    progress: Callable[[int, int], None],
) -> tuple[str, ...]:
    """Makes the parts; returns the lines on sentences that are left out."""
    problems = list(corpus.problems)
    for line in problems:
        say(line)
    progress(0, len(parts))
    for done, found in enumerate(_results(parts, work.jobs or os.cpu_count() or 1), start=1):
        problems += found
        for line in found:
            say(line)
        progress(done, len(parts))
    if problems and not work.skip_broken:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise InputError(
            f"{len(problems)} sentences of {corpus.folder} cannot be used: "
            f"{'; '.join(problems[:3])}{more}. Repair them, or leave them out with --skip-broken"
        )
    if problems:
        say(f"{len(problems)} sentences of {corpus.folder} are left out")
    return tuple(sorted(problems))


def _results(parts: Sequence[Part], jobs: int) -> Iterator[tuple[str, ...]]:
    """The problems of each part, as it is made."""
    if min(jobs, len(parts)) == 1:
        yield from map(made_part, parts)
        return
    pool = ProcessPoolExecutor(
        min(jobs, len(parts)), mp_context=get_context("spawn"), initializer=_leave_interrupts
    )
    try:
        for future in as_completed([pool.submit(made_part, part) for part in parts]):
            yield future.result()
    except BrokenProcessPool as error:
        raise OutputError(
            f"one of {jobs} processes was ended from outside, as by a lack of memory; run the same "
            "command again, with fewer --jobs"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_interrupts() -> None:
    """Ctrl-C goes to all processes: the one that started the others ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
