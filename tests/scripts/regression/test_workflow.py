"""The page and the workflow: perf.py takes their commands, and CI gives nothing away."""

from __future__ import annotations

import argparse
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
    events = workflow[True]  # YAML reads `on` as true
    assert set(events) == {"push", "pull_request", "workflow_dispatch"}
    assert events["push"] == {"branches": ["main"]}
    assert "secrets." not in WORKFLOW.read_text(encoding="utf-8")
    assert not any("permissions" in job for job in workflow["jobs"].values())


def test_every_step_of_others_is_githubs_own(workflow: dict[Any, Any]) -> None:
    used = {
        step["uses"] for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step
    }
    assert {name.partition("@")[0] for name in used} == {
        "actions/checkout",
        "actions/setup-python",
        "actions/cache/restore",
        "actions/cache/save",
        "actions/upload-artifact",
    }


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


@pytest.fixture
def history(workflow: dict[Any, Any]) -> dict[str, Any]:
    """The job that keeps a history."""
    found: dict[str, Any] = workflow["jobs"]["history"]
    return found


def test_only_what_is_pushed_makes_history(
    workflow: dict[Any, Any], history: dict[str, Any]
) -> None:
    assert history["if"].startswith("github.event_name == 'push' || (")
    assert "pull_request" not in history["if"]
    assert workflow["jobs"]["compare"]["if"] == "github.event_name != 'push'"


def test_no_two_runs_continue_the_same_history(
    workflow: dict[Any, Any], history: dict[str, Any]
) -> None:
    group = {"group": "perf-history-${{ github.ref }}", "cancel-in-progress": False}
    assert history["concurrency"] == group
    cancelled = workflow["concurrency"]["cancel-in-progress"]
    assert cancelled == "${{ github.event_name == 'pull_request' }}"


def test_a_history_is_restored_continued_shown_and_saved(history: dict[str, Any]) -> None:
    steps = history["steps"]
    used = [step.get("uses", step.get("name", "")).partition("@")[0] for step in steps]
    order = (
        "actions/cache/restore",
        "run",
        "page",
        "actions/cache/save",
        "actions/upload-artifact",
    )
    restore, run, page, save, upload = (steps[used.index(name)] for name in order)
    assert [steps.index(step) for step in (restore, run, page, save, upload)] == list(
        range(len(steps) - 5, len(steps))
    )
    measured, shown = (taken(step["run"]) for step in (run, page))
    path = restore["with"]["path"]
    assert [str(measured.history), str(shown.file), save["with"]["path"]] == [path] * 3
    kept = Path(upload["with"]["path"])
    assert {Path(path).parent, shown.html.parent} == {kept}
    assert all(step["if"] == "always()" for step in (page, save, upload))


def test_each_run_saves_under_a_new_name_and_begins_with_the_newest(
    history: dict[str, Any],
) -> None:
    restored, saved = (
        step["with"] for step in history["steps"] if "actions/cache/" in step.get("uses", "")
    )
    prefix, key = restored["restore-keys"], saved["key"]
    assert restored["key"] == key
    assert prefix == "perf-history-${{ github.ref }}-"
    assert key == prefix + "${{ github.run_id }}-${{ github.run_attempt }}"


def taken(script: str) -> argparse.Namespace:
    """The options that a script's words are for perf.py."""
    _, _, words = script.partition("scripts/perf.py ")
    return parser("").parse_args(shlex.split(words))
