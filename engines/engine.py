"""Everything that decides a TensorRT plan, and everything measured when it was built.

A plan is found by what went into it, never by its own hash: two builds of one graph differ.
Standard library only.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from .errors import GraphError, SchemaError
from .graphs import AxisRange, Precision, Stage

__all__ = [
    "RECORD_SCHEMA",
    "EngineRecord",
    "EngineSpec",
    "Flavour",
    "LayerRecord",
    "engine_record_from_json",
]

RECORD_SCHEMA = 1

VERSION_COMPATIBLE = "version_compatible"
"""The flag of plans that `tensorrt_lean` runs."""


class Flavour(str, Enum):
    """The TensorRT products. LEAN builds nothing; it runs version-compatible plans of TENSORRT."""

    RTX = "rtx"
    TENSORRT = "tensorrt"
    LEAN = "lean"


@dataclass(frozen=True)
class EngineSpec:
    """What decides a plan.

    Attributes:
        graph_sha256: of the ONNX file, which holds all weights.
        recipe: how the graph's precision was made, as the manifest says.
        profile: the range of each dynamic axis.
        flags: builder flags by name, sorted.
        workspace: the most scratch memory a layer may take, in bytes; 0 leaves it open.
        version: the full version of the builder, `1.7.1.116`.
        targets: compute capabilities, `sm_86`, sorted.
    """

    stage: Stage
    precision: Precision
    graph_sha256: str
    recipe: str
    profile: Mapping[str, AxisRange]
    flags: tuple[str, ...]
    workspace: int
    flavour: Flavour
    version: str
    targets: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "stage": self.stage.value,
            "precision": self.precision.value,
            "graph_sha256": self.graph_sha256,
            "recipe": self.recipe,
            "profile": {n: [a.least, a.usual, a.most] for n, a in sorted(self.profile.items())},
            "flags": list(self.flags),
            "workspace": self.workspace,
            "flavour": self.flavour.value,
            "version": self.version,
            "targets": list(self.targets),
        }

    @property
    def key(self) -> str:
        """The sha256 that names the plan, 64 hexadecimal digits."""
        text = json.dumps(self.as_dict(), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def differences(self, other: EngineSpec) -> tuple[str, ...]:
        """Each field in which `other` differs, as `field: this -> other`."""
        ours, theirs = self.as_dict(), other.as_dict()
        return tuple(f"{n}: {ours[n]} -> {theirs[n]}" for n in ours if ours[n] != theirs[n])

    def obstacles(self, flavour: Flavour, version: str, target: str) -> tuple[str, ...]:
        """Why the TensorRT of that flavour and version cannot run the plan on that target."""
        found = []
        if target not in self.targets:
            found.append(f"targets: {', '.join(self.targets)} built, this card is {target}")
        portable = VERSION_COMPATIBLE in self.flags and self.flavour is Flavour.TENSORRT
        families = (Flavour.TENSORRT, Flavour.LEAN) if portable else (self.flavour,)
        if flavour not in families:
            found.append(f"flavour: {self.flavour.value} built, {flavour.value} is here")
        elif not (self.version == version or (portable and _serves(version, self.version))):
            found.append(f"version: {self.version} built, {version} is here")
        return tuple(found)


@dataclass(frozen=True)
class LayerRecord:
    """One fused layer: its name and type, and the datatypes that go in and come out."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class EngineRecord:
    """A plan as built: the content of record.json.

    Attributes:
        weights_bytes, scratch_bytes, activation_bytes: what the plan takes on the device, at its
            profile's largest shapes; -1 where the builder did not say.
        tools: versions of what built it, by name.
        created: UTC, ISO 8601.
    """

    spec: EngineSpec
    plan_bytes: int
    plan_sha256: str
    weights_bytes: int
    scratch_bytes: int
    activation_bytes: int
    layers: tuple[LayerRecord, ...]
    build_seconds: float
    tools: Mapping[str, str]
    created: str
    schema: int = RECORD_SCHEMA

    @property
    def kernels(self) -> int:
        """How many fused layers run, one after another."""
        return len(self.layers)

    @property
    def dtypes(self) -> dict[str, int]:
        """How many layers put out each datatype."""
        return dict(Counter(dtype for layer in self.layers for dtype in layer.outputs[:1]))

    @property
    def device_bytes(self) -> int:
        """Weights and scratch: what a resident engine takes besides its context and buffers."""
        return max(self.weights_bytes, 0) + max(self.scratch_bytes, self.activation_bytes, 0)

    def as_json(self) -> str:
        """The text of record.json."""
        data = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in ("spec", "layers", "tools")
        }
        data |= {
            "spec": self.spec.as_dict(),
            "key": self.spec.key,
            "tools": dict(self.tools),
            "layers": [dataclasses.asdict(layer) for layer in self.layers],
        }
        return json.dumps(data, ensure_ascii=False, indent=1) + "\n"


