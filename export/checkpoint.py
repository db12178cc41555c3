"""Checkpoints to arrays, without trusting the file.

A checkpoint is a pickle, which may name code to run. It is opened in a process of its own
(checkpoint_reader.py) that rebuilds tensors and nothing else, under limits of memory and time;
this side reads the plain tensors it wrote. Imports no torch.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.errors import OutputError, SourceError

__all__ = [
    "Part",
    "check_tensors",
    "folded_vocoder",
    "save_safetensors",
    "sha256_of",
    "tensors_from_checkpoint",
    "tensors_from_checkpoints",
    "tensors_from_safetensors",
]

Part = Literal["acoustic", "vocoder"]
Tensors = dict[str, NDArray[np.float32]]

_log = logging.getLogger(__name__)

_READER = Path(__file__).with_name("checkpoint_reader.py")
_MOST_BYTES = 2 << 30
_PICKLE_BYTES = 64 << 20
_REPLY_BYTES = 1 << 20
_LINES = 20
_KEPT_VARIABLES = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "LD_LIBRARY_PATH", "HOME")
# Pairs of gain and direction, in the names of the two weight-norm implementations of torch.
_NORM_NAMES = (
    (".weight_g", ".weight_v"),
    (".parametrizations.weight.original0", ".parametrizations.weight.original1"),
)
_NAMES_OF_2022 = (
    (re.compile(r"^ups\.(\d+)\.deconv\."), r"transpose_upsamples.\1.1.deconv."),
    (re.compile(r"^repeat_ups\."), "repeat_upsamples."),
    (re.compile(r"^resblocks\."), "conv_blocks."),
)


# How a file begins, and what it then is; a sentence refuses it. Pickles are of protocol 2 to 5,
# or of the text protocols before.
_KINDS = (
    (rb"\Z", "is empty; download it again"),
    (rb"version https://git-lfs", "is a git LFS pointer, not the file; fetch it: git lfs pull"),
    (rb"<!doctype|<html|<\?xml", "is a web page, not a checkpoint; download it again"),
    (rb"\{", "is JSON (an error message?), not a checkpoint; download it again"),
    (rb"PK\x03\x04", "zip"),
    (rb"\x80[\x02-\x05]|[(c}\]]", "pickle"),
)


def tensors_from_checkpoint(
    path: Path, part: Part, *, memory_limit: int = 4 << 30, time_limit: float = 300.0
) -> Tensors:
    """The weights of one model out of its checkpoint, under the names of today's classes.

    Vocoder weights come out folded (plain `.weight`), whatever weight norm the file holds. Weights
    only used in training are left out.

    Args:
        path: a file of torch, of any of its formats, or a pickle of numpy arrays.
        part: which model the file should hold.
        memory_limit: bytes the reading process may take beyond what its libraries need.
        time_limit: seconds it may take.

    Raises:
        SourceError: no checkpoint, damaged, asks to run code, holds something else, or holds
            numbers that are not finite.
    """
    return tensors_from_checkpoints(
        [(path, part)], memory_limit=memory_limit, time_limit=time_limit
    )[0]


def tensors_from_checkpoints(
    checkpoints: Sequence[tuple[Path, Part]],
    *,
    memory_limit: int = 4 << 30,
    time_limit: float = 300.0,
) -> list[Tensors]:
    """As `tensors_from_checkpoint`, for several files with one start of the reading process.

    Raises:
        SourceError: for the first file that cannot be used.
    """
    for path, _ in checkpoints:
        check_container(path)
    with tempfile.TemporaryDirectory(prefix="sambert-checkpoint-") as folder:
        outputs = [Path(folder) / f"{index}.safetensors" for index in range(len(checkpoints))]
        replies = _read(checkpoints, outputs, Path(folder), memory_limit, time_limit)
        results = []
        for (path, part), output, reply in zip(checkpoints, outputs, replies, strict=True):
            if "error" in reply:
                raise SourceError(f"{path} {reply['error']}")
            tensors, _ = tensors_from_safetensors(output)
            _check_finite(tensors, path)
            results.append(folded_vocoder(tensors, path) if part == "vocoder" else tensors)
    return results


def check_container(path: Path) -> None:
    """Looks at a file's kind and size before anything parses it.

    Raises:
        SourceError: missing, empty, a git LFS pointer, a web page, cut off, or an archive that
            claims more than it holds.
    """
    try:
        if not path.is_file():
            raise SourceError(f"{path} {'is no file' if path.exists() else 'does not exist'}")
        with path.open("rb") as file:
            head = file.read(1024)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    kind = _kind(head)
    if kind == "zip":
        _check_archive(path)
    elif kind != "pickle":
        raise SourceError(f"{path} {kind}")


def _kind(head: bytes) -> str:
    """`zip`, `pickle`, or the sentence that says what a file is instead."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for pattern, kind in _KINDS:
        if re.match(pattern, head) or (kind.startswith("is") and re.match(pattern, text)):
            return kind
    return f"is no checkpoint (it starts with {head[:8].hex(' ')}); download it again"


