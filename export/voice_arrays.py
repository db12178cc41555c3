"""The two arrays of a voice, mvn.npy and se.npy, read as nothing but numbers."""

from __future__ import annotations

import ast
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.errors import SourceError

from .config_reader import whole

__all__ = ["f0_statistics_from_file", "speaker_vector_from_file"]

_MOST_BYTES = 16 << 20


def f0_statistics_from_file(path: Path) -> tuple[float, float, str]:
    """Mean and standard deviation of f0 in hertz, and the dtype they are stored in (mvn.npy).

    Raises:
        SourceError: not a .npy of two floats (float32 or float64) in rows, or not usable numbers.
    """
    array = _array_from_npy(path)
    if array.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise SourceError(f"{path} holds {array.dtype}, f0 statistics are float32 or float64")
    if array.shape not in ((2, 1), (2,)):
        raise SourceError(
            f"{path} has shape {list(array.shape)}, f0 statistics are two rows: mean, deviation"
        )
    mean, deviation = (float(value) for value in array.reshape(-1))
    if not (math.isfinite(mean) and math.isfinite(deviation) and deviation > 0):
        raise SourceError(f"{path} holds f0 mean {mean} and deviation {deviation}: not usable")
    return mean, deviation, array.dtype.name


def speaker_vector_from_file(path: Path, width: int) -> NDArray[np.float32]:
    """A speaker vector [1, width] (se.npy).

    Raises:
        SourceError: not a .npy of floats, another shape, or not finite.
    """
    array = _array_from_npy(path)
    if array.dtype.kind != "f":
        raise SourceError(f"{path} holds {array.dtype}, a speaker vector is floats")
    if array.shape not in ((1, width), (width,)):
        raise SourceError(
            f"{path} has shape {list(array.shape)}, the voice takes a speaker vector [1, {width}]"
        )
    with np.errstate(over="ignore"):
        vector = array.reshape(1, width).astype(np.float32)
    if not np.isfinite(vector).all():
        raise SourceError(f"{path} holds values that are not finite")
    return vector


def _array_from_npy(path: Path) -> NDArray[Any]:
    """A numeric array; the header's claim is compared with the file before memory is taken."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise SourceError(f"{path} has {path.stat().st_size} bytes: too large")
        content = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    try:
        shape, fortran, dtype, offset = _npy_header(content)
    except (ValueError, TypeError, SyntaxError, EOFError, MemoryError, RecursionError) as error:
        raise SourceError(f"{path} is no .npy file of numbers; copy the voice again") from error
    if dtype.hasobject or dtype.kind not in "fiu":
        raise SourceError(f"{path} holds {dtype}, not numbers")
    if math.prod(shape) * dtype.itemsize != len(content) - offset:
        raise SourceError(f"{path} is cut off or damaged; copy the voice again")
    array = np.frombuffer(content, dtype, offset=offset)
    return array.reshape(shape, order="F" if fortran else "C").astype(dtype.newbyteorder("="))


def _npy_header(content: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    width = 2 if version == (1, 0) else 4
    length = int.from_bytes(stream.read(width), "little")
    if length > 4096:
        raise ValueError("a header longer than any array of numbers needs")
    header = ast.literal_eval(stream.read(length).decode("latin-1"))
    if not isinstance(header, dict) or not isinstance(header.get("descr"), str):
        raise TypeError("no plain dtype")
    shape = header.get("shape")
    if not isinstance(shape, tuple) or not all(whole(size, 0, 1 << 40) for size in shape):
        raise TypeError("no shape")
    return shape, header.get("fortran_order") is True, np.dtype(header["descr"]), stream.tell()
