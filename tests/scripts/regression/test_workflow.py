"""The page and the workflow: perf.py takes their commands, and CI gives nothing away."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from regression.arguments import parser

ROOT = Path(__file__).resolve().parent.parent.parent.parent
WORKFLOW = ROOT / ".github" / "workflows" / "perf.yml"
PLACES = (ROOT / "docs" / "regression.md", WORKFLOW)


def commands_of(path: Path) -> list[list[str]]:
    """The words after perf.py; a folded block of the workflow is one line."""
    text = re.sub(r"\n +(?=--\w)", " ", path.read_text(encoding="utf-8"))
    found = re.findall(r"python scripts/perf\.py (.*)", text)
    return [shlex.split(line.replace("$FULL", "--full")) for line in found]


@pytest.mark.parametrize("path", PLACES, ids=lambda path: path.name)
def test_documented_commands_are_taken(path: Path) -> None:
    commands = commands_of(path)
    assert len(commands) >= 3
    for words in commands:
        assert parser("").parse_args(words).do


@pytest.fixture(scope="module")
def workflow() -> dict[Any, Any]:
    yaml = pytest.importorskip("yaml")
    found: dict[Any, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    return found


def test_the_workflow_reads_and_has_no_secrets(workflow: dict[Any, Any]) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    assert set(workflow[True]) == {"pull_request", "workflow_dispatch"}  # YAML reads `on` as true
    assert "secrets." not in WORKFLOW.read_text(encoding="utf-8")
    assert not any("permissions" in job for job in workflow["jobs"].values())


def test_forks_never_run_on_ones_own_machine(workflow: dict[Any, Any]) -> None:
    for job in workflow["jobs"].values():
        if "self-hosted" in job["runs-on"]:
            assert "workflow_dispatch" in job["if"]


def test_scripts_take_values_from_outside_as_variables_only(workflow: dict[Any, Any]) -> None:
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    scripts = [step["run"] for step in steps if "run" in step]
    assert len(scripts) > 5
    assert not any("${{" in script for script in scripts)


def test_the_base_is_there_to_compare_with(workflow: dict[Any, Any]) -> None:
    for job in workflow["jobs"].values():
        (checkout,) = (s for s in job["steps"] if "checkout" in s.get("uses", ""))
        assert checkout["with"] == {"fetch-depth": 0, "persist-credentials": False}