def _check_archive(path: Path) -> None:
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as file:
            items = file.infolist()
            _check_items(path, items, size)
            damaged = file.testzip()
    except SourceError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
        # what zipfile raises on damaged headers, cut streams and unknown compression
        raise SourceError(f"{path} is cut off or damaged ({error}); download it again") from error
    except (OSError, RuntimeError) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error
    if damaged is not None:
        _log.warning("%s: %s does not match its checksum; the file may be damaged", path, damaged)


def _check_items(path: Path, items: Sequence[zipfile.ZipInfo], size: int) -> None:
    names = [item.filename.partition("/")[2] for item in items]
    if any(item.compress_type != zipfile.ZIP_STORED for item in items):
        raise SourceError(f"{path} is a compressed archive, which torch does not write: refused")
    if sum(item.file_size for item in items) > size:
        raise SourceError(f"{path} claims more data than its {size} bytes: refused")
    if any(name.startswith("code/") or name == "constants.pkl" for name in names):
        raise SourceError(f"{path} is a TorchScript program, not a checkpoint of weights")
    if "data.pkl" not in names:
        raise SourceError(f"{path} is a zip archive without data.pkl, not a torch checkpoint")
    if any(i.file_size > _PICKLE_BYTES for i in items if i.filename.endswith(".pkl")):
        raise SourceError(f"{path} describes its weights in more than {_PICKLE_BYTES} bytes")


def _read(
    checkpoints: Sequence[tuple[Path, Part]],
    outputs: Sequence[Path],
    folder: Path,
    memory_limit: int,
    time_limit: float,
) -> list[dict[str, str]]:
    """Runs the reading process and returns its answer for each file."""
    reply = folder / "reply.json"
    request = {
        "packages": _package_folders(),
        "memory": memory_limit,
        "seconds": max(1, int(time_limit)),
        "most_bytes": _MOST_BYTES,
        "reply": str(reply),
        "jobs": [
            {"path": str(path.absolute()), "part": part, "output": str(output)}
            for (path, part), output in zip(checkpoints, outputs, strict=True)
        ],
    }
    names = ", ".join(str(path) for path, _ in checkpoints)
    with (folder / "errors.txt").open("w+b") as errors:
        try:
            done = subprocess.run(
                [sys.executable, "-I", str(_READER)],
                input=json.dumps(request).encode(),
                stdout=subprocess.DEVNULL,
                stderr=errors,
                timeout=time_limit,
                check=False,
                cwd=folder,
                env=_environment(),
            )
        except subprocess.TimeoutExpired as error:
            raise SourceError(
                f"reading {names} took more than {time_limit:g} s: refused"
            ) from error
        except OSError as error:
            raise SourceError(f"cannot start {sys.executable}: {error.strerror}") from error
        errors.seek(0)
        said = errors.read(1 << 16).decode("utf-8", "replace").strip()
    if done.returncode != 0 or not reply.is_file() or reply.stat().st_size > _REPLY_BYTES:
        last = said.splitlines()[-1][:300] if said else "no message"
        raise SourceError(
            f"the process reading {names} ended with code {done.returncode} ({last}); "
            "it may have passed its limit of memory or time"
        )
    answer: list[dict[str, str]] = json.loads(reply.read_text(encoding="utf-8"))
    return answer


