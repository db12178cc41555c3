"""The scripts as modules, and a small source tree with a suite that does what a test tells it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent.parent

if str(ROOT / "scripts") not in sys.path:
    sys.path.append(str(ROOT / "scripts"))

if TYPE_CHECKING:
    from regression.suite import Settings

    from sambert_trt.runtime.onnx_backend import OnnxSession

OBEDIENT = """
import os, subprocess, sys, time
from regression.record import NotMeasured

def rounds(settings):
    tell = settings.extra
    with open(tell["log"], "a") as log:
        print("begin", tell["side"], os.getpid(), file=log, flush=True)
        try:
            for number in range(tell.get("rounds", 100)):
                print("round", tell["side"], number, file=log, flush=True)
                print("{stray: words}", flush=True)
                os.system("echo more of them")
                exec(tell.get("do", ""))
                yield {"number": number, "one": 1.0, **tell.get("values", {})}
        finally:
            print("end", tell["side"], file=log, flush=True)
            exec(tell.get("at_end", ""))
"""


@pytest.fixture
def opened_sessions(monkeypatch: pytest.MonkeyPatch) -> list[OnnxSession]:
    """Every session of the processor's backend, as it is opened."""
    from sambert_trt.runtime.onnx_backend import OnnxSession

    opened: list[OnnxSession] = []
    construct = OnnxSession.__init__

    def noted(self: OnnxSession, *args: Any) -> None:  # noqa: ANN401
        opened.append(self)
        construct(self, *args)

    monkeypatch.setattr(OnnxSession, "__init__", noted)
    return opened


@pytest.fixture
def obedient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Makes settings of a side for the suite `obedient`, which runs `do` in every round."""
    from regression import process
    from regression.suite import Settings

    scripts, work = tmp_path / "scripts", tmp_path / "work"
    shutil.copytree(
        ROOT / "scripts" / "regression",
        scripts / "regression",
        ignore=shutil.ignore_patterns("__pycache__", "suites"),
    )
    (scripts / "regression" / "suites").mkdir()
    for name, content in (("__init__", ""), ("obedient", OBEDIENT)):
        path = scripts / "regression" / "suites" / f"{name}.py"
        path.write_text(content, encoding="utf-8")
    monkeypatch.setattr(process, "_SCRIPTS", scripts)
    tree = small_tree(tmp_path / "tree")
    work.mkdir()

    def settings(side: str, **tell: object) -> Settings:
        extra = {"side": side, "log": str(tmp_path / "log"), **tell}
        return Settings(tree, tmp_path / "voice", work, extra=extra)

    return settings


def small_tree(tree: Path) -> Path:
    """A tree with as much of `sambert_trt` as a worker needs to begin."""
    namespace = tree / "build" / "ns" / "sambert_trt"
    shutil.copytree(
        ROOT / "engines", namespace / "engines", ignore=shutil.ignore_patterns("__pycache__")
    )
    (namespace / "runtime").mkdir()
    (namespace / "runtime" / "__init__.py").touch()
    return tree
