"""The process that opens checkpoints: a script of its own that never runs what a file asks for.

Started by checkpoint.py as `python -I checkpoint_reader.py`, with a JSON request on standard input:
where numpy, torch and safetensors are, the limits, and per file its path, part and output. Writes
the wanted tensors of each file as one safetensors file and a JSON reply. Imports nothing of the
project, so that it works from any installation.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

if TYPE_CHECKING:
    import numpy as np

# The first object of a torch container from before the zip format.
_OLD_TORCH = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
_ZIP = b"PK\x03\x04"
_UNUSED = "align_attention."
_NAME_LENGTH = 200
_MOST_TENSORS = 20_000


class RefusedError(Exception):
    """A file that is not read; the text goes to the user."""


def main() -> int:
    """Reads the request, answers it, and returns 0 even when a file was refused."""
    request = json.load(sys.stdin)
    sys.path.extend(path for path in request["packages"] if path not in sys.path)
    import torch

    torch.set_num_threads(1)
    _set_limits(request["memory"], request["seconds"], request["most_bytes"])
    replies = [_reply(job, request["most_bytes"]) for job in request["jobs"]]
    Path(request["reply"]).write_text(json.dumps(replies), encoding="utf-8")
    return 0


def _reply(job: Mapping[str, str], most_bytes: int) -> dict[str, str]:
    from safetensors.numpy import save_file

    try:
        tensors = tensors_from_file(Path(job["path"]), job["part"], most_bytes)
        save_file(tensors, job["output"])
    except RefusedError as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": "needs more memory than it may have"}
    except Exception as error:  # whatever a damaged file provokes is an answer, not a crash
        return {"error": f"is damaged ({type(error).__name__}: {str(error)[:300]})"}
    return {}


def tensors_from_file(path: Path, part: str, most_bytes: int) -> dict[str, Any]:
    """The float32 arrays of one part (`acoustic` or `vocoder`) of a checkpoint.

    Raises:
        RefusedError: the file asks for code, is damaged, or does not hold that part.
    """
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(_ZIP) or _OLD_TORCH in head:
        content = _torch_content(path, mapped=head.startswith(_ZIP))
    else:
        content = _pickle_content(path.read_bytes())
    return _arrays(_state(content, part), most_bytes)


def _torch_content(path: Path, *, mapped: bool) -> object:
    import torch

    try:
        loaded: object = torch.load(
            path, map_location="cpu", weights_only=True, mmap=True if mapped else None
        )
    except pickle.UnpicklingError as error:
        _refuse_global(str(error))
    return loaded


def _refuse_global(message: str) -> NoReturn:
    found = re.search(r"unsupported global:?\s+(?:global\s+)?([\w.]+)", message, re.IGNORECASE)
    if found:
        raise RefusedError(_hostile(found[1]))
    reason = message.rpartition("WeightsUnpickler error:")[2] or message
    raise RefusedError(f"cannot be read as weights only ({' '.join(reason.split())[:300]})")


def _hostile(name: str) -> str:
    return (
        f"asks to run {name}, which weights do not need: refused, nothing was run. "
        "Do not use this file"
    )


class _Call:
    """A function a pickle may call, without anything a pickle could set."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., object]) -> None:
        object.__setattr__(self, "_function", function)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise RefusedError(f"tries to set {name[:40]}")

    def __call__(self, *arguments: object) -> object:
        function: Callable[..., object] = object.__getattribute__(self, "_function")
        return function(*arguments)


