"""Lists the classes and members of installed TensorRT bindings as JSON. Standard library only.

    python scripts/trt_api.py tensorrt_rtx tensorrt_lean tensorrt > tests/runtime/data/trt_api.json

Bindings whose libraries are missing (tensorrt without its libraries of several GB) are imported
over empty libraries of the same names: enough to list what they offer, never to use it. A folder
of unpacked bindings may stand in front of the name: `/tmp/10.12:tensorrt`.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import importlib.util
import json
import multiprocessing
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

Listing = dict[str, dict[str, object]]
CLASSES = (
    "Builder",
    "BuilderFlag",
    "ComputeCapability",
    "CudaGraphStrategy",
    "DataType",
    "DynamicShapesKernelSpecializationStrategy",
    "EngineValidity",
    "ExecutionContextAllocationStrategy",
    "HardwareCompatibilityLevel",
    "IBuilderConfig",
    "ICudaEngine",
    "IExecutionContext",
    "IHostMemory",
    "ILogger",
    "INetworkDefinition",
    "IOptimizationProfile",
    "IProgressMonitor",
    "IRuntimeCache",
    "IRuntimeConfig",
    "LayerInformationFormat",
    "Logger",
    "MemoryPoolType",
    "NetworkDefinitionCreationFlag",
    "OnnxParser",
    "ProfilingVerbosity",
    "Runtime",
    "TensorIOMode",
    "TensorLocation",
)
"""What building and running a plan can need; plugins and layers are left out."""


def main() -> int:
    """Reads the command line; prints one JSON object, by bindings and version."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bindings", nargs="+", help="[FOLDER:]tensorrt | _lean | _rtx")
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        found = dict(pool.imap(listing_of, parser.parse_args().bindings))
    print(text_of(found))
    return 0


def text_of(found: dict[str, Listing]) -> str:
    """JSON with one class a line, so that a difference between versions can be read."""
    blocks = []
    for title, classes in sorted(found.items()):
        lines = [f"  {json.dumps(kind)}: {json.dumps(classes[kind])}" for kind in sorted(classes)]
        blocks.append(f" {json.dumps(title)}: {{\n" + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(blocks) + "\n}"


def listing_of(bindings: str) -> tuple[str, Listing]:
    """`tensorrt_rtx 1.7.1.116`, and the members of each class of `CLASSES` it has."""
    folder, _, name = bindings.rpartition(":")
    if folder:
        sys.path.insert(0, folder)
    spec = importlib.util.find_spec(f"{name}_bindings")
    if spec is None or spec.origin is None:
        sys.exit(f"{name}_bindings is not installed: pip install --no-deps {name}-cu13-bindings")
    package = Path(spec.origin).parent
    module = module_of(name, package)
    version = re.search(r'__version__ = "([\d.]+)"', Path(spec.origin).read_text(encoding="utf-8"))
    title = f"{name} {version[1] if version else 'unknown'}"
    return title, {kind: members(module, kind) for kind in CLASSES if hasattr(module, kind)}


def module_of(name: str, package: Path) -> ModuleType:
    """The bindings' module, over empty libraries where its own are missing."""
    try:
        return importlib.import_module(f"{name}_bindings.{name}")
    except ImportError:
        sys.modules.pop(f"{name}_bindings", None)
        stand_in_libraries(package / f"{name}.so")
        return importlib.import_module(f"{name}_bindings.{name}")


def stand_in_libraries(extension: Path) -> None:
    """Loads a library for each missing one the extension needs; their functions return null."""
    needed = re.findall(r"NEEDED.*\[(libnv.*?)\]", output("readelf", "-d", extension))
    wanted = output("nm", "-D", "--undefined-only", extension)
    functions = re.findall(r" U ((?:create|get|init)\w+)$", wanted, re.MULTILINE)
    folder = Path(tempfile.mkdtemp())
    source = folder / "empty.c"
    source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in functions))
    for library in needed:
        target = folder / library
        output("cc", "-shared", "-fPIC", f"-Wl,-soname,{library}", "-o", target, source)
        ctypes.CDLL(str(target), ctypes.RTLD_GLOBAL)


def output(*command: str | Path) -> str:
    """What a command prints."""
    return subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout


def members(module: ModuleType, kind: str) -> dict[str, object]:
    """A class's public members: parameters of methods, `get` or `set` of properties, or `value`."""
    found: dict[str, object] = {}
    for name in dir(getattr(module, kind)):
        member = getattr(getattr(module, kind), name)
        if name.startswith("_") and name != "__init__":
            continue
        if isinstance(member, property):
            found[name] = "set" if member.fset else "get"
        elif callable(member):
            found[name] = signatures(member.__doc__ or "", name)
        else:
            found[name] = "value"
    return found


def signatures(text: str, name: str) -> list[str]:
    """The parameter names of each overload: `["strategy", "runtime_config"]`."""
    lines = re.findall(rf"^(?:\d+\. )?{name}\((.*)\)(?: ->|$)", text, re.MULTILINE)
    return [parameters(line) for line in lines if line != "*args, **kwargs"]


def parameters(line: str) -> str:
    """The names in `self: IRuntimeCache, shape: Sequence[int] = <...>`, without self."""
    plain = re.sub(r"<[^>]*>|\[[^\]]*\]", "", line)
    names = [re.split(r"[:=]", part)[0].strip() for part in plain.split(",")]
    return ", ".join(name for name in names if name.isidentifier() and name != "self")


if __name__ == "__main__":
    sys.exit(main())
