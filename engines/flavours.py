"""Which TensorRT is installed, whether it can be used, and its Python module.

Looking imports nothing: metadata and the places of files are enough. Standard library only; the
bindings are imported by `trt_module` alone. Nobody constructs a Runtime here: without a driver,
that of `tensorrt_lean` crashes the process later on.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Iterator
from ctypes.util import find_library
from dataclasses import dataclass
from importlib.metadata import Distribution
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from .engine import Flavour
from .errors import BackendError

__all__ = ["InstalledFlavour", "default_flavour", "installed_flavours", "trt_module"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Packages:
    """Where a flavour lives: bindings before the thin module around them, which has no version."""

    modules: tuple[str, ...]
    libraries: str
    shared_object: str
    install: str


_PACKAGES = {
    Flavour.RTX: _Packages(
        ("tensorrt_rtx_bindings", "tensorrt_rtx"),
        "tensorrt_rtx_libs",
        "tensorrt_rtx",
        "pip install 'sambert-trt[rtx]'",
    ),
    Flavour.TENSORRT: _Packages(
        ("tensorrt_bindings", "tensorrt"),
        "tensorrt_libs",
        "nvinfer",
        "pip install 'sambert-trt[tensorrt]'",
    ),
    Flavour.LEAN: _Packages(
        ("tensorrt_lean_bindings", "tensorrt_lean"),
        "tensorrt_lean_libs",
        "nvinfer_lean",
        "pip install 'sambert-trt[lean]'",
    ),
}


@dataclass(frozen=True)
class InstalledFlavour:
    """What is here of one TensorRT product.

    Attributes:
        version: in full, as plans carry it; None where it is not installed.
        module: the Python module that holds it, or would.
        usable: whether its libraries are here too, as far as one can tell without loading them.
        reason: why it is not usable and what to do, in one sentence; empty when it is.
    """

    flavour: Flavour
    version: str | None
    module: str
    usable: bool
    reason: str


def installed_flavours() -> tuple[InstalledFlavour, ...]:
    """What is installed of each product, in the order it is preferred; never raises."""
    return tuple(map(_installed, Flavour))


def default_flavour() -> Flavour:
    """The first product that is usable: for RTX, then the full one, then the lean runtime.

    Raises:
        BackendError: none is; the message says why for each.
    """
    found = installed_flavours()
    for item in found:
        if item.usable:
            return item.flavour
    reasons = "".join(f"\n  {item.flavour.value}: {item.reason}" for item in found)
    raise BackendError(f"no TensorRT can be used here:{reasons}")


def trt_module(flavour: Flavour) -> ModuleType:
    """Imports a product's Python module, which carries `__version__`.

    Raises:
        BackendError: it is not installed, or its libraries cannot be loaded.
    """
    packages = _PACKAGES[flavour]
    name = _module_name(packages)
    if name is None:
        raise BackendError(_absent(flavour))
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise BackendError(
            f"{name} is installed but cannot be imported ({error}): its libraries are missing or "
            f"of another version; install both anew with: {packages.install}"
        ) from error


def _installed(flavour: Flavour) -> InstalledFlavour:
    packages = _PACKAGES[flavour]
    name, version = packages.modules[0], None
    try:
        found = _module_name(packages)
        if found is None:
            return InstalledFlavour(flavour, None, name, False, _absent(flavour))
        name, version = found, _version(found)
        reason = _problem(packages, name, version)
    except Exception as error:  # other people's metadata: a broken file must not end a report
        _LOG.debug("looking for %s", flavour.value, exc_info=True)
        reason = f"{name} cannot be examined ({error!r}); install anew with: {packages.install}"
    return InstalledFlavour(flavour, version, name, not reason, reason)


def _module_name(packages: _Packages) -> str | None:
    return next((name for name in packages.modules if _is_module(name)), None)


def _is_module(name: str) -> bool:
    """Whether there is such a module; an empty folder of that name is none."""
    if name in sys.modules:
        return True
    spec = find_spec(name)
    return spec is not None and spec.origin is not None


def _absent(flavour: Flavour) -> str:
    packages = _PACKAGES[flavour]
    return f"{packages.modules[0]} is not installed; install it with: {packages.install}"


def _problem(packages: _Packages, name: str, version: str | None) -> str:
    if version is None:
        return (
            f"the version of {name} is unknown: no one package, or several, claim it; remove them "
            f"and install anew with: {packages.install}"
        )
    if _is_module(packages.libraries):
        libraries = _version(packages.libraries)
        if libraries in (None, version):
            return ""
        return (
            f"{name} has version {version}, its libraries {libraries}; install both anew with: "
            f"{packages.install}"
        )
    if _on_the_system(packages.shared_object, version):
        return ""
    return (
        f"{name} {version} is here without its libraries (lib{packages.shared_object}.so."
        f"{version.partition('.')[0]}); install them with: {packages.install}"
    )


def _version(name: str) -> str | None:
    """The version of the one distribution that holds a module.

    Only TensorRT's own distributions beside the module are read: asking Python for the owners of
    all modules takes half a second where many packages are.
    """
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        return None
    beside = Path(spec.origin).parent.parent.glob("tensorrt*-info")
    versions = {owner.version for path in beside if _holds(owner := Distribution.at(path), name)}
    return versions.pop() if len(versions) == 1 else None


def _holds(owner: Distribution, name: str) -> bool:
    listed = (owner.read_text("top_level.txt") or "").split()
    return name in listed if listed else any(file.parts[0] == name for file in owner.files or ())


def _on_the_system(library: str, version: str) -> bool:
    """Whether the loader would find the library of that major version outside Python packages.

    Elsewhere than on Linux the import itself has to tell.
    """
    if not sys.platform.startswith("linux"):
        return True
    file = f"lib{library}.so.{version.partition('.')[0]}"
    if any((folder / file).is_file() for folder in _search_path()):
        return True
    return find_library(library) == file


def _search_path() -> Iterator[Path]:
    for folder in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep):
        if folder:
            yield Path(folder)
