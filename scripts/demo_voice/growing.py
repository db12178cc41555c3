"""A .npy file that is written piece by piece, in order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sambert_trt.runtime.audio import replaced_file

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["growing"]


@contextmanager
def growing(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], digest: _Hash | None = None
) -> Iterator[Callable[[NDArray[Any]], None]]:
    """Yields what adds the next piece of an array of known shape; the file is there when all is.

    Not by a memory map: a full disk would end the process instead of raising an error.

    Args:
        digest: takes in every piece.

    Raises:
        OutputError: the file cannot be written.
    """
    header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    with replaced_file(path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)

        def add(piece: NDArray[Any]) -> None:
            content = np.ascontiguousarray(piece, dtype).tobytes()
            if digest is not None:
                digest.update(content)
            file.write(content)

        yield add
        file.flush()
        os.fsync(file.fileno())
