"""Recipes as text: TOML that a planner writes, a person edits and a calibration follows.

    recipe.<placement>.toml ─ recipe_from_text ─ Recipe ─ check_recipe ─▶ of this voice

Standard library and tomli_w; tomli reads on Python 3.10.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any, NoReturn, TypeVar

from sambert_trt.engines.errors import InputError
from sambert_trt.engines.graphs import Placement, Precision, Stage
from sambert_trt.engines.manifest import VoiceManifest

from .recipe import RECIPE_SCHEMA, Group, Method, Recipe, StagePlan, Treatment

__all__ = ["check_recipe", "recipe_from_text", "recipe_text", "voice_digest"]

Choice = TypeVar("Choice", bound=Enum)
Value = TypeVar("Value", int, float, str, dict[str, Any])

_BASES = (Precision.FP32, Precision.FP16)
_MARK = "\ufeff"
"""What some editors put in front of a text in UTF-8."""

_EXACT = 2**53
"""Whole numbers below it are floats, too."""

_HEADER = """\
# How the graphs of a voice are written for {placement}: which layers are stored and computed in
# int8, and the precision of everything else.
#
# To change it, edit a copy and use that: sambert-calibrate VOICE --recipe FILE
# It is followed to the letter; what it loses is measured and reported, but not limited.
#
#   base        the precision of what is not named under groups: fp32, fp16
#   method      how the range of an activation follows from what was recorded:
#               min-max, percentile (keeps so many percent), entropy, mse
#   groups      float      stays in the base precision
#               w8         weights stored in int8, computed in the base precision
#               w8a8       convolutions and matrix products computed in int8
#               w8a8+sums  activations and sums between them in int8, too
#   voice       the digest of the fp32 graphs it was made for

"""


def voice_digest(manifest: VoiceManifest) -> str:
    """What a voice's fp32 graphs are told by: the sha256 of their sha256s, by stage."""
    lines = (f"{stage.value} {manifest.stages[stage].file.sha256}\n" for stage in Stage)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def recipe_text(recipe: Recipe) -> str:
    """The TOML text of a recipe, with comments that say how to edit and use it."""
    import tomli_w

    data = {
        "schema": recipe.schema,
        "voice": recipe.voice,
        "placement": recipe.placement.value,
        "stages": {
            stage.value: _plan_as_dict(recipe.stages[stage])
            for stage in Stage
            if stage in recipe.stages
        },
        "notes": dict(recipe.notes),
    }
    return _HEADER.format(placement=recipe.placement.value) + tomli_w.dumps(data)


def recipe_from_text(text: str, where: str) -> Recipe:
    """Reads what `recipe_text` wrote, or what became of it under a person's hands.

    Args:
        text: TOML.
        where: the file it came from, for messages.

    Raises:
        InputError: no TOML, another schema, or a key or value that is not allowed; the message
            names file, key, value and what is allowed.
    """
    top = _Table(_parsed(text, where), where)
    schema = top.value("schema", int)
    if schema != RECIPE_SCHEMA:
        verb = "upgrade sambert-trt" if schema > RECIPE_SCHEMA else "calibrate the voice again"
        raise InputError(f"{where} has schema {schema}, this version reads {RECIPE_SCHEMA}: {verb}")
    top.only("schema", "voice", "placement", "stages", "notes")
    stages = top.table("stages")
    notes = top.table("notes", optional=True)
    return Recipe(
        voice=top.value("voice", str),
        placement=top.choice("placement", tuple(Placement)),
        stages={stages.key(name, tuple(Stage)): _plan(stages.table(name)) for name in stages},
        notes={name: notes.value(name, str) for name in notes},
    )


def check_recipe(
    recipe: Recipe,
    manifest: VoiceManifest,
    groups: Mapping[Stage, Sequence[Group]],
    placement: Placement,
    *,
    adopt: bool = False,
) -> Recipe:
    """Makes sure that a voice can be written as a recipe says.

    Args:
        groups: what each stage of this voice offers on this placement.
        adopt: take a recipe of another voice on purpose, as one of the same configuration.

    Returns:
        The recipe; made for this voice where it was adopted.

    Raises:
        InputError: it is for another voice or placement, or names what this voice lacks.
    """
    if recipe.placement is not placement:
        raise InputError(
            f"the recipe is for {recipe.placement.value}, asked for was {placement.value}: "
            f"calibrate with --target {recipe.placement.value}, or leave the recipe away"
        )
    digest = voice_digest(manifest)
    if recipe.voice != digest and not adopt:
        raise InputError(
            f"the recipe is for a voice with digest {recipe.voice[:12]}, {manifest.name} has "
            f"{digest[:12]}: take the voice's own recipe, or say --adopt if this voice is the "
            "same configuration trained further"
        )
    problems = [*_problems(recipe, groups), *_base_problems(recipe, manifest)]
    if problems:
        raise InputError(f"the recipe does not fit {manifest.name}: {'; '.join(problems)}")
    return replace(recipe, voice=digest)


