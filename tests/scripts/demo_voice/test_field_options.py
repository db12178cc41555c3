"""Dataclasses as options: what is given arrives, what is not keeps its default."""

from __future__ import annotations

import re
from argparse import ArgumentParser
from dataclasses import dataclass, field
from typing import Literal

import pytest
from demo_voice.field_options import add_fields, object_from_options


@dataclass(frozen=True)
class Inner:
    """Inner.

    Attributes:
        share: 50 % of something,
            told on two lines.
    """

    share: float = 0.5


@dataclass(frozen=True)
class Facts:
    """Sizes of a model.

    Attributes:
        units: of a layer.
    """

    units: int = 64
    steps: int | None = None
    sizes: tuple[int, ...] = (3, 7)
    kind: Literal["plain", "nsf"] = "nsf"
    causal: bool = True
    name: str = "F7"
    inner: Inner = field(default_factory=Inner)


@dataclass(frozen=True)
class Others:
    """More of them."""

    rate: float = 0.1


def parser() -> ArgumentParser:
    found = ArgumentParser()
    add_fields(found, Facts)
    add_fields(found, Others)
    return found


def test_nothing_given_is_the_default() -> None:
    options = parser().parse_args([])
    assert object_from_options(Facts, options) == Facts()
    assert object_from_options(Others, options) == Others()


def test_everything_given_arrives() -> None:
    words = "--units 8 --steps 9 --sizes 1 2 3 --kind plain --no-causal --name F8 --rate 2"
    options = parser().parse_args([*words.split(), "--inner-share", "0.25"])
    wanted = Facts(8, 9, (1, 2, 3), "plain", False, "F8", Inner(0.25))
    assert object_from_options(Facts, options) == wanted
    assert object_from_options(Others, options) == Others(2.0)


@pytest.mark.parametrize("words", ["--units x", "--kind other", "--steps 1.5", "--sizes"])
def test_what_does_not_fit_is_wrong_usage(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(words.split())
    assert ended.value.code == 2
    assert words.split(maxsplit=1)[0] in capsys.readouterr().err


def test_help_is_taken_from_the_docstring() -> None:
    told = re.sub(r"\s+", " ", parser().format_help())
    assert "Sizes of a model: " in told
    assert "--units N of a layer (default 64)" in told
    assert "--inner-share X 50 % of something, told on two lines (default 0.5)" in told
    assert "(default 3 7)" in told


def test_a_field_that_cannot_be_read_is_the_developers_error() -> None:
    @dataclass(frozen=True)
    class Wrong:
        """Wrong."""

        tasks: bytes = b""

    with pytest.raises(TypeError, match="--tasks: an option cannot be of type"):
        add_fields(ArgumentParser(), Wrong)
