"""Signatures of graphs: extents, and JSON there and back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sambert_trt.engines.errors import GraphError, SchemaError
from sambert_trt.engines.graphs import (
    AxisRange,
    GraphSpec,
    Precision,
    Stage,
    TensorSpec,
    graph_spec_from_dict,
)

SPEC = GraphSpec(
    Stage.VOCODER,
    (
        TensorSpec("mel", "float32", (1, "frames", 80)),
        TensorSpec("excitation", "float32", (1, "frames*200")),
        TensorSpec("context", "float32", (1, "frames+12", 3)),
    ),
    (TensorSpec("wave", "float32", (1, "frames*200")),),
    {"frames": AxisRange(1, 128, 1024)},
    Precision.FP16,
    context=(5, 7),
)


def test_a_signature_survives_json() -> None:
    assert graph_spec_from_dict(json.loads(SPEC.as_json())) == SPEC
    assert "base" not in SPEC.as_dict()
    mixed = replace(SPEC, precision=Precision.INT8, base=Precision.FP16)
    assert graph_spec_from_dict(json.loads(mixed.as_json())) == mixed


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (7, (7, 7, 7)),
        ("frames", (1, 128, 1024)),
        ("frames*200", (200, 25600, 204800)),
        ("frames+12", (13, 140, 1036)),
    ],
)
def test_the_extent_of_a_shape_entry(entry: int | str, expected: tuple[int, int, int]) -> None:
    assert SPEC.extent(entry) == AxisRange(*expected)


def test_an_input_by_name() -> None:
    assert SPEC.input("mel").shape == (1, "frames", 80)
    with pytest.raises(GraphError, match="vocoder has no input 'noise'"):
        SPEC.input("noise")


@pytest.mark.parametrize("sizes", [(0, 1, 2), (2, 1, 3), (1, 4, 3), (-1, -1, -1)])
def test_impossible_ranges_are_refused(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(GraphError, match="needs 0 < least <= usual <= most"):
        AxisRange(*sizes)


def test_a_range_admits_its_ends() -> None:
    sizes = AxisRange(2, 3, 5)
    assert [n for n in range(8) if sizes.admits(n)] == [2, 3, 4, 5]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@given(
    key=st.sampled_from(["stage", "precision", "inputs", "outputs", "axes", "context"]), value=JSON
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_anything_else_is_no_signature(key: str, value: object) -> None:
    data = {**SPEC.as_dict(), key: value}
    try:
        found = graph_spec_from_dict(data)
    except SchemaError:
        return
    assert isinstance(found, GraphSpec)
    assert found.as_json()


@pytest.mark.parametrize("key", ["stage", "precision", "inputs", "outputs", "axes", "context"])
def test_a_missing_key_is_named(key: str) -> None:
    data = SPEC.as_dict()
    del data[key]
    with pytest.raises(SchemaError, match=key):
        graph_spec_from_dict(data)
