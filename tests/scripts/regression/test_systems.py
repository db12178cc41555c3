"""Programs of other systems: what they are asked and told, and what becomes of bad ones."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from regression.systems import (
    OtherSystem,
    OtherSystemError,
    System,
    opened_systems,
    systems_from_texts,
)

from sambert_trt.engines.errors import InputError

HEAD = "import json, os, sys, time\nfor line in sys.stdin:\n    asked = json.loads(line)\n    "


def python(code: str) -> tuple[str, ...]:
    """A program that does this for every line it reads."""
    return (sys.executable, "-I", "-u", "-c", HEAD + code)


@contextmanager
def running(code: str, limit: float = 20.0) -> Iterator[OtherSystem]:
    """The program of this code."""
    system = OtherSystem(System("other", python(code)), limit=limit)
    try:
        yield system
    finally:
        system.close()


def test_names_and_commands_are_read() -> None:
    found = systems_from_texts(["one=prog --say 'two words'", "other_2=x a=b"])
    assert found == (
        System("one", ("prog", "--say", "two words")),
        System("other_2", ("x", "a=b")),
    )


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["program"], "NAME=COMMAND"),
        (["one="], "NAME=COMMAND"),
        (["=program"], "NAME=COMMAND"),
        (["a.b=program"], "letters, digits"),
        (["one=x", "one=y"], "is taken"),
        (["torch=x"], "is taken"),
        (["one=it's"], "quotation"),
    ],
)
def test_what_is_no_system_is_refused(texts: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        systems_from_texts(texts)


def test_a_program_is_asked_and_its_factor_told() -> None:
    code = (
        "assert asked == {'text': '你好', 'symbols': ['{a$b}', '{c}'], 'threads': 2}\n"
        "    time.sleep(0.002)\n"
        "    print(json.dumps({'seconds': 0.001, 'samples': 800, 'sample_rate': 16000}))"
    )
    with running(code) as system:
        for _ in range(2):
            assert system.factor("你好", ["{a$b}", "{c}"], 2) == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("sys.exit(3)", "ended with status 3"),
        ("print('hello')", "object of JSON"),
        ("print([1])", "object of JSON"),
        ("print(json.dumps({'error': 'no such voice'}))", "says: no such voice"),
        ("print(json.dumps({'seconds': 0.1, 'samples': 0, 'sample_rate': 8000}))", "samples 0"),
        ('print(\'{"seconds": true, "samples": 1, "sample_rate": 1}\')', "seconds True"),
        ('print(\'{"seconds": 1, "samples": 1}\')', "sample_rate None"),
        ('print(\'{"seconds": 1e9, "samples": 1, "sample_rate": 1}\')', "but answered in"),
    ],
)
def test_a_program_that_gives_no_answer_is_named(code: str, said: str) -> None:
    with running(code) as system, pytest.raises(OtherSystemError) as caught:
        system.factor("好", [], 1)
    assert str(caught.value).startswith("--against other: ")
    assert said in str(caught.value)


def test_a_program_that_hangs_is_given_up_on() -> None:
    with (
        running("time.sleep(0.5)", limit=0.05) as system,
        pytest.raises(OtherSystemError, match=r"no answer within 0\.05 s"),
    ):
        system.factor("好", [], 1)


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    systems = (System("other", (str(tmp_path / "nothing"),)),)
    with pytest.raises(OtherSystemError, match="other: cannot be started"), opened_systems(systems):
        pass


def test_programs_work_where_they_are_told_to_and_end_with_the_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "ours")
    code = "print(json.dumps({'error': json.dumps([os.getcwd(), os.getpid(), *os.environ])}))"
    opened = opened_systems([System("other", python(code))], tmp_path)
    with opened as (system,), pytest.raises(OtherSystemError) as caught:
        system.factor("好", [], 1)
    told = json.loads(str(caught.value).partition("says: ")[2])
    assert Path(told[0]).samefile(tmp_path)
    assert "PYTHONPATH" not in told
    assert "PATH" in told
    if os.name == "posix":
        with pytest.raises(ProcessLookupError):
            os.kill(told[1], 0)
