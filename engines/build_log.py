"""What a TensorRT builder says about a plan: its memory, warnings, and every fused layer.

The VERBOSE log of a build with DETAILED profiling verbosity ends in a dump of the engine's layers.
It is the only look into a plan that needs no card: a plan cannot be opened without one. Each
message starts a line with its severity, as in `[V] Layers:`. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .engine import LayerRecord

__all__ = [
    "SEVERITIES",
    "BuildLog",
    "build_log_from_text",
]

SEVERITIES = "FEWIV"
"""The letters of TensorRT's severities 0 to 4: internal error, error, warning, info, verbose."""

_MESSAGE = re.compile(r"\[([FEWIV])\] (.*)")
_MEMORY = {
    "weights": re.compile(r"Total Weights Memory: (\d+)"),
    "scratch": re.compile(r"Max Scratch Memory: (\d+)"),
    "activation": re.compile(r"Total Activation Memory: (\d+)"),
}
_NO_ROOM = re.compile(r"OutOfMemory|within workspace limit|insufficient workspace")
_BUDGET = re.compile(r"Exceeded mem budget of (\d+)\. Need (\d+)")
_LAYER = re.compile(
    r"Name: (?P<name>.*?), LayerType: (?P<kind>[^,]*), Inputs: \[(?P<inputs>.*?)\], "
    r"(?:Constants: \[.*?\], )?Outputs: \[(?P<outputs>(?: \{.*?\})?)\](?:, |$)"
)
_TENSOR = re.compile(r"\{ Name: .*?Datatype: (.*?)\}")
_DTYPES = {
    "float": "Float",
    "fp32": "Float",
    "half": "Half",
    "fp16": "Half",
    "bfloat16": "BFloat16",
    "bf16": "BFloat16",
    "int8": "Int8",
    "uint8": "UInt8",
    "int32": "Int32",
    "int64": "Int64",
    "int4": "Int4",
    "fp8": "FP8",
    "bool": "Bool",
}
_DTYPE = re.compile(rf"\b({'|'.join(_DTYPES)})\b", re.IGNORECASE)


@dataclass(frozen=True)
class BuildLog:
    """What a log says; bytes are -1 where it does not say them.

    Attributes:
        lacking_bytes: what the workspace was too small by: 0 where that is not said, None where
            it was large enough.
    """

    layers: tuple[LayerRecord, ...]
    weights_bytes: int
    scratch_bytes: int
    activation_bytes: int
    warnings: tuple[str, ...]
    errors: tuple[str, ...]
    lacking_bytes: int | None


def build_log_from_text(text: str) -> BuildLog:
    """Reads the log of one build."""
    memory = {name: pattern.findall(text) for name, pattern in _MEMORY.items()}
    messages = [(m[1], m[2]) for m in map(_MESSAGE.match, text.splitlines()) if m]
    return BuildLog(
        layers=tuple(_layers(text.splitlines())),
        weights_bytes=int(memory["weights"][-1]) if memory["weights"] else -1,
        scratch_bytes=int(memory["scratch"][-1]) if memory["scratch"] else -1,
        activation_bytes=int(memory["activation"][-1]) if memory["activation"] else -1,
        warnings=_once(words for letter, words in messages if letter == "W"),
        errors=_once(words for letter, words in messages if letter in "EF"),
        lacking_bytes=_lacking(text) if _NO_ROOM.search(text) else None,
    )


def _lacking(text: str) -> int:
    """The budget that was exceeded is the workspace and the weights, so the difference counts."""
    found = _BUDGET.findall(text)
    return int(found[-1][1]) - int(found[-1][0]) if found else 0


def _layers(lines: Iterable[str]) -> Iterator[LayerRecord]:
    for line in lines:
        if match := _LAYER.match(line):
            yield LayerRecord(
                match["name"], match["kind"], _dtypes(match["inputs"]), _dtypes(match["outputs"])
            )


def _dtypes(tensors: str) -> tuple[str, ...]:
    """The type of each tensor; TensorRT hides it in the format's words, the RTX product does not.

    `Datatype: Half, Format: ...` or `Format/Datatype: Channel major FP16 format where ...`.
    """
    found = (_DTYPE.search(words) for words in _TENSOR.findall(tensors))
    return tuple(_DTYPES[match[1].lower()] if match else "unknown" for match in found)


def _once(messages: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(messages))
