"""A tree's build/ns: links that make its folders the packages of `sambert_trt`.

Standard library only.
"""

from __future__ import annotations

import compileall
import shutil
from pathlib import Path

from check import link_directory

from .folders import writing
from .project import packages

__all__ = ["linked"]


def linked(tree: Path) -> None:
    """Makes build/ns/sambert_trt lead to the tree's packages, compiled, as an installed one's are.

    Raises:
        InputError: it is no source tree of this project.
        OutputError: build/ns cannot be written.
    """
    folders = packages(tree)
    namespace = tree / "build" / "ns" / "sambert_trt"
    with writing(namespace):
        namespace.mkdir(parents=True, exist_ok=True)
        for name, folder in folders.items():
            _link(namespace / name, folder)
    for folder in folders.values():
        compileall.compile_dir(folder, quiet=2)


def _link(link: Path, folder: Path) -> None:
    if _leads(link, folder):
        return
    if link.is_symlink():
        link.unlink(missing_ok=True)
    elif link.exists():
        shutil.rmtree(link)
    try:
        link_directory(link, folder)
    except OSError:  # another run has just made it
        if not _leads(link, folder):
            raise


def _leads(link: Path, folder: Path) -> bool:
    return link.exists() and link.samefile(folder)
