"""What a requirement brings along, and how large it is on the disk, from the installed metadata.

Standard library only.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path

__all__ = ["closure", "missing", "size"]

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9._-]+)\s*(?:\[([\w., -]*)\])?")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([\w.-]+)['"]""")

Wanted = tuple[str, frozenset[str]]
"""A normalised name and its extras."""


def closure(requirements: Iterable[str]) -> dict[str, Distribution]:
    """What is required and all that it requires, as far as it is installed, by normalised name.

    Args:
        requirements: as pyproject.toml has them: `onnxruntime>=1.20`, `sambert-trt[rtx]`. Of their
            markers only extras are looked at: what is for another system is not installed.
    """
    found: dict[str, Distribution] = {}
    seen: set[Wanted] = set()
    waiting = list(_wanted(requirements, ()))
    while waiting:
        item = waiting.pop()
        distribution = _installed(item[0])
        if item in seen or distribution is None:
            continue
        seen.add(item)
        found[item[0]] = distribution
        waiting += _wanted(distribution.requires or (), item[1])
    return found


def missing(requirements: Iterable[str]) -> list[str]:
    """The names of those that hold on every system and are not installed."""
    always = (text for text in requirements if ";" not in text)
    return [name for name, _ in _wanted(always, ()) if _installed(name) is None]


def size(distribution: Distribution) -> int:
    """Bytes of its files, compiled ones included where they are listed."""
    total = 0
    for file in distribution.files or []:
        with suppress(OSError):
            total += Path(str(distribution.locate_file(file))).stat().st_size
    return total


def _wanted(requirements: Iterable[str], extras: Collection[str]) -> Iterator[Wanted]:
    for requirement in requirements:
        what, _, marker = requirement.partition(";")
        condition = _EXTRA.search(marker)
        found = _REQUIREMENT.match(what)
        if found is not None and (condition is None or condition[1] in extras):
            name = re.sub(r"[-_.]+", "-", found[1]).lower()
            yield name, frozenset(filter(None, re.split(r"[,\s]+", found[2] or "")))


def _installed(name: str) -> Distribution | None:
    try:
        return importlib.metadata.distribution(name)
    except PackageNotFoundError:  # for another system, or another Python
        return None
