"""The signature of a stage's graph: what exporter, quantiser, engine builder and runtime agree on.

Standard library only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from .errors import GraphError, SchemaError

__all__ = [
    "METADATA_KEY",
    "AxisRange",
    "GraphSpec",
    "Placement",
    "Precision",
    "Stage",
    "TensorSpec",
    "graph_spec_from_dict",
]

METADATA_KEY = "sambert_trt.graph_spec"


class Stage(str, Enum):
    """The graphs of a voice, in the order a sentence meets them."""

    TEXT_ENCODER = "text_encoder"
    PROSODY = "prosody"
    DURATION_STEP = "duration_step"
    MEMORY_KV = "memory_kv"
    DECODER_STEP = "decoder_step"
    POSTNET = "postnet"
    VOCODER = "vocoder"


class Precision(str, Enum):
    """The arithmetic a graph was written for."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


class Placement(str, Enum):
    """Whose kernels a quantised graph is written for: they fuse different patterns."""

    CPU = "cpu"
    TENSORRT = "tensorrt"


@dataclass(frozen=True)
class AxisRange:
    """The extent of one axis: the smallest, the usual and the largest size it may take."""

    least: int
    usual: int
    most: int

    def __post_init__(self) -> None:
        if not 0 < self.least <= self.usual <= self.most:
            raise GraphError(
                f"axis range {self.least}..{self.usual}..{self.most}: "
                "needs 0 < least <= usual <= most"
            )

    def admits(self, size: int) -> bool:
        """Whether an axis of this size is inside the range."""
        return self.least <= size <= self.most


@dataclass(frozen=True)
class TensorSpec:
    """One input or output: `shape` holds sizes and the names of dynamic axes.

    A name may carry a factor and an offset, `frames*200` or `frames+160`, when the axis
    follows another one.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"name": self.name, "dtype": self.dtype, "shape": list(self.shape)}


@dataclass(frozen=True)
class GraphSpec:
    """The whole signature of a graph, written into its ONNX metadata as well.

    `context` is how many mel frames the graph has to see before and after those it is asked for.
    `base` is what an int8 graph computes in where it is not int8; None where `precision` says it.
    """

    stage: Stage
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    axes: Mapping[str, AxisRange]
    precision: Precision = Precision.FP32
    context: tuple[int, int] = (0, 0)
    base: Precision | None = None

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "stage": self.stage.value,
            "precision": self.precision.value,
            **({} if self.base is None else {"base": self.base.value}),
            "context": list(self.context),
            "inputs": [tensor.as_dict() for tensor in self.inputs],
            "outputs": [tensor.as_dict() for tensor in self.outputs],
            "axes": {name: [axis.least, axis.usual, axis.most] for name, axis in self.axes.items()},
        }

    def as_json(self) -> str:
        """The JSON text stored in the graph's metadata."""
        return json.dumps(self.as_dict(), sort_keys=True)

    def input(self, name: str) -> TensorSpec:
        """The input of that name."""
        for tensor in self.inputs:
            if tensor.name == name:
                return tensor
        raise GraphError(f"{self.stage.value} has no input {name!r}")

    def extent(self, size: int | str) -> AxisRange:
        """The range of one shape entry: a number, an axis name, `axis*factor` or `axis+offset`."""
        if isinstance(size, int):
            return AxisRange(size, size, size)
        for mark in "*+":
            name, found, number = size.partition(mark)
            if found:
                axis, value = self.axes[name], int(number)
                sizes = (axis.least, axis.usual, axis.most)
                return AxisRange(*(s * value if mark == "*" else s + value for s in sizes))
        return self.axes[size]


def graph_spec_from_dict(data: Mapping[str, Any]) -> GraphSpec:
    """Reads what `GraphSpec.as_dict` wrote.

    Raises:
        SchemaError: a key is missing or holds something else.
    """
    try:
        return GraphSpec(
            stage=Stage(data["stage"]),
            precision=Precision(data["precision"]),
            context=_context(data["context"]),
            base=Precision(data["base"]) if "base" in data else None,
            inputs=_tensors(data["inputs"]),
            outputs=_tensors(data["outputs"]),
            axes={str(name): AxisRange(*map(int, sizes)) for name, sizes in data["axes"].items()},
        )
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        OverflowError,
        GraphError,
    ) as error:
        raise SchemaError(f"not a graph signature ({error!r}); export the voice again") from error


def _context(sizes: Sequence[int]) -> tuple[int, int]:
    before, after = map(int, sizes)
    return before, after


def _tensors(items: Sequence[Mapping[str, Any]]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(
            name=str(item["name"]),
            dtype=str(item["dtype"]),
            shape=tuple(s if isinstance(s, str) else int(s) for s in item["shape"]),
        )
        for item in items
    )
