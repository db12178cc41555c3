"""What the lean runtime takes on the disk, and which modules it loads in a fresh process.

Each tree's own pyproject.toml says what it requires; how large that is, this environment says.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from installed import closure, missing, size

from sambert_trt.engines.errors import InputError

from ..project import project_file
from ..record import NotMeasured
from ..suite import Settings
from ..text import SHORT

__all__ = ["rounds"]

_EXTRA = "cpu"

_SPEAKS = """
import json, sys
from sambert_trt.runtime import backend_from_name, open_voice
voice, backend, precision, threads, text = json.loads(sys.argv[1])
opened = backend_from_name(backend)
with open_voice(voice, threads=threads, backend=opened, precision=precision) as spoken:
    spoken.say(text)
opened.close()
"""

_READS = """
import json, sys
from sambert_trt.runtime.text import MandarinFrontend
(text,) = json.loads(sys.argv[1])
for sentence in MandarinFrontend().readings(text):
    pass
"""

_TELLS = "print(json.dumps(sorted(sys.modules)))\n"

_FORBIDDEN = (
    *("torch", "onnx", "scipy", "matplotlib"),
    *("sambert_trt.export", "sambert_trt.calibration"),
)


def rounds(settings: Settings) -> Iterator[Mapping[str, float]]:
    """`install.*` and `imports.*`, once.

    Raises:
        NotMeasured: what the tree requires is not installed here.
        InputError: the tree is none, or its runtime does not speak.
    """
    project = project_file(settings.tree)
    packages = _packages(settings.tree, project)
    others = _requirements(project)
    speaking = (settings.backend, settings.precision, settings.threads, SHORT)
    spoken = _modules(_SPEAKS, str(settings.voice), *speaking)
    yield {
        "install.bytes": others + sum(packages.values()),
        **{f"install.source.{name}.bytes": count for name, count in packages.items()},
        "imports.modules": len(spoken),
        "imports.text.modules": len(_modules(_READS, SHORT)),
        "imports.forbidden": len(spoken & {*_FORBIDDEN}),
    }


def _requirements(project: Mapping[str, Any]) -> int:
    """Bytes of everything that installing the tree with [cpu] would bring."""
    declared = project["project"]
    wanted = [*declared["dependencies"], *declared["optional-dependencies"][_EXTRA]]
    if absent := missing(wanted):
        raise NotMeasured(
            f"{', '.join(absent)}: required by this side's pyproject.toml and not installed here"
        )
    return sum(map(size, closure(wanted).values()))


def _packages(tree: Path, project: Mapping[str, Any]) -> dict[str, int]:
    """Bytes of each package's files in the wheel, by the package's name below `sambert_trt`."""
    setuptools = project["tool"]["setuptools"]
    found = {}
    for package, folder in setuptools["package-dir"].items():
        files: set[Path] = set()
        for pattern in ("*.py", *setuptools["package-data"].get(package, ())):
            files.update((tree / folder).glob(pattern))
        name = package.partition(".")[2].replace(".", "_")
        found[name] = sum(file.stat().st_size for file in files)
    return found


def _modules(program: str, *arguments: object) -> set[str]:
    """The modules a fresh process holds at the end of a program."""
    finished = subprocess.run(
        (sys.executable, "-X", "utf8", "-c", program + _TELLS, json.dumps(arguments)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if finished.returncode:
        said = (finished.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise InputError(f"a fresh process cannot do what is to be measured: {said}")
    return set(json.loads(finished.stdout.splitlines()[-1]))
