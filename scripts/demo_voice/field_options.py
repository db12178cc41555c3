"""Frozen dataclasses as options of a command: a field each, its default, its line of the docstring.

A field that is a dataclass itself lends its name to the options of its own fields. Standard library
only.
"""

from __future__ import annotations

import argparse
import inspect
import re
import textwrap
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

__all__ = ["add_fields", "object_from_options"]

Facts = TypeVar("Facts")
_ATTRIBUTE = re.compile(r"(\w+): (.*)")


@dataclass(frozen=True)
class _Option:
    path: tuple[str, ...]
    kind: Any
    default: Any
    told: str

    @property
    def flag(self) -> str:
        return "--" + "-".join(self.path).replace("_", "-")


def add_fields(parser: ArgumentParser, kind: type) -> None:
    """Adds an option for each field of a dataclass whose fields all have defaults.

    Fields may be int, float, str, bool, a Literal, one of these or None, a tuple of any length of
    these, or such a dataclass.

    Raises:
        TypeError: a field is of another type.
        argparse.ArgumentError: another option has that name.
    """
    group = parser.add_argument_group(
        (inspect.getdoc(kind) or kind.__name__).splitlines()[0].rstrip(".")
    )
    for option in _options(kind, kind(), ()):
        told = f"{option.told} (default {_told(option.default)})".strip()
        named = {"dest": _place(kind, option.path), "default": option.default, "help": told}
        if option.kind is bool:
            group.add_argument(option.flag, action=BooleanOptionalAction, **named)
        else:
            group.add_argument(option.flag, **_reading(option), **named)


def object_from_options(kind: type[Facts], options: Namespace) -> Facts:
    """The dataclass with what was given on the command line."""
    return _built(kind, kind(), options, kind, ())


def _built(
    kind: type[Facts], default: object, options: Namespace, top: type, path: tuple[str, ...]
) -> Facts:
    values: dict[str, Any] = {}
    for one in fields(kind):  # type: ignore[arg-type]  # a type variable is not known as dataclass
        own, here = getattr(default, one.name), (*path, one.name)
        if is_dataclass(own):
            values[one.name] = _built(type(own), own, options, top, here)
        else:
            values[one.name] = getattr(options, _place(top, here))
    return kind(**values)


def _options(kind: type, default: object, path: tuple[str, ...]) -> Iterator[_Option]:
    hints, told = get_type_hints(kind), _told_attributes(kind)
    for one in fields(kind):
        own, here = getattr(default, one.name), (*path, one.name)
        if is_dataclass(own):
            yield from _options(type(own), own, here)
        else:
            yield _Option(here, hints[one.name], own, told.get(one.name, ""))


def _place(kind: type, path: tuple[str, ...]) -> str:
    """Where argparse keeps a value: two dataclasses of one command do not meet there."""
    return ".".join((kind.__name__, *path))


def _reading(option: _Option) -> dict[str, Any]:
    """How argparse reads a value."""
    kind = option.kind
    if get_origin(kind) in (Union, UnionType):
        (kind,) = (one for one in get_args(kind) if one is not type(None))
    many: dict[str, Any] = {}
    if get_origin(kind) is tuple:
        kind, many = get_args(kind)[0], {"nargs": "+", "action": _Tuple}
    if get_origin(kind) is Literal:
        return {"choices": get_args(kind), **many}
    if kind not in (int, float, str):
        raise TypeError(f"{option.flag}: an option cannot be of type {option.kind}")
    reader: Callable[[str], Any] = kind
    return {"type": reader, "metavar": {int: "N", float: "X", str: "TEXT"}[kind], **many}


class _Tuple(argparse.Action):
    def __call__(
        self,
        parser: ArgumentParser,
        namespace: Namespace,
        values: Any,  # noqa: ANN401  # argparse's own word for it
        option_string: str | None = None,
    ) -> None:
        setattr(namespace, self.dest, tuple(values))


def _told(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    words: dict[object, str] = {None: "none", True: "yes", False: "no"}
    return words[value] if value is None or isinstance(value, bool) else str(value)


def _told_attributes(kind: type) -> dict[str, str]:
    """The lines under `Attributes:` of its docstring, by name; `%` is safe for argparse."""
    _, _, listed = (inspect.getdoc(kind) or "").partition("Attributes:\n")
    found: dict[str, str] = {}
    name = ""
    for line in textwrap.dedent(listed).splitlines():
        match = _ATTRIBUTE.fullmatch(line)
        if match:
            name, found[match[1]] = match[1], match[2]
        elif name and line.startswith(" "):
            found[name] += " " + line.strip()
    return {name: text.rstrip(".").replace("%", "%%") for name, text in found.items()}