def engine_record_from_json(text: str, where: str = "record.json") -> EngineRecord:
    """Reads what `EngineRecord.as_json` wrote.

    Raises:
        SchemaError: another schema number, a missing key, a wrong type, or a key that is not the
            hash of its specification.
    """
    try:
        data = json.loads(text)
        if data["schema"] != RECORD_SCHEMA:
            raise SchemaError(
                f"{where} has schema {data['schema']}, this version reads {RECORD_SCHEMA}: "
                "build the plan again"
            )
        record = _record_from_dict(data)
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        OverflowError,
        RecursionError,
        GraphError,
    ) as error:
        raise SchemaError(
            f"{where} is not a plan's record ({error!r}); build the plan again"
        ) from error
    if data.get("key") != record.spec.key:
        raise SchemaError(f"{where} carries a key that is not its own; build the plan again")
    return record


def _record_from_dict(data: Mapping[str, Any]) -> EngineRecord:
    measured = ("weights_bytes", "scratch_bytes", "activation_bytes")
    return EngineRecord(
        spec=_spec_from_dict(data["spec"]),
        plan_bytes=_whole(data["plan_bytes"], least=0),
        plan_sha256=_sha256(data["plan_sha256"]),
        layers=tuple(
            LayerRecord(
                str(layer["name"]),
                str(layer["kind"]),
                tuple(map(str, layer["inputs"])),
                tuple(map(str, layer["outputs"])),
            )
            for layer in data["layers"]
        ),
        build_seconds=_seconds(data["build_seconds"]),
        tools={str(name): str(version) for name, version in data["tools"].items()},
        created=str(data["created"]),
        **{name: _whole(data[name], least=-1) for name in measured},
    )


def _whole(value: object, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{value!r} is not a whole number from {least} on")
    return value


def _sha256(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
        raise ValueError(f"{value!r} is no sha256")
    return value


def _seconds(value: object) -> float:
    if not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"{value!r} is not a number of seconds")
    return float(value)


def _spec_from_dict(data: Mapping[str, Any]) -> EngineSpec:
    return EngineSpec(
        stage=Stage(data["stage"]),
        precision=Precision(data["precision"]),
        graph_sha256=str(data["graph_sha256"]),
        recipe=str(data["recipe"]),
        profile={str(name): AxisRange(*map(int, sizes)) for name, sizes in data["profile"].items()},
        flags=tuple(map(str, data["flags"])),
        workspace=int(data["workspace"]),
        flavour=Flavour(data["flavour"]),
        version=str(data["version"]),
        targets=tuple(map(str, data["targets"])),
    )


def _serves(runtime: str, built: str) -> bool:
    """Version-compatible plans run on later runtimes of the same major version."""
    ours, theirs = (tuple(int(n) for n in v.split(".") if n.isdecimal()) for v in (runtime, built))
    return ours[:1] == theirs[:1] and ours >= theirs