class _Kind:
    """A dtype as a pickle describes it: a code of numbers, then a byte order."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __setstate__(self, state: object) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if order not in ("<", ">", "|", "="):
            raise RefusedError("describes a dtype that is not a plain number")
        self.code = str(order) + self.code.lstrip("<>=|")


class _Rows:
    """An array as a pickle describes it; `array` is made from its bytes with numpy's own checks."""

    def __init__(self) -> None:
        self.array: np.ndarray[Any, Any] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The extents, () before there are any."""
        return () if self.array is None else self.array.shape

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise RefusedError("describes an array in an unknown way")
        _, shape, kind, fortran, data = state
        self.array = _array_from_buffer(data, kind, shape, "F" if fortran else "C").array


_NDARRAY = _Call(_Rows)


def _allowed() -> dict[tuple[str, str], object]:
    return {
        ("numpy.core.multiarray", "_reconstruct"): _Call(_empty_array),
        ("numpy.core.multiarray", "scalar"): _Call(_scalar),
        ("numpy.core.numeric", "_frombuffer"): _Call(_array_from_buffer),
        ("numpy", "ndarray"): _NDARRAY,
        ("numpy", "dtype"): _Call(_kind),
        ("_codecs", "encode"): _Call(_encode),
        ("codecs", "encode"): _Call(_encode),
        ("collections", "OrderedDict"): _Call(OrderedDict),
    }


class _ArrayUnpickler(pickle.Unpickler):
    """Rebuilds dictionaries of numpy arrays and nothing else."""

    def find_class(self, module: str, name: str) -> object:
        """The few functions arrays are rebuilt with; anything else is refused by name."""
        found = _ALLOWED.get((module.replace("numpy._core", "numpy.core"), name))
        if found is None:
            raise RefusedError(_hostile(f"{module}.{name}"))
        return found

    def persistent_load(self, pid: object) -> NoReturn:
        """Refuses references to storage outside the pickle."""
        raise RefusedError("refers to storage that is not in the file")


def _kind(code: object, *_: object) -> _Kind:
    if not isinstance(code, str) or not re.fullmatch(r"[<>=|]?[fiub][1248]", code):
        raise RefusedError(f"holds arrays of {str(code)[:20]!r}, not numbers")
    return _Kind(code)


def _empty_array(kind: object, *_: object) -> _Rows:
    if kind is not _NDARRAY:
        raise RefusedError("rebuilds something that is not an array")
    return _Rows()


def _scalar(kind: object, data: object) -> object:
    rows = _array_from_buffer(data, kind, (1,))
    return None if rows.array is None else rows.array[0]


def _array_from_buffer(data: object, kind: object, shape: object, order: object = "C") -> _Rows:
    import numpy as np

    whole = isinstance(shape, tuple) and all(isinstance(size, int) and size >= 0 for size in shape)
    if not whole or not isinstance(kind, _Kind) or not isinstance(data, bytes | bytearray):
        raise RefusedError("rebuilds something that is not an array of numbers")
    flat = np.frombuffer(data, np.dtype(kind.code)) if data else np.empty(0, np.dtype(kind.code))
    rows = _Rows()
    rows.array = np.reshape(
        flat, cast("tuple[int, ...]", shape), order="F" if order == "F" else "C"
    )
    return rows


def _encode(text: object, encoding: object = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise RefusedError("encodes something that is not an array's bytes")
    return text.encode("latin1")


_ALLOWED = _allowed()


def _pickle_content(data: bytes) -> object:
    """The content of a plain pickle of numpy arrays (acoustic models of 2022)."""
    try:
        return _ArrayUnpickler(io.BytesIO(data)).load()
    except RefusedError:
        raise
    except EOFError as error:
        raise RefusedError("is cut off; download it again") from error
    except (pickle.UnpicklingError, ValueError, TypeError, LookupError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RefusedError(f"is neither a torch file nor a pickle of arrays ({reason})") from error


def _state(content: object, part: str) -> dict[str, Any]:
    """The state dictionary of one part, wherever the trainers of the years put it."""
    if not isinstance(content, Mapping):
        raise RefusedError(f"holds a {type(content).__name__}, not a dictionary of weights")
    model = content.get("model", content)
    choices: tuple[object, ...] = (model, content.get("fsnet"))
    if part == "vocoder":
        inner = model.get("generator") if isinstance(model, Mapping) else None
        choices = (inner, content.get("generator"), model)
    for choice in choices:
        if isinstance(choice, Mapping) and _is_state(choice):
            return _without_prefix({str(name): value for name, value in choice.items()})
    keys = ", ".join(str(key)[:40] for key in list(content)[:8])
    other = "vocoder" if part == "acoustic" else "acoustic"
    raise RefusedError(
        f"holds no {part} model; its keys are {keys or 'none'}. Is it the {other} model's file?"
    )


def _is_state(choice: Mapping[Any, Any]) -> bool:
    return bool(choice) and all(
        isinstance(name, str) and hasattr(value, "shape") for name, value in choice.items()
    )


def _without_prefix(state: dict[str, Any]) -> dict[str, Any]:
    mark = "module."
    if all(name.startswith(mark) for name in state):
        state = {name[len(mark) :]: value for name, value in state.items()}
    return {name: value for name, value in state.items() if not name.startswith(_UNUSED)}


def _arrays(state: dict[str, Any], most_bytes: int) -> dict[str, Any]:
    if not state or len(state) > _MOST_TENSORS:
        raise RefusedError(f"holds {len(state)} tensors")
    total = 0
    arrays = {}
    for name, value in state.items():
        if len(name) > _NAME_LENGTH or not name.isprintable():
            raise RefusedError(f"names a tensor {name[:40]!r}...")
        total += 4 * _count(value.shape)
        if total > most_bytes:
            raise RefusedError(f"holds tensors of more than {most_bytes} bytes ({name})")
        arrays[name] = _array(name, value)
    return arrays


def _count(shape: object) -> int:
    count = 1
    for size in shape:  # type: ignore[attr-defined]
        count *= int(size)
    return count


def _array(name: str, value: object) -> np.ndarray[Any, Any]:
    import numpy as np
    import torch

    if isinstance(value, _Rows):
        value = value.array
    if isinstance(value, torch.Tensor):
        if not value.is_floating_point() or value.layout != torch.strided:
            raise RefusedError(f"holds {name} as {value.dtype} {value.layout}, weights are floats")
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise RefusedError(f"holds {name} {list(value.shape)} in less data than that needs")
        value = value.detach().to(torch.float32).contiguous().numpy()
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        kind = getattr(value, "dtype", type(value).__name__)
        raise RefusedError(f"holds {name} as {kind}, weights are floats")
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(value, dtype=np.float32)


def _set_limits(memory: int, seconds: int, most_bytes: int) -> None:
    """Limits of this process from here on, where the platform has them."""
    try:
        import resource
    except ImportError:  # Windows: the parent's time limit remains
        return
    limits = {
        "RLIMIT_CORE": 0,
        "RLIMIT_CPU": seconds + _used_seconds(),
        "RLIMIT_FSIZE": 2 * most_bytes + (1 << 20),
    }
    size = _own_size()
    if size is not None:
        limits["RLIMIT_AS"] = size + memory
    for name, limit in limits.items():
        kind = getattr(resource, name, None)
        if kind is None:
            continue
        _, hard = resource.getrlimit(kind)
        least = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        try:
            resource.setrlimit(kind, (least, least))
        except (ValueError, OSError):
            continue


def _used_seconds() -> int:
    used = os.times()
    return int(used.user + used.system) + 1


def _own_size() -> int | None:
    """Address space of this process now, in bytes; None where the platform does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    sys.exit(main())
