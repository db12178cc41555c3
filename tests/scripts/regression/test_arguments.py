"""The command line by itself: what it refuses, and what its commands leave in the terminal."""

from __future__ import annotations

import argparse

import pytest
from regression import arguments
from regression.gate import ExitStatus
from regression.terminal import show

from sambert_trt.engines.errors import InputError


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--threads", "x"), "argument --threads: 'x': needs 1 or more, a whole number"),
        (("--threads", "0"), "argument --threads: '0': needs 1 or more, a whole number"),
        (("--threads", "2.5"), "'2.5': needs 1 or more"),
        (("--suite", ""), "argument --suite: no suite is named: give its name"),
    ],
)
def test_what_is_refused_is_named_in_words_of_the_user(
    words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        arguments.parser("perf").parse_args(["run", *words])
    assert end.value.code == 2
    assert told in capsys.readouterr().err


def test_what_a_command_leaves_to_say_begins_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(options: argparse.Namespace) -> ExitStatus:
        show("sides        ")
        raise InputError("no such revision")

    def ending(options: argparse.Namespace) -> ExitStatus:
        show("sides        ")
        show("0.1 s\n")
        return ExitStatus.GREEN

    monkeypatch.setattr(arguments, "compare", failing)
    monkeypatch.setattr(arguments, "explain", ending)
    options = arguments.parser("perf").parse_args(["compare", "--base", "nowhere"])
    for _ in range(2):
        with pytest.raises(InputError, match="no such revision"):
            options.do(options)
        assert capsys.readouterr().err == "sides        \n"
    options = arguments.parser("perf").parse_args(["explain"])
    assert options.do(options) is ExitStatus.GREEN
    assert capsys.readouterr().err == "sides        0.1 s\n"
