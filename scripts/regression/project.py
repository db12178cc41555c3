"""What a tree's pyproject.toml says: its packages, and what it depends on.

Standard library, and tomli before Python 3.11.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sambert_trt.engines.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["declared", "packages", "project_file"]


def project_file(tree: Path) -> dict[str, Any]:
    """A tree's pyproject.toml.

    Raises:
        InputError: it has none, or one that is no TOML.
    """
    path = tree / "pyproject.toml"
    try:
        found: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{tree} is no source tree of this project: {error}") from error
    return found


def packages(tree: Path) -> dict[str, Path]:
    """Folders by what they are called in `sambert_trt`, as the tree's own pyproject.toml says.

    Raises:
        InputError: it is no source tree of this project.
    """
    folders: Mapping[str, str] = (
        project_file(tree).get("tool", {}).get("setuptools", {}).get("package-dir", {})
    )
    found = {
        name.partition(".")[2]: tree / folder
        for name, folder in folders.items()
        if name.count(".") == 1 and (tree / folder).is_dir()
    }
    if "runtime" not in found:
        raise InputError(f"{tree} is no source tree of this project: it has no runtime package")
    return found


def declared(tree: Path) -> dict[tuple[str, str], str]:
    """Version ranges by extra and distribution.

    Raises:
        InputError: there is no pyproject.toml, or one that is no TOML.
    """
    project = project_file(tree).get("project", {})
    groups = {"": project.get("dependencies", ()), **project.get("optional-dependencies", {})}
    found: dict[tuple[str, str], str] = {}
    for extra, requirements in groups.items():
        for text in requirements:
            name = re.split(r"[^A-Za-z0-9._-]", text.strip(), maxsplit=1)[0]
            where = f"extra {extra}" if extra else "dependencies"
            found[where, name.lower()] = text
    return found
