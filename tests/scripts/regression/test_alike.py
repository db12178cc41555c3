"""Sides that do not speak alike are refused, with both values."""

from __future__ import annotations

from dataclasses import replace

import pytest
from regression.alike import compare_refusal
from regression.record import Identity, Side

from sambert_trt.engines.errors import InputError

IDENTITY = Identity("demo", "ab" * 32, "fp32", "cpu (onnxruntime 1.23)", 1)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"voice": "other"}, "voice demo (main) and other (working tree)"),
        ({"weights": "cd" * 32}, "weights abababababab (main) and cdcdcdcdcdcd"),
        ({"precision": "fp16"}, "precision fp32 (main) and fp16"),
        ({"backend": "tensorrt (rtx 1.7)"}, "backend cpu (onnxruntime 1.23) (main) and tensorrt"),
        ({"threads": 2, "voice": "x"}, "voice demo (main) and x (working tree); threads 1 (main)"),
    ],
)
def test_sides_that_are_not_alike_are_refused(changes: dict[str, object], named: str) -> None:
    base = Side("main", "", False, IDENTITY, {})
    other = replace(base, label="working tree", identity=replace(IDENTITY, **changes))
    with pytest.raises(InputError) as refused:
        compare_refusal(base, other)
    assert named in str(refused.value)
    assert "; ".join(compare_refusal(base, other, across=True)) in str(refused.value)
    assert compare_refusal(base, base) == ()


def test_a_side_without_a_voice_is_told() -> None:
    base = Side("main", "", False, None, {})
    other = replace(base, label="working tree", identity=IDENTITY)
    assert compare_refusal(base, other) == ("main opened no voice",)
