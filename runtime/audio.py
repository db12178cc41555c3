"""Samples, and writing them to a file whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.errors import InputError, OutputError, SambertError

__all__ = [
    "FORMATS",
    "Audio",
    "AudioChunk",
    "AudioWriter",
    "audio_writer",
    "int16_from_float",
    "replaced_file",
]

FORMATS = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS")}
RATES = (4000, 192_000)
_BLOCK = 1 << 16
_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))


@dataclass(frozen=True)
class Audio:
    """Mono speech: float32 samples [n] in [-1, 1] at `sample_rate` hertz."""

    samples: NDArray[np.float32]
    sample_rate: int
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.samples) / self.sample_rate

    def int16(self) -> NDArray[np.int16]:
        """16-bit samples [n]; see `int16_from_float`."""
        return int16_from_float(self.samples)

    def resampled(self, rate: int) -> Audio:
        """The same at another rate, through soxr at high quality."""
        if rate == self.sample_rate:
            return self
        import soxr

        check_rate(rate)
        return Audio(soxr.resample(self.samples, self.sample_rate, rate), rate, self.timings)

    def save(self, path: str | os.PathLike[str], *, rate: int | None = None) -> None:
        """Writes WAV, FLAC or OGG by the name's suffix.

        Raises:
            InputError: another suffix, or a rate outside 4 to 192 kHz.
            OutputError: the file cannot be written; what stood there is untouched.
        """
        with audio_writer(Path(path), self.sample_rate, rate=rate) as writer:
            writer.write(self.samples)


@dataclass(frozen=True)
class AudioChunk:
    """A piece of speech as soon as it is there.

    Attributes:
        samples: float32 [n]; silence between sentences stands at the start of a chunk, and what
            a text asks for at its end is a chunk of its own.
        sample_rate: hertz.
        start_seconds: where it begins in the whole.
        sentence: the sentence's number, from 0.
        text: the sentence it belongs to.
        last: whether it ends its sentence.
        timings: seconds of work by stage.
    """

    samples: NDArray[np.float32]
    sample_rate: int
    start_seconds: float
    sentence: int
    text: str
    last: bool
    timings: dict[str, float]


class AudioWriter(Protocol):
    """Takes samples one block after another."""

    def write(self, samples: NDArray[np.float32]) -> None:
        """Appends float32 samples [n]."""


def int16_from_float(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Truncation towards zero of 32768 x, as ModelScope does, clipped where it would wrap."""
    scaled = np.trunc(samples.astype(np.float32) * np.float32(32768))
    integers: NDArray[np.int16] = np.clip(scaled, -32768, 32767).astype(np.int16)
    return integers


def check_rate(rate: int) -> None:
    """Refuses sampling rates outside 4 to 192 kHz."""
    if not RATES[0] <= rate <= RATES[1]:
        raise InputError(f"a rate of {rate} Hz: needs {RATES[0]} to {RATES[1]}")


@contextlib.contextmanager
def audio_writer(path: Path, sample_rate: int, *, rate: int | None = None) -> Iterator[AudioWriter]:
    """Opens a file that appears under its name only when the block ends well.

    Args:
        path: its suffix chooses WAV, FLAC or OGG Vorbis.
        sample_rate: of the samples to come.
        rate: of the file; None keeps it.

    Raises:
        InputError, OutputError: as `Audio.save`.
    """
    import soundfile

    if path.suffix.lower() not in FORMATS:
        raise InputError(
            f"{path}: files end in {', '.join(FORMATS)}, not {path.suffix or 'nothing'!r}"
        )
    rate = sample_rate if rate is None else rate
    check_rate(rate)
    kind, subtype = FORMATS[path.suffix.lower()]
    with replaced_file(path) as temporary:
        try:
            with soundfile.SoundFile(
                str(temporary), "w", rate, 1, format=kind, subtype=subtype
            ) as file:
                writer = _FileWriter(file, sample_rate, rate)
                yield writer
                writer.finish()
        except soundfile.LibsndfileError as error:
            raise OutputError(f"{path} cannot be written: {error}") from error


@contextlib.contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """Yields a temporary file beside `path` that takes its place only when the block ends well.

    Raises:
        OutputError: the place is a folder or cannot be written; what stood there is untouched.
    """
    path = Path(os.path.realpath(path))
    if path.is_dir():
        raise OutputError(f"{path} is a folder; name a file")
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(6)}")
    try:
        temporary.touch(exist_ok=False)
        if path.exists():
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror}; choose a writable place"
        ) from error
    try:
        yield temporary
        temporary.replace(path)
    except SambertError:
        raise
    except OSError as error:
        hint = "; free some space" if error.errno in _FULL else ""
        raise OutputError(f"{path} cannot be written: {error.strerror or error}{hint}") from error
    finally:
        temporary.unlink(missing_ok=True)


class _FileWriter:
    def __init__(self, file: Any, source: int, target: int) -> None:
        self._file, self._resampler = file, None
        if source != target:
            import soxr

            self._resampler = soxr.ResampleStream(source, target, 1)

    def write(self, samples: NDArray[np.float32]) -> None:
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples)
        self._append(samples)

    def finish(self) -> None:
        if self._resampler is not None:
            self._append(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))

    def _append(self, samples: NDArray[np.float32]) -> None:
        integers = self._file.subtype == "PCM_16"
        for start in range(0, len(samples), _BLOCK):
            block = samples[start : start + _BLOCK]
            self._file.write(int16_from_float(block) if integers else np.clip(block, -1, 1))
