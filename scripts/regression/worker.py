"""The process that measures one side: asked over stdin, it answers over stdout, line by line.

    {"module": "stages", "settings": {...}}   -> {"ready": true}
    next                                      -> {"values": {...}} or {"end": true}
    identity                                  -> {"identity": {...}}

Instead of an answer there may be {"skipped": reason}, or {"failed": what, "trace": where}; instead
of an identity {"refused": reason}, where nobody can speak so. It ends with its input. What the
measured code prints goes to stderr. Only the standard library and the contracts are imported
before it is told what to measure.
"""

from __future__ import annotations

import json
import math
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, fields
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from sambert_trt.engines.errors import InputError, SambertError, VoiceError

from .record import NotMeasured
from .suite import Rounds, Settings

__all__ = ["data_from_settings", "main", "settings_from_data"]

_PATHS = ("tree", "voice", "work", "source")


def data_from_settings(settings: Settings) -> dict[str, Any]:
    """Settings as JSON holds them; paths become absolute: a worker works in another folder."""
    found = {item.name: getattr(settings, item.name) for item in fields(settings)}
    for name in _PATHS:
        found[name] = found[name] and str(Path(found[name]).absolute())
    return found


def settings_from_data(data: Mapping[str, Any]) -> Settings:
    """The other way round."""
    paths = {name: data[name] and Path(data[name]) for name in _PATHS}
    return Settings(**{**data, **paths, "only": tuple(data["only"])})


def main() -> int:
    """Serves one parent; returns the exit status: 1 where closing what was measured failed."""
    requests, answers = _private_pipes()
    worker = _Worker()
    for line in requests:
        answers.write(json.dumps(_answered(worker, line.strip())).encode() + b"\n")
        answers.flush()
    worker.close()
    return 0


def _private_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Our ends of the pipes; stdin becomes empty and stdout stderr, for children as well."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    os.dup2(2, 1)
    return requests, answers


def _answered(worker: _Worker, request: bytes) -> dict[str, Any]:
    try:
        return worker.answer(request.decode())
    except NotMeasured as reason:
        return {"skipped": str(reason)}
    except BaseException as error:  # SystemExit of the measured code included
        if isinstance(error, SambertError):
            return {"failed": str(error), "trace": ""}
        trace = traceback.format_exception(type(error), error, error.__traceback__)
        return {"failed": f"{type(error).__name__}: {error}", "trace": "".join(trace)}


class _Worker:
    """What is measured here, once the first request has said so."""

    def __init__(self) -> None:
        self._settings: Settings | None = None
        self._suite: Rounds | None = None
        self._rounds: Iterator[Mapping[str, float]] | None = None

    def answer(self, request: str) -> dict[str, Any]:
        """See the head of this file."""
        if self._settings is None:
            return self._begun(json.loads(request))
        if request == "identity":
            return _identity(self._settings)
        if request != "next" or self._suite is None:
            raise InputError(f"a worker was asked {request!r}: it knows next and identity")
        if self._rounds is None:
            self._rounds = iter(self._suite(self._settings))
        values = next(self._rounds, None)
        check_modules(self._settings.tree)
        return {"end": True} if values is None else {"values": _checked(values)}

    def close(self) -> None:
        """Closes what the suite has opened."""
        close: Callable[[], None] | None = getattr(self._rounds, "close", None)
        if close is not None:
            close()

    def _begun(self, order: Mapping[str, Any]) -> dict[str, Any]:
        settings = settings_from_data(order["settings"])
        import_module("sambert_trt.runtime")
        check_modules(settings.tree)
        if order["module"]:
            self._suite = import_module(f"regression.suites.{order['module']}").rounds
        self._settings = settings
        return {"ready": True}


def _identity(settings: Settings) -> dict[str, Any]:
    from .opening import identity_from_settings

    try:
        return {"identity": asdict(identity_from_settings(settings))}
    except (InputError, VoiceError) as error:
        return {"refused": str(error)}


def check_modules(tree: Path) -> None:
    """Looks whether all of `sambert_trt` that is loaded comes from the tree that is to be measured.

    Raises:
        InputError: a module comes from elsewhere.
    """
    inside = tree.resolve()
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name.startswith("sambert_trt.") and file:
            found = Path(file).resolve()
            if not found.is_relative_to(inside):
                raise InputError(
                    f"{name} comes from {found}, not from the tree {inside} that is to be measured:"
                    " the tree lacks it, or its build/ns does"
                )


def _checked(values: Mapping[str, float]) -> dict[str, float]:
    """Plain numbers.

    Raises:
        InputError: a value is none.
    """
    found = {str(name): float(value) for name, value in values.items()}
    wrong = [f"{name} = {value}" for name, value in found.items() if not math.isfinite(value)]
    if wrong:
        raise InputError(f"a suite measured what is no number: {', '.join(wrong)}")
    return found


if __name__ == "__main__":
    sys.exit(main())