def _package_folders() -> list[str]:
    """Where the packages lie that the isolated process would not find by itself."""
    folders = []
    for name in ("numpy", "torch", "safetensors"):
        spec = importlib.util.find_spec(name)
        if spec is None or not spec.origin:
            raise SourceError(
                f"reading checkpoints needs {name}: pip install 'sambert-trt[export]'"
            )
        folders.append(str(Path(spec.origin).parent.parent))
    folders += [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    return list(dict.fromkeys(folders))


def _environment() -> dict[str, str]:
    """A bare environment: no secrets, no accelerator, one thread."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {**kept, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}


def _check_finite(tensors: Tensors, path: Path) -> None:
    wrong = [name for name, tensor in tensors.items() if not np.isfinite(tensor).all()]
    if wrong:
        raise SourceError(
            f"{path} holds weights that are not finite in {_listed(wrong)}; "
            "the training diverged or the file is damaged"
        )


def folded_vocoder(tensors: Mapping[str, NDArray[np.float32]], path: Path) -> Tensors:
    """Vocoder weights under today's names, every gain and direction folded into `.weight`.

    weight = v * g / |v|, the norm over all axes but the first, in float64.

    Raises:
        SourceError: a gain without its direction, of another size, or a direction of length 0.
    """
    named = {_name_of_today(name): tensor for name, tensor in tensors.items()}
    if len(named) != len(tensors):
        raise SourceError(f"{path} holds a weight under both its old and its new name")
    for gain, direction in _NORM_NAMES:
        stems = {
            name.removesuffix(mark)
            for mark in (gain, direction)
            for name in named
            if name.endswith(mark)
        }
        for stem in sorted(stems):
            if f"{stem}.weight" in named:
                raise SourceError(f"{path} holds {stem}.weight twice, folded and not")
            named[f"{stem}.weight"] = _folded(named, stem, gain, direction, path)
    return named


def _folded(
    named: Tensors, stem: str, gain: str, direction: str, path: Path
) -> NDArray[np.float32]:
    g, v = named.pop(stem + gain, None), named.pop(stem + direction, None)
    if g is None or v is None:
        raise SourceError(f"{path} holds {stem} with only one of {gain} and {direction}")
    if v.ndim < 2 or g.size != v.shape[0]:
        raise SourceError(
            f"{path} holds {stem}{gain} {list(g.shape)} for {direction} {list(v.shape)}"
        )
    wide = v.astype(np.float64)
    axes = tuple(range(1, v.ndim))
    norm = np.sqrt(np.sum(wide * wide, axis=axes, keepdims=True))
    if not (norm > 0).all():
        raise SourceError(f"{path} holds {stem}{direction} with a row of zeros: nothing to scale")
    with np.errstate(over="ignore"):
        scale: NDArray[np.float64] = g.reshape(norm.shape).astype(np.float64) / norm
        weight: NDArray[np.float32] = (wide * scale).astype(np.float32)
    if not np.isfinite(weight).all():
        raise SourceError(f"{path} holds {stem}{gain} too large for a float32 weight")
    return weight


def _name_of_today(name: str) -> str:
    for pattern, today in _NAMES_OF_2022:
        name = pattern.sub(today, name)
    return name


def check_tensors(
    expected: Mapping[str, tuple[int, ...]],
    tensors: Mapping[str, NDArray[np.float32]],
    *,
    flexible: Collection[str] = (),
) -> None:
    """Compares names and shapes with what a model needs.

    Args:
        expected: shape by name.
        tensors: what the checkpoint holds.
        flexible: names whose second axis from the end (rows) may have any size: constant tables.

    Raises:
        SourceError: lists what is missing, unexpected or of another shape, at most 20 lines.
    """
    lines = [
        f"missing: {name} {list(shape)}" for name, shape in expected.items() if name not in tensors
    ]
    for name, tensor in tensors.items():
        if name not in expected:
            lines.append(f"unexpected: {name} {list(tensor.shape)}")
        elif not _fits(expected[name], tensor.shape, name in flexible):
            lines.append(f"wrong shape: {name} {list(tensor.shape)}, needs {list(expected[name])}")
    if lines:
        shown = "".join(f"\n  {line}" for line in lines[:_LINES])
        more = f"\n  and {len(lines) - _LINES} more" if len(lines) > _LINES else ""
        raise SourceError(
            f"checkpoint and configuration do not belong together, {len(lines)} "
            f"difference{'s' if len(lines) > 1 else ''}:{shown}{more}"
        )


def _fits(expected: tuple[int, ...], found: tuple[int, ...], flexible: bool) -> bool:
    if not flexible or len(found) != len(expected) or len(expected) < 2:
        return found == expected
    rows = len(expected) - 2
    return found[rows] > 0 and all(
        a == b for i, (a, b) in enumerate(zip(expected, found, strict=True)) if i != rows
    )


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal digits.

    Raises:
        SourceError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def save_safetensors(
    path: Path, tensors: Mapping[str, NDArray[np.float32]], metadata: Mapping[str, str]
) -> None:
    """Writes tensors and texts about them (such as the source's sha256), whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    from safetensors.numpy import save

    content = save(
        {name: np.ascontiguousarray(t) for name, t in tensors.items()}, metadata=dict(metadata)
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _replaced(path) as fresh:
            fresh.write_bytes(content)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


@contextmanager
def _replaced(path: Path) -> Iterator[Path]:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(handle)
    fresh = Path(name)
    try:
        yield fresh
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def tensors_from_safetensors(path: Path) -> tuple[Tensors, dict[str, str]]:
    """The float32 tensors of a file of `save_safetensors`, and its metadata.

    Raises:
        SourceError: not such a file, or it holds another dtype.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:
        raise SourceError(f"{path} is no safetensors file: {error}; make it again") from error
    wrong = [name for name, tensor in tensors.items() if tensor.dtype != np.float32]
    if wrong:
        raise SourceError(f"{path} holds {_listed(wrong)} in another type than float32")
    return tensors, metadata


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