def _problems(recipe: Recipe, groups: Mapping[Stage, Sequence[Group]]) -> Iterator[str]:
    """Everything in which a recipe does not fit, in words."""
    lacking = [stage.value for stage in Stage if stage not in recipe.stages]
    if lacking:
        yield f"it lacks the stages {', '.join(lacking)}: name each with at least its base"
    for stage, plan in recipe.stages.items():
        offered = {group.name: group.treatments for group in groups.get(stage, ())}
        for name, treatment in plan.groups.items():
            if name not in offered:
                known = ", ".join(offered) or "none"
                yield f"{stage.value} has no group {name!r}: it has {known}"
            elif treatment not in offered[name]:
                allowed = ", ".join(t.value for t in offered[name])
                yield f"{stage.value}/{name} takes {allowed}, not {treatment.value}"


def _base_problems(recipe: Recipe, manifest: VoiceManifest) -> Iterator[str]:
    """Bases that the processor cannot have; a calibration for TensorRT makes halves itself."""
    if recipe.placement is not Placement.CPU:
        return
    halves = manifest.variants.get(Precision.FP16, {})
    for stage, plan in recipe.stages.items():
        if plan.base is Precision.FP16 and plan.treated:
            yield f"{stage.value} has groups in int8: with them, its base has to be fp32 for cpu"
        elif plan.base is Precision.FP16 and stage not in halves:
            yield f"{stage.value} has no fp16 graph: make it with --precision fp16, or write fp32"


def _plan_as_dict(plan: StagePlan) -> dict[str, Any]:
    data: dict[str, Any] = {
        "base": plan.base.value,
        "method": plan.method.value,
        "percentile": plan.percentile,
    }
    if plan.groups:
        data["groups"] = {name: treatment.value for name, treatment in plan.groups.items()}
    return data


def _plan(table: _Table) -> StagePlan:
    table.only("base", "method", "percentile", "groups")
    groups = table.table("groups", optional=True)
    plan = StagePlan(
        base=table.choice("base", _BASES),
        groups={name: groups.choice(name, tuple(Treatment)) for name in groups},
    )
    if "method" in table:
        plan = replace(plan, method=table.choice("method", tuple(Method)))
    if "percentile" in table:
        plan = replace(plan, percentile=_percentile(table))
    return plan


def _percentile(table: _Table) -> float:
    value = table.value("percentile", float)
    if not 50.0 < value <= 100.0:
        table.refuse("percentile", value, "a number above 50, at most 100")
    return value


def _parsed(text: str, where: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        data: dict[str, Any] = tomllib.loads(text.removeprefix(_MARK))
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{where} is not TOML ({error}): mend it, or calibrate without it"
        ) from error
    return data


class _Table:
    """One table of the file: what is asked of it comes in the right type, or not at all."""

    def __init__(self, data: Mapping[str, Any], where: str, path: tuple[str, ...] = ()) -> None:
        self._data, self._where, self._path = data, where, path

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def only(self, *allowed: str) -> None:
        """Refuses any other key."""
        for key in self._data:
            if key not in allowed:
                raise InputError(
                    f"{self._where}: {self._named(key)} is not known here; "
                    f"allowed: {', '.join(allowed)}"
                )

    def value(self, key: str, kind: type[Value]) -> Value:
        """The value of a key; a whole number serves as a float."""
        found = self._found(key)
        if kind is float and type(found) is int and abs(found) < _EXACT:
            return kind(found)
        if type(found) is not kind:
            self.refuse(key, found, _KINDS[kind])
        return found

    def choice(self, key: str, allowed: Sequence[Choice]) -> Choice:
        """The member of an enumeration that a key names."""
        found = self.value(key, str)
        for member in allowed:
            if member.value == found:
                return member
        self.refuse(key, found, ", ".join(member.value for member in allowed))

    def key(self, name: str, allowed: Sequence[Choice]) -> Choice:
        """The member of an enumeration that a key is."""
        for member in allowed:
            if member.value == name:
                return member
        raise InputError(
            f"{self._where}: {self._named(name)} is not known; "
            f"allowed: {', '.join(member.value for member in allowed)}"
        )

    def table(self, key: str, *, optional: bool = False) -> _Table:
        """The table under a key; an empty one where it may be missing and is."""
        found = {} if optional and key not in self._data else self.value(key, dict)
        return _Table(found, self._where, (*self._path, key))

    def refuse(self, key: str, value: object, allowed: str) -> NoReturn:
        """Says what is wrong with a value."""
        raise InputError(f"{self._where}: {self._named(key)} = {value!r}; allowed: {allowed}")

    def _found(self, key: str) -> object:
        if key not in self._data:
            raise InputError(f"{self._where}: {self._named(key)} is missing")
        return self._data[key]

    def _named(self, key: str) -> str:
        return ".".join((*self._path, key))


_KINDS: dict[type, str] = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    dict: "a table",
}
