"""What requirements bring along: extras are followed, other systems' parts left out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

if str(ROOT / "scripts") not in sys.path:
    sys.path.append(str(ROOT / "scripts"))

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a distribution without code: its requirements, and a file of so many bytes."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def installed(name: str, *requires: str, size: int = 0) -> None:
        folder = tmp_path / f"{name}-1.dist-info"
        folder.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1"]
        lines += [f"Requires-Dist: {text}" for text in requires]
        (folder / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (folder / "RECORD").write_text(f"{name}.bin,,\ngone.pyc,,\n", encoding="utf-8")
        (tmp_path / f"{name}.bin").write_bytes(bytes(size))

    return installed


def test_extras_are_followed_and_cycles_end(install: Install) -> None:
    from installed import closure

    install(
        "perf_a", "perf-b>=1", 'perf-c[x,y] ; extra == "more"', "perf-elsewhere ; os_name == 'q'"
    )
    install("perf_b", "perf_a[more]")
    install("perf_c", "perf_d; extra == 'y'", "perf_e; extra == 'z'")
    install("perf_d")
    install("perf_e")
    assert sorted(closure(["Perf.A>=1"])) == ["perf-a", "perf-b", "perf-c", "perf-d"]
    assert sorted(closure(["perf-c[x]"])) == ["perf-c"]
    assert closure(["perf-nowhere"]) == {}


def test_what_every_system_needs_is_named_where_it_is_not_installed(install: Install) -> None:
    from installed import missing

    install("perf_a")
    wanted = ["perf-a>=1", "Perf_Nowhere[x]<2", "perf-other ; python_version < '3'"]
    assert missing(wanted) == ["perf-nowhere"]


def test_sizes_are_of_the_files_that_are_there(install: Install) -> None:
    from installed import closure, size

    install("perf_a", size=1234)
    assert size(closure(["perf-a"])["perf-a"]) == 1234
